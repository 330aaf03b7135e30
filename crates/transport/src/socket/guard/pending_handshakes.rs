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
const PART: u64 = 8;
/// The bounds of the resulting number.
const MIN_WAITING: u64 = 32;
const MAX_WAITING: u64 = 4096;

static WAITING: Mutex<Option<WaitingRoom>> = Mutex::new(None);

#[derive(Debug)]
struct WaitingRoom {
    limit: usize,
    next: u64,
    waiting: HashMap<IpAddr, VecDeque<(u64, CancellationToken)>>,
}

/// A connection's place in the waiting room; released on drop.
#[derive(Debug)]
pub(super) struct WaitingPlace {
    address: IpAddr,
    number: u64,
    /// Cancelled when a newer connection takes the place.
    pub lost: CancellationToken,
}

impl WaitingRoom {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            next: 0,
            waiting: HashMap::new(),
        }
    }

    fn enter(&mut self, address: IpAddr) -> WaitingPlace {
        let waiting = self.waiting.entry(address).or_default();
        if waiting.len() >= self.limit
            && let Some((_, oldest)) = waiting.pop_front()
        {
            oldest.cancel();
        }
        self.next += 1;
        let lost = CancellationToken::new();
        waiting.push_back((self.next, lost.clone()));
        WaitingPlace {
            address,
            number: self.next,
            lost,
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

impl WaitingPlace {
    /// Returns a place for a connection from this address.
    pub fn enter(address: IpAddr) -> Self {
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        let room = waiting.get_or_insert_with(|| {
            let files = limits::open_files().unwrap_or(u64::MAX);
            let limit = (files / PART).clamp(MIN_WAITING, MAX_WAITING);
            WaitingRoom::new(usize::try_from(limit).unwrap_or(usize::MAX))
        });
        room.enter(address)
    }
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = waiting.as_mut() {
            room.leave(&self.address, self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_connection_of_an_address_makes_room_for_another() {
        let mut room = WaitingRoom::new(2);
        let [here, there] = [1, 2].map(|last| IpAddr::from([127, 0, 0, last]));
        let places: Vec<_> = (0..3).map(|_| room.enter(here)).collect();
        let other = room.enter(there);
        let lost: Vec<_> = places.iter().map(|p| p.lost.is_cancelled()).collect();
        assert_eq!(lost, [true, false, false]);
        assert!(!other.lost.is_cancelled());
        // A connection that has completed its handshake releases its place.
        room.leave(&here, places[1].number);
        let fourth = room.enter(here);
        assert!(!places[2].lost.is_cancelled() && !fourth.lost.is_cancelled());
        for place in places.into_iter().chain([other, fourth]) {
            room.leave(&place.address, place.number);
        }
        assert!(room.waiting.is_empty());
    }
}
