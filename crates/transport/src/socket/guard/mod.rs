//! Listens in zeromq's place and passes the bytes on to a Unix socket of its own.
//!
//! zeromq allocates whatever length a frame announces, before any signature is checked, and hands
//! a slow subscriber's connection the time of all others. Here lengths are checked against a
//! limit, each peer has a buffer of its own, one that does not read or does not say what it is is cut
//! off, and closing can wait until everything has left.

mod frames;
mod listener;
mod pump;
mod waiting_room;

use super::{BindError, Endpoint, SocketKind};
use crate::warn_rarely;
use frames::FrameLimits;
use listener::Listener;
use phalanx_sys::limits;
use phalanx_sys::temporary::TemporaryFolder;
use pump::{PeerLimits, Pump};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use waiting_room::WaitingPlace;

/// Bytes that may wait for a subscriber before it is cut off, having read nothing for
/// [`STALL_LIMIT`].
const SUBSCRIBER_BYTES: usize = 64 << 20;
/// Bytes that may wait for any other peer here; what exceeds them waits with the sender.
const PEER_BYTES: usize = 1 << 20;
/// Time everybody waits for a subscriber whose buffer is full.
pub(crate) const STALL_LIMIT: Duration = Duration::from_secs(1);
/// Pause when no connection can be accepted, as when there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Longest path that surely fits into a Unix socket's address.
const PATH_LIMIT: usize = 90;

/// One listener and the connections it has accepted.
#[derive(Debug)]
pub(crate) struct Guard {
    pumps: TaskTracker,
    /// Ends the listener; the pumps end by themselves once both sides have.
    _accepts: DropGuard,
    inner: PathBuf,
    _folder: Arc<TemporaryFolder>,
}

/// A guarded listener that does not accept yet.
pub(crate) struct BoundGuard {
    /// The address it listens on, with the port that was taken.
    pub endpoint: Endpoint,
    /// The address zeromq is to listen on.
    pub inner: Endpoint,
    listener: Listener,
    path: PathBuf,
    folder: Arc<TemporaryFolder>,
}

impl BoundGuard {
    /// Takes the endpoint.
    pub async fn new(endpoint: &Endpoint) -> Result<Self, BindError> {
        let refused = |error: std::io::Error| BindError {
            endpoint: endpoint.clone(),
            reason: limits::describe(&error),
        };
        let (listener, bound) = Listener::bind(endpoint).await.map_err(refused)?;
        let folder = folder().map_err(refused)?;
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        let path = folder.path().join(name);
        Ok(Self {
            endpoint: bound,
            inner: Endpoint::Ipc(path.clone()),
            listener,
            path,
            folder,
        })
    }

    /// Accepts from now on, zeromq being there.
    pub fn accept(self, kind: SocketKind, greeting: Duration) -> Guard {
        let patience = match kind {
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
        let pumps = TaskTracker::new();
        let stop = CancellationToken::new();
        let inner = self.path.clone();
        let accepting = accept(self.listener, self.path, patience, pumps.clone());
        let stopped = stop.clone();
        // Ends when `stop` is cancelled, with the guard.
        tokio::spawn(async move {
            tokio::select! {
                () = accepting => {}
                () = stopped.cancelled() => {}
            }
        });
        Guard {
            pumps,
            _accepts: stop.drop_guard(),
            inner,
            _folder: self.folder,
        }
    }
}

impl Guard {
    /// The path zeromq listens on behind it.
    pub fn inner(&self) -> &Path {
        &self.inner
    }

    /// Waits until all bytes have been passed on, zeromq having closed its side.
    pub async fn close(self, limit: Duration) -> bool {
        drop(self._accepts);
        self.pumps.close();
        tokio::time::timeout(limit, self.pumps.wait()).await.is_ok()
    }
}

async fn accept(listener: Listener, path: PathBuf, patience: PeerLimits, pumps: TaskTracker) {
    let limits = FrameLimits::of_this_machine();
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
            place: address.map(WaitingPlace::enter),
        };
        drop(pumps.spawn(pump.run(peer)));
    }
}

/// True once a connection was refused because too many files were open.
static FILES_RAN_OUT: AtomicBool = AtomicBool::new(false);

/// A connection cannot be accepted or passed on.
fn refused(error: &std::io::Error) {
    if limits::is_reached(error) {
        FILES_RAN_OUT.store(true, Ordering::Relaxed);
    }
    let error = limits::describe(error);
    warn_rarely!(%error, "a connection cannot be accepted");
}

/// Returns true if this process has refused connections since too many files were open.
pub(super) fn ran_out_of_files() -> bool {
    FILES_RAN_OUT.load(Ordering::Relaxed)
}

/// The folder there was last, and whether a socket still has it.
static SHARED: Mutex<Option<(PathBuf, Weak<TemporaryFolder>)>> = Mutex::new(None);

/// Removes the folder, though sockets that are still closing may be in it.
pub(super) fn remove_folder() {
    let shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    // Also where no socket has it any more: the last one may be removing it in a thread that will
    // not come to its end.
    if let Some((folder, _)) = &*shared {
        // What cannot be removed now is not removed by who is left either.
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// The folder, of mode 0700, for zeromq's sockets: one a process, gone with the last of them.
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
