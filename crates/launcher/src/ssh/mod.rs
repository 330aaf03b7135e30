//! Other machines, reached by the `ssh` program with the user's configuration and agents.
//!
//! The controller stays on this machine's loopback: each connection of an engine goes through the one of `ssh`,
//! to a Unix socket in a folder of mode 0700 on the other machine. The connection file, with its key, goes to
//! the input of the remote shell and so never stands on a command line. The engines end with that input.

mod hosts;
mod script;

pub use hosts::{Host, HostError};

use crate::job::{Job, Program, Role};
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

/// Starts engines on other machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshLauncher {
    /// The machines.
    pub hosts: Vec<Host>,
    /// Arguments of `ssh` before the host.
    pub args: Vec<String>,
    /// The engine's program on the machines, where it is not to be looked for.
    pub engine: Option<String>,
}

/// A program of this machine that can be copied.
struct ProgramCopy {
    program: Program,
    /// Names it on other machines: the same program is not copied again.
    name: String,
    /// The output of one that may be used where it is found.
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
        let Role::Engines { connection, .. } = &job.role else {
            let message = "a controller is not started through ssh: start it there, with `phalanx controller --ssh`";
            return Err(LaunchError::Unsupported(message.to_owned()));
        };
        let copy = ProgramCopy::of(job.program.clone()).await?;
        let shares = hosts::shares(&self.hosts, job.ids());
        let started = shares
            .into_iter()
            .map(|(host, ids)| self.start_on(&host.name, ids, connection, &copy));
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
            // The failure that is reported is the first.
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
        // Unbounded: a line when an engine ends, and what engines print.
        let (lines, ends) = mpsc::unbounded_channel();
        let mut process = Process::start_with(ssh(&line).stdin(Stdio::piped()), Some(lines))?;
        let mut input = process.take_stdin();
        if let Some(input) = &mut input {
            let mut text = serde_json::to_string(&connection).unwrap_or_default();
            text.push('\n');
            // One that has ended says more about it than a closed pipe.
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
        // The program with a compiler in it is large.
        let hash =
            tokio::task::spawn_blocking(move || std::fs::read(path).map(|bytes| hash(&bytes)));
        let hash = hash.await.map_err(io::Error::from).flatten();
        let hash = hash.map_err(|error| file_error(&program.path, error))?;
        // A program that needs a subcommand is not the engine's own, which may be there under its name.
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

/// This machine's system and architecture, as `uname -s -m` prints them.
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
    /// The engines end with it.
    input: Option<ChildStdin>,
    lines: mpsc::UnboundedReceiver<String>,
    /// The engines that have ended, by their status.
    ends: BTreeMap<EngineId, String>,
    /// Ends that were noticed when somebody looked, and are still to be reported.
    noticed: VecDeque<EndedProcesses>,
    /// True once the end of all has been reported.
    ended: bool,
}

impl SshEngines {
    /// Takes note of a line that was printed; returns an end if it is about one.
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
            text: script::shown(&self.process.last_words()),
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
        // The remote shell has to be left the time to end its engines.
        self.end()
    }
}
