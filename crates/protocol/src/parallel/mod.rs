//! Client, controller and engine: ipyparallel 9's messages, and our metadata on them.
//!
//! The JSON is ipyparallel's (`hub.py`, `task_scheduler.py`, `engine/kernel.py`); where it has more
//! than one form for the same, all are read.
//!
//! Engines are asked by [`EngineRequest`]s, answer by [`EngineReply`]s and publish [`EngineOutput`]s;
//! each reads and writes its [`Message`]s by itself. What goes to the controller alone has a type for
//! each content ([`Content`]).

mod batch;
mod call;
mod cell;
mod content;
mod control;
mod error;
mod id_ranges;
mod lineage;
mod message;
mod output;
mod query;
mod registration;
mod reply;
mod request;
mod signal;
mod task;
mod vitals;

pub use batch::{BATCH, BatchedEnd};
pub use call::CallMetadata;
pub use cell::{CellMetadata, CellRecord, EngineHandshake, PHALANX};
pub use content::Content;
pub use control::{
    AbortReply, AbortRequest, ApplyReply, ClearReply, ClearRequest, KEPT, ReplyStatus,
    ShutdownReply, ShutdownRequest, SignalReply, SignalRequest, TAKEN,
};
pub use error::{EngineInfo, ErrorContent};
pub use id_ranges::{IdRanges, IdRangesError};
pub use lineage::{Dependencies, Lineage, LineageRequest, Package, StateRecord};
pub use message::{Message, MessageError, MessageRef};
pub use output::{EngineOutput, EngineStatus};
pub use query::{
    DbReply, DbRequest, EngineQueue, EngineSelector, HistoryReply, HistoryRequest, LoadRequest,
    PurgeRequest, Purged, QueueReply, QueueRequest, ResubmitReply, ResubmitRequest, ResultReply,
    ResultRequest, TaskOutput, TaskResult, Tasks,
};
pub use registration::{
    ConnectionReply, ConnectionRequest, RegistrationNotification, RegistrationReply,
    RegistrationRequest, ShutdownNotification, UnregistrationNotification, UnregistrationRequest,
};
pub use reply::{EngineAnswer, EngineKind, EngineReply, KernelInfo, RefusalReason, ReplyExtension};
pub use request::{Call, CallBatch, Cell, EngineRequest, NotRunnable};
pub use signal::Signal;
pub use task::{Dependency, DirectMetadata, EchoedMetadata, ReplyMetadata, TaskMetadata};
pub use vitals::{EngineReport, EnginesReply, EnginesRequest, LastError, Vitals};
