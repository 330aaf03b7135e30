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

/// The rustc that it asks for the standard library.
const RUSTC_VAR: &str = "RUSTC";

/// A program that fails: without a rustc, rust-analyzer reads no standard library.
const NO_RUSTC: &str = "false";

/// The settings of an evaluator process.
#[derive(Clone, Debug)]
pub struct EvaluatorConfig {
    /// A program whose main calls [`process_main`](crate::process_main) when given
    /// `evaluator --kind local|engines [--echo]`.
    pub program: PathBuf,
    /// The namespace it compiles for.
    pub kind: NamespaceKind,
    /// The evaluator it is built around.
    pub backend: Backend,
    /// The socket of the process that is asked for types; without it, cells have to say them.
    pub analysis: Option<PathBuf>,
}

/// The reason an evaluator process did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A folder it needs cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The program could not be run.
    #[error("{} could not be started: {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl StartError {
    /// Returns what a user can do about it.
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

/// An evaluator process; dropping the handle ends it and all it has started.
#[derive(Debug)]
pub struct Evaluator {
    requests: mpsc::UnboundedSender<HandleRequest>,
    pid: Option<u32>,
}

/// A message from an evaluator process.
#[derive(Debug)]
pub enum EvaluatorNotice {
    /// An event of its protocol.
    Event(EvaluatorEvent),
    /// A line of cargo's: what is being built.
    Progress(String),
    /// The process is gone; nothing follows.
    Exited {
        /// `signal 9 (SIGKILL)`, `exit status: 1`, …
        status: String,
        /// The last lines it printed, for whoever has to find out why.
        last_words: String,
    },
}

/// A request from the handle to the actor. Unbounded: a user's actions, one at a time.
#[derive(Debug)]
enum HandleRequest {
    Request(EvaluatorRequest),
    Kill,
}

impl Evaluator {
    /// Starts an evaluator process; returns at once, its first event is `Ready` or `StartFailed`.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub async fn start(
        config: EvaluatorConfig,
    ) -> Result<(Self, mpsc::UnboundedReceiver<EvaluatorNotice>), StartError> {
        let folder = TemporaryFolder::new("evaluator").map_err(temporary(&std::env::temp_dir()))?;
        let socket = folder.path().join("evaluator");
        let listener = UnixListener::bind(&socket).map_err(temporary(folder.path()))?;
        let mut command = Command::new(&config.program);
        command
            .args(config.backend.args(config.kind))
            .env(SOCKET_VAR, &socket)
            // It may be killed at any moment: what it puts there goes with our folder.
            .env("TMPDIR", folder.path());
        let mut build_folder = None;
        if config.backend.builds() {
            let kind = config.kind;
            // May copy what another folder has built, and asks rustup.
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
            // A kernel that was itself started from a cell must not pass evcxr's variables on.
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
        let (requests, commands) = mpsc::unbounded_channel();
        // Unbounded: an event or a few per request, and cargo's lines.
        let (notices_tx, notices) = mpsc::unbounded_channel();
        // Ends when the handle is dropped or the process exits.
        tokio::spawn(actor::run(
            (folder, build_folder),
            listener,
            child,
            commands,
            notices_tx,
        ));
        Ok((Self { requests, pid }, notices))
    }

    /// Sends a request; requests are answered in order.
    pub fn send(&self, request: EvaluatorRequest) {
        // A process that is gone has said so by `Exited`.
        let _ = self.requests.send(HandleRequest::Request(request));
    }

    /// Ends cargo and rustc; the request that is compiling is answered `Failure::Interrupted`.
    pub fn interrupt(&self) {
        self.send(EvaluatorRequest::Interrupt);
    }

    /// The process id, as long as it has not ended at once.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Ends the process at once; `Exited` follows.
    pub fn kill(&self) {
        let _ = self.requests.send(HandleRequest::Kill);
    }
}

/// A folder in which our program stands as the tools that evcxr looks for.
fn tools(folder: &Path, program: &Path) -> io::Result<PathBuf> {
    let tools = folder.join("tools");
    std::fs::create_dir(&tools)?;
    let program = program.canonicalize()?;
    for tool in ["cargo", "rustup"] {
        std::os::unix::fs::symlink(&program, tools.join(tool))?;
    }
    Ok(tools)
}

/// Takes a kept folder to build in, and the name of the toolchain to build with.
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
    // Takes as long as its files take to list, and nobody waits for it.
    std::thread::spawn(move || {
        let cleaned = cache_folder().map(|cache| clean_cache(&cache, cache_limit()));
        if let Ok(Err(error)) = cleaned {
            tracing::warn!(%error, "the cache is not kept within its limit");
        }
    });
    Ok((folder, toolchain_name()))
}

/// The name of the toolchain that rustup chooses in the folder the kernel was started in. It is asked for once,
/// and given to everything that is started: the toolchain stays the same wherever cargo is run.
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
