//! The state that the handles of a client share with its actor.

use crate::engine::{ClientEvent, Engine};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use tokio::sync::{mpsc, watch};

/// The state that all clones of a client and its actor share.
#[derive(Debug)]
pub(crate) struct ClientShared {
    pub engines: watch::Sender<Vec<Engine>>,
    /// Unbounded: engines join and leave rarely.
    pub subscribers: Mutex<Vec<mpsc::UnboundedSender<ClientEvent>>>,
    pub results: AtomicU64,
}

impl ClientShared {
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
