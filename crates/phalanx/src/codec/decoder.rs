//! Deserialization from postcard's format: the counterpart of `encoder.rs`, without type parameters
//! for the same reason.

use super::cut;
use super::elements::Elements;
use crate::shared::out_of_band::fails;
use serde::de::value::U32Deserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, Unexpected,
    VariantAccess, Visitor,
};
use std::fmt::{self, Display};

/// Reads values from bytes.
pub struct ValueDecoder<'de> {
    rest: &'de [u8],
}

/// A value that cannot be deserialized; the reason is stored by `out_of_band::fails`.
#[derive(Debug)]
pub struct DecodeError;

impl Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is of another form")
    }
}

impl std::error::Error for DecodeError {}

#[cold]
#[inline(never)]
fn decode_error(why: fmt::Arguments<'_>) -> DecodeError {
    fails(&why.to_string());
    DecodeError
}

/// The default methods would be compiled in every cell.
impl de::Error for DecodeError {
    #[cold]
    fn custom<T: Display>(why: T) -> Self {
        decode_error(format_args!("{why}"))
    }

    #[cold]
    #[inline(never)]
    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        decode_error(format_args!(
            "invalid type: {unexpected}, expected {expected}"
        ))
    }

    #[cold]
    #[inline(never)]
    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        decode_error(format_args!(
            "invalid value: {unexpected}, expected {expected}"
        ))
    }

    #[cold]
    #[inline(never)]
    fn invalid_length(len: usize, expected: &dyn Expected) -> Self {
        decode_error(format_args!("invalid length {len}, expected {expected}"))
    }

    #[cold]
    #[inline(never)]
    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        decode_error(format_args!(
            "unknown variant `{variant}`, expected one of {expected:?}"
        ))
    }

    #[cold]
    #[inline(never)]
    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        decode_error(format_args!(
            "unknown field `{field}`, expected one of {expected:?}"
        ))
    }

    #[cold]
    #[inline(never)]
    fn missing_field(field: &'static str) -> Self {
        decode_error(format_args!("missing field `{field}`"))
    }

    #[cold]
    #[inline(never)]
    fn duplicate_field(field: &'static str) -> Self {
        decode_error(format_args!("duplicate field `{field}`"))
    }
}

#[cold]
#[inline(never)]
fn at_end() -> DecodeError {
    decode_error(format_args!("it is cut off"))
}

#[cold]
#[inline(never)]
fn too_large() -> DecodeError {
    decode_error(format_args!("a number is too large"))
}

impl<'de> ValueDecoder<'de> {
    #[inline(never)]
    pub(crate) fn of(bytes: &'de [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns the bytes that have not been read.
    pub(crate) fn rest(&self) -> &'de [u8] {
        self.rest
    }

    #[inline]
    fn word<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (word, rest) = self.rest.split_first_chunk().ok_or_else(at_end)?;
        self.rest = rest;
        Ok(*word)
    }

    /// Takes a number of at most `bits` bits, encoded as LEB128: seven bits per byte, the low ones
    /// first.
    #[inline(always)]
    fn take_number<T>(&mut self, bits: u32) -> Result<T, DecodeError>
    where
        T: Copy
            + PartialEq
            + From<u8>
            + std::ops::Shl<u32, Output = T>
            + std::ops::Shr<u32, Output = T>
            + std::ops::BitOrAssign,
    {
        let mut number = T::from(0);
        for (at, shift) in (0..bits).step_by(7).enumerate() {
            let byte = *self.rest.get(at).ok_or_else(at_end)?;
            let part = T::from(byte & 0x7f);
            if shift + 7 > bits && part >> (bits - shift) != T::from(0) {
                break;
            }
            number |= part << shift;
            if byte < 0x80 {
                self.rest = self.rest.get(at + 1..).unwrap_or_default();
                return Ok(number);
            }
        }
        Err(too_large())
    }

    #[inline(never)]
    fn wide(&mut self, bits: u32) -> Result<u128, DecodeError> {
        self.take_number(bits)
    }

    #[inline(never)]
    fn number(&mut self, bits: u32) -> Result<u64, DecodeError> {
        self.take_number(bits)
    }

    #[inline(never)]
    fn signed(&mut self, bits: u32) -> Result<i64, DecodeError> {
        let number: u64 = self.take_number(bits)?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    #[inline(never)]
    fn signed_wide(&mut self) -> Result<i128, DecodeError> {
        let number = self.wide(128)?;
        Ok((number >> 1) as i128 ^ -((number & 1) as i128))
    }

    /// Takes the number of elements that follow.
    #[inline(never)]
    pub(crate) fn length(&mut self) -> Result<usize, DecodeError> {
        usize::try_from(self.number(64)?).map_err(|_| at_end())
    }

    #[inline(never)]
    fn bytes(&mut self) -> Result<&'de [u8], DecodeError> {
        let len = self.length()?;
        cut(&mut self.rest, len).ok_or_else(at_end)
    }

    #[inline(never)]
    fn text(&mut self) -> Result<&'de str, DecodeError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|error| decode_error(format_args!("{error}")))
    }

    #[inline(never)]
    fn owned_text(&mut self) -> Result<String, DecodeError> {
        self.text().map(str::to_owned)
    }

    #[inline(never)]
    fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.word()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(decode_error(format_args!("{other} is neither yes nor no"))),
        }
    }

    #[inline(never)]
    fn character(&mut self) -> Result<char, DecodeError> {
        let text = self.text()?;
        let mut all = text.chars();
        match (all.next(), all.next()) {
            (Some(character), None) => Ok(character),
            _ => Err(decode_error(format_args!("{text:?} is no character"))),
        }
    }
}

#[cold]
#[inline(never)]
fn undescribed() -> DecodeError {
    decode_error(format_args!(
        "it needs a format that describes itself, which this one does not"
    ))
}

macro_rules! read {
    ($($method:ident $visit:ident |$this:ident| $value:expr;)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            let $this = self;
            visitor.$visit($value?)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut ValueDecoder<'de> {
    type Error = DecodeError;

    fn is_human_readable(&self) -> bool {
        false
    }

    read! {
        deserialize_bool visit_bool |from| from.flag();
        deserialize_u8 visit_u8 |from| from.word().map(u8::from_le_bytes);
        deserialize_u16 visit_u16 |from| from.number(16).map(|number| number as u16);
        deserialize_u32 visit_u32 |from| from.number(32).map(|number| number as u32);
        deserialize_u64 visit_u64 |from| from.number(64);
        deserialize_u128 visit_u128 |from| from.wide(128);
        deserialize_i8 visit_i8 |from| from.word().map(i8::from_le_bytes);
        deserialize_i16 visit_i16 |from| from.signed(16).map(|number| number as i16);
        deserialize_i32 visit_i32 |from| from.signed(32).map(|number| number as i32);
        deserialize_i64 visit_i64 |from| from.signed(64);
        deserialize_i128 visit_i128 |from| from.signed_wide();
        deserialize_f32 visit_f32 |from| from.word().map(f32::from_le_bytes);
        deserialize_f64 visit_f64 |from| from.word().map(f64::from_le_bytes);
        deserialize_char visit_char |from| from.character();
        deserialize_str visit_borrowed_str |from| from.text();
        deserialize_string visit_string |from| from.owned_text();
        deserialize_bytes visit_borrowed_bytes |from| from.bytes();
        deserialize_byte_buf visit_borrowed_bytes |from| from.bytes();
    }

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, DecodeError> {
        Err(undescribed())
    }

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, DecodeError> {
        Err(undescribed())
    }

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, DecodeError> {
        Err(undescribed())
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.flag()? {
            false => visitor.visit_none(),
            true => visitor.visit_some(self),
        }
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let remaining = self.length()?;
        visitor.visit_seq(Elements {
            from: self,
            remaining,
        })
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        remaining: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_seq(Elements {
            from: self,
            remaining,
        })
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        remaining: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_seq(Elements {
            from: self,
            remaining,
        })
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let remaining = self.length()?;
        visitor.visit_map(Elements {
            from: self,
            remaining,
        })
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_tuple(fields.len(), visitor)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_enum(self)
    }
}

impl<'de> EnumAccess<'de> for &mut ValueDecoder<'de> {
    type Error = DecodeError;
    type Variant = Self;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self), DecodeError> {
        let index: U32Deserializer<DecodeError> = (self.number(32)? as u32).into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'de> VariantAccess<'de> for &mut ValueDecoder<'de> {
    type Error = DecodeError;

    #[inline]
    fn unit_variant(self) -> Result<(), DecodeError> {
        Ok(())
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, DecodeError> {
        seed.deserialize(self)
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_tuple(len, visitor)
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_tuple(fields.len(), visitor)
    }
}
