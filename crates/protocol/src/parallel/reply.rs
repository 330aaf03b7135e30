//! Replies of engines.

use super::batch::{BATCH, BatchedReply};
use super::cell::{EngineHandshake, PHALANX};
use super::content::Content;
use super::error::ErrorContent;
use super::lineage::Lineage;
use super::message::{Message, MessageRef, value};
use super::task::ReplyMetadata;
use crate::id::{ArtifactHash, StateId};
use crate::payload::Payload;
use crate::release::Release;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// The reply of an engine, or of the controller on its behalf.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineReply {
    /// ipyparallel's metadata. For a batch, it is part of the content.
    pub metadata: ReplyMetadata,
    /// Our metadata; `None` if the reply is not from an engine of ours.
    pub extension: Option<ReplyExtension>,
    /// The content.
    pub content: EngineReplyContent,
}

/// The content of a reply.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineReplyContent {
    /// A cell has completed.
    Executed {
        /// The execution count of the cell, if the engine includes it.
        execution_count: Option<u32>,
    },
    /// A function has been called; `None` if only its artifacts were to be kept.
    Applied(Option<Payload>),
    /// The successful calls of a batch, with their values; an empty value has been lost.
    Batch(Vec<(BatchedReply, Payload)>),
    /// The kind of the engine.
    KernelInfo(Box<KernelInfo>),
    /// The cells that led to its state; `None` if the reply could not be decoded.
    Lineage(Option<Box<Lineage>>),
    /// A request about the engine itself has succeeded.
    Done,
    /// The engine is shutting down.
    ShutDown,
    /// The request was aborted before it started.
    Aborted,
    /// The request failed.
    Failed {
        /// The error.
        error: ErrorContent,
        /// The number of cells the engine has run; `None` if the reply is made on its behalf.
        execution_count: Option<u32>,
    },
}

/// Our metadata in a reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplyExtension {
    /// The reason why the work did not run; `None` if it ran.
    pub reason: Option<RefusalReason>,
    /// The engine's current state.
    pub state: StateId,
    /// True if nothing was published for the request, and no `idle` follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub settled: bool,
}

/// The reason why an engine did not run a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RefusalReason {
    /// The engine's state is not the one the cell was compiled from.
    StateMismatch,
    /// The engine lacks these artifacts; they must be sent as buffers.
    NeedArtifacts {
        /// The artifacts.
        artifacts: Vec<ArtifactHash>,
    },
    /// The types of these variables no longer exist; the cell must be compiled again without them.
    VariablesLost {
        /// Their names.
        names: Vec<String>,
    },
}

/// The description of an engine, in the form of a kernel's.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelInfo {
    /// The version of Jupyter's protocol that it implements.
    pub protocol_version: String,
    /// A line of text for users.
    pub banner: String,
    /// The kind of engine.
    pub kind: EngineKind,
}

/// The kinds of engines.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum EngineKind {
    /// An engine of another language, or one without a description.
    #[default]
    Foreign,
    /// A Rust engine of an incompatible version of Phalanx.
    OtherRelease(Arc<Release>),
    /// A Rust engine.
    Rust(Arc<EngineHandshake>),
    /// An engine that has not described itself, although a client has asked it.
    Silent,
}

/// The content of our `kernel_info_reply`.
#[derive(Serialize)]
struct KernelInfoContent<'a> {
    status: &'static str,
    protocol_version: &'a str,
    implementation: &'static str,
    implementation_version: &'a str,
    language_info: LanguageInfo,
    banner: &'a str,
    help_links: [(); 0],
    phalanx: Value,
}

#[derive(Serialize)]
struct LanguageInfo {
    name: &'static str,
    version: &'static str,
    mimetype: &'static str,
    file_extension: &'static str,
}

impl fmt::Display for EngineKind {
    /// Formats the name of the program, for tables of engines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("not a Rust engine"),
            Self::Silent => f.write_str("does not answer"),
            Self::OtherRelease(theirs) => write!(f, "{theirs}, not understood"),
            Self::Rust(handshake) => write!(f, "phalanx-engine {}", handshake.version),
        }
    }
}

impl EngineReply {
    /// Decodes a reply. The metadata is read field by field, since engines differ in the rest of
    /// it.
    pub fn decode(message: MessageRef<'_>) -> Self {
        let metadata = ReplyMetadata {
            started: message
                .metadata
                .get("started")
                .and_then(|date| crate::date::optional::deserialize(date).ok())
                .flatten(),
            dependencies_met: message.known("dependencies_met").unwrap_or(true),
            engine: message.known("engine"),
            status: message.known("status").unwrap_or_default(),
            is_broadcast: message.known("is_broadcast").unwrap_or_default(),
            is_coalescing: message.known("is_coalescing").unwrap_or_default(),
            original_msg_id: message.known("original_msg_id").unwrap_or_default(),
            label: message.known("label"),
            engine_info: message.known("engine_info"),
            phalanx_batch: Vec::new(),
        };
        Self {
            metadata,
            extension: message.known(PHALANX),
            content: EngineReplyContent::decode(message),
        }
    }

    /// Encodes a reply to a request of type `request`.
    pub fn encode(self, request: &str) -> Message {
        let content = self.content.to_json();
        let mut message = Message::new(request.replace("_request", "_reply"), content);
        let mut metadata = self.metadata;
        match self.content {
            EngineReplyContent::Applied(value) => {
                message.buffers.extend(value.map(Payload::into_frame));
            }
            EngineReplyContent::Batch(ended) => {
                let (ended, values): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
                metadata.phalanx_batch = ended;
                message.buffers = values.into_iter().map(Payload::into_frame).collect();
            }
            _ => {}
        }
        message.add(&metadata);
        if let Some(extension) = &self.extension {
            message.set(PHALANX, extension);
        }
        message
    }

    /// The values contained in it.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Payload> {
        let (one, many) = match &mut self.content {
            EngineReplyContent::Applied(value) => (value.as_mut(), None),
            EngineReplyContent::Batch(ended) => (None, Some(ended.iter_mut())),
            _ => (None, None),
        };
        let many = many.into_iter().flatten().map(|(_, value)| value);
        one.into_iter().chain(many)
    }
}

impl EngineReplyContent {
    fn decode(message: MessageRef<'_>) -> Self {
        if let Some(ended) = message.known::<Vec<BatchedReply>>(BATCH) {
            let values = message.buffers.iter().cloned().map(Payload::read);
            return Self::Batch(ended.into_iter().zip(values).collect());
        }
        match (message.content["status"].as_str(), message.msg_type) {
            (Some("aborted"), _) => Self::Aborted,
            (Some("error"), _) => Self::Failed {
                error: ErrorContent::deserialize(message.content).unwrap_or_default(),
                execution_count: message.field("execution_count"),
            },
            (_, "execute_reply") => Self::Executed {
                execution_count: message.field("execution_count"),
            },
            (_, "apply_reply") => {
                Self::Applied(message.buffers.first().cloned().map(Payload::read))
            }
            (_, "kernel_info_reply") => Self::KernelInfo(Box::new(KernelInfo {
                protocol_version: message.field("protocol_version").unwrap_or_default(),
                banner: message.field("banner").unwrap_or_default(),
                kind: EngineKind::decode(message.content.get(PHALANX)),
            })),
            (_, Lineage::MSG_TYPE) => Self::Lineage(message.content().ok().map(Box::new)),
            (_, "shutdown_reply") => Self::ShutDown,
            _ => Self::Done,
        }
    }

    /// `status` in the content and in ipyparallel's metadata.
    pub fn status(&self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::Failed { .. } => "error",
            _ => "ok",
        }
    }

    fn to_json(&self) -> Value {
        let status = self.status();
        match self {
            Self::Executed { execution_count } => json!({
                "status": status,
                "execution_count": execution_count,
                "user_expressions": {},
                "payload": [],
            }),
            Self::Applied(_) | Self::Batch(_) | Self::Done | Self::Aborted => {
                json!({"status": status})
            }
            Self::KernelInfo(info) => info.content(status),
            Self::Lineage(lineage) => {
                let mut content = lineage.as_ref().map_or_else(|| json!({}), value);
                content["status"] = json!(status);
                content
            }
            Self::ShutDown => json!({"status": status, "restart": false}),
            Self::Failed {
                error,
                execution_count: Some(count),
            } => error.counted(*count),
            Self::Failed { error, .. } => error.reply(),
        }
    }
}

impl KernelInfo {
    fn content(&self, status: &'static str) -> Value {
        let EngineKind::Rust(handshake) = &self.kind else {
            return json!({"status": status, "banner": self.banner});
        };
        let mut phalanx = value(handshake.as_ref());
        Release::sign(&mut phalanx);
        value(&KernelInfoContent {
            status,
            protocol_version: &self.protocol_version,
            implementation: "phalanx-engine",
            implementation_version: &handshake.version,
            language_info: LanguageInfo {
                name: "rust",
                version: "",
                mimetype: "text/rust",
                file_extension: ".rs",
            },
            banner: &self.banner,
            help_links: [],
            phalanx,
        })
    }
}

impl EngineKind {
    /// Checks the version first: the content of an incompatible one is undefined.
    fn decode(handshake: Option<&Value>) -> Self {
        let Some(handshake) = handshake else {
            return Self::Foreign;
        };
        match (
            Release::check(handshake),
            EngineHandshake::deserialize(handshake),
        ) {
            (Err(theirs), _) => Self::OtherRelease(Arc::new(theirs)),
            (Ok(()), Ok(handshake)) => Self::Rust(Arc::new(handshake)),
            (Ok(()), Err(_)) => Self::Foreign,
        }
    }

    /// The handshake of a compatible Rust engine.
    pub fn handshake(&self) -> Option<&Arc<EngineHandshake>> {
        match self {
            Self::Rust(handshake) => Some(handshake),
            Self::Foreign | Self::OtherRelease(_) | Self::Silent => None,
        }
    }
}
