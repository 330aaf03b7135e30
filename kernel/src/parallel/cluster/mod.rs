//! The cluster cells run on.
//!
//! | file | what |
//! |---|---|
//! | `actor.rs` | its owner |
//! | `settings.rs` | from what a user asked for to a cluster's settings |
//! | `own.rs`, `engines.rs` | a controller in this process, and engines that a launcher starts |
//! | `owner.rs` | requests to the process that owns a cluster |
//! | `revival.rs` | engines that end by themselves and are started again |
//! | `connect.rs`, `registry.rs` | clusters that were started elsewhere |
//! | `rows.rs`, `status.rs` | what there is, as a table |
//! | `panel.rs`, `watch.rs` | the same, kept up to date under a cell |

mod actor;
mod connect;
mod engines;
mod own;
mod owner;
mod panel;
mod registry;
mod revival;
pub mod rows;
mod settings;
mod status;
mod watch;

pub use own::{ClusterEvent, OwnCluster};
pub use owner::{OwnerCall, OwnerReply, OwnerRequest, OwnerSocket, ask_owner};
pub use registry::{ClusterRecord, Registry, began};
pub use revival::Revivals;
pub use settings::{ClusterSettings, fresh_id, profiles_path};

use crate::actor::RequestSender;
use crate::channel::OutputSink;
use crate::context::Programs;
use crate::magic::Targets;
use phalanx_client::Client;
use phalanx_launcher::StartRequest;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::EngineId;
use phalanx_protocol::output::MimeBundle;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use watch::ClusterWatch;

/// The handle on the cluster; clones share it. The cluster ends with the last clone.
#[derive(Clone, Debug)]
pub struct Cluster {
    requests: RequestSender<ClusterRequest>,
    watch: ClusterWatch,
}

/// A cluster that has come up.
#[derive(Clone, Debug)]
pub struct StartedCluster {
    /// The number of engines.
    pub engines: usize,
    /// The number of engines that had been running before; `None` if there was no cluster.
    pub before: Option<usize>,
    /// The time that took.
    pub took: Duration,
    /// True if the controller listens on all addresses of this machine.
    pub is_open: bool,
}

impl StartedCluster {
    /// The words that say who can reach the controller, if not this machine alone.
    pub fn openness(&self) -> &'static str {
        match self.is_open {
            true => ". The controller listens on all addresses of this machine (see SECURITY.md)",
            false => "",
        }
    }
}

/// The fate of a cluster that is no longer used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoppedCluster {
    /// It has ended.
    Ended {
        /// The number of engines it had.
        engines: usize,
    },
    /// It was started elsewhere and goes on.
    Left {
        /// Its id, or its file.
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
}

impl Cluster {
    /// No cluster yet.
    pub fn new(programs: Programs) -> (Self, JoinHandle<()>) {
        let (requests, received) = RequestSender::new();
        // Ends when the last handle is gone.
        let task = tokio::spawn(actor::run(programs, received));
        let watch = ClusterWatch::default();
        (Self { requests, watch }, task)
    }

    /// Starts a controller and engines, one a core unless a number is given, and waits until they
    /// are registered. Of a cluster that is running already, it starts the engines that are missing.
    ///
    /// # Errors
    /// When engines are missing of a cluster that was started elsewhere, an engine does not come up, or `interrupted` is cancelled.
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

    /// Ends the cluster, once its engines are gone; one that was started elsewhere goes on.
    ///
    /// # Errors
    /// When there is none.
    pub async fn stop(&self) -> Result<StoppedCluster, Failure> {
        self.watch.end();
        self.requests
            .attempt(|reply| ClusterRequest::Stop { reply })
            .await
    }

    /// Starts or ends engines until there are so many; how many there were, and are.
    ///
    /// # Errors
    /// When there is no cluster of this kernel, or an engine does not come up.
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

    /// Begins anew with empty engines under the same ids; how many.
    ///
    /// # Errors
    /// As [`scale`](Self::scale).
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

    /// Uses a cluster that was started elsewhere; its name and how many engines it has.
    ///
    /// # Errors
    /// When a cluster is running already, or that one cannot be found or does not answer.
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

    /// The processes of the engines that were started here and live.
    pub async fn pids(&self) -> Vec<(EngineId, u32)> {
        self.requests
            .ask(|reply| ClusterRequest::Pids { reply })
            .await
            .unwrap_or_default()
    }

    /// The status, as a table.
    pub async fn status(&self) -> MimeBundle {
        self.requests
            .ask(|reply| ClusterRequest::Status { reply })
            .await
            .unwrap_or_default()
    }

    /// Shows the state of the running cluster under a cell from now on.
    ///
    /// # Errors
    /// When there is none.
    pub async fn watch(&self, sink: OutputSink) -> Result<(), Failure> {
        let client = self.client().await.ok_or_else(none)?;
        self.watch.show(client, sink).await;
        Ok(())
    }

    /// The client of the running cluster.
    pub async fn client(&self) -> Option<Client> {
        self.requests
            .ask(|reply| ClusterRequest::Client { reply })
            .await?
    }
}

fn none() -> Failure {
    Failure::Usage {
        message: "no cluster is running".to_owned(),
        hint: Some("`%cluster start -n 4` starts one".to_owned()),
    }
}

/// One engine a core.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
