//! Failures to start processes, and deaths of processes.

use super::part::{Attempt, EvaluatorState, Phase, RuntimeState, WaitingCell};
use super::{LocalCommand, LocalState};
use crate::context::{CellName, MissingCause};
use crate::report::Notice;
use crate::run::error::CellError;
use phalanx_protocol::evaluator::EvaluatorRequest;
use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::runtime::Outcome;

impl LocalState {
    pub(super) fn evaluator_failed(&mut self, failure: &Failure, commands: &mut Vec<LocalCommand>) {
        self.evaluator = EvaluatorState::Failed;
        for WaitingCell { job, .. } in self.waiting.drain(..) {
            let result = Err(failure.clone());
            commands.push(LocalCommand::Reply { job, result });
        }
    }

    pub(super) fn evaluator_exited(
        &mut self,
        status: &str,
        last_output: &str,
        commands: &mut Vec<LocalCommand>,
    ) {
        let ended = || CellError::EvaluatorEnded {
            status: status.to_owned(),
            last_output: last_output.to_owned(),
        };
        match self.evaluator {
            // The failure has been reported.
            EvaluatorState::Failed => return,
            // An evaluator that dies during its start would die again.
            EvaluatorState::Starting | EvaluatorState::Replaying { .. } => {
                let failure = Failure::from(ended());
                self.evaluator_failed(&failure, commands);
                return;
            }
            EvaluatorState::Ready => {}
        }
        self.evaluator = EvaluatorState::Starting;
        commands.push(LocalCommand::StartEvaluator);
        let Some(current) = &mut self.current else {
            return;
        };
        let untouched = current.outcomes.is_empty() && !current.interrupted;
        match current.phase {
            // The cell continues; the new evaluator receives it once it has ended.
            Phase::Running(run) => current.phase = Phase::Orphaned(run),
            // The cell need not be the cause of the evaluator's death.
            _ if untouched && current.attempt == Attempt::First => {
                let (job, source) = (current.job, std::mem::take(&mut current.source));
                self.waiting.push_front(WaitingCell {
                    job,
                    cell: current.cell,
                    source,
                    attempt: Attempt::Second,
                });
                self.current = None;
            }
            _ => self.finish(Err(ended().into()), commands),
        }
    }

    pub(super) fn runtime_failed(&mut self, reason: String, commands: &mut Vec<LocalCommand>) {
        self.runtime = RuntimeState::Failed;
        if !self.is_compiled() {
            return;
        }
        if let Some(current) = &mut self.current {
            let status = RuntimeExit::NotStarted(reason);
            let outcome = Outcome::Died { status };
            current.outcomes.push(outcome.clone());
            current.phase = Phase::Compiling;
            commands.push(LocalCommand::Send(EvaluatorRequest::Ran { outcome }));
        }
    }

    pub(super) fn runtime_exited(&mut self, status: RuntimeExit, commands: &mut Vec<LocalCommand>) {
        self.runtime = RuntimeState::Starting;
        commands.push(LocalCommand::StartRuntime);
        if let Some(current) = &self.current {
            // `Ended` precedes this, unless the run had not reached the runtime.
            if let Phase::Running(run) | Phase::Orphaned(run) = current.phase {
                self.ended(run, Outcome::Died { status }, commands);
            }
            return;
        }
        // A thread that outlived its cell has killed the process, or the system has. The evaluator still
        // has the variables; a new one replays the last cell with the outcome that they were lost.
        let lost = std::mem::take(&mut self.variables);
        if let Some(last) = self.log.last_mut() {
            if !lost.is_empty() {
                let cell = CellName::Own(last.cell);
                self.missing_variables
                    .lost(cell, MissingCause::DiedAtRest, &lost);
                self.lost_at_rest = Some(Notice::ProcessEnded(status.clone(), lost));
            }
            let died = Outcome::Died { status };
            match last.outcomes.last_mut() {
                Some(outcome) => *outcome = died,
                None => last.outcomes.push(died),
            }
            self.evaluator = EvaluatorState::Starting;
            commands.push(LocalCommand::StartEvaluator);
        }
    }
}
