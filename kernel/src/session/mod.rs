//! A session with a frontend: the order in which requests are served, and their replies.
//!
//! [`Session`] is pure: events in, commands out. `actor.rs` waits, passes events on and performs
//! the commands. Every request passes through `open` (busy) and `close` (reply, idle).
//!
//! | file | contents |
//! |---|---|
//! | `shell_queue.rs` | the queued cells of the main shell and of each subshell |
//! | `info.rs` | replies that depend on the kernel alone |
//! | `reply.rs` | replies to cells and to requests that cannot be served |
//! | `history/` | the cells of this and earlier sessions |
//! | `usage.rs` | processor time and memory of the kernel's processes |
//! | `connection.rs` | the kernel's address and its announcement to frontends |
//! | `comms.rs` | the actor's part for widgets and other comms |
//! | `error.rs` | requests that cannot be served, with their texts |
//! | `actor.rs` | the actor around the session |

mod actor;
mod comms;
mod connection;
mod error;
mod history;
mod info;
mod reply;
mod shell_queue;
mod usage;

pub use actor::{RunError, run};
pub use connection::Connection;
pub use reply::Extras;

use crate::channel::{Request, RequestContent, Requester, SubshellId, status};
use crate::report::{ErrorReport, output, report};
use error::RequestError;
use phalanx_protocol::comm::CommEvent;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::jupyter::connection_info::ConnectionInfo;
use phalanx_protocol::jupyter::{
    CompleteRequest, ExecuteInput, ExecuteRequest, ExecutionCount, ExecutionState, HistoryRequest,
    InspectRequest, InterruptReply, JupyterMessageContent, ReplyStatus, ShutdownReply,
};
use shell_queue::{RunningCell, ShellQueue};
use std::collections::{BTreeMap, HashMap};

/// Identifies one run of a cell; the first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CellId(pub u64);

/// An event of a session.
#[derive(Debug)]
pub enum SessionEvent {
    /// A frontend has sent a request.
    Request(Request),
    /// A cell has ended; its outputs are published.
    CellEnded {
        /// The cell.
        cell: CellId,
        /// The outcome.
        result: Result<(), ErrorReport>,
        /// The cell's value as text, if it has one.
        value: Option<String>,
        /// The other parts of the reply.
        extras: Extras,
    },
    /// A request served outside the session is done.
    Replied {
        /// The requester.
        from: Requester,
        /// The reply, if the request has one.
        reply: Option<JupyterMessageContent>,
    },
    /// A request served outside the session has failed.
    Failed {
        /// The requester.
        from: Requester,
        /// The failure.
        failure: Failure,
    },
    /// The toolchain that compiles cells was found, or has changed.
    Toolchain {
        /// The version of its rustc, if it is known.
        version: Option<String>,
    },
    /// The time after a cell that quits has passed.
    QuitDue,
}

/// A command of a session.
#[derive(Debug)]
pub enum SessionCommand {
    /// Publish a message on iopub.
    Publish(Requester, JupyterMessageContent),
    /// Reply on the channel on which the request arrived.
    Reply(Requester, JupyterMessageContent),
    /// Run a cell; `CellEnded` follows.
    Run(SessionCell),
    /// Interrupt a running cell.
    InterruptCell(CellId),
    /// Interrupt the code that handles a widget's message, if any does; no cell is running.
    InterruptCallbacks,
    /// Find completions; `Replied` follows.
    Complete(Requester, CompleteRequest),
    /// Find documentation; `Replied` follows.
    Inspect(Requester, InspectRequest),
    /// Add a cell to the history.
    Remember {
        /// The execution count, the number in `In[n]`.
        count: usize,
        /// The source.
        source: String,
    },
    /// Set the value of a cell in the history.
    RememberValue {
        /// The execution count, the number in `In[n]`.
        count: usize,
        /// The value as text.
        value: String,
    },
    /// Search the history; `Replied` follows.
    History(Requester, HistoryRequest),
    /// Measure the resources in use; `Replied` follows.
    Usage(Requester),
    /// List the comms of this target, or all; `Replied` follows.
    CommInfo(Requester, Option<String>),
    /// Handle a frontend's action on a comm; `Replied` follows.
    Comm(Requester, CommEvent),
    /// Leave frontends time to read the reply of a cell that quits; `QuitDue` follows.
    Quit,
    /// Stop the kernel.
    Exit,
}

/// A cell to run.
#[derive(Clone, Debug)]
pub struct SessionCell {
    /// The id of this run.
    pub id: CellId,
    /// The requester, the parent of every message the cell causes.
    pub from: Requester,
    /// The source.
    pub source: String,
    /// The execution count, the number in `In[n]`.
    pub count: usize,
    /// True if nothing is to be published.
    pub silent: bool,
    /// True if the frontend accepts an `input_request`.
    pub allow_stdin: bool,
    /// The expressions to evaluate after the cell, by name.
    pub user_expressions: HashMap<String, String>,
}

/// The state of a session.
#[derive(Debug)]
pub struct Session {
    connection: ConnectionInfo,
    /// The version of the rustc that compiles cells.
    rustc: Option<String>,
    next_count: usize,
    cells: u64,
    main: ShellQueue,
    subshells: BTreeMap<SubshellId, ShellQueue>,
}

impl Session {
    /// Creates a session without any cells.
    pub fn new(connection: ConnectionInfo) -> Self {
        Self {
            connection,
            rustc: None,
            next_count: 1,
            cells: 0,
            main: ShellQueue::default(),
            subshells: BTreeMap::new(),
        }
    }

    /// Handles an event and returns the commands to perform.
    pub fn handle(&mut self, event: SessionEvent) -> Vec<SessionCommand> {
        let mut commands = Vec::new();
        match event {
            SessionEvent::Request(request) => self.request(request, &mut commands),
            SessionEvent::Replied { from, reply } => self.close(from, reply, &mut commands),
            SessionEvent::Failed { from, failure } => {
                let reply = reply::failed(self.next_count, from.reply_type(), failure);
                self.close(from, reply, &mut commands);
            }
            SessionEvent::CellEnded {
                cell,
                result,
                value,
                extras,
            } => self.cell_ended(cell, result, value, extras, &mut commands),
            SessionEvent::Toolchain { version } => self.rustc = version,
            SessionEvent::QuitDue => commands.push(SessionCommand::Exit),
        }
        commands
    }

    fn request(&mut self, Request { from, content }: Request, commands: &mut Vec<SessionCommand>) {
        if let RequestContent::Execute(request) = content {
            self.execute(from, request, commands);
            return;
        }
        Self::open(&from, commands);
        let reply = match content {
            RequestContent::Execute(_) => None,
            RequestContent::KernelInfo => Some(info::kernel_info(self.rustc.as_deref())),
            RequestContent::Connect => Some(info::connect_reply(&self.connection)),
            RequestContent::Complete(request) => {
                commands.push(SessionCommand::Complete(from, request));
                return;
            }
            RequestContent::Inspect(request) => {
                commands.push(SessionCommand::Inspect(from, request));
                return;
            }
            RequestContent::IsComplete(request) => Some(info::is_complete(&request.code)),
            RequestContent::History(request) => {
                commands.push(SessionCommand::History(from, request));
                return;
            }
            RequestContent::Usage => {
                commands.push(SessionCommand::Usage(from));
                return;
            }
            RequestContent::CommInfo { target } => {
                commands.push(SessionCommand::CommInfo(from, target));
                return;
            }
            RequestContent::Comm(event) => {
                commands.push(SessionCommand::Comm(from, event));
                return;
            }
            RequestContent::Interrupt => {
                self.interrupt(commands);
                Some(InterruptReply::default().into())
            }
            RequestContent::CreateSubshell => {
                let id = SubshellId::fresh();
                self.subshells.insert(id.clone(), ShellQueue::default());
                Some(info::subshell_created(&id))
            }
            RequestContent::ListSubshells => Some(info::subshells(self.open_subshells())),
            RequestContent::DeleteSubshell { id } => self.delete_subshell(&from, &id, commands),
            RequestContent::Shutdown { restart } => {
                self.shutdown(from, restart, commands);
                return;
            }
            RequestContent::Unknown { msg_type } => {
                self.refused(&from, RequestError::Unknown { msg_type })
            }
            RequestContent::Malformed { msg_type, reason } => {
                self.refused(&from, RequestError::Malformed { msg_type, reason })
            }
        };
        self.close(from, reply, commands);
    }

    /// Interrupts all running cells; without one, the callbacks of widgets.
    fn interrupt(&self, commands: &mut Vec<SessionCommand>) {
        let running = self.queues().filter_map(|queue| queue.running.as_ref());
        let before = commands.len();
        commands.extend(running.map(|running| SessionCommand::InterruptCell(running.cell)));
        if commands.len() == before {
            commands.push(SessionCommand::InterruptCallbacks);
        }
    }

    /// Returns the subshells that accept requests.
    fn open_subshells(&self) -> impl Iterator<Item = &SubshellId> {
        let open = self.subshells.iter().filter(|(_, queue)| !queue.closing);
        open.map(|(id, _)| id)
    }

    /// Deletes a subshell; its running cell still runs to its end.
    fn delete_subshell(
        &mut self,
        from: &Requester,
        id: &SubshellId,
        commands: &mut Vec<SessionCommand>,
    ) -> Option<JupyterMessageContent> {
        let Some(queue) = self.subshells.get_mut(id).filter(|queue| !queue.closing) else {
            return self.refused(from, RequestError::Subshell(id.clone()));
        };
        queue.closing = true;
        let waiting = std::mem::take(&mut queue.waiting);
        if queue.running.is_none() {
            self.subshells.remove(id);
        }
        self.abort_waiting(waiting, commands);
        Some(info::subshell_deleted())
    }

    fn execute(
        &mut self,
        from: Requester,
        request: ExecuteRequest,
        commands: &mut Vec<SessionCommand>,
    ) {
        let id = from.subshell().cloned();
        match self.queue_of(id.as_ref()).filter(|queue| !queue.closing) {
            Some(queue) => {
                queue.waiting.push_back((from, request));
                self.start_next(id.as_ref(), commands);
            }
            None => {
                Self::open(&from, commands);
                let reply = id.and_then(|id| self.refused(&from, RequestError::Subshell(id)));
                self.close(from, reply, commands);
            }
        }
    }

    fn queue_of(&mut self, id: Option<&SubshellId>) -> Option<&mut ShellQueue> {
        match id {
            None => Some(&mut self.main),
            Some(id) => self.subshells.get_mut(id),
        }
    }

    fn queues(&self) -> impl Iterator<Item = &ShellQueue> {
        std::iter::once(&self.main).chain(self.subshells.values())
    }

    /// Starts the next cell of a queue, if none is running.
    fn start_next(&mut self, id: Option<&SubshellId>, commands: &mut Vec<SessionCommand>) {
        let count = self.next_count;
        let cell = CellId(self.cells + 1);
        let Some(queue) = self.queue_of(id) else {
            return;
        };
        if queue.running.is_some() {
            return;
        }
        let Some((from, request)) = queue.waiting.pop_front() else {
            return;
        };
        queue.running = Some(RunningCell {
            cell,
            from: from.clone(),
            count,
            silent: request.silent,
            stop_on_error: request.stop_on_error,
        });
        self.cells = cell.0;
        Self::open(&from, commands);
        if !request.silent {
            let input = ExecuteInput {
                code: request.code.clone(),
                execution_count: ExecutionCount::new(count),
            };
            commands.push(SessionCommand::Publish(from.clone(), input.into()));
            if request.store_history {
                commands.push(SessionCommand::Remember {
                    count,
                    source: request.code.clone(),
                });
                self.next_count += 1;
            }
        }
        commands.push(SessionCommand::Run(SessionCell {
            id: cell,
            from,
            source: request.code,
            count,
            silent: request.silent,
            allow_stdin: request.allow_stdin,
            user_expressions: request.user_expressions.unwrap_or_default(),
        }));
    }

    fn cell_ended(
        &mut self,
        cell: CellId,
        result: Result<(), ErrorReport>,
        value: Option<String>,
        extras: Extras,
        commands: &mut Vec<SessionCommand>,
    ) {
        let is_its =
            |queue: &ShellQueue| queue.running.as_ref().is_some_and(|run| run.cell == cell);
        let subshell = self.subshells.iter().find(|(_, queue)| is_its(queue));
        let id = subshell.map(|(id, _)| id.clone());
        let Some(running) = self
            .queue_of(id.as_ref())
            .and_then(|queue| queue.running.take_if(|run| run.cell == cell))
        else {
            return;
        };
        if let Some(value) = value {
            let count = running.count;
            commands.push(SessionCommand::RememberValue { count, value });
        }
        let failed = result.is_err();
        let quits = extras.quits();
        let reply = match result {
            Ok(()) => reply::execute(running.count, ReplyStatus::Ok, None, extras),
            Err(error) => {
                if !running.silent {
                    let message = output::error(&error);
                    commands.push(SessionCommand::Publish(running.from.clone(), message));
                }
                reply::execute(running.count, ReplyStatus::Error, Some(error), extras)
            }
        };
        self.close(running.from, Some(reply), commands);
        if quits {
            self.abort_all(commands);
            commands.push(SessionCommand::Quit);
            return;
        }
        if failed && running.stop_on_error {
            let queue = self.queue_of(id.as_ref());
            let waiting = queue.map(|queue| std::mem::take(&mut queue.waiting));
            self.abort_waiting(waiting.unwrap_or_default(), commands);
        }
        if let Some(id) = &id
            && self.subshells.get(id).is_some_and(|queue| queue.closing)
        {
            self.subshells.remove(id);
        }
        self.start_next(id.as_ref(), commands);
    }

    /// Replies `aborted` to queued cells.
    fn abort_waiting(
        &self,
        waiting: impl IntoIterator<Item = (Requester, ExecuteRequest)>,
        commands: &mut Vec<SessionCommand>,
    ) {
        for (from, _) in waiting {
            Self::open(&from, commands);
            let status = ReplyStatus::Aborted;
            let reply = reply::execute(self.next_count, status, None, Extras::default());
            self.close(from, Some(reply), commands);
        }
    }

    /// Replies to all cells of a queue that was removed.
    fn abort(&self, queue: ShellQueue, commands: &mut Vec<SessionCommand>) {
        if let Some(running) = queue.running {
            let failure = Failure::Interrupted { lost: Vec::new() };
            let error = report(&failure.into());
            let status = ReplyStatus::Error;
            let reply = reply::execute(running.count, status, Some(error), Extras::default());
            self.close(running.from, Some(reply), commands);
        }
        self.abort_waiting(queue.waiting, commands);
    }

    fn abort_all(&mut self, commands: &mut Vec<SessionCommand>) {
        let subshells = std::mem::take(&mut self.subshells).into_values();
        let main = std::mem::take(&mut self.main);
        for queue in std::iter::once(main).chain(subshells) {
            self.abort(queue, commands);
        }
    }

    fn shutdown(&mut self, from: Requester, restart: bool, commands: &mut Vec<SessionCommand>) {
        self.abort_all(commands);
        let reply = ShutdownReply {
            restart,
            status: ReplyStatus::Ok,
            error: None,
        };
        self.close(from, Some(reply.into()), commands);
        commands.push(SessionCommand::Exit);
    }

    /// Opens a request: publishes `busy`.
    fn open(from: &Requester, commands: &mut Vec<SessionCommand>) {
        commands.push(SessionCommand::Publish(
            from.clone(),
            status(ExecutionState::Busy),
        ));
    }

    /// Closes a request: sends the reply, if it has one, and publishes `idle`.
    fn close(
        &self,
        from: Requester,
        reply: Option<JupyterMessageContent>,
        commands: &mut Vec<SessionCommand>,
    ) {
        if let Some(reply) = reply {
            commands.push(SessionCommand::Reply(from.clone(), reply));
        }
        commands.push(SessionCommand::Publish(from, status(ExecutionState::Idle)));
        if let Some(running) = self.queues().find_map(|queue| queue.running.as_ref()) {
            // Frontends show the latest status, and a cell is still running.
            let busy = status(ExecutionState::Busy);
            commands.push(SessionCommand::Publish(running.from.clone(), busy));
        }
    }

    fn refused(&self, from: &Requester, error: RequestError) -> Option<JupyterMessageContent> {
        reply::failed(self.next_count, from.reply_type(), error.into())
    }
}

#[cfg(test)]
mod tests;
