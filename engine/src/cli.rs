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

/// The options that start an engine from a command line.
#[derive(Args, Clone, Debug, Default)]
pub struct EngineArgs {
    /// The controller's connection file (ipcontroller-engine.json); without it, the JSON in
    /// $IPP_CONNECTION_INFO is used, or the file in the profile that --profile-dir or $IPP_PROFILE_DIR names
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The folder of an IPython profile
    #[arg(long, value_name = "DIR")]
    pub profile_dir: Option<PathBuf>,
    /// The cluster, as part of the file's name in the profile
    #[arg(long, value_name = "ID", env = "IPP_CLUSTER_ID", default_value = "")]
    pub cluster_id: String,
    /// Taken for ipyparallel's launchers, which give it: engines need no preparation for MPI
    #[arg(long, hide = true)]
    pub mpi: bool,
    /// The engine id to ask the controller for
    #[arg(long, value_name = "N")]
    pub id: Option<u32>,
    /// The ids of engines that were started with the same command line, such as 0-63: each takes the one
    /// of its rank under MPI, Slurm or in a job array
    #[arg(long, value_name = "LIST", conflicts_with = "id")]
    pub ids: Option<IdRanges>,
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
    /// The file in the profile that is named, if one is.
    fn file_of_profile(&self) -> Option<PathBuf> {
        let launched = || std::env::var_os("IPP_PROFILE_DIR").map(PathBuf::from);
        let profile = self.profile_dir.clone().or_else(launched)?;
        let name = match self.cluster_id.as_str() {
            "" => "ipcontroller-engine.json".to_owned(),
            id => format!("ipcontroller-{id}-engine.json"),
        };
        Some(profile.join("security").join(name))
    }

    /// The id of this process among those that were started together.
    fn id_by_rank(&self) -> Option<EngineId> {
        let IdRanges(ids) = self.ids.as_ref()?;
        let rank = rank::of(|variable| std::env::var(variable).ok());
        ids.get(rank.unwrap_or(0)).copied()
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
