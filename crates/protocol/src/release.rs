//! The versions of our programs, which may differ within a cluster.

use crate::id::EngineId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;

/// The version of the protocol between our clients and engines: of the metadata of cells, calls and
/// replies and the handshake in `parallel`, and of their meaning. Incremented with every change
/// that older programs do not understand.
pub const PROTOCOL: u32 = 1;

/// The key under which our metadata contains the version of its sender.
const RELEASE: &str = "release";

/// A version of our programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The version of the program; empty if unknown.
    pub version: String,
    /// The version of the protocol that it implements; 0 before versions were introduced.
    pub protocol: u32,
}

impl Release {
    /// The version of this program.
    pub fn ours() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
        }
    }

    /// Returns true if the two versions are compatible.
    pub fn understands(&self, other: &Self) -> bool {
        self.protocol == other.protocol
    }

    /// Adds this program's version to our metadata.
    pub fn sign(metadata: &mut Value) {
        if let Value::Object(fields) = metadata {
            fields.insert(RELEASE.to_owned(), json!(Self::ours()));
        }
    }

    /// Checks the version of the program that has created our metadata.
    ///
    /// # Errors
    /// The other version, if it is incompatible; nothing else of the metadata may be read then.
    pub fn check(metadata: &Value) -> Result<(), Self> {
        let known = metadata.get(RELEASE).map(Self::deserialize);
        let theirs = known.and_then(Result::ok).unwrap_or_else(|| Self {
            // Engines have always included their version in the handshake.
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

/// An engine and a kernel with incompatible versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseMismatch {
    /// The engine.
    pub engine: EngineId,
    /// The version of the engine.
    pub of_engine: Release,
    /// The version of the kernel.
    pub of_kernel: Release,
}

impl ReleaseMismatch {
    /// The remedy shown to users.
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
