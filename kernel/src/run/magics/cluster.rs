//! The execution of `%cluster` and `%engines`.

use super::sync;
use crate::channel::OutputSink;
use crate::context::CellContext;
use crate::magic::ClusterCommand;
use crate::parallel::Parallel;
use crate::parallel::cluster::rows::{self, engines_table};
use crate::parallel::cluster::{StartedCluster, StoppedCluster};
use crate::report::{Fault, FaultSource};
use crate::run::error::CellError;
use phalanx_client::Client;
use phalanx_launcher::StartRequest;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::StateId;
use phalanx_protocol::output::StreamName;
use std::time::Instant;

/// The text about new engines beside others that have run cells.
const MISSING: &str = " The new engines lack the definitions and variables of the others: `%cluster sync` runs the definitions there; for variables, run their cells again.";

pub(super) async fn command(
    parallel: &Parallel,
    context: &CellContext,
    command: ClusterCommand,
    location: FaultSource,
    start: usize,
) -> Result<(), Fault> {
    let cluster = parallel.cluster();
    let interrupted = context.interrupted().clone();
    let began = Instant::now();
    let report = match command {
        ClusterCommand::Start(request) => {
            return Ok(self::start(parallel, context, *request, "Started").await?);
        }
        ClusterCommand::Status => {
            let status = cluster.status().await;
            context.sink().display(status).await;
            return Ok(());
        }
        ClusterCommand::Watch => return Ok(cluster.watch(context.sink().clone()).await?),
        ClusterCommand::Sync { targets } => {
            return sync::sync(parallel, context, targets, location, start).await;
        }
        ClusterCommand::Stop => {
            parallel.fanout().late.end();
            match cluster.stop().await? {
                StoppedCluster::Ended { engines } => {
                    format!("Stopped {}.\n", engine_count(engines))
                }
                StoppedCluster::Left { cluster } => {
                    format!("Disconnected from {cluster}, which keeps running.\n")
                }
            }
        }
        ClusterCommand::Scale { engines } => {
            let (before, now) = cluster.scale(engines, interrupted).await?;
            format!(
                "Scaled from {} to {now} in {:.2} s.{}\n",
                engine_count(before),
                began.elapsed().as_secs_f64(),
                if now > before {
                    missing_definitions_text(parallel).await
                } else {
                    ""
                }
            )
        }
        ClusterCommand::Restart { targets } => {
            let targets = targets.map(|(targets, _)| targets);
            let engines = cluster.restart(targets, interrupted).await?;
            format!(
                "Restarted {} in {:.2} s.\n",
                engine_count(engines),
                began.elapsed().as_secs_f64()
            )
        }
        ClusterCommand::Connect { to } => {
            parallel.fanout().compiler.warm();
            let (name, engines) = cluster.connect(to, interrupted).await?;
            format!("Connected to {name}: {}.\n", engine_count(engines))
        }
    };
    context.sink().text(StreamName::Stdout, report).await;
    Ok(())
}

async fn start(
    parallel: &Parallel,
    context: &CellContext,
    request: StartRequest,
    verb: &str,
) -> Result<(), Failure> {
    // Starts the compiler for engines, since its evaluator takes a while and is likely to be
    // needed.
    parallel.fanout().compiler.warm();
    let wanted = request.engines;
    let started = parallel
        .cluster()
        .start(request, context.interrupted().clone())
        .await?;
    let text = match started.before {
        None => format!(
            "{verb} {} in {:.2} s{}.
",
            engine_count(started.engines),
            started.took.as_secs_f64(),
            started.openness()
        ),
        Some(before) => was_running(
            before,
            wanted,
            &started,
            missing_definitions_text(parallel).await,
        ),
    };
    context.sink().text(StreamName::Stdout, text).await;
    Ok(())
}

/// Lists the definitions of the other engines that new engines lack; empty if those have run
/// nothing.
async fn missing_definitions_text(parallel: &Parallel) -> &'static str {
    let Some(client) = parallel.cluster().client().await else {
        return "";
    };
    let states = &parallel.fanout().states;
    let engines = client.rust_engines();
    let mut engines = engines.iter();
    match engines.any(|engine| states.of(engine) != StateId::empty()) {
        true => MISSING,
        false => "",
    }
}

/// Describes a cluster that was already running before `%cluster start`.
fn was_running(
    before: usize,
    wanted: Option<usize>,
    started: &StartedCluster,
    missing: &str,
) -> String {
    let running = format!("A cluster of {} was running", engine_count(before));
    let new = started.engines.saturating_sub(before);
    if new > 0 {
        return format!(
            "{running}; started {new} more in {:.2} s.{missing}\n",
            started.took.as_secs_f64()
        );
    }
    match wanted {
        Some(wanted) if wanted < before => {
            format!("{running} already; `%cluster scale {wanted}` ends the surplus engines.\n")
        }
        _ => format!("{running} already.\n"),
    }
}

/// Returns the client of the running cluster; if there is none, starts a local one and prints a
/// message.
pub(super) async fn client(parallel: &Parallel, context: &CellContext) -> Result<Client, Failure> {
    if let Some(client) = parallel.cluster().client().await {
        return Ok(client);
    }
    parallel.cluster().check_stopped_elsewhere().await?;
    let verb = "No cluster was running, so one was started on this machine:";
    start(parallel, context, StartRequest::default(), verb).await?;
    parallel
        .cluster()
        .client()
        .await
        .ok_or_else(|| CellError::ClusterGone.into())
}

/// Shows the engines: their machines, their tasks and their state.
pub(super) async fn engines(parallel: &Parallel, sink: &OutputSink) {
    let Some(client) = parallel.cluster().client().await else {
        let status = parallel.cluster().status().await;
        sink.display(status).await;
        return;
    };
    let engines = client.engines();
    let known = rows::ask(&client).await;
    let mut rows = rows::rows(&engines, known.as_ref());
    let pids = parallel.cluster().pids().await;
    let busy = parallel.results().pending();
    let mut variables = Vec::with_capacity(rows.len());
    for row in &mut rows {
        let pid = pids.iter().find(|(id, _)| *id == row.id);
        row.pid = pid.map(|(_, pid)| *pid);
        if let Some(status) = &mut row.status {
            // A request that has not been sent yet counts too.
            let own = busy.get(&row.id).copied().unwrap_or(0);
            status.tasks = status.tasks.max(own);
        }
        let engine = engines.iter().find(|engine| engine.id == row.id);
        let names = match engine {
            Some(engine) => {
                let state = parallel.fanout().states.of(engine);
                parallel.fanout().compiler.variables(state).await
            }
            None => Vec::new(),
        };
        variables.push(names.join(", "));
    }
    let refused = known.map_or(0, |known| known.refused);
    let title = engine_count(engines.len()) + &refused_in_words(refused);
    let table = engines_table(&title, &rows, Some(("variables", &variables)));
    sink.display(table).await;
}

/// Formats a number of load-balanced tasks that failed before an engine ran them; nothing if there
/// are none.
fn refused_in_words(refused: usize) -> String {
    match refused {
        0 => String::new(),
        1 => "; 1 task refused, as no engine could run it".to_owned(),
        tasks => format!("; {tasks} tasks refused, as no engine could run them"),
    }
}

/// Formats a number of engines.
pub(super) fn engine_count(engines: usize) -> String {
    match engines {
        1 => "1 engine".to_owned(),
        engines => format!("{engines} engines"),
    }
}
