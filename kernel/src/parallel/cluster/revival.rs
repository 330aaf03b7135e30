//! The engines of a cluster that nobody watches: those that end by themselves are started again. Pure.

use phalanx_protocol::id::EngineId;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Times an engine is started again within [`WINDOW`]; one that ends more often has a reason that stays.
const MAX_REVIVALS: usize = 5;

/// The time after which a revival no longer counts.
const WINDOW: Duration = Duration::from_secs(300);

/// The record of revivals.
#[derive(Debug, Default)]
pub struct Revivals(BTreeMap<EngineId, Vec<Instant>>);

impl Revivals {
    /// Of engines that have ended, the ones to start again.
    pub fn admit(&mut self, ended: &[EngineId], now: Instant) -> Vec<EngineId> {
        let admitted = ended.iter().copied().filter(|id| {
            let times = self.0.entry(*id).or_default();
            times.retain(|time| now.saturating_duration_since(*time) < WINDOW);
            let admitted = times.len() < MAX_REVIVALS;
            if admitted {
                times.push(now);
            }
            admitted
        });
        admitted.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_ends_again_and_again_is_given_up_for_a_while() {
        let mut revivals = Revivals::default();
        let (one, other) = (EngineId(1), EngineId(2));
        let start = Instant::now();
        for _ in 0..MAX_REVIVALS {
            assert_eq!(revivals.admit(&[one], start), [one]);
        }
        assert_eq!(revivals.admit(&[one, other], start), [other]);
        assert_eq!(revivals.admit(&[one], start + WINDOW), [one]);
    }
}
