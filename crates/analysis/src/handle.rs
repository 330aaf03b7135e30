//! The kernel's end of the analysis process.

use phalanx_protocol::analysis::{AnalysisReply, AnalysisRequest};
use phalanx_protocol::frame::{self, Decoder};
use phalanx_sys::temporary::TemporaryFolder;
use rustix::process::{Pid, Signal};
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A process that ends sooner than this is not started again.
const TOO_SOON: Duration = Duration::from_secs(10);

/// The program and the arguments of the analysis process.
#[derive(Clone, Debug)]
pub struct AnalysisConfig {
    /// A program whose main calls [`process_main`](crate::process::process_main) when it is given
    /// these arguments.
    pub program: PathBuf,
    /// The arguments.
    pub args: Vec<OsString>,
    /// Returns variables of its environment besides the kernel's; may take its time.
    pub env: fn() -> Vec<(OsString, OsString)>,
}

/// The analysis process; it ends with the last clone of the handle.
#[derive(Clone, Debug)]
pub struct AnalysisProcess {
    socket: PathBuf,
    /// Open as long as there is a handle; nothing is sent.
    _alive: mpsc::Sender<()>,
}

impl AnalysisProcess {
    /// Starts the process in the background; the socket is there at once, and requests wait for
    /// what is being loaded. The task ends once the last handle and the process are gone.
    ///
    /// # Errors
    /// When the folder or the socket cannot be made.
    pub fn start(config: AnalysisConfig) -> io::Result<(Self, JoinHandle<()>)> {
        let folder = TemporaryFolder::new("analysis")?;
        let socket = folder.path().join("analysis");
        let listener = UnixListener::bind(&socket)?;
        let (alive, ended) = mpsc::channel(1);
        // Ends when the last handle is dropped.
        let task = tokio::spawn(keep_running(config, folder, listener, ended));
        let process = Self {
            socket,
            _alive: alive,
        };
        Ok((process, task))
    }

    /// Returns the path of its socket, for [`SOCKET_VAR`](crate::SOCKET_VAR).
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Asks, and waits for the answer; `None` when there is no process to give one.
    pub async fn ask(&self, request: &AnalysisRequest) -> Option<AnalysisReply> {
        match exchange(&self.socket, request).await {
            Ok(reply) => Some(reply),
            Err(error) => {
                tracing::debug!(%error, "the analysis process does not answer");
                None
            }
        }
    }
}

async fn exchange(socket: &Path, request: &AnalysisRequest) -> io::Result<AnalysisReply> {
    let mut stream = UnixStream::connect(socket).await?;
    let bytes = frame::encode(request).map_err(io::Error::other)?;
    stream.write_all(&bytes).await?;
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 1 << 16];
    loop {
        if let Some(reply) = decoder.decode().map_err(io::Error::other)? {
            return Ok(reply);
        }
        match stream.read(&mut buffer).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => decoder.push(&buffer[..count]),
        }
    }
}

fn spawn(
    config: &AnalysisConfig,
    env: &[(OsString, OsString)],
    folder: &TemporaryFolder,
    listener: &UnixListener,
) -> io::Result<Child> {
    let listener = OwnedFd::from(listener.try_clone()?);
    Command::new(&config.program)
        .args(&config.args)
        .envs(env.iter().map(|(name, value)| (name, value)))
        // It may be killed at any moment: what it puts there goes with the folder.
        .env("TMPDIR", folder.path())
        .stdin(Stdio::from(listener))
        .stdout(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Starts the process again when it has ended, and ends it when nobody needs it.
async fn keep_running(
    config: AnalysisConfig,
    folder: TemporaryFolder,
    listener: UnixListener,
    mut ended: mpsc::Receiver<()>,
) {
    let env = tokio::task::spawn_blocking(config.env).await;
    let env = env.unwrap_or_default();
    loop {
        let mut child = match spawn(&config, &env, &folder, &listener) {
            Ok(child) => child,
            Err(error) => {
                tracing::warn!(%error, "the analysis process cannot be started");
                return;
            }
        };
        let began = Instant::now();
        let pid = child.id();
        tokio::select! {
            _ = ended.recv() => {
                kill(pid);
                let _ = child.wait().await;
                return;
            }
            status = child.wait() => {
                kill(pid);
                tracing::warn!(?status, "the analysis process has ended");
            }
        }
        if began.elapsed() < TOO_SOON {
            // The socket goes too, so that nobody waits for it.
            return;
        }
    }
}

/// Ends the process and what it has started.
fn kill(pid: Option<u32>) {
    if let Some(pid) = pid.and_then(|pid| Pid::from_raw(pid as i32)) {
        // A group that is already gone needs no ending.
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    }
}
