//! Snapshots of the runtime: forked processes that take over when a cell crashes the running one.
//!
//! A snapshot is taken soon after every change of the namespace, so that the next cell finds one
//! ready, and a process that is killed while idle has one as well. It takes no memory until the
//! running process changes some. It shares the running process's open files instead of having
//! copies of its own (see [`fork_sibling`]); when it takes over, files that the abandoned cell has
//! opened are closed, and every use of a file that the cell has closed is an error.
//!
//! A snapshot has only the thread that forked. Its code behaves as if waiting threads of earlier
//! cells (idle pools) kept waiting forever, and the user is notified if that matters. While threads
//! are running no snapshot is taken, since their state (locks, incomplete changes) would be frozen.

use super::ProcessError;
use super::control::Control;
use super::oom::OomScore;
use crate::SNAPSHOTS_WORD;
use phalanx_protocol::id::RunId;
use phalanx_protocol::runtime::{NoSnapshot, RuntimeReply, SnapshotRequest};
use phalanx_sys::children;
use phalanx_sys::descriptors::{OpenFiles, StandardStreams};
use phalanx_sys::fork::{Forked, exit_at_once, fork_sibling};
use phalanx_sys::page::SharedPage;
use phalanx_sys::threads;
use rustix::process::{Pid, Signal, getppid, pidfd_send_signal, set_parent_process_death_signal};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The number of checks for whether all threads are waiting: those of a pool that has just finished
/// its work look for more before they sleep.
const CHECKS: u32 = 8;
const CHECK_INTERVAL: Duration = Duration::from_micros(250);

/// The snapshot of this process.
pub(super) struct Snapshots {
    path: PathBuf,
    page: Arc<SharedPage>,
    supervisor: Option<Pid>,
    standard: StandardStreams,
    score: OomScore,
    on: bool,
    current: Option<Snapshot>,
}

struct Snapshot {
    process: OwnedFd,
    /// Its connection: the open files are shared, so it stays open as long as it is open here.
    _connection: UnixStream,
}

/// True if snapshots are enabled.
struct SnapshotWanted(bool);

/// The role of the process in which `take` returns.
pub(super) enum SnapshotRole {
    /// The process that was running before.
    Running,
    /// A snapshot that has taken over.
    TookOver {
        /// The connection to the owner.
        control: Control,
        /// True if there were threads, which the snapshot does not have.
        had_threads: bool,
    },
}

impl Snapshots {
    pub(super) fn new(path: PathBuf, page: Arc<SharedPage>, score: OomScore, on: bool) -> Self {
        Self {
            path,
            page,
            supervisor: getppid(),
            standard: StandardStreams::copy(),
            score,
            on,
            current: None,
        }
    }

    /// Returns true if there is a snapshot.
    pub(super) fn is_taken(&self) -> bool {
        self.current.is_some()
    }

    /// Enables or disables snapshots.
    pub(super) fn turn(&mut self, on: bool) {
        self.on = on;
        if !on {
            self.forget();
        }
    }

    /// Takes a snapshot, which replaces the outdated one.
    ///
    /// Returns in two processes: immediately in this one, and in the snapshot once it has taken
    /// over.
    pub(super) fn take(&mut self, after: Option<RunId>) -> Result<SnapshotRole, NoSnapshot> {
        let taken = self.try_take(after);
        if taken.is_err() {
            self.forget();
        }
        taken
    }

    fn try_take(&mut self, after: Option<RunId>) -> Result<SnapshotRole, NoSnapshot> {
        if !self.on {
            return Err(NoSnapshot::Off);
        }
        let failed = |error: &dyn std::fmt::Display| NoSnapshot::Failed(error.to_string());
        let waiting = waiting_threads()?;
        let mut control = Control::connect(&self.path).map_err(|error| failed(&error))?;
        let children = children::of_all_threads();
        let open = OpenFiles::now().map_err(|error| failed(&error))?;
        let taken = &self.page.words()[SNAPSHOTS_WORD];
        let number = taken.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        match fork_sibling().map_err(|error| failed(&error))? {
            Forked::Parent(sibling) => {
                self.forget();
                self.score.of(sibling.pid);
                self.current = Some(Snapshot {
                    process: sibling.pidfd,
                    _connection: control.into_stream(),
                });
                Ok(SnapshotRole::Running)
            }
            Forked::Child => {
                // No value of the running process may be dropped before the files are separated:
                // closing a file here would close it for the running process, and exit handlers
                // would act on it too.
                let asleep = RuntimeReply::Asleep {
                    pid: std::process::id(),
                    number,
                    after,
                    children: children
                        .iter()
                        .map(|pid| pid.as_raw_pid().unsigned_abs())
                        .collect(),
                    threads: waiting.clone(),
                };
                match self.sleep(&mut control, &asleep) {
                    Ok(SnapshotWanted(true)) => {}
                    Ok(SnapshotWanted(false)) | Err(_) => exit_at_once(0),
                }
                match self.take_over(&mut control, &open) {
                    Ok(()) => Ok(SnapshotRole::TookOver {
                        control,
                        had_threads: !waiting.is_empty(),
                    }),
                    Err(_) => exit_at_once(1),
                }
            }
        }
    }

    /// The main loop of a snapshot: waits until it is to take over, or its connection is closed.
    fn sleep(
        &self,
        control: &mut Control,
        asleep: &RuntimeReply,
    ) -> Result<SnapshotWanted, ProcessError> {
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(std::io::Error::from)?;
        if getppid() != self.supervisor {
            return Ok(SnapshotWanted(false));
        }
        control.send(asleep)?;
        let request = control.receive()?;
        Ok(SnapshotWanted(matches!(
            request,
            Some(SnapshotRequest::Wake)
        )))
    }

    /// Takes over: the original process has exited, so its files belong to this one.
    fn take_over(&mut self, control: &mut Control, open: &OpenFiles) -> Result<(), ProcessError> {
        open.restore(&self.standard)?;
        // The snapshot that preceded this one.
        self.current = None;
        self.score.raise();
        let pid = std::process::id();
        control.send(&RuntimeReply::Ready { pid })
    }

    fn forget(&mut self) {
        if let Some(snapshot) = self.current.take() {
            // It may have exited by itself.
            let _ = pidfd_send_signal(&snapshot.process, Signal::KILL);
        }
    }
}

/// The names of the waiting threads; an error if any thread is running.
fn waiting_threads() -> Result<Vec<String>, NoSnapshot> {
    let failed = |error: std::io::Error| NoSnapshot::Failed(error.to_string());
    let mut busy = Vec::new();
    for _ in 0..CHECKS {
        if threads::count().map_err(failed)? == 1 {
            return Ok(Vec::new());
        }
        let others = threads::others().map_err(failed)?;
        if others.iter().all(|thread| thread.idle) {
            return Ok(names(others));
        }
        busy = others.into_iter().filter(|thread| !thread.idle).collect();
        std::thread::sleep(CHECK_INTERVAL);
    }
    Err(NoSnapshot::Threads(names(busy)))
}

/// The names of threads, without duplicates.
fn names(threads: Vec<threads::Thread>) -> Vec<String> {
    let mut names: Vec<String> = threads.into_iter().map(|thread| thread.name).collect();
    names.sort();
    names.dedup();
    names
}
