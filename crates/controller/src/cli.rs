//! `phalanx controller`: a controller in its own process.

use crate::ipython::{CLUSTER_ID_ENVIRONMENT, ProfileArgs};
use crate::{Controller, ControllerConfig, TaskDatabase, scheduler::Scheme};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// The options of `phalanx controller`; the names are `ipcontroller`'s.
#[derive(Clone, Debug, clap::Args)]
pub struct ServerArgs {
    /// Address to listen on. Anything but loopback is open to the network.
    #[arg(long, default_value = "127.0.0.1")]
    pub ip: String,
    /// Host name or address under which others reach this machine.
    #[arg(long)]
    pub location: Option<String>,
    /// Ports to listen on, such as 10101-10120; if none of them is free, another port is chosen.
    #[arg(long, value_parser = ports, default_value = "")]
    pub ports: Ports,
    /// SSH server through which clients reach this machine: user@host:port.
    #[arg(long, value_name = "SERVER", default_value = "")]
    pub ssh: String,
    /// SSH server through which engines reach this machine.
    #[arg(long, value_name = "SERVER", default_value = "")]
    pub enginessh: String,
    /// An IPython profile, by name or folder; by default that of $IPP_PROFILE_DIR.
    #[command(flatten)]
    pub profile: ProfileArgs,
    /// Folder for ipcontroller-client.json and ipcontroller-engine.json; by default the profile's, or the
    /// working folder.
    #[arg(long)]
    pub folder: Option<PathBuf>,
    /// The path of the file for clients, if not in the folder.
    #[arg(long)]
    pub client_file: Option<PathBuf>,
    /// The path of the file for engines, if not in the folder.
    #[arg(long)]
    pub engine_file: Option<PathBuf>,
    /// Use the key and the ports of existing connection files, and keep the files on exit: a
    /// controller that is restarted this way is found by its engines and clients.
    #[arg(long)]
    pub reuse: bool,
    /// The same as `--reuse`: engines that have lost the controller reconnect by themselves.
    #[arg(long)]
    pub restore: bool,
    /// Part of the files' names.
    #[arg(long, env = CLUSTER_ID_ENVIRONMENT, default_value = "")]
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
    /// Seconds that a Rust client has to restore a lost connection before its tasks that have not begun are
    /// dropped; tasks of Python clients and of `detached()` views are kept.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub client_timeout: u64,
    /// The store of task records for get_result, db_query and resubmit.
    #[arg(long, value_enum, default_value_t)]
    pub db: Db,
    /// The same as `--db memory`.
    #[arg(long, conflicts_with_all = ["db", "nodb"])]
    pub dictdb: bool,
    /// The same as `--db sqlite`.
    #[cfg(feature = "sqlite")]
    #[arg(long, conflicts_with_all = ["db", "dictdb", "nodb"])]
    pub sqlitedb: bool,
    /// The same as `--db none`.
    #[arg(long, conflicts_with = "db")]
    pub nodb: bool,
    /// The file of `--db sqlite`; without it tasks.db in the folder.
    #[arg(long)]
    pub db_file: Option<PathBuf>,
    /// MiB of tasks that `--db memory` keeps; the oldest are dropped.
    #[arg(long, default_value_t = 64)]
    pub db_memory: usize,
    /// The messages to log: DEBUG, INFO, WARN, ERROR, or a number of Python's from 10 to 50.
    #[arg(long, value_name = "LEVEL", value_parser = log_level)]
    pub log_level: Option<LogLevel>,
    /// Log to a file in the profile's folder `log`, or in the folder of the connection files.
    #[arg(long)]
    pub log_to_file: bool,
}

/// Ports, in the order in which they are tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports(pub Vec<u16>);

/// The lowest level of messages that are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLevel(pub tracing::Level);

/// Parses a list of ports.
///
/// # Errors
/// Returns an error if the text is not one.
pub fn ports(text: &str) -> Result<Ports, String> {
    let refused = || format!("`{text}` is not a list of ports, such as 10101-10120,10200");
    let mut ports = Vec::new();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<u16>().map_err(|_| refused());
        match (number(first)?, number(last)?) {
            (first @ 1.., last) if first <= last => ports.extend(first..=last),
            _ => return Err(refused()),
        }
    }
    Ok(Ports(ports))
}

/// Parses a log level of Python, by name or number.
fn log_level(text: &str) -> Result<LogLevel, String> {
    let level = match text.to_ascii_uppercase().as_str() {
        "TRACE" => tracing::Level::TRACE,
        "DEBUG" => tracing::Level::DEBUG,
        "INFO" => tracing::Level::INFO,
        "WARN" | "WARNING" => tracing::Level::WARN,
        "ERROR" | "CRITICAL" => tracing::Level::ERROR,
        number => match number.parse::<u32>() {
            Ok(0..10) => tracing::Level::TRACE,
            Ok(10..20) => tracing::Level::DEBUG,
            Ok(20..30) => tracing::Level::INFO,
            Ok(30..40) => tracing::Level::WARN,
            Ok(_) => tracing::Level::ERROR,
            Err(_) => return Err(format!("`{text}` is not a log level")),
        },
    };
    Ok(LogLevel(level))
}

/// A store of task records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Db {
    /// Records in memory.
    #[default]
    Memory,
    /// Records in an SQLite database, which later controllers continue to use.
    #[cfg(feature = "sqlite")]
    Sqlite,
    /// No records.
    None,
}

impl ServerArgs {
    /// The selected store, from any of the options.
    fn wanted_db(&self) -> Db {
        #[cfg(feature = "sqlite")]
        if self.sqlitedb {
            return Db::Sqlite;
        }
        match (self.dictdb, self.nodb) {
            (true, _) => Db::Memory,
            (_, true) => Db::None,
            _ => self.db,
        }
    }

    fn database(&self) -> TaskDatabase {
        match self.wanted_db() {
            Db::Memory => TaskDatabase::Memory {
                bytes: self.db_memory << 20,
            },
            #[cfg(feature = "sqlite")]
            Db::Sqlite => TaskDatabase::Sqlite(self.db_file.clone().unwrap_or_else(|| {
                let profile = self.profile.named_or_launched();
                let profile = profile.filter(|_| self.folder.is_none());
                match profile {
                    Some(profile) => profile.database(),
                    None => self.folder().join("tasks.db"),
                }
            })),
            Db::None => TaskDatabase::Memory { bytes: 0 },
        }
    }

    /// The folder of the connection files.
    pub fn folder(&self) -> PathBuf {
        let of_profile = || Some(self.profile.named_or_launched()?.security());
        let folder = self.folder.clone().or_else(of_profile);
        folder.unwrap_or_else(|| PathBuf::from("."))
    }

    /// The file to log to; `None` for stderr.
    pub fn log_file(&self) -> Option<PathBuf> {
        let profile = self.profile.named_or_launched();
        let folder = profile.map_or_else(|| self.folder(), |profile| profile.logs());
        let name = format!("ipcontroller-{}.log", std::process::id());
        self.log_to_file.then(|| folder.join(name))
    }
}

/// The interface for an address to listen on.
pub fn interface(ip: &str) -> String {
    match ip.contains(':') {
        true => format!("tcp://[{}]", ip.trim_matches(['[', ']'])),
        false => format!("tcp://{ip}"),
    }
}

impl From<ServerArgs> for ControllerConfig {
    fn from(args: ServerArgs) -> Self {
        let interface = interface(&args.ip);
        Self {
            interface,
            database: args.database(),
            folder: Some(args.folder()),
            location: args.location,
            ports: args.ports.0,
            ssh: args.ssh,
            engine_ssh: args.enginessh,
            heartbeat: Duration::from_millis(args.ping),
            scheme: args.scheme,
            hwm: args.hwm,
            client_timeout: Duration::from_secs(args.client_timeout),
            client_file: args.client_file,
            engine_file: args.engine_file,
            reuse: args.reuse || args.restore,
            cluster_id: args.cluster_id,
            ..Self::default()
        }
    }
}

/// Serves until SIGINT, SIGTERM or a client's shutdown request. Prints the paths of its files to
/// stdout.
pub async fn run_server(args: ServerArgs) -> ExitCode {
    // If ipyparallel's launcher has named the profile, it writes the cluster file itself.
    let listed = args
        .profile
        .named()
        .map(|profile| (profile, args.cluster_id.clone()));
    let controller = match Controller::start(args.into()).await {
        Ok(controller) => controller,
        Err(error) => {
            eprintln!("phalanx controller: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Some((profile, cluster_id)) = &listed {
        let written = profile.write_cluster_file(cluster_id, std::process::id(), &[]);
        if let Err(error) = written {
            eprintln!("phalanx controller: ipcluster will not list this controller: {error}");
        }
    }
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
    if let Some((profile, cluster_id)) = &listed {
        profile.remove_cluster_file(cluster_id);
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: ServerArgs,
    }

    fn config(line: &str) -> ControllerConfig {
        let words = ["controller"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).unwrap().args.into()
    }

    #[test]
    fn options_of_ipcontroller_are_accepted() {
        let config = config(
            "--profile-dir=/p --cluster-id=x --nodb --restore --ports=10101-10103,10200 --ssh=me@login --enginessh=login:22",
        );
        assert_eq!(config.folder, Some("/p/security".into()));
        assert_eq!(config.ports, [10101, 10102, 10103, 10200]);
        assert_eq!(
            (config.ssh.as_str(), config.engine_ssh.as_str()),
            ("me@login", "login:22")
        );
        assert_eq!(config.database, TaskDatabase::Memory { bytes: 0 });
        assert!(config.reuse);
        #[cfg(feature = "sqlite")]
        {
            let config = self::config("--profile-dir /p --sqlitedb");
            assert_eq!(config.database, TaskDatabase::Sqlite("/p/tasks.db".into()));
        }
    }

    #[test]
    fn malformed_ports_and_levels_are_refused() {
        for text in ["0", "5-3", "70000", "x"] {
            assert!(ports(text).is_err(), "{text}");
        }
        for (text, level) in [
            ("DEBUG", tracing::Level::DEBUG),
            ("warning", tracing::Level::WARN),
            ("20", tracing::Level::INFO),
            ("50", tracing::Level::ERROR),
        ] {
            assert_eq!(log_level(text), Ok(LogLevel(level)));
        }
        assert!(log_level("loud").is_err());
    }
}
