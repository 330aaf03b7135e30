//! Serialization to postcard's format.
//!
//! Every cell compiles the serialization of its own types. With a serializer that has no type
//! parameters, that is a series of calls into this library; postcard's own is generic and would be
//! compiled in each cell.

use crate::error::EncodeError;
use serde::Serialize;
use serde::ser::{self, Serializer};
use std::fmt::{self, Display, Write};

/// The minimum number of bytes by which the buffer grows.
const ROOM: usize = 64;

/// The maximum number of bytes of an encoded number.
const LONGEST: usize = 19;

/// Writes values to a buffer.
pub struct ValueEncoder {
    bytes: Vec<u8>,
}

type EncodedValue = Result<(), EncodeError>;

impl ValueEncoder {
    /// Continues behind existing bytes.
    #[inline(never)]
    pub(crate) fn after(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Returns all bytes written.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Appends bytes.
    #[inline(never)]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    #[cold]
    #[inline(never)]
    fn widen(&mut self) {
        self.bytes.reserve(ROOM);
    }

    /// Appends a fixed-size number; without a call if the buffer has room.
    #[inline]
    fn put_word<const N: usize>(&mut self, word: [u8; N]) -> EncodedValue {
        const { assert!(N <= ROOM) }
        let len = self.bytes.len();
        if self.bytes.capacity() - len < N {
            self.widen();
        }
        // SAFETY: the buffer has room for `N` bytes behind the last one, and they are initialized
        // before the length grows.
        unsafe {
            let end = self.bytes.as_mut_ptr().add(len);
            end.cast::<[u8; N]>().write_unaligned(word);
            self.bytes.set_len(len + N);
        }
        Ok(())
    }

    /// Appends a number as LEB128, seven bits per byte.
    #[inline(always)]
    fn put_number<T>(&mut self, mut number: T, low: fn(T) -> u8)
    where
        T: Copy + PartialOrd + From<u8> + std::ops::ShrAssign<u32>,
    {
        let mut bytes = [0; LONGEST];
        let mut len = 0;
        for byte in &mut bytes {
            len += 1;
            if number < T::from(0x80) {
                *byte = low(number);
                break;
            }
            *byte = low(number) | 0x80;
            number >>= 7;
        }
        self.bytes.extend_from_slice(&bytes[..len]);
    }

    /// Appends a number.
    #[inline(never)]
    pub(crate) fn number(&mut self, number: u64) {
        if number < 0x80 {
            self.bytes.push(number as u8);
        } else {
            self.put_number(number, |number| number as u8);
        }
    }

    #[inline(never)]
    fn wide(&mut self, number: u128) {
        self.put_number(number, |number| number as u8);
    }
}

impl Serializer for &mut ValueEncoder {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn serialize_u8(self, v: u8) -> EncodedValue {
        self.put_word([v])
    }

    #[inline]
    fn serialize_i8(self, v: i8) -> EncodedValue {
        self.put_word(v.to_le_bytes())
    }

    #[inline]
    fn serialize_f32(self, v: f32) -> EncodedValue {
        self.put_word(v.to_le_bytes())
    }

    #[inline]
    fn serialize_f64(self, v: f64) -> EncodedValue {
        self.put_word(v.to_le_bytes())
    }

    #[inline(never)]
    fn serialize_bool(self, v: bool) -> EncodedValue {
        self.put_word([u8::from(v)])
    }

    #[inline(never)]
    fn serialize_u16(self, v: u16) -> EncodedValue {
        self.number(v.into());
        Ok(())
    }

    #[inline(never)]
    fn serialize_u32(self, v: u32) -> EncodedValue {
        self.number(v.into());
        Ok(())
    }

    #[inline(never)]
    fn serialize_u64(self, v: u64) -> EncodedValue {
        self.number(v);
        Ok(())
    }

    #[inline(never)]
    fn serialize_u128(self, v: u128) -> EncodedValue {
        self.wide(v);
        Ok(())
    }

    #[inline(never)]
    fn serialize_i16(self, v: i16) -> EncodedValue {
        self.serialize_i64(v.into())
    }

    #[inline(never)]
    fn serialize_i32(self, v: i32) -> EncodedValue {
        self.serialize_i64(v.into())
    }

    #[inline(never)]
    fn serialize_i64(self, v: i64) -> EncodedValue {
        // Zigzag encoding: the sign is the lowest bit, so that numbers near zero are short.
        self.number(((v << 1) ^ (v >> 63)) as u64);
        Ok(())
    }

    #[inline(never)]
    fn serialize_i128(self, v: i128) -> EncodedValue {
        self.wide(((v << 1) ^ (v >> 127)) as u128);
        Ok(())
    }

    #[inline(never)]
    fn serialize_char(self, v: char) -> EncodedValue {
        self.serialize_str(v.encode_utf8(&mut [0; 4]))
    }

    #[inline(never)]
    fn serialize_str(self, v: &str) -> EncodedValue {
        self.serialize_bytes(v.as_bytes())
    }

    #[inline(never)]
    fn serialize_bytes(self, v: &[u8]) -> EncodedValue {
        self.number(v.len() as u64);
        self.put(v);
        Ok(())
    }

    #[inline(never)]
    fn serialize_none(self) -> EncodedValue {
        self.put_word([0])
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> EncodedValue {
        self.serialize_u8(1)?;
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> EncodedValue {
        Ok(())
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> EncodedValue {
        Ok(())
    }

    #[inline(never)]
    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> EncodedValue {
        self.serialize_u32(index)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> EncodedValue {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> EncodedValue {
        self.serialize_u32(index)?;
        value.serialize(self)
    }

    #[inline(never)]
    fn serialize_seq(self, len: Option<usize>) -> Result<Self, EncodeError> {
        self.number(len.ok_or(EncodeError::Length)? as u64);
        Ok(self)
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Self, EncodeError> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, EncodeError> {
        Ok(self)
    }

    #[inline(never)]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, EncodeError> {
        self.number(index.into());
        Ok(self)
    }

    #[inline(never)]
    fn serialize_map(self, len: Option<usize>) -> Result<Self, EncodeError> {
        self.serialize_seq(len)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, EncodeError> {
        Ok(self)
    }

    #[inline(never)]
    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self, EncodeError> {
        self.serialize_tuple_variant(name, index, variant, len)
    }

    #[inline]
    fn collect_str<T: Display + ?Sized>(self, value: &T) -> EncodedValue {
        self.text(format_args!("{value}"))
    }
}

impl ValueEncoder {
    #[inline(never)]
    fn text(&mut self, text: fmt::Arguments<'_>) -> EncodedValue {
        let mut whole = String::new();
        whole.write_fmt(text).map_err(ser::Error::custom)?;
        self.serialize_str(&whole)
    }
}

macro_rules! elements {
    ($($trait:ident $method:ident $(, $key:ty)?;)*) => {$(
        impl ser::$trait for &mut ValueEncoder {
            type Ok = ();
            type Error = EncodeError;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, $(_: $key,)? value: &T) -> EncodedValue {
                value.serialize(&mut **self)
            }

            #[inline]
            fn end(self) -> EncodedValue {
                Ok(())
            }
        }
    )*};
}

elements! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
    SerializeStruct serialize_field, &'static str;
    SerializeStructVariant serialize_field, &'static str;
}

impl ser::SerializeMap for &mut ValueEncoder {
    type Ok = ();
    type Error = EncodeError;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> EncodedValue {
        key.serialize(&mut **self)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> EncodedValue {
        value.serialize(&mut **self)
    }

    #[inline]
    fn end(self) -> EncodedValue {
        Ok(())
    }
}
