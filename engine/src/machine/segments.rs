//! Large values and arguments in shared memory: those that clients on this machine are sent by
//! reference, and that are kept until they are released. Creating, opening and mapping of memory are
//! the loop's.

use super::Machine;
use super::event::{EngineCommand, IncomingRequest, OutgoingReply};
use phalanx_protocol::parallel::{EnginePublication, EngineReply, EngineRequest};
use phalanx_protocol::payload::{Payload, Segment};
use std::collections::HashSet;
use std::sync::Arc;

/// The total size, in bytes, of kept values; beyond it, values are sent over the sockets, which
/// have a limit too.
const MAX_BYTES: u64 = 1 << 30;

/// The segments that clients have not released yet.
#[derive(Debug, Default)]
pub(super) struct KeptSegments {
    /// The sessions of clients on this machine: each side can open the other's memory.
    clients: HashSet<String>,
    kept: HashSet<Segment>,
    bytes: u64,
}

impl KeptSegments {
    /// The total size of the kept segments, in bytes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Records that a client's memory can be opened here.
    pub(super) fn reached(&mut self, client: String) {
        self.clients.insert(client);
    }

    /// Releases a segment, which its client has opened or needs no longer.
    pub(super) fn released(&mut self, reference: &Segment) {
        if let Some(segment) = self.kept.take(reference) {
            self.bytes -= segment.reference().len;
        }
    }

    /// Keeps arguments until no engine of this machine needs them.
    fn keep(&mut self, segment: &Segment) {
        if self.kept.insert(segment.clone()) {
            self.bytes += segment.reference().len;
        }
    }

    /// Returns true if a client is sent the reference to a value, which is kept until the client
    /// has opened it; otherwise the value is sent inline.
    fn shares(&mut self, client: &str, segment: &Segment) -> bool {
        let bytes = self.bytes + segment.reference().len;
        // A single value is sent by reference whatever its size: sockets would copy it several
        // times.
        let too_many = bytes > MAX_BYTES && !self.kept.is_empty();
        let shares = !too_many && self.clients.contains(client);
        if shares {
            self.keep(segment);
        }
        shares
    }
}

/// Returns true if the arguments sent with a request are to be kept for other engines.
pub(super) fn keeps_arguments(request: &IncomingRequest) -> bool {
    match &request.content {
        EngineRequest::Apply(Ok(call)) => {
            call.metadata.keep && matches!(call.args, Payload::Inline(_))
        }
        _ => false,
    }
}

impl Machine {
    /// Accepts a call whose arguments were to be kept for other engines, which may be waiting for
    /// them. If they are not, those engines are sent a copy once this call has ended.
    pub(super) fn arguments_kept(
        &mut self,
        mut request: IncomingRequest,
        kept: Option<Segment>,
        commands: &mut Vec<EngineCommand>,
    ) {
        if let Some(kept) = kept
            && let EngineRequest::Apply(Ok(call)) = &mut request.content
        {
            self.segments.keep(&kept);
            call.args = kept.clone().into();
            Arc::make_mut(&mut call.metadata)
                .host
                .clone_from(&self.about.host);
            commands.push(EngineCommand::Publish {
                parent: Some(request.header.clone()),
                publication: EnginePublication::Kept(Some(kept)),
            });
        }
        self.requested(request, commands);
    }

    /// Sends a reply, with its large values in the form that the client can read.
    pub(super) fn send_reply(
        &mut self,
        request: IncomingRequest,
        mut reply: EngineReply,
        commands: &mut Vec<EngineCommand>,
    ) {
        let client = &request.header.session;
        let mut inlined = Vec::new();
        for (at, value) in reply.values_mut().enumerate() {
            if let Payload::Segment(segment) = value
                && !self.segments.shares(client, segment)
            {
                inlined.push(at);
            }
        }
        commands.push(EngineCommand::Reply(Box::new(OutgoingReply {
            request,
            reply,
            inlined,
        })));
    }
}
