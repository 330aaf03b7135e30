//! The end of a cell, and replies.

use super::event::{EngineCommand, IncomingRequest};
use super::failure::{EngineFailure, LeftVariables};
use super::work::{self, TaskWork};
use super::{Machine, Now, status};
use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::id::StateId;
use phalanx_protocol::parallel::{
    EnginePublication, EngineReply, EngineReplyContent, EngineRequest, EngineStatus, RefusalReason,
    ReplyExtension, ReplyMetadata,
};
use phalanx_protocol::runtime::Outcome;
use phalanx_transport::wire::Header;

/// Returns the name of the request in errors, as in ipyparallel.
fn method(request: &IncomingRequest) -> &'static str {
    match request.content {
        EngineRequest::Apply(_) => "apply",
        _ => "execute",
    }
}

/// Names the text of a cell in a location within it: `cell:3:5` becomes `In[7]:3:5`. The reply may be
/// read by another cell. A location in a text that the user has not written is omitted.
fn in_text(location: String, text: Option<&str>) -> Option<String> {
    match location.strip_prefix("cell:") {
        Some(position) => text.map(|text| format!("{text}:{position}")),
        None => Some(location),
    }
}

impl Machine {
    /// Ends the current cell.
    pub(super) fn ended(&mut self, outcome: Outcome, commands: &mut Vec<EngineCommand>) {
        let Some(current) = &self.current else {
            return;
        };
        let died = matches!(outcome, Outcome::Died { .. });
        let panicked = matches!(outcome, Outcome::Panicked(_));
        let is_cell = matches!(current.work, TaskWork::Cell { .. });
        let text = match &current.work {
            TaskWork::Cell { cell, .. } => cell.record.text.clone(),
            TaskWork::Call { .. } => None,
        };
        let named = |location: String| match is_cell {
            true => in_text(location, text.as_deref()),
            false => Some(location),
        };
        let library = current.work.library().filter(|_| panicked).cloned();
        let duration = self.now - current.started;
        let duration = (outcome == Outcome::Completed).then_some(duration);
        self.prefetched.record_duration(&current.work, duration);
        match &current.work {
            TaskWork::Cell { cell, code, .. } => {
                if let Some(state) = StateId::after(&cell.next, &outcome) {
                    self.records.add(code, cell, state.clone(), &outcome);
                    self.state = state;
                }
                if died && current.clear {
                    self.reset_namespace();
                }
            }
            // A call does not change the state, but its death loses it.
            TaskWork::Call { .. } if died => self.reset_namespace(),
            TaskWork::Call { call, .. } if outcome == Outcome::Completed => {
                self.records.push(&call.pushes);
            }
            TaskWork::Call { .. } => {}
        }
        if died {
            self.lose_prefetched(commands);
            self.runtime = super::RuntimeState::Awaited;
        }
        match outcome {
            Outcome::Completed | Outcome::Returned => self.complete(commands),
            Outcome::Panicked(mut panic) => {
                panic.location = panic.location.and_then(named);
                let panic = match library {
                    Some(library) => panic.of_library(library.as_str()),
                    None => panic,
                };
                self.fail(EngineFailure::panicked(panic), commands);
            }
            Outcome::Errored {
                message,
                failure,
                location,
            } => {
                let location = location.and_then(named);
                let failure = EngineFailure::errored(message, failure.as_deref(), location);
                self.fail(failure, commands);
            }
            Outcome::VariablesLost(names) => {
                self.refuse(RefusalReason::VariablesLost { names }, commands);
            }
            Outcome::Abandoned { status } => self.stopped(status, LeftVariables::All, commands),
            Outcome::Died { status } => self.stopped(status, LeftVariables::Nothing, commands),
        }
    }

    /// Resets the state to the empty namespace.
    pub(super) fn reset_namespace(&mut self) {
        self.state = StateId::empty();
        self.records.clear();
    }

    /// Fails the current cell after the end of its process.
    fn stopped(
        &mut self,
        exit: RuntimeExit,
        left: LeftVariables,
        commands: &mut Vec<EngineCommand>,
    ) {
        let Some(current) = &self.current else {
            return;
        };
        let (engine, work) = (self.identity.id, current.work.kind());
        let failure = match current.interrupted {
            true => EngineFailure::Interrupted { engine, work, left },
            false => EngineFailure::Died {
                engine,
                work,
                exit,
                left,
            },
        };
        self.fail(failure, commands);
    }

    fn complete(&mut self, commands: &mut Vec<EngineCommand>) {
        if let Some(failure) = self.current.as_ref().and_then(|c| work::raised(&c.work)) {
            self.fail(failure, commands);
            return;
        }
        let Some(current) = self.current.take() else {
            return;
        };
        let (request, started) = (current.request, current.started);
        let TaskWork::Call { value, .. } = current.work else {
            let content = EngineReplyContent::Executed {
                execution_count: Some(self.execution_count),
            };
            let reply = self.build_reply(&request, content, started);
            self.reply(request, reply, commands);
            return;
        };
        // A large value is sent alone.
        if request.batched && value.segment().is_none() {
            self.hold(request, started, current.published, value, commands);
            return;
        }
        let mut reply =
            self.build_reply(&request, EngineReplyContent::Applied(Some(value)), started);
        if request.is_quiet() && !current.published {
            if let Some(extension) = &mut reply.extension {
                extension.settled = true;
            }
            self.send_reply(request, reply, commands);
        } else {
            self.reply(request, reply, commands);
        }
    }

    /// Fails the current cell.
    pub(super) fn fail(&mut self, failure: EngineFailure, commands: &mut Vec<EngineCommand>) {
        let Some(current) = self.current.take() else {
            return;
        };
        if !matches!(current.work, TaskWork::Cell { silent: true, .. }) {
            self.publish_failure(&current.request, &failure, commands);
        }
        let mut reply = self.failed(&current.request, &failure, current.started);
        reply.metadata.dependencies_met = !failure.is_unmet();
        self.reply(current.request, reply, commands);
    }

    /// Refuses the current cell, which did not run.
    pub(super) fn refuse(&mut self, reason: RefusalReason, commands: &mut Vec<EngineCommand>) {
        let Some(current) = self.current.take() else {
            return;
        };
        if current.artifacts.is_some() && !current.work.is_silent() {
            self.execution_count -= 1;
        }
        self.reply_with_refusal(current.request, reason, current.started, commands);
    }

    /// Refuses a cell that has not begun.
    pub(super) fn reply_refused(
        &mut self,
        request: IncomingRequest,
        reason: RefusalReason,
        commands: &mut Vec<EngineCommand>,
    ) {
        self.reply_with_refusal(request, reason, self.now, commands);
    }

    fn reply_with_refusal(
        &mut self,
        request: IncomingRequest,
        reason: RefusalReason,
        started: Now,
        commands: &mut Vec<EngineCommand>,
    ) {
        let failure = EngineFailure::refused(&reason, &self.state);
        let mut reply = self.failed(&request, &failure, started);
        let need = matches!(reason, RefusalReason::NeedArtifacts { .. });
        reply.metadata.dependencies_met = !need;
        if let Some(extension) = &mut reply.extension {
            extension.reason = Some(reason);
        }
        self.reply(request, reply, commands);
    }

    /// Replies with a failure to a request that cannot be served.
    pub(super) fn reply_failed(
        &mut self,
        request: IncomingRequest,
        failure: &EngineFailure,
        commands: &mut Vec<EngineCommand>,
    ) {
        self.publish_failure(&request, failure, commands);
        let reply = self.failed(&request, failure, self.now);
        self.reply(request, reply, commands);
    }

    /// Replies that this engine cannot run a task, so that the scheduler tries another one.
    pub(super) fn reply_unmet(
        &mut self,
        request: IncomingRequest,
        failure: &EngineFailure,
        commands: &mut Vec<EngineCommand>,
    ) {
        let mut reply = self.failed(&request, failure, self.now);
        reply.metadata.dependencies_met = false;
        self.reply(request, reply, commands);
    }

    /// Replies that a request was aborted before it began.
    pub(super) fn reply_aborted(
        &mut self,
        request: IncomingRequest,
        commands: &mut Vec<EngineCommand>,
    ) {
        status(&request, EngineStatus::Busy, commands);
        let reply = self.build_reply(&request, EngineReplyContent::Aborted, self.now);
        self.reply(request, reply, commands);
    }

    /// Sends a reply and publishes `idle`.
    pub(super) fn reply(
        &mut self,
        request: IncomingRequest,
        reply: EngineReply,
        commands: &mut Vec<EngineCommand>,
    ) {
        let header = request.header.clone();
        self.send_reply(request, reply, commands);
        idle(header, commands);
    }

    fn publish_failure(
        &self,
        request: &IncomingRequest,
        failure: &EngineFailure,
        commands: &mut Vec<EngineCommand>,
    ) {
        commands.push(EngineCommand::Publish {
            parent: Some(request.header.clone()),
            publication: EnginePublication::Error {
                error: failure.content(&self.identity, method(request)),
                execution_count: Some(self.execution_count),
            },
        });
    }

    fn failed(
        &self,
        request: &IncomingRequest,
        failure: &EngineFailure,
        started: Now,
    ) -> EngineReply {
        let content = EngineReplyContent::Failed {
            error: failure.content(&self.identity, method(request)),
            execution_count: Some(self.execution_count),
        };
        self.build_reply(request, content, started)
    }

    /// Returns a reply with the metadata of ipyparallel and of Phalanx.
    pub(super) fn build_reply(
        &self,
        request: &IncomingRequest,
        content: EngineReplyContent,
        started: Now,
    ) -> EngineReply {
        let failed = matches!(content, EngineReplyContent::Failed { .. });
        let echo = request.echo.clone();
        EngineReply {
            metadata: ReplyMetadata {
                started: Some(started),
                dependencies_met: true,
                engine: Some(self.identity.uuid.clone()),
                status: content.status().to_owned(),
                is_broadcast: echo.is_broadcast,
                is_coalescing: echo.is_coalescing,
                original_msg_id: echo.original_msg_id,
                label: echo.label,
                engine_info: failed.then(|| self.identity.info(method(request))),
                phalanx_batch: Vec::new(),
            },
            extension: Some(ReplyExtension {
                reason: None,
                state: self.state.clone(),
                settled: false,
            }),
            content,
        }
    }
}

/// Publishes `idle` at the end of a request.
pub(super) fn idle(header: Header, commands: &mut Vec<EngineCommand>) {
    commands.push(EngineCommand::Publish {
        parent: Some(header),
        publication: EnginePublication::Status(EngineStatus::Idle),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_names_the_text_that_the_user_has_written() {
        let named = |location: &str, text| in_text(location.to_owned(), text);
        let cell = named("cell:3:5", Some("In[7]"));
        assert_eq!(cell.as_deref(), Some("In[7]:3:5"));
        let file = named("cell:3:5", Some("work.rs"));
        assert_eq!(file.as_deref(), Some("work.rs:3:5"));
        assert_eq!(named("cell:3:5", None), None);
        let library = named("src/lib.rs:3:5", None);
        assert_eq!(library.as_deref(), Some("src/lib.rs:3:5"));
    }
}
