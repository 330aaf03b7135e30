//! The single thread on which the `zeromq` crate runs.
//!
//! zeromq keeps a socket's peers in a map with fair locks, which are passed on to a waiting task.
//! That task holds the lock even before it runs again; another one that blocks on it, as zeromq
//! does when peers connect or leave, may block the very thread that would run the first. If two
//! peers of a socket connect at once, this can block every thread of a runtime forever. On a single
//! thread no lock is ever contended.

use std::future::Future;
use std::sync::OnceLock;
use tokio::runtime::{Builder, Handle, RuntimeFlavor};

/// The runtime of the thread, started for the first socket; `None` if it could not be started.
static THREAD: OnceLock<Option<Handle>> = OnceLock::new();

/// Creates a socket, and with it all of its tasks, on the thread; on the caller's if its runtime is
/// single-threaded.
pub(super) async fn run<T: Send + 'static>(making: impl Future<Output = T> + Send + 'static) -> T {
    let alone = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
    let thread = match THREAD.get_or_init(start) {
        Some(thread) if !alone => thread,
        _ => return making.await,
    };
    let made = tokio_util::task::AbortOnDropHandle::new(thread.spawn(making));
    match made.await {
        Ok(made) => made,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime never shuts down, so only dropping this task aborts it.
            Err(_) => std::future::pending().await,
        },
    }
}

fn start() -> Option<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build().ok()?;
    let handle = runtime.handle().clone();
    let thread = std::thread::Builder::new().name("sockets".to_owned());
    // Ends with the process.
    let spawned = thread.spawn(move || runtime.block_on(std::future::pending::<()>()));
    spawned.ok().map(|_| handle)
}
