use serde::{Serialize, de::DeserializeOwned};

/// The content of one type of message.
pub trait Content: Serialize + DeserializeOwned {
    /// `header.msg_type` of the messages that carry it.
    const MSG_TYPE: &'static str;
}
