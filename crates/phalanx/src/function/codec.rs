//! Bytes of values: postcard's, and lengths before them.

use crate::Error;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::native::value;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value as bytes.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    postcard::to_extend(value, Vec::new()).map_err(|error| {
        let name = std::any::type_name::<T>();
        Error(Failure::Usage {
            message: format!("a value of type {name} cannot be serialised: {error}"),
            hint: Some("lengths must be known, and `#[serde(…)]` attributes fit a format that does not describe itself".to_owned()),
        })
    })
}

/// Bytes as a value; the message says why not.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes are left over", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}

/// What came of a task as a value.
pub(crate) fn from_value<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let read = match bytes.split_first() {
        Some((&value::JSON, json)) => serde_json::from_slice(json).map_err(|e| e.to_string()),
        Some((&value::POSTCARD, bytes)) => decode(bytes),
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
