//! The actor of the local namespace: waits for events, passes them to the state, performs its
//! commands.

use super::state::{JobId, LocalCommand, LocalEvent, LocalState};
use super::{CellCall, LocalRequest};
use crate::context::build::BuildProgress;
use crate::context::{CellContext, MissingVariables, Programs};
use crate::report::{Notice, notice};
use crate::run::Environment;
use crate::run::error::CellError;
use phalanx_evaluator::{Evaluator, EvaluatorMessage};
use phalanx_protocol::evaluator::{EvaluatorReply, NamespaceKind, Toolchain};
use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::RunId;
use phalanx_protocol::output::StreamName;
use phalanx_runtime::{Runtime, RuntimeEvent};
use phalanx_transport::until;
use std::collections::{HashMap, VecDeque};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot, watch};

struct LocalActor {
    programs: Programs,
    environment: Environment,
    calls: mpsc::UnboundedSender<CellCall>,
    variables: watch::Sender<Vec<String>>,
    missing_variables: watch::Sender<MissingVariables>,
    toolchain: watch::Sender<Option<Toolchain>>,
    evaluator: Option<(Evaluator, mpsc::UnboundedReceiver<EvaluatorMessage>)>,
    runtime: Option<(Runtime, mpsc::Receiver<RuntimeEvent>)>,
    /// True or false if the user has turned snapshots on or off.
    snapshots: Option<bool>,
    jobs: HashMap<JobId, PendingJob>,
    next_job: u64,
    callbacks: HashMap<JobId, PendingCallback>,
    /// The latest run and its cell, which also receives the output of threads after its end.
    run: Option<(RunId, CellContext)>,
    /// The start of that run.
    began: Instant,
}

/// The state published to handles.
type PublishedState = (
    watch::Sender<Vec<String>>,
    watch::Sender<MissingVariables>,
    watch::Sender<Option<Toolchain>>,
);

/// An evaluation, and the receiver of its result.
struct PendingJob {
    context: Option<CellContext>,
    build: Option<BuildProgress>,
    reply: oneshot::Sender<Result<EvaluatorReply, Failure>>,
}

/// A run of callbacks, and the frontend's request that waits for it.
struct PendingCallback {
    context: CellContext,
    called: Option<oneshot::Sender<()>>,
}

enum LocalInput {
    Request(Option<LocalRequest>),
    Message(Option<EvaluatorMessage>),
    Runtime(Option<RuntimeEvent>),
    /// The elapsed time of a build is to be updated.
    Tick,
}

pub(super) async fn run(
    programs: Programs,
    environment: Environment,
    mut requests: mpsc::UnboundedReceiver<LocalRequest>,
    calls: mpsc::UnboundedSender<CellCall>,
    (variables, missing_variables, toolchain): PublishedState,
) {
    let mut actor = LocalActor {
        programs,
        environment,
        calls,
        variables,
        missing_variables,
        toolchain,
        evaluator: None,
        runtime: None,
        snapshots: None,
        jobs: HashMap::new(),
        next_job: 0,
        callbacks: HashMap::new(),
        run: None,
        began: Instant::now(),
    };
    let (mut state, commands) = LocalState::new();
    actor.perform_all(&mut state, commands).await;
    loop {
        let event = match actor.next(&mut requests).await {
            LocalInput::Request(None) => return,
            LocalInput::Request(Some(LocalRequest::Scope(reply))) => {
                // The receiver may have been dropped.
                let _ = reply.send(state.scope());
                None
            }
            LocalInput::Request(Some(request)) => actor.event_for(request),
            LocalInput::Message(message) => Some(actor.message(message)),
            LocalInput::Runtime(event) => actor.runtime(event).await,
            LocalInput::Tick => {
                actor.tick().await;
                None
            }
        };
        if let Some(event) = event {
            let commands = state.handle(event);
            actor.perform_all(&mut state, commands).await;
            actor.variables.send_if_modified(|names| {
                let changed = names != state.variables();
                if changed {
                    *names = state.variables().to_vec();
                }
                changed
            });
            actor.toolchain.send_if_modified(|known| {
                let changed = known.as_ref() != state.toolchain();
                if changed {
                    *known = state.toolchain().cloned();
                }
                changed
            });
            actor.missing_variables.send_if_modified(|missing| {
                let changed = missing != state.missing_variables();
                if changed {
                    missing.clone_from(state.missing_variables());
                }
                changed
            });
        }
    }
}

impl LocalActor {
    async fn next(&mut self, requests: &mut mpsc::UnboundedReceiver<LocalRequest>) -> LocalInput {
        let message = async {
            match &mut self.evaluator {
                Some((_, messages)) => messages.recv().await,
                None => std::future::pending().await,
            }
        };
        let event = async {
            match &mut self.runtime {
                Some((_, events)) => events.recv().await,
                None => std::future::pending().await,
            }
        };
        let builds = self.jobs.values().filter_map(|job| job.build.as_ref());
        let due = builds.filter_map(BuildProgress::due).min();
        tokio::select! {
            request = requests.recv() => LocalInput::Request(request),
            message = message => LocalInput::Message(message),
            event = event => LocalInput::Runtime(event),
            () = until(due) => LocalInput::Tick,
        }
    }

    fn event_for(&mut self, request: LocalRequest) -> Option<LocalEvent> {
        self.next_job += 1;
        let job = JobId(self.next_job);
        let (context, reply, event) = match request {
            LocalRequest::Interrupt => return Some(LocalEvent::Interrupt),
            LocalRequest::Scope(_) => return None,
            LocalRequest::Snapshots { on } => {
                self.snapshots = Some(on);
                self.with_runtime(|runtime| runtime.set_snapshots(on));
                return None;
            }
            LocalRequest::RunCallbacks { context, called } => {
                let called = Some(called);
                self.callbacks
                    .insert(job, PendingCallback { context, called });
                return Some(LocalEvent::RunCallbacks { job });
            }
            LocalRequest::Set(setting) => {
                self.with_runtime(|runtime| runtime.set(setting));
                return None;
            }
            LocalRequest::Evaluate {
                context,
                source,
                reply,
            } => {
                let cell = context.count();
                (
                    Some(context),
                    reply,
                    LocalEvent::Evaluate { job, cell, source },
                )
            }
        };
        let build = None;
        self.jobs.insert(
            job,
            PendingJob {
                context,
                build,
                reply,
            },
        );
        Some(event)
    }

    fn message(&mut self, message: Option<EvaluatorMessage>) -> LocalEvent {
        let message = message.unwrap_or(EvaluatorMessage::Exited {
            status: "unknown status".to_owned(),
            last_output: String::new(),
        });
        if matches!(message, EvaluatorMessage::Exited { .. }) {
            self.evaluator = None;
        }
        LocalEvent::Message(message)
    }

    async fn runtime(&mut self, event: Option<RuntimeEvent>) -> Option<LocalEvent> {
        match event {
            Some(RuntimeEvent::Output { run, output }) => {
                if let Some(context) = self.context(run) {
                    context.sink().output(output).await;
                }
                None
            }
            Some(RuntimeEvent::HostCall(call)) => {
                if let Some(context) = self.context(call.run).cloned() {
                    // Closed only when the kernel ends.
                    let _ = self.calls.send(CellCall { context, call });
                }
                None
            }
            // Functions are called on engines only.
            Some(RuntimeEvent::Value { .. } | RuntimeEvent::Recalled { .. }) => None,
            Some(RuntimeEvent::Ended { run, outcome }) => {
                if let Some(context) = self.context(Some(run)) {
                    context.timer().add(self.began.elapsed());
                }
                if let Some((runtime, _)) = &self.runtime {
                    self.environment.follow_folder(runtime.pid());
                }
                Some(LocalEvent::Ended { run, outcome })
            }
            Some(RuntimeEvent::Exited { status }) => {
                self.runtime = None;
                Some(LocalEvent::Exited { status })
            }
            None => {
                self.runtime = None;
                let status = RuntimeExit::Unknown;
                Some(LocalEvent::Exited { status })
            }
        }
    }

    /// Returns the cell that a run belongs to; output of threads that outlive their cell belongs to
    /// it until the next run.
    fn context(&self, run: Option<RunId>) -> Option<&CellContext> {
        let (last, context) = self.run.as_ref()?;
        run.is_none_or(|run| run == *last).then_some(context)
    }

    async fn perform_all(&mut self, state: &mut LocalState, commands: Vec<LocalCommand>) {
        let mut commands = VecDeque::from(commands);
        while let Some(command) = commands.pop_front() {
            if let Some(event) = self.perform(command).await {
                commands.extend(state.handle(event));
            }
        }
    }

    /// Performs a command; returns the event of its outcome, if that is known at once.
    async fn perform(&mut self, command: LocalCommand) -> Option<LocalEvent> {
        match command {
            LocalCommand::StartEvaluator => {
                // Drops and thereby ends an earlier evaluator.
                self.evaluator = None;
                match Evaluator::start(self.programs.evaluator(NamespaceKind::Local)).await {
                    Ok(started) => self.evaluator = Some(started),
                    Err(error) => {
                        let failure = CellError::EvaluatorStart(error).into();
                        return Some(LocalEvent::EvaluatorNotStarted(failure));
                    }
                }
            }
            // Drops and thereby ends an earlier runtime.
            LocalCommand::StartRuntime => match Runtime::start(self.programs.runtime()).await {
                Ok(started) => {
                    if let Some(on) = self.snapshots {
                        started.0.set_snapshots(on);
                    }
                    for setting in self.environment.settings() {
                        started.0.set(setting);
                    }
                    self.runtime = Some(started);
                    return Some(LocalEvent::RuntimeStarted);
                }
                Err(error) => {
                    let reason = error.to_string();
                    return Some(LocalEvent::RuntimeNotStarted { reason });
                }
            },
            LocalCommand::KillEvaluator => self.with_evaluator(Evaluator::kill),
            LocalCommand::InterruptEvaluator => self.with_evaluator(Evaluator::interrupt),
            LocalCommand::Send(request) => self.with_evaluator(|evaluator| evaluator.send(request)),
            LocalCommand::InterruptRuntime => self.with_runtime(Runtime::interrupt),
            LocalCommand::Load(library) => self.with_runtime(|runtime| runtime.load(library)),
            LocalCommand::Run { job, run, cell } => {
                self.end_build(job, true).await;
                if let Some(context) = self.jobs.get(&job).and_then(|job| job.context.clone()) {
                    self.run = Some((run, context));
                    self.began = Instant::now();
                }
                self.with_runtime(|runtime| runtime.run(run, cell));
            }
            LocalCommand::RunCallbacks { job, run } => {
                if let Some(pending) = self.callbacks.get(&job) {
                    self.run = Some((run, pending.context.clone()));
                }
                self.with_runtime(|runtime| runtime.run_callbacks(run));
            }
            LocalCommand::CallbacksCalled { job } => {
                if let Some(pending) = self.callbacks.get_mut(&job) {
                    // The session waits for it until the kernel ends.
                    pending.called.take().map(|called| called.send(()));
                }
            }
            LocalCommand::CallbacksEnded { job, failure } => {
                if let (Some(pending), Some(failure)) = (self.callbacks.remove(&job), failure) {
                    pending.context.sink().failure(failure).await;
                }
            }
            LocalCommand::Progress { job, line } => self.progress(job, &line).await,
            LocalCommand::ShowNotice { job, notice } => self.show_notice(job, &notice).await,
            LocalCommand::Reply { job, result } => {
                self.end_build(job, result.is_ok()).await;
                if let Some(job) = self.jobs.remove(&job) {
                    // The receiver may have been dropped.
                    let _ = job.reply.send(result);
                }
            }
        }
        None
    }

    fn with_evaluator(&self, act: impl FnOnce(&Evaluator)) {
        if let Some((evaluator, _)) = &self.evaluator {
            act(evaluator);
        }
    }

    fn with_runtime(&self, act: impl FnOnce(&Runtime)) {
        if let Some((runtime, _)) = &self.runtime {
            act(runtime);
        }
    }

    async fn progress(&mut self, id: JobId, line: &str) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let now = Instant::now();
        let build = job
            .build
            .get_or_insert_with(|| BuildProgress::new(uuid::Uuid::new_v4().to_string(), now));
        if let (Some(output), Some(context)) = (build.line(line, now), &job.context) {
            context.sink().output(output).await;
        }
    }

    async fn tick(&mut self) {
        let now = Instant::now();
        for job in self.jobs.values_mut() {
            let output = job.build.as_mut().and_then(|build| build.tick(now));
            if let (Some(output), Some(context)) = (output, &job.context) {
                context.sink().output(output).await;
            }
        }
    }

    async fn end_build(&mut self, id: JobId, done: bool) {
        if let Some(job) = self.jobs.get_mut(&id)
            && let Some(output) = job
                .build
                .take()
                .and_then(|build| build.finish(done, Instant::now()))
            && let Some(context) = &job.context
        {
            context.sink().output(output).await;
        }
    }

    async fn show_notice(&self, job: JobId, shown: &Notice) {
        if let Some(context) = self.jobs.get(&job).and_then(|job| job.context.as_ref()) {
            context.sink().text(StreamName::Stderr, notice(shown)).await;
        }
    }
}
