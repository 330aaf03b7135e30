//! Replies to cells and to requests that cannot be served.

use super::info;
use crate::channel::ReplyType;
use crate::report::{ErrorReport, report};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::jupyter::{
    ExecuteReply, ExecutionCount, ExpressionResult, JupyterMessageContent, Payload, ReplyError,
    ReplyStatus,
};
use serde::Serialize;
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
        error: error.map(|error| Box::new(reply_error(error))),
    }
    .into()
}

/// The content of the reply to a failed request of any type but `execute_request`.
#[derive(Debug, Serialize)]
struct FailedReply {
    status: ReplyStatus,
    #[serde(flatten)]
    error: ReplyError,
}

/// Returns the reply to a request whose handling failed, if its type has a reply.
pub(super) fn failed(
    count: usize,
    reply_type: ReplyType,
    failure: Failure,
) -> Option<JupyterMessageContent> {
    let error = report(&failure.into());
    let status = ReplyStatus::Error;
    match reply_type {
        ReplyType::Execute => Some(execute(count, status, Some(error), Extras::default())),
        ReplyType::Other(msg_type) => {
            let error = reply_error(error);
            Some(info::message(msg_type, FailedReply { status, error }))
        }
        ReplyType::Nothing => None,
    }
}

fn reply_error(error: ErrorReport) -> ReplyError {
    ReplyError {
        ename: error.ename,
        evalue: error.evalue,
        traceback: error.traceback,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_request_is_replied_to_in_the_type_of_its_reply() {
        let failure = || Failure::Usage {
            message: "no".to_owned(),
            hint: None,
        };
        assert!(failed(3, ReplyType::Nothing, failure()).is_none());
        let reply = failed(3, ReplyType::Execute, failure());
        let Some(JupyterMessageContent::ExecuteReply(reply)) = reply else {
            panic!("{reply:?}")
        };
        assert_eq!(reply.execution_count.0, 3);
        let reply = failed(3, ReplyType::Other("complete_reply".to_owned()), failure());
        let Some(JupyterMessageContent::UnknownMessage(reply)) = reply else {
            panic!("{reply:?}")
        };
        assert_eq!(reply.msg_type, "complete_reply");
        let keys: Vec<&String> = reply.content.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["ename", "evalue", "status", "traceback"]);
        assert_eq!(reply.content["status"], "error");
        assert_eq!(reply.content["ename"], "UsageError");
    }
}
