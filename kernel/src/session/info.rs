//! Replies that depend on the kernel alone.

use crate::cell::{Completeness, completeness};
use crate::channel::SubshellId;
use phalanx_protocol::jupyter::connection_info::ConnectionInfo;
use phalanx_protocol::jupyter::{
    CodeMirrorMode, HelpLink, IsCompleteReply, JupyterMessageContent, KernelInfoReply,
    LanguageInfo, ReplyStatus, UnknownMessage,
};
use phalanx_transport::wire::VERSION as PROTOCOL_VERSION;
use serde_json::Value;

/// Optional protocol features that are supported; named as in the specification, ark and ipykernel.
const SUPPORTED_FEATURES: [&str; 2] = ["kernel subshells", "iopub_welcome"];

/// Returns the reply to a `kernel_info_request`.
pub fn kernel_info() -> JupyterMessageContent {
    let link = |text: &str, url: &str| HelpLink {
        text: text.to_owned(),
        url: url.to_owned(),
    };
    let reply = KernelInfoReply {
        status: ReplyStatus::Ok,
        protocol_version: PROTOCOL_VERSION.to_owned(),
        implementation: "phalanx".to_owned(),
        implementation_version: env!("CARGO_PKG_VERSION").to_owned(),
        language_info: LanguageInfo {
            name: "rust".to_owned(),
            version: env!("CARGO_PKG_RUST_VERSION").to_owned(),
            mimetype: Some("text/rust".to_owned()),
            file_extension: Some(".rs".to_owned()),
            pygments_lexer: Some("rust".to_owned()),
            codemirror_mode: Some(CodeMirrorMode::Simple("rust".to_owned())),
            nbconvert_exporter: None,
        },
        banner: format!(
            "Phalanx {} - Rust, and `%%px` to run it on many engines at once",
            env!("CARGO_PKG_VERSION")
        ),
        help_links: vec![
            link("The Rust book", "https://doc.rust-lang.org/book/"),
            link("The standard library", "https://doc.rust-lang.org/std/"),
            link("Crates", "https://docs.rs/"),
        ],
        debugger: false,
        error: None,
    };
    // jupyter-protocol lacks this field.
    let mut content = serde_json::to_value(reply).unwrap_or_default();
    content["supported_features"] = SUPPORTED_FEATURES.into();
    unknown("kernel_info_reply", content)
}

/// Returns the reply to an `is_complete_request`.
pub fn is_complete(source: &str) -> JupyterMessageContent {
    match completeness(source) {
        Completeness::Complete => IsCompleteReply::complete(),
        Completeness::Incomplete { indent } => IsCompleteReply::incomplete(indent),
        Completeness::Invalid => IsCompleteReply::invalid(),
    }
    .into()
}

/// Returns the reply to a `connect_request`.
pub fn connect_reply(connection: &ConnectionInfo) -> JupyterMessageContent {
    let content = serde_json::json!({
        "status": "ok",
        "shell_port": connection.shell_port,
        "iopub_port": connection.iopub_port,
        "stdin_port": connection.stdin_port,
        "control_port": connection.control_port,
        "hb_port": connection.hb_port,
    });
    unknown("connect_reply", content)
}

/// Returns the reply to a `create_subshell_request` (JEP 91).
pub fn subshell_created(id: &SubshellId) -> JupyterMessageContent {
    let content = serde_json::json!({"status": "ok", "subshell_id": id});
    unknown("create_subshell_reply", content)
}

/// Returns the reply to a `delete_subshell_request` (JEP 91).
pub fn subshell_deleted() -> JupyterMessageContent {
    unknown("delete_subshell_reply", serde_json::json!({"status": "ok"}))
}

/// Returns the reply to a `list_subshell_request` (JEP 91).
pub fn subshells<'a>(ids: impl Iterator<Item = &'a SubshellId>) -> JupyterMessageContent {
    let ids: Vec<&SubshellId> = ids.collect();
    let content = serde_json::json!({"status": "ok", "subshell_id": ids});
    unknown("list_subshell_reply", content)
}

/// Wraps a message that jupyter-protocol does not define.
pub fn unknown(msg_type: &str, content: Value) -> JupyterMessageContent {
    let msg_type = msg_type.to_owned();
    UnknownMessage { msg_type, content }.into()
}
