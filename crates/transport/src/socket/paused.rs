//! Peers that are not read: backpressure on single peers of a ROUTER.

use bytes::Bytes;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The peers of a socket that are not read for now, by their identities.
#[derive(Debug, Default)]
pub(crate) struct PausedPeers {
    paused: Mutex<HashSet<Bytes>>,
    resumed: Notify,
}

impl PausedPeers {
    fn paused(&self) -> MutexGuard<'_, HashSet<Bytes>> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn contains(&self, peer: &[u8]) -> bool {
        self.paused().contains(peer)
    }

    /// Completes when a peer is resumed after this call.
    pub fn change(&self) -> Notified<'_> {
        self.resumed.notified()
    }

    /// Waits until a peer is not paused. Cancel safe.
    pub async fn resumed(&self, peer: &[u8]) {
        loop {
            let change = self.change();
            if !self.contains(peer) {
                return;
            }
            change.await;
        }
    }
}

/// Pauses and resumes the reading of single peers of a ROUTER, so that a peer that sends more than
/// can be kept waits by itself. Its messages stay with it, as in ZeroMQ when a socket is not read;
/// some that are on their way are still received.
#[derive(Clone, Debug, Default)]
pub struct ReadControl(Arc<PausedPeers>);

impl ReadControl {
    /// Stops reading a peer, connected or not.
    pub fn pause(&self, peer: &[u8]) {
        // Copied, so that it does not keep a read buffer alive.
        self.0.paused().insert(Bytes::copy_from_slice(peer));
    }

    /// Reads a peer again.
    pub fn resume(&self, peer: &[u8]) {
        if self.0.paused().remove(peer) {
            self.0.resumed.notify_waiters();
        }
    }

    pub(crate) fn peers(&self) -> Arc<PausedPeers> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_paused_peer_waits_until_it_is_resumed() {
        let control = ReadControl::default();
        let peers = control.peers();
        control.pause(b"a");
        peers.resumed(b"b").await;
        let waits = peers.resumed(b"a");
        tokio::pin!(waits);
        tokio::select! {
            biased;
            () = &mut waits => panic!("it is paused"),
            () = std::future::ready(()) => {}
        }
        control.resume(b"a");
        waits.await;
    }
}
