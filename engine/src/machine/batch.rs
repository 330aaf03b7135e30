//! Replies to small calls that came in one message: they go back in few.

use super::event::{Command, Reply, Request};
use super::finish::idle;
use super::{Ask, Machine, Now};
use bytes::Bytes;
use phalanx_protocol::parallel::{BATCH, Ended};
use serde_json::json;
use std::sync::Arc;

/// Most replies in one message.
const MOST: usize = 256;

/// Bytes of values beyond which they are sent.
const MOST_BYTES: usize = 1 << 20;

/// Replies that wait for those to come.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The first of the calls.
    first: Option<Request>,
    ended: Vec<Ended>,
    values: Vec<Bytes>,
    bytes: usize,
}

impl Machine {
    /// Returns true if replies wait for others.
    pub fn holds_replies(&self) -> bool {
        self.held.first.is_some()
    }

    /// A call of a batch has come to its end.
    pub(super) fn hold(
        &mut self,
        request: Request,
        (started, completed): (Now, Now),
        output: bool,
        value: Bytes,
        commands: &mut Vec<Command>,
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
        self.held.ended.push(Ended {
            msg_id: request.msg_id(),
            started,
            completed,
            output,
        });
        self.held.bytes += value.len();
        self.held.values.push(value);
        let follows = self
            .ahead
            .first()
            .or(self.queue.front())
            .is_some_and(|next| are_alike(next, &request));
        self.held.first.get_or_insert(request);
        let full = self.held.ended.len() >= MOST || self.held.bytes >= MOST_BYTES;
        if !follows || full {
            self.flush(commands);
        }
    }

    /// Sends the replies that wait.
    pub(super) fn flush(&mut self, commands: &mut Vec<Command>) {
        let held = std::mem::take(&mut self.held);
        let Some(request) = held.first else { return };
        let started = held.ended.first().map_or(self.now, |ended| ended.started);
        let mut metadata = self.metadata(&request, "ok", started, None);
        metadata[BATCH] = json!(held.ended);
        commands.push(Command::Reply(Box::new(Reply {
            msg_type: "apply_reply".to_owned(),
            request,
            content: json!({"status": "ok"}),
            metadata,
            buffers: held.values,
        })));
    }
}

/// Returns true if both came in one message.
pub(super) fn are_alike(one: &Request, other: &Request) -> bool {
    match (&one.ask, &other.ask) {
        (
            Ask::Apply {
                call: Ok(one_s), ..
            },
            Ask::Apply {
                call: Ok(other_s), ..
            },
        ) => one.batched && other.batched && Arc::ptr_eq(one_s, other_s),
        _ => false,
    }
}
