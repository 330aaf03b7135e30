//! The input of the running cell: when its owner looks for a blocked reader, and when it requests a
//! line. Pure.

use std::time::{Duration, Instant};

/// The time between two checks.
const INTERVAL: Duration = Duration::from_millis(25);

/// The maximum share of time (1/SHARE) spent on checks: with a thousand threads they are less
/// frequent.
const SHARE: u32 = 20;

/// The state of the running cell's input.
#[derive(Debug, Default)]
pub(super) struct StdinState {
    /// The time of the next check, while a cell runs and no line is requested.
    next_check: Option<Instant>,
    /// True while a reply is awaited.
    is_asking: bool,
    /// True if there is something to forget at the end of the run.
    is_used: bool,
}

impl StdinState {
    /// Handles that lines can be written, at the start of a cell.
    pub(super) fn ready(&mut self, now: Instant) {
        self.is_used = true;
        self.next_check = Some(now + INTERVAL);
    }

    /// Handles the end of a run; returns true if there is something to forget.
    pub(super) fn end(&mut self) -> bool {
        std::mem::take(self).is_used
    }

    /// Returns true while a reply is awaited.
    pub(super) fn is_asking(&self) -> bool {
        self.is_asking
    }

    /// Waits for the reply to a request, during which there are no checks.
    pub(super) fn ask(&mut self) {
        *self = Self {
            next_check: None,
            is_asking: true,
            is_used: true,
        };
    }

    /// Handles the reply to a request; resumes the checks if it is a line.
    pub(super) fn answered(&mut self, is_line: bool, now: Instant) {
        self.is_asking = false;
        self.next_check = is_line.then(|| now + INTERVAL);
    }

    /// Handles the end of a check that took this long; returns false if the run has ended since.
    pub(super) fn checked(&mut self, took: Duration, now: Instant) -> bool {
        if self.is_used {
            self.next_check = Some(now + INTERVAL.max(SHARE * took));
        }
        self.is_used
    }

    /// The time of the next [due](Self::is_check_due) check.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next_check
    }

    /// Returns true, once, if a check is due.
    pub(super) fn is_check_due(&mut self, now: Instant) -> bool {
        self.next_check.take_if(|at| now >= *at).is_some()
    }
}
