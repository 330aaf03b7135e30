//! The decisions of an engine, without I/O and without a clock: event in, commands out.
//!
//! One cell runs at a time, in order of arrival; a client whose cell has to be compiled again comes next. Requests about the engine itself (abort, clear,
//! shutdown, signals, information) are replied to at once, even while a cell runs.

mod batch;
mod control;
mod event;
mod failure;
mod prefetch;
mod records;
mod reply;
mod segments;
#[cfg(test)]
mod tests;
mod turn;
mod work;

pub(crate) use event::{
    ArtifactFailure, BrokenArtifact, EngineCommand, EngineEvent, EngineIdentity,
    EngineRequestChannel, IncomingRequest, Now, OutgoingReply, Shipment,
};

pub(crate) use failure::RefusedHostCall;

use batch::HeldReplies;
use failure::EngineFailure;
use phalanx_protocol::evaluator::{CompiledCell, DroppedVariables};
use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::id::{ArtifactHash, MsgId, RunId, StateId};
use phalanx_protocol::output::Output;
use phalanx_protocol::parallel::{
    CallMetadata, EngineHandshake, EnginePublication, EngineRequest, EngineStatus, NotRunnable,
    RefusalReason,
};
use phalanx_protocol::payload::Payload;
use phalanx_protocol::runtime::Outcome;
use phalanx_runtime::FunctionCall;
use phalanx_transport::wire::Header;
use prefetch::PrefetchedCalls;
use records::StateRecords;
use segments::{KeptSegments, keeps_arguments};
use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use turn::KeptTurn;
use work::{TaskWork, WorkKind};

/// The state of an engine.
#[derive(Debug)]
pub(crate) struct Machine {
    identity: EngineIdentity,
    /// The constant part of the handshake.
    about: EngineHandshake,
    runtime: RuntimeState,
    state: StateId,
    /// The cells that led to the state.
    records: StateRecords,
    /// The compiler of the loaded code.
    abi: Option<String>,
    /// The loaded libraries other than cells.
    loaded: HashSet<ArtifactHash>,
    queue: VecDeque<IncomingRequest>,
    /// The turn kept for a client.
    turn: Option<KeptTurn>,
    /// Replies held back to be sent together.
    held: HeldReplies,
    segments: KeptSegments,
    /// The paths of the last call's artifacts, for other calls of its batch.
    found: Option<(Arc<CallMetadata>, Vec<PathBuf>)>,
    /// The time of the current event.
    now: Now,
    current: Option<AcceptedTask>,
    /// The last run, whose threads may still produce output.
    last: Option<Header>,
    /// True while no request is started, since the controller may have assigned them to other
    /// engines.
    away: bool,
    prefetched: PrefetchedCalls,
    /// Aborted requests that have not arrived yet; they may be queued in the scheduler.
    aborted: VecDeque<MsgId>,
    execution_count: u32,
    runs: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RuntimeState {
    /// A start is pending, or the previous process is ending.
    Awaited,
    Up,
    /// The last start failed; the next cell attempts another one.
    Failed,
}

/// A cell or call whose turn has come: its artifacts are being found, it waits for the runtime, it
/// runs, or it is a prefetched call.
#[derive(Debug)]
struct AcceptedTask {
    request: IncomingRequest,
    work: TaskWork,
    run: RunId,
    started: Now,
    /// The paths of the artifacts, once found.
    artifacts: Option<Vec<PathBuf>>,
    /// True once it was sent to the runtime.
    running: bool,
    /// True if the user has interrupted it, or cleared the namespace under it.
    interrupted: bool,
    /// True if its process is being killed to clear the namespace: its end leaves the empty state.
    clear: bool,
    /// True if it was aborted after it was prefetched.
    dropped: bool,
    /// True if it has published output.
    published: bool,
}

/// The largest number of aborted requests remembered before they arrive.
const MAX_ABORTED: usize = 4096;

impl Machine {
    /// Creates an engine whose runtime is starting.
    pub fn new(identity: EngineIdentity, about: EngineHandshake) -> Self {
        Self {
            identity,
            about,
            runtime: RuntimeState::Awaited,
            state: StateId::empty(),
            records: StateRecords::default(),
            abi: None,
            loaded: HashSet::new(),
            queue: VecDeque::new(),
            turn: None,
            held: HeldReplies::default(),
            segments: KeptSegments::default(),
            found: None,
            now: Now::default(),
            current: None,
            last: None,
            away: false,
            prefetched: PrefetchedCalls::default(),
            aborted: VecDeque::new(),
            execution_count: 0,
            runs: 0,
        }
    }

    /// Handles an event and returns the commands to perform, in order.
    pub fn handle(&mut self, event: EngineEvent, now: Now) -> Vec<EngineCommand> {
        let mut commands = Vec::new();
        self.now = now;
        match event {
            EngineEvent::Batch(requests) => {
                for request in requests {
                    self.requested(request, &mut commands);
                }
            }
            EngineEvent::Flush => self.flush(&mut commands),
            // The next request is looked for below.
            EngineEvent::TurnOver => {}
            EngineEvent::Requested(request) if keeps_arguments(&request) => {
                commands.push(EngineCommand::KeepArguments(request));
            }
            EngineEvent::Requested(request) => self.requested(*request, &mut commands),
            EngineEvent::ArgumentsKept { request, kept } => {
                self.arguments_kept(*request, kept, &mut commands);
            }
            EngineEvent::ClientReached { client } => self.segments.reached(client),
            EngineEvent::Prepared { run, artifacts } => {
                self.prepared(run, artifacts, &mut commands);
            }
            EngineEvent::RuntimeStarted => {
                self.runtime = RuntimeState::Up;
                self.run(&mut commands);
            }
            EngineEvent::RuntimeFailed { message } => {
                self.runtime = RuntimeState::Failed;
                if self.current.is_some() {
                    let failure = EngineFailure::NoRuntime {
                        engine: self.identity.id,
                        reason: message,
                    };
                    self.fail(failure, &mut commands);
                }
            }
            EngineEvent::RuntimeOutput { run, output } => self.output(run, output, &mut commands),
            EngineEvent::RuntimeValue { run, value } => self.value(run, value),
            EngineEvent::RuntimeEnded { run, outcome } => {
                if self
                    .current
                    .as_ref()
                    .is_some_and(|c| c.run == run && c.running)
                {
                    self.ended(outcome, &mut commands);
                }
            }
            EngineEvent::RuntimeRecalled { run } => self.recalled(run, &mut commands),
            EngineEvent::RuntimeExited { status } => self.exited(status, &mut commands),
            EngineEvent::Interrupt => self.interrupt(&mut commands),
            EngineEvent::Away => self.away = true,
            EngineEvent::Back => self.away = false,
            EngineEvent::Rejoined(identity) => {
                self.identity = identity;
                self.away = false;
                self.held = HeldReplies::default();
                self.queue.clear();
                self.turn = None;
                self.drop_prefetched(&[], &mut commands);
            }
        }
        self.next(&mut commands);
        commands
    }

    /// Returns the current handshake.
    pub fn handshake(&self) -> EngineHandshake {
        EngineHandshake {
            rustc: self.abi.clone(),
            state: self.state.clone(),
            ..self.about.clone()
        }
    }

    fn requested(&mut self, request: IncomingRequest, commands: &mut Vec<EngineCommand>) {
        match &request.content {
            EngineRequest::Execute { .. } | EngineRequest::Apply(_) => {
                let msg_id = request.msg_id();
                if let Some(at) = self.aborted.iter().position(|id| *id == msg_id) {
                    self.aborted.remove(at);
                    self.reply_aborted(request, commands);
                } else {
                    self.queue.push_back(request);
                }
            }
            EngineRequest::ReleaseSegment(reference) => self.segments.released(reference),
            _ => self.control(request, commands),
        }
    }

    /// Starts the next cell, if none is running.
    fn next(&mut self, commands: &mut Vec<EngineCommand>) {
        while self.current.is_none() && !self.start_prefetched() {
            if self.away {
                return;
            }
            let Some(request) = self.next_request() else {
                return;
            };
            self.begin(request, commands);
        }
        self.prefetch(commands);
    }

    fn begin(&mut self, request: IncomingRequest, commands: &mut Vec<EngineCommand>) {
        if !request.is_quiet() {
            status(&request, EngineStatus::Busy, commands);
        }
        let (mut work, buffers) = match work::accept(request.content.clone()) {
            Some(Ok(accepted)) => accepted,
            Some(Err(reason)) => return self.decline(request, reason, commands),
            // The queue contains only cells and calls.
            None => return self.control(request, commands),
        };
        if let TaskWork::Cell { cell, .. } = &mut work {
            self.records.describe(&mut cell.record);
        }
        if let TaskWork::Cell { cell, .. } = &work
            && cell.base != self.state
        {
            self.keep_turn(&request);
            self.reply_refused(request, RefusalReason::StateMismatch, commands);
            return;
        }
        if let Some(loaded) = &self.abi
            && loaded != work.abi()
        {
            let failure = EngineFailure::OtherAbi {
                engine: self.identity.id,
                loaded: loaded.clone(),
                wanted: work.abi().to_owned(),
            };
            self.reply_failed(request, &failure, commands);
            return;
        }
        if let TaskWork::Cell { .. } = &work {
            self.take_turn(&request);
        }
        self.runs += 1;
        let run = RunId(self.runs);
        let shipment = work.shipment();
        let found = match (&work, &self.found) {
            (TaskWork::Call { call, args, .. }, Some((last, found)))
                if call.buffers.is_empty()
                    && args.segment().is_none()
                    && (Arc::ptr_eq(call, last) || call == last) =>
            {
                Some(found.clone())
            }
            _ => None,
        };
        self.current = Some(AcceptedTask {
            request,
            work,
            run,
            started: self.now,
            artifacts: None,
            running: false,
            interrupted: false,
            clear: false,
            dropped: false,
            published: false,
        });
        match found {
            Some(found) => self.prepared(run, Ok(found), commands),
            None => commands.push(EngineCommand::Prepare {
                run,
                shipment,
                buffers,
            }),
        }
    }

    /// Declines a request that this engine cannot run.
    fn decline(
        &mut self,
        request: IncomingRequest,
        reason: NotRunnable,
        commands: &mut Vec<EngineCommand>,
    ) {
        let kind = match request.content {
            EngineRequest::Apply(_) => WorkKind::Call,
            _ => WorkKind::Cell,
        };
        let failure = EngineFailure::not_runnable(self.identity.id, kind, reason);
        match request.channel {
            EngineRequestChannel::Task => self.reply_unmet(request, &failure, commands),
            _ => self.reply_failed(request, &failure, commands),
        }
    }

    fn prepared(
        &mut self,
        run: RunId,
        artifacts: Result<Vec<PathBuf>, ArtifactFailure>,
        commands: &mut Vec<EngineCommand>,
    ) {
        let Some(current) = self.current.as_mut().filter(|c| c.run == run) else {
            return;
        };
        match artifacts {
            Err(ArtifactFailure::Missing(artifacts)) => {
                self.refuse(RefusalReason::NeedArtifacts { artifacts }, commands);
            }
            Err(ArtifactFailure::Broken(error)) => {
                self.fail(EngineFailure::BrokenArtifact(error), commands);
            }
            Ok(_) if current.interrupted => {
                self.fail(EngineFailure::InterruptedBefore, commands);
            }
            Ok(artifacts) => {
                if let TaskWork::Call { call, .. } = &current.work {
                    self.found = Some((Arc::clone(call), artifacts.clone()));
                }
                current.artifacts = Some(artifacts);
                let publication = match &current.work {
                    TaskWork::Cell {
                        code,
                        silent: false,
                        ..
                    } => {
                        self.execution_count += 1;
                        Some(EnginePublication::Input {
                            code: code.clone(),
                            execution_count: self.execution_count,
                        })
                    }
                    // Other engines of this machine may be waiting for the arguments sent with it.
                    TaskWork::Call { call, .. } if !call.buffers.is_empty() => {
                        Some(EnginePublication::Kept(None))
                    }
                    _ => None,
                };
                commands.extend(publication.map(|publication| EngineCommand::Publish {
                    parent: Some(current.request.header.clone()),
                    publication,
                }));
                self.run(commands);
            }
        }
    }

    /// Runs the current cell once its artifacts and the runtime are available.
    fn run(&mut self, commands: &mut Vec<EngineCommand>) {
        let Some(current) = &mut self.current else {
            return;
        };
        let Some(artifacts) = &current.artifacts else {
            return;
        };
        if current.work.is_nothing() {
            self.ended(Outcome::Completed, commands);
            return;
        }
        match self.runtime {
            RuntimeState::Awaited => return,
            RuntimeState::Failed => {
                self.runtime = RuntimeState::Awaited;
                commands.push(EngineCommand::StartRuntime);
                return;
            }
            RuntimeState::Up => {}
        }
        let Some((artifact, libraries)) = artifacts.split_last() else {
            self.fail(EngineFailure::NoArtifact, commands);
            return;
        };
        // Two clients may have the same library at different paths.
        for (hash, library) in current.work.artifacts().iter().zip(libraries) {
            if self.loaded.insert(hash.clone()) {
                commands.push(EngineCommand::Load(library.clone()));
            }
        }
        self.abi = Some(current.work.abi().to_owned());
        current.running = true;
        if !current.request.batched {
            self.last = Some(current.request.header.clone());
        }
        let run = current.run;
        let artifact = artifact.clone();
        commands.push(match &current.work {
            TaskWork::Cell { cell, .. } => EngineCommand::Run {
                run,
                cell: CompiledCell {
                    dropped: DroppedVariables::default(),
                    artifact,
                    entry: cell.entry.clone().unwrap_or_default(),
                    has_result: cell.has_result,
                    lines: cell.lines.clone(),
                    unkept: Vec::new(),
                },
            },
            TaskWork::Call { call, args, .. } => EngineCommand::Call {
                run,
                call: FunctionCall {
                    artifact,
                    offset: call.offset.unwrap_or_default(),
                    args: args.clone(),
                },
            },
        });
    }

    /// Stores the return value of a call until its end.
    fn value(&mut self, run: RunId, given: Payload) {
        if let Some(current) = self.current.as_mut().filter(|c| c.run == run)
            && let TaskWork::Call { value, .. } = &mut current.work
        {
            *value = given;
        }
    }

    fn output(&mut self, run: Option<RunId>, output: Output, commands: &mut Vec<EngineCommand>) {
        let mut current = self.current.as_mut().filter(|c| Some(c.run) == run);
        if let Some(current) = &mut current {
            current.published = true;
        }
        let parent = current
            .as_ref()
            .map(|current| current.request.header.clone())
            .or_else(|| self.last.clone());
        let publication = match (output, current) {
            (Output::Result(_), Some(current)) if current.work.is_silent() => return,
            (Output::Result(data), _) => EnginePublication::Result {
                data,
                execution_count: self.execution_count,
            },
            (output, _) => EnginePublication::Output(output),
        };
        commands.push(EngineCommand::Publish {
            parent,
            publication,
        });
    }

    /// Handles the end of the runtime process, which also ends the current run.
    fn exited(&mut self, status: RuntimeExit, commands: &mut Vec<EngineCommand>) {
        if let Some(current) = &self.current
            && current.running
        {
            self.ended(Outcome::Died { status }, commands);
        } else if self.runtime == RuntimeState::Up {
            // It died between two cells, so no variables are left.
            self.reset_namespace();
        }
        self.forget_runtime();
        commands.push(EngineCommand::StartRuntime);
    }

    /// Records that nothing is loaded in the runtime.
    fn forget_runtime(&mut self) {
        self.runtime = RuntimeState::Awaited;
        self.abi = None;
        self.found = None;
        self.loaded.clear();
    }
}

fn status(request: &IncomingRequest, status: EngineStatus, commands: &mut Vec<EngineCommand>) {
    commands.push(EngineCommand::Publish {
        parent: Some(request.header.clone()),
        publication: EnginePublication::Status(status),
    });
}
