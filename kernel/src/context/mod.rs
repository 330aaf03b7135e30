//! The context of everything that one cell causes.
//!
//! | file | what |
//! |---|---|
//! | `programs.rs` | the programs of the kernel's own processes |
//! | `progress.rs`, `build.rs` | progress bars; the progress of a build, from cargo's lines |
//! | `timer.rs` | the time that cells take |
//! | `missing_variables.rs` | variables that an earlier cell moved, and which cell that was |
//! | `unresolved.rs` | names that engines do not have |

pub mod build;
mod missing_variables;
mod programs;
pub mod progress;
pub mod timer;
pub mod unresolved;

pub use missing_variables::{MissingCause, MissingVariables};
pub use programs::Programs;

use crate::channel::{InputPrompter, OutputSink};
use crate::report::{Fault, FaultSource};
use crate::source_map::SourceMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use timer::Timer;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Time an interrupted cell's requests may take to stop: as long as engines may.
const SETTLE_LIMIT: Duration = Duration::from_secs(6);

/// A number of seconds as a time limit; what is none waits for ever.
pub fn time_limit(seconds: Option<f64>) -> Option<Duration> {
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

/// A running cell, as seen by what runs on its behalf. Clones share it.
#[derive(Clone, Debug)]
pub struct CellContext(Arc<ContextInner>);

#[derive(Debug)]
struct ContextInner {
    sink: OutputSink,
    prompter: InputPrompter,
    source: Arc<str>,
    /// The name of the source; `None` for the cell itself.
    file: Option<String>,
    count: usize,
    interrupted: CancellationToken,
    /// The user does not want to wait for what the interrupt has begun.
    insisted: CancellationToken,
    /// The code whose calls are still served is gone.
    abandoned: CancellationToken,
    calls: TaskTracker,
    timer: Timer,
    /// The failure of a magic within the running Rust text. Locked for an assignment.
    magic_fault: Mutex<Option<Fault>>,
}

impl CellContext {
    /// The context of a cell.
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

    /// The cell's execution count.
    pub fn count(&self) -> usize {
        self.0.count
    }

    /// The context of an expression that is evaluated once the cell is done.
    pub fn of_expression(&self, source: &str) -> Self {
        self.beside(self.0.sink.of_expression(), source, None)
    }

    /// The context of a file that the cell runs.
    pub fn of_file(&self, name: &str, source: &str) -> Self {
        self.beside(self.0.sink.clone(), source, Some(name.to_owned()))
    }

    /// The context of other text, which ends with the cell.
    fn beside(&self, sink: OutputSink, source: &str, file: Option<String>) -> Self {
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

    /// The sink of the cell's outputs.
    pub fn sink(&self) -> &OutputSink {
        &self.0.sink
    }

    /// The prompter for the cell's input.
    pub fn prompter(&self) -> &InputPrompter {
        &self.0.prompter
    }

    /// Cancelled when the user interrupts the cell.
    pub fn interrupted(&self) -> &CancellationToken {
        &self.0.interrupted
    }

    /// Cancelled when the user interrupts the cell once more.
    pub fn insisted(&self) -> &CancellationToken {
        &self.0.insisted
    }

    /// The cell's timer.
    pub fn timer(&self) -> &Timer {
        &self.0.timer
    }

    /// Tracks what is done for calls of the cell's code.
    pub fn calls(&self) -> &TaskTracker {
        &self.0.calls
    }

    /// Cancelled when nobody waits for the cell's calls any more.
    pub fn abandoned(&self) -> &CancellationToken {
        &self.0.abandoned
    }

    /// Sees to it that a cell that failed puts out nothing after it has ended: what it has asked
    /// for ends too, at once, or, where engines have to be stopped first, soon.
    pub async fn settle(&self, failed: bool) {
        if !failed {
            // A thread that outlives the cell may still be asking.
            return;
        }
        if self.0.interrupted.is_cancelled() {
            self.0.calls.close();
            // Those that do not end in time are ended.
            let _ = tokio::time::timeout(SETTLE_LIMIT, self.0.calls.wait()).await;
        }
        self.0.abandoned.cancel();
    }

    /// A place in the cell.
    pub fn place(&self, map: SourceMap) -> FaultSource {
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

    /// Finds a magic within the cell's Rust text: the first line that reads like it.
    pub fn place_of_magic(&self, line: &str) -> (FaultSource, usize) {
        match self.0.source.find(line) {
            Some(start) => (self.place(SourceMap::default()), start),
            // Made by the code itself.
            None => {
                let place = FaultSource {
                    name: "magic".to_owned(),
                    text: line.into(),
                    map: SourceMap::default(),
                    span: None,
                };
                (place, 0)
            }
        }
    }

    /// Keeps why a magic within the cell's Rust text failed: that ends the text by a panic, which
    /// is then reported as this. The first one counts.
    pub fn set_magic_fault(&self, fault: Fault) {
        self.fault().get_or_insert(fault);
    }

    /// Takes what `set_magic_fault` has kept.
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
