//! The search for a controller that is silent or lost: events in, commands out. Pure.

use super::contact::{ContactStep, ControllerContact, TICK};
use std::time::{Duration, Instant};

/// The state of an engine's contact with its controller.
#[derive(Debug)]
pub(crate) struct ControllerSearch {
    contact: ControllerContact,
    phase: SearchPhase,
    /// Time limit for reaching the controller again.
    unreachable: Duration,
    /// The time at which the process resumed after a stop, until all waiting messages are read.
    resumed_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SearchPhase {
    /// There is no search.
    Connected,
    /// A check that the controller replies; the connections are kept.
    Probing,
    /// It has replied, so a heartbeat is expected on the old connections if they still work.
    Answered,
    /// An attempt to join it again; there are no connections.
    Joining,
}

/// An event of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SearchEvent {
    /// [`TICK`] has passed.
    Tick {
        /// True if a heartbeat has arrived since the last tick.
        beaten: bool,
        /// The result of the probe or of the attempt to join, if it has ended since the last tick.
        ended: Option<AttemptResult>,
    },
    /// A connection is closed.
    Lost,
    /// The process was stopped, and goes on. The controller may have declared the engine dead and
    /// assigned its requests to others, which another channel may report.
    Resumed,
}

/// The result of a probe or of an attempt to join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttemptResult {
    /// The controller has replied to the probe.
    Replied,
    /// It has not.
    Silent,
    /// The engine has joined again.
    Joined {
        /// The time between two heartbeats; zero for none.
        hb_period: Duration,
    },
    /// It has failed to.
    NotJoined,
}

/// A command of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SearchCommand {
    /// Check that the controller replies.
    Probe,
    /// Drop the connections, and start to join the controller again.
    Join,
    /// Use the connections of the attempt that has succeeded.
    Adopt,
    /// Drop the probe that may be under way.
    Cancel,
    /// Start no further request: the controller may have assigned them to other engines.
    Pause,
    /// Start requests again.
    Resume,
    /// End the engine.
    GiveUp,
}

impl ControllerSearch {
    /// Creates the state of an engine that has joined a controller, which sends a heartbeat per
    /// `hb_period` and is given up after being `unreachable` for this time.
    pub fn new(hb_period: Duration, unreachable: Duration, now: Instant) -> Self {
        Self {
            contact: ControllerContact::new(hb_period, unreachable, now),
            phase: SearchPhase::Connected,
            unreachable,
            resumed_at: None,
        }
    }

    /// Handles an event; returns the commands to perform, in order.
    pub fn handle(&mut self, event: SearchEvent, now: Instant) -> Vec<SearchCommand> {
        match event {
            SearchEvent::Tick { beaten, ended } => match self.contact.check(beaten, now) {
                ContactStep::Fine => self.reachable(now),
                ContactStep::Probe => self.advance(ended, now),
                ContactStep::GiveUp => vec![SearchCommand::GiveUp],
            },
            SearchEvent::Lost => {
                let mut commands = self.join();
                commands.push(SearchCommand::Pause);
                commands
            }
            // No request is started before all messages are read.
            SearchEvent::Resumed => {
                self.resumed_at = Some(now);
                vec![SearchCommand::Pause]
            }
        }
    }

    /// Ends the search.
    fn reachable(&mut self, now: Instant) -> Vec<SearchCommand> {
        let is_over = |at: &mut Instant| now.saturating_duration_since(*at) >= TICK;
        let has_read = self.resumed_at.take_if(is_over).is_some();
        let searched = self.phase != SearchPhase::Connected;
        self.phase = SearchPhase::Connected;
        let mut commands = Vec::new();
        if searched {
            commands.push(SearchCommand::Cancel);
        }
        if searched || has_read {
            commands.push(SearchCommand::Resume);
        }
        commands
    }

    /// Takes the next step towards a controller that is silent or lost.
    fn advance(&mut self, ended: Option<AttemptResult>, now: Instant) -> Vec<SearchCommand> {
        match (self.phase, ended) {
            (SearchPhase::Connected, _) => {
                tracing::warn!("the controller is silent");
                self.phase = SearchPhase::Probing;
                vec![SearchCommand::Probe, SearchCommand::Pause]
            }
            (SearchPhase::Answered, _) => self.join(),
            (SearchPhase::Probing, Some(AttemptResult::Replied)) => {
                self.phase = SearchPhase::Answered;
                Vec::new()
            }
            (SearchPhase::Probing, Some(_)) => vec![SearchCommand::Probe],
            (SearchPhase::Joining, Some(AttemptResult::Joined { hb_period })) => {
                self.phase = SearchPhase::Connected;
                self.contact = ControllerContact::new(hb_period, self.unreachable, now);
                vec![SearchCommand::Adopt]
            }
            (SearchPhase::Joining, Some(_)) => self.join(),
            (SearchPhase::Probing | SearchPhase::Joining, None) => Vec::new(),
        }
    }

    fn join(&mut self) -> Vec<SearchCommand> {
        self.phase = SearchPhase::Joining;
        self.contact.lost();
        vec![SearchCommand::Join]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SearchCommand::{Adopt, Cancel, GiveUp, Join, Pause, Probe, Resume};

    const PERIOD: Duration = Duration::from_secs(3);
    const UNREACHABLE: Duration = Duration::from_secs(600);
    const JOINED: AttemptResult = AttemptResult::Joined { hb_period: PERIOD };

    struct Case {
        search: ControllerSearch,
        now: Instant,
    }

    impl Case {
        fn new() -> Self {
            let now = Instant::now();
            let search = ControllerSearch::new(PERIOD, UNREACHABLE, now);
            Self { search, now }
        }

        fn tick(&mut self, beaten: bool, ended: Option<AttemptResult>) -> Vec<SearchCommand> {
            self.now += TICK;
            self.search
                .handle(SearchEvent::Tick { beaten, ended }, self.now)
        }

        fn silent(&mut self, ended: Option<AttemptResult>) -> Vec<SearchCommand> {
            self.tick(false, ended)
        }

        /// A controller that has just become silent.
        fn searching() -> Self {
            let mut case = Self::new();
            for _ in 0..29 {
                assert_eq!(case.silent(None), []);
            }
            assert_eq!(case.silent(None), [Probe, Pause]);
            case
        }
    }

    #[test]
    fn a_silent_controller_is_probed_until_it_replies_or_beats() {
        let mut case = Case::searching();
        assert_eq!(case.silent(None), []);
        assert_eq!(case.silent(Some(AttemptResult::Silent)), [Probe]);
        assert_eq!(case.silent(Some(AttemptResult::Replied)), []);
        assert_eq!(case.tick(true, None), [Cancel, Resume]);
        assert_eq!(case.tick(true, None), []);
    }

    #[test]
    fn a_controller_that_replies_and_does_not_beat_is_joined_again() {
        let mut case = Case::searching();
        assert_eq!(case.silent(Some(AttemptResult::Replied)), []);
        assert_eq!(case.silent(None), [Join]);
        assert_eq!(case.silent(None), []);
        assert_eq!(case.silent(Some(AttemptResult::NotJoined)), [Join]);
        assert_eq!(case.silent(Some(JOINED)), [Adopt]);
        assert_eq!(case.silent(None), [], "its silence begins anew");
    }

    #[test]
    fn lost_connections_are_joined_again_at_once_until_the_limit() {
        let mut case = Case::new();
        assert_eq!(
            case.search.handle(SearchEvent::Lost, case.now),
            [Join, Pause]
        );
        for _ in 0..599 {
            let ended = Some(AttemptResult::NotJoined);
            assert_eq!(case.silent(ended), [Join]);
        }
        assert_eq!(case.silent(None), [GiveUp]);
    }

    #[test]
    fn connections_lost_while_a_probe_is_under_way_end_it() {
        let mut case = Case::searching();
        assert_eq!(
            case.search.handle(SearchEvent::Lost, case.now),
            [Join, Pause]
        );
        assert_eq!(case.silent(None), []);
        assert_eq!(case.silent(Some(JOINED)), [Adopt]);
    }

    #[test]
    fn a_process_that_was_stopped_starts_requests_after_a_tick() {
        let mut case = Case::new();
        assert_eq!(case.search.handle(SearchEvent::Resumed, case.now), [Pause]);
        assert_eq!(case.tick(true, None), [Resume]);
        assert_eq!(case.tick(true, None), []);
        case.now += TICK / 2;
        assert_eq!(case.search.handle(SearchEvent::Resumed, case.now), [Pause]);
        case.now -= TICK / 2;
        assert_eq!(case.tick(true, None), [], "messages may still be waiting");
        assert_eq!(case.tick(true, None), [Resume]);
    }
}
