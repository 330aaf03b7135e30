//! The functions that magics in Rust text are lowered to.

use crate::{__cell, AsyncResult, Error, host, profile, timing};
use phalanx_protocol::host::{HostReply, HostRequest, MAGIC_FAILED};
use std::hint::black_box;
use std::time::Instant;

pub use crate::variables::{ByDebug, ByHeap, ByName, BySize, MeasuredVariable, ShownVariable, who};

/// Runs a line magic as a statement.
///
/// A magic that fails ends the cell; the kernel, which knows why, reports it.
pub fn run(line: &str) {
    match call(line) {
        Ok(_) => {}
        Err(_) => fail(),
    }
}

/// Runs a `%px` whose AsyncResult is wanted.
///
/// A magic that fails ends the cell; the kernel, which knows why, reports it.
pub fn submit(line: &str) -> AsyncResult {
    match call(line) {
        Ok(HostReply::AsyncResult(id)) => AsyncResult::from_id(id.0),
        _ => fail(),
    }
}

/// Prints how long code takes: `%timeit`.
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

/// Begins a profile: `%prof`.
pub fn profile_begin() {
    profile::begin();
}

/// Shows the profile that was begun.
pub fn profile_end() {
    profile::end();
}

fn call(line: &str) -> Result<HostReply, Error> {
    host::call(&HostRequest::Magic {
        line: line.to_owned(),
    })
}

fn fail() -> ! {
    __cell::report_panic(MAGIC_FAILED, "");
    // Past the panic hook: the message is the kernel's.
    std::panic::resume_unwind(Box::new(MAGIC_FAILED))
}
