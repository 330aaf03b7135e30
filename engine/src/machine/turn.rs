//! The turn of a client whose cell was refused because of the namespace's state.
//!
//! The client compiles the cell again, for the state that it has been sent. Without a turn, a client
//! that runs one cell after another would have changed the state each time by then.

use super::{IncomingRequest, Machine, Now};
use chrono::TimeDelta;

/// The time for which a turn is kept: longer than most cells take to compile.
const TURN: TimeDelta = TimeDelta::seconds(2);

/// A turn.
#[derive(Debug)]
pub(super) struct KeptTurn {
    /// The client, identified by its session.
    client: String,
    /// The time from which others have their turn again.
    until: Now,
}

impl Machine {
    /// Keeps the next turn for the client of a refused cell, unless it is another one's.
    pub(super) fn keep_turn(&mut self, refused: &IncomingRequest) {
        if self.turn.is_none() {
            self.turn = Some(KeptTurn {
                client: refused.header.session.clone(),
                until: self.now + TURN,
            });
        }
    }

    /// Ends the turn of the client whose cell begins.
    pub(super) fn take_turn(&mut self, begun: &IncomingRequest) {
        self.turn
            .take_if(|turn| turn.client == begun.header.session);
    }

    /// Removes and returns the next request: the first one, or the first of the client that has the
    /// turn.
    pub(super) fn next_request(&mut self) -> Option<IncomingRequest> {
        let now = self.now;
        self.turn.take_if(|turn| turn.until <= now);
        let at = match &self.turn {
            None => 0,
            Some(turn) => {
                let mut queue = self.queue.iter();
                queue.position(|request| request.header.session == turn.client)?
            }
        };
        self.queue.remove(at)
    }

    /// Returns the time at which waiting requests have their turn, if one is kept for another client
    /// and nothing else delays them.
    pub fn turn_ends(&self) -> Option<Now> {
        // Nothing could begin then; the end of either looks for the next request.
        if self.current.is_some() || self.away {
            return None;
        }
        let turn = self.turn.as_ref().filter(|_| !self.queue.is_empty());
        turn.map(|turn| turn.until)
    }
}
