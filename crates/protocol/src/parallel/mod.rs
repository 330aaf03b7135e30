//! ipyparallel 9's messages between client, controller and engine, with our metadata.
//!
//! The JSON is that of ipyparallel (`hub.py`, `task_scheduler.py`, `engine/kernel.py`); where it
//! has several forms of the same thing, all are accepted.
//!
//! Engines receive [`EngineRequest`]s, reply with [`EngineReply`]s and publish
//! [`EnginePublication`]s; each type encodes and decodes its own [`Message`]s, and so does
//! [`HubRequest`], which the controller's hub receives. Its replies and notifications have a type
//! for each content ([`Content`]).

mod batch;
mod call;
mod cell;
mod content;
mod control;
mod error;
mod hub_request;
mod id_ranges;
mod lineage;
mod message;
mod publication;
mod query;
mod registration;
mod reply;
mod request;
mod signal;
mod task;
mod vitals;

pub use crate::apply::{EngineQueue, Tasks};
pub use batch::{BATCH, BatchedReply};
pub use call::CallMetadata;
pub use cell::{CellMetadata, CellRecord, EngineHandshake, PHALANX};
pub use content::Content;
pub use control::{
    AbortReply, AbortRequest, ApplyReply, ClearReply, ClearRequest, KEPT, ReplyStatus,
    ShutdownReply, ShutdownRequest, SignalReply, SignalRequest, TAKEN,
};
pub use error::{EngineInfo, ErrorContent};
pub use hub_request::HubRequest;
pub use id_ranges::{IdRanges, IdRangesError};
pub use lineage::{Dependencies, Lineage, LineageRequest, Package, StateRecord};
pub use message::{Message, MessageError, MessageRef};
pub use publication::{EnginePublication, EngineStatus};
pub use query::{
    DbReply, DbRequest, EngineSelector, HistoryReply, HistoryRequest, LoadReply, LoadRequest,
    PurgeRequest, Purged, QueueReply, QueueRequest, ResubmitReply, ResubmitRequest, ResultReply,
    ResultRequest, TaskOutput, TaskResult,
};
pub use registration::{
    ConnectionReply, ConnectionRequest, RegistrationNotification, RegistrationReply,
    RegistrationRequest, ShutdownNotification, UnregistrationNotification, UnregistrationRequest,
};
pub use reply::{
    EngineKind, EngineReply, EngineReplyContent, KernelInfo, RefusalReason, ReplyExtension,
};
pub use request::{Call, CallBatch, Cell, EngineRequest, NotRunnable};
pub use signal::Signal;
pub use task::{
    BroadcastCopyMetadata, BroadcastTarget, CoalescedMetadata, Dependency, DirectMetadata,
    EchoedMetadata, ReplyMetadata, SchedulingMetadata,
};
pub use vitals::{EngineReport, EnginesReply, EnginesRequest, LastError, Vitals};
