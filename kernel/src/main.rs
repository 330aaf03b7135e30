//! The program `phalanx`: kernel, engine, controller and the processes they start.

use std::process::ExitCode;

fn main() -> ExitCode {
    phalanx_evaluator::hook();
    phalanx_kernel::cli::main()
}
