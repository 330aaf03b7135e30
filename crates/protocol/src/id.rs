//! Newtyped ids: what each identifies, and when it changes.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps text that names one. Clones share it.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text as it goes on the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        // Not derived: serde has it for `Arc` behind a feature that would build evcxr anew.
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

        // Maps by engine are shown in notebooks, where `{0: …}` is what ipyparallel shows.
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
    /// Names a comm; whoever opens it chooses, and nobody else uses it again.
    CommId
}

text_id! {
    /// Identifies one message; a task is known by its request's msg_id.
    MsgId
}
text_id! {
    /// Identifies one client, kernel or engine for its life; part of every header it sends.
    SessionId
}
text_id! {
    /// An engine's routing identity; new whenever an engine process starts.
    EngineUuid
}
text_id! {
    /// SHA-256 of an artifact's bytes, in lower-case hex.
    ArtifactHash
}
text_id! {
    /// Identifies the packages that cells were compiled with, by what they were built of.
    DependenciesId
}
text_id! {
    /// One state of a namespace: the items and variables after a given chain of cells.
    ///
    /// Engines that have run the same cells have the same `StateId`. Unique over all clients.
    StateId
}
number_id! {
    /// The small integer users name an engine by; kept over a restart of the engine's runtime.
    EngineId(u32)
}
number_id! {
    /// One run of one cell in one runtime; counts up from 1 for the owner's life.
    RunId(u64)
}
number_id! {
    /// One AsyncResult held by the kernel; counts up from 1.
    AsyncResultId(u64)
}

impl Default for DependenciesId {
    /// Identifies dependencies that nobody has described.
    fn default() -> Self {
        Self::new("")
    }
}

impl StateId {
    /// The state of a runtime that has run nothing.
    pub fn empty() -> Self {
        Self::new("empty")
    }

    /// A state nobody else has.
    #[cfg(feature = "jupyter")]
    pub fn fresh() -> Self {
        Self::new(uuid::Uuid::new_v4().simple().to_string())
    }
}

#[cfg(feature = "jupyter")]
impl ArtifactHash {
    /// Hashes an artifact.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest;
        Self::new(data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(bytes)))
    }
}

#[cfg(feature = "jupyter")]
impl EngineUuid {
    /// An identity nobody else has.
    pub fn fresh() -> Self {
        Self::new(uuid::Uuid::new_v4().to_string())
    }
}

#[cfg(feature = "jupyter")]
impl SessionId {
    /// A session nobody else has.
    pub fn fresh() -> Self {
        Self::new(uuid::Uuid::new_v4().simple().to_string())
    }
}
