//! The one thread in which the `zeromq` crate does its work.
//!
//! It keeps a socket's peers in a map whose locks are handed from task to task. A task that was handed one and has not
//! run since holds it; another that waits for that lock without yielding, as the crate does when peers
//! connect or leave, may do so in the very thread that would run the first. Where two peers of a
//! socket come at once, that can stop every thread of a runtime for good. In a single thread
//! nobody ever finds a lock taken.

use std::future::Future;
use std::sync::OnceLock;
use tokio::runtime::{Builder, Handle, RuntimeFlavor};

/// The thread's runtime, started with the first socket; `None` where there can be no thread.
static THREAD: OnceLock<Option<Handle>> = OnceLock::new();

/// Runs what makes a socket, and with it all the tasks of the socket, in the thread; in the
/// caller's, where its runtime has no other.
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
            // The thread's runtime never shuts down, so nothing aborts the task but this drop.
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
