//! `phalanx cluster`: clusters that outlive a notebook.

mod start;

use crate::parallel::cluster::rows::{self, engines_table};
use crate::parallel::cluster::{
    ClusterRecord, OwnerReply, OwnerRequest, Registry, ask_owner, engine_count,
};
use crate::report::report;
use anyhow::{Context, bail};
use clap::{Subcommand, ValueEnum};
use phalanx_client::Client;
use phalanx_evaluator::Backend;
use phalanx_launcher::LauncherKind;
use phalanx_launcher::manifest::{self, Manifest};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::look::table::table;
use phalanx_protocol::parallel::IdRanges;
use phalanx_transport::ClientConnectionFile;
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

/// Time limit for stopping a cluster.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Time limit for the engines of a running cluster to connect.
const ENGINES_LIMIT: Duration = Duration::from_secs(10);

/// Interval at which the end of a process is polled.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Debug, Subcommand)]
pub(super) enum ClusterSubcommand {
    /// Start a controller on this machine, and engines here or on the machines of a launcher; they
    /// run until stopped.
    Start(Box<start::StartArgs>),
    /// Stop a cluster.
    Stop {
        /// Name of the cluster, or of its IPython profile; may be omitted if only one is running.
        id: Option<String>,
        /// Stop all clusters.
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
    /// Start additional engines in a cluster.
    Engines {
        /// Name of the cluster; may be omitted if only one is running.
        id: Option<String>,
        /// Number of additional engines.
        #[arg(short, long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
        n: u16,
    },
    /// Start or stop engines of a cluster to reach a number of engines.
    Scale {
        /// Name of the cluster; may be omitted if only one is running.
        id: Option<String>,
        /// Number of engines afterwards.
        #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..=1024))]
        n: u16,
    },
    /// Restart engines with empty namespaces under the same ids.
    Restart {
        /// Name of the cluster; may be omitted if only one is running.
        id: Option<String>,
        /// Engines to restart, such as 0-3,7; all by default.
        #[arg(long, value_name = "IDS")]
        engines: Option<IdRanges>,
    },
    /// Print a Kubernetes manifest of a cluster. It contains a key.
    Manifest {
        /// Name of the cluster, and prefix of the names of all objects.
        #[arg(long, default_value = "phalanx")]
        name: manifest::Name,
        /// Number of engines.
        #[arg(short, long, default_value_t = 4)]
        n: u16,
        /// Image with `phalanx` and `phalanx-engine` on its PATH.
        #[arg(long)]
        image: manifest::Image,
        /// Cores requested for each engine.
        #[arg(long, default_value = "1")]
        cpu: manifest::Quantity,
    },
    /// Print the template of a batch system's script, for the setting `template` of a profile.
    Template {
        /// Launcher: slurm, pbs, sge, lsf or htcondor.
        launcher: LauncherKind,
    },
    /// Remove files of clusters that have ended without removing them.
    Clean,
    /// List the running clusters.
    List {
        /// Output format.
        #[arg(long, short, default_value = "text")]
        output: OutputForm,
    },
    /// Show the engines of a cluster.
    Status {
        /// Name of the cluster; may be omitted if only one is running.
        id: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum OutputForm {
    Text,
    Json,
}

/// Runs the subcommand. `backend` returns the engines' backend; its argument is true for echo.
pub(super) fn run(
    command: ClusterSubcommand,
    backend: impl FnOnce(bool) -> Option<Backend>,
) -> anyhow::Result<()> {
    let registry = Registry::of_user()
        .context("no folder for data: neither $XDG_DATA_HOME nor $HOME is set")?;
    match command {
        ClusterSubcommand::Start(args) => start::start(&registry, args, backend),
        ClusterSubcommand::Stop { id, all } => stop(&registry, id, all),
        ClusterSubcommand::Engines { id, n } => {
            let engines = usize::from(n);
            change(&registry, id, OwnerRequest::Add { engines })
        }
        ClusterSubcommand::Scale { id, n } => {
            let engines = usize::from(n);
            change(&registry, id, OwnerRequest::Scale { engines })
        }
        ClusterSubcommand::Restart { id, engines } => {
            let engines = engines.map(|ids| ids.0);
            change(&registry, id, OwnerRequest::Restart { engines })
        }
        ClusterSubcommand::Manifest {
            name,
            n,
            image,
            cpu,
        } => {
            let manifest = Manifest {
                name,
                engines: usize::from(n),
                image,
                cpu,
            };
            print!("{}", manifest.text()?);
            Ok(())
        }
        ClusterSubcommand::Template { launcher } => match launcher {
            LauncherKind::Batch(system) => {
                print!("{}", system.template());
                Ok(())
            }
            launcher => bail!("{launcher} is not a batch system and has no template"),
        },
        ClusterSubcommand::Clean => {
            let left = registry.clean() + phalanx_sys::temporary::remove_abandoned();
            println!("removed {left} folders of processes that are gone");
            Ok(())
        }
        ClusterSubcommand::List { output } => list(&registry, output),
        ClusterSubcommand::Status { id } => status(&one(&registry, id)?),
    }
}

/// Sends a request to the owner of a cluster.
fn change(registry: &Registry, id: Option<String>, request: OwnerRequest) -> anyhow::Result<()> {
    let record = one(registry, id)?;
    let folder = registry.folder(&record.cluster_id);
    let reply = super::serving()?.block_on(ask_owner(&folder, &request));
    match reply.map_err(|failure| anyhow::anyhow!(failure_text(failure)))? {
        OwnerReply::Scaled { before, now } => {
            println!(
                "cluster {}: {before} engines before, {now} now",
                record.cluster_id
            );
        }
        OwnerReply::Restarted { engines } => {
            let engines = engine_count(engines);
            println!("cluster {}: {engines} restarted", record.cluster_id);
        }
    }
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
            // It fails if the process has just ended.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
    let began = Instant::now();
    for record in &records {
        while record.is_running() {
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
        // An engine that has died since does not connect, and is missing from the table.
        let _ = client
            .wait_for_engines(client.announced(), ENGINES_LIMIT)
            .await;
        let known = rows::ask(&client).await;
        let rows = rows::rows(&client.engines(), known.as_ref());
        let title = format!(
            "cluster {}: {} of {} engines",
            record.cluster_id,
            rows.len(),
            record.engines
        );
        let table = engines_table(&title, &rows, None);
        println!("{}", table.text().unwrap_or_default());
        Ok(())
    })
}

/// Returns the cluster with this id or profile, or the only one.
fn one(registry: &Registry, id: Option<String>) -> anyhow::Result<ClusterRecord> {
    let records = registry.list();
    let ids: Vec<&str> = records
        .iter()
        .map(|record| record.cluster_id.as_str())
        .collect();
    let ids = ids.join(", ");
    if let Some(id) = id {
        let found = ClusterRecord::named(&records, &id);
        let running = if ids.is_empty() { "none" } else { &ids };
        return found
            .cloned()
            .with_context(|| format!("no cluster {id} is running; running clusters: {running}"));
    }
    match records.as_slice() {
        [] => bail!("no cluster is running; `phalanx cluster start -n 4 --daemonize` starts one"),
        [one] => Ok(one.clone()),
        _ => bail!("several clusters are running, name one of them: {ids}"),
    }
}

fn failure_text(failure: Failure) -> String {
    report(&failure.into()).evalue
}
