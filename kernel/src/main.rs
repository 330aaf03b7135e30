//! The program `phalanx`: the kernel, engines, the controller, and the processes they start.

use std::process::ExitCode;

fn main() -> ExitCode {
    phalanx_evaluator::hook();
    phalanx_kernel::cli::main()
}
