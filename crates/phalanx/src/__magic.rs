//! Functions that magics within Rust code are lowered to.

use crate::{__cell, AsyncResult, Error, host, profile, timing};
use phalanx_protocol::host::{CellRequest, HostReply, MAGIC_FAILED};
use std::hint::black_box;
use std::time::Instant;

pub use crate::variables::{ByDebug, ByHeap, ByName, BySize, MeasuredVariable, ShownVariable, who};

/// Runs a line magic as a statement.
///
/// If the magic fails, the cell ends, and the kernel reports the error.
pub fn run(line: &str) {
    match call(line) {
        Ok(_) => {}
        Err(_) => fail(),
    }
}

/// Runs a `%px` whose AsyncResult is used.
///
/// If the magic fails, the cell ends, and the kernel reports the error.
pub fn submit(line: &str) -> AsyncResult {
    match call(line) {
        Ok(HostReply::AsyncResult(id)) => AsyncResult::from_id(id.0),
        _ => fail(),
    }
}

/// Prints the execution time of code: `%timeit`.
pub fn timeit<T>(loops: Option<u64>, runs: Option<usize>, mut code: impl FnMut() -> T) {
    let measured = timing::measure(loops, runs, &mut |loops| {
        let begin = Instant::now();
        for _ in 0..loops {
            black_box(code());
        }
        begin.elapsed()
    });
    println!("{measured}");
}

/// Starts a profile: `%prof`.
pub fn profile_begin() {
    profile::begin();
}

/// Stops the profile and shows it.
pub fn profile_end() {
    profile::end();
}

fn call(line: &str) -> Result<HostReply, Error> {
    let line = line.to_owned();
    host::call(&CellRequest::Magic { line }.into())
}

fn fail() -> ! {
    __cell::report_panic(MAGIC_FAILED, "");
    // Bypasses the panic hook: the kernel reports the error.
    std::panic::resume_unwind(Box::new(MAGIC_FAILED))
}
