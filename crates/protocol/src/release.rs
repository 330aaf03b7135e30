//! The versions of our programs, which need not be the same everywhere in a cluster.

use crate::id::EngineId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;

/// The number of the protocol between our clients and engines: of what `parallel` has as metadata of
/// cells, calls and replies and as handshake, and of its meaning. Raised with every change that a
/// program of before does not understand.
pub const PROTOCOL: u32 = 1;

/// The key under which our metadata says who has made it.
const RELEASE: &str = "release";

/// A version of our programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The version of the program; empty where it is not known.
    pub version: String,
    /// The number of the protocol that it speaks; 0 before it had one.
    pub protocol: u32,
}

impl Release {
    /// This program's.
    pub fn ours() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
        }
    }

    /// Returns true if programs of both understand each other.
    pub fn understands(&self, other: &Self) -> bool {
        self.protocol == other.protocol
    }

    /// Says in our metadata that this program has made it.
    pub fn sign(metadata: &mut Value) {
        if let Value::Object(fields) = metadata {
            fields.insert(RELEASE.to_owned(), json!(Self::ours()));
        }
    }

    /// The program that has made some metadata of ours.
    ///
    /// # Errors
    /// Its version, if it and this program do not understand each other: nothing else of the metadata
    /// is to be read then.
    pub fn check(metadata: &Value) -> Result<(), Self> {
        let known = metadata.get(RELEASE).map(Self::deserialize);
        let theirs = known.and_then(Result::ok).unwrap_or_else(|| Self {
            // Engines have always said theirs.
            version: metadata["version"].as_str().unwrap_or_default().to_owned(),
            protocol: 0,
        });
        match theirs.understands(&Self::ours()) {
            true => Ok(()),
            false => Err(theirs),
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version.as_str() {
            "" => f.write_str("an earlier Phalanx")?,
            version => write!(f, "Phalanx {version}")?,
        }
        write!(f, " (engine protocol {})", self.protocol)
    }
}

/// An engine and a kernel that do not understand each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseMismatch {
    /// The engine.
    pub engine: EngineId,
    /// Its version.
    pub of_engine: Release,
    /// The version of the kernel.
    pub of_kernel: Release,
}

impl ReleaseMismatch {
    /// The action that helps.
    pub const REMEDY: &str = "install the same version for both, and restart the older of the two";
}

impl fmt::Display for ReleaseMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            engine,
            of_engine,
            of_kernel,
        } = self;
        write!(
            f,
            "engine {engine} is {of_engine}, the kernel is {of_kernel}: they do not understand each other"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_version_is_read_before_anything_else() {
        let mut ours = json!({"state": "empty"});
        Release::sign(&mut ours);
        assert_eq!(Release::check(&ours), Ok(()));
        for (theirs, shown) in [
            (json!({}), "an earlier Phalanx (engine protocol 0)"),
            (
                json!({"version": "0.0.9", "host": "h"}),
                "Phalanx 0.0.9 (engine protocol 0)",
            ),
            (
                json!({"release": {"version": "7.0.0", "protocol": 99}, "version": 3}),
                "Phalanx 7.0.0 (engine protocol 99)",
            ),
        ] {
            assert_eq!(Release::check(&theirs).unwrap_err().to_string(), shown);
        }
    }
}
