//! Runs of callbacks between cells, in which the code handles frontends' actions on widgets.

use super::part::{Phase, RuntimeState};
use super::{JobId, LocalCommand, LocalState};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::RunId;
use phalanx_protocol::runtime::Outcome;
use std::collections::VecDeque;

/// The queued runs of callbacks, and the current one.
#[derive(Debug, Default)]
pub(super) struct Callbacks {
    waiting: VecDeque<JobId>,
    current: Option<(JobId, RunId)>,
    interrupted: bool,
}

impl Callbacks {
    /// Returns true while callbacks are running.
    pub(super) fn is_running(&self) -> bool {
        self.current.is_some()
    }
}

impl LocalState {
    pub(super) fn request_callbacks(&mut self, job: JobId, commands: &mut Vec<LocalCommand>) {
        self.callbacks.waiting.push_back(job);
        self.run_next_callbacks(commands);
        if self.callbacks.waiting.contains(&job) {
            commands.push(LocalCommand::CallbacksCalled { job });
        }
    }

    /// Starts the next run of callbacks, if the runtime is idle.
    pub(super) fn run_next_callbacks(&mut self, commands: &mut Vec<LocalCommand>) {
        let phase = self.current.as_ref().map(|current| &current.phase);
        let running = matches!(phase, Some(Phase::Running(_) | Phase::Orphaned(_)));
        if running || self.callbacks.is_running() {
            return;
        }
        if self.runtime != (RuntimeState::Up { loaded: true }) {
            // Nothing has run, so there are no callbacks.
            self.end_waiting(commands);
            return;
        }
        if let Some(job) = self.callbacks.waiting.pop_front() {
            self.runs += 1;
            let run = RunId(self.runs);
            self.callbacks.current = Some((job, run));
            self.callbacks.interrupted = false;
            commands.push(LocalCommand::RunCallbacks { job, run });
        }
    }

    /// Interrupts the callbacks, if any are running.
    pub(super) fn interrupt_callbacks(&mut self, commands: &mut Vec<LocalCommand>) {
        if self.callbacks.is_running() {
            self.callbacks.interrupted = true;
            commands.push(LocalCommand::InterruptRuntime);
        }
    }

    /// Handles the end of a run; returns false if it was not a run of callbacks.
    pub(super) fn callbacks_ended(
        &mut self,
        run: RunId,
        outcome: &Outcome,
        commands: &mut Vec<LocalCommand>,
    ) -> bool {
        let Some((job, _)) = self
            .callbacks
            .current
            .take_if(|(_, current)| *current == run)
        else {
            return false;
        };
        let died = matches!(outcome, Outcome::Died { .. });
        let lost = if died {
            self.variables.clone()
        } else {
            Vec::new()
        };
        let failure = match outcome {
            _ if died && self.callbacks.interrupted => Some(Failure::Interrupted { lost }),
            Outcome::Died { status } => Some(Failure::RuntimeDied {
                status: status.clone(),
                lost,
            }),
            Outcome::Panicked(panic) => Some(Failure::Panic(panic.clone())),
            _ => None,
        };
        commands.push(LocalCommand::CallbacksEnded { job, failure });
        if died {
            self.end_waiting(commands);
        } else {
            self.run_compiled(commands);
            self.run_next_callbacks(commands);
        }
        true
    }

    fn end_waiting(&mut self, commands: &mut Vec<LocalCommand>) {
        for job in self.callbacks.waiting.drain(..) {
            let failure = None;
            commands.push(LocalCommand::CallbacksEnded { job, failure });
        }
    }
}
