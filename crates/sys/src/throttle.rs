//! Rate limits of messages.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// The number of messages per period.
const BURST: u32 = 5;

/// The period.
const PERIOD: Duration = Duration::from_secs(10);

/// Admits the first messages of a period and counts the others. For log messages that a peer can
/// cause at any rate.
#[derive(Debug)]
pub struct Throttle(Mutex<State>);

#[derive(Debug)]
struct State {
    began: Option<Instant>,
    said: u32,
    unsaid: u64,
}

impl Throttle {
    /// Creates a throttle that has admitted nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(State {
            began: None,
            said: 0,
            unsaid: 0,
        }))
    }

    /// Returns the number of messages suppressed since the last admitted one; `None` if this one is
    /// suppressed.
    pub fn pass(&self) -> Option<u64> {
        self.pass_at(Instant::now())
    }

    fn pass_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |began: Instant| now.saturating_duration_since(began) >= PERIOD;
        if state.began.is_none_or(is_over) {
            state.began = Some(now);
            state.said = 0;
        }
        if state.said == BURST {
            state.unsaid += 1;
            return None;
        }
        state.said += 1;
        Some(std::mem::take(&mut state.unsaid))
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_messages_are_logged_a_few_times_and_then_counted() {
        let throttle = Throttle::new();
        let now = Instant::now();
        let said = (0..1000).filter_map(|_| throttle.pass_at(now)).count();
        assert_eq!(said, 5);
        assert_eq!(throttle.pass_at(now + PERIOD), Some(995));
        assert_eq!(throttle.pass_at(now + PERIOD), Some(0));
    }
}
