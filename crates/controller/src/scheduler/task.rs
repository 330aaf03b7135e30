use phalanx_protocol::id::{EngineUuid, MsgId};
use phalanx_protocol::parallel::{Dependency, TaskMetadata};
use phalanx_transport::{Frames, RawMessage};
use std::time::{Duration, Instant};

/// What a task takes beside its request: ids, allocations, the index.
const OVERHEAD: usize = 512;

/// A load-balanced task.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its request's.
    pub id: MsgId,
    /// The client's request as it came: its identity, then the signed message.
    pub request: RawMessage,
    /// Tasks that must be done before.
    pub after: Dependency,
    /// Tasks on whose engine it must run.
    pub follow: Dependency,
    /// How long it may wait.
    pub timeout: Option<Duration>,
    /// The engines it may run on.
    pub targets: Option<Vec<EngineUuid>>,
    /// How often it may still be tried again.
    pub retries: u32,
}

impl Task {
    /// A task of a client's request.
    pub fn new(id: MsgId, request: RawMessage, metadata: TaskMetadata) -> Self {
        let timeout = Some(metadata.timeout)
            .filter(|seconds| *seconds > 0.0)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Self {
            id,
            request,
            after: metadata.after,
            follow: metadata.follow,
            timeout,
            targets: Some(metadata.targets).filter(|targets| !targets.is_empty()),
            retries: metadata.retries,
        }
    }

    /// The bytes it takes while it is here, about.
    pub fn size(&self) -> usize {
        let request = &self.request;
        let parts: usize = request.signed_parts().iter().map(|part| part.len()).sum();
        let buffers: usize = request.buffers.iter().map(|buffer| buffer.len()).sum();
        OVERHEAD + parts + buffers
    }
}

/// What a reply says of its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It succeeded.
    Ok,
    /// It failed.
    Failed,
    /// It was aborted.
    Aborted,
    /// That engine cannot run it; another might.
    Unmet,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum SchedulerCommand {
    /// Send a task's request to an engine.
    Run {
        /// Which.
        task: MsgId,
        /// On which engine.
        engine: EngineUuid,
        /// With the client's identity.
        request: RawMessage,
    },
    /// Send an engine's reply, as it came, to its client.
    Reply(Frames),
    /// Answer the task in the engine's place.
    Fail(Task, FailReason),
}

/// Why a task is answered by the scheduler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailReason {
    /// The engine ended while it ran.
    EngineDied(EngineUuid),
    /// It was not begun in time.
    Timeout,
    /// What it depends on can never come true.
    ImpossibleDependency,
    /// It depends on a task nobody knows, or on itself.
    InvalidDependency,
    /// Somebody asked for it.
    Aborted,
}

#[derive(Debug)]
pub(super) struct Record {
    pub task: Task,
    pub place: Place,
    pub deadline: Option<Instant>,
    /// Engines not to try again.
    pub failed_on: Vec<EngineUuid>,
    /// What the last of them answered.
    pub failure: Option<Frames>,
    /// The last that died with it.
    pub died_on: Option<EngineUuid>,
    /// When it was given to an engine, counted in tasks.
    pub given: u64,
}

#[derive(Debug)]
pub(super) enum Place {
    Blocked,
    Ready,
    Running(#[expect(dead_code, reason = "for Debug")] EngineUuid),
}

impl Record {
    pub fn new(task: Task, deadline: Option<Instant>) -> Self {
        Self {
            task,
            place: Place::Blocked,
            deadline,
            failed_on: Vec::new(),
            failure: None,
            died_on: None,
            given: 0,
        }
    }

    pub fn may_run_on(&self, uuid: &EngineUuid) -> bool {
        let targets = self.task.targets.as_ref();
        targets.is_none_or(|targets| targets.contains(uuid)) && !self.failed_on.contains(uuid)
    }
}
