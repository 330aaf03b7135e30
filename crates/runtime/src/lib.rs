//! Runs compiled cells in a process of their own, and captures what they put out.
//!
//! | module | what |
//! |---|---|
//! | [`process`] | the runtime process: loads cells and calls them; holds the user's variables and nothing else; its snapshots, and the process above them |
//! | [`output`] | from the bytes on its two pipes to ordered, attributed [`Output`](phalanx_protocol::output::Output)s; pure |
//! | [`owner`] | the other end: starts the process, feeds it cells, reports what happens |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod output;
mod owner;
mod process;

pub use owner::{
    FunctionCall, HostCall, HostReplier, Input, Runtime, RuntimeConfig, RuntimeEvent, StartError,
};
pub use process::process_main;

/// Environment variable that holds the path of the owner's control socket.
const CONTROL_SOCKET_VAR: &str = "PHALANX_CONTROL_SOCKET";

/// The page that owner and runtime share, beside the control socket.
const PAGE_FILE: &str = "page";
/// Where on the page the owner writes that the cell is asked to stop.
const STOP_WORD: usize = 0;
/// Where on the page a cell that looks at the other writes that it does.
const ASKED_WORD: usize = 1;
/// Where on the page the runtime's processes count the snapshots they take.
const SNAPSHOTS_WORD: usize = 2;
/// Where on the page the owner writes up to which run calls that have not begun are not to begin.
const RECALL_WORD: usize = 3;
/// Where on the page stands whether code runs, so that none is stopped that has come to its end.
const RUN_WORD: usize = 7;
/// Nothing runs.
const IDLE: u32 = 0;
/// Code runs; the runtime's process writes it, and [`IDLE`] once it is done.
const RUNNING: u32 = 1;
/// The owner has the process ended: nothing more is heard of it.
const CONDEMNED: u32 = 2;
/// Where on the page the owner counts, before and after it reads one of the pipes.
const READING_WORD: usize = 4;
/// Where on the page the owner counts the bytes it has read from stdout and stderr, modulo 2³².
const READ_WORDS: [usize; 2] = [5, 6];
