//! The actor of the evaluator for engines: handles one request at a time, and restarts the
//! evaluator, with all its dependencies, when it dies.

use super::error::CompilerError;
use super::lineage::{Lineages, StateOrigin};
use super::{Compilation, CompileTask, CompilerRequest};
use crate::context::build::{BuildProgress, at};
use crate::context::{CellContext, CellName, Programs};
use crate::parallel::artifacts::Artifacts;
use crate::report::{Notice, notice};
use phalanx_evaluator::{Evaluator, EvaluatorNotice};
use phalanx_protocol::evaluator::{
    Compiled, EvaluatorEvent, EvaluatorReply, EvaluatorRequest, NamespaceKind, RequestId, Toolchain,
};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::{DependenciesId, StateId};
use phalanx_protocol::output::StreamName;
use phalanx_protocol::parallel::{Dependencies, Package};
use phalanx_protocol::runtime::Outcome;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;

pub(super) async fn run(
    programs: Programs,
    artifacts: Artifacts,
    requests: mpsc::UnboundedReceiver<CompilerRequest>,
) {
    let mut actor = CompilerActor {
        programs,
        requests,
        waiting: VecDeque::new(),
        closed: false,
        process: None,
        lineages: Lineages::new(),
        dependencies: Vec::new(),
        request_count: 0,
        artifacts,
        described: describe(Dependencies::default()),
        build: None,
        refused: Vec::new(),
        pending_notices: Vec::new(),
    };
    while let Some(request) = actor.next_request().await {
        actor.handle(request).await;
    }
}

pub(super) struct CompilerActor {
    programs: Programs,
    requests: mpsc::UnboundedReceiver<CompilerRequest>,
    /// Requests that arrived while another was being handled.
    waiting: VecDeque<CompilerRequest>,
    closed: bool,
    process: Option<Process>,
    pub(super) lineages: Lineages,
    /// The dependencies that a new evaluator adds first.
    dependencies: Vec<String>,
    request_count: u64,
    pub(super) artifacts: Artifacts,
    /// The dependencies with which cells are compiled, once the evaluator has reported them.
    described: Arc<(DependenciesId, Dependencies)>,
    /// The progress of a build, and the cell that waits for it.
    build: Option<(CellContext, BuildProgress)>,
    /// The dependencies of other clients that cannot be built here.
    pub(super) refused: Vec<String>,
    /// Notices for the next cell that waits for the compiler.
    pending_notices: Vec<Notice>,
}

struct Process {
    evaluator: Evaluator,
    notices: mpsc::UnboundedReceiver<EvaluatorNotice>,
    toolchain: Toolchain,
}

/// The reason why the evaluator has not replied.
pub(super) enum NoAnswer {
    /// The evaluator has ended.
    Gone(Failure),
    /// The kernel is ending.
    Closing,
}

enum CompilerInput {
    Request(Option<CompilerRequest>),
    Notice(Option<EvaluatorNotice>),
    Tick,
}

impl CompilerActor {
    async fn next_request(&mut self) -> Option<CompilerRequest> {
        match self.waiting.pop_front() {
            Some(request) => Some(request),
            None if self.closed => None,
            None => self.requests.recv().await,
        }
    }

    async fn handle(&mut self, request: CompilerRequest) {
        match request {
            known @ (CompilerRequest::Interrupt
            | CompilerRequest::Variables { .. }
            | CompilerRequest::HasState { .. }
            | CompilerRequest::Moved { .. }
            | CompilerRequest::Sources { .. }) => drop(self.answer_known(known)),
            CompilerRequest::Adopt {
                lineage,
                context,
                reply,
            } => {
                self.begin_build(context);
                let result = self.adopt(*lineage).await;
                self.end_build(result.is_ok()).await;
                let _ = reply.send(result);
            }
            CompilerRequest::Warm => {
                // A failure is not reported if the kernel is ending.
                if let Err(failure) = self.ready().await
                    && !self.closed
                {
                    tracing::warn!(?failure, "the evaluator for engines did not start");
                }
            }
            CompilerRequest::Compile {
                task,
                context,
                reply,
            } => {
                self.begin_build(context);
                let result = self.compile(&task).await;
                self.end_build(result.is_ok()).await;
                // The requesting cell may have been interrupted.
                let _ = reply.send(result);
            }
            CompilerRequest::AddDependency {
                spec,
                context,
                reply,
            } => {
                self.begin_build(Some(context));
                self.refused.retain(|refused| *refused != spec);
                let result = self.add_dependency(spec).await;
                self.end_build(result.is_ok()).await;
                let _ = reply.send(result);
            }
        }
    }

    /// Compiles a cell, on a second evaluator if the first one dies.
    async fn compile(&mut self, task: &CompileTask) -> Result<Compilation, Failure> {
        match self.try_compile(task).await {
            Ok(result) => result,
            Err(NoAnswer::Closing) => Err(super::ending()),
            Err(NoAnswer::Gone(_)) => match self.try_compile(task).await {
                Ok(result) => result,
                Err(NoAnswer::Closing) => Err(super::ending()),
                Err(NoAnswer::Gone(failure)) => Err(failure),
            },
        }
    }

    async fn try_compile(
        &mut self,
        task: &CompileTask,
    ) -> Result<Result<Compilation, Failure>, NoAnswer> {
        let toolchain = match self.ready().await {
            Ok(toolchain) => toolchain,
            Err(failure) => return Ok(Err(failure)),
        };
        let missing = match self.lineages.missing(&task.base) {
            Ok(missing) => missing,
            Err(unknown) => return Ok(Err(CompilerError::from(unknown).into())),
        };
        for (state, origin) in missing {
            if let Err(failure) = self.repeat(state, origin, &[]).await? {
                return Ok(Err(failure));
            }
        }
        let next = StateId::fresh();
        let origin = StateOrigin {
            base: task.base.clone(),
            source: task.source.clone(),
            cell: CellName::Own(task.execution_count),
            types: None,
            outcome: if task.lost.is_empty() {
                Outcome::Completed
            } else {
                Outcome::VariablesLost(task.lost.clone())
            },
        };
        let compiled = match self.step(next.clone(), origin, &[]).await? {
            Ok(compiled) => compiled,
            Err(failure) => return Ok(Err(failure)),
        };
        let mut artifacts = Vec::new();
        if let Some(cell) = &compiled.cell {
            let hashed = self.artifacts.of(&toolchain.libstd, &cell.artifact).await;
            match hashed {
                Ok(needed) => artifacts = needed.to_vec(),
                Err(error) => return Ok(Err(error.into())),
            }
        }
        let misfits = self
            .lineages
            .misfits(&task.base, &task.source, &compiled.misfits);
        Ok(Ok(Compilation {
            misfits,
            base: task.base.clone(),
            next,
            cell: compiled.cell,
            toolchain,
            artifacts,
            execution_count: task.execution_count,
            lost: task.lost.clone(),
            types: compiled.types,
            unchanged: compiled.unchanged,
            dependencies: Arc::clone(&self.described),
        }))
    }

    /// Compiles the cell that leads to state `next`; `rebuilt` are crates of its base that differ
    /// here.
    pub(super) async fn step(
        &mut self,
        next: StateId,
        origin: StateOrigin,
        rebuilt: &[String],
    ) -> Result<Result<Compiled, Failure>, NoAnswer> {
        let answer = self
            .request(|id| EvaluatorRequest::Compile {
                id,
                source: origin.source.to_string(),
                base: origin.base.clone(),
                next: next.clone(),
                outcome: origin.outcome.clone(),
                rebuilt: rebuilt.to_vec(),
                types: origin.types.clone(),
            })
            .await?;
        Ok(match answer {
            Ok(EvaluatorReply::Compiled(mut compiled)) => {
                self.describe(compiled.packages.take());
                let origin = StateOrigin {
                    types: Some(compiled.types.clone()),
                    ..origin
                };
                let names = compiled.variables.iter().map(|(name, _)| name.clone());
                self.lineages
                    .add(next.clone(), origin, names.collect(), &compiled.moved);
                if let Some(cell) = &compiled.cell {
                    self.lineages.leave_out(&next, cell);
                }
                Ok(*compiled)
            }
            Ok(other) => Err(CompilerError::Answer(Box::new(other)).into()),
            Err(failure) => {
                let failure = self.lineages.explain(&origin.base, failure);
                if matches!(failure, Failure::Compile { .. }) {
                    self.lineages.not_compiled(&origin);
                }
                Err(failure)
            }
        })
    }

    /// Records the dependencies with which a cell was compiled; `packages` are given if they have
    /// changed. A crate that is among them already changes the arguments of `:dep` alone.
    fn describe(&mut self, packages: Option<Vec<Package>>) {
        let (_, described) = &*self.described;
        if packages.is_none() && described.specs == self.dependencies {
            return;
        }
        self.described = describe(Dependencies {
            specs: self.dependencies.clone(),
            packages: packages.unwrap_or_else(|| described.packages.clone()),
        });
    }

    /// Adds a notice for the next cell that waits for the compiler.
    pub(super) fn add_notice(&mut self, notice: Notice) {
        if !self.pending_notices.contains(&notice) {
            self.pending_notices.push(notice);
        }
    }

    /// Returns the arguments of `:dep`, in order.
    pub(super) fn dependencies(&self) -> &[String] {
        &self.dependencies
    }

    /// Drops the evaluator and returns its dependencies; the next one starts without any.
    pub(super) fn forget_dependencies(&mut self) -> Vec<String> {
        self.process = None;
        std::mem::take(&mut self.dependencies)
    }

    /// Adds a dependency to the next evaluator that this one could not add.
    pub(super) fn keep_dependency(&mut self, spec: String) {
        self.dependencies.push(spec);
    }

    /// Returns the dependencies with which cells are compiled.
    pub(super) fn described(&self) -> &Dependencies {
        &self.described.1
    }

    pub(super) async fn add_dependency(&mut self, spec: String) -> Result<(), Failure> {
        if self.dependencies.contains(&spec) {
            return Ok(());
        }
        if self.process.is_none() {
            // An evaluator that is not running yet adds it when it starts.
            self.dependencies.push(spec);
            return Ok(());
        }
        let answer = self
            .request(|id| EvaluatorRequest::AddDependency {
                id,
                spec: spec.clone(),
            })
            .await;
        match answer {
            Ok(Ok(_)) => {
                self.dependencies.push(spec);
                Ok(())
            }
            Ok(Err(failure)) | Err(NoAnswer::Gone(failure)) => Err(failure),
            Err(NoAnswer::Closing) => Err(super::ending()),
        }
    }

    /// Returns the toolchain of the evaluator, which is started if necessary.
    pub(super) async fn ready(&mut self) -> Result<Toolchain, Failure> {
        if let Some(process) = &self.process {
            return Ok(process.toolchain.clone());
        }
        self.lineages.forget_compiled();
        let config = self.programs.evaluator(NamespaceKind::Engines);
        let (evaluator, notices) = Evaluator::start(config)
            .await
            .map_err(CompilerError::from)?;
        self.process = Some(Process {
            evaluator,
            notices,
            toolchain: Toolchain::default(),
        });
        let toolchain = loop {
            match self.receive().await {
                Ok(EvaluatorEvent::Ready(toolchain)) => break toolchain,
                Ok(EvaluatorEvent::StartFailed { failure }) => {
                    self.process = None;
                    return Err(failure);
                }
                Ok(_) => {}
                Err(NoAnswer::Gone(failure)) => return Err(failure),
                Err(NoAnswer::Closing) => {
                    self.process = None;
                    return Err(super::ending());
                }
            }
        };
        if let Some(process) = &mut self.process {
            process.toolchain = toolchain.clone();
        }
        for spec in self.dependencies.clone() {
            let added = self
                .request(|id| EvaluatorRequest::AddDependency { id, spec })
                .await;
            match added {
                Ok(Ok(_)) => {}
                Ok(Err(failure)) | Err(NoAnswer::Gone(failure)) => {
                    self.process = None;
                    return Err(failure);
                }
                Err(NoAnswer::Closing) => return Err(super::ending()),
            }
        }
        Ok(toolchain)
    }

    /// Sends a request and waits for its reply.
    async fn request(
        &mut self,
        request: impl FnOnce(RequestId) -> EvaluatorRequest,
    ) -> Result<Result<EvaluatorReply, Failure>, NoAnswer> {
        self.request_count += 1;
        let id = RequestId(self.request_count);
        if let Some(process) = &self.process {
            process.evaluator.send(request(id));
        }
        loop {
            match self.receive().await? {
                EvaluatorEvent::Answer { id: of, result } if of == id => return Ok(result),
                _ => {}
            }
        }
    }

    /// Waits for the next event of the evaluator; shows cargo's output and handles interrupts
    /// meanwhile.
    async fn receive(&mut self) -> Result<EvaluatorEvent, NoAnswer> {
        loop {
            let Some(process) = &mut self.process else {
                return Err(gone("no process", ""));
            };
            let due = self.build.as_ref().and_then(|(_, build)| build.due());
            let input = tokio::select! {
                request = self.requests.recv(), if !self.closed => CompilerInput::Request(request),
                notice = process.notices.recv() => CompilerInput::Notice(notice),
                () = at(due) => CompilerInput::Tick,
            };
            match input {
                CompilerInput::Request(None) => {
                    self.closed = true;
                    return Err(NoAnswer::Closing);
                }
                CompilerInput::Request(Some(CompilerRequest::Interrupt)) => {
                    process.evaluator.interrupt()
                }
                CompilerInput::Request(Some(request)) => self.defer(request),
                CompilerInput::Notice(Some(EvaluatorNotice::Event(event))) => return Ok(event),
                CompilerInput::Notice(Some(EvaluatorNotice::Progress(line))) => {
                    self.progress(&line).await
                }
                CompilerInput::Notice(Some(EvaluatorNotice::Exited {
                    status,
                    last_output,
                })) => {
                    self.process = None;
                    return Err(gone(status, last_output));
                }
                CompilerInput::Tick => self.tick().await,
                CompilerInput::Notice(None) => {
                    self.process = None;
                    return Err(gone("unknown status", ""));
                }
            }
        }
    }

    /// Answers a request that no compiler is needed for; returns any other.
    fn answer_known(&self, request: CompilerRequest) -> Option<CompilerRequest> {
        match request {
            CompilerRequest::Interrupt => {}
            CompilerRequest::Variables { state, reply } => {
                let _ = reply.send(self.lineages.variables(&state));
            }
            CompilerRequest::HasState { state, reply } => {
                let _ = reply.send(self.lineages.missing(&state).is_ok());
            }
            CompilerRequest::Moved { state, reply } => {
                let _ = reply.send(self.lineages.moved(&state));
            }
            CompilerRequest::Sources { state, reply } => {
                let _ = reply.send(self.lineages.sources(&state));
            }
            request => return Some(request),
        }
        None
    }

    /// Queues a request, unless it can be handled at once.
    fn defer(&mut self, request: CompilerRequest) {
        let request = self.answer_known(request);
        self.waiting.extend(request);
    }

    fn begin_build(&mut self, context: Option<CellContext>) {
        self.build = context.map(|context| {
            let id = uuid::Uuid::new_v4().to_string();
            (context, BuildProgress::new(id, Instant::now()))
        });
    }

    async fn progress(&mut self, line: &str) {
        if let Some((context, build)) = &mut self.build
            && let Some(output) = build.line(line, Instant::now())
        {
            context.sink().output(output).await;
        }
    }

    async fn tick(&mut self) {
        if let Some((context, build)) = &mut self.build
            && let Some(output) = build.tick(Instant::now())
        {
            context.sink().output(output).await;
        }
    }

    async fn end_build(&mut self, done: bool) {
        let Some((context, build)) = self.build.take() else {
            return;
        };
        if let Some(output) = build.finish(done, Instant::now()) {
            context.sink().output(output).await;
        }
        for pending in self.pending_notices.drain(..) {
            let text = notice(&pending);
            context.sink().text(StreamName::Stderr, text).await;
        }
    }
}

fn gone(status: impl Into<String>, last_output: impl Into<String>) -> NoAnswer {
    let ended = CompilerError::Ended {
        status: status.into(),
        last_output: last_output.into(),
    };
    NoAnswer::Gone(ended.into())
}

fn describe(dependencies: Dependencies) -> Arc<(DependenciesId, Dependencies)> {
    Arc::new((dependencies.id(), dependencies))
}
