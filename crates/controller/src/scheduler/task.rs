//! A load-balanced task, and the scheduler's commands about it.

use super::dependency::FinishedTasks;
use crate::stored::StoredMessage;
use phalanx_protocol::id::{EngineUuid, MsgId};
use phalanx_protocol::parallel::{Dependency, SchedulingMetadata};
use phalanx_transport::Frames;
use std::time::{Duration, Instant};

/// The memory of a task in addition to its request and conditions, in bytes: ids, allocations, the
/// index.
const OVERHEAD: usize = 384;

/// The memory of an id in addition to its text, in bytes.
const ID_OVERHEAD: usize = 48;

/// The language of tasks and of engines: compiled Rust of our clients, or the tasks of stock
/// clients for stock engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// Compiled Rust.
    Rust,
    /// Any other language, in practice Python.
    Python,
}

impl Language {
    /// All languages.
    pub const ALL: [Self; 2] = [Self::Rust, Self::Python];
}

/// A load-balanced task.
#[derive(Clone, Debug, PartialEq)]
pub struct BalancedTask {
    /// The msg_id of its request.
    pub id: MsgId,
    /// The client's request as received: its identity, then the signed message.
    pub request: StoredMessage,
    /// The language of the engines that can run it.
    pub language: Language,
    /// Its conditions; most tasks have none.
    pub(super) conditions: Option<Box<TaskConditions>>,
    /// The number of retries left.
    pub retries: u32,
    /// True to run it even if its client disconnects before it has started.
    pub detached: bool,
    /// The batch it was sent in, if any; its request is not signed then.
    pub batch: Option<BatchNo>,
}

/// The conditions under which a task may run.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskConditions {
    /// Tasks that must have ended before it starts.
    pub after: Dependency,
    /// Tasks on whose engine it must run.
    pub follow: Dependency,
    /// The time it may wait for its dependencies.
    pub timeout: Option<Duration>,
    /// The engines it may run on, in order.
    pub targets: Option<Vec<EngineUuid>>,
}

/// The conditions of a task without any.
static UNCONDITIONAL: TaskConditions = TaskConditions {
    after: NO_DEPENDENCY,
    follow: NO_DEPENDENCY,
    timeout: None,
    targets: None,
};

const NO_DEPENDENCY: Dependency = Dependency {
    dependencies: Vec::new(),
    all: true,
    success: true,
    failure: false,
};

/// Identifies a message with several tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BatchNo(pub u64);

impl BalancedTask {
    /// Creates the task of a client's request.
    pub fn new(id: MsgId, request: StoredMessage, metadata: SchedulingMetadata) -> Self {
        let language = match metadata.phalanx {
            Some(_) => Language::Rust,
            None => Language::Python,
        };
        // Stock clients disconnect and fetch their results later, without announcing it.
        let detached = metadata.phalanx_detached || language == Language::Python;
        let timeout = Some(metadata.timeout)
            .filter(|seconds| *seconds > 0.0)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let mut targets = metadata.targets;
        targets.sort();
        let conditions = TaskConditions {
            after: metadata.after,
            follow: metadata.follow,
            timeout,
            targets: Some(targets).filter(|targets| !targets.is_empty()),
        };
        Self {
            id,
            request,
            language,
            conditions: (conditions != UNCONDITIONAL).then(|| Box::new(conditions)),
            retries: metadata.retries,
            detached,
            batch: None,
        }
    }

    /// Removes its conditions, for the `pure` scheme: any engine, immediately, without retries.
    pub fn without_conditions(self) -> Self {
        Self {
            conditions: None,
            retries: 0,
            ..self
        }
    }

    /// Its conditions.
    pub fn conditions(&self) -> &TaskConditions {
        self.conditions.as_deref().unwrap_or(&UNCONDITIONAL)
    }

    /// The engines it may run on, in order; `None` for all.
    pub fn targets(&self) -> Option<&Vec<EngineUuid>> {
        self.conditions().targets.as_ref()
    }

    /// Returns true if it must run on the engine of another task.
    pub fn follows(&self) -> bool {
        !self.conditions().follow.dependencies.is_empty()
    }

    /// The identity of its client.
    pub fn client(&self) -> &[u8] {
        self.request.sender()
    }

    /// The tasks it waits for or follows.
    pub fn depends_on(&self) -> impl Iterator<Item = &MsgId> {
        let TaskConditions { after, follow, .. } = self.conditions();
        after.dependencies.iter().chain(&follow.dependencies)
    }

    /// The approximate memory it takes, in bytes.
    pub fn size(&self) -> usize {
        let id = |id: &str| ID_OVERHEAD + id.len();
        let conditions = self.conditions.as_ref().map_or(0, |conditions| {
            let targets = conditions.targets.iter().flatten();
            let targets: usize = targets.map(|uuid| id(uuid.as_str())).sum();
            let tasks: usize = self.depends_on().map(|task| id(task.as_str())).sum();
            size_of::<TaskConditions>() + targets + tasks
        });
        OVERHEAD + self.request.size() + conditions
    }
}

/// The meaning of a reply for its task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyVerdict {
    /// It succeeded.
    Ok,
    /// It failed.
    Failed,
    /// It was aborted.
    Aborted,
    /// The engine does not meet this requirement; another one might.
    Unmet(String),
    /// The engine refused it, with the reason in its reply to the client; another one might run it.
    Refused,
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
        /// The request with the client's identity; not signed if it was sent in a batch.
        request: StoredMessage,
        /// The batch it was sent in; consecutive tasks of the same batch may be sent together.
        batch: Option<BatchNo>,
    },
    /// Send an engine's reply, unchanged, to its client.
    Reply(Frames),
    /// Reply to the task on behalf of an engine.
    Fail(BalancedTask, FailReason),
}

/// The reason why the scheduler replies to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailReason {
    /// The engine exited while running it.
    EngineDied(EngineUuid),
    /// It did not start in time.
    Timeout,
    /// A dependency can no longer be satisfied.
    ImpossibleDependency(Impossible),
    /// It depends on an unknown task, or on itself.
    InvalidDependency,
    /// All engines have left, and none has joined since.
    NoEngines,
    /// It was aborted on request.
    Aborted,
    /// Its client has disconnected.
    ClientLeft,
}

/// The reason why a dependency can no longer be satisfied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Impossible {
    /// A task has ended with an outcome that it does not accept.
    Ended,
    /// No engine meets the function's requirement, as named by the last one.
    Unmet(String),
    /// None of its target engines exists.
    Nowhere,
    /// The existing engines run another language.
    Language(Language),
}

/// The sequence number of a task, in order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct TaskNo(pub u64);

#[derive(Debug)]
pub(super) struct SchedulerEntry {
    pub task: BalancedTask,
    pub state: TaskState,
    pub deadline: Option<Instant>,
    /// The engines on which it was tried, if any.
    pub tried: Option<Box<TriedEngines>>,
}

/// The engines on which a task was tried without success.
#[derive(Debug, Default)]
pub(super) struct TriedEngines {
    /// The engines not to be tried again.
    pub on: Vec<EngineUuid>,
    /// The reply of the last one.
    pub failure: Option<Frames>,
    /// The requirement that the last one did not meet.
    pub unmet: Option<String>,
    /// The last one that exited while running it.
    pub died_on: Option<EngineUuid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TaskState {
    Blocked,
    Ready,
    Running,
}

impl SchedulerEntry {
    pub fn new(task: BalancedTask, deadline: Option<Instant>) -> Self {
        Self {
            task,
            state: TaskState::Blocked,
            deadline,
            tried: None,
        }
    }

    /// Returns true if the choice of engines depends on more than its targets.
    pub fn is_special(&self) -> bool {
        self.tried.is_some() || self.task.follows()
    }

    pub fn may_run_on(&self, uuid: &EngineUuid, runs: Language, finished: &FinishedTasks) -> bool {
        let TaskConditions {
            targets, follow, ..
        } = self.task.conditions();
        let targets = targets.as_ref();
        runs == self.task.language
            && targets.is_none_or(|targets| targets.contains(uuid))
            && self
                .tried
                .as_ref()
                .is_none_or(|tried| !tried.on.contains(uuid))
            && finished.met_on(follow, uuid)
    }
}
