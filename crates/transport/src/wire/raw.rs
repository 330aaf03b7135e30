use super::{SigningKey, WireError};
use crate::socket::Frames;
use bytes::Bytes;

/// The frame between the identities and the message.
pub const DELIMITER: &[u8] = b"<IDS|MSG>";

/// A message on the wire: split into its parts, none of them parsed.
///
/// Relaying one leaves its bytes and so its signature as they are.
#[derive(Clone, Debug, PartialEq)]
pub struct RawMessage {
    /// The route it came by, or is to take.
    pub identities: Vec<Bytes>,
    /// In hex; empty when unsigned.
    pub signature: Bytes,
    /// JSON.
    pub header: Bytes,
    /// JSON; `{}` when there is no parent.
    pub parent_header: Bytes,
    /// JSON.
    pub metadata: Bytes,
    /// JSON.
    pub content: Bytes,
    /// Not signed.
    pub buffers: Vec<Bytes>,
}

impl RawMessage {
    /// Splits a message into its parts.
    ///
    /// # Errors
    /// When there is no delimiter or fewer than five frames after it.
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

    /// Like [`Self::split`], and verifies the signature.
    ///
    /// # Errors
    /// As `split`, and when the signature is wrong.
    pub fn verify(frames: Frames, key: &SigningKey) -> Result<Self, WireError> {
        let message = Self::split(frames)?;
        if key.verifies(&message) {
            Ok(message)
        } else {
            Err(WireError::WrongSignature)
        }
    }

    /// A newly signed message of header, parent header, metadata and content.
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

    /// The frames to send.
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

    /// The bytes of all its parts.
    pub fn size(&self) -> usize {
        self.parts().map(Bytes::len).sum()
    }

    /// The same message in memory of its own, so that whoever keeps it does not keep the memory it was read into.
    #[must_use]
    pub fn compact(mut self) -> Self {
        let mut whole = Vec::with_capacity(self.size());
        self.parts().for_each(|part| whole.extend_from_slice(part));
        let mut rest = Bytes::from(whole);
        for part in self.parts_mut() {
            *part = rest.split_to(part.len());
        }
        // They have the room of all frames they came with.
        self.identities.shrink_to_fit();
        self.buffers.shrink_to_fit();
        self
    }

    fn parts(&self) -> impl Iterator<Item = &Bytes> {
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

    /// The parts the signature covers, in order.
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
    fn parts_come_back_as_they_were() {
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
    fn what_is_not_a_message_is_refused() {
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
