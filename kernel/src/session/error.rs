//! Errors of requests that the session does not serve, with their texts.

use crate::channel::SubshellId;
use phalanx_protocol::failure::{Failure, FailureKind};

/// A request that is not served.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    /// Its type is not one that the kernel serves.
    #[error("the kernel does not know `{msg_type}`")]
    Unknown {
        /// The type.
        msg_type: String,
    },
    /// Its content is not that of its type.
    #[error("malformed {msg_type}: {reason}")]
    Malformed {
        /// The type.
        msg_type: String,
        /// The fault.
        reason: String,
    },
    /// It is for a subshell that is not there.
    #[error("there is no subshell `{0}`")]
    Subshell(SubshellId),
    /// The code that served it panicked.
    #[error("a part of the kernel panicked; its log contains the location")]
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
