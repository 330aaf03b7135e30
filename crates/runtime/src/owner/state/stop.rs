//! The end of a run: when it is stopped, and when it counts as ended without its markers. Pure.

use phalanx_protocol::id::RunId;
use std::time::{Duration, Instant};

/// The time for the end markers to arrive after the runtime's reply, on pipes that a cell has
/// redirected.
const MARKER_TIMEOUT: Duration = Duration::from_millis(500);

/// The time a cell has to stop after an interrupt, if there is no snapshot or it polls for
/// interrupts.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// The time after which stopping a run that has not started is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(10);

/// The deadlines of the current run's end.
#[derive(Debug, Default)]
pub(super) struct RunStop {
    /// The time at which a run that was requested to stop is killed.
    kill_at: Option<Instant>,
    /// A run that has ended according to the runtime's reply but whose end markers have not arrived,
    /// and the time until which they are awaited.
    unmarked: Option<(RunId, Instant)>,
    /// True during shutdown, when no snapshot takes over.
    is_final: bool,
}

/// The actions that are due.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Due {
    /// The run that ends without its markers.
    pub end: Option<RunId>,
    /// True if the current run is to be killed.
    pub kill: bool,
}

/// The circumstances of an interrupt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interrupted {
    /// True if a snapshot has the state before the run.
    pub is_protected: bool,
    /// True if the run has polled for interrupts.
    pub polls: bool,
}

impl RunStop {
    /// Starts a run, or ends one: no request to stop is in effect.
    pub(super) fn reset(&mut self) {
        self.kill_at = None;
    }

    /// Handles an interrupt of a run; returns true if the run is to be killed at once: a snapshot has
    /// the state before it, or the interrupt is the second one.
    pub(super) fn interrupt(&mut self, circumstances: Interrupted, now: Instant) -> bool {
        let insists = self.kill_at.take().is_some();
        if insists || (circumstances.is_protected && !circumstances.polls) {
            return true;
        }
        self.kill_at = Some(now + STOP_LIMIT);
        false
    }

    /// Handles a failed attempt to kill a run that has not started or has just ended.
    pub(super) fn not_running(&mut self, now: Instant) {
        self.kill_at = Some(now + RETRY_DELAY);
    }

    /// Handles the runtime's reply that a run has ended.
    pub(super) fn replied(&mut self, run: RunId, now: Instant) {
        self.unmarked = Some((run, now + MARKER_TIMEOUT));
    }

    /// Returns the run whose markers are awaited, and awaits them no longer.
    pub(super) fn take_unmarked(&mut self) -> Option<RunId> {
        self.unmarked.take().map(|(run, _)| run)
    }

    /// Forbids that a snapshot takes over.
    pub(super) fn shut_down(&mut self) {
        self.is_final = true;
    }

    /// Returns true during shutdown.
    pub(super) fn is_final(&self) -> bool {
        self.is_final
    }

    /// The time of the next [`due`](Self::due) action.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let unmarked = self.unmarked.map(|(_, at)| at);
        [self.kill_at, unmarked].into_iter().flatten().min()
    }

    /// Returns the actions that are due.
    pub(super) fn due(&mut self, now: Instant) -> Due {
        let end = self.unmarked.take_if(|(_, at)| now >= *at);
        Due {
            end: end.map(|(run, _)| run),
            kill: self.kill_at.take_if(|at| now >= *at).is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROTECTED: Interrupted = Interrupted {
        is_protected: true,
        polls: false,
    };

    #[test]
    fn a_protected_run_is_killed_at_once_unless_it_polls() {
        let now = Instant::now();
        assert!(RunStop::default().interrupt(PROTECTED, now));
        for patient in [
            Interrupted {
                polls: true,
                ..PROTECTED
            },
            Interrupted {
                is_protected: false,
                ..PROTECTED
            },
        ] {
            let mut stop = RunStop::default();
            assert!(!stop.interrupt(patient, now));
            assert_eq!(stop.deadline(), Some(now + STOP_LIMIT));
            assert_eq!(stop.due(now + STOP_LIMIT / 2), Due::default());
            let due = stop.due(now + STOP_LIMIT);
            assert!(due.kill);
            assert_eq!(stop.due(now + 2 * STOP_LIMIT), Due::default());
        }
    }

    #[test]
    fn a_second_interrupt_kills_and_a_reset_forgets_the_first() {
        let now = Instant::now();
        let polls = Interrupted {
            polls: true,
            ..PROTECTED
        };
        let mut stop = RunStop::default();
        assert!(!stop.interrupt(polls, now));
        assert!(stop.interrupt(polls, now));
        assert!(!stop.interrupt(polls, now));
        stop.reset();
        assert_eq!(stop.deadline(), None);
        assert!(!stop.interrupt(polls, now));
    }

    #[test]
    fn an_interrupt_of_a_run_that_has_not_begun_is_retried() {
        let now = Instant::now();
        let mut stop = RunStop::default();
        assert!(stop.interrupt(PROTECTED, now));
        stop.not_running(now);
        assert!(!stop.due(now).kill);
        assert!(stop.due(now + RETRY_DELAY).kill);
    }

    #[test]
    fn a_run_ends_without_its_markers_after_a_while() {
        let now = Instant::now();
        let mut stop = RunStop::default();
        stop.replied(RunId(3), now);
        assert_eq!(stop.deadline(), Some(now + MARKER_TIMEOUT));
        assert_eq!(stop.due(now), Due::default());
        assert_eq!(stop.due(now + MARKER_TIMEOUT).end, Some(RunId(3)));
        stop.replied(RunId(4), now);
        assert_eq!(stop.take_unmarked(), Some(RunId(4)));
        assert_eq!(stop.deadline(), None);
    }
}
