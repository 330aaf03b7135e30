//! A clock that only counts time in which this process runs.

use std::time::{Duration, Instant};

/// A clock that stops while this process is stopped. A process that is resumed has a backlog of
/// messages, which must be read before any peer counts as late.
#[derive(Debug)]
pub struct Clock {
    read: Instant,
    stood: Duration,
    tick: Duration,
}

impl Clock {
    /// Creates a clock that is [read](Self::tick) about every `tick`.
    pub fn new(now: Instant, tick: Duration) -> Self {
        Self {
            read: now,
            stood: Duration::ZERO,
            tick,
        }
    }

    /// Advances the clock; time beyond a few ticks is attributed to a stop of this process.
    pub fn tick(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.read);
        self.stood += passed.saturating_sub(self.tick * 4);
        self.read = now;
    }

    /// The clock's time for an event.
    pub fn time(&self, now: Instant) -> Instant {
        now.checked_sub(self.stood).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_while_the_process_was_stopped_does_not_count() {
        const TICK: Duration = Duration::from_millis(250);
        let start = Instant::now();
        let mut clock = Clock::new(start, TICK);
        for passed in 1..=3 {
            clock.tick(start + TICK * passed);
        }
        assert_eq!(clock.time(start + TICK * 3), start + TICK * 3);
        let woken = start + TICK * 3 + Duration::from_secs(3600);
        clock.tick(woken);
        assert_eq!(clock.time(woken), start + TICK * 7);
        clock.tick(woken + TICK);
        assert_eq!(clock.time(woken + TICK), start + TICK * 8);
    }
}
