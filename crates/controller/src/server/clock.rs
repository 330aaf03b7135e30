//! Time as far as this process has seen it pass.

use std::time::{Duration, Instant};

/// A clock that stands still while this process does. One that was stopped finds much waiting when it
/// goes on, and what waits is to be read before anybody is taken for late.
#[derive(Debug)]
pub struct Clock {
    read: Instant,
    stood: Duration,
    tick: Duration,
}

impl Clock {
    /// A clock that is [read](Self::tick) about every `tick`.
    pub fn new(now: Instant, tick: Duration) -> Self {
        Self {
            read: now,
            stood: Duration::ZERO,
            tick,
        }
    }

    /// Reads the clock: time that has passed beyond a few ticks is time in which this process stood.
    pub fn tick(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.read);
        self.stood += passed.saturating_sub(self.tick * 4);
        self.read = now;
    }

    /// The time of an event.
    pub fn time(&self, now: Instant) -> Instant {
        now.checked_sub(self.stood).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_the_process_stood_does_not_count() {
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
