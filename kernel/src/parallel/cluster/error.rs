//! Errors of clusters, with their texts.

use super::owner::OwnerRequest;
use super::status::count;
use crate::magic::TargetError;
use phalanx_client::{ControllerConnectError, WaitError};
use phalanx_controller::StartError;
use phalanx_launcher::{EndedProcesses, LaunchError, PrintedText, ProfileError};
use phalanx_protocol::failure::{Failure, FailureKind};
use phalanx_protocol::id::EngineId;
use phalanx_sys::limits;
use phalanx_transport::connection::{ConnectionFileError, UNREACHABLE_ENVIRONMENT};
use phalanx_transport::socket::ran_out_of_files;
use std::io;

/// The failure of a request about a cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// There is no cluster.
    #[error("no cluster is running")]
    NotRunning,
    /// The cluster was stopped, but not here.
    #[error("the cluster {0} was stopped")]
    Stopped(String),
    /// The cluster of this kernel was ended, but not by this kernel.
    #[error("the cluster of this notebook was stopped by another of its clients")]
    StoppedByClient,
    /// There is one already.
    #[error("a cluster of {} is running already", count(*engines))]
    Running {
        /// The number of its engines.
        engines: usize,
    },
    /// A target of a magic does not exist.
    #[error(transparent)]
    Targets(#[from] TargetError),
    /// There is no engine that a restart could name.
    #[error("the cluster has no Rust engine to restart")]
    NoneToRestart,
    /// An owner does not have the engine.
    #[error("there is no engine {0}")]
    NoEngine(EngineId),
    /// The cluster's owner is unknown, or takes no requests.
    #[error(
        "the cluster {cluster} was not started by this notebook or by `phalanx cluster start`, and cannot be {} from here",
        done(request)
    )]
    NotOwned {
        /// The id of the cluster, or its file.
        cluster: String,
        /// The request to its owner.
        request: OwnerRequest,
    },
    /// The owner of a cluster did not reply.
    #[error("the process that owns the cluster does not answer: {0}")]
    OwnerSilent(#[source] io::Error),
    /// No cluster runs on this machine.
    #[error("no cluster runs on this machine")]
    NoneKnown,
    /// Several clusters run on this machine, and none was named.
    #[error("there are several clusters")]
    Several {
        /// Their ids.
        ids: Vec<String>,
    },
    /// The named cluster does not exist.
    #[error("there is no cluster and no connection file `{name}`")]
    Unknown {
        /// The id or path that was given.
        name: String,
        /// The ids of the clusters on this machine.
        ids: Vec<String>,
    },
    /// A connection file cannot be used.
    #[error(transparent)]
    ConnectionFile(ConnectionFileError),
    /// The controller of a cluster could not be reached.
    #[error("cannot connect to {cluster}: {error}")]
    NotConnected {
        /// The id of the cluster, or its file.
        cluster: String,
        /// The reason.
        error: Box<ControllerConnectError>,
    },
    /// The time limit in the environment is not a number.
    #[error("{} is `{}`, which is not a number of seconds", UNREACHABLE_ENVIRONMENT, .0)]
    BadLimit(String),
    /// A profile cannot be used.
    #[error(transparent)]
    Profile(ProfileError),
    /// A launcher cannot be used with the settings of its profile.
    #[error(transparent)]
    Launcher(LaunchError),
    /// The user has no folder for data.
    #[error("no folder for the cluster's files: neither $XDG_DATA_HOME nor $HOME is set")]
    NoDataFolder,
    /// The cluster's folder could not be made.
    #[error("no folder for the cluster's files: {0}")]
    Folder(#[source] io::Error),
    /// The controller or engines of a new cluster did not come up.
    #[error("{step}")]
    NotUp {
        /// The step that failed.
        step: StartStep,
        /// The number of files this process may have open, if it has run out of them.
        open_files: Option<u64>,
    },
    /// Engines ended before they registered.
    #[error("{} ended before registering ({})", subject(.0), .0.status)]
    EndedEarly(EndedProcesses),
    /// Engines did not come up, and printed something.
    #[error("{error}{}", printed_text(printed))]
    Printed {
        /// The failure of the engines.
        error: Box<ClusterError>,
        /// The text of each.
        printed: Vec<PrintedText>,
    },
    /// Engines did not reply.
    #[error(transparent)]
    NoReply(#[from] WaitError),
    /// The user interrupted the cell that waited.
    #[error("interrupted")]
    Interrupted,
}

/// A step in the start of a cluster, with the reason why it failed.
#[derive(Debug, thiserror::Error)]
pub enum StartStep {
    /// The controller.
    #[error("the controller could not be started: {0}")]
    Controller(#[from] Box<StartError>),
    /// The client of the controller.
    #[error("the controller does not answer: {0}")]
    Client(#[from] Box<ControllerConnectError>),
    /// The processes of the engines.
    #[error("the engines could not be started: {0}")]
    Launch(#[from] LaunchError),
    /// The registration of the engines.
    #[error("the engines did not register: {0}")]
    Registration(#[from] WaitError),
}

impl ClusterError {
    /// The error of a start that failed just now.
    pub(super) fn not_up(step: impl Into<StartStep>) -> Self {
        Self::NotUp {
            step: step.into(),
            open_files: limits::open_files().filter(|_| ran_out_of_files()),
        }
    }

    fn kind(&self) -> FailureKind {
        match self {
            Self::NotRunning
            | Self::Running { .. }
            | Self::Targets(_)
            | Self::NoneToRestart
            | Self::NoEngine(_)
            | Self::NotOwned { .. }
            | Self::NoneKnown
            | Self::Several { .. }
            | Self::Unknown { .. }
            | Self::ConnectionFile(_)
            | Self::BadLimit(_)
            | Self::Profile(_)
            | Self::Launcher(_) => FailureKind::Usage,
            Self::OwnerSilent(_)
            | Self::Stopped(_)
            | Self::StoppedByClient
            | Self::NotConnected { .. }
            | Self::NoDataFolder
            | Self::Folder(_)
            | Self::NotUp { .. }
            | Self::EndedEarly(_)
            | Self::Printed { .. }
            | Self::NoReply(WaitError::Disconnected)
            | Self::Interrupted => FailureKind::Environment,
            Self::NoReply(_) => FailureKind::Timeout,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotRunning => "`%cluster start -n 4` starts one",
            Self::Stopped(_) | Self::StoppedByClient => {
                "the variables of its engines are lost; `%cluster start -n 4` starts another one here, `%cluster connect` finds one that runs"
            }
            Self::Running { .. } => "`%cluster scale N` changes it, `%cluster stop` ends it",
            Self::Targets(_) => "`%cluster status` lists the engines",
            Self::NoneToRestart => {
                "`%cluster scale N` starts engines; those that do not run Rust are restarted by the program that started them"
            }
            Self::NoEngine(_) => "`phalanx cluster status` lists the engines",
            Self::NotOwned { .. } => {
                "use the program that started it; engines that join it appear here"
            }
            Self::OwnerSilent(_) => "`phalanx cluster list` shows the clusters that run",
            Self::NoneKnown => NONE_RUN,
            Self::Several { ids } | Self::Unknown { ids, .. } => {
                return Some(running_clusters(ids));
            }
            Self::ConnectionFile(_) => {
                "give a client's connection file, such as ipcontroller-client.json, or the id of a cluster"
            }
            Self::NotConnected { .. } => {
                "`phalanx cluster list` shows the clusters that run on this machine"
            }
            Self::Profile(_) => "docs/clusters.md shows what a profile may contain",
            Self::Launcher(error) => return error.hint(),
            Self::NoDataFolder | Self::Folder(_) => {
                "set `folder` in a profile, to a folder that all machines share"
            }
            Self::NotUp { step, open_files } => return Some(start_hint(step, *open_files)),
            Self::Printed { error, .. } => return error.hint(),
            Self::NoReply(WaitError::Disconnected) => {
                "`%cluster status` lists the remaining engines"
            }
            Self::BadLimit(_) | Self::EndedEarly(_) | Self::NoReply(_) | Self::Interrupted => {
                return None;
            }
        };
        Some(hint.to_owned())
    }
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Self {
        match error {
            ClusterError::Interrupted => Self::Interrupted { lost: Vec::new() },
            error => Self::new(error.kind(), &error, error.hint()),
        }
    }
}

const NONE_RUN: &str = "`phalanx cluster start -n 4 --daemonize` starts one";

fn running_clusters(ids: &[String]) -> String {
    match ids {
        [] => NONE_RUN.to_owned(),
        ids => format!("the running clusters are {}", ids.join(", ")),
    }
}

fn start_hint(step: &StartStep, open_files: Option<u64>) -> String {
    if let StartStep::Launch(error) = step
        && let Some(hint) = error.hint()
    {
        return hint;
    }
    match open_files {
        Some(most) => format!(
            "this process may have {most} open files, which is too few for so many engines: raise the limit where Jupyter is started (`ulimit -Hn`)"
        ),
        None => "`phalanx doctor` checks this machine".to_owned(),
    }
}

fn done(request: &OwnerRequest) -> &'static str {
    match request {
        OwnerRequest::Scale { .. } | OwnerRequest::Add { .. } => "scaled",
        OwnerRequest::Restart { .. } => "restarted",
    }
}

fn subject(ended: &EndedProcesses) -> String {
    match ended.ids.as_slice() {
        [id] => format!("engine {id}"),
        ids => count(ids.len()),
    }
}

fn printed_text(printed: &[PrintedText]) -> String {
    let texts = printed.iter();
    texts
        .map(|printed| format!("\n{} printed:\n{}", printed.who, printed.text))
        .collect()
}
