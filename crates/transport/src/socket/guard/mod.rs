//! A guard that listens in place of zeromq and forwards the bytes to zeromq's Unix socket.
//!
//! zeromq allocates any length that a frame announces before it verifies a signature, and blocks
//! all connections while a slow subscriber reads. The guard checks lengths against a limit and
//! gives each peer a buffer of its own; peers that do not read or do not complete the handshake are
//! disconnected, and closing waits until everything is sent.

mod frames;
mod handshake;
mod listener;
mod pending_handshakes;
mod pump;

use super::paused::PausedPeers;
use super::{BindError, Endpoint, SocketKind};
use crate::warn_rarely;
use frames::FrameLimits;
use listener::Listener;
use pending_handshakes::PendingHandshake;
use phalanx_sys::limits;
use phalanx_sys::temporary::TemporaryFolder;
use pump::{PeerLimits, Pump};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// The size of a subscriber's buffer, in bytes. If it is full and nothing is read for
/// [`STALL_LIMIT`], the subscriber is disconnected.
const SUBSCRIBER_BYTES: usize = 64 << 20;
/// The size of any other peer's buffer, in bytes; the sender waits while it is full.
const PEER_BYTES: usize = 1 << 20;
/// Time limit for a subscriber with a full buffer, during which all others wait.
pub(crate) const STALL_LIMIT: Duration = Duration::from_secs(1);
/// Delay after a failure to accept, such as one from too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The longest path, in bytes, that certainly fits into the address of a Unix socket.
const PATH_LIMIT: usize = 90;

/// A listener and the connections it has accepted.
#[derive(Debug)]
pub(crate) struct Guard {
    pumps: TaskTracker,
    /// Stops the listener on drop; pumps end once both of their sides have.
    _accepts: DropGuard,
    shortcut: PathBuf,
    _folder: Arc<TemporaryFolder>,
}

/// A bound guard that does not accept yet.
pub(crate) struct BoundGuard {
    /// The endpoint with the actual port.
    pub endpoint: Endpoint,
    /// The endpoint on which zeromq listens.
    pub inner: Endpoint,
    listener: Listener,
    path: PathBuf,
    /// The listener for peers on this machine, if they are guarded too.
    local: Option<(Listener, PathBuf)>,
    folder: Arc<TemporaryFolder>,
}

/// The settings of a guard's connections.
#[derive(Clone)]
pub(crate) struct GuardOptions {
    /// The kind of the socket.
    pub kind: SocketKind,
    /// The time limit of handshakes.
    pub greeting: Duration,
    /// The peers that are not read, if single peers can be paused.
    pub paused: Option<Arc<PausedPeers>>,
}

impl BoundGuard {
    /// Binds the endpoint. With `local`, peers on this machine are guarded too.
    pub async fn new(endpoint: &Endpoint, local: bool) -> Result<Self, BindError> {
        let refused = |error: std::io::Error| BindError {
            endpoint: endpoint.clone(),
            reason: limits::describe(&error),
        };
        let (listener, bound) = Listener::bind(endpoint).await.map_err(refused)?;
        let folder = folder().map_err(refused)?;
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        let path = folder.path().join(&name);
        let local = match local {
            true => {
                let path = folder.path().join(format!("{name}-guarded"));
                let listener = Listener::bind(&Endpoint::Ipc(path.clone())).await;
                Some((listener.map_err(refused)?.0, path))
            }
            false => None,
        };
        Ok(Self {
            endpoint: bound,
            inner: Endpoint::Ipc(path.clone()),
            listener,
            path,
            local,
            folder,
        })
    }

    /// Starts to accept, once zeromq listens.
    pub fn accept(self, options: &GuardOptions) -> Guard {
        let pumps = TaskTracker::new();
        let stop = CancellationToken::new();
        let accept = |listener| {
            let accepting = accept(listener, self.path.clone(), options.clone(), pumps.clone());
            let stopped = stop.clone();
            // Ends when `stop` is cancelled by dropping the guard.
            tokio::spawn(async move {
                tokio::select! {
                    () = accepting => {}
                    () = stopped.cancelled() => {}
                }
            });
        };
        accept(self.listener);
        let shortcut = match self.local {
            Some((listener, path)) => {
                accept(listener);
                path
            }
            None => self.path.clone(),
        };
        Guard {
            pumps,
            _accepts: stop.drop_guard(),
            shortcut,
            _folder: self.folder,
        }
    }
}

impl Guard {
    /// Returns the path by which peers on this machine connect.
    pub fn shortcut(&self) -> &Path {
        &self.shortcut
    }

    /// Waits until all bytes are forwarded; zeromq must have closed its side.
    pub async fn close(self, limit: Duration) -> bool {
        drop(self._accepts);
        self.pumps.close();
        tokio::time::timeout(limit, self.pumps.wait()).await.is_ok()
    }
}

async fn accept(listener: Listener, path: PathBuf, options: GuardOptions, pumps: TaskTracker) {
    let limits = FrameLimits::of_this_machine();
    let greeting = options.greeting;
    let patience = match options.kind {
        SocketKind::Pub => PeerLimits {
            bytes: SUBSCRIBER_BYTES,
            stall: Some(STALL_LIMIT),
            greeting,
        },
        _ => PeerLimits {
            bytes: PEER_BYTES,
            stall: None,
            greeting,
        },
    };
    loop {
        let (peer, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                refused(&error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let pump = Pump {
            inner: path.clone(),
            limits,
            patience,
            pending: address.map(PendingHandshake::enter),
            paused: options.paused.clone(),
        };
        drop(pumps.spawn(pump.run(peer)));
    }
}

/// True once a connection was refused because of too many open files.
static FILES_RAN_OUT: AtomicBool = AtomicBool::new(false);

/// Logs that a connection cannot be accepted or forwarded.
fn refused(error: &std::io::Error) {
    if limits::is_reached(error) {
        FILES_RAN_OUT.store(true, Ordering::Relaxed);
    }
    let error = limits::describe(error);
    warn_rarely!(%error, "a connection cannot be accepted");
}

/// Returns true if this process has refused connections because of too many open files.
pub(super) fn ran_out_of_files() -> bool {
    FILES_RAN_OUT.load(Ordering::Relaxed)
}

/// The latest folder, with a weak reference held by its sockets.
static SHARED: Mutex<Option<(PathBuf, Weak<TemporaryFolder>)>> = Mutex::new(None);

/// Removes the folder, even if sockets that are closing still use it.
pub(super) fn remove_folder() {
    let shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    // Also if no socket uses it any more: the last one may be removing it on a thread that will not
    // finish.
    if let Some((folder, _)) = &*shared {
        // If this fails, a later attempt would fail as well.
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// Returns the folder of zeromq's sockets: one per process, of mode 0700, removed with the last
/// socket.
fn folder() -> std::io::Result<Arc<TemporaryFolder>> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(folder) = shared.as_ref().and_then(|(_, folder)| folder.upgrade()) {
        return Ok(folder);
    }
    let usual = std::env::temp_dir();
    let parent = if usual.as_os_str().len() > PATH_LIMIT {
        Path::new("/tmp")
    } else {
        &usual
    };
    let folder = Arc::new(TemporaryFolder::new_in("sockets", parent)?);
    *shared = Some((folder.path().to_owned(), Arc::downgrade(&folder)));
    Ok(folder)
}
