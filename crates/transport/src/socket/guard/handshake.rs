//! The identity of a peer, read from its handshake (ZMTP 3.0, RFC 23). Pure.

use super::frames::{FrameRefusal, GREETING, IS_COMMAND, LONG};
use bytes::Bytes;

const READY: &[u8] = b"\x05READY";
const IDENTITY: &[u8] = b"Identity";
/// The maximum length of an identity, in bytes; a peer with a longer one is refused by zeromq.
const MAX_IDENTITY: usize = 255;

/// A reader of a peer's handshake. A peer without an identity, to which zeromq would assign one, is
/// given one here, so that it is known.
#[derive(Debug, Default)]
pub(super) struct HandshakeReader {
    /// The number of bytes of the greeting that were read.
    greeting: usize,
    /// The bytes after the greeting.
    rest: Vec<u8>,
}

/// Bytes to forward.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HandshakeBytes {
    pub bytes: Vec<u8>,
    /// The peer's identity, at the end of its handshake.
    pub identity: Option<Bytes>,
}

impl HandshakeReader {
    /// Takes the next bytes, which may start and end anywhere, and returns those to forward.
    ///
    /// # Errors
    /// Returns an error if the handshake is malformed.
    pub fn read(&mut self, bytes: &[u8]) -> Result<HandshakeBytes, FrameRefusal> {
        // Forwarded at once: peers may wait for each other's greeting.
        let greeting = bytes.len().min(GREETING - self.greeting);
        let (greeting, rest) = bytes.split_at(greeting);
        self.greeting += greeting.len();
        self.rest.extend_from_slice(rest);
        let mut bytes = greeting.to_vec();
        let Some(Frame { body, after }) = Frame::split(&self.rest)? else {
            let identity = None;
            return Ok(HandshakeBytes { bytes, identity });
        };
        let (mut properties, mut identity) = (Vec::new(), Bytes::new());
        let mut left = body.strip_prefix(READY).ok_or(FrameRefusal::Greeting)?;
        while !left.is_empty() {
            let property = Property::split(left).ok_or(FrameRefusal::Greeting)?;
            match property.name {
                IDENTITY => identity = Bytes::copy_from_slice(property.value),
                _ => properties.extend_from_slice(property.whole),
            }
            left = property.after;
        }
        if identity.is_empty() {
            identity = Bytes::copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        }
        if identity.len() > MAX_IDENTITY {
            return Err(FrameRefusal::Greeting);
        }
        let length = READY.len() + properties.len() + 1 + IDENTITY.len() + 4 + identity.len();
        bytes.push(IS_COMMAND | LONG);
        bytes.extend((length as u64).to_be_bytes());
        bytes.extend_from_slice(READY);
        bytes.extend_from_slice(&properties);
        bytes.push(IDENTITY.len() as u8);
        bytes.extend_from_slice(IDENTITY);
        bytes.extend((identity.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&identity);
        bytes.extend_from_slice(after);
        let identity = Some(identity);
        Ok(HandshakeBytes { bytes, identity })
    }
}

/// The first frame of some bytes.
struct Frame<'a> {
    body: &'a [u8],
    after: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Splits it off; `None` if it is incomplete.
    fn split(bytes: &'a [u8]) -> Result<Option<Self>, FrameRefusal> {
        let Some((flags, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        if flags & IS_COMMAND == 0 {
            return Err(FrameRefusal::Greeting);
        }
        let split = match flags & LONG {
            0 => rest
                .split_first()
                .map(|(length, rest)| (u64::from(*length), rest)),
            _ => rest
                .split_first_chunk()
                .map(|(length, rest)| (u64::from_be_bytes(*length), rest)),
        };
        let Some((length, rest)) = split else {
            return Ok(None);
        };
        // Longer ones than the frame checker admits do not come here.
        let length = usize::try_from(length).map_err(|_| FrameRefusal::TooLong(length))?;
        let split = rest.split_at_checked(length);
        Ok(split.map(|(body, after)| Self { body, after }))
    }
}

/// The first property of READY.
struct Property<'a> {
    name: &'a [u8],
    value: &'a [u8],
    whole: &'a [u8],
    after: &'a [u8],
}

impl<'a> Property<'a> {
    /// Splits it off; `None` if it is malformed.
    fn split(bytes: &'a [u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (value, after) = rest.split_at_checked(length)?;
        Some(Self {
            name,
            value,
            whole: &bytes[..bytes.len() - after.len()],
            after,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(properties: &[(&str, &[u8])], long: bool) -> Vec<u8> {
        let mut body = READY.to_vec();
        for (name, value) in properties {
            body.push(name.len() as u8);
            body.extend_from_slice(name.as_bytes());
            body.extend((value.len() as u32).to_be_bytes());
            body.extend_from_slice(value);
        }
        let mut frame = match long {
            true => [&[IS_COMMAND | LONG][..], &(body.len() as u64).to_be_bytes()].concat(),
            false => vec![IS_COMMAND, body.len() as u8],
        };
        frame.extend(body);
        frame
    }

    /// Reads a stream cut into pieces; returns the identity and the forwarded bytes after the
    /// greeting.
    fn read(stream: &[u8], cut: usize) -> Result<(Bytes, Vec<u8>), FrameRefusal> {
        let mut reader = HandshakeReader::default();
        let mut forwarded = Vec::new();
        let stream = [&[7; GREETING][..], stream].concat();
        let mut pieces = stream.chunks(cut);
        let identity = loop {
            let read = reader.read(pieces.next().expect("a complete handshake"))?;
            forwarded.extend(read.bytes);
            if let Some(identity) = read.identity {
                break identity;
            }
        };
        pieces.for_each(|piece| forwarded.extend(piece));
        assert_eq!(forwarded[..GREETING], [7; GREETING]);
        Ok((identity, forwarded.split_off(GREETING)))
    }

    #[test]
    fn the_identity_is_read_for_any_split_of_the_bytes() {
        for cut in [1, 3, 70, 1000] {
            for long in [true, false] {
                let properties: [(&str, &[u8]); 2] =
                    [("Socket-Type", b"DEALER"), ("Identity", b"me")];
                let stream = [ready(&properties, long), b"more".to_vec()].concat();
                let (identity, forwarded) = read(&stream, cut).unwrap();
                assert_eq!(identity, "me");
                assert_eq!(
                    forwarded,
                    [ready(&properties, true), b"more".to_vec()].concat()
                );
            }
        }
    }

    #[test]
    fn a_peer_without_an_identity_is_assigned_one() {
        let none: [(&str, &[u8]); 1] = [("Socket-Type", b"REQ")];
        let empty: [(&str, &[u8]); 2] = [("Identity", b""), ("Socket-Type", b"REQ")];
        for properties in [&none[..], &empty] {
            let (identity, forwarded) = read(&ready(properties, false), 9).unwrap();
            let expected: [(&str, &[u8]); 2] = [("Socket-Type", b"REQ"), ("Identity", &identity)];
            assert_eq!(forwarded, ready(&expected, true));
            assert_eq!(identity.len(), 16);
        }
    }

    #[test]
    fn malformed_handshakes_are_refused() {
        let long: [(&str, &[u8]); 1] = [("Identity", &[1; 256])];
        let cut = [&[IS_COMMAND, 9][..], READY, &[200, 1, 2]].concat();
        for stream in [
            ready(&long, true),
            cut,
            vec![0, 1, 2],
            vec![IS_COMMAND, 2, 0, 0],
        ] {
            assert_eq!(read(&stream, 1000), Err(FrameRefusal::Greeting));
        }
    }
}
