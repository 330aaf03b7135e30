//! Publications of engines on iopub.

use super::control::KEPT;
use super::error::ErrorContent;
use super::message::{Message, MessageRef};
use crate::id::EngineUuid;
use crate::output::{Display, MimeBundle, Output};
use crate::payload::Segment;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A publication of an engine.
#[derive(Clone, Debug, PartialEq)]
pub enum EnginePublication {
    /// The start or end of a request, or of the engine itself.
    Status(EngineStatus),
    /// The source of a cell that starts.
    Input {
        /// The source.
        code: String,
        /// The execution count of the cell.
        execution_count: u32,
    },
    /// An output of the cell or function.
    Output(Output),
    /// The value of the last expression.
    Result {
        /// The value.
        data: MimeBundle,
        /// The execution count of the cell.
        execution_count: u32,
    },
    /// The failure of the cell or function.
    Error {
        /// The error.
        error: ErrorContent,
        /// The execution count of the cell, if the engine includes it.
        execution_count: Option<u32>,
    },
    /// The engine keeps the arguments of a call for its machine; without a reference, it has all
    /// artifacts of the call.
    Kept(Option<Segment>),
}

/// The state in a `status` message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineStatus {
    /// The engine has started.
    Starting,
    /// A request starts.
    Busy,
    /// A request has ended, including its output.
    Idle,
}

impl EngineStatus {
    /// The value of `execution_state`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Busy => "busy",
            Self::Idle => "idle",
        }
    }
}

impl EnginePublication {
    /// The `header.msg_type`.
    pub fn msg_type(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Input { .. } => "execute_input",
            Self::Output(Output::Stream { .. }) => "stream",
            Self::Output(Output::Display(display)) if display.update => "update_display_data",
            Self::Output(Output::Display(_)) => "display_data",
            Self::Output(Output::Data(_)) => "data_message",
            Self::Output(Output::ClearOutput { .. }) => "clear_output",
            Self::Output(Output::Result(_)) | Self::Result { .. } => "execute_result",
            Self::Error { .. } => "error",
            Self::Kept(_) => KEPT,
        }
    }

    /// The last part of the topic, in which ipyparallel includes the stream's name.
    pub fn topic(&self) -> &'static str {
        match self {
            Self::Output(Output::Stream { name, .. }) => name.as_str(),
            _ => self.msg_type(),
        }
    }

    /// Decodes a publication; `None` if it is unknown or malformed.
    pub fn decode(message: MessageRef<'_>) -> Option<Self> {
        let text = |field: &str| message.content[field].as_str().map(str::to_owned);
        Some(match message.msg_type {
            "status" => Self::Status(message.field("execution_state")?),
            "execute_input" => Self::Input {
                code: text("code")?,
                execution_count: message.field("execution_count")?,
            },
            "stream" => Self::Output(Output::Stream {
                name: message.field("name")?,
                text: text("text")?,
            }),
            "display_data" => Self::Output(Output::Display(display(message, false)?)),
            "update_display_data" => Self::Output(Output::Display(display(message, true)?)),
            "clear_output" => Self::Output(Output::ClearOutput {
                wait: message.field("wait").unwrap_or_default(),
            }),
            "execute_result" => Self::Result {
                data: message.field("data")?,
                execution_count: message.field("execution_count")?,
            },
            "data_message" => Self::Output(Output::Data(message.content().ok()?)),
            "error" => Self::Error {
                error: ErrorContent::deserialize(message.content).ok()?,
                execution_count: message.field("execution_count"),
            },
            KEPT => Self::Kept(message.buffers.first().cloned().and_then(Segment::read)),
            _ => return None,
        })
    }

    /// Encodes a publication of an engine.
    pub fn encode(self, engine: &EngineUuid) -> Message {
        let msg_type = self.msg_type();
        let mut buffers = Vec::new();
        let content = match self {
            Self::Status(status) => json!({"execution_state": status}),
            Self::Input {
                code,
                execution_count,
            } => json!({"code": code, "execution_count": execution_count}),
            Self::Output(Output::Stream { name, text }) => json!({"name": name, "text": text}),
            Self::Output(Output::Display(display)) => {
                let mut transient = Map::new();
                if let Some(id) = display.display_id {
                    transient.insert("display_id".to_owned(), Value::String(id));
                }
                json!({
                    "data": display.data,
                    "metadata": display.metadata,
                    "transient": transient,
                })
            }
            Self::Output(Output::Data(data)) => json!(data),
            Self::Output(Output::ClearOutput { wait }) => json!({"wait": wait}),
            Self::Output(Output::Result(data)) => result(&data, 0),
            Self::Result {
                data,
                execution_count,
            } => result(&data, execution_count),
            Self::Error {
                error,
                execution_count: Some(count),
            } => error.counted(count),
            Self::Error { error, .. } => json!(error),
            Self::Kept(reference) => {
                buffers.extend(reference.map(|reference| reference.frame().clone()));
                json!({})
            }
        };
        let mut message = Message::new(msg_type, content);
        message.set("engine", engine);
        message.buffers = buffers;
        message
    }
}

fn result(data: &MimeBundle, execution_count: u32) -> Value {
    json!({"data": data, "metadata": {}, "execution_count": execution_count})
}

fn display(message: MessageRef<'_>, update: bool) -> Option<Display> {
    Some(Display {
        data: message.field("data")?,
        metadata: message.field("metadata").unwrap_or_default(),
        display_id: message.content["transient"]["display_id"]
            .as_str()
            .map(str::to_owned),
        update,
    })
}
