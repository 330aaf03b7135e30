//! Small tasks for the scheduler, sent in one message.

use super::Command;
use super::message::{OutgoingContent, OutgoingMessage};
use crate::task::EngineTask;
use phalanx_protocol::payload::Payload;

/// Most tasks in one message.
pub(crate) const TASKS: usize = 512;

/// The largest size of the arguments of a task that is sent with others, in bytes.
const BYTES: usize = 1 << 10;

/// Puts messages together that follow each other and differ in their ids and arguments alone.
pub(super) fn batch_sends(commands: Vec<Command>) -> Vec<Command> {
    let mut gathered = Vec::with_capacity(commands.len());
    // Where the message is that others may ride with.
    let mut first: Option<usize> = None;
    for command in commands {
        match command {
            Command::Send(outgoing) => {
                let open = first.and_then(|at| match gathered.get_mut(at) {
                    Some(Command::Send(first)) => Some(first),
                    _ => None,
                });
                if let Some(outgoing) = try_join(open, outgoing) {
                    first = Some(gathered.len());
                    gathered.push(Command::Send(outgoing));
                }
            }
            other => gathered.push(other),
        }
    }
    gathered
}

/// Joins a message to another; returns it if it cannot.
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
    // What arguments refer to has to be found before each.
    let is_small = |args: &Payload| matches!(args, Payload::Inline(args) if args.len() <= BYTES);
    let small = is_small(&ours.args) && is_small(&theirs.args);
    let room = more.len() + 1 < TASKS;
    if !(room && small && buffers.is_empty() && artifacts.is_empty() && ours.is_like(theirs)) {
        return Some(outgoing);
    }
    more.push((outgoing.msg_id, theirs.args.clone()));
    None
}
