//! Values in the memory of engines on this machine, and arguments in ours: the form that is sent,
//! and the release of what was received. Opening and reading of memory are the loop's.

use super::argument_cache::ArgumentRoute;
use super::message::{OutgoingContent, Reply, ReplyContent};
use super::{State, StateCommand};
use crate::error::TaskError;
use crate::task::EngineTask;
use phalanx_protocol::payload::{Payload, Segment};

/// A value that an engine has sent by reference, and keeps until it is released.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ReceivedSegment {
    /// The reference that was sent.
    pub reference: Segment,
    /// The reason why it could not be opened, if so.
    pub error: Option<String>,
}

/// The form in which the arguments of a call are sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SentArguments {
    /// As they are: inline, or a reference that the engine can open.
    Unchanged(Payload),
    /// The bytes themselves, read from the segment if they are in one.
    Inline(Payload),
}

impl OutgoingContent {
    /// The arguments of the message's call, if it is one.
    pub(crate) fn arguments(&self) -> Option<SentArguments> {
        let Self::Work {
            work,
            by_path,
            buffers,
            argument_route,
            ..
        } = self
        else {
            return None;
        };
        let EngineTask::Call(call) = &**work else {
            return None;
        };
        Some(match argument_route {
            Some(ArgumentRoute::There { reference, .. }) => {
                SentArguments::Unchanged(reference.clone().into())
            }
            // Engines of this machine open the arguments' segment, as they do artifacts.
            _ if *by_path && buffers.is_empty() => SentArguments::Unchanged(call.args.clone()),
            _ => SentArguments::Inline(call.args.clone()),
        })
    }
}

impl State {
    /// Releases the segment of a reply; if it could not be opened, the task has failed.
    pub(super) fn segment_received(&mut self, reply: &mut Reply, commands: &mut Vec<StateCommand>) {
        let Some(segment) = reply.segment.take() else {
            return;
        };
        let ReceivedSegment { reference, error } = *segment;
        if let (Some(reason), ReplyContent::Ok { .. }) = (error, &reply.content) {
            reply.content = ReplyContent::Failed(TaskError::ValueLost { reason }.into());
        }
        if let Some(engine) = reply.engine.clone() {
            self.release_segment(engine, reference, commands);
        }
    }
}
