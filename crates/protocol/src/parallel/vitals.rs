//! The state of engines, for display to users.

use super::Content;
use super::registration::content;
use crate::apply::Tasks;
use crate::id::{EngineId, EngineUuid};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The state of an engine's process, sent with each heartbeat as a message behind the ping.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Vitals {
    /// The name of the machine.
    #[serde(default)]
    pub host: String,
    /// The memory of the process that runs cells, in bytes.
    #[serde(default)]
    pub memory: u64,
    /// The number of cores that this process has used since the last heartbeat.
    #[serde(default)]
    pub cores: f64,
}

/// Requests the state of all engines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EnginesRequest {}

/// The reply to [`EnginesRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnginesReply {
    /// `ok`.
    pub status: String,
    /// Load-balanced tasks that are not assigned to an engine.
    pub unassigned: usize,
    /// Load-balanced tasks that have failed before an engine ran them: no engine could, or none in
    /// time.
    #[serde(default)]
    pub refused: usize,
    /// The engines.
    pub engines: BTreeMap<EngineId, EngineReport>,
}

/// The state of an engine as known to its controller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EngineReport {
    /// The engine's uuid.
    pub uuid: EngineUuid,
    /// Pending requests, including load-balanced tasks.
    pub tasks: usize,
    /// Completed requests; those that the engine refused are none.
    pub completed: usize,
    /// Failed requests among the completed ones.
    pub failed: usize,
    /// The state of its process; `None` if the engine does not report it.
    pub vitals: Option<Vitals>,
    /// The engine's last failure.
    pub last_error: Option<LastError>,
}

/// A failure reported by an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// The name of the error.
    pub ename: String,
    /// The message of the error.
    pub evalue: String,
    /// The time at which the controller received it.
    pub received: DateTime<Utc>,
}

impl EngineReport {
    /// The number of completed requests that have not failed.
    pub fn succeeded(&self) -> usize {
        self.completed.saturating_sub(self.failed)
    }

    /// Creates the report of an engine of which only the numbers of tasks are known.
    pub fn of_queue(uuid: EngineUuid, tasks: [&Tasks; 2], completed: &Tasks) -> Self {
        Self {
            uuid,
            tasks: tasks.map(Tasks::count).iter().sum(),
            completed: completed.count(),
            failed: 0,
            vitals: None,
            last_error: None,
        }
    }
}

content! {
    Vitals = "vitals";
    EnginesRequest = "engines_request";
    EnginesReply = "engines_reply";
}
