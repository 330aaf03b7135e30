//! Other machines, by the `ssh` program with the user's configuration and agents.
//!
//! The controller listens on this machine's loopback interface only: `ssh` forwards the engines'
//! connections from a Unix socket in a folder of mode 0700 on the other machine. The connection
//! file, which contains the key, is sent to the stdin of the remote shell, so that it never appears
//! on a command line. The engines end when that stdin is closed.

mod hosts;
mod script;

pub use hosts::{Host, HostError};

use crate::job::{Job, Program};
use crate::launcher::{EndedProcesses, LaunchError, Launched, Launcher, PrintedText};
use crate::process::{self, Process};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use phalanx_protocol::id::EngineId;
use phalanx_transport::EngineConnectionFile;
use script::PreparedHost;
use sha2::Digest;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, Command};
use tokio::sync::mpsc;

/// The program.
const SSH: &str = "ssh";

/// A launcher that starts engines on other machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshLauncher {
    /// The machines.
    pub hosts: Vec<Host>,
    /// Arguments of `ssh` before the host.
    pub args: Vec<String>,
    /// The engine's program on the machines; `None` to search for it.
    pub engine: Option<String>,
}

/// A program of this machine that can be copied to others.
struct ProgramCopy {
    program: Program,
    /// The file name on other machines, derived from the contents: the same program is copied once.
    name: String,
    /// The version that a program installed on the other machine must print to be used.
    version: String,
}

impl Launcher for SshLauncher {
    fn launch<'a>(
        &'a self,
        job: &'a Job,
    ) -> BoxFuture<'a, Result<Vec<Box<dyn Launched>>, LaunchError>> {
        self.start(job).boxed()
    }
}

impl SshLauncher {
    async fn start(&self, job: &Job) -> Result<Vec<Box<dyn Launched>>, LaunchError> {
        let copy = ProgramCopy::of(job.program.clone()).await?;
        let shares = hosts::shares(&self.hosts, &job.ids);
        let started = shares
            .into_iter()
            .map(|(host, ids)| self.start_on(&host.name, ids, &job.connection, &copy));
        let mut launched: Vec<Box<dyn Launched>> = Vec::new();
        let mut failure = None;
        for started in join_all(started).await {
            match started {
                Ok(engines) => launched.push(Box::new(engines)),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        match failure {
            None => Ok(launched),
            Some(error) => {
                join_all(launched.into_iter().map(|engines| engines.kill())).await;
                Err(error)
            }
        }
    }

    async fn start_on(
        &self,
        host: &str,
        ids: Vec<EngineId>,
        connection: &EngineConnectionFile,
        copy: &ProgramCopy,
    ) -> Result<SshEngines, LaunchError> {
        let wanted = self.engine.as_deref().unwrap_or_default();
        let what = format!("{SSH} {host}");
        let line = script::prepare(&self.args, host, wanted, &copy.name, &copy.version);
        let answer = process::answer(ssh(&line).stdin(Stdio::null()), &what).await?;
        let prepared = script::prepared(&answer).ok_or_else(|| LaunchError::Failed {
            program: what,
            status: "it answered something else".to_owned(),
            printed: answer,
        })?;
        let started = self.run_on(host, ids, connection, copy, &prepared).await;
        if started.is_err() {
            let line = script::forget(&self.args, host, &prepared.folder);
            // The first failure is reported.
            let _ = process::answer(ssh(&line).stdin(Stdio::null()), host).await;
        }
        started
    }

    async fn run_on(
        &self,
        host: &str,
        ids: Vec<EngineId>,
        connection: &EngineConnectionFile,
        copy: &ProgramCopy,
        prepared: &PreparedHost,
    ) -> Result<SshEngines, LaunchError> {
        let mut prepared = prepared.clone();
        let mut subcommand = "";
        if prepared.engine.is_empty() {
            self.copy_to(host, copy, &prepared).await?;
            prepared.engine.clone_from(&prepared.copy);
        }
        if prepared.engine == prepared.copy {
            subcommand = copy.program.args.first().map_or("", String::as_str);
        }
        let (forwards, paths) = script::forwards(connection, &prepared.folder)
            .map_err(|error| LaunchError::Unsupported(error.to_string()))?;
        let connection = script::connection(connection, &prepared.host, paths);
        let line = script::run(&self.args, host, &prepared, subcommand, &forwards, &ids);
        // Unbounded: one line per engine that ends, and the engines' own output.
        let (lines, ends) = mpsc::unbounded_channel();
        let mut process = Process::start_with(ssh(&line).stdin(Stdio::piped()), Some(lines))?;
        let mut input = process.take_stdin();
        if let Some(input) = &mut input {
            let mut text = serde_json::to_string(&connection).unwrap_or_default();
            text.push('\n');
            // If the process has ended, its status is more informative than a closed pipe.
            let _ = input.write_all(text.as_bytes()).await;
            let _ = input.flush().await;
        }
        Ok(SshEngines {
            host: host.to_owned(),
            ids,
            process,
            input,
            lines: ends,
            ends: BTreeMap::new(),
            noticed: VecDeque::new(),
            ended: false,
        })
    }

    async fn copy_to(
        &self,
        host: &str,
        copy: &ProgramCopy,
        prepared: &PreparedHost,
    ) -> Result<(), LaunchError> {
        let here = machine();
        if prepared.machine != here {
            return Err(LaunchError::OtherMachine {
                host: host.to_owned(),
                there: prepared.machine.clone(),
                here,
                program: copy.program.path.clone(),
            });
        }
        let path = &copy.program.path;
        let program = std::fs::File::open(path).map_err(|error| file_error(path, error))?;
        let line = script::copy(&self.args, host, &prepared.copy);
        let what = format!("{SSH} {host} (copying {} there)", path.display());
        tracing::info!(host, program = %path.display(), "the engine's program is copied");
        process::answer(ssh(&line).stdin(program), &what)
            .await
            .map(drop)
    }
}

impl ProgramCopy {
    async fn of(program: Program) -> Result<Self, LaunchError> {
        let path = program.path.clone();
        // Hashed on another thread, since the program that contains a compiler is large.
        let hash =
            tokio::task::spawn_blocking(move || std::fs::read(path).map(|bytes| hash(&bytes)));
        let hash = hash.await.map_err(io::Error::from).flatten();
        let hash = hash.map_err(|error| file_error(&program.path, error))?;
        // A program with a subcommand is not `phalanx-engine`, which may be installed on the other
        // machine.
        let version = match program.args.is_empty() {
            true => format!("phalanx-engine {}", env!("CARGO_PKG_VERSION")),
            false => String::new(),
        };
        Ok(Self {
            program,
            name: format!("phalanx-engine-{}", &hash[..16]),
            version,
        })
    }
}

fn hash(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(bytes))
}

fn file_error(path: &Path, error: io::Error) -> LaunchError {
    LaunchError::File {
        path: path.to_owned(),
        error,
    }
}

fn ssh(args: &[String]) -> Command {
    let mut command = Command::new(SSH);
    command.args(args);
    command
}

/// Returns this machine's system and architecture, as printed by `uname -s -m`.
fn machine() -> String {
    let name = rustix::system::uname();
    format!(
        "{} {}",
        name.sysname().to_string_lossy(),
        name.machine().to_string_lossy()
    )
}

/// The engines on one machine.
#[derive(Debug)]
struct SshEngines {
    host: String,
    ids: Vec<EngineId>,
    process: Process,
    /// The remote stdin; closing it ends the engines.
    input: Option<ChildStdin>,
    lines: mpsc::UnboundedReceiver<String>,
    /// The statuses of engines that have ended.
    ends: BTreeMap<EngineId, String>,
    /// Ends found by `end_of` that are still to be reported.
    noticed: VecDeque<EndedProcesses>,
    /// True once the end of all engines has been reported.
    ended: bool,
}

impl SshEngines {
    /// Handles a line of output; returns the end of an engine if the line reports one.
    fn handle_line(&mut self, line: &str) -> Option<EndedProcesses> {
        let (id, code) = script::ended(line)?;
        let status = script::status(code);
        self.ends.insert(id, status.clone());
        Some(EndedProcesses {
            ids: vec![id],
            status,
            failed: code != 0,
        })
    }

    async fn wait(&mut self) -> EndedProcesses {
        if let Some(ended) = self.noticed.pop_front() {
            return ended;
        }
        while let Some(line) = self.lines.recv().await {
            if let Some(ended) = self.handle_line(&line) {
                return ended;
            }
        }
        if self.ended {
            return std::future::pending().await;
        }
        let status = format!("{SSH} ended: {}", self.process.ended().await.0);
        self.ended = true;
        let left = self.ids.iter().filter(|id| !self.ends.contains_key(id));
        let left: Vec<EngineId> = left.copied().collect();
        self.ends
            .extend(left.iter().map(|id| (*id, status.clone())));
        if left.is_empty() && !self.ids.is_empty() {
            return std::future::pending().await;
        }
        EndedProcesses {
            ids: left,
            status,
            failed: true,
        }
    }
}

impl Launched for SshEngines {
    fn ids(&self) -> &[EngineId] {
        &self.ids
    }

    fn pid(&self) -> Option<u32> {
        None
    }

    fn next_end(&mut self) -> BoxFuture<'_, EndedProcesses> {
        self.wait().boxed()
    }

    fn end_of(&mut self, id: EngineId) -> Option<String> {
        while let Ok(line) = self.lines.try_recv() {
            let ended = self.handle_line(&line);
            self.noticed.extend(ended);
        }
        self.ends.get(&id).cloned()
    }

    fn printed(&mut self) -> BoxFuture<'_, PrintedText> {
        let printed = PrintedText {
            who: format!("{SSH} {}", self.host),
            text: script::without_markers(&self.process.last_words()),
        };
        std::future::ready(printed).boxed()
    }

    fn ask_to_end(&mut self) {
        self.input = None;
    }

    fn end(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        self.ask_to_end();
        self.process.end().boxed()
    }

    fn kill(self: Box<Self>) -> BoxFuture<'static, ()> {
        // The remote shell needs time to end its engines.
        self.end()
    }
}
