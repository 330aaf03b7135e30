//! Optional deadlines.

use std::time::Instant;

/// Waits until the deadline, or forever if there is none. Cancel safe.
pub async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
