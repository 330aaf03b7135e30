//! Starting a runtime process: its sockets, its pipes, its first message.

use super::exit_status;
use super::process::READ;
use super::stdin::Stdin;
use super::wire::Wire;
use super::{RuntimeConfig, StartError, StdinSource};
use crate::{CONTROL_SOCKET_VAR, PAGE_FILE};
use phalanx_protocol::host::HOST_SOCKET_VAR;
use phalanx_protocol::runtime::{RuntimeReply, SupervisorReply};
use phalanx_sys::page::SharedPage;
use phalanx_sys::temporary::TemporaryFolder;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::UnixListener;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// The time for a runtime to become ready; it only loads itself.
const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// The requested size of the output pipes, in bytes: room for the output between two reads.
const PIPE_SIZE: usize = 1 << 20;

/// A runtime process that is ready.
pub(super) struct StartedRuntime {
    /// The folder of the sockets; mode 0700, removed with the last reference to the process.
    pub(super) _folder: TemporaryFolder,
    /// The supervisor, which is the leader of the process group.
    pub(super) child: Child,
    pub(super) supervisor: Wire,
    /// The process that runs cells.
    pub(super) pid: u32,
    pub(super) control: Wire,
    /// The socket to which snapshots connect.
    pub(super) snapshots: UnixListener,
    pub(super) host: UnixListener,
    pub(super) stdin: Stdin,
    pub(super) stdout: Receiver,
    pub(super) stderr: Receiver,
    pub(super) page: SharedPage,
    /// The buffer for reads of the pipes.
    pub(super) buffer: Vec<u8>,
}

pub(super) async fn start(config: &RuntimeConfig) -> Result<StartedRuntime, StartError> {
    let folder = TemporaryFolder::new("runtime").map_err(StartError::Folder)?;
    let control_path = folder.path().join("control");
    let host_path = folder.path().join("host");
    let listener = UnixListener::bind(&control_path).map_err(StartError::Folder)?;
    let host = UnixListener::bind(&host_path).map_err(StartError::Folder)?;
    let (stdin, theirs) = match config.input {
        StdinSource::Nothing => (Stdin::none(), Stdio::null()),
        StdinSource::Owner => {
            let (stdin, theirs) = Stdin::create(folder.path()).map_err(StartError::Folder)?;
            (stdin, theirs.into())
        }
    };
    let page = SharedPage::create(&folder.path().join(PAGE_FILE)).map_err(StartError::Folder)?;
    let mut child = Command::new(&config.program)
        .args(&config.args)
        .env(CONTROL_SOCKET_VAR, &control_path)
        .env(HOST_SOCKET_VAR, &host_path)
        // A panic with a backtrace takes 77 ms; `RUST_LIB_BACKTRACE` enables it within a cell.
        .env("RUST_BACKTRACE", "0")
        .envs(config.env.iter().cloned())
        .stdin(theirs)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A process group of its own: a terminal's Ctrl-C must not reach it, and killing it kills
        // its children. The supervisor exits when our end of its connection is closed, and ends the
        // processes started by cells.
        .process_group(0)
        .spawn()
        .map_err(|source| StartError::Spawn {
            program: config.program.clone(),
            source,
        })?;
    let not_ready = |what: &str| StartError::NotReady(what.to_owned());
    let stdout = child.stdout.take().ok_or_else(|| not_ready("no stdout"))?;
    let stderr = child.stderr.take().ok_or_else(|| not_ready("no stderr"))?;
    let stdout = pipe(stdout.into_owned_fd()).map_err(StartError::Folder)?;
    let mut stderr = pipe(stderr.into_owned_fd()).map_err(StartError::Folder)?;
    let ready = async {
        tokio::select! {
            connected = ready(&listener) => connected,
            status = child.wait() => Err(io::Error::other(exit_status::of_wait(status).to_string())),
        }
    };
    match timeout(READY_TIMEOUT, ready).await {
        Ok(Ok(ready)) => Ok(StartedRuntime {
            _folder: folder,
            child,
            supervisor: ready.supervisor,
            pid: ready.pid,
            control: ready.control,
            snapshots: listener,
            host,
            stdin,
            stdout,
            stderr,
            page,
            buffer: vec![0; READ],
        }),
        Ok(Err(error)) => {
            let mut said = String::new();
            let read = timeout(Duration::from_secs(1), stderr.read_to_string(&mut said)).await;
            let said = if matches!(read, Ok(Ok(_))) {
                said
            } else {
                String::new()
            };
            Err(StartError::NotReady(
                format!("{error} {}", said.trim()).trim().to_owned(),
            ))
        }
        Err(_) => Err(not_ready("it did not report in time")),
    }
}

/// Creates the read end of an output pipe, non-blocking and of the requested size.
fn pipe(fd: io::Result<OwnedFd>) -> io::Result<Receiver> {
    let fd = fd?;
    // Beyond the system's limit, the size is unchanged.
    let _ = rustix::pipe::fcntl_setpipe_size(&fd, PIPE_SIZE);
    Receiver::from_owned_fd(fd)
}

struct Ready {
    supervisor: Wire,
    control: Wire,
    pid: u32,
}

/// Waits for the connections of the supervisor, which comes first, and of the process that runs
/// cells.
async fn ready(listener: &UnixListener) -> io::Result<Ready> {
    let mut supervisor = Wire::new(listener.accept().await?.0);
    let up = async {
        let mut control = Wire::new(listener.accept().await?.0);
        match control.next().await? {
            RuntimeReply::Ready { pid } => Ok((control, pid)),
            _ => Err(io::Error::other("it did not report that it is ready")),
        }
    };
    let (control, pid) = tokio::select! {
        up = up => up?,
        said = supervisor.next() => {
            let SupervisorReply::Ended { status, .. } = said? else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            let exit = exit_status::of_raw(status);
            return Err(io::Error::other(exit.to_string()));
        }
    };
    Ok(Ready {
        supervisor,
        control,
        pid,
    })
}
