//! The decisions about a submission's tasks: the states to which they lead, and what becomes of
//! refused ones. Pure.

use super::error::FanoutError;
use crate::parallel::compile::Compilation;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::{EngineId, EngineUuid, StateId};
use std::collections::HashMap;

/// The largest number of refusals of a task: one for each preceding cell under way, which may
/// change the state.
const MAX_REFUSALS: usize = 32;

/// The engine of each task of a submission, and the state to which the task leads.
pub(super) type SentTasks = Vec<(EngineUuid, StateId)>;

/// The reason for which a cell is compiled again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RecompileCause {
    /// The state of the engine that refused it.
    pub(super) state: StateId,
    /// The variables that the engine has lost.
    pub(super) lost: Vec<String>,
}

/// The tasks of a submission, as far as they have been refused.
#[derive(Debug)]
pub(super) struct Supervision {
    sent: SentTasks,
    compiled: HashMap<RecompileCause, Result<Box<Compilation>, Failure>>,
    /// The refused tasks that wait for a compilation.
    waiting: Vec<(usize, RecompileCause)>,
    /// The number of refusals of each task.
    refusals: HashMap<usize, usize>,
}

/// An event of a submission. Tasks are indices.
#[derive(Debug)]
pub(super) enum SupervisionEvent {
    /// A task is done, and has led to this state.
    Done { task: usize, state: StateId },
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
    /// Record the state to which a task has led, where `expected` was assumed.
    Learn {
        engine: EngineUuid,
        expected: StateId,
        state: StateId,
    },
    /// Compile the cell for the state of an engine; `Compiled` follows.
    Compile {
        engine: EngineId,
        uuid: EngineUuid,
        cause: RecompileCause,
    },
    /// Send a refused task again, as compiled now.
    Resend {
        task: usize,
        engine: EngineUuid,
        compilation: Box<Compilation>,
    },
    /// End a refused task in failure.
    Fail { task: usize, failure: Failure },
}

impl Supervision {
    /// Creates the supervision of tasks that were just sent.
    pub(super) fn new(sent: SentTasks) -> Self {
        Self {
            sent,
            compiled: HashMap::new(),
            waiting: Vec::new(),
            refusals: HashMap::new(),
        }
    }

    /// Handles an event and returns the commands to perform.
    pub(super) fn handle(&mut self, event: SupervisionEvent) -> Vec<SupervisionCommand> {
        let mut commands = Vec::new();
        match event {
            SupervisionEvent::Done { task, state } => commands.extend(self.learn(task, state)),
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

    fn learn(&self, task: usize, state: StateId) -> Option<SupervisionCommand> {
        let (engine, expected) = self.sent.get(task)?.clone();
        Some(SupervisionCommand::Learn {
            engine,
            expected,
            state,
        })
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
        if let Some((uuid, _)) = self.sent.get(task).filter(|_| !is_requested) {
            commands.push(SupervisionCommand::Compile {
                engine,
                uuid: uuid.clone(),
                cause: cause.clone(),
            });
        }
        self.waiting.push((task, cause));
    }

    /// Sends a refused task again, or ends it if the cell does not compile for the engine's state.
    fn settle(
        &mut self,
        task: usize,
        cause: &RecompileCause,
        commands: &mut Vec<SupervisionCommand>,
    ) {
        match self.compiled.get(cause) {
            Some(Ok(compilation)) => {
                if let Some((engine, next)) = self.sent.get_mut(task) {
                    next.clone_from(&compilation.next);
                    commands.push(SupervisionCommand::Resend {
                        task,
                        engine: engine.clone(),
                        compilation: compilation.clone(),
                    });
                }
            }
            Some(Err(failure)) => {
                let failure = failure.clone();
                commands.extend(self.learn(task, cause.state.clone()));
                commands.push(SupervisionCommand::Fail { task, failure });
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::compile::tests::compilation;
    use phalanx_protocol::failure::FailureKind;

    /// Returns the supervision of one task on each of three engines, which lead to state `s`.
    fn supervision() -> Supervision {
        let engines = ["a", "b", "c"].map(|uuid| (EngineUuid::new(uuid), StateId::new("s")));
        Supervision::new(engines.into())
    }

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
            SupervisionCommand::Learn {
                engine,
                expected,
                state,
            } => format!("{engine} is in {state}, not {expected}"),
            SupervisionCommand::Compile { uuid, cause, .. } => {
                format!("compile from {} for {uuid}", cause.state)
            }
            SupervisionCommand::Resend {
                task, compilation, ..
            } => format!("resend {task}, to {}", compilation.next),
            SupervisionCommand::Fail { task, .. } => format!("fail {task}"),
        }
    }

    #[test]
    fn a_refused_cell_is_compiled_once_for_each_state() {
        let mut tasks = supervision();
        check(&mut tasks, refused(0, "x"), &["compile from x for a"]);
        check(&mut tasks, refused(1, "x"), &[]);
        check(&mut tasks, refused(2, "y"), &["compile from y for c"]);
        let resent = ["resend 0, to x1", "resend 1, to x1"];
        check(&mut tasks, compiled("x", "x1"), &resent);
        check(&mut tasks, compiled("y", "y1"), &["resend 2, to y1"]);
        check(&mut tasks, refused(2, "x"), &["resend 2, to x1"]);
    }

    #[test]
    fn the_true_state_is_compared_with_that_of_the_last_compilation() {
        let mut tasks = supervision();
        let done = |state: &str| SupervisionEvent::Done {
            task: 1,
            state: StateId::new(state),
        };
        check(&mut tasks, done("z"), &["b is in z, not s"]);
        check(&mut tasks, refused(1, "x"), &["compile from x for b"]);
        check(&mut tasks, compiled("x", "x1"), &["resend 1, to x1"]);
        check(&mut tasks, done("z"), &["b is in z, not x1"]);
    }

    #[test]
    fn a_cell_that_does_not_compile_leaves_the_engine_in_its_state() {
        let mut tasks = supervision();
        check(&mut tasks, refused(0, "x"), &["compile from x for a"]);
        let failed = SupervisionEvent::Compiled {
            cause: cause("x"),
            result: Err(Failure::new(FailureKind::Usage, "no", None)),
        };
        check(&mut tasks, failed, &["a is in x, not s", "fail 0"]);
        let again = &["b is in x, not s", "fail 1"];
        check(&mut tasks, refused(1, "x"), again);
    }

    #[test]
    fn a_task_is_not_resent_for_ever() {
        let mut tasks = supervision();
        check(&mut tasks, refused(0, "x"), &["compile from x for a"]);
        check(&mut tasks, compiled("x", "x1"), &["resend 0, to x1"]);
        for _ in 1..MAX_REFUSALS {
            check(&mut tasks, refused(0, "x"), &["resend 0, to x1"]);
        }
        check(&mut tasks, refused(0, "x"), &["fail 0"]);
    }
}
