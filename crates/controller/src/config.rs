use crate::scheduler::Scheme;
use phalanx_transport::Scheme as SignatureScheme;
use std::path::PathBuf;
use std::time::Duration;

/// The settings of a controller.
#[derive(Clone, Debug)]
pub struct ControllerConfig {
    /// The interface it listens on: `tcp://address` (loopback by default), `ipc://path` or, for tests,
    /// `memory://name`.
    pub interface: String,
    /// The host name under which others reach it, when it listens on all addresses.
    pub location: Option<String>,
    /// Ports to listen on, in this order; others are chosen where they are used up or taken.
    pub ports: Vec<u16>,
    /// The SSH server through which clients reach it, `user@host:port`; empty for none.
    pub ssh: String,
    /// The SSH server through which engines reach it.
    pub engine_ssh: String,
    /// Time between two heartbeats; ipyparallel's `--ping`.
    pub heartbeat: Duration,
    /// The scheme that chooses the engine of a load-balanced task.
    pub scheme: Scheme,
    /// Load-balanced tasks an engine may have at once; 0 for any number. Tasks of one submission that
    /// take next to no time go several at once, and count as one.
    pub hwm: usize,
    /// Bytes of load-balanced tasks that may wait here; while more do, no new ones are read, so
    /// that they wait with the clients.
    pub queued_bytes: usize,
    /// The time a client that has lost its connection has to come back before what it has submitted and has not
    /// begun is dropped.
    pub client_timeout: Duration,
    /// The store of task records, for the queries of clients.
    pub database: TaskDatabase,
    /// The scheme that signs the messages.
    pub signature_scheme: SignatureScheme,
    /// The folder for the connection files; `None` for a private temporary one.
    pub folder: Option<PathBuf>,
    /// The path of the file for clients, if not in the folder under its usual name.
    pub client_file: Option<PathBuf>,
    /// The path of the file for engines, if not in the folder under its usual name.
    pub engine_file: Option<PathBuf>,
    /// True if the key and the ports in existing connection files are used again, so that the engines and
    /// clients of a controller that has ended find this one. The files then outlive it.
    pub reuse: bool,
    /// Part of the files' names, as ipyparallel has it: `ipcontroller-<cluster_id>-client.json`.
    pub cluster_id: String,
}

/// A store of task records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskDatabase {
    /// In memory; the oldest tasks are forgotten.
    Memory {
        /// The number of bytes they may take.
        bytes: usize,
    },
    /// In a file, from one controller to the next, until they are purged.
    #[cfg(feature = "sqlite")]
    Sqlite(PathBuf),
}

impl Default for TaskDatabase {
    /// 64 MiB of memory.
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
            queued_bytes: 256 << 20,
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
