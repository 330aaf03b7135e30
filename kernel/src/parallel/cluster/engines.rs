//! Engine processes on this machine.

use crate::run::Programs;
use phalanx_protocol::id::EngineId;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

/// Lines kept of what an engine's process printed.
const LAST_WORDS: usize = 20;

/// Time an engine that was asked to end may take before it is killed.
const END_LIMIT: Duration = Duration::from_secs(5);

/// The lines a process printed last. Held for one line.
type LastWords = Arc<Mutex<VecDeque<String>>>;

/// An engine process; it ends with this value.
#[derive(Debug)]
pub(super) struct EngineProcess {
    /// The number it asks the controller for.
    pub(super) number: usize,
    child: Child,
    /// Its process id, also once it has ended.
    pub(super) pid: u32,
    last_words: LastWords,
    /// Reads what it prints.
    readers: JoinSet<()>,
}

impl EngineProcess {
    /// Starts an engine that joins the controller of that file.
    pub(super) fn start(programs: &Programs, file: &Path, number: usize) -> io::Result<Self> {
        let (program, args) = programs.engine();
        let mut child = Command::new(program)
            .args(args)
            .arg("--file")
            .arg(file)
            .args(["--id", &number.to_string()])
            .args(["--parent-pid", &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let last_words = LastWords::default();
        let mut readers = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            readers.spawn(keep_lines(stdout, Arc::clone(&last_words)));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.spawn(keep_lines(stderr, Arc::clone(&last_words)));
        }
        Ok(Self {
            number,
            pid: child.id().unwrap_or_default(),
            child,
            last_words,
            readers,
        })
    }

    /// The id of the engine that runs in it.
    pub(super) fn id(&self) -> EngineId {
        EngineId(u32::try_from(self.number).unwrap_or(u32::MAX))
    }

    /// Waits until the process has ended, and all it printed is read. Cancel-safe.
    pub(super) async fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.wait().await.ok();
        while self.readers.join_next().await.is_some() {}
        status
    }

    /// The exit status of the process, once it has ended.
    pub(super) fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The last lines it printed.
    pub(super) fn last_words(&self) -> String {
        let words = self
            .last_words
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        words.iter().cloned().collect::<Vec<_>>().join("\n")
    }

    /// Waits a while for the process to end as it was asked to, then ends it.
    pub(super) async fn end(mut self) {
        if tokio::time::timeout(END_LIMIT, self.child.wait())
            .await
            .is_err()
        {
            tracing::warn!(pid = self.pid, "an engine did not end when it was asked to");
            self.kill().await;
        }
    }

    /// Asks the process to end, with its runtime and its files.
    pub(super) fn ask_to_end(&self) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| self.child.id().is_some()) {
            // A process that is gone already needs no asking.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Ends the process at once. Its runtime ends with it.
    pub(super) async fn kill(mut self) {
        // A process that is gone already needs no killing.
        let _ = self.child.kill().await;
    }
}

async fn keep_lines(pipe: impl AsyncRead + Unpin, last_words: LastWords) {
    let mut lines = BufReader::new(pipe).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut words = last_words.lock().unwrap_or_else(PoisonError::into_inner);
        if words.len() == LAST_WORDS {
            words.pop_front();
        }
        words.push_back(line);
    }
}
