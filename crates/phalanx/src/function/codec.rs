//! Bytes of values: postcard's, and plain data beside them.

use crate::Error;
use crate::host::Frame;
use crate::shared::beside::{Areas, Source, reading, why_not, writing};
use crate::shared::memory::{ALIGN, Chunk};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::native::arguments::HEAD;
use phalanx_protocol::native::value;
use postcard::ser_flavors::Flavor;
use postcard::serialize_with_flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// A value in bytes, and the plain data that it leaves beside them.
#[derive(Clone, Default)]
pub struct Parts {
    pub(crate) bytes: Vec<u8>,
    pub(crate) areas: Areas,
}

impl Parts {
    /// A value as bytes.
    pub(crate) fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        Self::after(Vec::new(), value).map_err(|why| {
            let name = std::any::type_name::<T>();
            Error(Failure::Usage {
                message: format!("a value of type {name} cannot be serialised: {why}"),
                hint: Some("lengths must be known, and `#[serde(…)]` attributes fit a format that does not describe itself".to_owned()),
            })
        })
    }

    /// The same, after other bytes.
    pub(super) fn after<T: Serialize + ?Sized>(
        bytes: Vec<u8>,
        value: &T,
    ) -> Result<Self, postcard::Error> {
        let (written, areas) = writing(|| serialize_with_flavor(value, Buffer(bytes)));
        written.map(|bytes| Self { bytes, areas })
    }
}

/// Takes several bytes at once, which postcard's own takes one by one.
struct Buffer(Vec<u8>);

impl Flavor for Buffer {
    type Output = Vec<u8>;

    #[inline(always)]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline(always)]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

/// Bytes as a value; the message says why not.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes are left over", rest.len())),
        // postcard does not keep what a type says of its failure.
        Err(error) => Err(why_not().unwrap_or_else(|| error.to_string())),
    }
}

/// A value that has not left this process.
#[cfg(test)]
pub(crate) fn decode_parts<T: DeserializeOwned>(parts: &Parts) -> Result<T, String> {
    let areas = Source::Areas(Arc::new(parts.areas.clone()));
    reading(areas, || decode(&parts.bytes))
}

/// What came of a task as a value.
pub(crate) fn from_value<T: DeserializeOwned>(frame: &Frame) -> Result<T, Error> {
    let read = match frame.split_first() {
        Some((&value::JSON, json)) => json_value(json)
            .and_then(|value| T::deserialize(value).map_err(|error| error.to_string())),
        Some((&value::POSTCARD, bytes)) => decode(bytes),
        Some((&value::BESIDE, _)) => match Taken::of_value(frame) {
            Some(taken) => taken.decode(),
            None => Err("it is cut off".to_owned()),
        },
        _ => Err("it is of no known form".to_owned()),
    };
    read.map_err(|why| {
        let name = std::any::type_name::<T>();
        Error(Failure::Usage {
            message: format!("a result cannot be read as {name}: {why}"),
            hint: Some("it was made with another definition of that type".to_owned()),
        })
    })
}

/// Parsed apart from the type that it becomes, so that the parser is not compiled in every cell.
#[inline(never)]
fn json_value(json: &[u8]) -> Result<serde_json::Value, String> {
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

/// A value as it has come.
pub struct Taken<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) beside: Source<'a>,
}

impl<'a> Taken<'a> {
    /// Reads it.
    pub(crate) fn decode<T: DeserializeOwned>(self) -> Result<T, String> {
        let Self { bytes, beside } = self;
        reading(beside, || decode(bytes))
    }

    /// Captures that all tasks share.
    pub(super) fn of_chunk(chunk: &'a Chunk) -> Option<Self> {
        let end = usize::try_from(word(chunk)?).ok()?.checked_add(HEAD)?;
        let from = end.next_multiple_of(ALIGN).min(chunk.len());
        Some(Self {
            bytes: chunk.get(HEAD..end)?,
            beside: Source::Chunk(chunk.part(from..chunk.len())?),
        })
    }

    /// What a function gave back that has plain data beside it: see [`BESIDE`](value::BESIDE).
    fn of_value(frame: &'a Frame) -> Option<Self> {
        let len = usize::try_from(word(frame.get(8..)?)?).ok()?;
        let end = len.checked_add(HEAD)?;
        Some(Self {
            // Of the same form as without that.
            bytes: frame.get(HEAD + 1..end)?,
            beside: frame.from(end.next_multiple_of(ALIGN))?,
        })
    }
}

/// The number in the first eight bytes.
pub(super) fn word(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|word| u64::from_le_bytes(*word))
}

/// Appends bytes with their length before them.
pub(super) fn put(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    to.extend_from_slice(bytes);
}

/// Takes what [`put`] has appended.
pub(super) fn take<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = from.split_first_chunk::<8>()?;
    let (bytes, rest) =
        rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    *from = rest;
    Some(bytes)
}

/// A value that is kept as it came.
#[derive(Clone)]
pub(crate) enum Kept {
    /// It was made in this process.
    Parts(Chunk, Arc<Areas>),
    /// It came from another: its bytes, and what is beside them.
    Chunks(Chunk, Chunk),
}

impl Kept {
    /// Its bytes, and what is beside them.
    pub(super) fn apart(self) -> (Chunk, Areas) {
        match self {
            Self::Parts(bytes, areas) => (bytes, Arc::unwrap_or_clone(areas)),
            Self::Chunks(bytes, beside) => {
                let mut areas = Areas::default();
                if !beside.is_empty() {
                    areas.add(beside);
                }
                (bytes, areas)
            }
        }
    }

    /// Reads it.
    pub(crate) fn decode<T: DeserializeOwned>(&self) -> Result<T, String> {
        let (bytes, beside) = match self {
            Self::Parts(bytes, areas) => (&**bytes, Source::Areas(Arc::clone(areas))),
            Self::Chunks(bytes, beside) => (&**bytes, Source::Chunk(beside.clone())),
        };
        Taken { bytes, beside }.decode()
    }
}

impl From<Parts> for Kept {
    fn from(parts: Parts) -> Self {
        Self::Parts(Chunk::of(parts.bytes), Arc::new(parts.areas))
    }
}
