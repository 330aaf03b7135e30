//! A cluster owned by this process: an embedded controller and launched engines.

use super::engines::LaunchedEngines;
use super::owner::{OwnerReply, OwnerRequest};
use super::settings::ClusterSettings;
use super::{ClusterError, StartedCluster};
use phalanx_client::{Client, Engine};
use phalanx_controller::Controller;
use phalanx_launcher::{EndedProcesses, Job};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::EngineId;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Time limit for engines to unregister.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// An unexpected event of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterEvent {
    /// The controller has ended at the request of a client.
    ControllerEnded,
    /// Engines have ended unexpectedly.
    EnginesEnded(EndedProcesses),
}

/// A cluster of this process.
#[derive(Debug)]
pub struct OwnCluster {
    settings: ClusterSettings,
    controller: Controller,
    client: Client,
    engines: LaunchedEngines,
    /// The engines that have ended and are being started again, until their successors have registered.
    restarting: Vec<EngineId>,
}

impl OwnCluster {
    /// Starts a controller and engines, and waits until they are registered.
    ///
    /// # Errors
    /// Returns an error if one of them does not start or `interrupted` is cancelled; then
    /// everything is stopped.
    pub async fn start(
        settings: ClusterSettings,
        interrupted: &CancellationToken,
    ) -> Result<(StartedCluster, Self), Failure> {
        let began = Instant::now();
        let count = settings.engines;
        let controller = Controller::start(settings.controller.clone())
            .await
            .map_err(|error| ClusterError::not_up(Box::new(error)))?;
        let ids = (0_u32..).map(EngineId).take(count).collect();
        let mut engines = tokio::select! {
            launched = launch(&settings, &controller, ids) => launched?,
            () = interrupted.cancelled() => return Err(ClusterError::Interrupted.into()),
        };
        let client = match Client::connect(controller.client_file()).await {
            Ok(client) => client,
            Err(error) => {
                engines.kill().await;
                controller.shutdown().await;
                return Err(ClusterError::not_up(Box::new(error)).into());
            }
        };
        let limit = settings.start_limit;
        let joined = joined(&client, &mut engines, count, &[], limit, interrupted).await;
        if let Err(error) = joined {
            engines.kill().await;
            controller.shutdown().await;
            return Err(error.into());
        }
        let started = StartedCluster {
            engines: count,
            before: None,
            took: began.elapsed(),
            is_open: settings.is_open(),
        };
        let cluster = Self {
            settings,
            controller,
            client,
            engines,
            restarting: Vec::new(),
        };
        Ok((started, cluster))
    }

    /// Returns the client connected to it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns true if a client has shut its controller down.
    pub(super) fn has_ended(&self) -> bool {
        self.controller.has_ended() || self.client.has_ended()
    }

    /// Returns its launched engines.
    pub(super) fn engines(&mut self) -> &mut LaunchedEngines {
        &mut self.engines
    }

    /// Returns the ids of the engines that can be restarted, in order: those that it has started, also
    /// if they have ended unexpectedly or an earlier restart of theirs has failed.
    pub(super) fn restartable(&self) -> Vec<EngineId> {
        let mut ids = self.engines.ids();
        ids.extend(&self.restarting);
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Returns the connection file for other clients.
    pub fn client_path(&self) -> &Path {
        self.controller.client_path()
    }

    /// Starts or stops engines to reach `wanted`, not counting those that others have started; returns
    /// the number before.
    ///
    /// # Errors
    /// Returns an error if an engine does not start or `interrupted` is cancelled; earlier engines
    /// continue to run.
    pub async fn scale(
        &mut self,
        wanted: usize,
        interrupted: &CancellationToken,
    ) -> Result<usize, Failure> {
        let own = self.own_ids();
        if wanted < own.len() {
            self.end_engines(&own[wanted..]).await;
        } else {
            let taken = self.ids();
            let free = (0_u32..).map(EngineId).filter(|id| !taken.contains(id));
            let new: Vec<EngineId> = free.take(wanted - own.len()).collect();
            self.add(&new, interrupted).await?;
        }
        self.restarting.clear();
        Ok(own.len())
    }

    /// Restarts engines with empty namespaces under the same ids; all that it has started if no ids are
    /// given.
    ///
    /// # Errors
    /// Returns an error if there are none, and the errors of [`scale`](Self::scale).
    pub async fn restart(
        &mut self,
        ids: Option<Vec<EngineId>>,
        interrupted: &CancellationToken,
    ) -> Result<usize, Failure> {
        let ids = ids.unwrap_or_else(|| self.restartable());
        if ids.is_empty() {
            return Err(ClusterError::NoneToRestart.into());
        }
        self.end_engines(&ids).await;
        self.replace(&ids, interrupted).await?;
        Ok(ids.len())
    }

    /// Stops engines and controller in order; returns the number of engines.
    pub async fn stop(self) -> usize {
        let ids = self.ids();
        if let Err(error) = self.client.shutdown_engines(&ids, STOP_LIMIT).await {
            tracing::warn!(%error, "engines did not reply to the shutdown request");
        }
        self.engines.end().await;
        self.controller.shutdown().await;
        ids.len()
    }

    /// Ends the cluster with this process: engines are stopped by signals instead of requests.
    pub async fn end(mut self) {
        self.engines.ask_to_end();
        self.engines.end().await;
        self.controller.shutdown().await;
    }

    /// Waits for the next unexpected event. Cancel safe.
    pub async fn next_event(&mut self) -> ClusterEvent {
        tokio::select! {
            () = self.controller.ended() => ClusterEvent::ControllerEnded,
            ended = self.engines.next_end() => ClusterEvent::EnginesEnded(ended),
        }
    }

    /// Restarts engines that have ended, under their ids.
    ///
    /// # Errors
    /// Returns an error if an engine does not start or `interrupted` is cancelled.
    pub async fn revive(
        &mut self,
        ids: &[EngineId],
        interrupted: &CancellationToken,
    ) -> Result<(), Failure> {
        self.engines.retire(ids).await;
        self.replace(ids, interrupted).await
    }

    /// Handles a request to its owner.
    ///
    /// # Errors
    /// Returns the errors of [`scale`](Self::scale), or an error if an engine does not exist.
    pub async fn handle(
        &mut self,
        request: OwnerRequest,
        interrupted: &CancellationToken,
    ) -> Result<OwnerReply, Failure> {
        match request {
            OwnerRequest::Scale { engines } => {
                let before = self.scale(engines, interrupted).await?;
                Ok(OwnerReply::Scaled {
                    before,
                    now: engines,
                })
            }
            OwnerRequest::Add { engines } => {
                let now = self.own_ids().len() + engines;
                let before = self.scale(now, interrupted).await?;
                Ok(OwnerReply::Scaled { before, now })
            }
            OwnerRequest::Restart { engines } => {
                let known = self.restartable();
                let strange = engines.iter().flatten().find(|id| !known.contains(id));
                if let Some(id) = strange {
                    return Err(ClusterError::NoEngine(*id).into());
                }
                let engines = self.restart(engines, interrupted).await?;
                Ok(OwnerReply::Restarted { engines })
            }
        }
    }

    /// Returns the processes of running engines on this machine.
    pub fn pids(&mut self) -> Vec<(EngineId, u32)> {
        let ids = self.engines.ids().into_iter();
        ids.filter_map(|id| Some((id, self.engines.pid_of(id)?)))
            .collect()
    }

    fn ids(&self) -> Vec<EngineId> {
        let engines = self.client.engines();
        engines.iter().map(|engine| engine.id).collect()
    }

    /// Returns the ids of the running engines that this cluster has started.
    fn own_ids(&self) -> Vec<EngineId> {
        let started = self.engines.ids();
        let mut ids = self.ids();
        ids.retain(|id| started.contains(id));
        ids
    }

    /// Stops engines and removes their processes.
    async fn end_engines(&mut self, ids: &[EngineId]) {
        let live: Vec<EngineId> = self
            .ids()
            .into_iter()
            .filter(|id| ids.contains(id))
            .collect();
        if let Err(error) = self.client.shutdown_engines(&live, STOP_LIMIT).await {
            tracing::warn!(%error, "engines did not reply to the shutdown request");
        }
        self.engines.retire(ids).await;
    }

    /// Starts engines in place of those with these ids, which have ended. They can be restarted if this
    /// fails.
    async fn replace(
        &mut self,
        ids: &[EngineId],
        interrupted: &CancellationToken,
    ) -> Result<(), Failure> {
        self.restarting.extend(ids);
        self.add(ids, interrupted).await?;
        self.restarting.retain(|id| !ids.contains(id));
        Ok(())
    }

    async fn add(
        &mut self,
        ids: &[EngineId],
        interrupted: &CancellationToken,
    ) -> Result<(), Failure> {
        if ids.is_empty() {
            return Ok(());
        }
        // By their names: one that has died may still be listed, and a new one may register while its launcher's
        // program has not ended.
        let known = self.client.engines();
        let mut new = launch(&self.settings, &self.controller, ids.to_vec()).await?;
        let limit = self.settings.start_limit;
        let client = &self.client;
        let joined = joined(client, &mut new, ids.len(), &known, limit, interrupted).await;
        if let Err(error) = joined {
            new.kill().await;
            return Err(error.into());
        }
        self.engines.join(new).await;
        Ok(())
    }
}

async fn launch(
    settings: &ClusterSettings,
    controller: &Controller,
    ids: Vec<EngineId>,
) -> Result<LaunchedEngines, ClusterError> {
    let file = controller.engine_path().to_owned();
    let folder = file.parent().map(Path::to_owned);
    let job = Job {
        cluster_id: settings.cluster_id.clone(),
        program: settings.program.clone(),
        folder: folder.unwrap_or_else(|| PathBuf::from(".")),
        ids,
        file,
        connection: Box::new(controller.engine_file().clone()),
    };
    let launched = settings.launcher.launch(&job).await;
    launched
        .map(LaunchedEngines::new)
        .map_err(ClusterError::not_up)
}

/// Waits until this number of engines is registered beside the known ones.
async fn joined(
    client: &Client,
    new: &mut LaunchedEngines,
    wanted: usize,
    known: &[Engine],
    limit: Duration,
    interrupted: &CancellationToken,
) -> Result<(), ClusterError> {
    let joined = tokio::select! {
        joined = client.wait_for_new_engines(wanted, known, limit) => {
            joined.map(drop).map_err(ClusterError::not_up)
        }
        ended = new.next_end() => Err(ClusterError::EndedEarly(ended)),
        () = interrupted.cancelled() => return Err(ClusterError::Interrupted),
    };
    match joined {
        Ok(()) => Ok(()),
        Err(error) => Err(new.with_printed(error).await),
    }
}

#[cfg(all(test, feature = "echo"))]
mod tests {
    use super::*;
    use crate::context::Programs;
    use phalanx_launcher::StartRequest;
    use std::os::unix::fs::PermissionsExt;

    /// Returns the settings of a cluster of two engines whose program is a shell script.
    fn scripted(folder: &Path, script: &str) -> ClusterSettings {
        let program = folder.join("phalanx");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let request = StartRequest {
            engines: Some(2),
            ..StartRequest::default()
        };
        ClusterSettings::new(request, None, &Programs::of(program)).unwrap()
    }

    async fn start_script(script: &str, interrupted: &CancellationToken) -> Failure {
        let folder = tempfile::tempdir().unwrap();
        let settings = scripted(folder.path(), script);
        OwnCluster::start(settings, interrupted)
            .await
            .map(drop)
            .unwrap_err()
    }

    /// A single test: a program cannot be started while it is open for writing, which a concurrent
    /// fork in another thread prolongs.
    #[tokio::test]
    async fn engines_that_do_not_start_are_reported_and_not_awaited() {
        let failure = start_script("echo no luck >&2; exit 3", &CancellationToken::new()).await;
        let Failure::Environment { message, .. } = failure else {
            panic!("{failure:?}")
        };
        let ended = "ended before registering (exit status: 3)";
        assert!(message.contains(ended), "{message}");
        assert!(message.contains("printed:\nno luck"), "{message}");

        let interrupted = CancellationToken::new();
        interrupted.cancel();
        let failure = start_script("exec sleep 600", &interrupted).await;
        assert_eq!(failure, Failure::Interrupted { lost: Vec::new() });

        // An engine that cannot be started again is not forgotten.
        let folder = tempfile::tempdir().unwrap();
        let mut settings = scripted(folder.path(), "exit 3");
        settings.engines = 0;
        let going = CancellationToken::new();
        let (_, mut cluster) = OwnCluster::start(settings, &going).await.unwrap();
        let revived = cluster.revive(&[EngineId(1)], &going).await;
        assert!(revived.is_err(), "{revived:?}");
        assert_eq!(cluster.restartable(), [EngineId(1)]);
        cluster.stop().await;
    }
}
