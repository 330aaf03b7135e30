//! Backpressure: outgoing messages are counted until ZeroMQ has written them to the peer.
//!
//! zeromq queues up to 100,000 messages per peer, of any size, and does not report how many are
//! queued. Each message therefore carries a frame with a drop guard, dropped once the message is
//! encoded for the peer.

use super::{Event, Frames};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// The limits on messages queued for one peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backlog {
    /// The number of messages; below zeromq's own limit of 100,000, at which it starts to block.
    pub messages: usize,
    /// The size in bytes; a single message of any size may be queued if there is no other.
    pub bytes: usize,
}

#[derive(Debug)]
pub(crate) struct SendQueueGauge {
    limit: Backlog,
    messages: AtomicUsize,
    bytes: AtomicUsize,
    freed: Notify,
}

struct Tracked {
    frame: Bytes,
    gauge: Arc<SendQueueGauge>,
    cost: usize,
}

impl AsRef<[u8]> for Tracked {
    fn as_ref(&self) -> &[u8] {
        &self.frame
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.gauge.messages.fetch_sub(1, Ordering::AcqRel);
        self.gauge.bytes.fetch_sub(self.cost, Ordering::AcqRel);
        self.gauge.freed.notify_waiters();
    }
}

impl SendQueueGauge {
    pub fn new(limit: Backlog) -> Arc<Self> {
        Arc::new(Self {
            limit,
            messages: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            freed: Notify::new(),
        })
    }

    /// Returns the number of messages that have not been written yet.
    pub fn waiting(&self) -> usize {
        self.messages.load(Ordering::Acquire)
    }

    pub fn has_room_for(&self, frames: &Frames) -> bool {
        self.has_room(cost(frames))
    }

    fn has_room(&self, cost: usize) -> bool {
        let messages = self.messages.load(Ordering::Acquire);
        let bytes = self.bytes.load(Ordering::Acquire);
        messages == 0 || (messages < self.limit.messages && bytes + cost <= self.limit.bytes)
    }

    /// Counts a message until it is dropped.
    pub fn track(self: &Arc<Self>, frames: &mut Frames) {
        let cost = cost(frames);
        let Some(frame) = frames.pop() else { return };
        self.messages.fetch_add(1, Ordering::AcqRel);
        self.bytes.fetch_add(cost, Ordering::AcqRel);
        frames.push(Bytes::from_owner(Tracked {
            frame,
            gauge: self.clone(),
            cost,
        }));
    }

    /// Waits until a message of `cost` bytes may be sent; returns false if the time limit is
    /// exceeded.
    pub async fn room(&self, cost: usize, limit: Duration) -> bool {
        if self.has_room(cost) {
            return true;
        }
        tokio::time::timeout(limit, async {
            loop {
                let freed = self.freed.notified();
                if self.has_room(cost) {
                    return;
                }
                freed.await;
            }
        })
        .await
        .is_ok()
    }
}

/// The size of received messages that have not been read from the queue. At the limit, nothing is
/// read from the peers until some are taken.
#[derive(Debug)]
pub(crate) struct UnreadBytes {
    limit: usize,
    bytes: AtomicUsize,
    taken: Notify,
}

impl UnreadBytes {
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            bytes: AtomicUsize::new(0),
            taken: Notify::new(),
        })
    }

    /// Waits until the next message may be received.
    pub async fn room(&self) {
        loop {
            let taken = self.taken.notified();
            if self.bytes.load(Ordering::Acquire) < self.limit {
                return;
            }
            taken.await;
        }
    }

    /// Adds a queued message.
    pub fn put(&self, event: &Event) {
        if let Event::Message(frames) = event {
            self.bytes.fetch_add(cost(frames), Ordering::AcqRel);
        }
    }

    /// Subtracts a message taken from the queue.
    pub fn take(&self, event: &Event) {
        if let Event::Message(frames) = event {
            self.bytes.fetch_sub(cost(frames), Ordering::AcqRel);
            // At most one task waits; a leftover permit only causes an additional check.
            self.taken.notify_one();
        }
    }
}

/// Returns the size of a message, in bytes.
pub(crate) fn cost(frames: &Frames) -> usize {
    frames.iter().map(Bytes::len).sum()
}

/// The gauges of a socket: one per peer for ROUTER, else a single one.
#[derive(Debug)]
pub(crate) enum SendQueueGauges {
    One(Arc<SendQueueGauge>),
    PerPeer {
        limit: Backlog,
        peers: Mutex<HashMap<Bytes, Arc<SendQueueGauge>>>,
    },
}

impl SendQueueGauges {
    pub fn new(per_peer: bool, limit: Backlog) -> Self {
        if per_peer {
            Self::PerPeer {
                limit,
                peers: Mutex::default(),
            }
        } else {
            Self::One(SendQueueGauge::new(limit))
        }
    }

    pub fn of(&self, frames: &Frames) -> Arc<SendQueueGauge> {
        match self {
            Self::One(gauge) => gauge.clone(),
            Self::PerPeer { limit, peers } => {
                let peer = frames.first().cloned().unwrap_or_default();
                let mut peers = peers.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(gauge) = peers.get(&peer) {
                    return gauge.clone();
                }
                // Copied, so that the key does not keep a read buffer alive.
                let peer = Bytes::copy_from_slice(&peer);
                peers
                    .entry(peer)
                    .or_insert_with(|| SendQueueGauge::new(*limit))
                    .clone()
            }
        }
    }

    /// Removes the gauge of a disconnected peer.
    pub fn forget(&self, peer: &[u8]) {
        if let Self::PerPeer { peers, .. } = self {
            peers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(peer);
        }
    }

    pub fn all(&self) -> Vec<Arc<SendQueueGauge>> {
        match self {
            Self::One(gauge) => vec![gauge.clone()],
            Self::PerPeer { peers, .. } => peers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .values()
                .cloned()
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Backlog = Backlog {
        messages: 100,
        bytes: 1000,
    };

    #[tokio::test]
    async fn a_message_counts_until_its_last_copy_is_dropped() {
        let gauge = SendQueueGauge::new(LIMIT);
        let mut frames = vec![Bytes::from_static(b"a"), Bytes::new()];
        gauge.track(&mut frames);
        let copy = frames.clone();
        assert_eq!(frames, [Bytes::from_static(b"a"), Bytes::new()]);
        drop(frames);
        assert_eq!(gauge.waiting(), 1);
        drop(copy);
        assert_eq!(gauge.waiting(), 0);
    }

    #[tokio::test]
    async fn the_limits_apply_to_messages_and_bytes_but_not_to_a_single_message() {
        let gauge = SendQueueGauge::new(LIMIT);
        assert!(gauge.room(LIMIT.bytes * 2, Duration::ZERO).await);
        let mut large = vec![Bytes::from(vec![0; LIMIT.bytes])];
        gauge.track(&mut large);
        assert!(!gauge.room(1, Duration::ZERO).await);
        drop(large);
        let many: Vec<Frames> = (0..LIMIT.messages)
            .map(|_| {
                let mut frames = vec![Bytes::new()];
                gauge.track(&mut frames);
                frames
            })
            .collect();
        assert!(!gauge.room(0, Duration::ZERO).await);
        drop(many);
        assert!(gauge.room(1, Duration::ZERO).await);
    }

    #[tokio::test]
    async fn reading_pauses_while_too_many_bytes_are_unread() {
        let unread = UnreadBytes::new(1000);
        let large = Event::Message(vec![Bytes::from(vec![0; 1000])]);
        unread.room().await;
        unread.put(&large);
        let waits = unread.room();
        tokio::pin!(waits);
        tokio::select! {
            biased;
            () = &mut waits => panic!("there is no room"),
            () = std::future::ready(()) => {}
        }
        unread.take(&large);
        waits.await;
    }
}
