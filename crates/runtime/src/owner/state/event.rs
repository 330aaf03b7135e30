//! Events and commands of a runtime's owner.

use super::standby::StandbySnapshot;
use crate::owner::host::{HostReplier, ReceivedCall};
use crate::owner::{FunctionCall, RuntimeCommand, RuntimeEvent};
use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::host::{CellRequest, HostReply};
use phalanx_protocol::id::RunId;
use phalanx_protocol::output::StreamName;
use phalanx_protocol::payload::Payload;
use phalanx_protocol::runtime::{RuntimeReply, RuntimeRequest, SupervisorReply};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// An event of a runtime's owner.
#[derive(Debug)]
pub(crate) enum OwnerEvent {
    /// A command of the handle.
    Command(RuntimeCommand),
    /// A message of the process that runs cells.
    Reply(RuntimeReply),
    /// The value announced by the last message.
    Value(Payload),
    /// The connection to the process was closed, or has received a malformed message.
    ControlLost {
        /// True unless it was closed.
        is_malformed: bool,
    },
    /// A message of the supervisor.
    Supervisor(SupervisorReply),
    /// The connection to the supervisor was closed.
    SupervisorLost,
    /// The supervisor has exited.
    SupervisorExited {
        /// The end of the process.
        status: RuntimeExit,
    },
    /// A snapshot has been taken.
    StandbyArrived(StandbySnapshot),
    /// No further snapshot can connect.
    StandbysLost,
    /// The standby snapshot runs cells from now on, as the process with this id, or does not.
    Woken(io::Result<u32>),
    /// The standby snapshot has been sent the libraries it must load, or cannot be.
    Adopted(io::Result<()>),
    /// A pipe has content or has ended.
    PipeReadable(StreamName),
    /// A call of the `phalanx` library.
    HostCall(ReceivedCall),
    /// A call cannot be sent.
    CallRefused {
        /// The run.
        run: RunId,
        /// The reason.
        message: String,
    },
    /// Lines can be written to stdin.
    StdinReady,
    /// The result of a search for a process that is blocked in a read of stdin.
    StdinChecked {
        /// True if there is one.
        is_wanted: bool,
        /// The duration of the search.
        took: Duration,
    },
    /// The reply to a request for a line; `None` if there is none.
    StdinAnswered(Option<HostReply>),
    /// A [deadline](super::OwnerState::deadline) has passed.
    Tick,
    /// All processes of the runtime have exited.
    ProcessesEnded,
}

/// A command of a runtime's owner.
#[derive(Debug)]
pub(crate) enum OwnerCommand {
    /// Report an event to the user of the runtime.
    Report(RuntimeEvent),
    /// Send a request to the process that runs cells.
    Send(RuntimeRequest),
    /// Send a call, without waiting for its arguments to be read;
    /// [`OwnerEvent::CallRefused`] follows if that is impossible.
    Call(RunId, FunctionCall),
    /// Reply to a call of the `phalanx` library.
    Answer(HostReplier, HostReply),
    /// Report a request of the running cell for a line; [`OwnerEvent::StdinAnswered`] follows.
    AskForLine {
        /// The run.
        run: Option<RunId>,
        /// The request.
        request: CellRequest,
    },
    /// Discard the input of earlier cells; [`OwnerEvent::StdinReady`] follows if there is input.
    ResetStdin,
    /// Search the process and its descendants for one that is blocked in a read of stdin;
    /// [`OwnerEvent::StdinChecked`] follows.
    CheckStdin {
        /// The process.
        pid: u32,
    },
    /// Write a line to stdin.
    WriteStdin(String),
    /// End the input of the running cell.
    CloseStdin,
    /// Forget the pending request for a line, and input that has not been read.
    EndStdin,
    /// Have the supervisor kill a process.
    Kill {
        /// The process.
        pid: u32,
    },
    /// Have the supervisor kill the processes that were started after a snapshot was taken;
    /// [`SupervisorReply::Settled`] follows.
    Settle {
        /// The process of the snapshot.
        snapshot: u32,
        /// The processes that had been started before.
        spared: Vec<u32>,
    },
    /// Close the connection to a snapshot, which exits.
    Release {
        /// Its process.
        pid: u32,
    },
    /// Make a snapshot take over; [`OwnerEvent::Woken`] follows.
    Wake {
        /// Its process.
        pid: u32,
    },
    /// Use the snapshot that has taken over as the process that runs cells, and have it load
    /// libraries; [`OwnerEvent::Adopted`] follows.
    Adopt {
        /// Its process.
        pid: u32,
        /// The libraries.
        libraries: Vec<PathBuf>,
    },
    /// End all processes of the runtime; [`OwnerEvent::ProcessesEnded`] follows.
    EndProcesses,
}
