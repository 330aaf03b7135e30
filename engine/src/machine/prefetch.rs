//! Small calls that are sent to the runtime while another runs, so that it need not wait for this
//! process between two of them.

use super::batch::are_alike;
use super::event::{EngineCommand, EngineTask};
use super::work::{self, TaskWork};
use super::{Current, Machine, Now};
use chrono::TimeDelta;
use phalanx_protocol::id::{MsgId, RunId};
use phalanx_protocol::parallel::CallMetadata;
use phalanx_runtime::FunctionCall;
use std::collections::VecDeque;
use std::sync::Arc;

/// Most calls that wait in the runtime.
const MAX_PREFETCHED: usize = 16;

/// A call that took no longer is followed by others that were sent ahead: one that takes longer holds
/// up no more than that many.
const QUICK_CALL: TimeDelta = TimeDelta::milliseconds(1);

/// Calls the runtime has got besides the current one.
#[derive(Debug, Default)]
pub(super) struct PrefetchedCalls {
    /// In the order in which it takes them.
    calls: VecDeque<Current>,
    /// Those it has given back, until it has none.
    returned: Vec<EngineTask>,
    /// The function whose last call was quick.
    quick: Option<Arc<CallMetadata>>,
}

impl PrefetchedCalls {
    /// The first of them.
    pub(super) fn first(&self) -> Option<&EngineTask> {
        self.calls.front().map(|call| &call.request)
    }

    /// Their ids.
    pub(super) fn ids(&self) -> impl Iterator<Item = MsgId> {
        self.calls.iter().map(|call| call.request.msg_id())
    }

    /// Learns how long a call took, where it came to its end.
    pub(super) fn took(&mut self, work: &TaskWork, time: Option<TimeDelta>) {
        self.quick = match (work, time) {
            (TaskWork::Call { call, .. }, Some(time)) if time <= QUICK_CALL => {
                Some(Arc::clone(call))
            }
            _ => None,
        };
    }

    fn is_quick(&self, work: &TaskWork) -> bool {
        match (work, &self.quick) {
            (TaskWork::Call { call, .. }, Some(quick)) => Arc::ptr_eq(call, quick),
            _ => false,
        }
    }
}

impl Machine {
    /// The call that was sent ahead first is the current one; whether there was any.
    pub(super) fn next_ahead(&mut self, now: Now) -> bool {
        if let Some(next) = self.ahead.calls.pop_front() {
            self.current = Some(Current {
                started: now,
                ..next
            });
            return true;
        }
        for request in std::mem::take(&mut self.ahead.returned).into_iter().rev() {
            self.queue.push_front(request);
        }
        false
    }

    /// Sends calls ahead that are like the current one, while those are quick.
    pub(super) fn send_ahead(&mut self, now: Now, commands: &mut Vec<EngineCommand>) {
        let Some(current) = &self.current else { return };
        if self.away || !(current.running && self.ahead.is_quick(&current.work)) {
            return;
        }
        let Some(artifact) = current.artifacts.as_ref().and_then(|all| all.last()) else {
            return;
        };
        while self.ahead.calls.len() < MAX_PREFETCHED
            && let Some(request) = self
                .queue
                .pop_front_if(|next| are_alike(next, &current.request))
        {
            let Some(Ok((work, _))) = work::accept(request.content.clone()) else {
                // What is like a call that runs is one.
                return self.queue.push_front(request);
            };
            self.runs += 1;
            let run = RunId(self.runs);
            if let TaskWork::Call { call, args, .. } = &work {
                commands.push(EngineCommand::Call {
                    run,
                    call: FunctionCall {
                        artifact: artifact.clone(),
                        offset: call.offset.unwrap_or_default(),
                        args: args.clone(),
                    },
                });
            }
            self.ahead.calls.push_back(Current {
                request,
                work,
                run,
                started: now,
                artifacts: current.artifacts.clone(),
                running: true,
                interrupted: false,
                clear: false,
                dropped: false,
                published: false,
            });
        }
    }

    /// Drops calls that were sent ahead, as far as they have not begun.
    pub(super) fn drop_ahead(&mut self, ids: &[MsgId], commands: &mut Vec<EngineCommand>) {
        let mut any = false;
        for call in &mut self.ahead.calls {
            call.dropped |= ids.is_empty() || ids.contains(&call.request.msg_id());
            any |= call.dropped;
        }
        if any {
            commands.push(EngineCommand::Recall);
        }
    }

    /// The runtime has given a call back that it has not begun.
    pub(super) fn recalled(&mut self, run: RunId, now: Now, commands: &mut Vec<EngineCommand>) {
        let Some(current) = self.current.take_if(|current| current.run == run) else {
            return;
        };
        if current.dropped {
            self.reply_aborted(current.request, now, commands);
        } else {
            self.ahead.returned.push(current.request);
        }
    }

    /// The process is gone for good, and with it what it was sent ahead.
    pub(super) fn lose_ahead(&mut self, commands: &mut Vec<EngineCommand>) {
        for call in std::mem::take(&mut self.ahead.calls) {
            if call.dropped {
                self.reply_aborted(call.request, self.now, commands);
            } else {
                self.ahead.returned.push(call.request);
            }
        }
    }
}
