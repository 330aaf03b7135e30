//! The actor of the evaluator for engines: passes requests and the evaluator's events to the state,
//! performs its commands, and shows cargo's progress.

use super::CompilerRequest;
use super::lineage::Lineages;
use super::state::{
    CompileJob, CompileJobId, CompileJobResult, CompilerCommand, CompilerEvent, CompilerState,
};
use super::{Compilation, error::CompilerError};
use crate::context::build::BuildProgress;
use crate::context::{CellContext, Programs};
use crate::parallel::artifacts::Artifacts;
use crate::report::{Notice, notice};
use phalanx_evaluator::{Evaluator, EvaluatorMessage};
use phalanx_protocol::evaluator::NamespaceKind;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::output::StreamName;
use phalanx_transport::until;
use std::collections::{HashMap, VecDeque};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// Serves requests until the last handle is dropped.
pub(super) async fn run(
    programs: Programs,
    artifacts: Artifacts,
    mut requests: mpsc::UnboundedReceiver<CompilerRequest>,
) {
    let mut state = CompilerState::new();
    let mut actor = CompilerActor {
        programs,
        artifacts,
        process: None,
        jobs: HashMap::new(),
        next_job: 0,
        watched: None,
        build: None,
    };
    loop {
        let event = match actor.next(&mut requests).await {
            CompilerInput::Request(None) => return,
            CompilerInput::Request(Some(request)) => actor.event_for(request, state.lineages()),
            CompilerInput::Message(message) => actor.message(message).await,
            CompilerInput::Abandoned => {
                actor.watched = None;
                Some(CompilerEvent::Interrupt)
            }
            CompilerInput::Tick => {
                actor.tick().await;
                None
            }
        };
        if let Some(event) = event {
            actor.perform_all(&mut state, event).await;
        }
    }
}

struct CompilerActor {
    programs: Programs,
    artifacts: Artifacts,
    process: Option<(Evaluator, mpsc::UnboundedReceiver<EvaluatorMessage>)>,
    jobs: HashMap<CompileJobId, RequestedJob>,
    next_job: u64,
    /// The current job, until its requester has dropped its request.
    watched: Option<CompileJobId>,
    /// The progress of the current job's builds, and the cell that shows it.
    build: Option<(CellContext, BuildProgress)>,
}

/// A job, the cell that waits for it, and the receiver of its result.
struct RequestedJob {
    context: Option<CellContext>,
    reply: JobReply,
}

enum JobReply {
    Compilation(oneshot::Sender<Result<Compilation, Failure>>),
    Adopted(oneshot::Sender<Result<(), Failure>>),
    Added(oneshot::Sender<Result<(), Failure>>),
    /// Nothing waits for it; a failure is logged.
    Log,
}

enum CompilerInput {
    Request(Option<CompilerRequest>),
    Message(Option<EvaluatorMessage>),
    /// The requester of the current job has dropped its request.
    Abandoned,
    Tick,
}

impl JobReply {
    /// Waits until the requester has dropped a request that is no longer needed then. Cancel safe.
    async fn abandoned(&mut self) {
        match self {
            Self::Compilation(reply) => reply.closed().await,
            Self::Adopted(reply) => reply.closed().await,
            Self::Added(_) | Self::Log => std::future::pending().await,
        }
    }
}

impl CompilerActor {
    /// Waits for the next input. Cancel safe.
    async fn next(
        &mut self,
        requests: &mut mpsc::UnboundedReceiver<CompilerRequest>,
    ) -> CompilerInput {
        let message = async {
            match &mut self.process {
                Some((_, messages)) => messages.recv().await,
                None => std::future::pending().await,
            }
        };
        let watched = self.watched.and_then(|job| self.jobs.get_mut(&job));
        let abandoned = async {
            match watched {
                Some(job) => job.reply.abandoned().await,
                None => std::future::pending().await,
            }
        };
        let due = self.build.as_ref().and_then(|(_, build)| build.due());
        tokio::select! {
            request = requests.recv() => CompilerInput::Request(request),
            message = message => CompilerInput::Message(message),
            () = abandoned => CompilerInput::Abandoned,
            () = until(due) => CompilerInput::Tick,
        }
    }

    /// Returns the event of a request; replies at once to one that no compiler is needed for.
    fn event_for(
        &mut self,
        request: CompilerRequest,
        lineages: &Lineages,
    ) -> Option<CompilerEvent> {
        // All replies: the requesting cell may have been interrupted.
        let (job, context, reply) = match request {
            CompilerRequest::Variables { state, reply } => {
                let _ = reply.send(lineages.variables(&state));
                return None;
            }
            CompilerRequest::HasState { state, reply } => {
                let _ = reply.send(lineages.uncompiled(&state).is_ok());
                return None;
            }
            CompilerRequest::Defines {
                states,
                name,
                reply,
            } => {
                let mut states = states.iter();
                let _ = reply.send(states.any(|state| lineages.defines(state, &name)));
                return None;
            }
            CompilerRequest::Sources { state, reply } => {
                let _ = reply.send(lineages.sources(&state));
                return None;
            }
            CompilerRequest::Warm => (CompileJob::Warm, None, JobReply::Log),
            CompilerRequest::Compile {
                task,
                context,
                reply,
            } => {
                let reply = JobReply::Compilation(reply);
                (CompileJob::Compile(task), context, reply)
            }
            CompilerRequest::AddDependency {
                spec,
                context,
                reply,
            } => {
                let reply = JobReply::Added(reply);
                (CompileJob::AddDependency(spec), Some(context), reply)
            }
            CompilerRequest::Adopt {
                lineage,
                context,
                reply,
            } => {
                let reply = JobReply::Adopted(reply);
                (CompileJob::Adopt(lineage), context, reply)
            }
        };
        self.next_job += 1;
        let id = CompileJobId(self.next_job);
        let has_cell = context.is_some();
        self.jobs.insert(id, RequestedJob { context, reply });
        Some(CompilerEvent::Job { id, job, has_cell })
    }

    async fn message(&mut self, message: Option<EvaluatorMessage>) -> Option<CompilerEvent> {
        match message {
            Some(EvaluatorMessage::Event(event)) => Some(CompilerEvent::Evaluator(event)),
            Some(EvaluatorMessage::Progress(line)) => {
                self.progress(&line).await;
                None
            }
            Some(EvaluatorMessage::Exited {
                status,
                last_output,
            }) => {
                self.process = None;
                Some(CompilerEvent::Exited {
                    status,
                    last_output,
                })
            }
            None => {
                self.process = None;
                Some(CompilerEvent::Exited {
                    status: "unknown status".to_owned(),
                    last_output: String::new(),
                })
            }
        }
    }

    /// Performs the commands that follow from an event, and those that follow from their results.
    async fn perform_all(&mut self, state: &mut CompilerState, event: CompilerEvent) {
        let mut commands = VecDeque::from(state.handle(event));
        while let Some(command) = commands.pop_front() {
            if let Some(event) = self.perform(command).await {
                commands.extend(state.handle(event));
            }
        }
    }

    async fn perform(&mut self, command: CompilerCommand) -> Option<CompilerEvent> {
        match command {
            CompilerCommand::Begin(job) => {
                self.watched = Some(job);
                self.begin_build(job);
            }
            CompilerCommand::StartEvaluator => {
                let config = self.programs.evaluator(NamespaceKind::Engines);
                match Evaluator::start(config).await {
                    Ok(process) => self.process = Some(process),
                    Err(error) => {
                        let failure = CompilerError::from(error).into();
                        return Some(CompilerEvent::NotStarted(failure));
                    }
                }
            }
            CompilerCommand::KillEvaluator => self.process = None,
            CompilerCommand::InterruptEvaluator => {
                if let Some((evaluator, _)) = &self.process {
                    evaluator.interrupt();
                }
            }
            CompilerCommand::Send(request) => {
                if let Some((evaluator, _)) = &self.process {
                    evaluator.send(request);
                }
            }
            CompilerCommand::ReadArtifacts { libstd, library } => {
                let needed = self.artifacts.of(&libstd, &library).await;
                let needed = needed.map(|needed| needed.to_vec());
                return Some(CompilerEvent::ArtifactsRead(needed.map_err(Failure::from)));
            }
            CompilerCommand::RecordForeignCell(count, source) => {
                self.artifacts.record_foreign_cell(count, source);
            }
            CompilerCommand::Finish {
                job,
                result,
                notices,
            } => {
                self.end_build(result.is_ok(), &notices).await;
                self.reply(job, result);
            }
        }
        None
    }

    fn reply(&mut self, job: CompileJobId, result: Result<CompileJobResult, Failure>) {
        let Some(job) = self.jobs.remove(&job) else {
            return;
        };
        // All replies: the requesting cell may have been interrupted.
        match (job.reply, result) {
            (JobReply::Compilation(reply), Ok(CompileJobResult::Compiled(compilation))) => {
                let _ = reply.send(Ok(*compilation));
            }
            (JobReply::Compilation(reply), Err(failure)) => drop(reply.send(Err(failure))),
            (JobReply::Adopted(reply) | JobReply::Added(reply), result) => {
                drop(reply.send(result.map(drop)));
            }
            (JobReply::Log, Err(failure)) => {
                tracing::warn!(?failure, "the evaluator for engines did not start");
            }
            (JobReply::Log, Ok(_)) => {}
            (JobReply::Compilation(_), Ok(CompileJobResult::Done)) => {
                tracing::error!("a compiled cell was lost");
            }
        }
    }

    fn begin_build(&mut self, job: CompileJobId) {
        let context = self.jobs.get(&job).and_then(|job| job.context.clone());
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

    async fn end_build(&mut self, done: bool, notices: &[Notice]) {
        let Some((context, build)) = self.build.take() else {
            return;
        };
        if let Some(output) = build.finish(done, Instant::now()) {
            context.sink().output(output).await;
        }
        for pending in notices {
            let text = notice(pending);
            context.sink().text(StreamName::Stderr, text).await;
        }
    }
}
