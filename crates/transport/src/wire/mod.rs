//! From frames to signed messages and back.
//!
//! Jupyter's wire format: `[identities…] <IDS|MSG> signature header parent metadata content [buffers…]`
//! (jupyter_client, "Messaging in Jupyter", *The wire protocol*).

mod envelope;
mod key;
mod raw;
mod replay;
mod session;

pub use envelope::{Envelope, Header};
pub use key::{KeyError, Scheme, SigningKey};
pub use raw::{DELIMITER, RawMessage};
pub use replay::ReplayGuard;
pub use session::{Session, VERSION};

/// The reason why frames are not one of our messages.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// There is no `<IDS|MSG>` frame.
    #[error("no delimiter in {0} frames")]
    NoDelimiter(usize),
    /// Fewer than the five frames that follow the delimiter.
    #[error("{0} frames after the delimiter, at least 5 are needed")]
    TooShort(usize),
    /// The signature is not that of the message.
    #[error("wrong signature")]
    WrongSignature,
    /// The signature was seen before.
    #[error("duplicate signature")]
    Duplicate,
    /// A part is not the JSON it should be.
    #[error("malformed {part}: {error}")]
    Malformed {
        /// `header`, `parent_header`, `metadata` or `content`.
        part: &'static str,
        /// The error of serde.
        error: serde_json::Error,
    },
}
