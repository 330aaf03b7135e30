//! The owner of the cluster: starts it, stops it, and ends it with the kernel.

use super::engines::EngineProcess;
use super::{Order, Started, status};
use crate::run::Programs;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use phalanx_client::Client;
use phalanx_controller::{Controller, ControllerConfig};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::EngineId;
use std::fmt::Display;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long engines may take to register: generous, for machines that are busy.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long engines may take to leave the controller.
const STOP_LIMIT: Duration = Duration::from_secs(5);

struct Running {
    controller: Controller,
    client: Client,
    engines: Vec<EngineProcess>,
}

pub(super) async fn run(programs: Programs, mut orders: mpsc::UnboundedReceiver<Order>) {
    let mut running: Option<Running> = None;
    while let Some(order) = orders.recv().await {
        // Who asked may have stopped waiting.
        match order {
            Order::Start {
                engines,
                interrupted,
                reply,
            } => {
                let result = match &running {
                    Some(running) => Err(already(running)),
                    None => start(&programs, engines, &interrupted).await,
                };
                let _ = reply.send(result.map(|(started, cluster)| {
                    running = Some(cluster);
                    started
                }));
            }
            Order::Stop { reply } => {
                let result = match running.take() {
                    Some(running) => Ok(stop(running).await),
                    None => Err(Failure::Usage {
                        message: "no cluster is running".to_owned(),
                        hint: Some("`%cluster start -n 4` starts one".to_owned()),
                    }),
                };
                let _ = reply.send(result);
            }
            Order::Status { reply } => {
                let bundle = match &mut running {
                    Some(running) => {
                        let file = running.controller.client_path().display().to_string();
                        status::status(&running.client, &mut running.engines, &file)
                    }
                    None => status::none(),
                };
                let _ = reply.send(bundle);
            }
            Order::Client { reply } => {
                let client = running.as_ref().map(|running| running.client.clone());
                let _ = reply.send(client);
            }
        }
    }
    if let Some(running) = running {
        end(running).await;
    }
}

fn already(running: &Running) -> Failure {
    let engines = status::count(running.client.engines().len());
    Failure::Usage {
        message: format!("a cluster of {engines} is running already"),
        hint: Some("`%cluster stop` ends it".to_owned()),
    }
}

async fn start(
    programs: &Programs,
    engines: Option<usize>,
    interrupted: &CancellationToken,
) -> Result<(Started, Running), Failure> {
    let began = Instant::now();
    let count = engines.unwrap_or_else(cores);
    let controller = Controller::start(ControllerConfig::default())
        .await
        .map_err(|error| not_up("the controller could not be started", &error))?;
    let file = controller.engine_path().to_owned();
    let mut processes = Vec::with_capacity(count);
    for number in 0..count {
        let engine = EngineProcess::start(programs, &file, number)
            .map_err(|error| not_up("an engine could not be started", &error))?;
        processes.push(engine);
    }
    let client = match Client::connect(controller.client_file()).await {
        Ok(client) => client,
        Err(error) => {
            kill(processes).await;
            controller.shutdown().await;
            return Err(not_up("the controller does not answer", &error));
        }
    };
    let joined = tokio::select! {
        joined = client.wait_for_engines(count, START_LIMIT) => {
            joined.map(drop).map_err(|error| not_up("the engines did not register", &error))
        }
        failure = first_to_end(&mut processes) => Err(failure),
        () = interrupted.cancelled() => Err(Failure::Interrupted { lost: Vec::new() }),
    };
    if let Err(failure) = joined {
        let failure = with_words(failure, &processes);
        kill(processes).await;
        controller.shutdown().await;
        return Err(failure);
    }
    let started = Started {
        engines: count,
        took: began.elapsed(),
    };
    let running = Running {
        controller,
        client,
        engines: processes,
    };
    Ok((started, running))
}

/// One engine a core.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
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

/// A failure with what the engines printed, which is where the reason stands.
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
    Failure::Environment {
        message: format!("{what}: {error}"),
        hint: Some("`phalanx doctor` tells what is wrong on this machine".to_owned()),
    }
}

/// Ends a cluster in order; how many engines it had.
async fn stop(running: Running) -> usize {
    let ids: Vec<EngineId> = running
        .client
        .engines()
        .iter()
        .map(|engine| engine.id)
        .collect();
    if let Err(error) = running.client.shutdown_engines(&ids, STOP_LIMIT).await {
        tracing::warn!(%error, "engines did not answer when they were asked to end");
    }
    for engine in running.engines {
        engine.end().await;
    }
    running.controller.shutdown().await;
    ids.len()
}

/// Ends a cluster with the kernel: no engine is told through the controller, each by a signal.
async fn end(running: Running) {
    running.engines.iter().for_each(EngineProcess::ask_to_end);
    for engine in running.engines {
        engine.end().await;
    }
    running.controller.shutdown().await;
}

async fn kill(engines: Vec<EngineProcess>) {
    for engine in engines {
        engine.kill().await;
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
        start(&programs, Some(2), interrupted)
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
