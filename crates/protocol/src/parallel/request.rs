//! Requests to engines.

use super::batch::BATCH;
use super::call::CallMetadata;
use super::cell::{CellMetadata, PHALANX};
use super::content::Content;
use super::control::{AbortRequest, ClearRequest, ShutdownRequest, SignalRequest, TAKEN};
use super::lineage::LineageRequest;
use super::message::{Message, MessageError, MessageRef, value};
use crate::id::MsgId;
use crate::payload::{Payload, Segment};
use crate::release::Release;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// A request to an engine.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineRequest {
    /// Runs a cell.
    Execute {
        /// The source.
        code: String,
        /// True to publish only printed output.
        silent: bool,
        /// The compiled cell.
        cell: Result<Cell, NotRunnable>,
    },
    /// Calls a function.
    Apply(Result<Call, NotRunnable>),
    /// Calls a function for each of several tasks.
    Batch(CallBatch),
    /// Requests the kind of engine.
    KernelInfo {
        /// A segment of the client: an engine that can open it is able to exchange large values as
        /// segments.
        probe: Option<Segment>,
    },
    /// Requests the cells that led to the state of its namespace.
    Lineage,
    /// Aborts requests that have not started: these, or all if empty.
    Abort(Vec<MsgId>),
    /// Clears the namespace.
    Clear,
    /// Shuts down the engine.
    Shutdown,
    /// Sends a signal to what the engine runs.
    Signal(SignalRequest),
    /// Releases data that a reply referred to; has no reply.
    ReleaseSegment(Segment),
    /// A request unknown to our engines.
    Unknown,
}

/// A compiled cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The description of the cell.
    pub metadata: Box<CellMetadata>,
    /// The artifacts sent with it ([`CellMetadata::buffers`]).
    pub artifacts: Vec<Bytes>,
}

/// A call of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The description of the call.
    pub metadata: Arc<CallMetadata>,
    /// The artifacts sent with it ([`CellMetadata::buffers`]).
    pub artifacts: Vec<Bytes>,
    /// The arguments.
    pub args: Payload,
}

/// Calls that differ only in their arguments ([`BATCH`]).
#[derive(Clone, Debug, PartialEq)]
pub struct CallBatch {
    /// The description of the calls.
    pub metadata: Arc<CallMetadata>,
    /// The artifacts sent with it.
    pub artifacts: Vec<Bytes>,
    /// The arguments of each task.
    pub tasks: Vec<(MsgId, Payload)>,
}

impl CallBatch {
    /// The calls, each with its task's id.
    pub fn calls(self) -> impl Iterator<Item = (MsgId, Call)> {
        let Self {
            metadata,
            artifacts,
            tasks,
        } = self;
        tasks.into_iter().map(move |(msg_id, args)| {
            let call = Call {
                metadata: Arc::clone(&metadata),
                artifacts: artifacts.clone(),
                args,
            };
            (msg_id, call)
        })
    }
}

/// The reason why a Rust engine cannot run a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRunnable {
    /// It is meant for engines of another language.
    Foreign,
    /// Its client is of an incompatible version of Phalanx.
    OtherRelease(Release),
    /// It calls a function without an argument buffer, which is required even for no arguments.
    NoArguments,
    /// Its metadata cannot be read.
    Malformed(String),
}

/// The fields of an `execute_request` that engines use.
#[derive(Serialize, Deserialize)]
struct ExecuteContent {
    code: String,
    #[serde(default)]
    silent: bool,
}

impl EngineRequest {
    /// `header.msg_type`; empty for [`Unknown`](Self::Unknown).
    pub fn msg_type(&self) -> &'static str {
        match self {
            Self::Execute { .. } => "execute_request",
            Self::Apply(_) | Self::Batch(_) => "apply_request",
            Self::KernelInfo { .. } => "kernel_info_request",
            Self::Lineage => LineageRequest::MSG_TYPE,
            Self::Abort(_) => AbortRequest::MSG_TYPE,
            Self::Clear => ClearRequest::MSG_TYPE,
            Self::Shutdown => ShutdownRequest::MSG_TYPE,
            Self::Signal(_) => SignalRequest::MSG_TYPE,
            Self::ReleaseSegment(_) => TAKEN,
            Self::Unknown => "",
        }
    }

    /// Decodes a request.
    ///
    /// # Errors
    /// Returns an error if it does not match its type. A cell or call that cannot be run is decoded
    /// as [`NotRunnable`], so that the engine can reply.
    pub fn decode(message: MessageRef<'_>) -> Result<Self, MessageError> {
        let reference = || message.buffers.first().cloned().and_then(Segment::read);
        Ok(match message.msg_type {
            "execute_request" => {
                let ExecuteContent { code, silent } = message.content()?;
                let cell = ours(&message).map(|metadata| Cell {
                    metadata: Box::new(metadata),
                    artifacts: message.buffers.to_vec(),
                });
                Self::Execute { code, silent, cell }
            }
            "apply_request" => Self::apply(message)?,
            "kernel_info_request" => Self::KernelInfo { probe: reference() },
            LineageRequest::MSG_TYPE => Self::Lineage,
            AbortRequest::MSG_TYPE => Self::Abort(message.content::<AbortRequest>()?.msg_ids),
            ClearRequest::MSG_TYPE => Self::Clear,
            ShutdownRequest::MSG_TYPE => Self::Shutdown,
            SignalRequest::MSG_TYPE => Self::Signal(message.content()?),
            TAKEN => Self::ReleaseSegment(reference().ok_or(MessageError::NoReference)?),
            _ => Self::Unknown,
        })
    }

    fn apply(message: MessageRef<'_>) -> Result<Self, MessageError> {
        let metadata = ours(&message).map(Arc::new);
        let buffers = message.buffers;
        let Some(ids) = message.metadata.get(BATCH) else {
            return Ok(Self::Apply(metadata.and_then(|metadata| {
                let (args, artifacts) = buffers.split_last().ok_or(NotRunnable::NoArguments)?;
                Ok(Call {
                    metadata,
                    artifacts: artifacts.to_vec(),
                    args: Payload::read(args.clone()),
                })
            })));
        };
        let ids = Vec::<MsgId>::deserialize(ids);
        let ids = ids.map_err(|error| MessageError::Metadata { key: BATCH, error })?;
        let (artifacts, args) = buffers.split_at(buffers.len().saturating_sub(ids.len()));
        Ok(match metadata {
            Ok(metadata) => Self::Batch(CallBatch {
                metadata,
                artifacts: artifacts.to_vec(),
                tasks: ids
                    .into_iter()
                    .zip(args.iter().cloned().map(Payload::read))
                    .collect(),
            }),
            Err(why) => Self::Apply(Err(why)),
        })
    }

    /// Encodes a request. One that is not runnable is encoded as a request for engines of another
    /// language.
    pub fn encode(self) -> Message {
        let msg_type = self.msg_type();
        let empty = || Message::new(msg_type, json!({}));
        match self {
            Self::Execute { code, silent, cell } => {
                let content = json!({"code": code, "silent": silent, "user_expressions": {}});
                let mut message = Message::new(msg_type, content);
                if let Ok(cell) = cell {
                    message.set(PHALANX, &signed(&*cell.metadata));
                    message.buffers = cell.artifacts;
                }
                message
            }
            Self::Apply(call) => {
                let mut message = empty();
                if let Ok(call) = call {
                    message.set(PHALANX, &signed(&*call.metadata));
                    message.buffers = call.artifacts;
                    message.buffers.push(call.args.into_frame());
                }
                message
            }
            Self::Batch(batch) => {
                let mut message = empty();
                message.set(PHALANX, &signed(&*batch.metadata));
                message.buffers = batch.artifacts;
                let (ids, args): (Vec<_>, Vec<_>) = batch.tasks.into_iter().unzip();
                message.set(BATCH, &ids);
                message
                    .buffers
                    .extend(args.into_iter().map(Payload::into_frame));
                message
            }
            Self::KernelInfo { probe } => {
                let mut message = empty();
                message
                    .buffers
                    .extend(probe.map(|probe| probe.frame().clone()));
                message
            }
            Self::ReleaseSegment(segment) => {
                let mut message = empty();
                message.buffers.push(segment.frame().clone());
                message
            }
            Self::Lineage => Message::of(&LineageRequest {}),
            Self::Abort(msg_ids) => Message::of(&AbortRequest { msg_ids }),
            Self::Clear => Message::of(&ClearRequest {}),
            Self::Shutdown => Message::of(&ShutdownRequest::default()),
            Self::Signal(request) => Message::of(&request),
            Self::Unknown => empty(),
        }
    }
}

/// Reads our metadata of a cell or a call. Checks the version first: the content of an incompatible
/// one is undefined.
fn ours<T: DeserializeOwned>(message: &MessageRef<'_>) -> Result<T, NotRunnable> {
    let metadata = message.metadata.get(PHALANX);
    let metadata = metadata.ok_or(NotRunnable::Foreign)?;
    Release::check(metadata).map_err(NotRunnable::OtherRelease)?;
    T::deserialize(metadata).map_err(|error| NotRunnable::Malformed(error.to_string()))
}

/// Serializes metadata and adds the version of this program.
fn signed<T: Serialize>(metadata: &T) -> Value {
    let mut metadata = value(metadata);
    Release::sign(&mut metadata);
    metadata
}
