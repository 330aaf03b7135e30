//! The clients' shares of the memory for tasks. Pure.
//!
//! A client may take as much as is left: a single one half of the room, two a third each, and so
//! on, so that there is always room for another. Nothing is taken away from a client that has more
//! than its share; it is not read until it has less.

use crate::hash::{HashMap, HashSet};
use bytes::Bytes;

/// The fraction of the room that a client may always take.
const MIN_FRACTION: usize = 64;
/// The factor by which the room may be exceeded, by messages that are on their way to the
/// controller or by very many clients, before no client at all is read.
const MAX_EXCESS: usize = 2;

/// The memory that tasks take, by their clients.
#[derive(Debug)]
pub(super) struct ClientShares {
    /// The memory to be shared, in bytes.
    room: usize,
    taken: usize,
    by_client: HashMap<Bytes, usize>,
    paused: HashSet<Bytes>,
    changes: Vec<ReadChange>,
}

/// A change of whether a client's tasks are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadChange {
    /// It has more than its share.
    Pause(Bytes),
    /// It has less again.
    Resume(Bytes),
}

impl ClientShares {
    pub fn new(room: usize) -> Self {
        Self {
            room,
            taken: 0,
            by_client: HashMap::default(),
            paused: HashSet::default(),
            changes: Vec::new(),
        }
    }

    /// The memory that all tasks take, in bytes.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// The memory that a client's tasks take, in bytes.
    pub fn taken_by(&self, client: &[u8]) -> usize {
        self.by_client.get(client).copied().unwrap_or_default()
    }

    /// Returns true while any client may be read.
    pub fn has_room(&self) -> bool {
        self.taken < self.room.saturating_mul(MAX_EXCESS)
    }

    /// The memory that one client may take.
    fn share(&self) -> usize {
        self.room
            .saturating_sub(self.taken)
            .max(self.room / MIN_FRACTION)
    }

    /// Adds a client's task.
    pub fn add(&mut self, client: &[u8], bytes: usize) {
        self.taken += bytes;
        let has = match self.by_client.get_mut(client) {
            Some(has) => {
                *has += bytes;
                *has
            }
            None => {
                self.by_client.insert(Bytes::copy_from_slice(client), bytes);
                bytes
            }
        };
        if has > self.share() && !self.paused.contains(client) {
            let client = Bytes::copy_from_slice(client);
            self.paused.insert(client.clone());
            self.changes.push(ReadChange::Pause(client));
        }
    }

    /// Removes a client's task.
    pub fn remove(&mut self, client: &[u8], bytes: usize) {
        self.taken -= bytes;
        if let Some(has) = self.by_client.get_mut(client) {
            *has -= bytes;
            if *has == 0 {
                self.by_client.remove(client);
            }
        }
    }

    /// Takes the changes since the last call, in order.
    pub fn changes(&mut self) -> Vec<ReadChange> {
        let share = self.share();
        let by_client = &self.by_client;
        let has_less = |client: &Bytes| by_client.get(client).is_none_or(|has| *has <= share);
        let resumed = self.paused.extract_if(has_less).map(ReadChange::Resume);
        self.changes.extend(resumed);
        std::mem::take(&mut self.changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 6400;

    /// Sends tasks of this size until the client is paused; returns their number.
    fn fill(shares: &mut ClientShares, client: &'static str, bytes: usize) -> usize {
        for count in 1.. {
            shares.add(client.as_bytes(), bytes);
            match shares.changes().as_slice() {
                [] => {}
                [ReadChange::Pause(paused)] => {
                    assert_eq!(paused, client);
                    return count;
                }
                other => panic!("{other:?}"),
            }
        }
        0
    }

    #[test]
    fn later_clients_find_room() {
        let mut shares = ClientShares::new(ROOM);
        assert_eq!(fill(&mut shares, "a", 10), ROOM / 2 / 10 + 1);
        assert_eq!(fill(&mut shares, "b", 10), ROOM / 4 / 10);
        assert_eq!(fill(&mut shares, "c", 10), ROOM / 8 / 10);
        assert!(shares.taken() < ROOM);
        // The room of tasks that ended is for clients that wait.
        for _ in 0..ROOM / 4 / 10 {
            shares.remove(b"b", 10);
        }
        let resumed = shares.changes();
        let resume = |client| ReadChange::Resume(Bytes::from_static(client));
        assert_eq!(resumed.len(), 2, "{resumed:?}");
        assert!(resumed.contains(&resume(b"b")) && resumed.contains(&resume(b"c")));
    }

    #[test]
    fn a_client_is_read_again_once_it_has_less_than_its_share() {
        let mut shares = ClientShares::new(ROOM);
        let count = fill(&mut shares, "a", 10);
        // Messages on their way are taken nevertheless.
        shares.add(b"a", 10);
        assert_eq!(shares.changes(), []);
        shares.remove(b"a", 10);
        assert_eq!(shares.changes(), []);
        shares.remove(b"a", 10);
        let resumed = ReadChange::Resume(Bytes::from_static(b"a"));
        assert_eq!(shares.changes(), [resumed]);
        for _ in 1..count {
            shares.remove(b"a", 10);
        }
        assert_eq!((shares.taken(), shares.by_client.len()), (0, 0));
    }

    #[test]
    fn a_huge_task_leaves_other_clients_a_share_and_the_sum_is_bounded() {
        let mut shares = ClientShares::new(ROOM);
        assert_eq!(fill(&mut shares, "huge", ROOM), 1);
        assert_eq!(fill(&mut shares, "small", 10), ROOM / MIN_FRACTION / 10 + 1);
        assert!(shares.has_room());
        shares.add(b"another", ROOM);
        assert!(!shares.has_room());
        shares.remove(b"huge", ROOM);
        assert!(shares.has_room());
    }
}
