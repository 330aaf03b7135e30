//! The commands of `phalanx`.

mod cache;
mod cluster;
mod doctor;
mod export;
mod install;
mod kernel;
mod lab_extension;
mod trial;

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use phalanx_evaluator::Backend;
use phalanx_protocol::evaluator::NamespaceKind;
use phalanx_transport::log;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A Rust kernel for Jupyter with parallel computing built in.
#[derive(Debug, Parser)]
#[command(name = "phalanx", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Serve a frontend; started by Jupyter.
    Kernel {
        /// Jupyter's connection file. It is written if it does not exist; without this option, in
        /// Jupyter's runtime folder.
        #[arg(long, short = 'f')]
        connection_file: Option<PathBuf>,
        /// Use the echo backend.
        #[cfg(feature = "echo")]
        #[arg(long, hide = true)]
        echo: bool,
        /// Arguments that frontends append for kernels of other languages, such as the file of
        /// `jupyter run`; they are ignored.
        #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
        ignored: Vec<OsString>,
    },
    /// Register this kernel with Jupyter.
    Install(install::InstallArgs),
    /// Remove the registration with Jupyter.
    Uninstall(install::UninstallArgs),
    /// Check this machine for problems and print the remedies.
    Doctor {
        /// Repair the problems that commands can repair.
        #[arg(long)]
        fix: bool,
    },
    /// Show or clear the cache of builds and other files shared by all sessions.
    Cache {
        #[command(subcommand)]
        command: Option<cache::CacheCommand>,
    },
    /// Convert a notebook to a cargo project with the same output.
    Export(export::ExportArgs),
    /// Compile cells for a kernel.
    #[command(hide = true)]
    Evaluator {
        /// Namespace to compile for.
        #[arg(long)]
        kind: Kind,
        /// Use the echo backend.
        #[cfg(feature = "echo")]
        #[arg(long)]
        echo: bool,
    },
    /// Find types, completions and documentation for a kernel and its evaluators.
    #[command(hide = true)]
    Analysis {
        /// Use the echo backend.
        #[cfg(feature = "echo")]
        #[arg(long)]
        echo: bool,
    },
    /// Join a controller and run the cells it sends.
    Engine(phalanx_engine::EngineArgs),
    /// Serve engines and clients, as the kernel's own controller does.
    Controller(Box<phalanx_controller::ServerArgs>),
    /// Start, stop and list clusters that outlive a notebook.
    #[command(subcommand)]
    Cluster(cluster::ClusterSubcommand),
    /// Run compiled cells for a kernel or an engine.
    #[command(hide = true)]
    Runtime,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Local,
    Engines,
}

/// Parses the command line and runs its command.
pub fn main() -> ExitCode {
    // Each engine and each client takes several of the controller's file descriptors.
    phalanx_sys::limits::raise_open_files();
    let code = run();
    phalanx_transport::socket::remove_files();
    code
}

fn run() -> ExitCode {
    match Arguments::parse().command {
        CliCommand::Kernel {
            connection_file,
            #[cfg(feature = "echo")]
            echo,
            ignored,
        } => {
            #[cfg(not(feature = "echo"))]
            let echo = false;
            ended(kernel::run(connection_file, &ignored, backend(echo)))
        }
        CliCommand::Install(args) => ended(install::install(&args, backend(false))),
        CliCommand::Uninstall(args) => ended(install::uninstall(&args)),
        CliCommand::Doctor { fix } => doctor::run(fix, backend(false)),
        CliCommand::Cache { command } => ended(cache::run(command)),
        CliCommand::Export(args) => ended(export::run(&args)),
        CliCommand::Evaluator {
            kind,
            #[cfg(feature = "echo")]
            echo,
        } => {
            #[cfg(not(feature = "echo"))]
            let echo = false;
            evaluator(kind, echo)
        }
        CliCommand::Analysis {
            #[cfg(feature = "echo")]
            echo,
        } => {
            #[cfg(not(feature = "echo"))]
            let echo = false;
            match backend(echo) {
                Some(backend) => phalanx_evaluator::analysis_main(backend),
                None => not_built(),
            }
        }
        CliCommand::Engine(args) => {
            log::to_stderr(None);
            let joined = phalanx_engine::cli::main(&args);
            ended(joined.map(drop).map_err(Into::into))
        }
        CliCommand::Controller(args) => {
            let logs = log_of_controller(&args);
            match logs.and_then(|()| serving()) {
                Ok(runtime) => runtime.block_on(phalanx_controller::run_server(*args)),
                Err(error) => ended(Err(error)),
            }
        }
        CliCommand::Cluster(command) => ended(cluster::run(command, backend)),
        CliCommand::Runtime => phalanx_runtime::process_main(),
    }
}

/// Converts a command's result to an exit code, with the error on stderr.
fn ended(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("phalanx: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Logs according to a controller's options: to stderr or a file, from a given level on.
fn log_of_controller(args: &phalanx_controller::ServerArgs) -> anyhow::Result<()> {
    let level = args.log_level.map(|level| level.0);
    let Some(path) = args.log_file() else {
        log::to_stderr(level);
        return Ok(());
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let file = std::fs::create_dir_all(folder).and_then(|()| File::create(&path));
    let file = file.with_context(|| format!("cannot log to {}", path.display()))?;
    log::to_file(level, file);
    Ok(())
}

/// Builds a single-threaded runtime: a message passes through many tasks, and waking another thread
/// for each would cost more than the work. Long computations run on other threads or in other
/// processes.
fn serving() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")
}

fn evaluator(kind: Kind, echo: bool) -> ExitCode {
    let kind = match kind {
        Kind::Local => NamespaceKind::Local,
        Kind::Engines => NamespaceKind::Engines,
    };
    match backend(echo) {
        Some(backend) => phalanx_evaluator::process_main(kind, backend),
        None => not_built(),
    }
}

/// The error of a program without evcxr.
const NOT_BUILT: &str =
    "this program was built without evcxr: it has only the echo backend, which is for tests";

fn not_built() -> ExitCode {
    eprintln!("phalanx: {NOT_BUILT}");
    ExitCode::FAILURE
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
