//! The kernel's end of an evaluator process.

mod actor;

use crate::cache::{cache_limit, clean_cache};
use crate::environment::{BUILD_FOLDER_VAR, CARGO_VAR, SOCKET_VAR, TOOLS_VAR};
use crate::evaluate::Backend;
use crate::folder::BuildFolder;
use crate::folder_check::{FolderError, FolderUse, cache_folder, check_folders};
use phalanx_protocol::evaluator::{EvaluatorEvent, EvaluatorRequest, NamespaceKind};
use phalanx_sys::temporary::TemporaryFolder;
use phalanx_toolchain::rustup::{self, TOOLCHAIN_VAR};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use tokio::net::UnixListener;
use tokio::process::Command;
use tokio::sync::mpsc;

/// The environment variable with the rustc that rust-analyzer queries for the standard library.
const RUSTC_VAR: &str = "RUSTC";

/// A program that fails: without a rustc, rust-analyzer does not read the standard library.
const NO_RUSTC: &str = "false";

/// The settings of an evaluator process.
#[derive(Clone, Debug)]
pub struct EvaluatorConfig {
    /// A program whose `main` calls [`process_main`](crate::process_main) for the arguments
    /// `evaluator --kind local|engines [--echo]`.
    pub program: PathBuf,
    /// The kind of namespace it compiles for.
    pub kind: NamespaceKind,
    /// The evaluator to use.
    pub backend: Backend,
    /// The socket of the analysis process; without it, cells need type annotations.
    pub analysis: Option<PathBuf>,
}

/// The reason why an evaluator process did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A required folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The program could not be started.
    #[error("{} could not be started: {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl StartError {
    /// Returns the remedy, for users.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Folder(error) => error.remedy(),
            Self::Spawn { .. } => {
                "`phalanx doctor` finds out what is wrong on this machine".to_owned()
            }
        }
    }
}

/// An evaluator process; dropping the handle kills it and all processes it has started.
#[derive(Debug)]
pub struct Evaluator {
    requests: mpsc::UnboundedSender<EvaluatorHandleRequest>,
    pid: Option<u32>,
}

/// A message from an evaluator process.
#[derive(Debug)]
pub enum EvaluatorMessage {
    /// An event of its protocol.
    Event(EvaluatorEvent),
    /// A progress line of cargo.
    Progress(String),
    /// The process has exited; no further messages follow.
    Exited {
        /// The status, such as `signal 9 (SIGKILL)` or `exit status: 1`.
        status: String,
        /// The last lines of its output, to find out the cause.
        last_output: String,
    },
}

/// A request from the handle to the actor. Unbounded, since each is caused by an action of the
/// user.
#[derive(Debug)]
enum EvaluatorHandleRequest {
    Request(EvaluatorRequest),
    Kill,
}

impl Evaluator {
    /// Starts an evaluator process without waiting for it; its first event is `Ready` or
    /// `StartFailed`.
    ///
    /// # Errors
    /// [`StartError`] if the process cannot be started.
    pub async fn start(
        config: EvaluatorConfig,
    ) -> Result<(Self, mpsc::UnboundedReceiver<EvaluatorMessage>), StartError> {
        let folder = TemporaryFolder::new("evaluator").map_err(temporary(&std::env::temp_dir()))?;
        let socket = folder.path().join("evaluator");
        let listener = UnixListener::bind(&socket).map_err(temporary(folder.path()))?;
        let mut command = Command::new(&config.program);
        command
            .args(config.backend.args(config.kind))
            .env(SOCKET_VAR, &socket)
            // It may be killed at any moment: its temporary files are removed with our folder.
            .env("TMPDIR", folder.path());
        let mut build_folder = None;
        if config.backend.builds() {
            let kind = config.kind;
            // May copy builds of another folder, and calls rustup.
            let prepared = tokio::task::spawn_blocking(move || prepare(kind)).await;
            let (built, toolchain) = prepared
                .map_err(io::Error::other)
                .map_err(temporary(folder.path()))??;
            command.env(BUILD_FOLDER_VAR, built.path());
            if let Some(toolchain) = toolchain {
                command.env(TOOLCHAIN_VAR, toolchain);
            }
            build_folder = Some(built);
            if let Some(socket) = &config.analysis {
                command.env(phalanx_analysis::SOCKET_VAR, socket);
            }
            let tools = tools(folder.path(), &config.program).map_err(temporary(folder.path()))?;
            let path = std::env::var_os("PATH").unwrap_or_default();
            let path = std::iter::once(tools.clone()).chain(std::env::split_paths(&path));
            let path = std::env::join_paths(path).map_err(io::Error::other);
            command
                .env("PATH", path.map_err(temporary(folder.path()))?)
                .env(CARGO_VAR, tools.join("cargo"))
                .env(RUSTC_VAR, NO_RUSTC)
                .env(TOOLS_VAR, tools);
        }
        for (name, _) in std::env::vars_os() {
            // A kernel that was itself started from a cell must not pass on evcxr's variables.
            if name.as_encoded_bytes().starts_with(b"EVCXR_IS_") {
                command.env_remove(name);
            }
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| StartError::Spawn {
                program: config.program.clone(),
                source,
            })?;
        let pid = child.id();
        let (requests, received) = mpsc::unbounded_channel();
        // Unbounded: a few events per request, and cargo's lines.
        let (messages_tx, messages) = mpsc::unbounded_channel();
        // Ends when the handle is dropped or the process exits.
        tokio::spawn(actor::run(
            (folder, build_folder),
            listener,
            child,
            received,
            messages_tx,
        ));
        Ok((Self { requests, pid }, messages))
    }

    /// Sends a request; requests are answered in order.
    pub fn send(&self, request: EvaluatorRequest) {
        // A process that has exited has reported it with `Exited`.
        let _ = self.requests.send(EvaluatorHandleRequest::Request(request));
    }

    /// Kills cargo and rustc; the reply to the request being compiled is `Failure::Interrupted`.
    pub fn interrupt(&self) {
        self.send(EvaluatorRequest::Interrupt);
    }

    /// Returns the process id; `None` if it has exited immediately.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Kills the process; `Exited` follows.
    pub fn kill(&self) {
        let _ = self.requests.send(EvaluatorHandleRequest::Kill);
    }
}

/// Creates the folder in which our program is installed as the tools that evcxr calls.
fn tools(folder: &Path, program: &Path) -> io::Result<PathBuf> {
    let tools = folder.join("tools");
    std::fs::create_dir(&tools)?;
    let program = program.canonicalize()?;
    for tool in ["cargo", "rustup"] {
        std::os::unix::fs::symlink(&program, tools.join(tool))?;
    }
    Ok(tools)
}

/// Locks a build folder, and determines the name of the toolchain.
fn prepare(kind: NamespaceKind) -> Result<(BuildFolder, Option<&'static str>), FolderError> {
    check_folders()?;
    let cache = cache_folder()?;
    let kind = match kind {
        NamespaceKind::Local => "local",
        NamespaceKind::Engines => "engines",
    };
    let folder = BuildFolder::acquire(&cache, kind);
    let folder = folder.map_err(|source| FolderError::NotWritable {
        used_as: FolderUse::Cache,
        path: cache,
        source,
    })?;
    // Takes as long as listing its files, and is not awaited.
    std::thread::spawn(move || {
        let cleaned = cache_folder().map(|cache| clean_cache(&cache, cache_limit()));
        if let Ok(Err(error)) = cleaned {
            tracing::warn!(%error, "the cache is not kept within its limit");
        }
    });
    Ok((folder, toolchain_name()))
}

/// Returns the name of the toolchain that rustup selects in the folder the kernel was started in.
/// It is determined once, and passed to all processes, so that the toolchain does not depend on the
/// folder in which cargo runs.
pub(crate) fn toolchain_name() -> Option<&'static str> {
    static NAME: OnceLock<Option<String>> = OnceLock::new();
    let name = || rustup::choice(Path::new(".")).map(|choice| choice.name);
    NAME.get_or_init(name).as_deref()
}

fn temporary(path: &Path) -> impl FnOnce(io::Error) -> FolderError + '_ {
    |source| FolderError::NotWritable {
        used_as: FolderUse::Temporary,
        path: path.to_owned(),
        source,
    }
}
