//! Errors of requests that the session does not serve, with their texts.

use crate::channel::SubshellId;
use phalanx_protocol::failure::{Failure, FailureKind};

/// A request that is not served.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    /// The kernel does not support its message type.
    #[error("the kernel does not support `{msg_type}`")]
    Unknown {
        /// The type.
        msg_type: String,
    },
    /// Its content does not fit its message type.
    #[error("malformed {msg_type}: {reason}")]
    Malformed {
        /// The type.
        msg_type: String,
        /// The fault.
        reason: String,
    },
    /// Its subshell does not exist.
    #[error("there is no subshell `{0}`")]
    Subshell(SubshellId),
    /// The code that served it panicked.
    #[error("the kernel panicked while it handled the request; its log contains the location")]
    Panicked,
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        let kind = match error {
            RequestError::Panicked => FailureKind::Internal,
            _ => FailureKind::Usage,
        };
        Self::new(kind, error, None)
    }
}
