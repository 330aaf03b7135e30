//! The state that the handles of a client share with its actor.

use crate::engine::{ClientEvent, Engine};
use crate::task::SubmissionId;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use tokio::sync::{mpsc, watch};

/// The state that all clones of a client and its actor share.
#[derive(Debug)]
pub(crate) struct ClientShared {
    /// The beginning of the ids of all its messages.
    pub session: String,
    pub engines: watch::Sender<Vec<Engine>>,
    /// Unbounded: engines join and leave rarely.
    pub subscribers: Mutex<Vec<mpsc::UnboundedSender<ClientEvent>>>,
    /// The number of submissions.
    pub submissions: AtomicU64,
    /// The reason why the connection is closed, if one was given.
    pub close_reason: OnceLock<String>,
}

impl ClientShared {
    /// Returns the id of the next submission.
    pub fn next_submission(&self) -> SubmissionId {
        SubmissionId(self.submissions.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Returns the reason why the connection is closed.
    pub fn close_reason(&self) -> String {
        let given = self.close_reason.get().cloned();
        given.unwrap_or_else(|| "the client was closed".to_owned())
    }

    pub fn notify(&self, event: &ClientEvent) {
        self.subscribers()
            .retain(|subscriber| subscriber.send(event.clone()).is_ok());
    }

    pub fn subscribers(
        &self,
    ) -> std::sync::MutexGuard<'_, Vec<mpsc::UnboundedSender<ClientEvent>>> {
        self.subscribers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
