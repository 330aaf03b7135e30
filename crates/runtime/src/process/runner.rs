//! The process that runs cells: a single thread that receives requests from its owner and performs
//! them.

use super::byte_counter::ByteCounter;
use super::control::Control;
use super::library::LoadedCells;
use super::oom::OomScore;
use super::setting::apply;
use super::snapshot::{SnapshotRole, Snapshots};
use super::{ProcessError, call};
use crate::output::end_marker;
use crate::{IDLE, PAGE_FILE, RUN_WORD, RUNNING};
use phalanx_protocol::id::RunId;
use phalanx_protocol::runtime::{RuntimeReply, RuntimeRequest};
use phalanx_sys::page::SharedPage;
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The time after a cell until its snapshot is taken, unless other code is to run before: on a
/// machine with more engines than cores, other engines' cells have priority.
const SNAPSHOT_DELAY: Duration = Duration::from_millis(50);

/// The environment variable that disables snapshots for all runtimes below, with the value `0`.
const SNAPSHOTS_VAR: &str = "PHALANX_SNAPSHOTS";

/// Serves the owner until it closes the connection. The parent process is the supervisor.
pub(super) fn run(path: &Path) -> Result<(), ProcessError> {
    // A busy cell cannot detect the end of its parent. The supervisor has only one thread, so the
    // signal is sent for its process.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(io::Error::from)?;
    let score = OomScore::own();
    score.raise();
    // A crash is reported by its signal; writing a core file of gigabytes would only delay that.
    // One byte instead of zero, which handlers of core files interpret as a request for none.
    let limit = Rlimit {
        current: Some(1),
        ..rustix::process::getrlimit(Resource::Core)
    };
    // If it cannot be set, a crash takes longer.
    let _ = setrlimit(Resource::Core, limit);
    let page = Arc::new(SharedPage::open(&path.with_file_name(PAGE_FILE))?);
    let on = std::env::var_os(SNAPSHOTS_VAR).is_none_or(|value| value != "0");
    let mut runner = Runner {
        control: Control::connect(path)?,
        cells: LoadedCells::new(Arc::clone(&page)),
        snapshots: Snapshots::new(path.to_owned(), Arc::clone(&page), score, on),
        last: None,
        given: VecDeque::new(),
        written: ByteCounter::new(Arc::clone(&page))?,
        page,
        is_stale: false,
    };
    let pid = std::process::id();
    runner.control.send(&RuntimeReply::Ready { pid })?;
    runner.take_snapshot()?;
    while let Some(request) = runner.next()? {
        runner.perform(request)?;
    }
    Ok(())
}

struct Runner {
    control: Control,
    cells: LoadedCells,
    snapshots: Snapshots,
    /// The last run that may have changed the namespace.
    last: Option<RunId>,
    /// The files of returned values that the owner may not have opened yet.
    given: VecDeque<OwnedFd>,
    page: Arc<SharedPage>,
    /// The numbers of bytes written to the pipes, and the runs that the owner has recalled.
    written: ByteCounter,
    /// True if the snapshot, if any, is out of date.
    is_stale: bool,
}

impl Runner {
    /// Receives the next request; `None` once the owner has closed the connection. A snapshot of
    /// the changed state is taken after a delay, so as not to compete with other engines that are
    /// still running.
    fn next(&mut self) -> Result<Option<RuntimeRequest>, ProcessError> {
        if self.is_stale && !self.control.is_readable(SNAPSHOT_DELAY)? {
            self.take_snapshot()?;
        }
        self.control.receive()
    }

    fn perform(&mut self, request: RuntimeRequest) -> Result<(), ProcessError> {
        match request {
            RuntimeRequest::Set(setting) => {
                apply(setting);
                self.is_stale = true;
                Ok(())
            }
            RuntimeRequest::Load { library } => {
                let reply = match self.cells.load(&library) {
                    Ok(()) => RuntimeReply::Loaded,
                    Err(message) => RuntimeReply::LoadFailed { run: None, message },
                };
                self.is_stale = true;
                self.control.send(&reply)
            }
            RuntimeRequest::Run {
                run,
                artifact,
                entry,
            } => {
                if self.protect()? == Process::Snapshot {
                    // This is the snapshot, and it was woken: the process it was taken of has run
                    // the cell, or died of it. It serves the next request instead.
                    return Ok(());
                }
                let ran = self.guard(|cells| cells.run(&artifact, &entry));
                let reply = match ran {
                    Ok(()) => {
                        mark_end(run);
                        RuntimeReply::Ended { run }
                    }
                    Err(message) => RuntimeReply::LoadFailed {
                        run: Some(run),
                        message,
                    },
                };
                self.ran(run, &reply)
            }
            RuntimeRequest::Call {
                run,
                artifact,
                offset,
            } => {
                let input = self.control.raw()?;
                if self.written.is_recalled(run) {
                    return self.control.send(&RuntimeReply::Recalled { run });
                }
                if self.protect()? == Process::Snapshot {
                    return Ok(());
                }
                self.call(run, &artifact, offset, input)
            }
            RuntimeRequest::RunCallbacks { run } => {
                self.guard(LoadedCells::run_callbacks);
                mark_end(run);
                self.ran(run, &RuntimeReply::Ended { run })
            }
            RuntimeRequest::Snapshots { on } => {
                self.snapshots.turn(on);
                self.take_snapshot().map(drop)
            }
            RuntimeRequest::ValueOpened => {
                self.given.pop_front();
                Ok(())
            }
        }
    }

    /// Runs user code. Its completion and a stop by the owner are mutually exclusive.
    fn guard<T>(&mut self, run: impl FnOnce(&mut LoadedCells) -> T) -> T {
        let order = Ordering::SeqCst;
        self.page.words()[RUN_WORD].store(RUNNING, order);
        let ran = run(&mut self.cells);
        let word = &self.page.words()[RUN_WORD];
        if word.compare_exchange(RUNNING, IDLE, order, order).is_err() {
            // The process is being killed; the snapshot continues without the effects of this run.
            loop {
                std::thread::park();
            }
        }
        ran
    }

    /// Calls a function. The snapshot remains valid unless the function has changed the namespace:
    /// other effects (statics of its library) do not justify a snapshot for each of many short
    /// calls.
    fn call(
        &mut self,
        run: RunId,
        artifact: &Path,
        offset: u64,
        input: Vec<u8>,
    ) -> Result<(), ProcessError> {
        let before = call::changes();
        let called = self.guard(|cells| cells.call(artifact, offset, &input));
        match called {
            Ok(output) => {
                // Released before a snapshot would keep it.
                drop(input);
                let changed = call::changes() != before;
                self.returned(run, changed, output)?;
                if changed {
                    self.last = Some(run);
                    self.is_stale = true;
                }
                Ok(())
            }
            Err(message) => {
                let run = Some(run);
                let reply = RuntimeReply::LoadFailed { run, message };
                self.control.send(&reply)
            }
        }
    }

    fn returned(&mut self, run: RunId, changed: bool, output: Vec<u8>) -> Result<(), ProcessError> {
        self.given.extend(call::file(&output));
        let reply = RuntimeReply::Called {
            run,
            changed,
            written: self.written.now(),
        };
        match self.control.send_with(&reply, &output) {
            // Too large for one frame: the value is empty for the owner.
            Err(ProcessError::Frame(error)) => {
                eprintln!("the value of the function is too large: {error}");
                self.control.send_with(&reply, &[])
            }
            sent => sent,
        }
    }

    /// Records that user code has run: the owner is notified first.
    fn ran(&mut self, run: RunId, reply: &RuntimeReply) -> Result<(), ProcessError> {
        self.last = Some(run);
        self.is_stale = true;
        self.control.send(reply)
    }

    /// Ensures that there is a snapshot before code runs. Threads that were running at the last
    /// attempt may have finished.
    fn protect(&mut self) -> Result<Process, ProcessError> {
        if self.is_stale || !self.snapshots.is_taken() {
            self.take_snapshot()
        } else {
            Ok(Process::Same)
        }
    }

    /// Takes a snapshot of the current state; notifies the owner of it, or of the reason why there
    /// is none.
    ///
    /// Returns in each resulting process: in the snapshot once it has taken over.
    fn take_snapshot(&mut self) -> Result<Process, ProcessError> {
        let mut process = Process::Same;
        self.is_stale = false;
        loop {
            match self.snapshots.take(self.last) {
                Ok(SnapshotRole::Running) => return Ok(process),
                Ok(SnapshotRole::TookOver {
                    control,
                    had_threads,
                }) => {
                    self.control = control;
                    if had_threads {
                        self.cells.forget_threads();
                    }
                    process = Process::Snapshot;
                }
                Err(why) => {
                    let after = self.last;
                    let reply = RuntimeReply::Unprotected { after, why };
                    return self.control.send(&reply).map(|()| process);
                }
            }
        }
    }
}

/// The process in which [`Runner::take_snapshot`] returns: like a fork, it returns in both, in the
/// second one much later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Process {
    /// The process that has called it.
    Same,
    /// The snapshot, which has taken over after the end of the other process.
    Snapshot,
}

/// Writes the end marker to both pipes, after all output of the cell.
fn mark_end(run: RunId) {
    let marker = end_marker(run);
    // Directly to the descriptors: our own buffered stdout is not the cells'. A cell that has
    // closed them has no output left to order, and the owner is notified of the end on the control
    // socket as well.
    for fd in [rustix::stdio::stdout(), rustix::stdio::stderr()] {
        let mut rest = marker.as_bytes();
        while !rest.is_empty() {
            match rustix::io::retry_on_intr(|| rustix::io::write(fd, rest)) {
                Ok(written) => rest = &rest[written..],
                Err(_) => break,
            }
        }
    }
}
