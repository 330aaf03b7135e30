//! The cluster on which cells run.
//!
//! | file | contents |
//! |---|---|
//! | `state.rs` | the decisions about the cluster: the steps that each request takes |
//! | `actor.rs` | the actor around the state |
//! | `settings.rs` | the settings of a cluster, from a user's request |
//! | `own.rs`, `engines.rs` | a controller in this process, and launched engines |
//! | `owner.rs` | requests to the process that owns a cluster |
//! | `revival.rs` | restarts of engines that end unexpectedly |
//! | `connect.rs`, `registry.rs`, `ipyparallel.rs` | clusters that were started elsewhere |
//! | `rows.rs`, `status.rs` | the state of the cluster, as a table |
//! | `panel.rs`, `watch.rs` | the state of the cluster, updated in place under a cell |
//! | `error.rs` | all that can fail, with its texts |

mod actor;
mod connect;
mod engines;
mod error;
mod ipyparallel;
mod own;
mod owner;
mod panel;
mod registry;
mod revival;
pub mod rows;
mod settings;
mod state;
mod status;
mod watch;

pub use error::{ClusterError, StartStep};
pub use own::{ClusterEvent, OwnCluster};
pub use owner::{OwnerCall, OwnerReply, OwnerRequest, OwnerSocket, ask_owner};
pub use registry::{ClusterRecord, Registry, process_start};
pub use revival::Revivals;
pub use settings::{ClusterSettings, fresh_id, profiles_path};
pub use status::count as engine_count;

use crate::actor::RequestSender;
use crate::channel::OutputSink;
use crate::context::Programs;
use crate::magic::Targets;
use phalanx_client::Client;
use phalanx_controller::ipython::IpythonProfile;
use phalanx_launcher::StartRequest;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::EngineId;
use phalanx_protocol::output::MimeBundle;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use watch::ClusterWatch;

/// A handle on the cluster. Clones share it; the cluster ends with the last one.
#[derive(Clone, Debug)]
pub struct Cluster {
    requests: RequestSender<ClusterRequest>,
    watch: ClusterWatch,
}

/// A started cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct StartedCluster {
    /// The number of engines.
    pub engines: usize,
    /// The number of engines before; `None` if no cluster was running.
    pub before: Option<usize>,
    /// The time taken.
    pub took: Duration,
    /// True if the controller listens on all interfaces of this machine.
    pub is_open: bool,
}

impl StartedCluster {
    /// Describes who can reach the controller, unless it is this machine alone.
    pub fn openness(&self) -> &'static str {
        match self.is_open {
            true => ". The controller listens on all addresses of this machine (see SECURITY.md)",
            false => "",
        }
    }
}

/// The outcome of `%cluster stop`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoppedCluster {
    /// The cluster has ended.
    Ended {
        /// The number of engines it had.
        engines: usize,
    },
    /// The cluster was started elsewhere and continues to run.
    Left {
        /// Its id or connection file.
        cluster: String,
    },
}

#[derive(Debug)]
enum ClusterRequest {
    Start {
        request: StartRequest,
        interrupted: CancellationToken,
        reply: oneshot::Sender<Result<StartedCluster, Failure>>,
    },
    Stop {
        reply: oneshot::Sender<Result<StoppedCluster, Failure>>,
    },
    Scale {
        engines: usize,
        interrupted: CancellationToken,
        reply: oneshot::Sender<Result<(usize, usize), Failure>>,
    },
    Restart {
        targets: Option<Targets>,
        interrupted: CancellationToken,
        reply: oneshot::Sender<Result<usize, Failure>>,
    },
    Connect {
        to: Option<String>,
        interrupted: CancellationToken,
        reply: oneshot::Sender<Result<(String, usize), Failure>>,
    },
    Pids {
        reply: oneshot::Sender<Vec<(EngineId, u32)>>,
    },
    Status {
        reply: oneshot::Sender<MimeBundle>,
    },
    Client {
        reply: oneshot::Sender<Option<Client>>,
    },
    Stopped {
        reply: oneshot::Sender<Option<ClusterError>>,
    },
}

impl Cluster {
    /// Creates the handle and the actor, without a cluster.
    pub fn new(programs: Programs) -> (Self, JoinHandle<()>) {
        let (requests, received) = RequestSender::new();
        // Ends with the last handle.
        let task = tokio::spawn(actor::run(programs, received));
        let watch = ClusterWatch::default();
        (Self { requests, watch }, task)
    }

    /// Starts a controller and engines (one per core by default), and waits until they are
    /// registered. For a running cluster, starts the missing engines.
    ///
    /// # Errors
    /// Returns an error if a cluster that was started elsewhere has too few engines, an engine does
    /// not start, or `interrupted` is cancelled.
    pub async fn start(
        &self,
        request: StartRequest,
        interrupted: CancellationToken,
    ) -> Result<StartedCluster, Failure> {
        self.requests
            .attempt(|reply| ClusterRequest::Start {
                request,
                interrupted,
                reply,
            })
            .await
    }

    /// Stops the cluster and its engines; one that was started elsewhere continues to run.
    ///
    /// # Errors
    /// Returns an error if no cluster is running.
    pub async fn stop(&self) -> Result<StoppedCluster, Failure> {
        self.watch.end();
        self.requests
            .attempt(|reply| ClusterRequest::Stop { reply })
            .await
    }

    /// Starts or stops engines to reach a number of engines; returns the number before and after.
    ///
    /// # Errors
    /// Returns an error if no cluster of this kernel is running or an engine does not start.
    pub async fn scale(
        &self,
        engines: usize,
        interrupted: CancellationToken,
    ) -> Result<(usize, usize), Failure> {
        self.requests
            .attempt(|reply| ClusterRequest::Scale {
                engines,
                interrupted,
                reply,
            })
            .await
    }

    /// Restarts engines with empty namespaces under the same ids; returns their number.
    ///
    /// # Errors
    /// Returns the errors of [`scale`](Self::scale).
    pub async fn restart(
        &self,
        targets: Option<Targets>,
        interrupted: CancellationToken,
    ) -> Result<usize, Failure> {
        self.requests
            .attempt(|reply| ClusterRequest::Restart {
                targets,
                interrupted,
                reply,
            })
            .await
    }

    /// Connects to a cluster that was started elsewhere; returns its name and the number of its
    /// engines.
    ///
    /// # Errors
    /// Returns an error if a cluster is running already, or if the other one is not found or does
    /// not reply.
    pub async fn connect(
        &self,
        to: Option<String>,
        interrupted: CancellationToken,
    ) -> Result<(String, usize), Failure> {
        self.requests
            .attempt(|reply| ClusterRequest::Connect {
                to,
                interrupted,
                reply,
            })
            .await
    }

    /// Returns the processes of running engines that this kernel has started.
    pub async fn pids(&self) -> Vec<(EngineId, u32)> {
        self.requests
            .ask(|reply| ClusterRequest::Pids { reply })
            .await
            .unwrap_or_default()
    }

    /// Returns the status as a table.
    pub async fn status(&self) -> MimeBundle {
        self.requests
            .ask(|reply| ClusterRequest::Status { reply })
            .await
            .unwrap_or_default()
    }

    /// Shows a panel of the running cluster under a cell, which is kept up to date.
    ///
    /// # Errors
    /// Returns an error if no cluster is running.
    pub async fn watch(&self, sink: OutputSink) -> Result<(), Failure> {
        let Some(client) = self.client().await else {
            self.check_stopped_elsewhere().await?;
            return Err(ClusterError::NotRunning.into());
        };
        self.watch.show(client, sink).await;
        Ok(())
    }

    /// Returns an error, once, if the cluster was stopped elsewhere.
    ///
    /// # Errors
    /// Describes the end of that cluster.
    pub async fn check_stopped_elsewhere(&self) -> Result<(), ClusterError> {
        let stopped = self
            .requests
            .ask(|reply| ClusterRequest::Stopped { reply })
            .await
            .flatten();
        stopped.map_or(Ok(()), Err)
    }

    /// Returns the client of the running cluster.
    pub async fn client(&self) -> Option<Client> {
        self.requests
            .ask(|reply| ClusterRequest::Client { reply })
            .await?
    }
}

/// Returns the names under which `%cluster connect` finds clusters.
pub async fn connectable() -> Vec<String> {
    let known = Registry::of_user().map_or_else(Vec::new, |registry| registry.list());
    let others = ipyparallel::list(IpythonProfile::all(), &known).await;
    let known = known.into_iter().map(|record| record.cluster_id);
    known
        .chain(others.into_iter().map(|cluster| cluster.name))
        .collect()
}

/// Returns the number of cores.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
