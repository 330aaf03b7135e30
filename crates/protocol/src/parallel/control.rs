//! Requests on an engine's control channel.

use super::Content;
use super::registration::content;
use super::signal::Signal;
use crate::id::MsgId;
use serde::{Deserialize, Serialize};

/// Aborts requests that an engine has not started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AbortRequest {
    /// The requests; empty for all.
    #[serde(default)]
    pub msg_ids: Vec<MsgId>,
}

/// Clears an engine's namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClearRequest {}

/// The type of a message without a reply: the client has opened the data that a reply referred to
/// (`crate::segment`), so that the engine can release it. Its buffer is the reference.
pub const TAKEN: &str = "taken";

/// The type of an engine's publication that it keeps the artifacts and arguments of a call for
/// other engines of its machine: its buffer is a reference to the arguments; without a buffer, it
/// has all artifacts.
pub const KEPT: &str = "kept";

/// Shuts down an engine, or (on the registration channel) the controller.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShutdownRequest {
    /// True to restart it.
    #[serde(default)]
    pub restart: bool,
}

/// Sends a signal to an engine's process.
///
/// With tasks, the engine sends it only while it runs one of them, so that a client does not stop
/// the work of another. Engines of ipyparallel ignore the tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalRequest {
    /// The signal: a number or a name such as "SIGINT".
    pub sig: Signal,
    /// The tasks to be stopped; empty for whatever the engine runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub msg_ids: Vec<MsgId>,
}

impl SignalRequest {
    /// Requests a signal to whatever the engine runs.
    pub fn new(sig: Signal) -> Self {
        let msg_ids = Vec::new();
        Self { sig, msg_ids }
    }
}

macro_rules! status_replies {
    ($($(#[$doc:meta])* $name:ident = $msg_type:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub struct $name {
                /// The status.
                #[serde(flatten)]
                pub status: ReplyStatus,
            }

            impl Content for $name { const MSG_TYPE: &'static str = $msg_type; }
        )*
    };
}

/// The status of a reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum ReplyStatus {
    /// The request succeeded.
    Ok,
    /// The request failed.
    Error(super::ErrorContent),
    /// The request was aborted before it started.
    Aborted,
}

status_replies! {
    /// The reply to [`AbortRequest`].
    AbortReply = "abort_reply";
    /// The reply to [`ClearRequest`].
    ClearReply = "clear_reply";
    /// The reply to [`SignalRequest`]; stock engines send it with the type `signal_request`.
    SignalReply = "signal_reply";
    /// The reply to [`ShutdownRequest`].
    ShutdownReply = "shutdown_reply";
    /// The reply to an `apply_request`; the result is in the buffers.
    ApplyReply = "apply_reply";
}

content! {
    AbortRequest = "abort_request";
    ClearRequest = "clear_request";
    ShutdownRequest = "shutdown_request";
    SignalRequest = "signal_request";
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json, to_value};

    #[test]
    fn signals_are_numbers_or_names() {
        let number: SignalRequest = from_value(json!({"sig": 2})).unwrap();
        assert_eq!(number.sig, Signal::Number(2));
        let name: SignalRequest = from_value(json!({"sig": "SIGINT"})).unwrap();
        assert_eq!(name.sig, Signal::Name("SIGINT".into()));
        // As ipyparallel sends it, unless tasks are named.
        assert_eq!(to_value(&number).unwrap(), json!({"sig": 2}));
        let of_task = SignalRequest {
            msg_ids: vec![MsgId::new("a")],
            ..number
        };
        let content = to_value(&of_task).unwrap();
        assert_eq!(content, json!({"sig": 2, "msg_ids": ["a"]}));
    }

    #[test]
    fn the_status_is_part_of_the_content() {
        let reply = ApplyReply {
            status: ReplyStatus::Aborted,
        };
        assert_eq!(to_value(&reply).unwrap(), json!({"status": "aborted"}));
        let failed: ApplyReply = from_value(json!({"status": "error", "ename": "EngineError",
            "evalue": "gone", "traceback": [], "engine_info": {}}))
        .unwrap();
        assert!(matches!(failed.status, ReplyStatus::Error(e) if e.ename == "EngineError"));
    }
}
