//! Batches: small tasks for the scheduler in one message.

use super::StateCommand;
use super::message::{OutgoingContent, OutgoingMessage};
use crate::task::EngineTask;
use phalanx_protocol::payload::Payload;

/// The maximum number of tasks in one message.
pub(crate) const MAX_BATCH_TASKS: usize = 512;

/// The maximum size of the arguments of a task in a batch, in bytes.
const MAX_BATCHED_ARGUMENT: usize = 1 << 10;

/// Merges consecutive messages that differ only in their ids and arguments.
pub(super) fn batch_sends(commands: Vec<StateCommand>) -> Vec<StateCommand> {
    let mut gathered = Vec::with_capacity(commands.len());
    // The index of the message that later ones are merged into.
    let mut first: Option<usize> = None;
    for command in commands {
        match command {
            StateCommand::Send(outgoing) => {
                let open = first.and_then(|at| match gathered.get_mut(at) {
                    Some(StateCommand::Send(first)) => Some(first),
                    _ => None,
                });
                if let Some(outgoing) = try_join(open, outgoing) {
                    first = Some(gathered.len());
                    gathered.push(StateCommand::Send(outgoing));
                }
            }
            other => gathered.push(other),
        }
    }
    gathered
}

/// Merges a message into another; returns it if that is not possible.
fn try_join(
    first: Option<&mut OutgoingMessage>,
    outgoing: OutgoingMessage,
) -> Option<OutgoingMessage> {
    let Some(first) = first else {
        return Some(outgoing);
    };
    let (
        OutgoingContent::Work {
            work: ours,
            buffers,
            more,
            ..
        },
        OutgoingContent::Work {
            work: theirs,
            buffers: artifacts,
            ..
        },
    ) = (&mut first.body, &outgoing.body)
    else {
        return Some(outgoing);
    };
    let (EngineTask::Call(ours), EngineTask::Call(theirs)) = (&**ours, &**theirs) else {
        return Some(outgoing);
    };
    // Segments must be resolved for each task separately.
    let is_small = |args: &Payload| match args {
        Payload::Inline(args) => args.len() <= MAX_BATCHED_ARGUMENT,
        Payload::Segment(_) => false,
    };
    let small = is_small(&ours.args) && is_small(&theirs.args);
    let room = more.len() + 1 < MAX_BATCH_TASKS;
    if !(room && small && buffers.is_empty() && artifacts.is_empty() && ours.is_like(theirs)) {
        return Some(outgoing);
    }
    more.push((outgoing.msg_id, theirs.args.clone()));
    None
}
