//! A controller in this process and engines as processes beside it.

use super::Started;
use super::engines::EngineProcess;
use super::status::count as engines_in_words;
use crate::run::Programs;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use phalanx_client::Client;
use phalanx_controller::{Controller, ControllerConfig};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::EngineId;
use phalanx_sys::limits;
use phalanx_transport::socket::ran_out_of_files;
use std::fmt::Display;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Time engines may take to register: generous, for machines that are busy.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Time engines may take to leave the controller.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A cluster of this process.
#[derive(Debug)]
pub struct LocalCluster {
    controller: Controller,
    client: Client,
    engines: Vec<EngineProcess>,
}

impl LocalCluster {
    /// Starts a controller and engines, and waits until they are registered.
    ///
    /// # Errors
    /// When one does not come up, or `interrupted` is cancelled; then nothing is left.
    pub async fn start(
        programs: &Programs,
        config: ControllerConfig,
        count: usize,
        interrupted: &CancellationToken,
    ) -> Result<(Started, Self), Failure> {
        let began = Instant::now();
        let controller = Controller::start(config)
            .await
            .map_err(|error| not_up("the controller could not be started", &error))?;
        let file = controller.engine_path().to_owned();
        let mut processes = launch(programs, &file, 0..count)?;
        let client = match Client::connect(controller.client_file()).await {
            Ok(client) => client,
            Err(error) => {
                kill(processes).await;
                controller.shutdown().await;
                return Err(not_up("the controller does not answer", &error));
            }
        };
        if let Err(failure) = joined(&client, &mut processes, count, interrupted).await {
            kill(processes).await;
            controller.shutdown().await;
            return Err(failure);
        }
        let started = Started {
            engines: count,
            took: began.elapsed(),
        };
        let cluster = Self {
            controller,
            client,
            engines: processes,
        };
        Ok((started, cluster))
    }

    /// The client that is connected to it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The processes of its engines, also of those that have ended.
    pub(super) fn engines(&mut self) -> &mut [EngineProcess] {
        &mut self.engines
    }

    /// The connection file for other clients.
    pub fn client_path(&self) -> &Path {
        self.controller.client_path()
    }

    /// Starts or ends engines until there are `wanted`; how many there were.
    ///
    /// # Errors
    /// When one does not come up, or `interrupted` is cancelled; those that were there stay.
    pub async fn scale(
        &mut self,
        programs: &Programs,
        wanted: usize,
        interrupted: &CancellationToken,
    ) -> Result<usize, Failure> {
        let live = self.ids();
        if wanted < live.len() {
            self.end_engines(&live[wanted..]).await;
        } else {
            let free = (0_u32..).map(EngineId).filter(|id| !live.contains(id));
            let new: Vec<EngineId> = free.take(wanted - live.len()).collect();
            self.add(programs, &new, interrupted).await?;
        }
        Ok(live.len())
    }

    /// Begins anew with empty engines under the same ids; without ids with all there ever were.
    ///
    /// # Errors
    /// As [`scale`](Self::scale).
    pub async fn restart(
        &mut self,
        programs: &Programs,
        ids: Option<Vec<EngineId>>,
        interrupted: &CancellationToken,
    ) -> Result<usize, Failure> {
        let ids = ids.unwrap_or_else(|| {
            let mut all = self.ids();
            all.extend(self.engines.iter().map(EngineProcess::id));
            all.sort_unstable();
            all.dedup();
            all
        });
        self.end_engines(&ids).await;
        self.add(programs, &ids, interrupted).await?;
        Ok(ids.len())
    }

    /// Ends it in order; how many engines it had.
    pub async fn stop(self) -> usize {
        let ids = self.ids();
        if let Err(error) = self.client.shutdown_engines(&ids, STOP_LIMIT).await {
            tracing::warn!(%error, "engines did not answer when they were asked to end");
        }
        for engine in self.engines {
            engine.end().await;
        }
        self.controller.shutdown().await;
        ids.len()
    }

    /// Ends it with this process: engines are asked by a signal, not through the controller.
    pub async fn end(self) {
        self.engines.iter().for_each(EngineProcess::ask_to_end);
        for engine in self.engines {
            engine.end().await;
        }
        self.controller.shutdown().await;
    }

    /// Returns when the controller has ended: a client has asked for it. Cancel-safe.
    pub async fn ended(&self) {
        self.controller.ended().await;
    }

    fn ids(&self) -> Vec<EngineId> {
        let engines = self.client.engines();
        engines.iter().map(|engine| engine.id).collect()
    }

    /// Ends engines and forgets their processes.
    async fn end_engines(&mut self, ids: &[EngineId]) {
        let live: Vec<EngineId> = self
            .ids()
            .into_iter()
            .filter(|id| ids.contains(id))
            .collect();
        if let Err(error) = self.client.shutdown_engines(&live, STOP_LIMIT).await {
            tracing::warn!(%error, "engines did not answer when they were asked to end");
        }
        let engines = std::mem::take(&mut self.engines);
        let (ending, staying) = engines
            .into_iter()
            .partition(|engine| ids.contains(&engine.id()));
        self.engines = staying;
        let ending: Vec<EngineProcess> = ending;
        for engine in ending {
            engine.end().await;
        }
    }

    async fn add(
        &mut self,
        programs: &Programs,
        ids: &[EngineId],
        interrupted: &CancellationToken,
    ) -> Result<(), Failure> {
        let numbers = ids.iter().filter_map(|id| usize::try_from(id.0).ok());
        let mut new = launch(programs, self.controller.engine_path(), numbers)?;
        let wanted = self.ids().len() + new.len();
        let joined = joined(&self.client, &mut new, wanted, interrupted).await;
        if joined.is_err() {
            kill(new).await;
            return joined;
        }
        // The process of an engine that ended by itself and has a successor is of no interest.
        self.engines.retain(|engine| !ids.contains(&engine.id()));
        self.engines.extend(new);
        Ok(())
    }
}

fn launch(
    programs: &Programs,
    file: &Path,
    numbers: impl Iterator<Item = usize>,
) -> Result<Vec<EngineProcess>, Failure> {
    numbers
        .map(|number| EngineProcess::start(programs, file, number))
        .collect::<Result<_, _>>()
        .map_err(|error| not_up("an engine could not be started", &error))
}

/// Waits until so many engines are there.
async fn joined(
    client: &Client,
    new: &mut [EngineProcess],
    wanted: usize,
    interrupted: &CancellationToken,
) -> Result<(), Failure> {
    let joined = tokio::select! {
        joined = client.wait_for_engines(wanted, START_LIMIT) => {
            joined.map(drop).map_err(|error| not_up("the engines did not register", &error))
        }
        failure = first_to_end(new) => Err(failure),
        () = interrupted.cancelled() => Err(Failure::Interrupted { lost: Vec::new() }),
    };
    joined.map_err(|failure| with_words(failure, new))
}

/// The failure of the first engine that ends before it is of use.
async fn first_to_end(processes: &mut [EngineProcess]) -> Failure {
    let mut ends: FuturesUnordered<_> = processes
        .iter_mut()
        .map(|process| async {
            let status = process.ended().await;
            (process.number, status)
        })
        .collect();
    match ends.next().await {
        Some((number, status)) => {
            let status = status.map_or_else(String::new, |status| format!(" ({status})"));
            Failure::Environment {
                message: format!("engine {number} ended before it had registered{status}"),
                hint: None,
            }
        }
        None => std::future::pending().await,
    }
}

/// A failure with the engines' output, which has the reason.
fn with_words(failure: Failure, processes: &[EngineProcess]) -> Failure {
    let Failure::Environment { mut message, hint } = failure else {
        return failure;
    };
    for process in processes {
        let words = process.last_words();
        if !words.is_empty() {
            message.push_str(&format!("\nengine {} printed:\n{words}", process.number));
        }
    }
    Failure::Environment { message, hint }
}

fn not_up(what: &str, error: &dyn Display) -> Failure {
    let hint = match limits::open_files() {
        Some(most) if ran_out_of_files() => format!(
            "this process may have {most} open files, which is too few for so many engines: raise the limit where Jupyter is started (`ulimit -Hn`)"
        ),
        _ => "`phalanx doctor` tells what is wrong on this machine".to_owned(),
    };
    Failure::Environment {
        message: format!("{what}: {error}"),
        hint: Some(hint),
    }
}

async fn kill(engines: Vec<EngineProcess>) {
    for engine in engines {
        engine.kill().await;
    }
}

/// That a cluster of so many engines runs already.
pub(super) fn already(engines: usize) -> Failure {
    Failure::Usage {
        message: format!(
            "a cluster of {} is running already",
            engines_in_words(engines)
        ),
        hint: Some("`%cluster scale N` changes it, `%cluster stop` ends it".to_owned()),
    }
}

#[cfg(all(test, feature = "echo"))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// Starts two engines that are a shell script.
    async fn start_script(script: &str, interrupted: &CancellationToken) -> Failure {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("phalanx");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let programs = Programs::of(program);
        LocalCluster::start(&programs, ControllerConfig::default(), 2, interrupted)
            .await
            .map(drop)
            .unwrap_err()
    }

    /// One test: a program that is being written cannot be started while another thread forks.
    #[tokio::test]
    async fn engines_that_do_not_come_up_are_told_of_and_not_waited_for() {
        let failure = start_script("echo no luck >&2; exit 3", &CancellationToken::new()).await;
        let Failure::Environment { message, .. } = failure else {
            panic!("{failure:?}")
        };
        let ended = "ended before it had registered (exit status: 3)";
        assert!(message.contains(ended), "{message}");
        assert!(message.contains("printed:\nno luck"), "{message}");

        let interrupted = CancellationToken::new();
        interrupted.cancel();
        let failure = start_script("exec sleep 600", &interrupted).await;
        assert_eq!(failure, Failure::Interrupted { lost: Vec::new() });
    }
}
