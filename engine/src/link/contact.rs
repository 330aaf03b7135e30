//! The silence of the controller, and the steps to take. Pure.

use std::time::{Duration, Instant};

/// The number of missed heartbeats after which the controller counts as silent.
const MISSED: u32 = 10;

/// The shortest silence, for a controller with frequent heartbeats.
const LEAST_SILENCE: Duration = Duration::from_secs(10);

/// The interval at which the contact is checked.
pub(crate) const TICK: Duration = Duration::from_secs(1);

/// The longest time that one interval counts for. A process that was stopped, or whose machine was
/// suspended, has many messages to read when it resumes; the controller was not silent meanwhile.
const LONGEST_TICK: Duration = Duration::from_secs(5);

/// The contact of an engine with its controller.
#[derive(Debug)]
pub(super) struct ControllerContact {
    /// The longest silence; `None` if the controller sends no heartbeats.
    patience: Option<Duration>,
    /// Time limit for reaching the controller again.
    unreachable: Duration,
    seen: Instant,
    silent: Duration,
    /// The time since the controller was lost.
    lost: Option<Duration>,
}

/// A step to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContactStep {
    /// None: the controller is reachable.
    Fine,
    /// Check that the silent controller replies.
    Probe,
    /// End the engine: the time limit is exceeded.
    GiveUp,
}

impl ControllerContact {
    /// Creates the contact with a controller that sends a heartbeat per `period`; zero means none.
    pub fn new(period: Duration, unreachable: Duration, now: Instant) -> Self {
        let patience = period.checked_mul(MISSED).filter(|_| !period.is_zero());
        Self {
            patience: patience.map(|patience| patience.max(LEAST_SILENCE)),
            unreachable,
            seen: now,
            silent: Duration::ZERO,
            lost: None,
        }
    }

    /// Records the loss of the connections.
    pub fn lost(&mut self) {
        self.lost.get_or_insert(Duration::ZERO);
    }

    /// Returns the step to take; `beaten` is true if a heartbeat arrived since the last call.
    pub fn check(&mut self, beaten: bool, now: Instant) -> ContactStep {
        let passed = now.saturating_duration_since(self.seen).min(LONGEST_TICK);
        self.seen = now;
        if beaten {
            self.silent = Duration::ZERO;
            self.lost = None;
            return ContactStep::Fine;
        }
        self.silent += passed;
        let silent = self.patience.is_some_and(|most| self.silent >= most);
        match &mut self.lost {
            Some(lost) => *lost += passed,
            None if silent => self.lost = Some(Duration::ZERO),
            None => return ContactStep::Fine,
        }
        match self.lost {
            Some(lost) if lost >= self.unreachable => ContactStep::GiveUp,
            _ => ContactStep::Probe,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(3);
    const UNREACHABLE: Duration = Duration::from_secs(600);

    struct Case {
        contact: ControllerContact,
        now: Instant,
    }

    impl Case {
        fn new() -> Self {
            let now = Instant::now();
            let contact = ControllerContact::new(PERIOD, UNREACHABLE, now);
            Self { contact, now }
        }

        fn silent(&mut self, seconds: u64) -> ContactStep {
            let ticks = (0..seconds).map(|_| {
                self.now += TICK;
                self.contact.check(false, self.now)
            });
            ticks.last().unwrap_or(ContactStep::Fine)
        }
    }

    #[test]
    fn a_controller_that_is_silent_is_searched_for_until_it_is_given_up() {
        let mut case = Case::new();
        assert_eq!(case.silent(29), ContactStep::Fine);
        assert_eq!(case.silent(1), ContactStep::Probe);
        assert_eq!(case.silent(599), ContactStep::Probe);
        assert_eq!(case.silent(1), ContactStep::GiveUp);
    }

    #[test]
    fn a_heartbeat_makes_everything_good() {
        let mut case = Case::new();
        assert_eq!(case.silent(400), ContactStep::Probe);
        assert_eq!(case.contact.check(true, case.now), ContactStep::Fine);
        assert_eq!(case.silent(29), ContactStep::Fine);
        assert_eq!(case.silent(600), ContactStep::Probe);
    }

    #[test]
    fn a_process_that_was_stopped_takes_nobody_for_silent() {
        let mut case = Case::new();
        case.silent(3);
        for _ in 0..3 {
            case.now += Duration::from_secs(3600);
            assert_eq!(case.contact.check(false, case.now), ContactStep::Fine);
            // The waiting heartbeats have been read.
            assert_eq!(case.contact.check(true, case.now), ContactStep::Fine);
        }
    }

    #[test]
    fn lost_connections_need_no_heartbeat_to_be_missed() {
        for period in [PERIOD, Duration::ZERO] {
            let mut case = Case::new();
            case.contact = ControllerContact::new(period, UNREACHABLE, case.now);
            case.contact.lost();
            assert_eq!(case.silent(599), ContactStep::Probe);
            assert_eq!(case.silent(1), ContactStep::GiveUp);
        }
        let mut case = Case::new();
        case.contact = ControllerContact::new(Duration::ZERO, UNREACHABLE, case.now);
        assert_eq!(case.silent(10_000), ContactStep::Fine, "it never beats");
    }
}
