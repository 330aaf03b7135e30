//! Messages as signed frames, for relays.

use super::{SigningKey, WireError};
use crate::socket::Frames;
use bytes::Bytes;

/// The frame between the identities and the message.
pub const DELIMITER: &[u8] = b"<IDS|MSG>";

/// A message on the wire, split into unparsed parts.
///
/// Relaying it preserves its bytes, and thus its signature.
#[derive(Clone, Debug, PartialEq)]
pub struct RawMessage {
    /// The routing identities.
    pub identities: Vec<Bytes>,
    /// The signature, in hex; empty if unsigned.
    pub signature: Bytes,
    /// The header, as JSON.
    pub header: Bytes,
    /// The parent header, as JSON; `{}` if there is no parent.
    pub parent_header: Bytes,
    /// The metadata, as JSON.
    pub metadata: Bytes,
    /// The content, as JSON.
    pub content: Bytes,
    /// The binary buffers; not signed.
    pub buffers: Vec<Bytes>,
}

impl RawMessage {
    /// The number of parts between the identities and the buffers.
    pub const FIXED_PARTS: usize = 5;

    /// Splits frames into the parts of a message.
    ///
    /// # Errors
    /// Returns an error if there is no delimiter, or fewer than five frames after it.
    pub fn split(mut frames: Frames) -> Result<Self, WireError> {
        let count = frames.len();
        let delimiter = frames
            .iter()
            .position(|frame| frame == DELIMITER)
            .ok_or(WireError::NoDelimiter(count))?;
        let after = count - delimiter - 1;
        let mut rest = frames.split_off(delimiter).into_iter().skip(1);
        let mut part = || rest.next().ok_or(WireError::TooShort(after));
        Ok(Self {
            identities: frames,
            signature: part()?,
            header: part()?,
            parent_header: part()?,
            metadata: part()?,
            content: part()?,
            buffers: rest.collect(),
        })
    }

    /// Splits frames into the parts of a message and verifies its signature.
    ///
    /// # Errors
    /// Returns the errors of [`Self::split`], or an error if the signature is wrong.
    pub fn verify(frames: Frames, key: &SigningKey) -> Result<Self, WireError> {
        let message = Self::split(frames)?;
        if key.verifies(&message) {
            Ok(message)
        } else {
            Err(WireError::WrongSignature)
        }
    }

    /// Signs a message with this header, parent header, metadata and content.
    pub fn sign(
        identities: Vec<Bytes>,
        [header, parent_header, metadata, content]: [Bytes; 4],
        buffers: Vec<Bytes>,
        key: &SigningKey,
    ) -> Self {
        let signature = key.sign([&header, &parent_header, &metadata, &content]);
        Self {
            identities,
            signature,
            header,
            parent_header,
            metadata,
            content,
            buffers,
        }
    }

    /// Returns the frames to send.
    pub fn into_frames(self) -> Frames {
        let mut frames = self.identities;
        frames.reserve(6 + self.buffers.len());
        frames.push(Bytes::from_static(DELIMITER));
        frames.extend([
            self.signature,
            self.header,
            self.parent_header,
            self.metadata,
            self.content,
        ]);
        frames.extend(self.buffers);
        frames
    }

    /// Returns the size of all parts, in bytes.
    pub fn size(&self) -> usize {
        self.parts().map(Bytes::len).sum()
    }

    /// Returns the memory it takes, in bytes: its size, and the handles on its parts.
    pub fn memory(&self) -> usize {
        let parts = Self::FIXED_PARTS + self.identities.len() + self.buffers.len();
        self.size() + parts * size_of::<Bytes>()
    }

    /// Copies the message to memory of its own, so that keeping it does not keep the read buffer.
    #[must_use]
    pub fn compact(mut self) -> Self {
        let mut whole = Vec::with_capacity(self.size());
        self.parts().for_each(|part| whole.extend_from_slice(part));
        let mut rest = Bytes::from(whole);
        for part in self.parts_mut() {
            *part = rest.split_to(part.len());
        }
        // Their capacity was that of all received frames.
        self.identities.shrink_to_fit();
        self.buffers.shrink_to_fit();
        self
    }

    /// Returns all parts, in the order of the wire.
    pub fn parts(&self) -> impl Iterator<Item = &Bytes> {
        let fixed = [
            &self.signature,
            &self.header,
            &self.parent_header,
            &self.metadata,
            &self.content,
        ];
        self.identities.iter().chain(fixed).chain(&self.buffers)
    }

    fn parts_mut(&mut self) -> impl Iterator<Item = &mut Bytes> {
        let fixed = [
            &mut self.signature,
            &mut self.header,
            &mut self.parent_header,
            &mut self.metadata,
            &mut self.content,
        ];
        self.identities
            .iter_mut()
            .chain(fixed)
            .chain(&mut self.buffers)
    }

    /// Returns the parts covered by the signature, in order.
    pub fn signed_parts(&self) -> [&[u8]; 4] {
        [
            &self.header,
            &self.parent_header,
            &self.metadata,
            &self.content,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(parts: &[&'static str]) -> Frames {
        parts
            .iter()
            .map(|part| Bytes::from_static(part.as_bytes()))
            .collect()
    }

    #[test]
    fn parts_round_trip() {
        let whole = frames(&[
            "a",
            "b",
            "<IDS|MSG>",
            "",
            "h",
            "p",
            "m",
            "c",
            "x",
            "<IDS|MSG>",
        ]);
        let message = RawMessage::split(whole.clone()).unwrap();
        assert_eq!(message.identities, frames(&["a", "b"]));
        assert_eq!(message.buffers, frames(&["x", "<IDS|MSG>"]));
        assert_eq!(message.size(), "abhpmcx".len() + "<IDS|MSG>".len());
        assert_eq!(message.clone().compact(), message);
        assert_eq!(message.into_frames(), whole);
    }

    #[test]
    fn malformed_messages_are_refused() {
        let none = RawMessage::split(frames(&["a", "b"]));
        assert!(matches!(none, Err(WireError::NoDelimiter(2))));
        let short = RawMessage::split(frames(&["<IDS|MSG>", "s", "h", "p", "m"]));
        assert!(matches!(short, Err(WireError::TooShort(4))));
        assert!(matches!(
            RawMessage::split(vec![]),
            Err(WireError::NoDelimiter(0))
        ));
    }
}
