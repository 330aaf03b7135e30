use super::dependency::FinishedTasks;
use phalanx_protocol::id::{EngineUuid, MsgId};
use phalanx_protocol::parallel::{Dependency, TaskMetadata};
use phalanx_transport::{Frames, RawMessage};
use std::time::{Duration, Instant};

/// The bytes a task takes beside its request: ids, allocations, the index.
const OVERHEAD: usize = 512;

/// The language of a task's code, and of the code an engine runs: compiled Rust of our clients, or what stock
/// clients send to stock engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// Ours.
    Rust,
    /// Any other, which is Python.
    Python,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Rust, Self::Python];
}

/// A load-balanced task.
#[derive(Clone, Debug, PartialEq)]
pub struct BalancedTask {
    /// Its request's.
    pub id: MsgId,
    /// The client's request as it came: its identity, then the signed message.
    pub request: RawMessage,
    /// Engines of no other can run it.
    pub language: Language,
    /// Tasks that must be done before.
    pub after: Dependency,
    /// Tasks on whose engine it must run.
    pub follow: Dependency,
    /// The time it may wait.
    pub timeout: Option<Duration>,
    /// The engines it may run on, in order.
    pub targets: Option<Vec<EngineUuid>>,
    /// The number of times it may still be tried again.
    pub retries: u32,
    /// True if it is to run even if its client has gone before it began.
    pub detached: bool,
    /// The message it came with, where that brought others like it; its request is not signed then.
    pub batch: Option<BatchNo>,
}

/// Names a message with several tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BatchNo(pub u64);

impl BalancedTask {
    /// A task of a client's request.
    pub fn new(id: MsgId, request: RawMessage, metadata: TaskMetadata) -> Self {
        let language = match metadata.phalanx {
            Some(_) => Language::Rust,
            None => Language::Python,
        };
        // Stock clients leave and fetch their results later; they have no way to say so.
        let detached = metadata.phalanx_detached || language == Language::Python;
        let timeout = Some(metadata.timeout)
            .filter(|seconds| *seconds > 0.0)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let mut targets = metadata.targets;
        targets.sort();
        Self {
            id,
            request,
            language,
            after: metadata.after,
            follow: metadata.follow,
            timeout,
            targets: Some(targets).filter(|targets| !targets.is_empty()),
            retries: metadata.retries,
            detached,
            batch: None,
        }
    }

    /// As ZeroMQ alone would place it: on any engine, at once, and never again.
    pub fn without_conditions(self) -> Self {
        Self {
            after: Dependency::default(),
            follow: Dependency::default(),
            timeout: None,
            targets: None,
            retries: 0,
            ..self
        }
    }

    /// The identity of its client.
    pub fn client(&self) -> &[u8] {
        self.request.identities.first().map_or(&[], |name| name)
    }

    /// The tasks it waits for or follows.
    pub fn depends_on(&self) -> impl Iterator<Item = &MsgId> {
        let after = self.after.dependencies.iter();
        after.chain(&self.follow.dependencies)
    }

    /// The bytes it takes while it is here, about.
    pub fn size(&self) -> usize {
        let request = &self.request;
        let parts: usize = request.signed_parts().iter().map(|part| part.len()).sum();
        let buffers: usize = request.buffers.iter().map(|buffer| buffer.len()).sum();
        OVERHEAD + parts + buffers
    }
}

/// A reply's verdict on its task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyVerdict {
    /// It succeeded.
    Ok,
    /// It failed.
    Failed,
    /// It was aborted.
    Aborted,
    /// That engine cannot run it, for want of this; another might.
    Unmet(String),
    /// That engine cannot run it as it came, and says so to its client; another might.
    Lacking,
}

/// A command of the scheduler.
#[derive(Clone, Debug, PartialEq)]
pub enum SchedulerCommand {
    /// Send a task's request to an engine.
    Run {
        /// The task to run.
        task: MsgId,
        /// The engine to run it on.
        engine: EngineUuid,
        /// With the client's identity; not signed where it came with a batch.
        request: RawMessage,
        /// The message it came with; tasks of the same that follow each other may travel together.
        batch: Option<BatchNo>,
    },
    /// Send an engine's reply, as it came, to its client.
    Reply(Frames),
    /// Answer the task in the engine's place.
    Fail(BalancedTask, FailReason),
}

/// The reason a task is answered by the scheduler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailReason {
    /// The engine ended while it ran.
    EngineDied(EngineUuid),
    /// It was not begun in time.
    Timeout,
    /// A dependency can never be met.
    ImpossibleDependency(Impossible),
    /// It depends on a task nobody knows, or on itself.
    InvalidDependency,
    /// All engines have gone, and none has come since.
    NoEngines,
    /// Somebody asked for it.
    Aborted,
    /// Its client has gone.
    ClientLeft,
}

/// The reason a dependency can never be met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Impossible {
    /// A task has ended otherwise than it asks.
    Ended,
    /// No engine has what the function requires: what the last of them said it lacked.
    Unmet(String),
    /// No engine that it is allowed to run on is there.
    Nowhere,
    /// The engines that are there run another language.
    Language(Language),
}

/// Numbers tasks in the order they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct TaskNo(pub u64);

#[derive(Debug)]
pub(super) struct SchedulerEntry {
    pub task: BalancedTask,
    pub place: TaskPlace,
    pub deadline: Option<Instant>,
    /// The engines on which it was tried, if it was.
    pub tried: Option<Box<TriedEngines>>,
}

/// The engines on which a task was tried in vain.
#[derive(Debug, Default)]
pub(super) struct TriedEngines {
    /// Engines not to try again.
    pub on: Vec<EngineUuid>,
    /// The answer of the last of them.
    pub failure: Option<Frames>,
    /// The requirement that the last of them did not meet.
    pub unmet: Option<String>,
    /// The last that died with it.
    pub died_on: Option<EngineUuid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TaskPlace {
    Blocked,
    Ready,
    Running,
}

impl SchedulerEntry {
    pub fn new(task: BalancedTask, deadline: Option<Instant>) -> Self {
        Self {
            task,
            place: TaskPlace::Blocked,
            deadline,
            tried: None,
        }
    }

    /// Returns true if the choice of engines depends on more than its targets.
    pub fn is_special(&self) -> bool {
        self.tried.is_some() || !self.task.follow.dependencies.is_empty()
    }

    pub fn may_run_on(&self, uuid: &EngineUuid, runs: Language, ended: &FinishedTasks) -> bool {
        let targets = self.task.targets.as_ref();
        runs == self.task.language
            && targets.is_none_or(|targets| targets.contains(uuid))
            && self
                .tried
                .as_ref()
                .is_none_or(|tried| !tried.on.contains(uuid))
            && ended.met_on(&self.task.follow, uuid)
    }
}
