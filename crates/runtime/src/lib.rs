//! Runs compiled cells in a process of their own, and captures their output.
//!
//! | module | what |
//! |---|---|
//! | `process` | the runtime process: loads cells and calls them; holds the user's variables and nothing else; its snapshots, and the process above them |
//! | `output` | from the bytes on its two pipes to ordered, attributed [`Output`](phalanx_protocol::output::Output)s; pure |
//! | `owner` | the other end: starts the process, feeds it cells, reports what happens |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod output;
mod owner;
mod process;

pub use owner::{
    FunctionCall, HostCall, HostReplier, ProcessId, Runtime, RuntimeConfig, RuntimeEvent,
    StartError, StdinSource,
};
pub use process::process_main;

/// Environment variable that holds the path of the owner's control socket.
const CONTROL_SOCKET_VAR: &str = "PHALANX_CONTROL_SOCKET";

/// The page that owner and runtime share, beside the control socket.
const PAGE_FILE: &str = "page";
/// The word in which the owner asks the cell to stop.
const STOP_WORD: usize = 0;
/// The word in which a cell that polls the other one announces it.
const ASKED_WORD: usize = 1;
/// The word in which the runtime's processes count the snapshots they take.
const SNAPSHOTS_WORD: usize = 2;
/// The word in which the owner writes the last run up to which calls must not begin any more.
const RECALL_WORD: usize = 3;
/// The word that says if code runs, so that none is stopped that has already ended.
const RUN_WORD: usize = 7;
/// Nothing runs.
const IDLE: u32 = 0;
/// Code runs; the runtime's process writes it, and [`IDLE`] once it is done.
const RUNNING: u32 = 1;
/// The owner ends the process: none of its messages is handled any more.
const CONDEMNED: u32 = 2;
/// The word in which the owner counts, before and after it reads one of the pipes.
const READING_WORD: usize = 4;
/// The words in which the owner counts the bytes it has read from stdout and stderr, modulo 2³².
const READ_WORDS: [usize; 2] = [5, 6];
