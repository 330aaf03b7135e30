//! The owner's end of a runtime process: starts it, sends it cells, reports events.

mod actor;
mod exit_status;
mod host;
mod process;
mod start;
mod state;
mod stdin;
mod wire;

pub use host::{HostCall, HostReplier, HostReplyFrames};

use phalanx_protocol::evaluator::CompiledCell;
use phalanx_protocol::exit::RuntimeExit;
#[cfg(doc)]
use phalanx_protocol::host::CellRequest;
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
    /// A program whose `main` calls [`process_main`](crate::process_main) for these `args`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Environment variables to add.
    pub env: Vec<(OsString, OsString)>,
    /// The source of its cells' stdin.
    pub input: StdinSource,
}

/// The source of the stdin of a runtime's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StdinSource {
    /// No input: stdin is at its end.
    Nothing,
    /// The owner's replies to [`CellRequest::Input`] and [`CellRequest::ReadLine`].
    Owner,
}

/// The reason why a runtime did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The private folder for its sockets could not be created.
    #[error("no private folder for the runtime's sockets: {0}")]
    Folder(#[source] io::Error),
    /// The program could not be started.
    #[error("{} could not be started: {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The process exited, or did not report in time, before it was ready.
    #[error("the runtime process did not come up: {0}")]
    NotReady(String),
}

/// A running runtime process; dropping the handle ends the process and all processes it has
/// started.
#[derive(Debug)]
pub struct Runtime {
    commands: mpsc::UnboundedSender<RuntimeCommand>,
    pid: Arc<AtomicU32>,
}

/// The id of the process that currently runs cells.
#[derive(Clone, Debug)]
pub struct ProcessId(Arc<AtomicU32>);

impl ProcessId {
    /// The current id.
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

/// An event of a runtime.
#[derive(Debug)]
pub enum RuntimeEvent {
    /// An output; all output of a run precedes its end.
    Output {
        /// The run; `None` if no cell is running (a thread has outlived its cell).
        run: Option<RunId>,
        /// The output.
        output: Output,
    },
    /// A request of the `phalanx` library to the kernel.
    HostCall(HostCall),
    /// A called function has returned its value; the end of its run follows.
    Value {
        /// The run.
        run: RunId,
        /// The value; empty if the function panicked.
        value: Payload,
    },
    /// A call was not started, and will not be: it was recalled, or sent to a process that has
    /// exited.
    Recalled {
        /// The run.
        run: RunId,
    },
    /// A run has ended.
    Ended {
        /// The run.
        run: RunId,
        /// The outcome.
        outcome: Outcome,
    },
    /// The process has exited, and all variables are lost; no further events follow.
    Exited {
        /// The end of the process.
        status: RuntimeExit,
    },
}

/// A function of a library, and its arguments.
#[derive(Clone, Debug)]
pub struct FunctionCall {
    /// The library.
    pub artifact: PathBuf,
    /// The offset of the function in the library.
    pub offset: u64,
    /// The serialized arguments.
    pub args: Payload,
}

/// Commands of the handle to the actor, one for each method of [`Runtime`]. Unbounded, since each
/// is caused by an action of the user.
#[derive(Debug)]
pub(crate) enum RuntimeCommand {
    Set(Setting),
    Load(PathBuf),
    Run(RunId, CompiledCell),
    RunCallbacks(RunId),
    Interrupt,
    Snapshots(bool),
    Call(RunId, FunctionCall),
    Recall,
    Kill,
}

impl Runtime {
    /// Starts a runtime process.
    ///
    /// The receiver is bounded: if its reader is slow, the cell's pipes are not read, which blocks
    /// the cell instead of growing memory.
    ///
    /// # Errors
    /// [`StartError`] if the process cannot be started or does not become ready.
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

    /// Changes the working directory or the environment of the process.
    pub fn set(&self, setting: Setting) {
        self.command(RuntimeCommand::Set(setting));
    }

    /// Runs a cell; the next one only after [`RuntimeEvent::Ended`].
    pub fn run(&self, run: RunId, cell: CompiledCell) {
        self.command(RuntimeCommand::Run(run, cell));
    }

    /// Runs the callbacks for events of comms; a run like a cell's.
    pub fn run_callbacks(&self, run: RunId) {
        self.command(RuntimeCommand::RunCallbacks(run));
    }

    /// Stops the running cell, if any.
    ///
    /// If there is a snapshot, it takes over, and [`Outcome::Abandoned`] follows. Without a
    /// snapshot, or if the cell polls for interrupts (`phalanx::interrupted`), it has two seconds
    /// to end by itself; a second interrupt does not wait.
    pub fn interrupt(&self) {
        self.command(RuntimeCommand::Interrupt);
    }

    /// Enables or disables snapshots; disabling them saves memory and a copy of the page tables
    /// after each cell. They are enabled by default, unless `PHALANX_SNAPSHOTS=0` is set.
    pub fn set_snapshots(&self, on: bool) {
        self.command(RuntimeCommand::Snapshots(on));
    }

    /// Calls a function, in order with cells; its end follows its value, and is reported as for
    /// cells. Further calls may be sent before it has ended: each ends, or is
    /// [recalled](RuntimeEvent::Recalled).
    pub fn call(&self, run: RunId, call: FunctionCall) {
        self.command(RuntimeCommand::Call(run, call));
    }

    /// Recalls the calls that have not started: each ends, or is
    /// [recalled](RuntimeEvent::Recalled).
    pub fn recall(&self) {
        self.command(RuntimeCommand::Recall);
    }

    /// Kills the process, snapshot included; `Ended` with [`Outcome::Died`] and `Exited` follow.
    pub fn kill(&self) {
        self.command(RuntimeCommand::Kill);
    }

    /// The id of the process that runs cells. It changes when a snapshot takes over, so it should
    /// not be cached.
    pub fn pid(&self) -> u32 {
        self.pid.load(Ordering::SeqCst)
    }

    /// A shared handle on the id of the process that runs cells.
    pub fn process_id(&self) -> ProcessId {
        ProcessId(Arc::clone(&self.pid))
    }

    fn command(&self, command: RuntimeCommand) {
        // A process that has exited has reported it with `Exited`.
        let _ = self.commands.send(command);
    }
}
