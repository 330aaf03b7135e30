//! The stack of cells: large enough for the arrays of numerical code.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The size in bytes; the system's default is usually 8 MiB. Unused stack takes no memory.
const SIZE: u64 = 256 << 20;

/// Set in a process that was restarted for its stack.
const STARTED_VAR: &str = "PHALANX_STACK";

/// Restarts this program with a larger stack, unless it has one: the system sets the limit when a
/// program starts. Returns if that is not necessary, or not possible.
pub(super) fn ensure() {
    let limit = getrlimit(Resource::Stack);
    let is_large = limit.current.is_none_or(|current| current >= SIZE);
    if is_large || std::env::var_os(STARTED_VAR).is_some() {
        return;
    }
    // Large arrays overflow the smaller stack, which is reported.
    if let Err(error) = start_again(limit.maximum) {
        eprintln!("runtime: the stack could not be enlarged: {error}");
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
