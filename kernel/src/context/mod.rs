//! The context of a running cell, shared by everything that runs on its behalf.
//!
//! | file | contents |
//! |---|---|
//! | `programs.rs` | the programs of the kernel's own processes |
//! | `progress.rs`, `build.rs` | progress bars; the progress of a build, from cargo's lines |
//! | `timer.rs` | the running times of cells |
//! | `missing_variables.rs` | the causes of missing variables |
//! | `misplaced_magic.rs` | magics within a line of code |
//! | `unresolved.rs` | names that the engines do not have |

pub mod build;
pub mod misplaced_magic;
mod missing_variables;
mod programs;
pub mod progress;
pub mod timer;
pub mod unresolved;

pub use missing_variables::{CellName, MissingCause, MissingVariables, bound};
pub(crate) use missing_variables::{missing_name, reported_unkept};
pub use programs::Programs;

use crate::channel::{InputPrompter, OutputSink};
use crate::report::{Fault, FaultSource};
use crate::source_map::SourceMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use timer::Timer;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Time limit for stopping an interrupted cell's requests: that of engines.
const SETTLE_LIMIT: Duration = Duration::from_secs(6);

/// Converts seconds to a time limit; anything else means no limit.
pub fn time_limit(seconds: Option<f64>) -> Option<Duration> {
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

/// A handle on a running cell. Clones share it.
#[derive(Clone, Debug)]
pub struct CellContext(Arc<ContextInner>);

#[derive(Debug)]
struct ContextInner {
    sink: OutputSink,
    prompter: InputPrompter,
    source: Arc<str>,
    /// The name of a file that the cell runs; `None` for the cell itself.
    file: Option<String>,
    count: usize,
    interrupted: CancellationToken,
    /// Cancelled by the second interrupt: the user does not wait for running requests to stop.
    insisted: CancellationToken,
    /// Cancelled when the cell has failed, so that its calls need no replies any more.
    abandoned: CancellationToken,
    /// The tasks that serve calls of the cell's code.
    calls: TaskTracker,
    timer: Timer,
    /// The failure of a magic in the running Rust text. Locked for an assignment.
    magic_fault: Mutex<Option<Fault>>,
}

impl CellContext {
    /// Creates the context of a cell.
    pub fn new(sink: OutputSink, prompter: InputPrompter, source: &str, count: usize) -> Self {
        Self(Arc::new(ContextInner {
            sink,
            prompter,
            source: source.into(),
            file: None,
            count,
            interrupted: CancellationToken::new(),
            insisted: CancellationToken::new(),
            abandoned: CancellationToken::new(),
            calls: TaskTracker::new(),
            timer: Timer::default(),
            magic_fault: Mutex::default(),
        }))
    }

    /// Returns the cell's execution count.
    pub fn count(&self) -> usize {
        self.0.count
    }

    /// Returns the context of an expression that is evaluated after the cell.
    pub fn of_expression(&self, source: &str) -> Self {
        self.derived(self.0.sink.of_expression(), source, None)
    }

    /// Returns the context of a file that the cell runs.
    pub fn of_file(&self, name: &str, source: &str) -> Self {
        self.derived(self.0.sink.clone(), source, Some(name.to_owned()))
    }

    /// Returns the context of other text, interrupted together with the cell.
    fn derived(&self, sink: OutputSink, source: &str, file: Option<String>) -> Self {
        Self(Arc::new(ContextInner {
            sink,
            prompter: self.0.prompter.clone(),
            source: source.into(),
            file,
            count: self.0.count,
            interrupted: self.0.interrupted.clone(),
            insisted: self.0.insisted.clone(),
            abandoned: self.0.abandoned.clone(),
            calls: self.0.calls.clone(),
            timer: Timer::default(),
            magic_fault: Mutex::default(),
        }))
    }

    /// Returns the sink of the cell's outputs.
    pub fn sink(&self) -> &OutputSink {
        &self.0.sink
    }

    /// Returns the prompter for the cell's input.
    pub fn prompter(&self) -> &InputPrompter {
        &self.0.prompter
    }

    /// Returns a token that is cancelled when the user interrupts the cell.
    pub fn interrupted(&self) -> &CancellationToken {
        &self.0.interrupted
    }

    /// Returns a token that is cancelled when the user interrupts the cell a second time.
    pub fn insisted(&self) -> &CancellationToken {
        &self.0.insisted
    }

    /// Returns the cell's timer.
    pub fn timer(&self) -> &Timer {
        &self.0.timer
    }

    /// Returns the tracker of tasks that serve calls of the cell's code.
    pub fn calls(&self) -> &TaskTracker {
        &self.0.calls
    }

    /// Returns a token that is cancelled when the cell's calls need no replies any more.
    pub fn abandoned(&self) -> &CancellationToken {
        &self.0.abandoned
    }

    /// Stops what still serves calls of a failed cell, so that nothing is published after its end.
    /// Those of an interrupted cell may end by themselves first, within a time limit, since they
    /// stop the engines. Those of a successful cell continue.
    pub async fn settle(&self, failed: bool) {
        if !failed {
            // A thread that outlives the cell may still make calls.
            return;
        }
        if self.0.interrupted.is_cancelled() {
            self.0.calls.close();
            // Calls beyond the limit are cancelled below.
            let _ = tokio::time::timeout(SETTLE_LIMIT, self.0.calls.wait()).await;
        }
        self.0.abandoned.cancel();
    }

    /// Returns the source of a fault in the cell.
    pub fn location(&self, map: SourceMap) -> FaultSource {
        FaultSource {
            name: match &self.0.file {
                Some(file) => file.clone(),
                None => format!("In[{}]", self.0.count),
            },
            text: Arc::clone(&self.0.source),
            map,
            span: None,
        }
    }

    /// Finds a magic in the cell's Rust text: its first line with this text.
    pub fn magic_location(&self, line: &str) -> (FaultSource, usize) {
        match self.0.source.find(line) {
            Some(start) => (self.location(SourceMap::default()), start),
            // The code has built the line at run time.
            None => {
                let location = FaultSource {
                    name: "magic".to_owned(),
                    text: line.into(),
                    map: SourceMap::default(),
                    span: None,
                };
                (location, 0)
            }
        }
    }

    /// Records the failure of a magic in the cell's Rust text. The magic ends the text by a panic,
    /// which is reported as this failure. The first failure is kept.
    pub fn set_magic_fault(&self, fault: Fault) {
        self.fault().get_or_insert(fault);
    }

    /// Takes the recorded failure of a magic.
    pub fn take_magic_fault(&self) -> Option<Fault> {
        self.fault().take()
    }

    fn fault(&self) -> std::sync::MutexGuard<'_, Option<Fault>> {
        self.0
            .magic_fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
