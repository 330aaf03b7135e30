//! A function call as the engine receives it: captures, arguments, reply.
//!
//! Of this, a cell compiles only the serialization of its own types.

use super::args::{ArgumentReader, DecodedArgument};
use super::codec::{Kept, Parts, Read, Taken, Write, why_unread};
use super::decoder::Decoder;
use super::encoder::Encoder;
use super::frame::{given, given_kept};
use crate::namespace::{self, plain};
use crate::shared::out_of_band::{OutOfBandSource, OutOfBandWriter, reading, take_reason};
use phalanx_protocol::native::value;

/// A received call.
pub struct ReceivedCall<'a> {
    captures: Option<Taken<'a>>,
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

    fn argument(place: usize, type_name: &str, why: &str) -> Self {
        let number = place + 1;
        Self::unread(format!(
            "argument {number} cannot be read as {}: {why}",
            plain(type_name)
        ))
    }

    fn result(type_name: &str, why: &str) -> Self {
        Self {
            ename: "SerializeError",
            evalue: format!(
                "the result, a {}, cannot be serialised: {why}",
                plain(type_name)
            ),
        }
    }
}

impl<'a> ReceivedCall<'a> {
    pub(super) fn new(captures: Option<Taken<'a>>, arguments: ArgumentReader<'a>) -> Self {
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
    fn ended<T>(&mut self, done: Result<T, CallError>) -> Option<T> {
        match done {
            Ok(done) => Some(done),
            Err(failed) => {
                self.outcome = Err(failed);
                None
            }
        }
    }

    /// Deserializes the captures.
    #[inline(never)]
    pub(super) fn captures(&mut self, read: &mut Read<'_>) -> Option<()> {
        let done = match self.captures.take() {
            Some(captures) => captures.decode(read),
            None => Err("they are missing".to_owned()),
        };
        let failed = |why| format!("the function's captures cannot be read: {why}");
        self.ended(done.map_err(|why| CallError::unread(failed(why))))
    }

    /// Deserializes the next argument, that of parameter `place`, of type `type_name`.
    #[inline(never)]
    pub(super) fn argument(
        &mut self,
        place: usize,
        type_name: &str,
        read: &mut Read<'_>,
    ) -> Option<()> {
        let unread = |why: &str| CallError::argument(place, type_name, why);
        let done = match self.arguments.next() {
            None => Err(unread("it is cut off")),
            Some(DecodedArgument::Value(taken)) => taken.decode(read).map_err(|why| unread(&why)),
            Some(DecodedArgument::Reference(name)) => {
                let name = String::from_utf8_lossy(name);
                let done = namespace::decode(&name, type_name, read);
                done.map_err(|unknown| CallError {
                    ename: unknown.ename,
                    evalue: unknown.evalue,
                })
            }
        };
        self.ended(done)
    }

    /// Takes the next argument in its serialized form.
    pub(super) fn keep(&mut self, place: usize) -> Option<Kept> {
        let done = match self.arguments.next() {
            Some(DecodedArgument::Value(taken)) => Ok(self.arguments.keep(taken)),
            _ => Err(CallError::argument(place, "a value", "it is cut off")),
        };
        self.ended(done)
    }

    /// Takes the next argument, a text.
    pub(super) fn text(&mut self, place: usize) -> Option<String> {
        let mut text = None;
        self.argument(place, "alloc::string::String", &mut |from| {
            text = Some(serde::Deserialize::deserialize(from)?);
            Ok(())
        })?;
        text
    }

    /// Replies with a value of type `type_name`, serialized by `write`.
    #[inline(never)]
    pub(super) fn answer(&mut self, type_name: &str, write: &Write<'_>) -> Option<()> {
        let parts = Parts::after(vec![value::POSTCARD], write);
        let parts = parts.map_err(|why| CallError::result(type_name, &why.to_string()));
        let parts = self.ended(parts)?;
        self.give(type_name, given(parts))
    }

    /// Replies with a value that was kept in its serialized form.
    pub(super) fn answer_kept(&mut self, kept: Kept) -> Option<()> {
        self.give("value", given_kept(kept))
    }

    fn give(&mut self, type_name: &str, frame: std::io::Result<Vec<u8>>) -> Option<()> {
        let failed = |why| format!("there is no memory to share it: {why}");
        let given = frame.map_err(|why| CallError::result(type_name, &failed(why)));
        self.outcome = Ok(self.ended(given)?);
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
        let [given, given_back] = type_names.map(|name| format!("alloc::vec::Vec<{name}>"));
        let Some(DecodedArgument::Value(Taken { bytes, beside })) = self.arguments.next() else {
            return self.ended(Err(CallError::argument(0, &given, "it is cut off")));
        };
        let mut item = ListItem {
            from: Decoder::of(bytes),
            // Most items have no out-of-band data.
            beside: Some(beside).filter(|beside| !beside.is_empty()),
            to: Encoder::after(vec![value::POSTCARD]),
            writing: OutOfBandWriter::begin(),
            failed: String::new(),
            is_unread: false,
        };
        let count = match item.from.length() {
            Ok(count) => count,
            Err(unread) => {
                let failed = CallError::argument(0, &given, &why_unread(&unread));
                return self.ended(Err(failed));
            }
        };
        item.to.number(count as u64);
        // Discards the reason of an earlier failure.
        let _ = take_reason();
        let done = match (0..count).try_for_each(|_| call(&mut item)) {
            Some(()) => match item.from.rest().len() {
                0 => Ok(()),
                rest => {
                    let why = format!("{rest} bytes are left over");
                    Err(CallError::argument(0, &given, &why))
                }
            },
            None if item.is_unread => Err(CallError::argument(0, &given, &item.failed)),
            None => Err(CallError::result(&given_back, &item.failed)),
        };
        self.ended(done)?;
        let parts = Parts {
            bytes: item.to.into_bytes(),
            areas: item.writing.end(),
        };
        self.give(&given_back, super::frame::given(parts))
    }
}

/// One item of the list argument.
pub(super) struct ListItem<'a> {
    from: Decoder<'a>,
    beside: Option<OutOfBandSource<'a>>,
    to: Encoder,
    writing: OutOfBandWriter,
    failed: String,
    is_unread: bool,
}

impl ListItem<'_> {
    /// Deserializes the item.
    #[inline(never)]
    pub(super) fn read(&mut self, read: &mut Read<'_>) -> Option<()> {
        let done = match self.beside.clone() {
            Some(beside) => reading(beside, || read(&mut self.from)),
            None => read(&mut self.from),
        };
        match done {
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
            Err(why) => {
                self.failed = why.to_string();
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
