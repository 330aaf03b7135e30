//! Saying the same thing not too often.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// So often in a period something is said.
const BURST: u32 = 5;

/// The period.
const PERIOD: Duration = Duration::from_secs(10);

/// Lets through what is said a few times, and after that counts. For logs of what a peer can cause as
/// often as it likes.
#[derive(Debug)]
pub struct Throttle(Mutex<State>);

#[derive(Debug)]
struct State {
    began: Option<Instant>,
    said: u32,
    unsaid: u64,
}

impl Throttle {
    /// One that has let nothing through.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(State {
            began: None,
            said: 0,
            unsaid: 0,
        }))
    }

    /// `Some` if it may be said now, with how often it was not said since the last time.
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
    fn what_is_said_often_is_said_a_few_times_and_counted() {
        let throttle = Throttle::new();
        let now = Instant::now();
        let said = (0..1000).filter_map(|_| throttle.pass_at(now)).count();
        assert_eq!(said, 5);
        assert_eq!(throttle.pass_at(now + PERIOD), Some(995));
        assert_eq!(throttle.pass_at(now + PERIOD), Some(0));
    }
}
