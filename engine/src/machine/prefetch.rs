//! Prefetched calls: small calls sent to the runtime while another one runs, so that the runtime
//! does not wait for the engine in between.

use super::batch::are_alike;
use super::event::{EngineCommand, IncomingRequest};
use super::work::{self, TaskWork};
use super::{AcceptedTask, Machine};
use chrono::TimeDelta;
use phalanx_protocol::id::{MsgId, RunId};
use phalanx_protocol::parallel::CallMetadata;
use phalanx_runtime::FunctionCall;
use std::collections::VecDeque;
use std::sync::Arc;

/// The largest number of prefetched calls.
const MAX_PREFETCHED: usize = 16;

/// The longest time of a call after which calls of the same function are prefetched. Only
/// prefetched calls can be delayed by a slower one.
const QUICK_CALL: TimeDelta = TimeDelta::milliseconds(1);

/// Calls sent to the runtime besides the current one.
#[derive(Debug, Default)]
pub(super) struct PrefetchedCalls {
    /// The calls in the order in which they run.
    calls: VecDeque<AcceptedTask>,
    /// Recalled calls, queued again once no prefetched calls are left.
    returned: Vec<IncomingRequest>,
    /// The function whose last call was quick.
    quick: Option<Arc<CallMetadata>>,
}

impl PrefetchedCalls {
    /// Returns the first prefetched call.
    pub(super) fn first(&self) -> Option<&IncomingRequest> {
        self.calls.front().map(|call| &call.request)
    }

    /// Returns the ids of the prefetched calls.
    pub(super) fn ids(&self) -> impl Iterator<Item = MsgId> {
        self.calls.iter().map(|call| call.request.msg_id())
    }

    /// Records the time of a completed call.
    pub(super) fn record_duration(&mut self, work: &TaskWork, time: Option<TimeDelta>) {
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
    /// Makes the first prefetched call the current one; returns false if there is none.
    pub(super) fn start_prefetched(&mut self) -> bool {
        if let Some(next) = self.prefetched.calls.pop_front() {
            self.current = Some(AcceptedTask {
                started: self.now,
                ..next
            });
            return true;
        }
        let returned = std::mem::take(&mut self.prefetched.returned);
        for request in returned.into_iter().rev() {
            self.queue.push_front(request);
        }
        false
    }

    /// Prefetches calls of the current function, if its calls are quick.
    pub(super) fn prefetch(&mut self, commands: &mut Vec<EngineCommand>) {
        let Some(current) = &self.current else { return };
        if self.away || !(current.running && self.prefetched.is_quick(&current.work)) {
            return;
        }
        let Some(artifact) = current.artifacts.as_ref().and_then(|all| all.last()) else {
            return;
        };
        while self.prefetched.calls.len() < MAX_PREFETCHED
            && let Some(request) = self
                .queue
                .pop_front_if(|next| are_alike(next, &current.request))
        {
            let Some(Ok((work, _))) = work::accept(request.content.clone()) else {
                // Unreachable: the running call has the same content.
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
            self.prefetched.calls.push_back(AcceptedTask {
                request,
                work,
                run,
                started: self.now,
                artifacts: current.artifacts.clone(),
                running: true,
                interrupted: false,
                clear: false,
                dropped: false,
                published: false,
            });
        }
    }

    /// Drops prefetched calls that have not begun; all of them if `ids` is empty.
    pub(super) fn drop_prefetched(&mut self, ids: &[MsgId], commands: &mut Vec<EngineCommand>) {
        let mut any = false;
        for call in &mut self.prefetched.calls {
            call.dropped |= ids.is_empty() || ids.contains(&call.request.msg_id());
            any |= call.dropped;
        }
        if any {
            commands.push(EngineCommand::Recall);
        }
    }

    /// Handles a recalled call.
    pub(super) fn recalled(&mut self, run: RunId, commands: &mut Vec<EngineCommand>) {
        let Some(current) = self.current.take_if(|current| current.run == run) else {
            return;
        };
        if current.dropped {
            self.reply_aborted(current.request, commands);
        } else {
            self.prefetched.returned.push(current.request);
        }
    }

    /// Handles the loss of prefetched calls by the end of the process.
    pub(super) fn lose_prefetched(&mut self, commands: &mut Vec<EngineCommand>) {
        for call in std::mem::take(&mut self.prefetched.calls) {
            if call.dropped {
                self.reply_aborted(call.request, commands);
            } else {
                self.prefetched.returned.push(call.request);
            }
        }
    }
}
