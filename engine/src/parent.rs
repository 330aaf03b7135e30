//! Detection of the end of the process that started the engine.

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;

/// Waits until the process has ended; returns at once if no process has this id.
pub async fn ended(pid: Option<u32>) {
    let Some(pid) = pid else {
        return std::future::pending().await;
    };
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    let Ok(process) = pidfd_open(pid, PidfdFlags::NONBLOCK) else {
        return;
    };
    #[expect(
        deprecated,
        reason = "the sound way is unsafe, for types that lie about their descriptor; an OwnedFd does not"
    )]
    let watched = AsyncFd::new(process);
    match watched {
        // The descriptor is readable once the process has ended; an error would not go away by
        // waiting.
        Ok(process) => drop(process.readable().await.map(drop)),
        Err(error) => {
            tracing::error!(%error, "the parent process cannot be watched");
            std::future::pending().await
        }
    }
}
