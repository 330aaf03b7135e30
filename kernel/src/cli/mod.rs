//! The commands of `phalanx`.

mod kernel;

use clap::{Parser, Subcommand, ValueEnum};
use phalanx_evaluator::Backend;
use phalanx_protocol::evaluator::NamespaceKind;
use std::path::PathBuf;
use std::process::ExitCode;

/// A Rust kernel for Jupyter with parallel computing built in.
#[derive(Debug, Parser)]
#[command(name = "phalanx", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a frontend: what Jupyter starts.
    Kernel {
        /// Jupyter's connection file.
        #[arg(long, short = 'f')]
        connection_file: PathBuf,
        /// Evaluate with the twin for tests.
        #[cfg(feature = "echo")]
        #[arg(long, hide = true)]
        echo: bool,
    },
    /// Compile cells for a kernel.
    #[command(hide = true)]
    Evaluator {
        /// What for.
        #[arg(long)]
        kind: Kind,
        /// Evaluate with the twin for tests.
        #[cfg(feature = "echo")]
        #[arg(long)]
        echo: bool,
    },
    /// Run compiled cells for a kernel or an engine.
    #[command(hide = true)]
    Runtime,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Local,
    Engines,
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Kernel {
            connection_file,
            #[cfg(feature = "echo")]
            echo,
        } => {
            #[cfg(not(feature = "echo"))]
            let echo = false;
            ended(kernel::run(&connection_file, backend(echo)))
        }
        Command::Evaluator {
            kind,
            #[cfg(feature = "echo")]
            echo,
        } => {
            #[cfg(not(feature = "echo"))]
            let echo = false;
            evaluator(kind, echo)
        }
        Command::Runtime => phalanx_runtime::process_main(),
    }
}

/// The exit code of a command, its failure on stderr.
fn ended(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("phalanx: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn evaluator(kind: Kind, echo: bool) -> ExitCode {
    let kind = match kind {
        Kind::Local => NamespaceKind::Local,
        Kind::Engines => NamespaceKind::Engines,
    };
    match backend(echo) {
        Some(backend) => phalanx_evaluator::process_main(kind, backend),
        None => {
            eprintln!("phalanx: built without evcxr; only the twin for tests is here");
            ExitCode::FAILURE
        }
    }
}

#[cfg(all(feature = "evcxr", feature = "echo"))]
fn backend(echo: bool) -> Option<Backend> {
    Some(if echo { Backend::Echo } else { Backend::Evcxr })
}

#[cfg(all(feature = "evcxr", not(feature = "echo")))]
fn backend(_: bool) -> Option<Backend> {
    Some(Backend::Evcxr)
}

#[cfg(all(not(feature = "evcxr"), feature = "echo"))]
fn backend(echo: bool) -> Option<Backend> {
    echo.then_some(Backend::Echo)
}

#[cfg(not(any(feature = "evcxr", feature = "echo")))]
fn backend(_: bool) -> Option<Backend> {
    None
}
