//! The command line, shared by `phalanx-engine` and `phalanx engine`.

use crate::config::{EngineConfig, Exit, UNREACHABLE};
use clap::Args;
use phalanx_protocol::id::EngineId;
use phalanx_transport::connection::{ENGINE_ENVIRONMENT, UNREACHABLE_ENVIRONMENT};
use phalanx_transport::{ConnectionFileError, EngineConnectionFile};
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The options that start an engine from a command line.
#[derive(Args, Clone, Debug, Default)]
pub struct EngineArgs {
    /// The controller's connection file (ipcontroller-engine.json); without it, the JSON in
    /// $IPP_CONNECTION_INFO is used
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The engine id to ask the controller for
    #[arg(long, value_name = "N")]
    pub id: Option<u32>,
    /// End when the process with this id ends
    #[arg(long, value_name = "PID", env = "PHALANX_PARENT_PID")]
    pub parent_pid: Option<u32>,
    /// Seconds an engine that has lost its controller tries to reach it again before it ends
    #[arg(long, value_name = "S", env = UNREACHABLE_ENVIRONMENT, default_value_t = UNREACHABLE.as_secs_f64())]
    pub unreachable: f64,
}

/// The reason an engine could not be started.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// No connection was named.
    #[error(
        "no controller named: give --file ipcontroller-engine.json, or its JSON in {ENGINE_ENVIRONMENT}"
    )]
    NoConnection,
    /// The number is no number of seconds.
    #[error("--unreachable {0} is not a number of seconds")]
    Unreachable(f64),
    /// The connection file is not one.
    #[error(transparent)]
    File(#[from] ConnectionFileError),
    /// The system refuses something.
    #[error(transparent)]
    System(#[from] std::io::Error),
    /// It panicked, which is a fault of ours.
    #[error("the engine broke off: {0}")]
    BrokeOff(#[from] tokio::task::JoinError),
    /// The engine could not join.
    #[error(transparent)]
    Engine(#[from] crate::EngineError),
}

impl EngineArgs {
    /// The configuration these arguments name; runtimes are this program with `runtime`.
    ///
    /// # Errors
    /// When the connection is missing or malformed.
    pub fn config(&self) -> Result<EngineConfig, CliError> {
        let connection = match (&self.file, std::env::var(ENGINE_ENVIRONMENT)) {
            (Some(file), _) => EngineConnectionFile::read(file)?,
            (None, Ok(text)) => EngineConnectionFile::from_json(&text)?,
            (None, Err(_)) => return Err(CliError::NoConnection),
        };
        let unreachable = Duration::try_from_secs_f64(self.unreachable)
            .map_err(|_| CliError::Unreachable(self.unreachable))?;
        Ok(EngineConfig {
            file: self.file.clone(),
            id: self.id.map(EngineId),
            parent: self.parent_pid,
            unreachable,
            ..EngineConfig::new(connection)?
        })
    }
}

/// Runs an engine until it ends.
///
/// # Errors
/// When it cannot join its controller.
pub fn main(args: &EngineArgs) -> Result<Exit, CliError> {
    phalanx_sys::limits::raise_open_files();
    let config = args.config()?;
    // Its work is waiting; hashing artifacts goes to a thread of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // As a task: to wake the future a runtime blocks on takes a system call each time.
    let serving = runtime.spawn(async {
        let signals = crate::signals::listen()?;
        Ok(crate::run(config, signals, CancellationToken::new()).await?)
    });
    runtime.block_on(serving)?
}
