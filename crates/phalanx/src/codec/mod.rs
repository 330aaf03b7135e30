//! Serialized values: postcard's format, with plain data out of band.
//!
//! Serialization and deserialization depend on a value's type and are passed as functions to
//! [`ValueEncoder`] and [`ValueDecoder`]; everything else is compiled once.
//!
//! | file | contents |
//! |---|---|
//! | `bounds.rs` | the types whose values can be sent |
//! | `encoder.rs`, `decoder.rs`, `elements.rs` | serialization of values |
//! | `list.rs` | a list returned by a task, read item by item |

mod bounds;
mod decoder;
mod elements;
mod encoder;
mod list;

pub use bounds::{SerializableArg, Transferable};
pub(crate) use decoder::{DecodeError, ValueDecoder};
pub(crate) use encoder::ValueEncoder;
pub(crate) use list::{EncodedList, read_list};

use crate::Error;
use crate::error::{EncodeError, LibraryError};
use crate::host::Frame;
use crate::shared::memory::{ALIGN, StableBytes};
use crate::shared::out_of_band::{OutOfBandAreas, OutOfBandSource, reading, take_reason, writing};
use phalanx_protocol::host::ExecuteReply;
use phalanx_protocol::native::arguments::HEAD;
use phalanx_protocol::native::value;
use serde::Serialize;
#[cfg(test)]
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::sync::Arc;

/// Serializes a value.
pub(crate) type Write<'a> = dyn Fn(&mut ValueEncoder) -> Result<(), EncodeError> + 'a;

/// Deserializes a value and stores it.
pub(crate) type Read<'a> = dyn FnMut(&mut ValueDecoder<'_>) -> Result<(), DecodeError> + 'a;

/// A serialized value, with its out-of-band data.
#[derive(Clone, Default)]
pub struct Parts {
    pub(crate) bytes: Vec<u8>,
    pub(crate) areas: OutOfBandAreas,
}

impl Parts {
    /// Serializes a value.
    pub(crate) fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        Self::written(type_name::<T>(), &|to| value.serialize(to))
    }

    /// Serializes a value of type `type_name` by `write`.
    #[inline(never)]
    pub(crate) fn written(type_name: &str, write: &Write<'_>) -> Result<Self, Error> {
        Self::after(Vec::new(), write).map_err(|error| {
            let error = &error;
            LibraryError::Unwritten { type_name, error }.into()
        })
    }

    /// Serializes a value behind other bytes.
    #[inline(never)]
    pub(crate) fn after(bytes: Vec<u8>, write: &Write<'_>) -> Result<Self, EncodeError> {
        let mut to = ValueEncoder::after(bytes);
        let (written, areas) = writing(|| write(&mut to));
        let bytes = to.into_bytes();
        written.map(|()| Self { bytes, areas })
    }
}

/// Deserializes a value that takes up all of the bytes; the error is a message.
#[inline(never)]
pub(crate) fn decode(bytes: &[u8], read: &mut Read<'_>) -> Result<(), String> {
    let mut from = ValueDecoder::of(bytes);
    match (read(&mut from), from.rest().len()) {
        (Ok(()), 0) => Ok(()),
        (Ok(()), rest) => Err(format!("{rest} bytes are left over")),
        (Err(unread), _) => Err(why_unread(&unread)),
    }
}

/// Returns the reason why a value could not be deserialized, from its type if available.
pub(crate) fn why_unread(unread: &DecodeError) -> String {
    take_reason().unwrap_or_else(|| unread.to_string())
}

/// Deserializes a value within the same process.
#[cfg(test)]
pub(crate) fn decode_parts<T: DeserializeOwned>(parts: &Parts) -> Result<T, String> {
    StoredValue::from(parts.clone()).value()
}

/// Deserializes the value of a task, of type `type_name`.
#[inline(never)]
pub(crate) fn read_frame(frame: &Frame, type_name: &str, read: &mut Read<'_>) -> Result<(), Error> {
    let done = match frame.split_first() {
        Some((&value::JSON, json)) => read_reply(json, type_name, read),
        Some((&value::POSTCARD, bytes)) => decode(bytes, read),
        Some((&value::OUT_OF_BAND, _)) => match SerializedValue::of_value(frame) {
            Some(taken) => taken.decode(read),
            None => Err("it is cut off".to_owned()),
        },
        _ => Err("its format is unknown".to_owned()),
    };
    done.map_err(|why| unread(type_name, &why))
}

/// Returns the error for a value that is not of type `type_name`.
pub(crate) fn unread(type_name: &str, why: &str) -> Error {
    LibraryError::Unread { type_name, why }.into()
}

/// Deserializes an engine's reply to a cell. [`ExecuteReply`] is encoded in a format that is not
/// self-describing.
fn read_reply(json: &[u8], type_name: &str, read: &mut Read<'_>) -> Result<(), String> {
    if type_name != self::type_name::<ExecuteReply>() {
        return Err("it is an engine's reply to a cell, an ExecuteReply".to_owned());
    }
    let mut text = ValueEncoder::after(Vec::new());
    text.number(json.len() as u64);
    text.put(json);
    decode(&text.into_bytes(), read)
}

/// A received value.
pub struct SerializedValue<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) out_of_band: OutOfBandSource<'a>,
}

impl<'a> SerializedValue<'a> {
    /// Deserializes the value.
    #[inline(never)]
    pub(crate) fn decode(self, read: &mut Read<'_>) -> Result<(), String> {
        let Self { bytes, out_of_band } = self;
        reading(out_of_band, || decode(bytes, read))
    }

    /// Captures shared by all tasks.
    pub(crate) fn of_chunk(chunk: &'a StableBytes) -> Option<Self> {
        let end = usize::try_from(word(chunk)?).ok()?.checked_add(HEAD)?;
        let from = end.next_multiple_of(ALIGN).min(chunk.len());
        Some(Self {
            bytes: chunk.get(HEAD..end)?,
            out_of_band: OutOfBandSource::Chunk(chunk.part(from..chunk.len())?),
        })
    }

    /// Splits the value of a function with out-of-band data: see [`OUT_OF_BAND`](value::OUT_OF_BAND).
    pub(crate) fn of_value(frame: &'a Frame) -> Option<Self> {
        let len = usize::try_from(word(frame.get(8..)?)?).ok()?;
        let end = len.checked_add(HEAD)?;
        Some(Self {
            // The same format as without out-of-band data.
            bytes: frame.get(HEAD + 1..end)?,
            out_of_band: frame.from(end.next_multiple_of(ALIGN))?,
        })
    }
}

#[cfg(test)]
impl SerializedValue<'_> {
    /// Deserializes the value.
    pub(crate) fn value<T: DeserializeOwned>(self) -> Result<T, String> {
        let mut value = None;
        self.decode(&mut |from| {
            value = Some(T::deserialize(from)?);
            Ok(())
        })?;
        Ok(value.unwrap())
    }
}

/// Returns the number in the first eight bytes, little-endian.
pub(crate) fn word(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|word| u64::from_le_bytes(*word))
}

/// Appends bytes, preceded by their length.
pub(crate) fn put(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    to.extend_from_slice(bytes);
}

/// Takes bytes appended by [`put`].
pub(crate) fn take<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(word(from)?).ok()?;
    *from = from.get(8..)?;
    cut(from, length)
}

/// Takes the first `length` bytes.
pub(crate) fn cut<'a>(from: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (bytes, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(bytes)
}

/// A value that is kept in its serialized form.
#[derive(Clone)]
pub(crate) enum StoredValue {
    /// Serialized in this process.
    Parts(StableBytes, Arc<OutOfBandAreas>),
    /// Received from another process: the bytes and the out-of-band data.
    Chunks(StableBytes, StableBytes),
}

impl StoredValue {
    /// Returns the bytes and the out-of-band data.
    pub(crate) fn split(self) -> (StableBytes, OutOfBandAreas) {
        match self {
            Self::Parts(bytes, areas) => (bytes, Arc::unwrap_or_clone(areas)),
            Self::Chunks(bytes, out_of_band) => {
                let mut areas = OutOfBandAreas::default();
                if !out_of_band.is_empty() {
                    areas.add(out_of_band);
                }
                (bytes, areas)
            }
        }
    }

    /// Deserializes the value.
    pub(crate) fn decode(&self, read: &mut Read<'_>) -> Result<(), String> {
        let (bytes, out_of_band) = match self {
            Self::Parts(bytes, areas) => (&**bytes, OutOfBandSource::Areas(Arc::clone(areas))),
            Self::Chunks(bytes, out_of_band) => {
                (&**bytes, OutOfBandSource::Chunk(out_of_band.clone()))
            }
        };
        SerializedValue { bytes, out_of_band }.decode(read)
    }
}

#[cfg(test)]
impl StoredValue {
    /// Deserializes the value.
    pub(crate) fn value<T: DeserializeOwned>(&self) -> Result<T, String> {
        let mut value = None;
        self.decode(&mut |from| {
            value = Some(T::deserialize(from)?);
            Ok(())
        })?;
        Ok(value.unwrap())
    }
}

impl From<Parts> for StoredValue {
    fn from(parts: Parts) -> Self {
        Self::Parts(StableBytes::of(parts.bytes), Arc::new(parts.areas))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Nothing,
        One(i128),
        Two(u8, char),
        Named { small: i8, list: Vec<(u16, bool)> },
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Everything {
        kinds: Vec<Kind>,
        map: BTreeMap<String, Option<f32>>,
        unit: (),
        numbers: (u8, u16, u32, u64, u128, i8, i16, i32, i64, usize),
        points: [f64; 3],
        text: Box<str>,
        wrapped: Wrapped,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
    struct Wrapped(isize);

    fn there_and_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
        let parts = Parts::of(value).unwrap();
        let mut room = [0; 4096];
        assert_eq!(parts.bytes, postcard::to_slice(value, &mut room).unwrap());
        assert_eq!(decode_parts::<T>(&parts).as_ref(), Ok(value));
        for len in 0..parts.bytes.len() {
            let cut = Parts {
                bytes: parts.bytes[..len].to_vec(),
                ..Parts::default()
            };
            assert!(decode_parts::<T>(&cut).is_err(), "{len} of {value:?}");
        }
        let mut more = parts;
        more.bytes.push(0);
        let left_over = Err("1 bytes are left over".to_owned());
        assert_eq!(decode_parts::<T>(&more), left_over);
    }

    #[test]
    fn values_have_the_format_of_postcard() {
        let value = Everything {
            kinds: vec![
                Kind::Nothing,
                Kind::One(i128::MIN),
                Kind::Two(200, 'ö'),
                Kind::Named {
                    small: -128,
                    list: vec![(127, true), (128, false), (u16::MAX, true)],
                },
            ],
            map: [("größe".to_owned(), Some(1.5)), (String::new(), None)].into(),
            unit: (),
            numbers: (
                255,
                65535,
                u32::MAX,
                u64::MAX,
                u128::MAX,
                -1,
                i16::MIN,
                -64,
                i64::MIN,
                usize::MAX,
            ),
            points: [0.1, f64::MAX, -0.0],
            text: "x".repeat(300).into(),
            wrapped: Wrapped(-65),
        };
        there_and_back(&value);
        for shift in 0..64 {
            there_and_back(&(1u64 << shift));
            there_and_back(&(i64::MIN >> shift));
        }
        there_and_back(&vec![0.5f64; 100]);
        there_and_back(&std::time::Duration::from_millis(1500));
        there_and_back(&std::net::Ipv4Addr::LOCALHOST);
    }

    #[test]
    fn invalid_values_are_rejected() {
        let read = |bytes: &[u8]| Parts {
            bytes: bytes.to_vec(),
            ..Parts::default()
        };
        let is_wrong = |why: Result<u16, String>| assert!(why.is_err(), "{why:?}");
        is_wrong(decode_parts(&read(&[0xff, 0xff, 0x04])));
        is_wrong(decode_parts(&read(&[0x80, 0x80, 0x80, 0x01])));
        assert_eq!(decode_parts(&read(&[0xff, 0xff, 0x03])), Ok(u16::MAX));
        assert!(decode_parts::<bool>(&read(&[2])).is_err());
        assert!(decode_parts::<String>(&read(&[1, 0xff])).is_err());
        assert!(decode_parts::<char>(&read(&[2, b'a', b'b'])).is_err());
        let why = decode_parts::<Kind>(&read(&[9])).unwrap_err();
        assert!(why.contains("variant index"), "{why}");
        assert!(decode_parts::<serde_json::Value>(&read(&[1])).is_err());
        let many = decode_parts::<Vec<u64>>(&read(&[0xff, 0xff, 0xff, 0xff, 0x0f]));
        assert!(many.is_err());
    }

    #[test]
    fn list_of_unknown_length_is_rejected() {
        struct Unknown;
        impl Serialize for Unknown {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                serde::ser::SerializeSeq::end(to.serialize_seq(None)?)
            }
        }
        let error = Parts::of(&Unknown).err().unwrap().to_string();
        assert!(
            error.contains("Unknown") && error.contains("length"),
            "{error}"
        );
    }

    #[test]
    fn kinds_of_replies_are_distinguished() {
        let reply = ExecuteReply {
            engine_id: None,
            execution_count: 3,
            execute_result: Some(phalanx_protocol::output::MimeBundle::plain("42")),
        };
        there_and_back_without_postcard(&reply);
        let mut frame = vec![value::JSON];
        serde_json::to_writer(&mut frame, &reply).unwrap();
        let frame = Frame::open(frame).unwrap();
        let mut read = None;
        let done = read_frame(&frame, type_name::<ExecuteReply>(), &mut |from| {
            read = Some(ExecuteReply::deserialize(from)?);
            Ok(())
        });
        assert_eq!((done, read), (Ok(()), Some(reply)));
        let refused = read_frame(&frame, "alloc::string::String", &mut |_| Ok(()));
        let why = refused.unwrap_err().to_string();
        assert!(why.contains("an ExecuteReply"), "{why}");
    }

    fn there_and_back_without_postcard<T>(value: &T)
    where
        T: Serialize + DeserializeOwned + PartialEq + Debug,
    {
        let parts = Parts::of(value).unwrap();
        assert_eq!(decode_parts::<T>(&parts).as_ref(), Ok(value));
    }
}
