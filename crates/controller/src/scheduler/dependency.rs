//! Dependencies between tasks: finished tasks, and those that wait for them. Pure.

use super::task::TaskNo;
use crate::hash::HashMap;
use phalanx_protocol::id::{EngineUuid, MsgId};
use phalanx_protocol::parallel::Dependency;
use std::collections::VecDeque;

/// The number of finished tasks that are kept for dependencies on them.
const MAX_FINISHED: usize = 1 << 16;

/// The finished tasks and their outcomes.
#[derive(Debug, Default)]
pub(super) struct FinishedTasks {
    by_id: HashMap<MsgId, FinishedTask>,
    order: VecDeque<MsgId>,
}

/// The outcome of a finished task.
#[derive(Clone, Debug)]
pub(super) struct FinishedTask {
    pub ok: bool,
    /// The engine that ran it; `None` if it never ran.
    pub engine: Option<EngineUuid>,
}

impl FinishedTasks {
    pub fn insert(&mut self, id: MsgId, finished: FinishedTask) {
        if self.by_id.insert(id.clone(), finished).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > MAX_FINISHED
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_id.remove(&oldest);
        }
    }

    pub fn contains(&self, id: &MsgId) -> bool {
        self.by_id.contains_key(id)
    }

    /// Returns true if a dependency is satisfied, on any engines.
    pub fn met(&self, dependency: &Dependency) -> bool {
        self.check(dependency, |_| true)
    }

    /// Returns true if a dependency is satisfied by tasks that ran on this engine.
    pub fn met_on(&self, dependency: &Dependency, engine: &EngineUuid) -> bool {
        self.check(dependency, |finished| {
            finished.engine.as_ref() == Some(engine)
        })
    }

    /// Returns true if a dependency can no longer be satisfied.
    pub fn unreachable(&self, dependency: &Dependency) -> bool {
        let mut against = dependency.dependencies.iter().map(|id| {
            let finished = self.by_id.get(id);
            finished.is_some_and(|finished| !counts(dependency, finished))
        });
        if dependency.dependencies.is_empty() {
            false
        } else if dependency.all {
            against.any(|against| against)
        } else {
            against.all(|against| against)
        }
    }

    fn check(&self, dependency: &Dependency, here: impl Fn(&FinishedTask) -> bool) -> bool {
        let mut met = dependency.dependencies.iter().map(|id| {
            let finished = self.by_id.get(id);
            finished.is_some_and(|finished| counts(dependency, finished) && here(finished))
        });
        if dependency.dependencies.is_empty() {
            true
        } else if dependency.all {
            met.all(|met| met)
        } else {
            met.any(|met| met)
        }
    }
}

/// Tasks that wait for other tasks, by these.
#[derive(Debug, Default)]
pub(super) struct BlockedTasks {
    waiting_for: HashMap<MsgId, Vec<TaskNo>>,
    /// Tasks with a dependency that has ended.
    changed: VecDeque<TaskNo>,
}

impl BlockedTasks {
    /// Records that a task waits for other tasks.
    pub fn insert<'a>(&mut self, no: TaskNo, ids: impl Iterator<Item = &'a MsgId>) {
        for id in ids {
            let waiting = self.waiting_for.entry(id.clone()).or_default();
            // It is reconsidered whenever one of several tasks has ended.
            if !waiting.contains(&no) {
                waiting.push(no);
            }
        }
    }

    /// Records that a task has ended; the tasks waiting for it are to be reconsidered.
    pub fn ended(&mut self, id: &MsgId) {
        self.changed
            .extend(self.waiting_for.remove(id).into_iter().flatten());
    }

    /// Takes the next task to be reconsidered.
    pub fn pop(&mut self) -> Option<TaskNo> {
        self.changed.pop_front()
    }
}

fn counts(dependency: &Dependency, finished: &FinishedTask) -> bool {
    if finished.ok {
        dependency.success
    } else {
        dependency.failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_twelve_combinations_of_dependency_options_behave_as_in_ipyparallel() {
        let mut ended = FinishedTasks::default();
        for (id, ok) in [("ok", true), ("ok2", true), ("failed", false)] {
            let engine = Some(EngineUuid::new(id));
            ended.insert(MsgId::new(id), FinishedTask { ok, engine });
        }
        let on = |ids: &[&str], all, success, failure| {
            let dependency = Dependency {
                dependencies: ids.iter().map(|id| MsgId::new(*id)).collect(),
                all,
                success,
                failure,
            };
            (ended.met(&dependency), ended.unreachable(&dependency))
        };
        for (ids, all, success, failure, expected) in [
            (&["ok", "ok2"][..], true, true, false, (true, false)),
            (&["ok", "ok2"], true, false, true, (false, true)),
            (&["ok", "failed"], true, true, false, (false, true)),
            (&["ok", "failed"], true, true, true, (true, false)),
            (&["ok", "failed"], false, true, false, (true, false)),
            (&["ok", "failed"], false, false, true, (true, false)),
            (&["failed"], false, true, false, (false, true)),
            (&["failed"], true, false, true, (true, false)),
            (&["ok", "pending"], true, true, false, (false, false)),
            (&["ok", "pending"], false, true, false, (true, false)),
            (&["failed", "pending"], false, true, false, (false, false)),
            (&[], true, true, false, (true, false)),
        ] {
            assert_eq!(on(ids, all, success, failure), expected, "{ids:?} {all}");
        }
        let ok = Dependency {
            dependencies: vec![MsgId::new("ok")],
            ..Dependency::default()
        };
        assert!(ended.met_on(&ok, &EngineUuid::new("ok")));
        assert!(!ended.met_on(&ok, &EngineUuid::new("ok2")));
    }
}
