//! A child process and its last lines of output.

use crate::launcher::LaunchError;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The number of lines of output that are kept.
const LAST_WORDS: usize = 20;

/// Time limit for a process to end on request, before it is killed.
pub(crate) const END_LIMIT: Duration = Duration::from_secs(5);

/// Time limit for a program whose output is needed; name resolution and login may be slow.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// The last lines of output. Locked for one line.
type LastLines = Arc<Mutex<VecDeque<String>>>;

/// A child process; killed on drop.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// The process id, valid even after the end.
    pid: u32,
    last_words: LastLines,
    /// The tasks that read its output.
    readers: JoinSet<()>,
}

impl Process {
    /// Starts a program in a process group of its own, so that Ctrl-C in the terminal does not
    /// reach it.
    ///
    /// # Errors
    /// Returns an error if the program cannot be started.
    pub fn start(command: &mut Command) -> Result<Self, LaunchError> {
        Self::start_with(command, None)
    }

    /// Starts a program; the lines of its stdout are also sent to `lines`. Unbounded: a launcher's
    /// program prints a line for each process that ends.
    pub(crate) fn start_with(
        command: &mut Command,
        lines: Option<mpsc::UnboundedSender<String>>,
    ) -> Result<Self, LaunchError> {
        let mut child = spawn(command)?;
        let last_words = LastLines::default();
        let mut readers = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            readers.spawn(keep_lines(stdout, Arc::clone(&last_words), lines));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.spawn(keep_lines(stderr, Arc::clone(&last_words), None));
        }
        Ok(Self {
            pid: child.id().unwrap_or_default(),
            child,
            last_words,
            readers,
        })
    }

    /// Returns the process id, even after the end.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Takes its stdin, if it was started with one.
    pub(crate) fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Waits until the process has ended and all its output is read; returns its status, and true
    /// if it failed. Cancel safe.
    pub async fn ended(&mut self) -> (String, bool) {
        let status = self.child.wait().await;
        while self.readers.join_next().await.is_some() {}
        match status {
            Ok(status) => (status.to_string(), !status.success()),
            Err(error) => (error.to_string(), true),
        }
    }

    /// Returns the exit status, once the process has ended.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Returns the last lines of output.
    pub fn last_words(&self) -> String {
        let words = self
            .last_words
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        words.iter().cloned().collect::<Vec<_>>().join("\n")
    }

    /// Sends SIGTERM.
    pub fn ask_to_end(&self) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| self.child.id().is_some()) {
            // It fails if the process has ended.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Sends SIGTERM and waits for the end of the process; kills it after a time limit.
    pub async fn end(mut self) {
        let ended = tokio::time::timeout(END_LIMIT, self.child.wait());
        if ended.await.is_err() {
            tracing::warn!(pid = self.pid, "a process did not end when it was asked to");
            self.kill().await;
        }
    }

    /// Kills the process.
    pub async fn kill(mut self) {
        // It fails if the process has ended.
        let _ = self.child.kill().await;
    }
}

/// Runs a program to its end and returns its stdout.
///
/// # Errors
/// Returns an error that contains the output if the program cannot be started, fails, or takes
/// longer than a minute.
pub(crate) async fn answer(command: &mut Command, what: &str) -> Result<String, LaunchError> {
    let child = spawn(command)?;
    let failed = |status: String, printed: String| LaunchError::Failed {
        program: what.to_owned(),
        status,
        printed,
    };
    match tokio::time::timeout(ANSWER_LIMIT, child.wait_with_output()).await {
        Ok(Ok(output)) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(Ok(output)) => {
            let mut printed = output.stdout;
            printed.extend(output.stderr);
            let printed = String::from_utf8_lossy(&printed).into_owned();
            Err(failed(output.status.to_string(), printed))
        }
        Ok(Err(error)) => Err(failed(error.to_string(), String::new())),
        Err(_) => {
            let status = format!("no answer within {} s", ANSWER_LIMIT.as_secs());
            Err(failed(status, String::new()))
        }
    }
}

/// Starts a program with piped output in a process group of its own; it is killed when the child is
/// dropped.
fn spawn(command: &mut Command) -> Result<Child, LaunchError> {
    let spawned = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    spawned.map_err(|error| {
        let program: &OsStr = command.as_std().get_program();
        LaunchError::Start {
            program: program.to_string_lossy().into_owned(),
            error,
        }
    })
}

async fn keep_lines(
    pipe: impl AsyncRead + Unpin,
    last_words: LastLines,
    lines: Option<mpsc::UnboundedSender<String>>,
) {
    let mut read = BufReader::new(pipe).lines();
    while let Ok(Some(line)) = read.next_line().await {
        if let Some(lines) = &lines {
            // The receiver may have been dropped.
            let _ = lines.send(line.clone());
        }
        let mut words = last_words.lock().unwrap_or_else(PoisonError::into_inner);
        if words.len() == LAST_WORDS {
            words.pop_front();
        }
        words.push_back(line);
    }
}
