//! The command line, shared by `phalanx-engine` and `phalanx engine`.

use crate::config::{EngineConfig, Exit, UNREACHABLE};
use crate::rank;
use clap::Args;
use phalanx_protocol::id::EngineId;
use phalanx_protocol::parallel::IdRanges;
use phalanx_transport::connection::{ENGINE_ENVIRONMENT, UNREACHABLE_ENVIRONMENT};
use phalanx_transport::{ConnectionFileError, EngineConnectionFile};
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The command line of an engine.
#[derive(Args, Clone, Debug, Default)]
pub struct EngineArgs {
    /// The controller's connection file (ipcontroller-engine.json); by default, the JSON in
    /// $IPP_CONNECTION_INFO or the file in the profile set by --profile-dir or $IPP_PROFILE_DIR
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The folder of an IPython profile
    #[arg(long, value_name = "DIR")]
    pub profile_dir: Option<PathBuf>,
    /// The cluster id, which is part of the file's name in the profile
    #[arg(long, value_name = "ID", env = "IPP_CLUSTER_ID", default_value = "")]
    pub cluster_id: String,
    /// Accepted for compatibility with ipyparallel's launchers: engines need no preparation for MPI
    #[arg(long, hide = true)]
    pub mpi: bool,
    /// The engine id to request from the controller
    #[arg(long, value_name = "N")]
    pub id: Option<u32>,
    /// The ids of engines started with the same command line, such as 0-63: each requests the id at
    /// its rank under MPI, Slurm or in a job array
    #[arg(long, value_name = "LIST", conflicts_with = "id")]
    pub ids: Option<IdRanges>,
    /// End when the process with this id ends
    #[arg(long, value_name = "PID", env = "PHALANX_PARENT_PID")]
    pub parent_pid: Option<u32>,
    /// Seconds for which an engine tries to reach a lost controller before it ends
    #[arg(long, value_name = "S", env = UNREACHABLE_ENVIRONMENT, default_value_t = UNREACHABLE.as_secs_f64())]
    pub unreachable: f64,
}

/// The error of starting or running an engine.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// No connection was given.
    #[error(
        "no controller named: give --file ipcontroller-engine.json, or its JSON in {ENGINE_ENVIRONMENT}"
    )]
    NoConnection,
    /// The number of seconds is not valid.
    #[error("--unreachable {0} is not a number of seconds")]
    Unreachable(f64),
    /// The connection file cannot be read or is malformed.
    #[error(transparent)]
    File(#[from] ConnectionFileError),
    /// A system call failed.
    #[error(transparent)]
    System(#[from] std::io::Error),
    /// The engine panicked.
    #[error("the engine broke off: {0}")]
    BrokeOff(#[from] tokio::task::JoinError),
    /// The engine could not join.
    #[error(transparent)]
    Engine(#[from] crate::EngineError),
}

impl EngineArgs {
    /// Returns the configuration for these options; runtimes run this program with `runtime`.
    ///
    /// # Errors
    /// Returns an error if the connection is missing or malformed.
    pub fn config(&self) -> Result<EngineConfig, CliError> {
        let in_environment = std::env::var(ENGINE_ENVIRONMENT).ok();
        let in_environment = in_environment.filter(|_| self.profile_dir.is_none());
        let file = self
            .file
            .clone()
            .or_else(|| match in_environment.is_some() {
                true => None,
                false => self.file_of_profile(),
            });
        let connection = match (&file, in_environment) {
            (Some(file), _) => EngineConnectionFile::read(file)?,
            (None, Some(text)) => EngineConnectionFile::from_json(&text)?,
            (None, None) => return Err(CliError::NoConnection),
        };
        let unreachable = Duration::try_from_secs_f64(self.unreachable)
            .map_err(|_| CliError::Unreachable(self.unreachable))?;
        Ok(EngineConfig {
            file,
            id: self.id.map(EngineId).or_else(|| self.id_by_rank()),
            parent: self.parent_pid,
            unreachable,
            ..EngineConfig::new(connection)?
        })
    }
}

impl EngineArgs {
    /// Returns the connection file of the profile, if one is given.
    fn file_of_profile(&self) -> Option<PathBuf> {
        let launched = || std::env::var_os("IPP_PROFILE_DIR").map(PathBuf::from);
        let profile = self.profile_dir.clone().or_else(launched)?;
        let name = match self.cluster_id.as_str() {
            "" => "ipcontroller-engine.json".to_owned(),
            id => format!("ipcontroller-{id}-engine.json"),
        };
        Some(profile.join("security").join(name))
    }

    /// Returns the id of this process among those started with the same command line.
    fn id_by_rank(&self) -> Option<EngineId> {
        let IdRanges(ids) = self.ids.as_ref()?;
        let rank = rank::of(|variable| std::env::var(variable).ok());
        ids.get(rank.unwrap_or(0)).copied()
    }
}

/// Runs an engine until it ends.
///
/// # Errors
/// Returns an error if the options are not valid or the engine cannot join its controller.
pub fn main(args: &EngineArgs) -> Result<Exit, CliError> {
    phalanx_sys::limits::raise_open_files();
    let config = args.config()?;
    // Single-threaded, since an engine mostly waits; artifacts are hashed on another thread.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Spawned as a task, since each wake-up of the future in `block_on` takes a system call.
    let serving = runtime.spawn(async {
        let signals = crate::signals::listen()?;
        Ok(crate::run(config, signals, CancellationToken::new()).await?)
    });
    runtime.block_on(serving)?
}
