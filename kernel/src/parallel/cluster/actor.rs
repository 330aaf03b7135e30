//! The actor of the cluster: starts, changes and stops it; the cluster ends with the kernel.

use super::connect::{self, ConnectedCluster, ENGINES_LIMIT};
use super::engines::LaunchedEngines;
use super::own::OwnCluster;
use super::owner::{OwnerReply, OwnerRequest, ask_owner};
use super::{ClusterError, ClusterRequest, ClusterSettings, StartedCluster, status};
use crate::context::Programs;
use crate::magic::Targets;
use phalanx_client::{Client, Engine};
use phalanx_controller::TaskDatabase;
use phalanx_launcher::StartRequest;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::EngineId;
use phalanx_protocol::output::MimeBundle;
use std::time::Instant;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The size limit of task records in the embedded controller, in bytes; the kernel stores results
/// itself.
const REMEMBERED_BYTES: usize = 32 << 20;

/// The running cluster.
enum RunningCluster {
    /// Started by this kernel, with which it ends.
    Own(Box<OwnCluster>),
    /// Started elsewhere; it outlives this kernel.
    Elsewhere(ConnectedCluster),
}

impl RunningCluster {
    fn client(&self) -> &Client {
        match self {
            Self::Own(cluster) => cluster.client(),
            Self::Elsewhere(connected) => &connected.client,
        }
    }

    fn engines(&self) -> usize {
        self.client().engines().len()
    }
}

pub(super) async fn run(programs: Programs, requests: mpsc::UnboundedReceiver<ClusterRequest>) {
    let mut owner = Owner {
        programs,
        running: None,
        stopped: None,
    };
    owner.serve(requests).await;
    if let Some(RunningCluster::Own(cluster)) = owner.running {
        cluster.end().await;
    }
}

struct Owner {
    programs: Programs,
    running: Option<RunningCluster>,
    /// The end of a cluster that was stopped elsewhere, until it is reported.
    stopped: Option<ClusterError>,
}

impl Owner {
    /// Forgets a cluster that was stopped elsewhere, and ends what is left of one of this kernel.
    async fn forget_stopped(&mut self) {
        let stopped = match &self.running {
            Some(RunningCluster::Elsewhere(connected)) if connected.has_ended() => {
                ClusterError::Stopped(connected.name.clone())
            }
            Some(RunningCluster::Own(cluster)) if cluster.has_ended() => {
                ClusterError::StoppedByClient
            }
            _ => return,
        };
        self.stopped = Some(stopped);
        if let Some(RunningCluster::Own(cluster)) = self.running.take() {
            cluster.end().await;
        }
    }

    /// Returns the error of a request without a running cluster.
    fn not_running(&mut self) -> ClusterError {
        self.stopped.take().unwrap_or(ClusterError::NotRunning)
    }

    async fn serve(&mut self, mut requests: mpsc::UnboundedReceiver<ClusterRequest>) {
        while let Some(request) = requests.recv().await {
            self.forget_stopped().await;
            // All replies: the receiver may have been dropped.
            match request {
                ClusterRequest::Start {
                    request,
                    interrupted,
                    reply,
                } => {
                    let _ = reply.send(self.start(request, &interrupted).await);
                }
                ClusterRequest::Stop { reply } => {
                    let _ = reply.send(self.stop().await);
                }
                ClusterRequest::Scale {
                    engines,
                    interrupted,
                    reply,
                } => {
                    let _ = reply.send(self.scale(engines, &interrupted).await);
                }
                ClusterRequest::Restart {
                    targets,
                    interrupted,
                    reply,
                } => {
                    let _ = reply.send(self.restart(targets, &interrupted).await);
                }
                ClusterRequest::Connect {
                    to,
                    interrupted,
                    reply,
                } => {
                    let _ = reply.send(self.connect(to, &interrupted).await);
                }
                ClusterRequest::Status { reply } => {
                    let _ = reply.send(self.status().await);
                }
                ClusterRequest::Pids { reply } => {
                    let _ = reply.send(self.pids());
                }
                ClusterRequest::Client { reply } => {
                    let client = self
                        .running
                        .as_ref()
                        .map(|running| running.client().clone());
                    let _ = reply.send(client);
                }
                ClusterRequest::Stopped { reply } => {
                    let _ = reply.send(self.stopped.take());
                }
            }
        }
    }

    async fn start(
        &mut self,
        request: StartRequest,
        interrupted: &CancellationToken,
    ) -> Result<StartedCluster, Failure> {
        if let Some(running) = &self.running {
            let there = running.engines();
            return self.complete(there, request.engines, interrupted).await;
        }
        self.stopped = None;
        let mut settings = ClusterSettings::new(request, None, &self.programs)?;
        settings.controller.database = TaskDatabase::Memory {
            bytes: REMEMBERED_BYTES,
        };
        let (started, cluster) = OwnCluster::start(settings, interrupted).await?;
        self.running = Some(RunningCluster::Own(Box::new(cluster)));
        Ok(started)
    }

    /// Starts the missing engines of a running cluster, as when a notebook is run again.
    async fn complete(
        &mut self,
        there: usize,
        wanted: Option<usize>,
        interrupted: &CancellationToken,
    ) -> Result<StartedCluster, Failure> {
        let began = Instant::now();
        let missing = wanted.filter(|wanted| *wanted > there);
        if let Some(wanted) = missing {
            self.scale(wanted, interrupted).await?;
        }
        Ok(StartedCluster {
            engines: missing.unwrap_or(there),
            before: Some(there),
            took: began.elapsed(),
            is_open: false,
        })
    }

    /// Stops the cluster, or disconnects from it if it was started elsewhere.
    async fn stop(&mut self) -> Result<super::StoppedCluster, Failure> {
        match self.running.take() {
            Some(RunningCluster::Own(cluster)) => Ok(super::StoppedCluster::Ended {
                engines: cluster.stop().await,
            }),
            Some(RunningCluster::Elsewhere(connected)) => Ok(super::StoppedCluster::Left {
                cluster: connected.name,
            }),
            None => Err(self.not_running().into()),
        }
    }

    async fn scale(
        &mut self,
        engines: usize,
        interrupted: &CancellationToken,
    ) -> Result<(usize, usize), Failure> {
        let request = OwnerRequest::Scale { engines };
        let known = self.listed_engines();
        match self.send_to_owner(request, interrupted).await? {
            OwnerReply::Scaled { before, now } => {
                self.wait_for_new(now.saturating_sub(before), &known).await;
                Ok((before, now))
            }
            OwnerReply::Restarted { engines } => Ok((engines, engines)),
        }
    }

    async fn restart(
        &mut self,
        targets: Option<Targets>,
        interrupted: &CancellationToken,
    ) -> Result<usize, Failure> {
        let mut there: Vec<EngineId> = match &mut self.running {
            Some(RunningCluster::Own(cluster)) => cluster.engines().ids(),
            Some(RunningCluster::Elsewhere(connected)) => {
                let engines = connected.client.rust_engines();
                engines.iter().map(|engine| engine.id).collect()
            }
            None => return Err(self.not_running().into()),
        };
        there.sort_unstable();
        let engines = targets
            .map(|targets| targets.resolve(&there))
            .transpose()
            .map_err(ClusterError::from)?;
        if let Some(RunningCluster::Elsewhere(connected)) = &self.running
            && connected.owner.is_none()
        {
            // The processes belong to another owner, so only their namespaces are cleared.
            let ids = engines.unwrap_or(there);
            let cleared = connected.client.clear_engines(&ids).await;
            cleared.map_err(ClusterError::from)?;
            return Ok(ids.len());
        }
        let request = OwnerRequest::Restart { engines };
        let known = self.listed_engines();
        match self.send_to_owner(request, interrupted).await? {
            OwnerReply::Restarted { engines } | OwnerReply::Scaled { now: engines, .. } => {
                self.wait_for_new(engines, &known).await;
                Ok(engines)
            }
        }
    }

    /// Returns the engines of a cluster whose owner is another process.
    fn listed_engines(&self) -> Vec<Engine> {
        match &self.running {
            Some(RunningCluster::Elsewhere(connected)) => connected.client.engines(),
            _ => Vec::new(),
        }
    }

    /// Waits for `new` engines beside the known ones, which the next cell is to use; a failure is the
    /// owner's concern.
    async fn wait_for_new(&mut self, new: usize, known: &[Engine]) {
        if let Some(RunningCluster::Elsewhere(connected)) = &self.running {
            let client = &connected.client;
            let _ = client.wait_for_new_engines(new, known, ENGINES_LIMIT).await;
        }
    }

    /// Sends a request to the owner of the cluster: this process, or another one on this machine.
    async fn send_to_owner(
        &mut self,
        request: OwnerRequest,
        interrupted: &CancellationToken,
    ) -> Result<OwnerReply, Failure> {
        match &mut self.running {
            Some(RunningCluster::Own(cluster)) => cluster.handle(request, interrupted).await,
            Some(RunningCluster::Elsewhere(connected)) => match &connected.owner {
                Some(owner) => tokio::select! {
                    reply = ask_owner(owner, &request) => reply,
                    () = interrupted.cancelled() => Err(ClusterError::Interrupted.into()),
                },
                None => Err(ClusterError::NotOwned {
                    cluster: connected.name.clone(),
                    request,
                }
                .into()),
            },
            None => Err(self.not_running().into()),
        }
    }

    async fn connect(
        &mut self,
        to: Option<String>,
        interrupted: &CancellationToken,
    ) -> Result<(String, usize), Failure> {
        if let Some(running) = &self.running {
            return Err(ClusterError::Running {
                engines: running.engines(),
            }
            .into());
        }
        self.stopped = None;
        let connected = tokio::select! {
            connected = connect::connect(to) => connected?,
            () = interrupted.cancelled() => return Err(ClusterError::Interrupted.into()),
        };
        let connection = (connected.name.clone(), connected.client.engines().len());
        self.running = Some(RunningCluster::Elsewhere(connected));
        Ok(connection)
    }

    async fn status(&mut self) -> MimeBundle {
        match &mut self.running {
            Some(RunningCluster::Own(cluster)) => {
                let file = cluster.client_path().display().to_string();
                let where_ = format!("other clients connect with {file}");
                let client = cluster.client().clone();
                status::status(&client, cluster.engines(), &where_).await
            }
            Some(RunningCluster::Elsewhere(connected)) => {
                let where_ = format!("connected to {}", connected.name);
                let mut launched = LaunchedEngines::default();
                status::status(&connected.client, &mut launched, &where_).await
            }
            None => status::none(self.stopped.take().as_ref()),
        }
    }

    fn pids(&mut self) -> Vec<(EngineId, u32)> {
        match &mut self.running {
            Some(RunningCluster::Own(cluster)) => cluster.pids(),
            _ => Vec::new(),
        }
    }
}
