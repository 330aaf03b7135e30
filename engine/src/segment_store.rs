//! Large values sent by reference to clients on this machine, and large arguments shared with other
//! engines on it.

use phalanx_protocol::parallel::EngineRequest;
use phalanx_protocol::payload::{Payload, Segment};
use phalanx_sys::segment;
use phalanx_transport::warn_rarely;
use std::collections::HashSet;
use std::io;

/// The total size, in bytes, of stored values; beyond it, values are sent over the sockets, which
/// have a limit too.
const MAX_BYTES: u64 = 1 << 30;

/// Values that clients have not taken over yet.
#[derive(Debug, Default)]
pub(crate) struct SegmentStore {
    /// The sessions of clients on this machine: each side can open the other's memory.
    clients: HashSet<String>,
    values: HashSet<Segment>,
    bytes: u64,
}

impl SegmentStore {
    /// Handles a client's request; returns true if it concerns the store alone.
    pub fn handle_request(&mut self, client: &str, request: &EngineRequest) -> bool {
        match request {
            EngineRequest::KernelInfo { probe: Some(probe) } => {
                if !segment::is_out_of_reach(probe) {
                    self.clients.insert(client.to_owned());
                }
                false
            }
            EngineRequest::Taken(reference) => {
                if let Some(value) = self.values.take(reference) {
                    self.bytes -= value.reference().len;
                }
                true
            }
            _ => false,
        }
    }

    /// Stores the arguments of a call for other engines on this machine, until the client reports
    /// that no engine needs them any more.
    ///
    /// # Errors
    /// Returns an error if the shared memory cannot be allocated.
    pub fn keep(&mut self, arguments: &[u8]) -> io::Result<Segment> {
        let kept = segment::create(arguments)?;
        self.bytes += kept.reference().len;
        self.values.insert(kept.clone());
        Ok(kept)
    }

    /// Returns a value for a client: unchanged, or inline if the client cannot open the memory.
    pub fn hand(&mut self, client: &str, value: Payload) -> Payload {
        let Payload::Segment(segment) = &value else {
            return value;
        };
        let bytes = self.bytes + segment.reference().len;
        // A single value is sent by reference whatever its size: sockets would copy it several
        // times.
        let too_many = bytes > MAX_BYTES && !self.values.is_empty();
        if too_many || !self.clients.contains(client) {
            let whole = segment::resolve(value).unwrap_or_else(|error| {
                warn_rarely!(%error, "a value cannot be mapped");
                bytes::Bytes::new()
            });
            return Payload::Inline(whole);
        }
        if self.values.insert(Segment::clone(segment)) {
            self.bytes = bytes;
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    /// Returns the reference alone, as received by another process.
    fn sent(segment: &Segment) -> Segment {
        Segment::read(Bytes::copy_from_slice(segment.frame())).unwrap()
    }

    fn probe(segment: &Segment) -> EngineRequest {
        let probe = Some(sent(segment));
        EngineRequest::KernelInfo { probe }
    }

    fn inline(bytes: &'static [u8]) -> Payload {
        Payload::Inline(Bytes::from_static(bytes))
    }

    #[test]
    fn a_value_is_kept_until_its_client_has_taken_it_over() {
        let mut store = SegmentStore::default();
        let value = segment::create(b"value").unwrap();
        let reference = sent(&value);
        let value = || Payload::from(value.clone());
        // A client without a probe, or with the probe of a segment that does not exist.
        assert_eq!(store.hand("client", value()), inline(b"value"));
        let gone = probe(&segment::create(b"").unwrap());
        assert!(!store.handle_request("client", &gone));
        assert_eq!(store.hand("client", value()), inline(b"value"));

        let known = segment::create(b"probe").unwrap();
        assert!(!store.handle_request("client", &probe(&known)));
        assert_eq!(store.hand("client", value()), reference.clone().into());
        assert_eq!(store.hand("another", known.into()), inline(b"probe"));
        assert_eq!(store.hand("client", inline(b"P1")), inline(b"P1"));
    }

    #[test]
    fn a_value_is_let_go_of_once() {
        let mut store = SegmentStore::default();
        let value = segment::create(b"value").unwrap();
        let reference = sent(&value);
        store.handle_request("client", &probe(&value));
        store.hand("client", value.into());
        assert_eq!(
            segment::resolve(reference.clone().into()).unwrap(),
            b"value"[..]
        );
        let taken = EngineRequest::Taken(reference.clone());
        assert!(store.handle_request("client", &taken) && store.handle_request("client", &taken));
        assert!(segment::is_out_of_reach(&reference));
        assert_eq!(store.bytes, 0);
    }

    #[test]
    fn arguments_are_kept_until_no_engine_needs_them() {
        let mut store = SegmentStore::default();
        let kept = sent(&store.keep(b"arguments").unwrap());
        assert_eq!(
            segment::resolve(kept.clone().into()).unwrap(),
            b"arguments"[..]
        );
        assert!(store.handle_request("client", &EngineRequest::Taken(kept.clone())));
        assert!(segment::is_out_of_reach(&kept));
        assert_eq!(store.bytes, 0);
    }

    #[test]
    fn clients_that_take_nothing_over_cost_a_limited_amount() {
        let mut store = SegmentStore::default();
        let value = segment::create(b"value").unwrap();
        store.handle_request("client", &probe(&value));
        store.bytes = MAX_BYTES;
        let first = sent(&value);
        assert_eq!(
            store.hand("client", value.into()),
            first.into(),
            "one is not many"
        );
        let second = segment::create(b"second").unwrap();
        assert_eq!(store.hand("client", second.into()), inline(b"second"));
    }
}
