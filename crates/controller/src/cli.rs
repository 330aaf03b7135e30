//! `phalanx controller`: the same controller as its own process.

use crate::{Controller, ControllerConfig, Database, scheduler::Scheme};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Options of `phalanx controller`; names are `ipcontroller`'s.
#[derive(Clone, Debug, clap::Args)]
pub struct ServerArgs {
    /// Address to listen on. Anything but loopback is open to the network.
    #[arg(long, default_value = "127.0.0.1")]
    pub ip: String,
    /// Host name or address under which others reach this machine.
    #[arg(long)]
    pub location: Option<String>,
    /// Folder for ipcontroller-client.json and ipcontroller-engine.json.
    #[arg(long, default_value = ".")]
    pub folder: PathBuf,
    /// The path of the file for clients, if not in the folder.
    #[arg(long)]
    pub client_file: Option<PathBuf>,
    /// The path of the file for engines, if not in the folder.
    #[arg(long)]
    pub engine_file: Option<PathBuf>,
    /// Use the key and the ports of the connection files that are there, and leave the files behind: a
    /// controller that is started again this way finds its engines and clients.
    #[arg(long)]
    pub reuse: bool,
    /// Part of the files' names.
    #[arg(long, default_value = "")]
    pub cluster_id: String,
    /// Milliseconds between two heartbeats.
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u64).range(10..))]
    pub ping: u64,
    /// The scheme that chooses the engines of load-balanced tasks: leastload, lru, plainrandom, pure, twobin,
    /// weighted.
    #[arg(long, default_value = "leastload")]
    pub scheme: Scheme,
    /// Load-balanced tasks an engine may have at once; 0 for any number.
    #[arg(long, default_value_t = 1)]
    pub hwm: usize,
    /// The store of task records for get_result, db_query and resubmit.
    #[arg(long, value_enum, default_value_t)]
    pub db: Db,
    /// The file of `--db sqlite`; without it tasks.db in the folder.
    #[arg(long)]
    pub db_file: Option<PathBuf>,
    /// MiB of tasks that `--db memory` keeps; the oldest are forgotten.
    #[arg(long, default_value_t = 64)]
    pub db_memory: usize,
}

/// A store of task records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Db {
    /// In memory.
    #[default]
    Memory,
    /// In an SQLite database, which the next controller goes on with.
    #[cfg(feature = "sqlite")]
    Sqlite,
    /// Nowhere.
    None,
}

impl ServerArgs {
    fn database(&self) -> Database {
        match self.db {
            Db::Memory => Database::Memory {
                bytes: self.db_memory << 20,
            },
            #[cfg(feature = "sqlite")]
            Db::Sqlite => {
                let usual = || self.folder.join("tasks.db");
                Database::Sqlite(self.db_file.clone().unwrap_or_else(usual))
            }
            Db::None => Database::Memory { bytes: 0 },
        }
    }
}

impl From<ServerArgs> for ControllerConfig {
    fn from(args: ServerArgs) -> Self {
        let interface = if args.ip.contains(':') {
            format!("tcp://[{}]", args.ip.trim_matches(['[', ']']))
        } else {
            format!("tcp://{}", args.ip)
        };
        let database = args.database();
        Self {
            interface,
            database,
            location: args.location,
            heartbeat: Duration::from_millis(args.ping),
            scheme: args.scheme,
            hwm: args.hwm,
            folder: Some(args.folder),
            client_file: args.client_file,
            engine_file: args.engine_file,
            reuse: args.reuse,
            cluster_id: args.cluster_id,
            ..Self::default()
        }
    }
}

/// Serves until SIGINT, SIGTERM or a client's shutdown request. Says on stdout where its files are.
pub async fn run_server(args: ServerArgs) -> ExitCode {
    let controller = match Controller::start(args.into()).await {
        Ok(controller) => controller,
        Err(error) => {
            eprintln!("phalanx controller: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("clients: {}", controller.client_path().display());
    println!("engines: {}", controller.engine_path().display());
    let (mut interrupted, mut terminated) = match (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) {
        (Ok(interrupted), Ok(terminated)) => (interrupted, terminated),
        (Err(error), _) | (_, Err(error)) => {
            eprintln!("phalanx controller: cannot wait for signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    tokio::select! {
        () = controller.ended() => {}
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    controller.shutdown().await;
    ExitCode::SUCCESS
}
