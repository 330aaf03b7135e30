//! `phalanx cluster start`: the process that owns a cluster.

use super::failure_text;
use crate::cli::NOT_BUILT;
use crate::context::Programs;
use crate::parallel::cluster::{
    ClusterEvent, ClusterRecord, ClusterSettings, OwnCluster, OwnerCall, OwnerSocket, Registry,
    Revivals, engine_count, fresh_id, process_start,
};
use anyhow::{Context, bail};
use clap::Args;
use phalanx_controller::cli::{self as controller, Db, Ports};
use phalanx_controller::ipython::{IpythonProfile, ListedEngine, ProfileArgs};
use phalanx_controller::{ControllerConfig, TaskDatabase};
use phalanx_evaluator::Backend;
use phalanx_launcher::ssh::Host;
use phalanx_launcher::{LauncherKind, StartRequest};
use phalanx_sys::machine::host_name;
use rustix::process::setsid;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal as UnixSignal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
pub(in crate::cli) struct StartArgs {
    /// Name of the settings in clusters.toml: `[cluster.NAME]`.
    name: Option<String>,
    /// Number of engines; one per core by default.
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    n: Option<u16>,
    /// Launcher of the engines: local, ssh, mpi, slurm, pbs, sge, lsf or htcondor.
    #[arg(long)]
    launcher: Option<LauncherKind>,
    /// Machines for `ssh`, with the number of engines on each: `node1,me@node2:4`.
    #[arg(long, value_delimiter = ',')]
    hosts: Vec<Host>,
    /// Queue or partition of a batch system.
    #[arg(long)]
    queue: Option<String>,
    /// Address the controller listens on. Anything but loopback is open to the network; mpi and
    /// batch systems require that, and listen on all addresses by default.
    #[arg(long)]
    ip: Option<String>,
    /// Ports the controller listens on, such as 10101-10120; further ports are chosen freely.
    #[arg(long, value_parser = controller::ports, default_value = "")]
    ports: Ports,
    /// Milliseconds between two heartbeats.
    #[arg(long, value_parser = clap::value_parser!(u64).range(10..))]
    ping: Option<u64>,
    /// Storage of task records.
    #[arg(long, value_enum, default_value_t)]
    db: Db,
    #[command(flatten)]
    ipython: ProfileArgs,
    /// Argument for the launcher's program, such as `ssh` or `sbatch`; may be repeated.
    #[arg(long, allow_hyphen_values = true)]
    launcher_arg: Vec<String>,
    /// Name of the cluster: letters, digits, `-` and `_`.
    #[arg(long, value_parser = cluster_id)]
    cluster_id: Option<String>,
    /// Name of the cluster in the list of running ones, if it has no other; set for the background
    /// process.
    #[arg(long, hide = true)]
    listed_as: Option<String>,
    /// Return once the engines have connected; the cluster continues to run.
    #[arg(long)]
    daemonize: bool,
    /// Set for the background process.
    #[arg(long, hide = true)]
    detached: bool,
    /// Use the echo backend in engines.
    #[cfg(feature = "echo")]
    #[arg(long, hide = true)]
    echo: bool,
}

fn cluster_id(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !text.is_empty() && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err("a cluster's name consists of letters, digits, `-` and `_`".to_owned())
}

impl StartArgs {
    fn is_echo(&self) -> bool {
        #[cfg(feature = "echo")]
        let echo = self.echo;
        #[cfg(not(feature = "echo"))]
        let echo = false;
        echo
    }

    /// Applies the controller's options.
    fn set(
        &self,
        controller: &mut ControllerConfig,
        profile: Option<&IpythonProfile>,
        folder: &Path,
    ) {
        if let Some(ping) = self.ping {
            controller.heartbeat = Duration::from_millis(ping);
        }
        controller.ports.clone_from(&self.ports.0);
        if let Some(profile) = profile {
            controller.folder = Some(profile.security());
            controller.cluster_id = self.cluster_id.clone().unwrap_or_default();
        }
        controller.folder.get_or_insert_with(|| folder.to_owned());
        controller.database = match self.db {
            Db::Memory => TaskDatabase::default(),
            #[cfg(feature = "sqlite")]
            Db::Sqlite => TaskDatabase::Sqlite(match profile {
                Some(profile) => profile.database(),
                None => folder.join("tasks.db"),
            }),
            Db::None => TaskDatabase::Memory { bytes: 0 },
        };
    }

    fn request(&self) -> StartRequest {
        StartRequest {
            profile: self.name.clone(),
            engines: self.n.map(usize::from),
            launcher: self.launcher,
            hosts: self.hosts.clone(),
            args: self.launcher_arg.clone(),
            ip: self.ip.clone(),
            queue: self.queue.clone(),
        }
    }
}

pub(super) fn start(
    registry: &Registry,
    args: Box<StartArgs>,
    backend: impl FnOnce(bool) -> Option<Backend>,
) -> anyhow::Result<()> {
    let given = args.cluster_id.clone().or_else(|| args.listed_as.clone());
    let cluster_id = given.unwrap_or_else(fresh_id);
    let running = registry.list();
    if let (Some(profile), None) = (&args.ipython.profile, &args.cluster_id)
        && let Some(other) = running
            .iter()
            .find(|other| other.has_default_files(profile))
    {
        let id = &other.cluster_id;
        bail!(
            "the cluster {id} of the profile {profile} is running already; `phalanx cluster stop {id}` ends it, \
             `--cluster-id NAME` starts another one beside it"
        );
    }
    if running.iter().any(|record| record.cluster_id == cluster_id) {
        bail!(
            "a cluster {cluster_id} is running already; `phalanx cluster stop {cluster_id}` ends it"
        );
    }
    let default_files = args
        .ipython
        .profile
        .as_deref()
        .filter(|_| args.cluster_id.is_none());
    let has_same_files = |other: &ClusterRecord| {
        other.cluster_id == cluster_id
            || default_files.is_some_and(|profile| other.has_default_files(profile))
    };
    if let Some(other) = registry.elsewhere().into_iter().find(has_same_files) {
        let id = &other.cluster_id;
        bail!(
            "the cluster {id} of the machine {} has the same files: `phalanx cluster stop {id}` there ends it; \
             `--cluster-id NAME` starts one with other files; if that machine is gone, remove {}",
            other.host.as_deref().unwrap_or_default(),
            registry.path(id).display()
        );
    }
    // Engines need no evaluator, only the kind of backend.
    let backend = backend(args.is_echo()).context(NOT_BUILT)?;
    let programs = Programs::current(backend).context("the path of this program is unknown")?;
    let settings = ClusterSettings::new(args.request(), Some(cluster_id.clone()), &programs);
    let settings = settings.map_err(|error| anyhow::anyhow!(failure_text(error.into())))?;
    if args.daemonize && !args.detached {
        // Created to check the settings; the background process creates its own.
        drop(settings);
        return detach(registry, &args, &cluster_id);
    }
    if args.detached {
        setsid().context("the cluster cannot leave this terminal")?;
    }
    phalanx_transport::log::to_stderr(None);
    crate::cli::serving()?.block_on(serve(registry, settings, &args))
}

/// The signals that end a cluster.
struct Signals {
    interrupt: UnixSignal,
    terminate: UnixSignal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal. Cancel safe.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Waits for cancellable work, and cancels it at a signal; returns true if there was one.
    async fn cancelling<T>(
        &mut self,
        cancel: &CancellationToken,
        work: impl Future<Output = T>,
    ) -> (T, bool) {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return (done, cancel.is_cancelled()),
                () = self.next() => cancel.cancel(),
            }
        }
    }
}

/// A cluster listed in the registry.
struct ListedCluster<'a> {
    registry: &'a Registry,
    record: ClusterRecord,
    /// The profile folder that ipyparallel's own tools read, and the cluster's name in it.
    profile: Option<(IpythonProfile, String)>,
}

impl ListedCluster<'_> {
    fn update(&mut self, cluster: &mut OwnCluster) -> io::Result<()> {
        self.record.engines = cluster.client().engines().len();
        self.registry.add(&self.record)?;
        let Some((profile, cluster_id)) = &self.profile else {
            return Ok(());
        };
        let engines = cluster.pids().into_iter();
        let engines = engines.map(|(id, pid)| ListedEngine { id: id.0, pid });
        let engines: Vec<ListedEngine> = engines.collect();
        profile.write_cluster_file(cluster_id, self.record.pid, &engines)
    }

    fn remove(&self) {
        self.registry.remove(&self.record.cluster_id);
        if let Some((profile, cluster_id)) = &self.profile {
            profile.remove_cluster_file(cluster_id);
        }
    }
}

/// Runs a cluster until it is stopped.
async fn serve(
    registry: &Registry,
    mut settings: ClusterSettings,
    args: &StartArgs,
) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let cluster_id = settings.cluster_id.clone();
    let (engines, launcher) = (settings.engines, settings.kind);
    let folder = registry
        .create_folder(&cluster_id)
        .context("no folder for the cluster's files")?;
    let profile = args.ipython.named();
    args.set(&mut settings.controller, profile.as_ref(), &folder);
    let mut requests = OwnerSocket::bind(&folder).context("no socket for requests")?;
    let stopped = CancellationToken::new();
    let started = OwnCluster::start(settings, &stopped);
    let (started, mut cluster) = match signals.cancelling(&stopped, started).await.0 {
        Ok(started) => started,
        Err(failure) => {
            registry.remove(&cluster_id);
            bail!("{}", failure_text(failure));
        }
    };
    let pid = std::process::id();
    let mut listed = ListedCluster {
        registry,
        record: ClusterRecord {
            cluster_id: cluster_id.clone(),
            host: Some(host_name()),
            pid,
            began: process_start(pid).unwrap_or_default(),
            engines,
            launcher: launcher.to_string(),
            client_file: cluster.client_path().to_owned(),
            profile: args.ipython.profile.clone(),
        },
        profile: profile.map(|profile| (profile, args.cluster_id.clone().unwrap_or_default())),
    };
    let updated = listed.update(&mut cluster);
    if updated.is_ok() {
        println!(
            "cluster {cluster_id}: {} in {:.2} s; `%cluster connect {cluster_id}` in a notebook, or {}{}",
            engine_count(engines),
            started.took.as_secs_f64(),
            cluster.client_path().display(),
            started.openness()
        );
        own(&mut cluster, &mut requests, &mut signals, &mut listed).await;
    }
    cluster.end().await;
    listed.remove();
    updated.context("the cluster's file cannot be written")
}

/// Serves requests and restarts engines that die, until a signal or the controller's end.
async fn own(
    cluster: &mut OwnCluster,
    requests: &mut OwnerSocket,
    signals: &mut Signals,
    listed: &mut ListedCluster<'_>,
) {
    let mut revivals = Revivals::default();
    let ending = CancellationToken::new();
    loop {
        let is_over = tokio::select! {
            () = signals.next() => true,
            call = requests.next() => {
                let OwnerCall { request, reply } = call;
                let done = signals.cancelling(&ending, cluster.handle(request, &ending)).await;
                // The receiver may have been dropped.
                let _ = reply.send(done.0);
                done.1
            }
            event = cluster.next_event() => match event {
                ClusterEvent::ControllerEnded => true,
                // Ended by a client, or by the time limit of a job.
                ClusterEvent::EnginesEnded(ended) if !ended.failed => false,
                ClusterEvent::EnginesEnded(ended) => {
                    let ids = revivals.admit(&ended.ids, Instant::now());
                    tracing::warn!(engines = ?ended.ids, status = %ended.status, again = ?ids, "engines have ended");
                    let revived = cluster.revive(&ids, &ending);
                    let (revived, is_over) = signals.cancelling(&ending, revived).await;
                    if let Err(failure) = revived {
                        tracing::error!("engines could not be started again: {}", failure_text(failure));
                    }
                    is_over
                }
            },
        };
        if is_over {
            return;
        }
        if let Err(error) = listed.update(cluster) {
            tracing::warn!(%error, "the cluster's file cannot be written");
        }
    }
}

/// Starts the background process and waits until its engines have connected.
fn detach(registry: &Registry, args: &StartArgs, cluster_id: &str) -> anyhow::Result<()> {
    let folder = registry
        .create_folder(cluster_id)
        .context("no folder for the cluster's files")?;
    let log = folder.join("log");
    // Kept open for reading: a cluster that fails to start removes its folder.
    let mut written = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&log)
        .context("no file for the cluster's log")?;
    // The same command line, with an option that prevents a second detachment.
    let mut words: Vec<OsString> = std::env::args_os().skip(1).collect();
    words.push("--detached".into());
    if args.cluster_id.is_none() {
        // Not `--cluster-id`: in a profile, a cluster without one has the empty id, as ipcluster's.
        words.extend(["--listed-as".into(), cluster_id.into()]);
    }
    let mut child = Process::new(std::env::current_exe()?)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(written.try_clone()?)
        .spawn()
        .context("the cluster cannot be started")?;
    let mut printed = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut printed)?;
    }
    if printed.is_empty() {
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
    print!("{printed}");
    Ok(())
}
