//! One session with a frontend: which request is served when, and how each ends.
//!
//! [`Session`] is pure: events in, commands out. `actor.rs` waits, lets it decide, performs.
//! Every request passes `open` (busy) and `close` (reply, idle).

mod actor;
mod history;
mod info;

pub use actor::{RunError, run};

use crate::channel::{Asked, Request, Requester, status};
use crate::report::{ErrorReport, output, report};
use history::History;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::jupyter::connection_info::ConnectionInfo;
use phalanx_protocol::jupyter::{
    CommClose, CommInfoReply, CompleteRequest, ExecuteInput, ExecuteReply, ExecuteRequest,
    ExecutionCount, ExecutionState, InspectRequest, InterruptReply, JupyterMessageContent,
    ReplyError, ReplyStatus, ShutdownReply, UnknownMessage,
};
use std::collections::{HashMap, VecDeque};

/// What happens to a session.
#[derive(Debug)]
pub enum Event {
    /// A frontend asks something.
    Request(Request),
    /// The running cell is done; its outputs are published.
    CellEnded {
        /// How.
        result: Result<(), ErrorReport>,
        /// The text of its value.
        value: Option<String>,
    },
    /// What was asked elsewhere is answered.
    Answered {
        /// Who asked.
        from: Requester,
        /// The answer.
        reply: JupyterMessageContent,
    },
}

/// What a session wants done.
#[derive(Debug)]
pub enum Command {
    /// Publish on iopub.
    Publish(Requester, JupyterMessageContent),
    /// Reply on the channel the request came by.
    Reply(Requester, JupyterMessageContent),
    /// Run a cell; `CellEnded` follows.
    Run(Cell),
    /// Stop the running cell.
    Interrupt,
    /// Find completions; `Answered` follows.
    Complete(Requester, CompleteRequest),
    /// Find documentation; `Answered` follows.
    Inspect(Requester, InspectRequest),
    /// End everything.
    Exit,
}

/// A cell that is to be run.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Who asked; it travels with everything the cell causes.
    pub from: Requester,
    /// The source.
    pub source: String,
    /// The number in `In[n]`.
    pub count: usize,
    /// Whether nothing of it is to be published.
    pub silent: bool,
}

/// The state of a session.
#[derive(Debug)]
pub struct Session {
    connection: ConnectionInfo,
    next_count: usize,
    running: Option<Running>,
    /// `execute_request`s in order of arrival.
    waiting: VecDeque<(Requester, ExecuteRequest)>,
    history: History,
}

#[derive(Debug)]
struct Running {
    from: Requester,
    count: usize,
    silent: bool,
    stop_on_error: bool,
}

impl Session {
    /// A session that has run nothing.
    pub fn new(connection: ConnectionInfo) -> Self {
        Self {
            connection,
            next_count: 1,
            running: None,
            waiting: VecDeque::new(),
            history: History::default(),
        }
    }

    /// Decides what an event leads to.
    pub fn handle(&mut self, event: Event) -> Vec<Command> {
        let mut commands = Vec::new();
        match event {
            Event::Request(request) => self.request(request, &mut commands),
            Event::Answered { from, reply } => self.close(from, Some(reply), &mut commands),
            Event::CellEnded { result, value } => self.cell_ended(result, value, &mut commands),
        }
        commands
    }

    fn request(&mut self, Request { from, asked }: Request, commands: &mut Vec<Command>) {
        if let Asked::Execute(request) = asked {
            self.waiting.push_back((from, request));
            self.start_next(commands);
            return;
        }
        Self::open(&from, commands);
        let reply = match asked {
            Asked::Execute(_) | Asked::Notice => None,
            Asked::KernelInfo => Some(info::kernel_info()),
            Asked::Connect => Some(info::connect_reply(&self.connection)),
            Asked::Complete(request) => {
                commands.push(Command::Complete(from, request));
                return;
            }
            Asked::Inspect(request) => {
                commands.push(Command::Inspect(from, request));
                return;
            }
            Asked::IsComplete(request) => Some(info::is_complete(&request.code)),
            Asked::History(request) => Some(self.history.answer(&request).into()),
            Asked::CommInfo => Some(CommInfoReply::default().into()),
            Asked::CommOpen { comm_id } => {
                let closed = CommClose {
                    comm_id,
                    data: serde_json::Map::new(),
                };
                commands.push(Command::Publish(from.clone(), closed.into()));
                None
            }
            Asked::Interrupt => {
                if self.running.is_some() {
                    commands.push(Command::Interrupt);
                }
                Some(InterruptReply::default().into())
            }
            Asked::Shutdown { restart } => {
                self.shutdown(from, restart, commands);
                return;
            }
            Asked::Unknown { msg_type } => unknown(&msg_type),
            Asked::Malformed { msg_type, reason } => {
                self.refused(&msg_type, format!("malformed {msg_type}: {reason}"))
            }
        };
        self.close(from, reply, commands);
    }

    /// Begins the next cell, if none is running.
    fn start_next(&mut self, commands: &mut Vec<Command>) {
        if self.running.is_some() {
            return;
        }
        let Some((from, request)) = self.waiting.pop_front() else {
            return;
        };
        let count = self.next_count;
        Self::open(&from, commands);
        if !request.silent {
            let input = ExecuteInput {
                code: request.code.clone(),
                execution_count: ExecutionCount::new(count),
            };
            commands.push(Command::Publish(from.clone(), input.into()));
            if request.store_history {
                self.history.add(count, request.code.clone());
                self.next_count += 1;
            }
        }
        self.running = Some(Running {
            from: from.clone(),
            count,
            silent: request.silent,
            stop_on_error: request.stop_on_error,
        });
        commands.push(Command::Run(Cell {
            from,
            source: request.code,
            count,
            silent: request.silent,
        }));
    }

    fn cell_ended(
        &mut self,
        result: Result<(), ErrorReport>,
        value: Option<String>,
        commands: &mut Vec<Command>,
    ) {
        let Some(running) = self.running.take() else {
            return;
        };
        if let Some(value) = value {
            self.history.set_result(running.count, value);
        }
        let failed = result.is_err();
        let reply = match result {
            Ok(()) => execute_reply(running.count, ReplyStatus::Ok, None),
            Err(error) => {
                if !running.silent {
                    let message = output::error(&error);
                    commands.push(Command::Publish(running.from.clone(), message));
                }
                execute_reply(running.count, ReplyStatus::Error, Some(error))
            }
        };
        self.close(running.from, Some(reply), commands);
        if failed && running.stop_on_error {
            self.abort_waiting(commands);
        }
        self.start_next(commands);
    }

    /// Answers the cells that wait without running them.
    fn abort_waiting(&mut self, commands: &mut Vec<Command>) {
        for (from, _) in std::mem::take(&mut self.waiting) {
            Self::open(&from, commands);
            let reply = execute_reply(self.next_count, ReplyStatus::Aborted, None);
            self.close(from, Some(reply), commands);
        }
    }

    fn shutdown(&mut self, from: Requester, restart: bool, commands: &mut Vec<Command>) {
        if let Some(running) = self.running.take() {
            let failure = Failure::Interrupted { lost: Vec::new() };
            let error = report(&failure.into());
            let reply = execute_reply(running.count, ReplyStatus::Error, Some(error));
            self.close(running.from, Some(reply), commands);
        }
        self.abort_waiting(commands);
        let reply = ShutdownReply {
            restart,
            status: ReplyStatus::Ok,
            error: None,
        };
        self.close(from, Some(reply.into()), commands);
        commands.push(Command::Exit);
    }

    /// The beginning of every request.
    fn open(from: &Requester, commands: &mut Vec<Command>) {
        commands.push(Command::Publish(from.clone(), status(ExecutionState::Busy)));
    }

    /// The end of every request.
    fn close(
        &self,
        from: Requester,
        reply: Option<JupyterMessageContent>,
        commands: &mut Vec<Command>,
    ) {
        if let Some(reply) = reply {
            commands.push(Command::Reply(from.clone(), reply));
        }
        commands.push(Command::Publish(from, status(ExecutionState::Idle)));
        if let Some(running) = &self.running {
            // Frontends show the last status they heard, and a cell is still running.
            let busy = status(ExecutionState::Busy);
            commands.push(Command::Publish(running.from.clone(), busy));
        }
    }

    /// The reply to a request that cannot be served, where it is one that wants a reply.
    fn refused(&self, msg_type: &str, message: String) -> Option<JupyterMessageContent> {
        let error = report(
            &Failure::Usage {
                message,
                hint: None,
            }
            .into(),
        );
        if msg_type == "execute_request" {
            return Some(execute_reply(
                self.next_count,
                ReplyStatus::Error,
                Some(error),
            ));
        }
        error_reply(msg_type, &error)
    }
}

fn unknown(msg_type: &str) -> Option<JupyterMessageContent> {
    let failure = Failure::Usage {
        message: format!("the kernel does not know `{msg_type}`"),
        hint: None,
    };
    error_reply(msg_type, &report(&failure.into()))
}

fn error_reply(msg_type: &str, error: &ErrorReport) -> Option<JupyterMessageContent> {
    let msg_type = format!("{}_reply", msg_type.strip_suffix("_request")?);
    let content = serde_json::json!({
        "status": "error",
        "ename": error.ename,
        "evalue": error.evalue,
        "traceback": error.traceback,
    });
    Some(UnknownMessage { msg_type, content }.into())
}

fn execute_reply(
    count: usize,
    status: ReplyStatus,
    error: Option<ErrorReport>,
) -> JupyterMessageContent {
    ExecuteReply {
        status,
        execution_count: ExecutionCount::new(count),
        payload: Vec::new(),
        user_expressions: Some(HashMap::new()),
        error: error.map(|error| {
            Box::new(ReplyError {
                ename: error.ename,
                evalue: error.evalue,
                traceback: error.traceback,
            })
        }),
    }
    .into()
}

#[cfg(test)]
mod tests;
