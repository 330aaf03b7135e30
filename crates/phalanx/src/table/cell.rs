//! A value as the text of one cell of a table.

use serde::Serialize;
use serde::ser::{self, Impossible, Serializer};
use std::fmt;
use std::io;

/// Bytes of JSON that a value with parts is shown with: more is never read.
const MAX_JSON: usize = 400;

/// In place of what is left out.
const LEFT_OUT: &str = "…";

/// The text of a value: what has parts is JSON.
pub(super) fn cell(value: &(impl Serialize + ?Sized)) -> String {
    value.serialize(Cell).unwrap_or_else(|_| json(value))
}

fn json(value: &(impl Serialize + ?Sized)) -> String {
    let mut begun = Begun(Vec::new());
    let written = serde_json::to_writer(&mut begun, value);
    let mut text = String::from_utf8_lossy(&begun.0).into_owned();
    if written.is_err() {
        // A character may have been cut.
        text.truncate(text.trim_end_matches('\u{fffd}').len());
        text.push_str(LEFT_OUT);
    }
    text
}

/// The beginning of what is written.
struct Begun(Vec<u8>);

impl io::Write for Begun {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = MAX_JSON - self.0.len().min(MAX_JSON);
        if room == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let taken = &bytes[..bytes.len().min(room)];
        self.0.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The value has parts, or is none of serde's kinds.
#[derive(Debug)]
pub(super) struct HasParts;

impl fmt::Display for HasParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a single value")
    }
}

impl std::error::Error for HasParts {}

impl ser::Error for HasParts {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Writes a value without parts.
struct Cell;

/// Defines the methods for values whose text is that of a formatting trait.
macro_rules! formatted {
    ($($method:ident: $type:ty as $format:literal),+ $(,)?) => {
        $(fn $method(self, value: $type) -> Result<String, HasParts> {
            Ok(format!($format, value))
        })+
    };
}

impl Serializer for Cell {
    type Ok = String;
    type Error = HasParts;
    type SerializeSeq = Impossible<String, HasParts>;
    type SerializeTuple = Impossible<String, HasParts>;
    type SerializeTupleStruct = Impossible<String, HasParts>;
    type SerializeTupleVariant = Impossible<String, HasParts>;
    type SerializeMap = Impossible<String, HasParts>;
    type SerializeStruct = Impossible<String, HasParts>;
    type SerializeStructVariant = Impossible<String, HasParts>;

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

    fn serialize_str(self, value: &str) -> Result<String, HasParts> {
        match value.char_indices().nth(MAX_JSON) {
            Some((end, _)) => Ok(format!("{}{LEFT_OUT}", &value[..end])),
            None => Ok(value.to_owned()),
        }
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<String, HasParts> {
        Err(HasParts)
    }

    fn serialize_none(self) -> Result<String, HasParts> {
        Ok(String::new())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<String, HasParts> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<String, HasParts> {
        Ok(String::new())
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<String, HasParts> {
        Ok(name.to_owned())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<String, HasParts> {
        Ok(variant.to_owned())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<String, HasParts> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<String, HasParts> {
        Err(HasParts)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, HasParts> {
        Err(HasParts)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, HasParts> {
        Err(HasParts)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, HasParts> {
        Err(HasParts)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, HasParts> {
        Err(HasParts)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, HasParts> {
        Err(HasParts)
    }

    fn serialize_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStruct, HasParts> {
        Err(HasParts)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, HasParts> {
        Err(HasParts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    #[derive(Serialize)]
    enum Kind {
        Plain,
        Of(u32),
    }

    #[test]
    fn a_cell_is_read_and_not_parsed() {
        assert_eq!(cell(&1.0), "1.0");
        assert_eq!(cell(&f64::NAN), "NaN");
        assert_eq!(cell("a \"b\""), "a \"b\"");
        assert_eq!(cell(&Some(3)), "3");
        assert_eq!(cell(&None::<u8>), "");
        assert_eq!(cell(&Kind::Plain), "Plain");
        assert_eq!(cell(&Kind::Of(1)), "{\"Of\":1}");
        assert_eq!(cell(&[1, 2]), "[1,2]");
        let long = cell(&vec!["größe"; 1_000_000]);
        assert!(long.len() < 500 && long.ends_with('…'), "{long}");
    }
}
