//! serde's kinds of values, reduced to those that tables distinguish: a [`ValueReader`] has a method
//! for each of these, and [`ReadWith`] makes a serde `Serializer` of it.

use super::cell;
use serde::Serialize;
use serde::ser::{
    self, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use std::fmt;

/// Reads a value of any kind, by the method for its kind; compound values are read part by part, by
/// what the method returns.
pub(super) trait ValueReader: Sized {
    /// The result of reading.
    type Found;
    /// Reads the elements of a list or a tuple.
    type List: SerializeSeq<Ok = Self::Found, Error = UnreadableValue>
        + SerializeTuple<Ok = Self::Found, Error = UnreadableValue>
        + SerializeTupleStruct<Ok = Self::Found, Error = UnreadableValue>;
    /// Reads the fields of a tuple variant.
    type Variant: SerializeTupleVariant<Ok = Self::Found, Error = UnreadableValue>;
    /// Reads the entries of a map.
    type Map: SerializeMap<Ok = Self::Found, Error = UnreadableValue>;
    /// Reads the fields of a struct.
    type Record: SerializeStruct<Ok = Self::Found, Error = UnreadableValue>
        + SerializeStructVariant<Ok = Self::Found, Error = UnreadableValue>;

    /// Reads a value that is not compound, in the form in which a cell of a table shows it.
    fn single(self, text: String) -> Result<Self::Found, UnreadableValue>;

    /// Reads an absent value: `None` or `()`.
    fn nothing(self) -> Result<Self::Found, UnreadableValue>;

    /// Reads raw bytes; by default an error.
    fn bytes(self, _: &[u8]) -> Result<Self::Found, UnreadableValue> {
        Err(UnreadableValue)
    }

    /// Reads a variant with one value, whose name is omitted; by default as that value.
    fn tagged<T: Serialize + ?Sized>(self, value: &T) -> Result<Self::Found, UnreadableValue> {
        value.serialize(ReadWith(self))
    }

    /// Reads a list, with its length if known.
    fn list(self, length: Option<usize>) -> Result<Self::List, UnreadableValue>;

    /// Reads a tuple variant.
    fn variant(self) -> Result<Self::Variant, UnreadableValue>;

    /// Reads a map, with its length if known.
    fn map(self, length: Option<usize>) -> Result<Self::Map, UnreadableValue>;

    /// Reads a struct.
    fn record(self) -> Result<Self::Record, UnreadableValue>;
}

/// A value of a kind that the reader does not support, or whose `Serialize` implementation failed.
#[derive(Debug)]
pub(super) struct UnreadableValue;

impl fmt::Display for UnreadableValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a single value")
    }
}

impl std::error::Error for UnreadableValue {}

impl ser::Error for UnreadableValue {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Adapts a [`ValueReader`] to serde's `Serializer`.
pub(super) struct ReadWith<R>(pub(super) R);

/// Defines the methods for values that are formatted with a trait of `std::fmt`.
macro_rules! formatted {
    ($($method:ident: $type:ty as $format:literal),+ $(,)?) => {
        $(fn $method(self, value: $type) -> Result<R::Found, UnreadableValue> {
            self.0.single(format!($format, value))
        })+
    };
}

impl<R: ValueReader> Serializer for ReadWith<R> {
    type Ok = R::Found;
    type Error = UnreadableValue;
    type SerializeSeq = R::List;
    type SerializeTuple = R::List;
    type SerializeTupleStruct = R::List;
    type SerializeTupleVariant = R::Variant;
    type SerializeMap = R::Map;
    type SerializeStruct = R::Record;
    type SerializeStructVariant = R::Record;

    formatted! {
        serialize_bool: bool as "{}",
        serialize_i8: i8 as "{}",
        serialize_i16: i16 as "{}",
        serialize_i32: i32 as "{}",
        serialize_i64: i64 as "{}",
        serialize_i128: i128 as "{}",
        serialize_u8: u8 as "{}",
        serialize_u16: u16 as "{}",
        serialize_u32: u32 as "{}",
        serialize_u64: u64 as "{}",
        serialize_u128: u128 as "{}",
        serialize_f32: f32 as "{:?}",
        serialize_f64: f64 as "{:?}",
        serialize_char: char as "{}",
    }

    fn serialize_str(self, value: &str) -> Result<R::Found, UnreadableValue> {
        self.0.single(cell::short(value))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<R::Found, UnreadableValue> {
        self.0.bytes(value)
    }

    fn serialize_none(self) -> Result<R::Found, UnreadableValue> {
        self.0.nothing()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<R::Found, UnreadableValue> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<R::Found, UnreadableValue> {
        self.0.nothing()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<R::Found, UnreadableValue> {
        self.0.single(name.to_owned())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<R::Found, UnreadableValue> {
        self.0.single(variant.to_owned())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<R::Found, UnreadableValue> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<R::Found, UnreadableValue> {
        self.0.tagged(value)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<R::List, UnreadableValue> {
        self.0.list(length)
    }

    fn serialize_tuple(self, length: usize) -> Result<R::List, UnreadableValue> {
        self.0.list(Some(length))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        length: usize,
    ) -> Result<R::List, UnreadableValue> {
        self.0.list(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<R::Variant, UnreadableValue> {
        self.0.variant()
    }

    fn serialize_map(self, length: Option<usize>) -> Result<R::Map, UnreadableValue> {
        self.0.map(length)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<R::Record, UnreadableValue> {
        self.0.record()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<R::Record, UnreadableValue> {
        self.0.record()
    }
}
