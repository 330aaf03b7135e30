//! The configuration of an engine.

use phalanx_protocol::id::EngineId;
use phalanx_runtime::{RuntimeConfig, StdinSource};
use phalanx_transport::EngineConnectionFile;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Default of [`EngineConfig::unreachable`].
pub const UNREACHABLE: Duration = Duration::from_secs(600);

/// The configuration of an engine.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The controller to join.
    pub connection: EngineConnectionFile,
    /// The file of the connection; read again later, since a restarted controller may rewrite it.
    pub file: Option<PathBuf>,
    /// The id to request.
    pub id: Option<EngineId>,
    /// The program that runs cells.
    pub runtime: RuntimeConfig,
    /// The id of a process with which the engine ends.
    pub parent: Option<u32>,
    /// Time limit for reaching a lost controller again.
    pub unreachable: Duration,
}

impl EngineConfig {
    /// Creates the default configuration; runtimes run this program with the argument `runtime`.
    ///
    /// # Errors
    /// Returns an error if the path of the running program cannot be determined.
    pub fn new(connection: EngineConnectionFile) -> io::Result<Self> {
        Ok(Self {
            connection,
            file: None,
            id: None,
            runtime: RuntimeConfig {
                program: std::env::current_exe()?,
                args: vec![OsString::from("runtime")],
                env: Vec::new(),
                // The engine refuses these requests.
                input: StdinSource::Owner,
            },
            parent: None,
            unreachable: UNREACHABLE,
        })
    }

    /// Reads the connection file again, if there is one; otherwise returns the connection.
    pub(crate) fn current_connection(&self) -> EngineConnectionFile {
        let file = self.file.as_ref();
        file.and_then(|file| EngineConnectionFile::read(file).ok())
            .unwrap_or_else(|| self.connection.clone())
    }
}

/// The reason for which an engine ended without an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// A shutdown was requested.
    Shutdown,
    /// The controller was unreachable for longer than the limit.
    ControllerGone,
    /// The process that started the engine has ended.
    ParentGone,
}

/// The error of an engine that could not join or continue.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The interface or a port of the connection file is not valid.
    #[error(transparent)]
    Endpoint(#[from] phalanx_transport::socket::EndpointError),
    /// The signature scheme of the connection file is not supported.
    #[error(transparent)]
    Key(#[from] phalanx_transport::wire::KeyError),
    /// The SSH tunnel of the connection file cannot be opened.
    #[error(transparent)]
    Tunnel(#[from] phalanx_transport::connection::TunnelError),
    /// Nothing listens at an endpoint.
    #[error(transparent)]
    Connect(#[from] phalanx_transport::ConnectError),
    /// A message could not be encoded or sent.
    #[error("cannot register with the controller at {endpoint}: {reason}")]
    Send {
        /// The controller's endpoint.
        endpoint: String,
        /// The cause.
        reason: String,
    },
    /// The controller has refused the registration.
    #[error("the controller at {endpoint} refused this engine: {reason}")]
    Refused {
        /// The controller's endpoint.
        endpoint: String,
        /// The controller's reason.
        reason: String,
    },
    /// Nothing at the endpoint has replied in time.
    #[error("no controller answered at {0}; is the key that of the running controller?")]
    NoReply(String),
    /// No folder for artifacts could be created.
    #[error("no folder for artifacts: {0}")]
    Cache(#[source] io::Error),
}
