//! The connections of this process that have not completed their handshake.
//!
//! Anybody who can reach a port can open any number of connections, each of which takes a
//! descriptor that a real peer may need. Hence the time of the handshake is limited, and the number
//! of such connections per address: a further one replaces the oldest, which a peer that starts its
//! handshake at once never is.

use phalanx_sys::limits;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// The share of the process's file limit for such connections of one address: 1/8.
const ADDRESS_FRACTION: u64 = 8;
/// The bounds of the resulting number.
const MIN_WAITING: u64 = 32;
const MAX_WAITING: u64 = 4096;

static PENDING: Mutex<Option<PendingHandshakes>> = Mutex::new(None);

#[derive(Debug)]
struct PendingHandshakes {
    limit: usize,
    next: u64,
    waiting: HashMap<IpAddr, VecDeque<(u64, CancellationToken)>>,
}

/// A connection without a handshake, counted until it is dropped.
#[derive(Debug)]
pub(super) struct PendingHandshake {
    address: IpAddr,
    number: u64,
    /// Cancelled when a newer connection replaces this one.
    pub replaced: CancellationToken,
}

impl PendingHandshakes {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            next: 0,
            waiting: HashMap::new(),
        }
    }

    fn enter(&mut self, address: IpAddr) -> PendingHandshake {
        let waiting = self.waiting.entry(address).or_default();
        if waiting.len() >= self.limit
            && let Some((_, oldest)) = waiting.pop_front()
        {
            oldest.cancel();
        }
        self.next += 1;
        let replaced = CancellationToken::new();
        waiting.push_back((self.next, replaced.clone()));
        PendingHandshake {
            address,
            number: self.next,
            replaced,
        }
    }

    fn leave(&mut self, address: &IpAddr, number: u64) {
        let Some(waiting) = self.waiting.get_mut(address) else {
            return;
        };
        // Numbers are in ascending order.
        if let Ok(at) = waiting.binary_search_by_key(&number, |(number, _)| *number) {
            waiting.remove(at);
        }
        if waiting.is_empty() {
            self.waiting.remove(address);
            self.waiting.shrink_to_fit();
        }
    }
}

impl PendingHandshake {
    /// Counts a connection from this address.
    pub fn enter(address: IpAddr) -> Self {
        let mut waiting = PENDING.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = waiting.get_or_insert_with(|| {
            let files = limits::open_files().unwrap_or(u64::MAX);
            let limit = (files / ADDRESS_FRACTION).clamp(MIN_WAITING, MAX_WAITING);
            PendingHandshakes::new(usize::try_from(limit).unwrap_or(usize::MAX))
        });
        pending.enter(address)
    }
}

impl Drop for PendingHandshake {
    fn drop(&mut self) {
        let mut waiting = PENDING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pending) = waiting.as_mut() {
            pending.leave(&self.address, self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_pending_connection_of_an_address_is_dropped_for_a_new_one() {
        let mut pending = PendingHandshakes::new(2);
        let [here, there] = [1, 2].map(|last| IpAddr::from([127, 0, 0, last]));
        let connections: Vec<_> = (0..3).map(|_| pending.enter(here)).collect();
        let other = pending.enter(there);
        let lost: Vec<_> = connections
            .iter()
            .map(|p| p.replaced.is_cancelled())
            .collect();
        assert_eq!(lost, [true, false, false]);
        assert!(!other.replaced.is_cancelled());
        // A connection that has completed its handshake is no longer counted.
        pending.leave(&here, connections[1].number);
        let fourth = pending.enter(here);
        assert!(!connections[2].replaced.is_cancelled() && !fourth.replaced.is_cancelled());
        for connection in connections.into_iter().chain([other, fourth]) {
            pending.leave(&connection.address, connection.number);
        }
        assert!(pending.waiting.is_empty());
    }
}
