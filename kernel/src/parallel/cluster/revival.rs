//! Restarts of engines that end unexpectedly in a cluster without a notebook. Pure.

use phalanx_protocol::id::EngineId;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The number of restarts of an engine within [`WINDOW`]; one that ends more often has a lasting
/// cause.
const MAX_REVIVALS: usize = 5;

/// The time after which a restart is no longer counted.
const WINDOW: Duration = Duration::from_secs(300);

/// The times of restarts, by engine.
#[derive(Debug, Default)]
pub struct Revivals(BTreeMap<EngineId, Vec<Instant>>);

impl Revivals {
    /// Returns those of the ended engines that are to be restarted.
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
    fn an_engine_that_keeps_ending_is_not_restarted_for_a_while() {
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
