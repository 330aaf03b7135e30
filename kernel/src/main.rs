//! The program `phalanx`: the kernel, engines, the controller, and the processes they start.

use std::process::ExitCode;

fn main() -> ExitCode {
    // First: evcxr starts this program again as its runtime, as cargo, rustup and rustc. In those
    // processes this does not return.
    phalanx_evaluator::hook();
    phalanx_kernel::cli::main()
}
