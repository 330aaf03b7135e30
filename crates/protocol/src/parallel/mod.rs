//! Client, controller and engine: ipyparallel 9's messages, and our metadata on them.
//!
//! The JSON is ipyparallel's (`hub.py`, `task_scheduler.py`, `engine/kernel.py`); where it has more
//! than one form for the same, all are read.

mod batch;
mod call;
mod cell;
mod content;
mod control;
mod id_ranges;
mod lineage;
mod query;
mod registration;
mod signal;
mod task;

pub use batch::{BATCH, Ended};
pub use call::CallMetadata;
pub use cell::{CellMetadata, CellRecord, EngineHandshake, PHALANX, Refusal, RefusalReason};
pub use content::Content;
pub use control::{
    AbortReply, AbortRequest, ApplyReply, ClearReply, ClearRequest, KEPT, ReplyStatus,
    ShutdownReply, ShutdownRequest, SignalReply, SignalRequest, TAKEN,
};
pub use id_ranges::{IdRanges, IdRangesError};
pub use lineage::{Dependencies, Lineage, LineageRequest, Package, StateRecord};
pub use query::{
    DbReply, DbRequest, EngineQueue, HistoryReply, HistoryRequest, LoadRequest, PurgeRequest,
    Purged, QueueReply, QueueRequest, ResubmitReply, ResubmitRequest, ResultReply, ResultRequest,
    Target, TaskOutput, TaskResult, Tasks,
};
pub use registration::{
    ConnectionReply, ConnectionRequest, ErrorContent, RegistrationNotification, RegistrationReply,
    RegistrationRequest, ShutdownNotification, UnregistrationNotification, UnregistrationRequest,
};
pub use signal::Signal;
pub use task::{Dependency, EngineInfo, ReplyMetadata, TaskMetadata};
