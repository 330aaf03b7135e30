//! The settings of an engine.

use phalanx_protocol::id::EngineId;
use phalanx_runtime::{RuntimeConfig, StdinSource};
use phalanx_transport::EngineConnectionFile;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The time for which an engine that has lost its controller tries to reach it again before it ends.
pub const UNREACHABLE: Duration = Duration::from_secs(600);

/// The settings of an engine.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The controller to join.
    pub connection: EngineConnectionFile,
    /// The file that was read from: a controller that is started again may write another.
    pub file: Option<PathBuf>,
    /// The id to ask for.
    pub id: Option<EngineId>,
    /// The program that runs cells.
    pub runtime: RuntimeConfig,
    /// The process whose end ends the engine.
    pub parent: Option<u32>,
    /// The time for which a lost controller is tried again; see [`UNREACHABLE`].
    pub unreachable: Duration,
}

impl EngineConfig {
    /// An engine whose runtimes are this very program with the argument `runtime`.
    ///
    /// # Errors
    /// When the system does not say which program this is.
    pub fn new(connection: EngineConnectionFile) -> io::Result<Self> {
        Ok(Self {
            connection,
            file: None,
            id: None,
            runtime: RuntimeConfig {
                program: std::env::current_exe()?,
                args: vec![OsString::from("runtime")],
                env: Vec::new(),
                // They are told that there is nobody to ask.
                input: StdinSource::Asks,
            },
            parent: None,
            unreachable: UNREACHABLE,
        })
    }

    /// The connection as its file has it now, or as it was.
    pub(crate) fn current_connection(&self) -> EngineConnectionFile {
        let file = self.file.as_ref();
        file.and_then(|file| EngineConnectionFile::read(file).ok())
            .unwrap_or_else(|| self.connection.clone())
    }
}

/// The reason an engine ended, without fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was asked to.
    Shutdown,
    /// The controller was out of reach for too long.
    ControllerGone,
    /// The process that started it is gone.
    ParentGone,
}

/// The reason an engine could not join, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The file's interface and ports make no endpoint.
    #[error(transparent)]
    Endpoint(#[from] phalanx_transport::socket::EndpointError),
    /// The file's signature scheme is unknown.
    #[error(transparent)]
    Key(#[from] phalanx_transport::wire::KeyError),
    /// The tunnel the file asks for cannot be opened.
    #[error(transparent)]
    Tunnel(#[from] phalanx_transport::connection::TunnelError),
    /// Nobody listens there.
    #[error(transparent)]
    Connect(#[from] phalanx_transport::ConnectError),
    /// A message could not be made or sent.
    #[error("cannot register with the controller at {endpoint}: {reason}")]
    Send {
        /// The controller's endpoint.
        endpoint: String,
        /// The reason.
        reason: String,
    },
    /// The controller says no.
    #[error("the controller at {endpoint} refused this engine: {reason}")]
    Refused {
        /// The controller's endpoint.
        endpoint: String,
        /// The controller's reason.
        reason: String,
    },
    /// Something listens there and does not answer as a controller does.
    #[error("no controller answered at {0}; is the key that of the running controller?")]
    NoAnswer(String),
    /// No place to keep artifacts.
    #[error("no folder for artifacts: {0}")]
    Cache(#[source] io::Error),
}
