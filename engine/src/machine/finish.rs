//! The ends of a cell, and the replies that tell of them.

use super::event::{Command, Publication, Reply, Request};
use super::failure::{self, Failure, Left};
use super::work::{self, Work};
use super::{Ask, Machine, Now, status};
use phalanx_protocol::id::StateId;
use phalanx_protocol::parallel::{PHALANX, Refusal, RefusalReason, ReplyMetadata};
use phalanx_protocol::runtime::Outcome;
use phalanx_protocol::segment::SegmentRef;
use phalanx_transport::wire::Header;
use serde_json::{Value, json};

/// ipyparallel's scheduler tries another engine when it reads this name.
const UNMET: &str = "UnmetDependency";

/// As ipyparallel names it in errors.
fn method(request: &Request) -> &'static str {
    match request.ask {
        Ask::Apply { .. } => "apply",
        _ => "execute",
    }
}

impl Machine {
    /// The current cell has run, in one way or another.
    pub(super) fn ended(&mut self, outcome: Outcome, commands: &mut Vec<Command>) {
        let Some(current) = &self.current else {
            return;
        };
        let died = matches!(outcome, Outcome::Died { .. });
        let panicked = matches!(outcome, Outcome::Panicked(_));
        let library = current.work.library().filter(|_| panicked).cloned();
        let took = self.now - current.started;
        let took = (outcome == Outcome::Completed).then_some(took);
        self.ahead.took(&current.work, took);
        match &current.work {
            Work::Cell { cell, code, .. } => {
                if let Some(state) = StateId::after(&cell.next, &outcome) {
                    self.records.add(code, cell, state.clone(), &outcome);
                    self.state = state;
                }
                if died && current.clear {
                    self.forget_all();
                }
            }
            // A call leads to no state of its own, but takes all there is with it.
            Work::Call { .. } if died => self.forget_all(),
            Work::Call { call, .. } if outcome == Outcome::Completed => {
                self.records.push(&call.pushes);
            }
            Work::Call { .. } => {}
        }
        if died {
            self.lose_ahead(commands);
            self.runtime = super::RuntimeState::Awaited;
        }
        match outcome {
            Outcome::Completed | Outcome::Returned => self.complete(commands),
            Outcome::Panicked(panic) => {
                let panic = match library {
                    Some(library) => panic.of_library(library.as_str()),
                    None => panic,
                };
                self.fail(failure::panicked(panic), commands);
            }
            Outcome::Errored {
                message, failure, ..
            } => {
                self.fail(failure::errored(message, failure.as_deref()), commands);
            }
            Outcome::VariablesLost(names) => {
                self.refuse(RefusalReason::VariablesLost { names }, commands);
            }
            Outcome::Abandoned { status } => self.stopped(&status, Left::All, commands),
            Outcome::Died { status } => self.stopped(&status, Left::Nothing, commands),
        }
    }

    /// The namespace is empty.
    pub(super) fn forget_all(&mut self) {
        self.state = StateId::empty();
        self.records.clear();
    }

    /// The process that ran the current cell has ended.
    fn stopped(&mut self, status: &str, left: Left, commands: &mut Vec<Command>) {
        let Some(current) = &self.current else {
            return;
        };
        let what = current.work.noun();
        let failure = if current.interrupted {
            failure::interrupted(&self.identity, what, left)
        } else {
            failure::died(&self.identity, what, status, left)
        };
        self.fail(failure, commands);
    }

    fn complete(&mut self, commands: &mut Vec<Command>) {
        if let Some(failure) = self.current.as_ref().and_then(|c| work::raised(&c.work)) {
            self.fail(failure, commands);
            return;
        }
        let Some(current) = self.current.take() else {
            return;
        };
        if let Work::Call { value, .. } = current.work {
            // What has to be taken over by its client goes alone.
            if current.request.batched && SegmentRef::from_bytes(&value).is_none() {
                let times = (current.started, self.now);
                let (request, output) = (current.request, current.published);
                self.hold(request, times, output, value, commands);
                return;
            }
            let request = current.request;
            let mut metadata = self.metadata(&request, "ok", current.started, None);
            let settled = request.is_quiet() && !current.published;
            if settled {
                metadata[PHALANX] = json!(Refusal {
                    reason: None,
                    state: self.state.clone(),
                    settled,
                });
            }
            let header = request.header.clone();
            commands.push(Command::Reply(Box::new(Reply {
                msg_type: "apply_reply".to_owned(),
                request,
                content: json!({"status": "ok"}),
                metadata,
                buffers: vec![value],
            })));
            if !settled {
                idle(header, commands);
            }
            return;
        }
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
        let method = current.work.method();
        let content = failure.content(&self.identity, method, self.execution_count);
        if !matches!(current.work, Work::Cell { silent: true, .. }) {
            commands.push(Command::Publish {
                parent: Some(current.request.header.clone()),
                publication: Publication::Error(content.clone()),
            });
        }
        let mut metadata = self.metadata(&current.request, "error", current.started, None);
        if failure.ename == UNMET {
            metadata["dependencies_met"] = json!(false);
        }
        self.reply(current.request, content, metadata, commands);
    }

    /// The current cell did not run.
    pub(super) fn refuse(&mut self, reason: RefusalReason, commands: &mut Vec<Command>) {
        let Some(current) = self.current.take() else {
            return;
        };
        if current.artifacts.is_some() && !current.work.is_silent() {
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
        let (ename, evalue) = match &reason {
            RefusalReason::StateMismatch => (
                "EngineError",
                format!("the cell was not compiled from state {}", self.state),
            ),
            RefusalReason::NeedArtifacts { artifacts } => {
                (UNMET, format!("{} artifacts are not here", artifacts.len()))
            }
            RefusalReason::VariablesLost { names } => (
                "VariablesLost",
                format!("the types of {} have changed", names.join(", ")),
            ),
        };
        let content = Failure::new(ename, evalue).content(
            &self.identity,
            method(&request),
            self.execution_count,
        );
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
        let content = failure.content(&self.identity, method(&request), self.execution_count);
        commands.push(Command::Publish {
            parent: Some(request.header.clone()),
            publication: Publication::Error(content.clone()),
        });
        let metadata = self.metadata(&request, "error", now, None);
        self.reply(request, content, metadata, commands);
    }

    /// A task is not for this engine, but may be for another: a scheduler moves on.
    pub(super) fn reply_unmet(
        &mut self,
        request: Request,
        failure: &Failure,
        now: Now,
        commands: &mut Vec<Command>,
    ) {
        let content = failure.content(&self.identity, method(&request), self.execution_count);
        let mut metadata = self.metadata(&request, "error", now, None);
        metadata["dependencies_met"] = json!(false);
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
            buffers: Vec::new(),
        })));
        idle(header, commands);
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
            engine_info: failed.then(|| self.identity.info(method(request))),
            ..request.echo.clone()
        };
        let mut metadata = json!(metadata);
        metadata[PHALANX] = json!(Refusal {
            reason,
            state: self.state.clone(),
            settled: false,
        });
        metadata
    }
}

/// Nothing of a request follows.
pub(super) fn idle(header: Header, commands: &mut Vec<Command>) {
    commands.push(Command::Publish {
        parent: Some(header),
        publication: Publication::Status("idle"),
    });
}
