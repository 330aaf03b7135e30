//! Deadlines of loops that may have none.

use std::time::Instant;

/// Returns at a moment; never, where there is none. Cancel safe.
pub async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
