//! The callers that wait for the client: for results, replies of engines and replies of the hub.

use crate::error::TaskError;
use crate::request::{HandleRequest, RefusedTask};
use crate::result::{ResultTracker, TaskUpdate};
use crate::state::{StateEvent, Ticket, batch};
use crate::task::{EngineTask, SubmissionId, TaskKey};
use phalanx_protocol::parallel::{EngineRequest, HubRequest, Lineage};
use phalanx_transport::Envelope;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// The number of tasks in a part of a submission: as many as fit into one message.
const PART_TASKS: usize = batch::MAX_BATCH_TASKS;

/// The waiting callers; does no I/O.
#[derive(Default)]
pub(super) struct WaitingCallers {
    /// The AsyncResults with tasks whose output is not complete.
    results: HashMap<SubmissionId, TrackedResult>,
    /// The callers for the replies of engines.
    tickets: HashMap<Ticket, oneshot::Sender<()>>,
    lineages: HashMap<Ticket, oneshot::Sender<Lineage>>,
    /// The number of tickets issued.
    issued: u64,
    /// The callers for the hub's replies, by the msg_id of the request.
    hub: HashMap<String, oneshot::Sender<Envelope>>,
    /// The remaining parts of a submission: engines receive the first ones before the last ones are
    /// created.
    parts: VecDeque<StateEvent>,
}

/// A submission with pending tasks.
struct TrackedResult {
    result: Arc<ResultTracker>,
    refused: mpsc::UnboundedSender<RefusedTask>,
}

impl WaitingCallers {
    /// Returns true if a submission has parts left, which precede further requests.
    pub fn has_parts(&self) -> bool {
        !self.parts.is_empty()
    }

    /// The next part of the submission.
    pub fn next_part(&mut self) -> Option<StateEvent> {
        self.parts.pop_front()
    }

    /// Accepts a request of a handle; returns the event it leads to. Requests to the hub, which need
    /// no decision, are passed to `send_to_hub` and lead to none.
    pub fn accept(
        &mut self,
        request: HandleRequest,
        send_to_hub: impl FnOnce(&HubRequest) -> Option<String>,
    ) -> Option<StateEvent> {
        Some(match request {
            HandleRequest::Hub { request, done } => {
                // Callers that have stopped waiting are forgotten.
                self.hub.retain(|_, done| !done.is_closed());
                if let Some(msg_id) = send_to_hub(&request) {
                    self.hub.insert(msg_id, done);
                }
                return None;
            }
            HandleRequest::Submit {
                result,
                tasks,
                refused,
            } => {
                self.submit(result, tasks, refused);
                return self.next_part();
            }
            HandleRequest::Resend { key, work } => StateEvent::Resend { key, work },
            HandleRequest::Fail { key, failure } => StateEvent::Fail { key, failure },
            HandleRequest::Abort { keys, done } => StateEvent::Abort {
                keys,
                ticket: self.ticket(done),
            },
            HandleRequest::Control {
                engines,
                request,
                done,
            } => StateEvent::Control {
                engines,
                request,
                ticket: self.ticket(done),
            },
            HandleRequest::Lineage { engine, done } => {
                let ticket = self.issue();
                self.lineages.insert(ticket, done);
                StateEvent::Control {
                    engines: vec![engine],
                    request: EngineRequest::Lineage,
                    ticket,
                }
            }
        })
    }

    /// Splits a submission into parts.
    fn submit(
        &mut self,
        result: Arc<ResultTracker>,
        tasks: Vec<EngineTask>,
        refused: mpsc::UnboundedSender<RefusedTask>,
    ) {
        let submission = result.id();
        if !tasks.is_empty() {
            let tracked = TrackedResult { result, refused };
            self.results.insert(submission, tracked);
        }
        let tasks = tasks.into_iter().enumerate();
        let mut tasks = tasks.map(|(task, work)| (TaskKey { submission, task }, work));
        let part = || Some(tasks.by_ref().take(PART_TASKS).collect());
        self.parts = std::iter::from_fn(part)
            .take_while(|part: &Vec<_>| !part.is_empty())
            .map(|tasks| StateEvent::Submit { tasks })
            .collect();
    }

    /// Passes a reply of the hub to its caller; returns any other message.
    pub fn hub_replied(&mut self, envelope: Envelope) -> Option<Envelope> {
        let parent = envelope.parent_header.as_ref();
        match parent.and_then(|parent| self.hub.remove(&parent.msg_id)) {
            Some(done) => {
                // The caller may have stopped waiting.
                let _ = done.send(envelope);
                None
            }
            None => Some(envelope),
        }
    }

    /// Updates the record of a task; forgets a submission whose tasks have all ended.
    pub fn update(&mut self, key: TaskKey, update: TaskUpdate) {
        if let Some(tracked) = self.results.get(&key.submission) {
            tracked.result.apply(key.task, update);
            if tracked.result.settled() {
                self.results.remove(&key.submission);
            }
        }
    }

    /// Passes a refused task to its submitter, if the submission is pending.
    pub fn report_refusal(&self, submission: SubmissionId, refused: impl FnOnce() -> RefusedTask) {
        if let Some(tracked) = self.results.get(&submission) {
            // If the submitter is gone, dropping the refused task ends it.
            let _ = tracked.refused.send(refused());
        }
    }

    /// Passes a lineage to its caller.
    pub fn lineage(&mut self, ticket: Ticket, lineage: Lineage) {
        if let Some(done) = self.lineages.remove(&ticket) {
            // The caller may have stopped waiting.
            let _ = done.send(lineage);
        }
    }

    /// Notifies the caller that every engine has replied or left.
    pub fn engines_replied(&mut self, ticket: Ticket) {
        // Still there if the engine has left or sent no lineage: its caller gets an error.
        self.lineages.remove(&ticket);
        if let Some(done) = self.tickets.remove(&ticket) {
            // The caller may have stopped waiting.
            let _ = done.send(());
        }
    }

    /// Fails the submissions of which a part was not submitted before the client ended.
    pub fn give_up(&mut self) {
        let parts = std::mem::take(&mut self.parts).into_iter();
        let keys = parts.filter_map(|part| match part {
            StateEvent::Submit { tasks } => Some(tasks.first()?.0),
            _ => None,
        });
        for key in keys {
            if let Some(tracked) = self.results.get(&key.submission) {
                tracked.result.fail_all(&TaskError::ClientEnded);
            }
        }
    }

    fn ticket(&mut self, done: oneshot::Sender<()>) -> Ticket {
        let ticket = self.issue();
        self.tickets.insert(ticket, done);
        ticket
    }

    fn issue(&mut self) -> Ticket {
        self.issued += 1;
        Ticket(self.issued)
    }
}
