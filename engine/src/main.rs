//! `phalanx-engine`: joins a controller and runs compiled cells. Does not need a Rust toolchain.

use clap::{Parser, Subcommand};
use phalanx_engine::{EngineArgs, cli};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

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
    log();
    match cli::main(&cli.engine) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("phalanx-engine: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Logs to stderr, filtered by `PHALANX_LOG`; warnings by default.
fn log() {
    let filter = EnvFilter::try_from_env("PHALANX_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,zeromq=error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
