//! `phalanx cluster`: clusters that outlive a notebook.

use crate::parallel::cluster::{ClusterRecord, LocalCluster, Registry, began, cores};
use crate::report::report;
use crate::report::table::table;
use crate::run::Programs;
use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use phalanx_client::Client;
use phalanx_controller::ControllerConfig;
use phalanx_evaluator::Backend;
use phalanx_protocol::failure::Failure;
use phalanx_transport::ClientConnectionFile;
use rustix::process::{Pid, Signal, kill_process, setsid};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Time a cluster that is stopped may take.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Time engines of a running cluster may take to answer.
const ENGINES_LIMIT: Duration = Duration::from_secs(10);

/// Time between two looks at whether a process has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Debug, Subcommand)]
pub(super) enum ClusterCommand {
    /// Start a controller and engines on this machine; they run until stopped.
    Start(StartArgs),
    /// Stop a cluster.
    Stop {
        /// The cluster's name; not needed if there is only one.
        id: Option<String>,
        /// Stop all there are.
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
    /// List the clusters that run.
    List {
        /// As what.
        #[arg(long, short, default_value = "text")]
        output: OutputForm,
    },
    /// Show the engines of a cluster.
    Status {
        /// The cluster's name; not needed if there is only one.
        id: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct StartArgs {
    /// Number of engines; one a core unless given.
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    n: Option<u16>,
    /// The cluster's name: letters, digits, `-` and `_`.
    #[arg(long, value_parser = cluster_id)]
    cluster_id: Option<String>,
    /// Return once the engines are there, and let the cluster run.
    #[arg(long)]
    daemonize: bool,
    /// This is the process that goes on.
    #[arg(long, hide = true)]
    detached: bool,
    /// Engines that run the twin for tests.
    #[cfg(feature = "echo")]
    #[arg(long, hide = true)]
    echo: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum OutputForm {
    Text,
    Json,
}

fn cluster_id(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !text.is_empty() && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err("letters, digits, `-` and `_` make a cluster's name".to_owned())
}

/// Carries out the command. `backend` selects the engines' backend, given whether that is the twin.
pub(super) fn run(
    command: ClusterCommand,
    backend: impl FnOnce(bool) -> Option<Backend>,
) -> anyhow::Result<()> {
    let registry = Registry::of_user()
        .context("no folder for data: neither $XDG_DATA_HOME nor $HOME is set")?;
    match command {
        ClusterCommand::Start(args) => {
            #[cfg(feature = "echo")]
            let echo = args.echo;
            #[cfg(not(feature = "echo"))]
            let echo = false;
            start(&registry, args, backend(echo))
        }
        ClusterCommand::Stop { id, all } => stop(&registry, id, all),
        ClusterCommand::List { output } => list(&registry, output),
        ClusterCommand::Status { id } => status(&one(&registry, id)?),
    }
}

fn start(registry: &Registry, args: StartArgs, backend: Option<Backend>) -> anyhow::Result<()> {
    let cluster_id = args.cluster_id.clone().unwrap_or_else(|| {
        let id = uuid::Uuid::new_v4().simple().to_string();
        id[..8].to_owned()
    });
    let running = registry.list();
    if running.iter().any(|record| record.cluster_id == cluster_id) {
        bail!(
            "a cluster {cluster_id} is running already; `phalanx cluster stop {cluster_id}` ends it"
        );
    }
    if args.daemonize {
        return detach(registry, &args, &cluster_id);
    }
    if args.detached {
        setsid().context("the cluster cannot leave this terminal")?;
    }
    super::log();
    // Engines need no evaluator; which twin they are is all that matters.
    let backend = backend.context("built without evcxr; only the twin for tests is here")?;
    let programs =
        Programs::current(backend).context("the system does not say which program this is")?;
    let engines = args.n.map_or_else(cores, usize::from);
    super::serving()?.block_on(serve(registry, &programs, cluster_id, engines))
}

/// Runs a cluster until it is stopped.
async fn serve(
    registry: &Registry,
    programs: &Programs,
    cluster_id: String,
    engines: usize,
) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let folder = registry
        .folder(&cluster_id)
        .context("no folder for the cluster's files")?;
    let config = ControllerConfig {
        folder: Some(folder),
        ..ControllerConfig::default()
    };
    let stopped = CancellationToken::new();
    let started = LocalCluster::start(programs, config, engines, &stopped);
    tokio::pin!(started);
    let started = loop {
        tokio::select! {
            started = &mut started => break started,
            _ = interrupt.recv() => stopped.cancel(),
            _ = terminate.recv() => stopped.cancel(),
        }
    };
    let (started, cluster) = match started {
        Ok(started) => started,
        Err(failure) => {
            registry.remove(&cluster_id);
            bail!("{}", in_words(failure));
        }
    };
    let pid = std::process::id();
    let record = ClusterRecord {
        cluster_id: cluster_id.clone(),
        pid,
        began: began(pid).unwrap_or_default(),
        engines,
        launcher: "local".to_owned(),
        client_file: cluster.client_path().to_owned(),
    };
    let told = registry.add(&record);
    if told.is_ok() {
        println!(
            "cluster {cluster_id}: {engines} engines in {:.2} s; `%cluster connect {cluster_id}` in a notebook, or {}",
            started.took.as_secs_f64(),
            record.client_file.display()
        );
        tokio::select! {
            () = cluster.ended() => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
    cluster.end().await;
    registry.remove(&cluster_id);
    told.context("the cluster's file cannot be written")
}

/// Starts the process that goes on, and waits until its engines are there.
fn detach(registry: &Registry, args: &StartArgs, cluster_id: &str) -> anyhow::Result<()> {
    let folder = registry
        .folder(cluster_id)
        .context("no folder for the cluster's files")?;
    let log = folder.join("log");
    // Read by its handle: a cluster that does not start takes its folder along.
    let mut written = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&log)
        .context("no file for the cluster's log")?;
    let mut process = Process::new(std::env::current_exe()?);
    process
        .args(["cluster", "start", "--detached", "--cluster-id", cluster_id])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(written.try_clone()?);
    if let Some(n) = args.n {
        process.args(["-n", &n.to_string()]);
    }
    #[cfg(feature = "echo")]
    if args.echo {
        process.arg("--echo");
    }
    let mut child = process.spawn().context("the cluster cannot be started")?;
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut said)?;
    }
    if said.is_empty() {
        let status = child.wait()?;
        let mut words = String::new();
        written.rewind()?;
        written.read_to_string(&mut words)?;
        registry.remove(cluster_id);
        bail!(
            "the cluster did not start ({status}):\n{}",
            words.trim_end()
        );
    }
    print!("{said}");
    Ok(())
}

fn stop(registry: &Registry, id: Option<String>, all: bool) -> anyhow::Result<()> {
    let records = if all {
        registry.list()
    } else {
        vec![one(registry, id)?]
    };
    for record in &records {
        let pid = i32::try_from(record.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // One that has just ended needs no telling.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
    let began = Instant::now();
    for record in &records {
        while record.runs() {
            if began.elapsed() > STOP_LIMIT {
                bail!(
                    "cluster {} (process {}) does not stop; `kill -9 {1}` ends it",
                    record.cluster_id,
                    record.pid
                );
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        println!("stopped cluster {}", record.cluster_id);
    }
    Ok(())
}

fn list(registry: &Registry, output: OutputForm) -> anyhow::Result<()> {
    let records = registry.list();
    match output {
        OutputForm::Json => println!("{}", serde_json::to_string_pretty(&records)?),
        OutputForm::Text => {
            let rows: Vec<Vec<String>> = records
                .iter()
                .map(|record| {
                    vec![
                        record.cluster_id.clone(),
                        record.pid.to_string(),
                        record.engines.to_string(),
                        record.launcher.clone(),
                        record.client_file.display().to_string(),
                    ]
                })
                .collect();
            let title = match rows.len() {
                0 => "no cluster is running; `phalanx cluster start -n 4 --daemonize` starts one"
                    .to_owned(),
                1 => "1 cluster".to_owned(),
                clusters => format!("{clusters} clusters"),
            };
            let headings = ["cluster id", "pid", "engines", "launcher", "file"];
            println!(
                "{}",
                table(&title, &headings, &rows).text().unwrap_or_default()
            );
        }
    }
    Ok(())
}

fn status(record: &ClusterRecord) -> anyhow::Result<()> {
    super::serving()?.block_on(async {
        let file = ClientConnectionFile::read(&record.client_file)?;
        let client = Client::connect(&file)
            .await
            .context("the cluster's controller does not answer")?;
        // One that has died since is not heard, and missing in the table.
        let _ = client
            .wait_for_engines(client.announced(), ENGINES_LIMIT)
            .await;
        let rows: Vec<Vec<String>> = client
            .engines()
            .iter()
            .map(|engine| match &engine.handshake {
                Some(handshake) => vec![
                    engine.id.to_string(),
                    handshake.host.clone(),
                    handshake.version.clone(),
                ],
                None => vec![
                    engine.id.to_string(),
                    String::new(),
                    "not a Rust engine".to_owned(),
                ],
            })
            .collect();
        let title = format!(
            "cluster {}: {} of {} engines",
            record.cluster_id,
            rows.len(),
            record.engines
        );
        let headings = ["engine", "host", "version"];
        println!(
            "{}",
            table(&title, &headings, &rows).text().unwrap_or_default()
        );
        Ok(())
    })
}

/// The cluster of that id, or the only one there is.
fn one(registry: &Registry, id: Option<String>) -> anyhow::Result<ClusterRecord> {
    let records = registry.list();
    let ids: Vec<&str> = records
        .iter()
        .map(|record| record.cluster_id.as_str())
        .collect();
    let ids = ids.join(", ");
    if let Some(id) = id {
        let found = records.iter().find(|record| record.cluster_id == id);
        let running = if ids.is_empty() { "none" } else { &ids };
        return found
            .cloned()
            .with_context(|| format!("no cluster {id} is running; those that are: {running}"));
    }
    match records.as_slice() {
        [] => bail!("no cluster is running; `phalanx cluster start -n 4 --daemonize` starts one"),
        [one] => Ok(one.clone()),
        _ => bail!("several clusters are running, say which: {ids}"),
    }
}

fn in_words(failure: Failure) -> String {
    let told = report(&failure.into());
    told.evalue
}
