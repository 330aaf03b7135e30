//! The owner's end of a runtime process: starts it, feeds it cells, reports what happens.

mod actor;
mod calls;
mod failover;
mod host;
mod notice;
mod start;
mod stdin;
mod text;
mod wire;

pub use host::{HostCall, HostReplier};

use phalanx_protocol::evaluator::CompiledCell;
#[cfg(doc)]
use phalanx_protocol::host::HostRequest;
use phalanx_protocol::id::RunId;
use phalanx_protocol::output::Output;
use phalanx_protocol::payload::Payload;
use phalanx_protocol::runtime::{Outcome, Setting};
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::mpsc;

/// The configuration of a runtime process.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// A program whose main calls [`process_main`](crate::process_main) when given `args`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables added to its environment.
    pub env: Vec<(OsString, OsString)>,
    /// The source of its cells' stdin.
    pub input: StdinSource,
}

/// The source of what the cells of a runtime read from stdin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StdinSource {
    /// Nothing: they are at the end of it.
    Nothing,
    /// The owner's answers to [`HostRequest::StdinSource`] and [`HostRequest::ReadLine`].
    Asks,
}

/// The reason why a runtime did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The private folder for its sockets could not be made.
    #[error("no private folder for the runtime's sockets: {0}")]
    Folder(#[source] io::Error),
    /// The program could not be run.
    #[error("{} could not be started: {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The process ended, or said nothing, before it was ready.
    #[error("the runtime process did not come up: {0}")]
    NotReady(String),
}

/// A running runtime process; dropping the handle ends the process and all it has started.
#[derive(Debug)]
pub struct Runtime {
    commands: mpsc::UnboundedSender<RuntimeCommand>,
    pid: Arc<AtomicU32>,
}

/// The id of a runtime's process that runs cells, whichever that is at the time.
#[derive(Clone, Debug)]
pub struct ProcessId(Arc<AtomicU32>);

impl ProcessId {
    /// The id now.
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

/// An event of a runtime.
#[derive(Debug)]
pub enum RuntimeEvent {
    /// Something to show; all of a run's output precedes its end.
    Output {
        /// The run, or `None` when no cell is running (a thread outlived its cell).
        run: Option<RunId>,
        /// The output.
        output: Output,
    },
    /// The `phalanx` library asks something that only the kernel can answer.
    HostCall(HostCall),
    /// A called function has returned its value; its end follows.
    Value {
        /// The run.
        run: RunId,
        /// The value; empty where it panicked.
        value: Payload,
    },
    /// A call was not begun, and will not be: it was taken back, or sent to a process that is gone.
    Recalled {
        /// The run.
        run: RunId,
    },
    /// A run is over.
    Ended {
        /// The run.
        run: RunId,
        /// The outcome.
        outcome: Outcome,
    },
    /// The process is gone, and with it every variable; nothing follows.
    Exited {
        /// `signal 11 (SIGSEGV)`, `exit status 3`, …
        status: String,
    },
}

/// A function of a library, and its arguments.
#[derive(Clone, Debug)]
pub struct FunctionCall {
    /// The library.
    pub artifact: PathBuf,
    /// Bytes from the library's base to the function.
    pub offset: u64,
    /// The arguments, as the function reads them.
    pub args: Payload,
}

/// Commands of the handle to the actor. Unbounded: one at a time, by a user's action.
#[derive(Debug)]
enum RuntimeCommand {
    Set(Setting),
    Load(PathBuf),
    Run(RunId, CompiledCell),
    Hear(RunId),
    Interrupt,
    Snapshots(bool),
    Call(RunId, FunctionCall),
    Recall,
    Kill,
}

impl Runtime {
    /// Starts a runtime process.
    ///
    /// The receiver is bounded: while its reader is slow, the cell's pipes are not read, and the
    /// cell waits rather than memory growing.
    ///
    /// # Errors
    /// When the process cannot be started or does not come up.
    pub async fn start(
        config: RuntimeConfig,
    ) -> Result<(Self, mpsc::Receiver<RuntimeEvent>), StartError> {
        let started = start::start(&config).await?;
        let pid = Arc::new(AtomicU32::new(started.pid));
        let (commands, commands_rx) = mpsc::unbounded_channel();
        let (events_tx, events) = mpsc::channel(actor::EVENTS);
        // Ends when the handle is dropped or the process exits.
        tokio::spawn(actor::run(
            started,
            Arc::clone(&pid),
            commands_rx,
            events_tx,
        ));
        Ok((Self { commands, pid }, events))
    }

    /// Loads a library that cells need, before the first of them.
    pub fn load(&self, library: PathBuf) {
        self.command(RuntimeCommand::Load(library));
    }

    /// Changes the folder or the environment of the process.
    pub fn set(&self, setting: Setting) {
        self.command(RuntimeCommand::Set(setting));
    }

    /// Runs a cell; one at a time, the next after [`RuntimeEvent::Ended`].
    pub fn run(&self, run: RunId, cell: CompiledCell) {
        self.command(RuntimeCommand::Run(run, cell));
    }

    /// Lets the code hear what frontends have done with its comms; a run like a cell's.
    pub fn run_callbacks(&self, run: RunId) {
        self.command(RuntimeCommand::Hear(run));
    }

    /// Stops the running cell; without one, nothing happens.
    ///
    /// Where there is a snapshot it takes over, and [`Outcome::Abandoned`] follows. Without one, and
    /// where the cell has looked whether it is to stop (`phalanx::interrupted`), it is given two
    /// seconds to end by itself; a second interrupt does not wait.
    pub fn interrupt(&self) {
        self.command(RuntimeCommand::Interrupt);
    }

    /// Keeps a snapshot from now on, or does without, which saves memory and a copy of the page
    /// tables after each cell. It is on to begin with, unless `PHALANX_SNAPSHOTS=0` is set.
    pub fn set_snapshots(&self, on: bool) {
        self.command(RuntimeCommand::Snapshots(on));
    }

    /// Calls a function; in turn with cells, and ended like them, after its value. More may follow
    /// before it has ended: each ends, or is [recalled](RuntimeEvent::Recalled).
    pub fn call(&self, run: RunId, call: FunctionCall) {
        self.command(RuntimeCommand::Call(run, call));
    }

    /// Takes calls back that have not begun: they end, or are [recalled](RuntimeEvent::Recalled).
    pub fn recall(&self) {
        self.command(RuntimeCommand::Recall);
    }

    /// Ends the process at once, snapshot included; `Ended` with [`Outcome::Died`] and `Exited` follow.
    pub fn kill(&self) {
        self.command(RuntimeCommand::Kill);
    }

    /// The id of the process that runs cells. A snapshot that takes over has another, so ask each
    /// time rather than keep it.
    pub fn pid(&self) -> u32 {
        self.pid.load(Ordering::SeqCst)
    }

    /// The id of the process that runs cells, for others to follow.
    pub fn process_id(&self) -> ProcessId {
        ProcessId(Arc::clone(&self.pid))
    }

    fn command(&self, command: RuntimeCommand) {
        // A process that is gone has already said so by `Exited`.
        let _ = self.commands.send(command);
    }
}
