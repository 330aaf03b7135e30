//! The state of the local namespace: an evaluator and a runtime, each of which may fail, and the
//! log that is replayed to a new evaluator. Pure.

mod callbacks;
mod death;
mod event;
mod part;

pub use event::VisibleNames;
pub(super) use event::{JobId, LocalCommand, LocalEvent};

use crate::command::CommandHandler;
use crate::context::{CellName, MissingCause, MissingVariables, reported_unkept};
use crate::report::Notice;
use callbacks::Callbacks;
use part::{Attempt, CurrentCell, EvaluatorState, LoggedCell, Phase, RuntimeState, WaitingCell};
use phalanx_evaluator::EvaluatorMessage;
use phalanx_protocol::evaluator::{
    CompiledCell, DroppedVariables, EvaluatorEvent, EvaluatorReply, EvaluatorRequest, RequestId,
    Toolchain,
};
use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::RunId;
use phalanx_protocol::runtime::Outcome;
use std::collections::{HashMap, VecDeque};

/// The state of the local namespace.
#[derive(Debug)]
pub(super) struct LocalState {
    evaluator: EvaluatorState,
    runtime: RuntimeState,
    toolchain: Option<Toolchain>,
    waiting: VecDeque<WaitingCell>,
    current: Option<CurrentCell>,
    log: Vec<LoggedCell>,
    variables: Vec<String>,
    /// The types of variables after the last cell that changed any.
    types: HashMap<String, String>,
    missing_variables: MissingVariables,
    /// The notice about variables that were lost while no cell ran, until a cell shows it.
    lost_at_rest: Option<Notice>,
    callbacks: Callbacks,
    requests: u64,
    runs: u64,
}

impl LocalState {
    /// Creates a namespace without any cells; evaluator and runtime are starting.
    pub(super) fn new() -> (Self, Vec<LocalCommand>) {
        let state = Self {
            evaluator: EvaluatorState::Starting,
            runtime: RuntimeState::Starting,
            toolchain: None,
            waiting: VecDeque::new(),
            current: None,
            log: Vec::new(),
            variables: Vec::new(),
            types: HashMap::new(),
            missing_variables: MissingVariables::default(),
            lost_at_rest: None,
            callbacks: Callbacks::default(),
            requests: 0,
            runs: 0,
        };
        (
            state,
            vec![LocalCommand::StartEvaluator, LocalCommand::StartRuntime],
        )
    }

    /// Returns the names of the variables.
    pub(super) fn variables(&self) -> &[String] {
        &self.variables
    }

    /// Returns the toolchain that compiles cells, once the evaluator has reported it.
    pub(super) fn toolchain(&self) -> Option<&Toolchain> {
        self.toolchain.as_ref()
    }

    /// Returns the missing variables and their causes.
    pub(super) fn missing_variables(&self) -> &MissingVariables {
        &self.missing_variables
    }

    /// Handles an event and returns the commands to perform.
    pub(super) fn handle(&mut self, event: LocalEvent) -> Vec<LocalCommand> {
        let mut commands = Vec::new();
        match event {
            LocalEvent::Evaluate { job, cell, source } => {
                self.waiting.push_back(WaitingCell {
                    job,
                    cell,
                    source,
                    attempt: Attempt::First,
                });
                self.start_next(&mut commands);
            }
            LocalEvent::RunCallbacks { job } => self.request_callbacks(job, &mut commands),
            LocalEvent::Interrupt => self.interrupt(&mut commands),
            LocalEvent::EvaluatorNotStarted(failure) => {
                self.evaluator_failed(&failure, &mut commands)
            }
            LocalEvent::Message(EvaluatorMessage::Event(event)) => {
                self.evaluator(event, &mut commands)
            }
            LocalEvent::Message(EvaluatorMessage::Progress(line)) => {
                // While the evaluator starts, the first waiting cell shows the progress of its
                // build.
                let waiting = self.waiting.front().map(|waiting| waiting.job);
                let current = self.current.as_ref().map(|current| current.job);
                if let Some(job) = current.or(waiting) {
                    commands.push(LocalCommand::Progress { job, line });
                }
            }
            LocalEvent::Message(EvaluatorMessage::Exited {
                status,
                last_output,
            }) => {
                self.evaluator_exited(&status, &last_output, &mut commands);
            }
            LocalEvent::RuntimeStarted => {
                self.runtime = RuntimeState::Up { loaded: false };
                self.run_compiled(&mut commands);
            }
            LocalEvent::RuntimeNotStarted { reason } => self.runtime_failed(reason, &mut commands),
            LocalEvent::Ended { run, outcome } => self.ended(run, outcome, &mut commands),
            LocalEvent::Exited { status } => self.runtime_exited(status, &mut commands),
        }
        commands
    }

    fn start_next(&mut self, commands: &mut Vec<LocalCommand>) {
        if self.current.is_some() {
            return;
        }
        match self.evaluator {
            EvaluatorState::Ready => {}
            EvaluatorState::Failed if !self.waiting.is_empty() => {
                self.evaluator = EvaluatorState::Starting;
                commands.push(LocalCommand::StartEvaluator);
                return;
            }
            _ => return,
        }
        let Some(WaitingCell {
            job,
            cell,
            source,
            attempt,
        }) = self.waiting.pop_front()
        else {
            return;
        };
        if let Some(notice) = self.lost_at_rest.take() {
            commands.push(LocalCommand::ShowNotice { job, notice });
        }
        let request = self.next_request();
        commands.push(LocalCommand::Send(EvaluatorRequest::Evaluate {
            id: request,
            source: source.clone(),
        }));
        self.current = Some(CurrentCell {
            attempt,
            job,
            cell,
            request,
            source,
            phase: Phase::Compiling,
            outcomes: Vec::new(),
            library: None,
            dropped: DroppedVariables::default(),
            leaves_out: Vec::new(),
            unkept: Vec::new(),
            interrupted: false,
        });
    }

    fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    /// Returns the names visible to an edited cell.
    pub(super) fn scope(&self) -> VisibleNames {
        let typed = self.variables.iter().filter_map(|name| {
            let ty = self.types.get(name)?;
            Some((name.clone(), ty.clone()))
        });
        VisibleNames {
            sources: self
                .log
                .iter()
                .map(|logged| logged.source.clone())
                .collect(),
            running: self.current.as_ref().map(|current| current.source.clone()),
            variables: typed.collect(),
        }
    }

    fn interrupt(&mut self, commands: &mut Vec<LocalCommand>) {
        for WaitingCell { job, .. } in self.waiting.drain(..) {
            let result = Err(Failure::Interrupted { lost: Vec::new() });
            commands.push(LocalCommand::Reply { job, result });
        }
        self.interrupt_callbacks(commands);
        let Some(current) = &mut self.current else {
            return;
        };
        match &current.phase {
            // Compilation cannot be interrupted: a second interrupt kills the evaluator.
            Phase::Compiling if current.interrupted => commands.push(LocalCommand::KillEvaluator),
            Phase::Compiling => commands.push(LocalCommand::InterruptEvaluator),
            Phase::Compiled(_) => {
                current.phase = Phase::Compiling;
                let outcome = not_run();
                current.outcomes.push(outcome.clone());
                commands.push(LocalCommand::Send(EvaluatorRequest::Ran { outcome }));
            }
            Phase::Running(_) | Phase::Orphaned(_) => commands.push(LocalCommand::InterruptRuntime),
        }
        current.interrupted = true;
    }

    fn evaluator(&mut self, event: EvaluatorEvent, commands: &mut Vec<LocalCommand>) {
        match event {
            EvaluatorEvent::Ready(toolchain) => {
                self.toolchain = Some(toolchain);
                self.run_compiled(commands);
                self.replay(0, commands);
            }
            EvaluatorEvent::StartFailed { failure } => self.evaluator_failed(&failure, commands),
            EvaluatorEvent::Run(cell) => self.run(cell, commands),
            EvaluatorEvent::Reply { id, result } => self.replied(id, result, commands),
        }
    }

    /// Replays an entry of the log to the evaluator; after the last one, starts the next cell.
    fn replay(&mut self, entry: usize, commands: &mut Vec<LocalCommand>) {
        match self.log.get(entry) {
            Some(logged) => {
                let source = logged.source.clone();
                let id = self.next_request();
                self.evaluator = EvaluatorState::Replaying { entry, outcome: 0 };
                commands.push(LocalCommand::Send(EvaluatorRequest::Evaluate {
                    id,
                    source,
                }));
            }
            None => {
                self.evaluator = EvaluatorState::Ready;
                self.start_next(commands);
            }
        }
    }

    fn run(&mut self, cell: CompiledCell, commands: &mut Vec<LocalCommand>) {
        if let EvaluatorState::Replaying { entry, outcome } = &mut self.evaluator {
            let known = self.log[*entry].outcomes.get(*outcome).cloned();
            *outcome += 1;
            let outcome = known.unwrap_or(Outcome::Completed);
            commands.push(LocalCommand::Send(EvaluatorRequest::Ran { outcome }));
            return;
        }
        let Some(current) = &mut self.current else {
            return;
        };
        if current.interrupted {
            // The interrupt was too late for the compiler, but the cell has not begun.
            let outcome = not_run();
            current.outcomes.push(outcome.clone());
            commands.push(LocalCommand::Send(EvaluatorRequest::Ran { outcome }));
            return;
        }
        current.phase = Phase::Compiled(cell);
        self.run_compiled(commands);
    }

    /// Runs the compiled cell once the runtime has started.
    fn run_compiled(&mut self, commands: &mut Vec<LocalCommand>) {
        match &mut self.runtime {
            RuntimeState::Starting => return,
            RuntimeState::Failed => {
                if self.is_compiled() {
                    self.runtime = RuntimeState::Starting;
                    commands.push(LocalCommand::StartRuntime);
                }
                return;
            }
            RuntimeState::Up { loaded } => {
                let Some(toolchain) = &self.toolchain else {
                    return;
                };
                if !std::mem::replace(loaded, true) {
                    commands.push(LocalCommand::Load(toolchain.libstd.clone()));
                }
            }
        }
        let Some(current) = &mut self.current else {
            return;
        };
        if !matches!(current.phase, Phase::Compiled(_)) || self.callbacks.is_running() {
            return;
        }
        self.runs += 1;
        let run = RunId(self.runs);
        if let Phase::Compiled(cell) = std::mem::replace(&mut current.phase, Phase::Running(run)) {
            let job = current.job;
            if !cell.dropped.names.is_empty() && current.outcomes.is_empty() {
                current.dropped.clone_from(&cell.dropped);
                let notice = Notice::Dropped(cell.dropped.clone());
                commands.push(LocalCommand::ShowNotice { job, notice });
            }
            current.library = Some(cell.artifact.clone());
            current.leaves_out.clone_from(&cell.unkept);
            commands.push(LocalCommand::Run { job, run, cell });
        }
    }

    fn is_compiled(&self) -> bool {
        let phase = self.current.as_ref().map(|current| &current.phase);
        matches!(phase, Some(Phase::Compiled(_)))
    }

    fn ended(&mut self, run: RunId, outcome: Outcome, commands: &mut Vec<LocalCommand>) {
        if self.callbacks_ended(run, &outcome, commands) {
            return;
        }
        let Some(current) = &mut self.current else {
            return;
        };
        match current.phase {
            Phase::Running(running) if running == run => {
                if let Outcome::VariablesLost(names) = &outcome {
                    let (job, notice) = (current.job, Notice::Lost(names.clone()));
                    commands.push(LocalCommand::ShowNotice { job, notice });
                }
                let unkept = std::mem::take(&mut current.leaves_out);
                if outcome == Outcome::Completed {
                    let reported = reported_unkept(&current.source, &unkept);
                    if !reported.is_empty() {
                        let (job, notice) = (current.job, Notice::Unkept(reported));
                        commands.push(LocalCommand::ShowNotice { job, notice });
                    }
                    current.unkept = unkept;
                }
                current.outcomes.push(outcome.clone());
                current.phase = Phase::Compiling;
                commands.push(LocalCommand::Send(EvaluatorRequest::Ran { outcome }));
            }
            Phase::Orphaned(running) if running == run => {
                current.outcomes.push(outcome);
                // The evaluator has died: `Local::evaluate` takes this for an empty reply.
                self.finish(Ok(EvaluatorReply::Added), commands);
            }
            _ => {}
        }
        self.run_next_callbacks(commands);
    }

    fn replied(
        &mut self,
        id: RequestId,
        result: Result<EvaluatorReply, Failure>,
        commands: &mut Vec<LocalCommand>,
    ) {
        if let EvaluatorState::Replaying { entry, .. } = self.evaluator {
            self.replay(entry + 1, commands);
            return;
        }
        let is_current = |current: &CurrentCell| current.request == id;
        if self.current.as_ref().is_some_and(is_current) {
            self.finish(result, commands);
            self.start_next(commands);
        }
    }

    /// Ends the current job with the evaluator's result and the outcomes of its runs.
    fn finish(
        &mut self,
        result: Result<EvaluatorReply, Failure>,
        commands: &mut Vec<LocalCommand>,
    ) {
        let Some(current) = self.current.take() else {
            return;
        };
        let lost = self.record_variables(&current, &result);
        let returned = matches!(current.outcomes.last(), Some(Outcome::Returned));
        let result = cell_result(&current, result, lost);
        let compiled = result.is_ok() || !current.outcomes.is_empty();
        let (cell, source) = (CellName::Own(current.cell), &current.source);
        if (result.is_err() || returned) && !current.outcomes.is_empty() {
            let cause = match returned {
                true => MissingCause::Returned,
                false => MissingCause::Failed,
            };
            self.missing_variables
                .ended_early(cell, cause, source, &self.variables);
        }
        if matches!(result, Err(Failure::Compile { .. })) && !compiled {
            self.missing_variables
                .not_compiled(cell, source, &self.variables);
        }
        self.renew_runtime(source, &result, commands);
        let abandoned = matches!(current.outcomes.last(), Some(Outcome::Abandoned { .. }));
        if compiled && !abandoned && !source.trim().is_empty() {
            self.log.push(LoggedCell {
                cell: current.cell,
                source: current.source,
                outcomes: current.outcomes,
            });
        }
        let job = current.job;
        commands.push(LocalCommand::Reply { job, result });
    }

    /// Records the variables after a cell, and those that are missing since. Returns those that were
    /// lost with its process.
    fn record_variables(
        &mut self,
        current: &CurrentCell,
        result: &Result<EvaluatorReply, Failure>,
    ) -> Vec<String> {
        let before = self.variables.clone();
        let mut outcomes = current.outcomes.iter();
        let died = outcomes.any(|outcome| matches!(outcome, Outcome::Died { .. }));
        if let Ok(EvaluatorReply::Evaluated(evaluated)) = result {
            self.variables = names(&evaluated.variables);
            self.types = evaluated.variables.iter().cloned().collect();
            let there = self.variables.iter().map(String::as_str);
            let cell = CellName::Own(current.cell);
            let source = &current.source;
            if died {
                let lost = before.iter().filter(|name| !self.variables.contains(name));
                self.missing_variables.lost(cell, MissingCause::Died, lost);
            } else {
                self.missing_variables
                    .record(cell, source, &evaluated.moved, there);
            }
            self.missing_variables
                .dropped(cell, &current.dropped, &self.variables);
            self.missing_variables.unkept(cell, &current.unkept);
        }
        if !died {
            return Vec::new();
        }
        self.variables.clear();
        before
    }

    /// Starts a new runtime after a cell that evcxr expects one for, or that a new toolchain has
    /// compiled.
    fn renew_runtime(
        &mut self,
        source: &str,
        result: &Result<EvaluatorReply, Failure>,
        commands: &mut Vec<LocalCommand>,
    ) {
        let toolchain = match result {
            Ok(EvaluatorReply::Evaluated(evaluated)) => evaluated.toolchain.clone(),
            _ => None,
        };
        let is_new = toolchain.is_some();
        self.toolchain = toolchain.or(self.toolchain.take());
        if is_new || result.is_ok() && is_renewal(source) {
            self.runtime = RuntimeState::Starting;
            commands.push(LocalCommand::StartRuntime);
        }
    }
}

/// Returns the result of a cell from the evaluator's reply and the outcome of the last run; `lost` are
/// the variables that were lost with its process.
fn cell_result(
    current: &CurrentCell,
    reply: Result<EvaluatorReply, Failure>,
    lost: Vec<String>,
) -> Result<EvaluatorReply, Failure> {
    match (&reply, current.outcomes.last()) {
        // A cell that was done before the interrupt arrived counts as completed.
        (Ok(_), None | Some(Outcome::Completed | Outcome::Returned)) => reply,
        _ if current.interrupted => Err(Failure::Interrupted { lost }),
        (Ok(_), Some(Outcome::Panicked(panic))) => {
            let library = current.library.clone().unwrap_or_default();
            let library = library.display().to_string();
            Err(Failure::Panic(panic.clone().of_library(&library)))
        }
        (
            Ok(_),
            Some(Outcome::Errored {
                message,
                failure,
                location,
            }),
        ) => {
            let failure = failure.as_deref().cloned();
            let (message, location) = (message.clone(), location.clone());
            Err(match (failure, location) {
                (None, location) => Failure::Error { message, location },
                (Some(failure), None) => failure,
                // The interrupt is not of this line.
                (Some(failure @ Failure::Interrupted { .. }), _) => failure,
                (Some(failure), Some(location)) => Failure::Raised {
                    failure: Box::new(failure),
                    location,
                },
            })
        }
        (Ok(_), Some(Outcome::Died { status } | Outcome::Abandoned { status })) => {
            Err(Failure::RuntimeDied {
                status: status.clone(),
                lost,
            })
        }
        (Ok(_), Some(Outcome::VariablesLost(names))) => Err(Failure::VariablesLost {
            names: names.clone(),
        }),
        (Err(_), _) => reply,
    }
}

/// Returns the outcome of a cell that was interrupted before it began.
fn not_run() -> Outcome {
    Outcome::Abandoned {
        status: RuntimeExit::NotRun,
    }
}

/// Returns true if evcxr expects a new runtime after this command.
fn is_renewal(source: &str) -> bool {
    let call = crate::command::parse(source.trim());
    call.is_ok_and(|call| call.spec.handler == CommandHandler::Renewal)
}

fn names(variables: &[(String, String)]) -> Vec<String> {
    variables.iter().map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests;
