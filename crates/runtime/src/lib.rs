//! Runs compiled cells in a process of their own, and captures their output.
//!
//! | module | content |
//! |---|---|
//! | `process` | the process that runs cells and holds variables, its snapshots and supervisor |
//! | `output` | its pipes' bytes as ordered [`Output`](phalanx_protocol::output::Output)s; pure |
//! | `owner` | the owner's end: starts the process, sends it cells, reports events |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod output;
mod owner;
mod process;

pub use owner::{
    FunctionCall, HostCall, HostReplier, HostReplyFrames, ProcessId, Runtime, RuntimeConfig,
    RuntimeEvent, StartError, StdinSource,
};
pub use process::process_main;

/// The environment variable with the path of the owner's control socket.
const CONTROL_SOCKET_VAR: &str = "PHALANX_CONTROL_SOCKET";

/// The file of the page that owner and runtime share, in the folder of the control socket.
const PAGE_FILE: &str = "page";
/// The word by which the owner requests the cell to stop.
const STOP_WORD: usize = 0;
/// The word by which a cell indicates that it polls [`STOP_WORD`].
const POLLED_WORD: usize = 1;
/// The word in which the runtime's processes count the snapshots they take.
const SNAPSHOTS_WORD: usize = 2;
/// The word with the last run up to which the owner has recalled calls that have not started.
const RECALL_WORD: usize = 3;
/// The word that shows whether code is running, so that no finished run is stopped.
const RUN_WORD: usize = 7;
/// No code is running.
const IDLE: u32 = 0;
/// Code is running; written by the runtime process, which restores [`IDLE`] afterwards.
const RUNNING: u32 = 1;
/// The owner is killing the process: none of its messages is handled any more.
const CONDEMNED: u32 = 2;
/// The word that the owner increments before and after it reads one of the pipes.
const READING_WORD: usize = 4;
/// The words with the number of bytes that the owner has read from stdout and stderr, modulo 2³².
const READ_WORDS: [usize; 2] = [5, 6];
