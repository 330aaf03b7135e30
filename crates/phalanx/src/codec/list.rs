//! A list returned by a task, read item by item.

use super::{Read, SerializedValue, ValueDecoder, read_frame, unread, why_unread};
use crate::Error;
use crate::host::Frame;
use crate::shared::out_of_band::{OutOfBandSource, reading};
use phalanx_protocol::native::value;

/// A serialized list, partly read.
pub(crate) struct EncodedList {
    frame: Frame,
    /// The offset of the rest in its bytes, and the number of items left; `None` before the first
    /// item.
    rest: Option<(usize, usize)>,
}

impl EncodedList {
    pub(crate) fn of(frame: Frame) -> Self {
        Self { frame, rest: None }
    }

    /// Reads the next item, of type `type_name`; after an error there are no more items.
    pub(crate) fn read(
        &mut self,
        type_name: &str,
        read: &mut Read<'_>,
    ) -> Option<Result<(), Error>> {
        if self.rest.is_some_and(|(_, remaining)| remaining == 0) {
            return None;
        }
        let done = self.advance(read);
        if done.is_err() {
            self.rest = Some((0, 0));
        }
        let failed = |why: String| unread(&format!("alloc::vec::Vec<{type_name}>"), &why);
        done.map_err(failed).transpose()
    }

    fn advance(&mut self, read: &mut Read<'_>) -> Result<Option<()>, String> {
        let SerializedValue { bytes, out_of_band } = serialized_value(&self.frame)?;
        let (at, remaining) = match self.rest {
            Some(rest) => rest,
            None => {
                let mut from = ValueDecoder::of(bytes);
                let count = from.length().map_err(|unread| why_unread(&unread))?;
                (bytes.len() - from.rest().len(), count)
            }
        };
        let mut from = ValueDecoder::of(bytes.get(at..).unwrap_or_default());
        let item = remaining.checked_sub(1);
        if item.is_some() {
            reading(out_of_band, || read(&mut from)).map_err(|unread| why_unread(&unread))?;
        }
        let remaining = item.unwrap_or_default();
        match from.rest().len() {
            rest if remaining == 0 && rest > 0 => Err(format!("{rest} bytes are left over")),
            rest => {
                self.rest = Some((bytes.len() - rest, remaining));
                Ok(item.map(|_| ()))
            }
        }
    }
}

fn serialized_value(frame: &Frame) -> Result<SerializedValue<'_>, String> {
    match frame.split_first() {
        Some((&value::POSTCARD, bytes)) => Ok(SerializedValue {
            bytes,
            out_of_band: OutOfBandSource::Passing(&[]),
        }),
        Some((&value::OUT_OF_BAND, _)) => {
            SerializedValue::of_value(frame).ok_or_else(|| "it is cut off".to_owned())
        }
        _ => Err("it is no list".to_owned()),
    }
}

/// Reads every item, of type `type_name`, of a list returned by a task.
pub(crate) fn read_list(frame: &Frame, type_name: &str, read: &mut Read<'_>) -> Result<(), Error> {
    read_frame(
        frame,
        &format!("alloc::vec::Vec<{type_name}>"),
        &mut |from| {
            let count = from.length()?;
            (0..count).try_for_each(|_| read(from))
        },
    )
}
