//! Which engine runs which task. Pure: calls in, commands out, the time given with them.
//!
//! Semantics are those of ipyparallel's `task_scheduler.py`, except that retries end: a task that
//! has failed wherever it may run is answered, not kept for ever; and that the tasks of an engine
//! that died are resolved at once, not after five seconds.

mod dependency;
mod scheme;
mod task;
#[cfg(test)]
mod tests;

pub use scheme::{Candidate, Scheme, UnknownScheme};
pub use task::{FailReason, SchedulerCommand, Task, Verdict};

use dependency::{Ended, Ending};
use phalanx_protocol::id::{EngineUuid, MsgId};
use phalanx_transport::Frames;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Instant;
use task::{Place, Record};

#[derive(Debug)]
struct Worker {
    uuid: EngineUuid,
    running: HashSet<MsgId>,
    last: u64,
}

/// Tasks that wait and tasks that run.
#[derive(Debug)]
pub struct Scheduler {
    scheme: Scheme,
    /// Tasks an engine may have at once; 0 for any number.
    hwm: usize,
    workers: Vec<Worker>,
    tasks: HashMap<MsgId, Record>,
    /// In the order they came; may name tasks that no longer wait.
    ready: VecDeque<MsgId>,
    /// Waiting for other tasks.
    blocked: Vec<MsgId>,
    ended: Ended,
    given: u64,
    random: u64,
    /// Of the requests of all tasks.
    bytes: usize,
}

impl Scheduler {
    /// Without engines and tasks. `seed` is where the random schemes begin.
    pub fn new(scheme: Scheme, hwm: usize, seed: u64) -> Self {
        Self {
            scheme,
            hwm,
            workers: Vec::new(),
            tasks: HashMap::new(),
            ready: VecDeque::new(),
            blocked: Vec::new(),
            ended: Ended::default(),
            given: 0,
            random: seed,
            bytes: 0,
        }
    }

    /// Tasks that wait for an engine.
    pub fn waiting(&self) -> Vec<MsgId> {
        let waits = |(id, record): (&MsgId, &Record)| {
            (!matches!(record.place, Place::Running(_))).then(|| id.clone())
        };
        self.tasks.iter().filter_map(waits).collect()
    }

    /// The bytes of all tasks that have not ended.
    pub fn queued_bytes(&self) -> usize {
        self.bytes
    }

    /// Tasks an engine has.
    pub fn running_on(&self, engine: &EngineUuid) -> Vec<MsgId> {
        let worker = self.workers.iter().find(|worker| worker.uuid == *engine);
        worker.map_or_else(Vec::new, |worker| worker.running.iter().cloned().collect())
    }

    /// Takes a task.
    pub fn submit(&mut self, task: Task, now: Instant) -> Vec<SchedulerCommand> {
        let mut out = Vec::new();
        let known =
            |id: &MsgId| *id != task.id && (self.ended.knows(id) || self.tasks.contains_key(id));
        let mut named = task
            .after
            .dependencies
            .iter()
            .chain(&task.follow.dependencies);
        if self.tasks.contains_key(&task.id) || !named.all(known) {
            out.push(SchedulerCommand::Fail(task, FailReason::InvalidDependency));
            return out;
        }
        let id = task.id.clone();
        let deadline = task.timeout.map(|timeout| now + timeout);
        self.bytes += task.size();
        self.tasks.insert(id.clone(), Record::new(task, deadline));
        self.blocked.push(id.clone());
        self.unblock(&mut out);
        if self.hopeless(&id, &mut out) {
            self.unblock(&mut out);
        }
        self.assign(&mut out);
        out
    }

    /// An engine can take tasks.
    pub fn joined(&mut self, uuid: EngineUuid) -> Vec<SchedulerCommand> {
        let mut out = Vec::new();
        self.workers.push(Worker {
            uuid,
            running: HashSet::new(),
            last: 0,
        });
        self.assign(&mut out);
        out
    }

    /// An engine has gone: its tasks are tried elsewhere where retries are left, else failed.
    pub fn left(&mut self, uuid: &EngineUuid) -> Vec<SchedulerCommand> {
        let mut out = Vec::new();
        let Some(place) = self.workers.iter().position(|worker| worker.uuid == *uuid) else {
            return out;
        };
        let mut lost: Vec<_> = self.workers.remove(place).running.into_iter().collect();
        lost.sort_by_key(|id| self.tasks.get(id).map(|record| record.given));
        for id in lost {
            let Some(record) = self.tasks.get_mut(&id) else {
                continue;
            };
            if record.task.retries == 0 {
                self.fail(&id, FailReason::EngineDied(uuid.clone()), &mut out);
            } else {
                record.task.retries -= 1;
                record.failed_on.push(uuid.clone());
                record.died_on = Some(uuid.clone());
                self.make_ready(id);
            }
        }
        for id in self.ready.iter().cloned().collect::<Vec<_>>() {
            self.hopeless(&id, &mut out);
        }
        self.settle(&mut out);
        out
    }

    /// An engine has answered. `None` for a task it does not have: the answer is nobody's.
    pub fn replied(
        &mut self,
        engine: &EngineUuid,
        id: &MsgId,
        verdict: Verdict,
        reply: Frames,
    ) -> Option<Vec<SchedulerCommand>> {
        let worker = self
            .workers
            .iter_mut()
            .find(|worker| worker.uuid == *engine)?;
        if !worker.running.remove(id) {
            return None;
        }
        let record = self.tasks.get_mut(id)?;
        let mut out = Vec::new();
        let again = match verdict {
            Verdict::Unmet => true,
            Verdict::Failed if record.task.retries > 0 => {
                record.task.retries -= 1;
                true
            }
            _ => false,
        };
        if again {
            record.failed_on.push(engine.clone());
            record.failure = Some(reply);
            self.make_ready(id.clone());
        } else {
            let ok = verdict == Verdict::Ok;
            self.finish(id, ok, Some(engine.clone()));
            out.push(SchedulerCommand::Reply(reply));
        }
        self.settle(&mut out);
        Some(out)
    }

    /// Drops tasks that have not begun.
    pub fn abort(&mut self, ids: &[MsgId]) -> Vec<SchedulerCommand> {
        let mut out = Vec::new();
        for id in ids {
            let waits = |record: &Record| !matches!(record.place, Place::Running(_));
            if self.tasks.get(id).is_some_and(waits) {
                self.fail(id, FailReason::Aborted, &mut out);
            }
        }
        self.settle(&mut out);
        out
    }

    /// Fails the tasks whose time to begin is over.
    pub fn tick(&mut self, now: Instant) -> Vec<SchedulerCommand> {
        let mut out = Vec::new();
        let late = |(id, record): (&MsgId, &Record)| {
            let waits = !matches!(record.place, Place::Running(_));
            (waits && record.deadline.is_some_and(|deadline| deadline <= now)).then(|| id.clone())
        };
        let late: Vec<_> = self.tasks.iter().filter_map(late).collect();
        for id in late {
            self.fail(&id, FailReason::Timeout, &mut out);
        }
        self.settle(&mut out);
        out
    }

    fn make_ready(&mut self, id: MsgId) {
        if let Some(record) = self.tasks.get_mut(&id) {
            record.place = Place::Ready;
            // Before those that have not been tried at all.
            self.ready.push_front(id);
        }
    }

    fn finish(&mut self, id: &MsgId, ok: bool, engine: Option<EngineUuid>) -> Option<Record> {
        self.ended.insert(id.clone(), Ending { ok, engine });
        let record = self.tasks.remove(id)?;
        self.bytes -= record.task.size();
        Some(record)
    }

    fn fail(&mut self, id: &MsgId, reason: FailReason, out: &mut Vec<SchedulerCommand>) {
        let engine = match &reason {
            FailReason::EngineDied(engine) => Some(engine.clone()),
            _ => None,
        };
        if let Some(record) = self.finish(id, false, engine) {
            out.push(SchedulerCommand::Fail(record.task, reason));
        }
    }

    fn settle(&mut self, out: &mut Vec<SchedulerCommand>) {
        self.unblock(out);
        self.assign(out);
    }

    /// Moves the tasks whose dependencies are met on, and fails those whose never will be.
    fn unblock(&mut self, out: &mut Vec<SchedulerCommand>) {
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for id in std::mem::take(&mut self.blocked) {
                let Some(record) = self.tasks.get_mut(&id) else {
                    continue;
                };
                let (after, follow) = (&record.task.after, &record.task.follow);
                if self.ended.unreachable(after) || self.ended.unreachable(follow) {
                    self.fail(&id, FailReason::ImpossibleDependency, out);
                    changed = true;
                } else if self.ended.met(after) && self.ended.met(follow) {
                    record.place = Place::Ready;
                    self.ready.push_back(id);
                } else {
                    self.blocked.push(id);
                }
            }
        }
    }

    /// Gives ready tasks to engines, first come first served.
    fn assign(&mut self, out: &mut Vec<SchedulerCommand>) {
        let mut kept = VecDeque::new();
        let mut failed = false;
        while let Some(id) = self.ready.pop_front() {
            if !self.has_room() {
                self.ready.push_front(id);
                break;
            }
            match self.try_assign(&id, out) {
                Assigned::Yes | Assigned::Gone => {}
                Assigned::Failed => failed = true,
                Assigned::Later => kept.push_back(id),
            }
        }
        kept.append(&mut self.ready);
        self.ready = kept;
        if failed {
            self.settle(out);
        }
    }

    fn has_room(&self) -> bool {
        self.workers
            .iter()
            .any(|worker| self.hwm == 0 || worker.running.len() < self.hwm)
    }

    fn try_assign(&mut self, id: &MsgId, out: &mut Vec<SchedulerCommand>) -> Assigned {
        let Some(record) = self.tasks.get(id) else {
            return Assigned::Gone;
        };
        if !matches!(record.place, Place::Ready) {
            return Assigned::Gone;
        }
        let may = self.eligible(record);
        if may.is_empty() {
            return if self.hopeless(id, out) {
                Assigned::Failed
            } else {
                Assigned::Later
            };
        }
        let free: Vec<usize> = may
            .into_iter()
            .filter(|place| self.hwm == 0 || self.workers[*place].running.len() < self.hwm)
            .collect();
        let candidates: Vec<Candidate> = free
            .iter()
            .map(|place| Candidate {
                load: self.workers[*place].running.len(),
                last: self.workers[*place].last,
            })
            .collect();
        let random = self.next_random();
        let Some(chosen) = self.scheme.choose(&candidates, random) else {
            return Assigned::Later;
        };
        let worker = &mut self.workers[free[chosen]];
        self.given += 1;
        worker.last = self.given;
        worker.running.insert(id.clone());
        if let Some(record) = self.tasks.get_mut(id) {
            record.place = Place::Running(worker.uuid.clone());
            record.given = self.given;
            out.push(SchedulerCommand::Run {
                task: id.clone(),
                engine: worker.uuid.clone(),
                request: record.task.request.clone(),
            });
        }
        Assigned::Yes
    }

    /// The places of the engines that may run a task, busy ones too.
    fn eligible(&self, record: &Record) -> Vec<usize> {
        (0..self.workers.len())
            .filter(|place| {
                let uuid = &self.workers[*place].uuid;
                record.may_run_on(uuid) && self.ended.met_on(&record.task.follow, uuid)
            })
            .collect()
    }

    /// Answers a ready task that no engine may run, unless one that joins later could.
    fn hopeless(&mut self, id: &MsgId, out: &mut Vec<SchedulerCommand>) -> bool {
        let none = |record: &Record| {
            matches!(record.place, Place::Ready) && self.eligible(record).is_empty()
        };
        if !self.tasks.get(id).is_some_and(none) {
            return false;
        }
        let Some(record) = self.tasks.get_mut(id) else {
            return false;
        };
        let alive = |uuid: &EngineUuid| self.workers.iter().any(|worker| worker.uuid == *uuid);
        let tried = !record.failed_on.is_empty();
        let bound = record.task.targets.as_ref();
        let targets_gone = bound.is_some_and(|targets| !targets.iter().any(alive));
        let elsewhere = !record.task.follow.dependencies.is_empty();
        if !tried && !targets_gone && !elsewhere {
            return false;
        }
        if let Some(reply) = record.failure.take() {
            self.finish(id, false, None);
            out.push(SchedulerCommand::Reply(reply));
            return true;
        }
        let reason = match record.died_on.take() {
            Some(engine) => FailReason::EngineDied(engine),
            None => FailReason::ImpossibleDependency,
        };
        self.fail(id, reason, out);
        true
    }

    /// Xorshift: the schemes need variety, not secrecy.
    fn next_random(&mut self) -> u64 {
        self.random |= 1;
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

enum Assigned {
    Yes,
    Later,
    Failed,
    Gone,
}
