//! Encoding and decoding of signed messages.
//!
//! Jupyter's wire format is
//! `[identities…] <IDS|MSG> signature header parent metadata content [buffers…]` (jupyter_client,
//! "Messaging in Jupyter", *The wire protocol*).

mod envelope;
mod key;
mod raw;
mod replay;
mod session;

pub use envelope::{Envelope, Header};
pub use key::{KeyError, SignatureScheme, SigningKey};
pub use raw::{DELIMITER, RawMessage};
pub use replay::ReplayGuard;
pub use session::{Session, VERSION};

/// The error of frames that are not a valid message.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// There is no `<IDS|MSG>` frame among this number of frames.
    #[error("no delimiter in {0} frames")]
    NoDelimiter(usize),
    /// Fewer than five frames follow the delimiter.
    #[error("{0} frames after the delimiter, at least 5 are needed")]
    TooShort(usize),
    /// The signature does not match.
    #[error("wrong signature")]
    WrongSignature,
    /// The signature has been seen before.
    #[error("duplicate signature")]
    Duplicate,
    /// A part is not valid JSON of its type.
    #[error("malformed {part}: {error}")]
    Malformed {
        /// `header`, `parent_header`, `metadata` or `content`.
        part: &'static str,
        /// The error of the deserializer.
        error: serde_json::Error,
    },
}
