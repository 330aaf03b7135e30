//! The decisions about a submission's tasks that engines refuse. Pure.

use super::error::FanoutError;
use crate::parallel::compile::Compilation;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::{EngineId, StateId};
use std::collections::HashMap;

/// The largest number of refusals of a task: one for each preceding cell under way, which may
/// change the state.
const MAX_REFUSALS: usize = 32;

/// The reason for which a cell is compiled again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RecompileCause {
    /// The state of the engine that refused it, once the cells before it have ended.
    pub(super) state: StateId,
    /// The variables that the engine has lost.
    pub(super) lost: Vec<String>,
}

/// The tasks of a submission, as far as they have been refused.
#[derive(Debug, Default)]
pub(super) struct Supervision {
    compiled: HashMap<RecompileCause, Result<Box<Compilation>, Failure>>,
    /// The refused tasks that wait for a compilation.
    waiting: Vec<(usize, RecompileCause)>,
    /// The number of refusals of each task.
    refusals: HashMap<usize, usize>,
}

/// An event of a submission. Tasks are indices.
#[derive(Debug)]
pub(super) enum SupervisionEvent {
    /// A task has ended.
    Done { task: usize },
    /// An engine has refused a task.
    Refused {
        task: usize,
        engine: EngineId,
        cause: RecompileCause,
    },
    /// A compilation has ended.
    Compiled {
        cause: RecompileCause,
        result: Result<Box<Compilation>, Failure>,
    },
}

/// A command for a submission.
#[derive(Debug)]
pub(super) enum SupervisionCommand {
    /// Compile the cell for the state of this task's engine; `Compiled` follows.
    Compile { task: usize, cause: RecompileCause },
    /// Interrupt a compilation: the tasks that wait for it have ended.
    Interrupt(RecompileCause),
    /// Send a refused task again, as compiled now.
    Resend {
        task: usize,
        compilation: Box<Compilation>,
    },
    /// End a refused task in failure.
    Fail { task: usize, failure: Failure },
}

impl Supervision {
    /// Handles an event and returns the commands to perform.
    pub(super) fn handle(&mut self, event: SupervisionEvent) -> Vec<SupervisionCommand> {
        let mut commands = Vec::new();
        match event {
            SupervisionEvent::Done { task } => commands.extend(self.done(task)),
            SupervisionEvent::Refused {
                task,
                engine,
                cause,
            } => self.refused(task, engine, cause, &mut commands),
            SupervisionEvent::Compiled { cause, result } => {
                self.compiled.insert(cause.clone(), result);
                let waiting = std::mem::take(&mut self.waiting);
                let (ready, others): (Vec<_>, Vec<_>) =
                    waiting.into_iter().partition(|(_, of)| *of == cause);
                self.waiting = others;
                for (task, _) in ready {
                    self.settle(task, &cause, &mut commands);
                }
            }
        }
        commands
    }

    /// Interrupts the compilation for which only this task has waited.
    fn done(&mut self, task: usize) -> Option<SupervisionCommand> {
        let at = self.waiting.iter().position(|(of, _)| *of == task)?;
        let (_, cause) = self.waiting.swap_remove(at);
        let is_needed = self.waiting.iter().any(|(_, of)| *of == cause);
        (!is_needed).then_some(SupervisionCommand::Interrupt(cause))
    }

    /// Has a refused cell compiled for the engine's state, once for all engines in that state.
    fn refused(
        &mut self,
        task: usize,
        engine: EngineId,
        cause: RecompileCause,
        commands: &mut Vec<SupervisionCommand>,
    ) {
        let refusals = self.refusals.entry(task).or_default();
        *refusals += 1;
        if *refusals > MAX_REFUSALS {
            let refusals = MAX_REFUSALS;
            let failure = FanoutError::RefusedTooOften { engine, refusals }.into();
            commands.push(SupervisionCommand::Fail { task, failure });
            return;
        }
        if self.compiled.contains_key(&cause) {
            self.settle(task, &cause, commands);
            return;
        }
        let is_requested = self.waiting.iter().any(|(_, of)| *of == cause);
        if !is_requested {
            let cause = cause.clone();
            commands.push(SupervisionCommand::Compile { task, cause });
        }
        self.waiting.push((task, cause));
    }

    /// Sends a refused task again, or ends it if the cell does not compile for the engine's state.
    fn settle(&self, task: usize, cause: &RecompileCause, commands: &mut Vec<SupervisionCommand>) {
        let command = match self.compiled.get(cause) {
            Some(Ok(compilation)) => SupervisionCommand::Resend {
                task,
                compilation: compilation.clone(),
            },
            Some(Err(failure)) => SupervisionCommand::Fail {
                task,
                failure: failure.clone(),
            },
            None => return,
        };
        commands.push(command);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::compile::tests::compilation;
    use phalanx_protocol::failure::FailureKind;

    fn cause(state: &str) -> RecompileCause {
        RecompileCause {
            state: StateId::new(state),
            lost: Vec::new(),
        }
    }

    fn refused(task: u32, state: &str) -> SupervisionEvent {
        SupervisionEvent::Refused {
            task: task as usize,
            engine: EngineId(task),
            cause: cause(state),
        }
    }

    fn compiled(base: &str, next: &str) -> SupervisionEvent {
        SupervisionEvent::Compiled {
            cause: cause(base),
            result: Ok(Box::new(compilation(base, next))),
        }
    }

    /// Checks the commands that follow an event, one line each.
    #[track_caller]
    fn check(supervision: &mut Supervision, event: SupervisionEvent, expected: &[&str]) {
        let commands = supervision.handle(event);
        let seen: Vec<String> = commands.iter().map(describe).collect();
        assert_eq!(seen, expected);
    }

    fn describe(command: &SupervisionCommand) -> String {
        match command {
            SupervisionCommand::Compile { task, cause } => {
                format!("compile from {} for {task}", cause.state)
            }
            SupervisionCommand::Interrupt(cause) => format!("interrupt {}", cause.state),
            SupervisionCommand::Resend { task, compilation } => {
                format!("resend {task}, to {}", compilation.next)
            }
            SupervisionCommand::Fail { task, .. } => format!("fail {task}"),
        }
    }

    #[test]
    fn a_refused_cell_is_compiled_once_for_each_state() {
        let mut tasks = Supervision::default();
        check(&mut tasks, refused(0, "x"), &["compile from x for 0"]);
        check(&mut tasks, refused(1, "x"), &[]);
        check(&mut tasks, refused(2, "y"), &["compile from y for 2"]);
        let resent = ["resend 0, to x1", "resend 1, to x1"];
        check(&mut tasks, compiled("x", "x1"), &resent);
        check(&mut tasks, compiled("y", "y1"), &["resend 2, to y1"]);
        check(&mut tasks, refused(2, "x"), &["resend 2, to x1"]);
    }

    #[test]
    fn a_compilation_for_which_no_task_waits_is_interrupted() {
        let mut tasks = Supervision::default();
        let done = |task| SupervisionEvent::Done { task };
        check(&mut tasks, refused(0, "x"), &["compile from x for 0"]);
        check(&mut tasks, refused(1, "x"), &[]);
        check(&mut tasks, done(0), &[]);
        check(&mut tasks, done(1), &["interrupt x"]);
        check(&mut tasks, compiled("x", "x1"), &[]);
        check(&mut tasks, done(2), &[]);
    }

    #[test]
    fn a_cell_that_does_not_compile_fails_on_each_engine_in_that_state() {
        let mut tasks = Supervision::default();
        check(&mut tasks, refused(0, "x"), &["compile from x for 0"]);
        let failed = SupervisionEvent::Compiled {
            cause: cause("x"),
            result: Err(Failure::new(FailureKind::Usage, "no", None)),
        };
        check(&mut tasks, failed, &["fail 0"]);
        check(&mut tasks, refused(1, "x"), &["fail 1"]);
    }

    #[test]
    fn a_task_is_not_resent_for_ever() {
        let mut tasks = Supervision::default();
        check(&mut tasks, refused(0, "x"), &["compile from x for 0"]);
        check(&mut tasks, compiled("x", "x1"), &["resend 0, to x1"]);
        for _ in 1..MAX_REFUSALS {
            check(&mut tasks, refused(0, "x"), &["resend 0, to x1"]);
        }
        check(&mut tasks, refused(0, "x"), &["fail 0"]);
    }
}
