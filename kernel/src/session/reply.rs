//! Replies to cells, and to what cannot be served.

use crate::report::{ErrorReport, report};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::jupyter::{
    ExecuteReply, ExecutionCount, ExpressionResult, JupyterMessageContent, Payload, ReplyError,
    ReplyStatus, UnknownMessage,
};
use std::collections::HashMap;

/// The parts of a cell's reply beside its status.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// Actions for the frontend, such as showing a page of help.
    pub payload: Vec<Payload>,
    /// The values of `user_expressions`.
    pub expressions: HashMap<String, ExpressionResult>,
}

impl Extras {
    /// Returns true if the cell asked for the end of the kernel.
    pub(super) fn quits(&self) -> bool {
        let asks = |payload: &Payload| matches!(payload, Payload::AskExit { .. });
        self.payload.iter().any(asks)
    }
}

/// The reply to an `execute_request`.
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

/// The reply to a request that cannot be served, where it is one that wants a reply.
pub(super) fn refused(
    count: usize,
    msg_type: &str,
    message: String,
) -> Option<JupyterMessageContent> {
    let hint = None;
    failed(count, msg_type, Failure::Usage { message, hint })
}

/// The reply to a request the kernel failed to serve, where it is one that wants a reply.
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
