//! `phalanx-engine`: joins a controller and runs compiled cells. Does not need a Rust toolchain.

use clap::{Parser, Subcommand};
use phalanx_engine::{EngineArgs, cli};
use std::process::ExitCode;

/// Joins a controller and runs compiled cells
#[derive(Parser)]
#[command(name = "phalanx-engine", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Run cells for an engine (started by it)
    #[command(hide = true)]
    Runtime,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Command::Runtime) = cli.command {
        return phalanx_runtime::process_main();
    }
    phalanx_transport::log::to_stderr(None);
    match cli::main(&cli.engine) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("phalanx-engine: {error}");
            ExitCode::FAILURE
        }
    }
}
