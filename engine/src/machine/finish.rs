//! The ends of a cell, and the replies that tell of them.

use super::event::{Command, Publication, Reply, Request};
use super::failure::{self, Failure, Left};
use super::{Ask, Machine, Now, status};
use phalanx_protocol::id::StateId;
use phalanx_protocol::parallel::{PHALANX, Refusal, RefusalReason, ReplyMetadata};
use phalanx_protocol::runtime::Outcome;
use serde_json::{Value, json};

impl Machine {
    /// The current cell has run, in one way or another.
    pub(super) fn ended(&mut self, outcome: Outcome, commands: &mut Vec<Command>) {
        let Some(current) = &self.current else {
            return;
        };
        if let Some(state) = StateId::after(&current.cell.next, &outcome) {
            self.state = state;
        }
        if matches!(outcome, Outcome::Died { .. }) {
            self.runtime = super::RuntimeState::Awaited;
            if current.clear {
                self.state = StateId::empty();
            }
        }
        let interrupted = current.interrupted;
        match outcome {
            Outcome::Completed => self.complete(commands),
            Outcome::Panicked(panic) => self.fail(failure::panicked(panic), commands),
            Outcome::Errored { message } => {
                self.fail(Failure::new("Error", message), commands);
            }
            Outcome::VariablesLost(names) => {
                self.refuse(RefusalReason::VariablesLost { names }, commands);
            }
            Outcome::Abandoned { .. } if interrupted => {
                self.fail(failure::interrupted(&self.identity, Left::All), commands);
            }
            Outcome::Abandoned { status } => {
                self.fail(failure::died(&self.identity, &status, Left::All), commands);
            }
            Outcome::Died { .. } if interrupted => {
                self.fail(
                    failure::interrupted(&self.identity, Left::Nothing),
                    commands,
                );
            }
            Outcome::Died { status } => {
                self.fail(
                    failure::died(&self.identity, &status, Left::Nothing),
                    commands,
                );
            }
        }
    }

    fn complete(&mut self, commands: &mut Vec<Command>) {
        let Some(current) = self.current.take() else {
            return;
        };
        let content = json!({
            "status": "ok",
            "execution_count": self.execution_count,
            "user_expressions": {},
            "payload": [],
        });
        let metadata = self.metadata(&current.request, "ok", current.started, None);
        self.reply(current.request, content, metadata, commands);
    }

    /// The current cell failed.
    pub(super) fn fail(&mut self, failure: Failure, commands: &mut Vec<Command>) {
        let Some(current) = self.current.take() else {
            return;
        };
        let content = failure.content(&self.identity, "execute", self.execution_count);
        if !current.silent {
            commands.push(Command::Publish {
                parent: Some(current.request.header.clone()),
                publication: Publication::Error(content.clone()),
            });
        }
        let metadata = self.metadata(&current.request, "error", current.started, None);
        self.reply(current.request, content, metadata, commands);
    }

    /// The current cell did not run.
    pub(super) fn refuse(&mut self, reason: RefusalReason, commands: &mut Vec<Command>) {
        let Some(current) = self.current.take() else {
            return;
        };
        if current.artifacts.is_some() && !current.silent {
            self.execution_count -= 1;
        }
        self.reply_with_refusal(current.request, reason, current.started, commands);
    }

    /// A cell that was not begun is refused.
    pub(super) fn reply_refused(
        &mut self,
        request: Request,
        reason: RefusalReason,
        now: Now,
        commands: &mut Vec<Command>,
    ) {
        self.reply_with_refusal(request, reason, now, commands);
    }

    fn reply_with_refusal(
        &mut self,
        request: Request,
        reason: RefusalReason,
        started: Now,
        commands: &mut Vec<Command>,
    ) {
        // ipyparallel's scheduler tries another engine when it reads `UnmetDependency`.
        let (ename, evalue) = match &reason {
            RefusalReason::StateMismatch => (
                "EngineError",
                format!("the cell was not compiled from state {}", self.state),
            ),
            RefusalReason::NeedArtifacts { artifacts } => (
                "UnmetDependency",
                format!("{} artifacts are not here", artifacts.len()),
            ),
            RefusalReason::VariablesLost { names } => (
                "VariablesLost",
                format!("the types of {} have changed", names.join(", ")),
            ),
        };
        let content =
            Failure::new(ename, evalue).content(&self.identity, "execute", self.execution_count);
        let metadata = self.metadata(&request, "error", started, Some(reason));
        self.reply(request, content, metadata, commands);
    }

    /// A request that cannot be served fails, without having run anything.
    pub(super) fn reply_failed(
        &mut self,
        request: Request,
        failure: &Failure,
        now: Now,
        commands: &mut Vec<Command>,
    ) {
        let method = match request.ask {
            Ask::Apply => "apply",
            _ => "execute",
        };
        let content = failure.content(&self.identity, method, self.execution_count);
        commands.push(Command::Publish {
            parent: Some(request.header.clone()),
            publication: Publication::Error(content.clone()),
        });
        let metadata = self.metadata(&request, "error", now, None);
        self.reply(request, content, metadata, commands);
    }

    /// A request is dropped before it began.
    pub(super) fn reply_aborted(
        &mut self,
        request: Request,
        now: Now,
        commands: &mut Vec<Command>,
    ) {
        status(&request, "busy", commands);
        let metadata = self.metadata(&request, "aborted", now, None);
        self.reply(request, json!({"status": "aborted"}), metadata, commands);
    }

    /// Replies, and lets `idle` follow.
    pub(super) fn reply(
        &mut self,
        request: Request,
        content: Value,
        metadata: Value,
        commands: &mut Vec<Command>,
    ) {
        let msg_type = request.header.msg_type.replace("_request", "_reply");
        let header = request.header.clone();
        commands.push(Command::Reply(Box::new(Reply {
            request,
            msg_type,
            content,
            metadata,
        })));
        commands.push(Command::Publish {
            parent: Some(header),
            publication: Publication::Status("idle"),
        });
    }

    /// ipyparallel's metadata of a reply, and ours.
    pub(super) fn metadata(
        &self,
        request: &Request,
        status: &str,
        started: Now,
        reason: Option<RefusalReason>,
    ) -> Value {
        let need = matches!(reason, Some(RefusalReason::NeedArtifacts { .. }));
        let failed = status == "error";
        let metadata = ReplyMetadata {
            started: Some(started),
            dependencies_met: !need,
            engine: Some(self.identity.uuid.clone()),
            status: status.to_owned(),
            engine_info: failed.then(|| self.identity.info("execute")),
            ..request.echo.clone()
        };
        let mut metadata = json!(metadata);
        metadata[PHALANX] = json!(Refusal {
            reason,
            state: self.state.clone(),
        });
        metadata
    }
}
