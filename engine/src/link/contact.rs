//! The time since the controller was last heard, and the steps to take when it is long. Pure.

use std::time::{Duration, Instant};

/// So many heartbeats may be missed before the controller counts as silent.
const MISSED: u32 = 10;

/// The least that counts as silence, however often the controller beats.
const LEAST_SILENCE: Duration = Duration::from_secs(10);

/// Time between two looks.
pub(crate) const TICK: Duration = Duration::from_secs(1);

/// Time between two looks that counts as passed, at most. A process that was stopped, or a machine that
/// slept, has much to read when it goes on, and nobody was silent because of that.
const LONGEST_TICK: Duration = Duration::from_secs(5);

/// An engine's contact with its controller.
#[derive(Debug)]
pub(crate) struct ControllerContact {
    /// Silence after which something is done; `None` where the controller does not beat.
    patience: Option<Duration>,
    /// The time for which the engine tries to reach the controller again.
    unreachable: Duration,
    seen: Instant,
    silent: Duration,
    /// The time it has been trying.
    lost: Option<Duration>,
}

/// A step to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContactStep {
    /// Nothing: the controller is there.
    Fine,
    /// It has been silent for long: see whether it answers.
    Probe,
    /// It was out of reach for too long.
    GiveUp,
}

impl ControllerContact {
    /// A controller that beats once in a period, or never where that is zero.
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

    /// The connections are gone.
    pub fn lost(&mut self) {
        self.lost.get_or_insert(Duration::ZERO);
    }

    /// Looks; `beaten` tells of a heartbeat since the last look.
    pub fn look(&mut self, beaten: bool, now: Instant) -> ContactStep {
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
                self.contact.look(false, self.now)
            });
            ticks.last().unwrap_or(ContactStep::Fine)
        }
    }

    #[test]
    fn a_controller_that_is_silent_is_looked_for_until_it_is_given_up() {
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
        assert_eq!(case.contact.look(true, case.now), ContactStep::Fine);
        assert_eq!(case.silent(29), ContactStep::Fine);
        assert_eq!(case.silent(600), ContactStep::Probe);
    }

    #[test]
    fn a_process_that_was_stopped_takes_nobody_for_silent() {
        let mut case = Case::new();
        case.silent(3);
        for _ in 0..3 {
            case.now += Duration::from_secs(3600);
            assert_eq!(case.contact.look(false, case.now), ContactStep::Fine);
            // What waited is read by then.
            assert_eq!(case.contact.look(true, case.now), ContactStep::Fine);
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
