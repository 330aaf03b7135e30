//! Errors of a cell's directives and of the library's requests, with their texts.

use crate::magic::MagicName;
use crate::parallel::results::ForgottenCause;
use crate::report::{Fault, last_lines};
use phalanx_client::AlreadyDone;
use phalanx_evaluator::StartError;
use phalanx_protocol::failure::{Failure, FailureKind};
use phalanx_protocol::id::AsyncResultId;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// The failure of a cell's directive, or of a request of the library.
#[derive(Debug, thiserror::Error)]
pub(super) enum CellError {
    /// `:log` without a default logger.
    #[error("there is no default logger")]
    NoLogger,
    /// `:doc` of an unknown name.
    #[error("`{0}` was not found")]
    Undocumented(String),
    /// `:cd` to a folder that cannot be entered.
    #[error("{} cannot be entered: {error}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// `:cd` to something else than a folder.
    #[error("{} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// `:env` with something else than a variable.
    #[error("`{0}` is not of the form NAME=VALUE")]
    Variable(String),
    /// `:test` in a notebook without tests.
    #[error("no cell has defined a test")]
    NoTests,
    /// `:test` with a part of a path that no test has.
    #[error("no test has `{0}` in its path")]
    NoSuchTest(String),
    /// A command that evcxr or cargo refused.
    #[error("{message}")]
    Refused {
        /// The text of evcxr or cargo.
        message: String,
        /// Its advice.
        help: Option<String>,
    },
    /// A malformed `:dep`, or one of a crate that cannot be read.
    #[error(transparent)]
    Dependency(#[from] DependencyError),
    /// A command in a cell for engines.
    #[error("engines do not execute `{0}`")]
    EngineCommand(String),
    /// A shell line in a cell for engines.
    #[error("engines have no shell for `!{0}`")]
    EngineShell(String),
    /// A magic in a cell for engines.
    #[error("engines do not execute magics such as `{0}`")]
    EngineMagic(String),
    /// A magic without a value where a value is needed.
    #[error("this magic has no value")]
    NoValue,
    /// A magic within Rust text that can only stand on a line of its own.
    #[error("`{0}` cannot stand within Rust code")]
    WithinRust(String),
    /// `--out` within Rust text.
    #[error("`--out` cannot make a variable within Rust code")]
    OutWithinRust,
    /// A magic whose code is empty.
    #[error("there is no Rust code to {}", verb(*.0))]
    NoCode(MagicName),
    /// `%pxresult` before the first `%px`.
    #[error("%pxresult recalls last %px result, which has not yet been used.")]
    NothingToRecall,
    /// The cluster that was started for a cell has ended.
    #[error("the cluster that was just started is gone")]
    ClusterGone,
    /// `%run` with a file of Python.
    #[error("{0} is not Rust")]
    Python(String),
    /// A file that a magic reads.
    #[error("{} cannot be read: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// A file that a magic writes.
    #[error("{} cannot be written: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// rustfmt did not start.
    #[error("rustfmt could not be started: {0}")]
    RustfmtStart(#[source] io::Error),
    /// rustfmt is not part of the toolchain, according to rustup.
    #[error("rustfmt could not be started: {0}")]
    RustfmtMissing(String),
    /// rustfmt cannot parse the cell.
    #[error("rustfmt cannot parse the cell\n{0}")]
    Rustfmt(String),
    /// A shell did not start.
    #[error("`{shell}` could not be started: {error}")]
    ShellStart {
        /// The program.
        shell: String,
        /// The system's error.
        error: io::Error,
    },
    /// The exit status of a shell is unknown.
    #[error("the exit status of `{shell}` is unknown: {error}")]
    ShellStatus {
        /// The program.
        shell: String,
        /// The system's error.
        error: io::Error,
    },
    /// A script failed.
    #[error("{shell} ended with {status}")]
    Script {
        /// The program.
        shell: String,
        /// Its exit status.
        status: ExitStatus,
    },
    /// The evaluator did not start.
    #[error(transparent)]
    EvaluatorStart(#[from] StartError),
    /// The evaluator ended.
    #[error(
        "the process that compiles cells ended ({status}){}",
        last_lines(last_output)
    )]
    EvaluatorEnded {
        /// The system's description.
        status: String,
        /// The last lines it printed.
        last_output: String,
    },
    /// The frontend does not allow `stdin`.
    #[error("this frontend does not support input requests")]
    NoInput,
    /// The kernel does not store an AsyncResult any more, or never did.
    #[error("the kernel does not hold AsyncResult {0} any more")]
    UnknownResult(AsyncResultId, ForgottenCause),
    /// There is nothing left to abort.
    #[error(transparent)]
    Abort(#[from] AlreadyDone),
    /// The outputs of an AsyncResult were requested before it was done.
    #[error("result not ready")]
    NotReady,
}

/// An error in the arguments of `:dep`.
#[derive(Debug, thiserror::Error)]
pub enum DependencyError {
    /// Nothing follows `:dep`.
    #[error("`:dep` needs a crate")]
    NoCrate,
    /// There is no name before `=`.
    #[error("`:dep` needs the name of a crate before `=`")]
    NoName,
    /// A text that no crate is called.
    #[error("`{0}` is not the name of a crate")]
    Name(String),
    /// A folder or manifest cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// A manifest is not TOML.
    #[error("{} is not a valid manifest: {error}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// The fault and its location.
        error: Box<toml::de::Error>,
    },
    /// A folder holds a workspace without a package.
    #[error("{} is a workspace, not a crate", folder.display())]
    Workspace {
        /// The folder.
        folder: PathBuf,
        /// The folders of its crates.
        members: Vec<String>,
    },
    /// A manifest has no package.
    #[error("{} names no package", .0.display())]
    NoPackage(PathBuf),
    /// The text after `=` is not TOML.
    #[error("`{text}` is not a valid dependency: {}", error.message())]
    Configuration {
        /// The text.
        text: String,
        /// The fault.
        error: Box<toml::de::Error>,
    },
}

impl CellError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::NoLogger
            | Self::Undocumented(_)
            | Self::Folder { .. }
            | Self::NotAFolder(_)
            | Self::Variable(_)
            | Self::NoTests
            | Self::NoSuchTest(_)
            | Self::Refused { .. }
            | Self::Dependency(_)
            | Self::EngineCommand(_)
            | Self::EngineShell(_)
            | Self::EngineMagic(_)
            | Self::NoValue
            | Self::WithinRust(_)
            | Self::OutWithinRust
            | Self::NoCode(_)
            | Self::NothingToRecall
            | Self::Python(_)
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::Rustfmt(_)
            | Self::Script { .. }
            | Self::NoInput
            | Self::UnknownResult(..)
            | Self::Abort(_) => FailureKind::Usage,
            Self::RustfmtStart(_)
            | Self::RustfmtMissing(_)
            | Self::ShellStart { .. }
            | Self::ShellStatus { .. }
            | Self::EvaluatorStart(_)
            | Self::EvaluatorEnded { .. } => FailureKind::Environment,
            Self::ClusterGone => FailureKind::Internal,
            Self::NotReady => FailureKind::Timeout,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoLogger => {
                "`:dep log` and `:dep tracing` set one, unless the notebook depends on another crate with a logger"
            }
            Self::Undocumented(_) => {
                "give a name in scope, a path (`std::fs::read`), a command or a magic"
            }
            Self::Folder { .. } | Self::NotAFolder(_) => {
                "relative paths begin at the working folder"
            }
            Self::Variable(_) => "type `:env NAME=VALUE`",
            Self::NoTests | Self::NoSuchTest(_) => "a test is a function with `#[test]` before it",
            Self::Refused { help, .. } => return help.clone(),
            Self::Dependency(error) => return error.hint(),
            Self::EngineCommand(_) => "`:dep` is the only `:` command for engines",
            Self::EngineShell(_) => {
                "use `std::process::Command`; to negate in Rust, write `(!value)`"
            }
            Self::EngineMagic(magic) if magic.contains("timeit") => {
                "`%timeit --targets all CODE` measures on engines"
            }
            Self::EngineMagic(magic) if is_px(magic) => {
                "the code around it runs on the engines already: leave it out, or put it into a cell of its own"
            }
            Self::EngineMagic(_) => "put it into a cell of its own, which runs here",
            Self::NoValue => "only `%px` has a value, an AsyncResult",
            Self::WithinRust(_) => "put it before or after the code, or in a cell of its own",
            Self::OutWithinRust => "write `let ar = %px --noblock …;`",
            Self::NoCode(magic) => {
                return Some(format!("the code goes below the line of `%%{magic}`"));
            }
            Self::Python(path) => return Some(format!("`!python3 {path}` runs it")),
            Self::NothingToRecall => "run something with `%px` first",
            Self::Read { .. } | Self::Write { .. } => {
                "relative paths begin at the working folder, which `!pwd` shows"
            }
            Self::RustfmtStart(_) | Self::RustfmtMissing(_) => {
                "`rustup component add rustfmt` adds it"
            }
            Self::EvaluatorStart(error) => return Some(error.remedy()),
            Self::EvaluatorEnded { .. } => "no variable is lost; run the cell again",
            Self::NoInput => "run it from a notebook, or read from a file",
            Self::UnknownResult(_, ForgottenCause::Purged) => {
                "it was purged (`purge_everything`, `purge_local_results`) when no variable named it; submit it again"
            }
            Self::UnknownResult(_, ForgottenCause::Limits) => {
                "it keeps the latest 4096, of 1 GiB in all (of 64 MiB, where no variable names them), and those under way; none outlives the kernel"
            }
            Self::ClusterGone
            | Self::Rustfmt(_)
            | Self::ShellStart { .. }
            | Self::ShellStatus { .. }
            | Self::Script { .. }
            | Self::Abort(_)
            | Self::NotReady => return None,
        };
        Some(hint.to_owned())
    }
}

impl DependencyError {
    /// The text to type instead.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoCrate | Self::Name(_) => {
                "write `:dep rand`, `:dep rand = \"0.9\"` or `:dep ./folder`"
            }
            Self::NoName | Self::Configuration { .. } => {
                "write it as in Cargo.toml: `name = \"1\"` or `name = { … }`"
            }
            Self::Read { .. } => "relative paths begin at the working folder: see `:cd`",
            Self::Workspace { members, .. } if members.is_empty() => {
                "name the folder of one of its crates"
            }
            Self::Workspace { members, .. } => {
                return Some(format!(
                    "name the folder of one of its crates: {}",
                    members.join(", ")
                ));
            }
            Self::NoPackage(_) => "a crate's Cargo.toml has a `[package]` with a `name`",
            Self::Manifest { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

/// Returns true for the line of a `%px` or `%%px`, with or without a suffix.
fn is_px(line: &str) -> bool {
    let name = line.trim_start_matches('%').split_whitespace().next();
    name.is_some_and(|name| name == "px" || name.starts_with("px_"))
}

impl From<CellError> for Failure {
    fn from(error: CellError) -> Self {
        match error {
            // The code's own failure, as one that leaves a cell through `?`.
            CellError::Script { .. } => Self::Error {
                message: error.to_string(),
                location: None,
            },
            error => Self::new(error.kind(), &error, error.hint()),
        }
    }
}

impl From<CellError> for Fault {
    fn from(error: CellError) -> Self {
        Failure::from(error).into()
    }
}

/// Returns the hint of an interrupted cell on this number of tasks that still run on engines; none if
/// there are no tasks.
pub(super) fn pending_tasks_hint(pending: usize) -> Option<String> {
    let pending = match pending {
        0 => return None,
        1 => "a task continues".to_owned(),
        count => format!("{count} tasks continue"),
    };
    Some(format!(
        "{pending} on engines: `Client::connect()?.abort(&[])?` drops tasks that have not begun, `.send_signal(2)?` interrupts running ones"
    ))
}

fn verb(magic: MagicName) -> &'static str {
    match magic {
        MagicName::TimeIt => "time",
        MagicName::Prof => "profile",
        _ => "run",
    }
}
