//! The stack on which cells run: large enough for the arrays of numerical work.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Bytes; the system's own is 8 MiB as a rule. What is not used costs nothing.
const SIZE: u64 = 256 << 20;

/// Set for a process that has been started for its stack.
const STARTED_VAR: &str = "PHALANX_STACK";

/// Starts this program again with a larger stack, if it has a smaller one: the system decides where it
/// ends when a program starts. Returns where that is not needed, or not possible.
pub(super) fn ensure() {
    let limit = getrlimit(Resource::Stack);
    let is_large = limit.current.is_none_or(|current| current >= SIZE);
    if is_large || std::env::var_os(STARTED_VAR).is_some() {
        return;
    }
    // With the smaller one large arrays overflow it, which is told.
    if let Err(error) = start_again(limit.maximum) {
        eprintln!("runtime: the stack stays as small as it is: {error}");
    }
}

fn start_again(maximum: Option<u64>) -> io::Result<()> {
    let current = maximum.map_or(SIZE, |maximum| maximum.min(SIZE));
    let limit = Rlimit {
        current: Some(current),
        maximum,
    };
    setrlimit(Resource::Stack, limit)?;
    let mut arguments = std::env::args_os();
    let mut program = Command::new(std::env::current_exe()?);
    if let Some(name) = arguments.next() {
        program.arg0(name);
    }
    Err(program.args(arguments).env(STARTED_VAR, "1").exec())
}
