//! The kernel's handle on the analysis process.

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

/// A process that ends sooner than this is not restarted.
const TOO_SOON: Duration = Duration::from_secs(10);

/// The command line of the analysis process.
#[derive(Clone, Debug)]
pub struct AnalysisConfig {
    /// A program whose main function calls [`process_main`](crate::process::process_main) for these
    /// arguments.
    pub program: PathBuf,
    /// The arguments.
    pub args: Vec<OsString>,
    /// Returns environment variables in addition to the kernel's; may block.
    pub env: fn() -> Vec<(OsString, OsString)>,
}

/// A handle on the analysis process. Clones share it; the process ends with the last one.
#[derive(Clone, Debug)]
pub struct AnalysisProcess {
    socket: PathBuf,
    /// Open as long as there is a handle; nothing is sent.
    _alive: mpsc::Sender<()>,
}

impl AnalysisProcess {
    /// Starts the process in the background; its socket exists when this returns, and requests wait
    /// until the crate is loaded. The task ends once the last handle is dropped and the process has
    /// ended.
    ///
    /// # Errors
    /// Returns an error if the folder or the socket cannot be created.
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

    /// Returns the path of the socket, for [`SOCKET_VAR`](crate::SOCKET_VAR).
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Sends a request and waits for the reply; `None` if the process has ended.
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
        // It may be killed at any time, so its temporary files are placed in the folder, which is
        // removed.
        .env("TMPDIR", folder.path())
        .stdin(Stdio::from(listener))
        .stdout(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Restarts the process when it ends, and kills it once the last handle is dropped.
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
        let started = Instant::now();
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
        if started.elapsed() < TOO_SOON {
            // The socket is dropped as well, so that no request waits for it.
            return;
        }
    }
}

/// Kills the process and its children.
fn kill(pid: Option<u32>) {
    if let Some(pid) = pid.and_then(|pid| Pid::from_raw(pid as i32)) {
        // It fails if the group has ended.
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    }
}
