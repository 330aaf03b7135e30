//! The assignment of tasks to engines. Pure: calls in, commands out, with the time as an argument.
//!
//! The semantics are those of ipyparallel's `task_scheduler.py`, with three exceptions: a task that
//! has failed on every possible engine is answered instead of kept forever; the tasks of an engine
//! that has exited are resolved at once instead of after five seconds; and tasks without any engine
//! wait for one only as long as a restart of the engines takes.
//!
//! Clients are served in turn: a task does not wait for all tasks that another client has submitted
//! before. A turn is one message to an engine, which may contain several small tasks.
//!
//! The cost of an event does not grow with the number of tasks that wait for an engine or for each
//! other; only tasks that are retried or follow others are examined one by one. Nor does it grow
//! with the number of busy engines.

mod batch_size;
mod dependency;
mod ready;
mod scheme;
mod share;
mod task;
#[cfg(test)]
mod tests;

pub use scheme::{Candidate, Scheme, UnknownScheme};
pub use share::ReadChange;
pub use task::{
    BalancedTask, BatchNo, FailReason, Impossible, Language, ReplyVerdict, SchedulerCommand,
};

use crate::hash::{HashMap, HashSet};
use batch_size::BatchPace;
use dependency::{BlockedTasks, FinishedTask, FinishedTasks};
use phalanx_protocol::id::{EngineUuid, MsgId};
use phalanx_protocol::parallel::BatchedReply;
use phalanx_transport::Frames;
use ready::ReadyTasks;
use share::ClientShares;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use task::{SchedulerEntry, TaskConditions, TaskNo, TaskState};

/// The time tasks wait for an engine after the last one has left, since it may be restarted.
pub const WITHOUT_ENGINES: Duration = Duration::from_secs(10);

/// The number of tasks for which capacity is kept while there are none.
const MIN_CAPACITY: usize = 1024;

/// An engine and the tasks on it.
#[derive(Debug)]
struct EngineLoad {
    uuid: EngineUuid,
    runs: Language,
    running: HashSet<TaskNo>,
    last: u64,
}

/// The waiting and the running tasks.
#[derive(Debug)]
pub struct Scheduler {
    scheme: Scheme,
    /// The maximum number of tasks on an engine; 0 for no limit. Small tasks of one batch count as
    /// one.
    hwm: usize,
    engines: Vec<EngineLoad>,
    /// The index of each engine.
    indices: HashMap<EngineUuid, usize>,
    /// The indices of engines that can take a task.
    free: BTreeSet<usize>,
    tasks: HashMap<TaskNo, Box<SchedulerEntry>>,
    by_id: HashMap<MsgId, TaskNo>,
    ready: ReadyTasks,
    blocked: BlockedTasks,
    finished: FinishedTasks,
    deadlines: BTreeSet<(Instant, TaskNo)>,
    /// True once there has been an engine: before the first one, tasks wait without a limit.
    had_engines: bool,
    /// The time until which tasks wait for a new engine after the last one has left.
    abandoned: Option<Instant>,
    paces: HashMap<BatchNo, BatchPace>,
    next: TaskNo,
    assignments: u64,
    random: u64,
    shares: ClientShares,
}

impl Scheduler {
    /// Creates a scheduler without engines and tasks. Clients share `room` bytes for their tasks,
    /// `seed` initializes the random schemes.
    pub fn new(scheme: Scheme, hwm: usize, room: usize, seed: u64) -> Self {
        Self {
            scheme,
            hwm: if scheme == Scheme::Pure { 0 } else { hwm },
            engines: Vec::new(),
            indices: HashMap::default(),
            free: BTreeSet::new(),
            tasks: HashMap::default(),
            by_id: HashMap::default(),
            ready: ReadyTasks::default(),
            blocked: BlockedTasks::default(),
            finished: FinishedTasks::default(),
            deadlines: BTreeSet::new(),
            had_engines: false,
            abandoned: None,
            paces: HashMap::default(),
            next: TaskNo(0),
            assignments: 0,
            random: seed,
            shares: ClientShares::new(room),
        }
    }

    /// The tasks that wait for an engine or for other tasks, oldest first.
    pub fn waiting(&self) -> Vec<MsgId> {
        let waits = |entry: &SchedulerEntry| entry.state != TaskState::Running;
        let waiting = self.tasks.iter().filter(|(_, entry)| waits(entry));
        let waiting = waiting.map(|(no, entry)| (*no, entry.task.id.clone()));
        let mut waiting: Vec<_> = waiting.collect();
        waiting.sort();
        waiting.into_iter().map(|(_, id)| id).collect()
    }

    /// The number of waiting tasks.
    pub fn waiting_count(&self) -> usize {
        let running: usize = self.engines.iter().map(|engine| engine.running.len()).sum();
        self.tasks.len() - running
    }

    /// The size in bytes of all tasks that have not ended.
    pub fn queued_bytes(&self) -> usize {
        self.shares.taken()
    }

    /// Returns true while new tasks of any client may be read.
    pub fn has_room(&self) -> bool {
        self.shares.has_room()
    }

    /// Takes the clients that are to be read no longer, or again, in order.
    pub fn read_changes(&mut self) -> Vec<ReadChange> {
        self.shares.changes()
    }

    /// The tasks on an engine, oldest first.
    pub fn running_on(&self, engine: &EngineUuid) -> Vec<MsgId> {
        let engine = self.indices.get(engine).map(|index| &self.engines[*index]);
        let mut running: Vec<_> = engine
            .into_iter()
            .flat_map(|engine| &engine.running)
            .collect();
        running.sort();
        let id = |no: &TaskNo| Some(self.tasks.get(no)?.task.id.clone());
        running.into_iter().filter_map(id).collect()
    }

    /// The number of tasks on an engine.
    pub fn load_of(&self, engine: &EngineUuid) -> usize {
        let index = self.indices.get(engine);
        index.map_or(0, |index| self.engines[*index].running.len())
    }

    /// Adds a task.
    pub fn submit(&mut self, mut task: BalancedTask, now: Instant) -> Vec<SchedulerCommand> {
        let mut out = Vec::new();
        if self.scheme == Scheme::Pure {
            task = task.without_conditions();
        }
        let known = |id: &MsgId| {
            *id != task.id && (self.finished.contains(id) || self.by_id.contains_key(id))
        };
        if self.by_id.contains_key(&task.id) || !task.depends_on().all(known) {
            out.push(SchedulerCommand::Fail(task, FailReason::InvalidDependency));
            return out;
        }
        let no = self.next;
        self.next.0 += 1;
        // One too far away is none.
        let timeout = task.conditions().timeout;
        let deadline = timeout.and_then(|timeout| now.checked_add(timeout));
        self.deadlines.extend(deadline.map(|at| (at, no)));
        self.shares.add(task.client(), task.size());
        self.by_id.insert(task.id.clone(), no);
        if let Some(batch) = task.batch {
            self.paces.entry(batch).or_default().left += 1;
        }
        self.tasks
            .insert(no, Box::new(SchedulerEntry::new(task, deadline)));
        self.consider(no, &mut out);
        self.settle(&mut out);
        self.start_engine_deadline(now);
        out
    }

    /// Adds an engine that runs tasks of a language.
    pub fn joined(&mut self, uuid: EngineUuid, runs: Language) -> Vec<SchedulerCommand> {
        let mut out = Vec::new();
        self.had_engines = true;
        self.abandoned = None;
        let index = self.engines.len();
        self.indices.insert(uuid.clone(), index);
        self.free.insert(index);
        self.engines.push(EngineLoad {
            uuid,
            runs,
            running: HashSet::default(),
            last: 0,
        });
        self.assign(&mut out);
        out
    }

    /// Removes an engine: its tasks are retried elsewhere if they have retries left, otherwise they
    /// fail.
    pub fn left(&mut self, uuid: &EngineUuid, now: Instant) -> Vec<SchedulerCommand> {
        let mut out = Vec::new();
        let Some(index) = self.indices.remove(uuid) else {
            return out;
        };
        let mut lost: Vec<_> = self
            .engines
            .swap_remove(index)
            .running
            .into_iter()
            .collect();
        if let Some(moved) = self.engines.get(index) {
            self.indices.insert(moved.uuid.clone(), index);
        }
        self.free.remove(&self.engines.len());
        self.update_free(index);
        lost.sort();
        for no in lost {
            let Some(entry) = self.tasks.get_mut(&no) else {
                continue;
            };
            if entry.task.retries == 0 {
                self.fail(no, FailReason::EngineDied(uuid.clone()), &mut out);
            } else {
                entry.task.retries -= 1;
                let tried = entry.tried.get_or_insert_default();
                tried.on.push(uuid.clone());
                tried.died_on = Some(uuid.clone());
                tried.unmet = None;
                self.make_ready(no, &mut out);
            }
        }
        let without_engines = Language::ALL.map(|language| !self.has_engines(language));
        for no in self.ready.bound(without_engines) {
            self.fail_if_impossible(no, &mut out);
        }
        self.settle(&mut out);
        self.start_engine_deadline(now);
        out
    }

    /// Handles the reply of an engine; `None` if it does not have the task, so that the reply is
    /// ignored.
    pub fn replied(
        &mut self,
        engine: &EngineUuid,
        id: &MsgId,
        verdict: ReplyVerdict,
        reply: Frames,
    ) -> Option<Vec<SchedulerCommand>> {
        let no = *self.by_id.get(id)?;
        let index = *self.indices.get(engine)?;
        if !self.engines[index].running.remove(&no) {
            return None;
        }
        self.update_free(index);
        let entry = self.tasks.get_mut(&no)?;
        let mut out = Vec::new();
        let ok = verdict == ReplyVerdict::Ok;
        let again = match verdict {
            ReplyVerdict::Unmet(why) => Some((None, Some(why))),
            ReplyVerdict::Refused => Some((Some(reply.clone()), None)),
            ReplyVerdict::Failed if entry.task.retries > 0 => {
                entry.task.retries -= 1;
                Some((Some(reply.clone()), None))
            }
            _ => None,
        };
        if let Some((failure, unmet)) = again {
            let tried = entry.tried.get_or_insert_default();
            tried.on.push(engine.clone());
            (tried.failure, tried.unmet) = (failure, unmet);
            self.make_ready(no, &mut out);
        } else {
            self.finish(no, ok, Some(engine.clone()));
            out.push(SchedulerCommand::Reply(reply));
        }
        self.settle(&mut out);
        Some(out)
    }

    /// Handles the replies to several tasks of a batch, all successful, which the caller relays;
    /// `None` if the engine has none of the tasks.
    pub fn batch_replied(
        &mut self,
        engine: &EngineUuid,
        replies: &[BatchedReply],
    ) -> Option<Vec<SchedulerCommand>> {
        let index = *self.indices.get(engine)?;
        let load = &mut self.engines[index];
        let nos = replies
            .iter()
            .filter_map(|reply| self.by_id.get(&reply.msg_id));
        let nos: Vec<_> = nos.copied().filter(|no| load.running.remove(no)).collect();
        self.update_free(index);
        let first = self.tasks.get(nos.first()?)?;
        if let Some(pace) = first
            .task
            .batch
            .and_then(|batch| self.paces.get_mut(&batch))
        {
            pace.ended(replies);
        }
        for no in nos {
            self.finish(no, true, Some(engine.clone()));
        }
        let mut out = Vec::new();
        self.settle(&mut out);
        Some(out)
    }

    /// Aborts tasks that have not started.
    pub fn abort(&mut self, ids: &[MsgId]) -> Vec<SchedulerCommand> {
        let mut out = Vec::new();
        for id in ids {
            if let Some(no) = self.by_id.get(id).copied()
                && self.waits(no)
            {
                self.fail(no, FailReason::Aborted, &mut out);
            }
        }
        self.settle(&mut out);
        out
    }

    /// Returns true if a client has tasks that have not ended.
    pub fn has_tasks_of(&self, client: &[u8]) -> bool {
        self.shares.taken_by(client) > 0
    }

    /// Aborts the tasks of a client that has left for good, unless they have started or are
    /// detached.
    pub fn client_left(&mut self, client: &[u8]) -> Vec<SchedulerCommand> {
        if !self.has_tasks_of(client) {
            return Vec::new();
        }
        let lost = |entry: &SchedulerEntry| {
            entry.state != TaskState::Running
                && !entry.task.detached
                && entry.task.client() == client
        };
        let lost = self.tasks.iter().filter(|(_, entry)| lost(entry));
        let mut lost: Vec<_> = lost.map(|(no, _)| *no).collect();
        lost.sort();
        let mut out = Vec::new();
        for no in lost {
            self.fail(no, FailReason::ClientLeft, &mut out);
        }
        self.settle(&mut out);
        out
    }

    /// Fails the tasks whose timeout has passed, and those without an engine for too long.
    pub fn tick(&mut self, now: Instant) -> Vec<SchedulerCommand> {
        let mut out = Vec::new();
        if self.abandoned.take_if(|until| *until <= now).is_some() {
            let mut left: Vec<_> = self.tasks.keys().copied().collect();
            left.sort();
            for no in left {
                self.fail(no, FailReason::NoEngines, &mut out);
            }
        }
        while let Some((at, no)) = self.deadlines.first().copied()
            && at <= now
        {
            self.deadlines.pop_first();
            if self.waits(no) {
                self.fail(no, FailReason::Timeout, &mut out);
            }
        }
        self.settle(&mut out);
        out
    }

    /// Starts the deadline of tasks that no engine is left for.
    fn start_engine_deadline(&mut self, now: Instant) {
        if self.had_engines && self.engines.is_empty() && !self.tasks.is_empty() {
            self.abandoned.get_or_insert(now + WITHOUT_ENGINES);
        }
    }

    fn has_engines(&self, language: Language) -> bool {
        self.engines.iter().any(|engine| engine.runs == language)
    }

    fn waits(&self, no: TaskNo) -> bool {
        let entry = self.tasks.get(&no);
        entry.is_some_and(|entry| entry.state != TaskState::Running)
    }

    /// Reconsiders a task whose dependencies may have changed.
    fn consider(&mut self, no: TaskNo, out: &mut Vec<SchedulerCommand>) {
        let Some(entry) = self.tasks.get(&no) else {
            return;
        };
        if entry.state != TaskState::Blocked {
            return;
        }
        let TaskConditions { after, follow, .. } = entry.task.conditions();
        if self.finished.unreachable(after) || self.finished.unreachable(follow) {
            let reason = FailReason::ImpossibleDependency(Impossible::Ended);
            self.fail(no, reason, out);
        } else if self.finished.met(after) && self.finished.met(follow) {
            self.make_ready(no, out);
        } else {
            let finished = &self.finished;
            let open = entry.task.depends_on().filter(|id| !finished.contains(id));
            self.blocked.insert(no, open);
        }
    }

    fn make_ready(&mut self, no: TaskNo, out: &mut Vec<SchedulerCommand>) {
        if let Some(entry) = self.tasks.get_mut(&no) {
            entry.state = TaskState::Ready;
            self.ready.insert(no, entry);
            self.fail_if_impossible(no, out);
        }
    }

    /// Removes a task that has ended.
    fn finish(
        &mut self,
        no: TaskNo,
        ok: bool,
        engine: Option<EngineUuid>,
    ) -> Option<Box<SchedulerEntry>> {
        let entry = self.tasks.remove(&no)?;
        let id = entry.task.id.clone();
        self.by_id.remove(&id);
        self.ready.remove(no, &entry);
        if let Some(deadline) = entry.deadline {
            self.deadlines.remove(&(deadline, no));
        }
        self.shares.remove(entry.task.client(), entry.task.size());
        if let Some(batch) = entry.task.batch
            && let Some(pace) = self.paces.get_mut(&batch)
        {
            pace.left -= 1;
            if pace.left == 0 {
                self.paces.remove(&batch);
            }
        }
        self.blocked.ended(&id);
        self.finished.insert(id, FinishedTask { ok, engine });
        if self.tasks.is_empty() {
            self.abandoned = None;
            // The capacity for a hundred thousand tasks takes a hundred megabytes.
            self.tasks.shrink_to(MIN_CAPACITY);
            self.by_id.shrink_to(MIN_CAPACITY);
        }
        Some(entry)
    }

    fn fail(&mut self, no: TaskNo, reason: FailReason, out: &mut Vec<SchedulerCommand>) {
        let engine = match &reason {
            FailReason::EngineDied(engine) => Some(engine.clone()),
            _ => None,
        };
        if let Some(entry) = self.finish(no, false, engine) {
            out.push(SchedulerCommand::Fail(entry.task, reason));
        }
    }

    /// Unblocks tasks whose dependencies have ended, and assigns ready tasks.
    fn settle(&mut self, out: &mut Vec<SchedulerCommand>) {
        while let Some(no) = self.blocked.pop() {
            self.consider(no, out);
        }
        self.assign(out);
    }

    /// Assigns ready tasks to engines, in turn.
    fn assign(&mut self, out: &mut Vec<SchedulerCommand>) {
        loop {
            if self.free.is_empty() || self.ready.is_empty() {
                return;
            }
            let free = &self.free;
            let (engines, tasks) = (&self.engines, &self.tasks);
            let (finished, ready) = (&self.finished, &self.ready);
            let may = |no: TaskNo, index: usize| {
                let entry = tasks.get(&no);
                let EngineLoad { uuid, runs, .. } = &engines[index];
                entry.is_some_and(|entry| entry.may_run_on(uuid, *runs, finished))
            };
            let first = ready.first(|no| free.iter().any(|index| may(no, *index)));
            let Some(no) = first else { return };
            let indices: Vec<usize> = free
                .iter()
                .copied()
                .filter(|index| may(no, *index))
                .collect();
            let candidate = |index: &usize| Candidate {
                load: engines[*index].running.len(),
                last: engines[*index].last,
            };
            let candidates: Vec<_> = indices.iter().map(candidate).collect();
            let random = self.next_random();
            let Some(chosen) = self.scheme.choose(&candidates, random) else {
                return;
            };
            if let Some(entry) = self.tasks.get(&no) {
                self.ready.served(entry.task.client());
            }
            self.run(no, indices[chosen], out);
            self.run_along(no, indices[chosen], out);
        }
    }

    /// Assigns more small tasks of the same batch to an engine that was just assigned one, up to
    /// its share of the waiting ones.
    fn run_along(&mut self, no: TaskNo, index: usize, out: &mut Vec<SchedulerCommand>) {
        let batch = self.tasks.get(&no).and_then(|entry| entry.task.batch);
        let Some(pace) = batch.and_then(|batch| self.paces.get(&batch)).copied() else {
            return;
        };
        let share = |waiting: usize| (waiting + 1).div_ceil(self.engines.len());
        let waiting = |entry| self.ready.alike(entry).1;
        let limit = self.tasks.get(&no).map_or(1, |entry| share(waiting(entry)));
        for _ in 1..pace.at_once().min(limit) {
            let next = self
                .tasks
                .get(&no)
                .and_then(|entry| self.ready.alike(entry).0);
            let batch_of = |no: &TaskNo| self.tasks.get(no)?.task.batch;
            let Some(next) = next.filter(|next| batch_of(next) == batch) else {
                return;
            };
            self.run(next, index, out);
        }
    }

    /// Updates whether the engine with this index, if it exists, can take a task.
    fn update_free(&mut self, index: usize) {
        let engine = self.engines.get(index);
        let room = engine.is_some_and(|engine| self.hwm == 0 || engine.running.len() < self.hwm);
        match room {
            true => self.free.insert(index),
            false => self.free.remove(&index),
        };
    }

    fn run(&mut self, no: TaskNo, index: usize, out: &mut Vec<SchedulerCommand>) {
        let (engine, Some(entry)) = (&mut self.engines[index], self.tasks.get_mut(&no)) else {
            return;
        };
        self.ready.remove(no, entry);
        self.assignments += 1;
        engine.last = self.assignments;
        engine.running.insert(no);
        entry.state = TaskState::Running;
        out.push(SchedulerCommand::Run {
            task: entry.task.id.clone(),
            engine: engine.uuid.clone(),
            request: entry.task.request.clone(),
            batch: entry.task.batch,
        });
        self.update_free(index);
    }

    /// Answers a ready task that no engine can run, unless one that joins later could.
    fn fail_if_impossible(&mut self, no: TaskNo, out: &mut Vec<SchedulerCommand>) {
        let Some(entry) = self.tasks.get_mut(&no) else {
            return;
        };
        let may = |engine: &EngineLoad| entry.may_run_on(&engine.uuid, engine.runs, &self.finished);
        if entry.state != TaskState::Ready || self.engines.iter().any(may) {
            return;
        }
        let alive = |uuid: &EngineUuid| self.engines.iter().any(|engine| engine.uuid == *uuid);
        let bound = entry.task.targets();
        let targets_gone = bound.is_some_and(|targets| !targets.iter().any(alive));
        let tried = entry.tried.is_some();
        let elsewhere = entry.task.follows();
        let language = entry.task.language;
        let speaks = |engine: &EngineLoad| engine.runs == language;
        let foreign = !self.engines.is_empty() && !self.engines.iter().any(speaks);
        if !tried && !targets_gone && !elsewhere && !foreign {
            return;
        }
        // Still counts as tried, which determines its queue.
        let last = entry
            .tried
            .as_mut()
            .map(|tried| std::mem::take(&mut **tried));
        let last = last.unwrap_or_default();
        if let Some(reply) = last.failure {
            self.finish(no, false, None);
            out.push(SchedulerCommand::Reply(reply));
            return;
        }
        let reason = match last.died_on {
            Some(engine) => FailReason::EngineDied(engine),
            None if foreign && !tried => {
                FailReason::ImpossibleDependency(Impossible::Language(language))
            }
            None => FailReason::ImpossibleDependency(match last.unmet {
                Some(why) if !why.is_empty() => Impossible::Unmet(why),
                _ => Impossible::Nowhere,
            }),
        };
        self.fail(no, reason, out);
    }

    /// Xorshift: the schemes need variety, not security.
    fn next_random(&mut self) -> u64 {
        self.random |= 1;
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}
