//! Large values that clients of this machine are handed by reference, and large arguments that other
//! engines of this machine are.

use bytes::Bytes;
use phalanx_protocol::parallel::TAKEN;
use phalanx_protocol::segment::{SegmentRef, size};
use phalanx_sys::segment;
use phalanx_transport::Envelope;
use phalanx_transport::warn_rarely;
use std::collections::HashSet;
use std::io;

/// The bytes kept for clients that have not taken them over; more goes over the sockets, which have a limit
/// too.
const MOST: u64 = 1 << 30;

/// Values that clients have not taken over yet.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    /// The sessions of clients whose memory this process can open, so that they can open its.
    clients: HashSet<String>,
    values: HashSet<Bytes>,
    bytes: u64,
}

impl Handed {
    /// Takes note of a message; returns true if it was for this alone.
    pub fn hears(&mut self, message: &Envelope) -> bool {
        let reference = message.buffers.first();
        match message.header.msg_type.as_str() {
            "kernel_info_request" => {
                let probe = reference.filter(|probe| SegmentRef::from_bytes(probe).is_some());
                if probe.is_some_and(|probe| !segment::is_out_of_reach(probe)) {
                    self.clients.insert(message.header.session.clone());
                }
                false
            }
            TAKEN => {
                if let Some(value) = reference.and_then(|reference| self.values.take(reference)) {
                    self.bytes -= size(&value);
                }
                true
            }
            _ => false,
        }
    }

    /// Keeps the arguments of a call for other engines of this machine, until the client says that
    /// none needs them any more.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub fn keep(&mut self, arguments: &[u8]) -> io::Result<Bytes> {
        let kept = segment::place(arguments)?;
        self.values.insert(kept.clone());
        self.bytes += size(&kept);
        Ok(kept)
    }

    /// A value on its way to a client: as it is, or whole where the client cannot open it.
    pub fn hand(&mut self, session: &str, value: Bytes) -> Bytes {
        if SegmentRef::from_bytes(&value).is_none() {
            return value;
        }
        let bytes = self.bytes + size(&value);
        // One alone is handed over however large it is: sockets would copy it several times.
        let too_many = bytes > MOST && !self.values.is_empty();
        if too_many || !self.clients.contains(session) {
            return segment::resolve(value).unwrap_or_else(|error| {
                warn_rarely!(%error, "a value cannot be mapped");
                Bytes::new()
            });
        }
        if self.values.insert(value.clone()) {
            self.bytes = bytes;
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_transport::{Session, SigningKey};
    use serde_json::json;

    fn message(session: &Session, msg_type: &str, buffer: &Bytes) -> Envelope {
        let mut message = session.envelope(msg_type, json!({}), None);
        message.buffers = vec![Bytes::copy_from_slice(buffer)];
        message
    }

    #[test]
    fn a_value_is_kept_until_its_client_has_taken_it_over() {
        let mut handed = Handed::default();
        let session = Session::new("client", SigningKey::sha256(""));
        let id = session.id().as_str();
        let value = segment::place(b"value").unwrap();
        let reference = Bytes::copy_from_slice(&value);
        // A client that has shown nothing, or something that is not there.
        assert_eq!(handed.hand(id, value.clone()), b"value"[..]);
        let gone = Bytes::copy_from_slice(&segment::place(b"").unwrap());
        assert!(!handed.hears(&message(&session, "kernel_info_request", &gone)));
        assert_eq!(handed.hand(id, value.clone()), b"value"[..]);

        let probe = segment::place(b"probe").unwrap();
        assert!(!handed.hears(&message(&session, "kernel_info_request", &probe)));
        assert_eq!(handed.hand(id, value), reference);
        assert_eq!(handed.hand("another", probe.clone()), b"probe"[..]);
        assert_eq!(handed.hand(id, Bytes::from_static(b"P1")), b"P1"[..]);
        assert_eq!(segment::resolve(reference.clone()).unwrap(), b"value"[..]);

        let taken = message(&session, TAKEN, &reference);
        assert!(handed.hears(&taken) && handed.hears(&taken));
        assert!(segment::is_out_of_reach(&reference));
        assert_eq!(handed.bytes, 0);
    }

    #[test]
    fn arguments_are_kept_until_no_engine_needs_them() {
        let mut handed = Handed::default();
        let kept = Bytes::copy_from_slice(&handed.keep(b"arguments").unwrap());
        assert_eq!(segment::resolve(kept.clone()).unwrap(), b"arguments"[..]);
        let session = Session::new("client", SigningKey::sha256(""));
        assert!(handed.hears(&message(&session, TAKEN, &kept)));
        assert!(segment::is_out_of_reach(&kept));
        assert_eq!(handed.bytes, 0);
    }

    #[test]
    fn clients_that_take_nothing_over_cost_a_limited_amount() {
        let mut handed = Handed::default();
        let session = Session::new("client", SigningKey::sha256(""));
        let value = segment::place(b"value").unwrap();
        let id = session.id().as_str();
        handed.hears(&message(&session, "kernel_info_request", &value));
        handed.bytes = MOST;
        let first = Bytes::copy_from_slice(&value);
        assert_eq!(handed.hand(id, value), first, "one is not many");
        let second = segment::place(b"second").unwrap();
        assert_eq!(handed.hand(id, second), b"second"[..]);
    }
}
