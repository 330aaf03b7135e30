//! Replies to small calls of one message, which are sent together.

use super::event::{EngineCommand, IncomingRequest};
use super::reply::idle;
use super::{Machine, Now};
use phalanx_protocol::parallel::{BatchedReply, EngineReplyContent, EngineRequest};
use phalanx_protocol::payload::Payload;
use std::sync::Arc;

/// The largest number of replies in a message.
const MAX_REPLIES: usize = 256;

/// The size of values, in bytes, at which held replies are sent.
const MAX_HELD_BYTES: u64 = 1 << 20;

/// Replies held back to be sent together.
#[derive(Debug, Default)]
pub(super) struct HeldReplies {
    /// The first call that is held.
    first: Option<IncomingRequest>,
    ended: Vec<(BatchedReply, Payload)>,
    bytes: u64,
}

impl Machine {
    /// Returns true if replies are held.
    pub fn holds_replies(&self) -> bool {
        self.held.first.is_some()
    }

    /// Holds the reply to a call of a batch, and sends the held replies if none is to be added.
    pub(super) fn hold(
        &mut self,
        request: IncomingRequest,
        started: Now,
        output: bool,
        value: Payload,
        commands: &mut Vec<EngineCommand>,
    ) {
        if self
            .held
            .first
            .as_ref()
            .is_some_and(|first| !are_alike(first, &request))
        {
            self.flush(commands);
        }
        if output {
            idle(request.header.clone(), commands);
        }
        self.held.bytes += value.size();
        let ended = BatchedReply {
            msg_id: request.msg_id(),
            started,
            completed: self.now,
            output,
        };
        self.held.ended.push((ended, value));
        let follows = self
            .prefetched
            .first()
            .or(self.queue.front())
            .is_some_and(|next| are_alike(next, &request));
        self.held.first.get_or_insert(request);
        let full = self.held.ended.len() >= MAX_REPLIES || self.held.bytes >= MAX_HELD_BYTES;
        if !follows || full {
            self.flush(commands);
        }
    }

    /// Sends the held replies.
    pub(super) fn flush(&mut self, commands: &mut Vec<EngineCommand>) {
        let held = std::mem::take(&mut self.held);
        let Some(request) = held.first else { return };
        let first = held.ended.first();
        let started = first.map_or(self.now, |(ended, _)| ended.started);
        let reply = self.build_reply(&request, EngineReplyContent::Batch(held.ended), started);
        self.send_reply(request, reply, commands);
    }
}

/// Returns true if both calls arrived in one message.
pub(super) fn are_alike(one: &IncomingRequest, other: &IncomingRequest) -> bool {
    match (&one.content, &other.content) {
        (EngineRequest::Apply(Ok(ours)), EngineRequest::Apply(Ok(theirs))) => {
            one.batched && other.batched && Arc::ptr_eq(&ours.metadata, &theirs.metadata)
        }
        _ => false,
    }
}
