//! Replies that depend on the kernel alone.

use crate::cell::{Completeness, completeness};
use crate::channel::SubshellId;
use phalanx_protocol::jupyter::connection_info::ConnectionInfo;
use phalanx_protocol::jupyter::{
    CodeMirrorMode, HelpLink, IsCompleteReply, JupyterMessageContent, KernelInfoReply,
    LanguageInfo, ReplyStatus, UnknownMessage,
};
use phalanx_transport::wire::VERSION as PROTOCOL_VERSION;
use serde::Serialize;

/// Optional protocol features that are supported; named as in the specification, ark and ipykernel.
const SUPPORTED_FEATURES: [&str; 2] = ["kernel subshells", "iopub_welcome"];

/// The content of a `kernel_info_reply`, with the field that jupyter-protocol lacks.
#[derive(Debug, Serialize)]
struct ExtendedKernelInfo {
    #[serde(flatten)]
    reply: KernelInfoReply,
    supported_features: [&'static str; 2],
}

/// Returns the reply to a `kernel_info_request`.
///
/// The language's version is that of the rustc that compiles cells, once it is known. The evaluator
/// asks rustup and rustc for it, which takes too long for the first reply to wait: until then, it is
/// the oldest version that compiles cells.
pub fn kernel_info(rustc: Option<&str>) -> JupyterMessageContent {
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
            version: rustc.unwrap_or(env!("CARGO_PKG_RUST_VERSION")).to_owned(),
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
    let supported_features = SUPPORTED_FEATURES;
    message(
        "kernel_info_reply",
        ExtendedKernelInfo {
            reply,
            supported_features,
        },
    )
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

/// The content of a `connect_reply`.
#[derive(Debug, Serialize)]
struct ConnectReply {
    status: ReplyStatus,
    shell_port: u16,
    iopub_port: u16,
    stdin_port: u16,
    control_port: u16,
    hb_port: u16,
}

/// Returns the reply to a `connect_request`.
pub fn connect_reply(connection: &ConnectionInfo) -> JupyterMessageContent {
    let reply = ConnectReply {
        status: ReplyStatus::Ok,
        shell_port: connection.shell_port,
        iopub_port: connection.iopub_port,
        stdin_port: connection.stdin_port,
        control_port: connection.control_port,
        hb_port: connection.hb_port,
    };
    message("connect_reply", reply)
}

/// The content of the replies about subshells (JEP 91), which name an id, a list of ids, or nothing.
#[derive(Debug, Serialize)]
struct SubshellReply<T> {
    status: ReplyStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    subshell_id: Option<T>,
}

/// Returns the reply to a `create_subshell_request` (JEP 91).
pub fn subshell_created(id: &SubshellId) -> JupyterMessageContent {
    subshell_reply("create_subshell_reply", Some(id))
}

/// Returns the reply to a `delete_subshell_request` (JEP 91).
pub fn subshell_deleted() -> JupyterMessageContent {
    subshell_reply("delete_subshell_reply", None::<SubshellId>)
}

/// Returns the reply to a `list_subshell_request` (JEP 91).
pub fn subshells<'a>(ids: impl Iterator<Item = &'a SubshellId>) -> JupyterMessageContent {
    subshell_reply("list_subshell_reply", Some(ids.collect::<Vec<_>>()))
}

fn subshell_reply(msg_type: &str, subshell_id: Option<impl Serialize>) -> JupyterMessageContent {
    let status = ReplyStatus::Ok;
    message(
        msg_type,
        SubshellReply {
            status,
            subshell_id,
        },
    )
}

/// Returns a message that jupyter-protocol does not define.
pub fn message(msg_type: impl Into<String>, content: impl Serialize) -> JupyterMessageContent {
    // Serialization fails only for maps with keys that are not text; contents have none.
    let content = serde_json::to_value(content).unwrap_or_default();
    UnknownMessage {
        msg_type: msg_type.into(),
        content,
    }
    .into()
}
