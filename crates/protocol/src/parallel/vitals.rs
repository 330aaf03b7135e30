//! The state of engines, for people to look at.

use super::Content;
use super::query::Tasks;
use super::registration::content;
use crate::id::{EngineId, EngineUuid};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The state of an engine's process, which it sends with each heartbeat: a message behind the ping.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Vitals {
    /// The name of its machine.
    #[serde(default)]
    pub host: String,
    /// Bytes of memory of the process that runs cells.
    #[serde(default)]
    pub memory: u64,
    /// Cores that this process kept busy since the last heartbeat.
    #[serde(default)]
    pub cores: f64,
}

/// Asks for the state of all engines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EnginesRequest {}

/// The answer to [`EnginesRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnginesReply {
    /// `ok`.
    pub status: String,
    /// Load-balanced tasks that wait for an engine.
    pub unassigned: usize,
    /// The engines.
    pub engines: BTreeMap<EngineId, EngineReport>,
}

/// The state of an engine, as its controller knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EngineReport {
    /// Its uuid.
    pub uuid: EngineUuid,
    /// Requests it has and has not answered, load-balanced tasks among them.
    pub tasks: usize,
    /// Requests it has answered.
    pub completed: usize,
    /// Those of them that failed.
    pub failed: usize,
    /// Its process; `None` for engines that do not report it.
    pub vitals: Option<Vitals>,
    /// The last of its failures.
    pub last_error: Option<LastError>,
}

/// A failure that an engine has reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// The error's name.
    pub ename: String,
    /// The message of the error.
    pub evalue: String,
    /// The time at which the controller received it.
    pub received: DateTime<Utc>,
}

impl EngineReport {
    /// An engine of which only the numbers of tasks are known.
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
