//! Replies to cells and to requests that cannot be served.

use crate::report::{ErrorReport, report};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::jupyter::{
    ExecuteReply, ExecutionCount, ExpressionResult, JupyterMessageContent, Payload, ReplyError,
    ReplyStatus, UnknownMessage,
};
use std::collections::HashMap;

/// The parts of a cell's reply besides its status.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// Payloads for the frontend, such as a page of help.
    pub payload: Vec<Payload>,
    /// The results of `user_expressions`, by name.
    pub expressions: HashMap<String, ExpressionResult>,
}

impl Extras {
    /// Returns true if the cell requested the end of the kernel.
    pub(super) fn quits(&self) -> bool {
        let is_exit = |payload: &Payload| matches!(payload, Payload::AskExit { .. });
        self.payload.iter().any(is_exit)
    }
}

/// Returns the reply to an `execute_request`.
pub(super) fn execute(
    count: usize,
    status: ReplyStatus,
    error: Option<ErrorReport>,
    extras: Extras,
) -> JupyterMessageContent {
    ExecuteReply {
        status,
        execution_count: ExecutionCount::new(count),
        payload: extras.payload,
        user_expressions: Some(extras.expressions),
        error: error.map(|error| {
            Box::new(ReplyError {
                ename: error.ename,
                evalue: error.evalue,
                traceback: error.traceback,
            })
        }),
    }
    .into()
}

/// Returns the reply to a request whose handling failed, if its type has a reply.
pub(super) fn failed(
    count: usize,
    msg_type: &str,
    failure: Failure,
) -> Option<JupyterMessageContent> {
    let error = report(&failure.into());
    if msg_type == "execute_request" {
        let status = ReplyStatus::Error;
        return Some(execute(count, status, Some(error), Extras::default()));
    }
    let msg_type = format!("{}_reply", msg_type.strip_suffix("_request")?);
    let content = serde_json::json!({
        "status": "error",
        "ename": error.ename,
        "evalue": error.evalue,
        "traceback": error.traceback,
    });
    Some(UnknownMessage { msg_type, content }.into())
}
