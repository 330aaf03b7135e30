//! The framing of messages between our own processes over Unix sockets: a length of four bytes (big
//! endian), followed by that number of bytes of JSON.
//!
//! A message may announce raw frames, which follow it: a length of the same form, followed by the
//! bytes.

use serde::{Serialize, de::DeserializeOwned};

/// The maximum length of a frame in bytes; a longer one indicates a broken peer.
pub const MAX_FRAME: usize = 1 << 30;

/// The reason why bytes cannot be decoded as a message.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The announced length exceeds [`MAX_FRAME`].
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    /// The frame is not the message that was expected.
    #[error("malformed frame: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// Encodes a message, preceded by its length.
///
/// # Errors
/// `TooLong` if the message exceeds [`MAX_FRAME`], `Malformed` if it cannot be serialized.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = bytes.len() - 4;
    if length > MAX_FRAME {
        return Err(FrameError::TooLong(length));
    }
    bytes[..4].copy_from_slice(&(length as u32).to_be_bytes());
    Ok(bytes)
}

/// Encodes the length that precedes a raw frame.
///
/// # Errors
/// `TooLong` if the bytes exceed [`MAX_FRAME`].
pub fn raw_head(bytes: &[u8]) -> Result<[u8; 4], FrameError> {
    if bytes.len() > MAX_FRAME {
        return Err(FrameError::TooLong(bytes.len()));
    }
    Ok((bytes.len() as u32).to_be_bytes())
}

/// Collects received bytes and yields complete messages.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    start: usize,
}

impl Decoder {
    /// Adds bytes read from the peer.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 && self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns true if received bytes are left that are not part of a returned message.
    pub fn is_begun(&self) -> bool {
        self.bytes.len() > self.start
    }

    /// Returns the next complete message, or `None` until more bytes are pushed.
    ///
    /// # Errors
    /// `TooLong` or `Malformed` if the bytes are not a message; the connection is unusable then.
    pub fn decode<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let Some(length) = self.whole()? else {
            return Ok(None);
        };
        let frame = &self.bytes[self.start + 4..][..length];
        let message = serde_json::from_slice(frame)?;
        self.pass(4 + length);
        Ok(Some(message))
    }

    /// Returns the next complete raw frame, or `None` until more bytes are pushed.
    ///
    /// # Errors
    /// `TooLong` if its length exceeds [`MAX_FRAME`]; the connection is unusable then.
    pub fn raw(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        let Some(length) = self.whole()? else {
            return Ok(None);
        };
        let frame = self.bytes[self.start + 4..][..length].to_vec();
        self.pass(4 + length);
        Ok(Some(frame))
    }

    /// The length of the next frame, if it has been received completely.
    fn whole(&self) -> Result<Option<usize>, FrameError> {
        let rest = &self.bytes[self.start..];
        let Some((head, body)) = rest.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*head) as usize;
        if length > MAX_FRAME {
            return Err(FrameError::TooLong(length));
        }
        Ok(Some(length).filter(|_| body.len() >= length))
    }

    fn pass(&mut self, count: usize) {
        self.start += count;
        if self.start > 1 << 16 {
            self.bytes.drain(..self.start);
            self.start = 0;
            // Releases the memory of a large frame.
            self.bytes.shrink_to(1 << 16);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_whole_however_the_bytes_are_cut() {
        let mut bytes = encode(&"Grüße").unwrap();
        bytes.extend(encode(&"").unwrap());
        let mut decoder = Decoder::default();
        let mut seen = Vec::<String>::new();
        for byte in bytes {
            decoder.push(&[byte]);
            while let Some(message) = decoder.decode().unwrap() {
                seen.push(message);
            }
        }
        assert_eq!(seen, ["Grüße", ""]);
    }

    #[test]
    fn raw_frames_follow_their_message() {
        let mut bytes = encode(&2).unwrap();
        for raw in [&b"\xff\0"[..], b""] {
            bytes.extend(raw_head(raw).unwrap());
            bytes.extend(raw);
        }
        let mut decoder = Decoder::default();
        decoder.push(&bytes[..bytes.len() - 1]);
        assert_eq!(decoder.decode::<u8>().unwrap(), Some(2));
        assert_eq!(decoder.raw().unwrap().unwrap(), b"\xff\0");
        assert_eq!(decoder.raw().unwrap(), None);
        decoder.push(&bytes[bytes.len() - 1..]);
        assert_eq!(decoder.raw().unwrap().unwrap(), b"");
    }

    #[test]
    fn a_hostile_length_is_refused() {
        let mut decoder = Decoder::default();
        decoder.push(&[0xff; 4]);
        assert!(matches!(
            decoder.decode::<String>(),
            Err(FrameError::TooLong(_))
        ));
    }
}
