//! A function call as the engine receives it: captures, arguments, reply.
//!
//! Of this, a cell compiles only the serialization of its own types.

use super::args::{ArgumentReader, DecodedArgument};
use super::frame::{stored_value_frame, value_frame};
use crate::codec::{
    Parts, Read, SerializedValue, StoredValue, ValueDecoder, ValueEncoder, Write, why_unread,
};
use crate::namespace;
use crate::shared::out_of_band::{OutOfBandSource, OutOfBandWriter, reading, take_reason};
use crate::type_names::plain;
use phalanx_protocol::native::value;

/// A received call.
pub struct IncomingCall<'a> {
    captures: Option<SerializedValue<'a>>,
    arguments: ArgumentReader<'a>,
    outcome: Result<Vec<u8>, CallError>,
}

/// The reason why a call failed before or after the function ran.
pub(super) struct CallError {
    pub(super) ename: &'static str,
    pub(super) evalue: String,
}

impl CallError {
    pub(super) fn unread(evalue: String) -> Self {
        Self {
            ename: "DeserializeError",
            evalue,
        }
    }

    fn argument(index: usize, type_name: &str, reason: &str) -> Self {
        let number = index + 1;
        Self::unread(format!(
            "argument {number} cannot be read as {}: {reason}",
            plain(type_name)
        ))
    }

    fn result(type_name: &str, reason: &str) -> Self {
        Self {
            ename: "SerializeError",
            evalue: format!(
                "the result, a {}, cannot be serialized: {reason}",
                plain(type_name)
            ),
        }
    }
}

impl<'a> IncomingCall<'a> {
    pub(super) fn new(
        captures: Option<SerializedValue<'a>>,
        arguments: ArgumentReader<'a>,
    ) -> Self {
        Self {
            captures,
            arguments,
            outcome: Err(CallError::unread("nothing was given back".to_owned())),
        }
    }

    /// Returns the serialized value, or the reason why there is none.
    pub(super) fn finish(self) -> Result<Vec<u8>, CallError> {
        self.outcome
    }

    /// Records the error of a failed step and returns `None`.
    fn record<T>(&mut self, result: Result<T, CallError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(failed) => {
                self.outcome = Err(failed);
                None
            }
        }
    }

    /// Deserializes the captures.
    #[inline(never)]
    pub(super) fn captures(&mut self, read: &mut Read<'_>) -> Option<()> {
        let result = match self.captures.take() {
            Some(captures) => captures.decode(read),
            None => Err("they are missing".to_owned()),
        };
        let failed = |reason| format!("the function's captures cannot be read: {reason}");
        self.record(result.map_err(|reason| CallError::unread(failed(reason))))
    }

    /// Deserializes the next argument, that of parameter `index`, of type `type_name`.
    #[inline(never)]
    pub(super) fn argument(
        &mut self,
        index: usize,
        type_name: &str,
        read: &mut Read<'_>,
    ) -> Option<()> {
        let unread = |reason: &str| CallError::argument(index, type_name, reason);
        let result = match self.arguments.next() {
            None => Err(unread("it is cut off")),
            Some(DecodedArgument::Value(value)) => {
                value.decode(read).map_err(|reason| unread(&reason))
            }
            Some(DecodedArgument::Reference(name)) => {
                let name = String::from_utf8_lossy(name);
                let result = namespace::decode(&name, type_name, read);
                result.map_err(|unknown| CallError {
                    ename: unknown.ename,
                    evalue: unknown.evalue,
                })
            }
        };
        self.record(result)
    }

    /// Takes the next argument in its serialized form.
    pub(super) fn keep(&mut self, index: usize) -> Option<StoredValue> {
        let result = match self.arguments.next() {
            Some(DecodedArgument::Value(value)) => Ok(self.arguments.keep(value)),
            _ => Err(CallError::argument(index, "a value", "it is cut off")),
        };
        self.record(result)
    }

    /// Takes the next argument, a text.
    pub(super) fn text(&mut self, index: usize) -> Option<String> {
        let mut text = None;
        self.argument(index, "alloc::string::String", &mut |from| {
            text = Some(serde::Deserialize::deserialize(from)?);
            Ok(())
        })?;
        text
    }

    /// Replies with a value of type `type_name`, serialized by `write`.
    #[inline(never)]
    pub(super) fn reply_value(&mut self, type_name: &str, write: &Write<'_>) -> Option<()> {
        let parts = Parts::after(vec![value::POSTCARD], write);
        let parts = parts.map_err(|reason| CallError::result(type_name, &reason.to_string()));
        let parts = self.record(parts)?;
        self.set_reply(type_name, value_frame(parts))
    }

    /// Replies with a value that was kept in its serialized form.
    pub(super) fn reply_stored(&mut self, value: StoredValue) -> Option<()> {
        self.set_reply("value", stored_value_frame(value))
    }

    fn set_reply(&mut self, type_name: &str, frame: std::io::Result<Vec<u8>>) -> Option<()> {
        let failed = |reason| format!("there is no memory to share it: {reason}");
        let frame = frame.map_err(|reason| CallError::result(type_name, &failed(reason)));
        self.outcome = Ok(self.record(frame)?);
        Some(())
    }

    /// Calls the function for each item of the list argument, and replies with the list of its
    /// values.
    #[inline(never)]
    pub(super) fn each(
        &mut self,
        type_names: [&str; 2],
        call: &dyn Fn(&mut ListItem<'_>) -> Option<()>,
    ) -> Option<()> {
        let [list_type, result_type] = type_names.map(|name| format!("alloc::vec::Vec<{name}>"));
        let Some(DecodedArgument::Value(SerializedValue { bytes, out_of_band })) =
            self.arguments.next()
        else {
            return self.record(Err(CallError::argument(0, &list_type, "it is cut off")));
        };
        let mut item = ListItem {
            from: ValueDecoder::of(bytes),
            // Most items have no out-of-band data.
            out_of_band: Some(out_of_band).filter(|out_of_band| !out_of_band.is_empty()),
            to: ValueEncoder::after(vec![value::POSTCARD]),
            writing: OutOfBandWriter::begin(),
            failed: String::new(),
            is_unread: false,
        };
        let count = match item.from.length() {
            Ok(count) => count,
            Err(unread) => {
                let failed = CallError::argument(0, &list_type, &why_unread(&unread));
                return self.record(Err(failed));
            }
        };
        item.to.number(count as u64);
        // Discards the reason of an earlier failure.
        let _ = take_reason();
        let result = match (0..count).try_for_each(|_| call(&mut item)) {
            Some(()) => match item.from.rest().len() {
                0 => Ok(()),
                rest => {
                    let reason = format!("{rest} bytes are left over");
                    Err(CallError::argument(0, &list_type, &reason))
                }
            },
            None if item.is_unread => Err(CallError::argument(0, &list_type, &item.failed)),
            None => Err(CallError::result(&result_type, &item.failed)),
        };
        self.record(result)?;
        let parts = Parts {
            bytes: item.to.into_bytes(),
            areas: item.writing.end(),
        };
        self.set_reply(&result_type, value_frame(parts))
    }
}

/// One item of the list argument.
pub(super) struct ListItem<'a> {
    from: ValueDecoder<'a>,
    out_of_band: Option<OutOfBandSource<'a>>,
    to: ValueEncoder,
    writing: OutOfBandWriter,
    failed: String,
    is_unread: bool,
}

impl ListItem<'_> {
    /// Deserializes the item.
    #[inline(never)]
    pub(super) fn read(&mut self, read: &mut Read<'_>) -> Option<()> {
        let result = match self.out_of_band.clone() {
            Some(out_of_band) => reading(out_of_band, || read(&mut self.from)),
            None => read(&mut self.from),
        };
        match result {
            Ok(()) => Some(()),
            Err(unread) => {
                self.failed = why_unread(&unread);
                self.is_unread = true;
                None
            }
        }
    }

    /// Appends the function's value for the item to the reply.
    #[inline(never)]
    pub(super) fn write(&mut self, write: &Write<'_>) -> Option<()> {
        let written = self.writing.write(|| write(&mut self.to));
        match written {
            Ok(()) => Some(()),
            Err(reason) => {
                self.failed = reason.to_string();
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
