//! Newtyped ids, each with the thing it identifies and its lifetime.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps the text of an id. Clones share it.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text as used in messages.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        // Not derived: serde implements it for `Arc` only behind a feature, which would build evcxr
        // anew.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::new)
            }
        }
    };
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($number:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $number);

        // Notebooks show maps by engine; ipyparallel shows `{0: …}`.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

text_id! {
    /// Identifies a comm; chosen by the side that opens it, and never reused.
    CommId
}

text_id! {
    /// Identifies a message; a task is identified by its request's msg_id.
    MsgId
}
text_id! {
    /// Identifies a client, kernel or engine for its lifetime; part of every header it sends.
    SessionId
}
text_id! {
    /// The routing identity of an engine; new for every engine process.
    EngineUuid
}
text_id! {
    /// The SHA-256 hash of an artifact's bytes, in lower-case hex.
    ArtifactHash
}
text_id! {
    /// Identifies the packages that cells were compiled with, by their sources.
    DependenciesId
}
text_id! {
    /// The state of a namespace: its items and variables after a chain of cells.
    ///
    /// Engines that have run the same cells have the same `StateId`. Unique across all clients.
    StateId
}
number_id! {
    /// The small integer by which users refer to an engine; kept when the engine's runtime
    /// restarts.
    EngineId(u32)
}
number_id! {
    /// Identifies a run of a cell in a runtime; counts up from 1 for the owner's lifetime.
    RunId(u64)
}
number_id! {
    /// Identifies an AsyncResult stored by the kernel, across all its clusters; counts up from 1.
    AsyncResultId(u64)
}

impl Default for DependenciesId {
    /// Identifies dependencies without a description.
    fn default() -> Self {
        Self::new("")
    }
}

impl StateId {
    /// The state of a runtime that has not run any cell.
    pub fn empty() -> Self {
        Self::new("empty")
    }

    /// Generates a unique state id.
    #[cfg(feature = "jupyter")]
    pub fn fresh() -> Self {
        Self::new(uuid::Uuid::new_v4().simple().to_string())
    }
}

#[cfg(feature = "jupyter")]
impl ArtifactHash {
    /// Computes the hash of an artifact.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest;
        Self::new(data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(bytes)))
    }
}

#[cfg(feature = "jupyter")]
impl EngineUuid {
    /// Generates a unique identity.
    pub fn fresh() -> Self {
        Self::new(uuid::Uuid::new_v4().to_string())
    }
}

#[cfg(feature = "jupyter")]
impl SessionId {
    /// Generates a unique session id.
    pub fn fresh() -> Self {
        Self::new(uuid::Uuid::new_v4().simple().to_string())
    }
}
