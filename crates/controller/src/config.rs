//! The settings of a controller.

use crate::scheduler::Scheme;
use phalanx_transport::SignatureScheme;
use std::path::PathBuf;
use std::time::Duration;

/// The settings of a controller.
#[derive(Clone, Debug)]
pub struct ControllerConfig {
    /// The interface it listens on: `tcp://address` (loopback by default), `ipc://path` or, for tests,
    /// `memory://name`.
    pub interface: String,
    /// The host name by which other machines reach it if it listens on all addresses.
    pub location: Option<String>,
    /// The ports to listen on, in this order; beyond them, or if one is taken, the system chooses.
    pub ports: Vec<u16>,
    /// The SSH server through which clients reach it, `user@host:port`; empty for none.
    pub ssh: String,
    /// The SSH server through which engines reach it.
    pub engine_ssh: String,
    /// The time between two heartbeats; ipyparallel's `--ping`.
    pub heartbeat: Duration,
    /// The scheme that chooses the engine of a load-balanced task.
    pub scheme: Scheme,
    /// The maximum number of load-balanced tasks on an engine; 0 for no limit. Several very short
    /// tasks of one submission are sent together and count as one.
    pub hwm: usize,
    /// The size, in bytes, of load-balanced tasks that have not ended, shared by all clients. A
    /// client whose tasks take more than what is left is not read until some of them have ended: a
    /// single client has half of it, two a third each. Beyond twice this size no client is read.
    pub queued_bytes: usize,
    /// The time a client that has lost its connection has to reconnect before its tasks that have
    /// not started are aborted.
    pub client_timeout: Duration,
    /// The store of task records for clients' queries.
    pub database: TaskDatabase,
    /// The scheme that signs the messages.
    pub signature_scheme: SignatureScheme,
    /// The folder for the connection files; `None` for a private temporary one.
    pub folder: Option<PathBuf>,
    /// The path of the file for clients, if not in the folder under its usual name.
    pub client_file: Option<PathBuf>,
    /// The path of the file for engines, if not in the folder under its usual name.
    pub engine_file: Option<PathBuf>,
    /// True to use the key and the ports of existing connection files, so that the engines and
    /// clients of an earlier controller find this one. The files are kept on shutdown.
    pub reuse: bool,
    /// The cluster's part of the file names, as in ipyparallel:
    /// `ipcontroller-<cluster_id>-client.json`.
    pub cluster_id: String,
}

/// A store of task records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskDatabase {
    /// Records in memory; the oldest ones are dropped.
    Memory {
        /// The maximum size of the records in bytes.
        bytes: usize,
    },
    /// Records in a file, shared by consecutive controllers, until they are purged.
    #[cfg(feature = "sqlite")]
    Sqlite(PathBuf),
}

impl Default for TaskDatabase {
    /// In memory, up to 64 MiB.
    fn default() -> Self {
        Self::Memory { bytes: 64 << 20 }
    }
}

impl Default for ControllerConfig {
    fn default() -> Self {
        Self {
            interface: "tcp://127.0.0.1".to_owned(),
            location: None,
            ports: Vec::new(),
            ssh: String::new(),
            engine_ssh: String::new(),
            heartbeat: Duration::from_secs(3),
            scheme: Scheme::default(),
            hwm: 1,
            queued_bytes: 512 << 20,
            client_timeout: Duration::from_secs(600),
            database: TaskDatabase::default(),
            signature_scheme: SignatureScheme::Sha256,
            folder: None,
            client_file: None,
            engine_file: None,
            reuse: false,
            cluster_id: String::new(),
        }
    }
}
