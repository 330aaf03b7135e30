use super::Content;
use super::registration::content;
use super::signal::Signal;
use crate::id::MsgId;
use serde::{Deserialize, Serialize};

/// Drops requests that an engine has not begun.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AbortRequest {
    /// The requests; empty for all.
    #[serde(default)]
    pub msg_ids: Vec<MsgId>,
}

/// Empties an engine's namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClearRequest {}

/// The type of a message that is not answered: what a reply referred to (`crate::segment`) has been
/// taken over, so that the engine need not keep it. Its buffer is the reference.
pub const TAKEN: &str = "taken";

/// The type of what an engine publishes once it keeps what came with a call for other engines of its
/// machine: a buffer is a reference to the arguments; without one, it has all artifacts.
pub const KEPT: &str = "kept";

/// Ends an engine, or (on the registration channel) the controller.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShutdownRequest {
    /// True if it should start again.
    #[serde(default)]
    pub restart: bool,
}

/// Sends an engine's process a signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalRequest {
    /// The signal: a number or a name such as "SIGINT".
    pub sig: Signal,
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

/// The status of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum ReplyStatus {
    /// As asked.
    Ok,
    /// It failed.
    Error(super::ErrorContent),
    /// It was dropped before it began.
    Aborted,
}

status_replies! {
    /// The answer to [`AbortRequest`].
    AbortReply = "abort_reply";
    /// The answer to [`ClearRequest`].
    ClearReply = "clear_reply";
    /// The answer to [`SignalRequest`]; stock engines call it `_request`.
    SignalReply = "signal_reply";
    /// The answer to [`ShutdownRequest`].
    ShutdownReply = "shutdown_reply";
    /// The answer to an `apply_request`; the result is in the buffers.
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
