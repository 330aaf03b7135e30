//! The association of contents with their message types.

use serde::{Serialize, de::DeserializeOwned};

/// The content of one type of message.
pub trait Content: Serialize + DeserializeOwned {
    /// The `header.msg_type` of messages with this content.
    const MSG_TYPE: &'static str;
}
