//! The schemes by which an engine is chosen: ipyparallel's `TaskScheduler.scheme_name`.

use std::str::FromStr;

/// The rule for choosing among the engines that may take a task; ipyparallel's
/// `TaskScheduler.scheme_name`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// The engine with the fewest tasks; among several, the least recently used.
    #[default]
    Leastload,
    /// The least recently used engine.
    Lru,
    /// A random engine.
    Plainrandom,
    /// The engines in turn, as a ZeroMQ socket does: without dependencies, targets, retries,
    /// timeouts and limits.
    Pure,
    /// Of two random engines, the one with fewer tasks.
    Twobin,
    /// Of two random engines, weighted towards idle ones, the least recently used.
    Weighted,
}

/// An engine that may take a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The number of its tasks.
    pub load: usize,
    /// The sequence number of the last task it was assigned.
    pub last: u64,
}

impl Scheme {
    /// The name in connection files and options.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Leastload => "leastload",
            Self::Lru => "lru",
            Self::Plainrandom => "plainrandom",
            Self::Pure => "pure",
            Self::Twobin => "twobin",
            Self::Weighted => "weighted",
        }
    }

    /// The index of the chosen engine; `random` is a random number.
    pub fn choose(self, candidates: &[Candidate], random: u64) -> Option<usize> {
        let count = candidates.len() as u64;
        if count == 0 {
            return None;
        }
        let two = [(random % count) as usize, (random / count % count) as usize];
        match self {
            Self::Leastload => least(candidates, 0..candidates.len(), |c| (c.load as u64, c.last)),
            Self::Lru | Self::Pure => least(candidates, 0..candidates.len(), |c| (c.last, 0)),
            Self::Plainrandom => Some(two[0]),
            Self::Twobin => least(candidates, two, |c| (c.load as u64, c.last)),
            Self::Weighted => weighted(candidates, random),
        }
    }
}

fn least(
    candidates: &[Candidate],
    among: impl IntoIterator<Item = usize>,
    key: impl Fn(&Candidate) -> (u64, u64),
) -> Option<usize> {
    among
        .into_iter()
        .min_by_key(|index| key(&candidates[*index]))
}

/// A random index, weighted by 1 / (1 + load).
fn weighted(candidates: &[Candidate], random: u64) -> Option<usize> {
    let weights = candidates.iter().map(|c| 1.0 / (1.0 + c.load as f64));
    let total: f64 = weights.clone().sum();
    let mut left = total * (random as f64 / u64::MAX as f64);
    for (index, weight) in weights.enumerate() {
        left -= weight;
        if left <= 0.0 {
            return Some(index);
        }
    }
    Some(candidates.len() - 1)
}

/// The name of an unknown scheme.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scheme `{0}` (known: leastload, lru, plainrandom, pure, twobin, weighted)")]
pub struct UnknownScheme(String);

impl FromStr for Scheme {
    type Err = UnknownScheme;

    fn from_str(name: &str) -> Result<Self, UnknownScheme> {
        [
            Self::Leastload,
            Self::Lru,
            Self::Plainrandom,
            Self::Pure,
            Self::Twobin,
            Self::Weighted,
        ]
        .into_iter()
        .find(|scheme| scheme.as_str() == name)
        .ok_or_else(|| UnknownScheme(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_chooses_as_its_name_describes() {
        let candidate = |load, last| Candidate { load, last };
        let three = [candidate(2, 1), candidate(1, 3), candidate(1, 2)];
        assert_eq!(Scheme::Leastload.choose(&three, 0), Some(2));
        assert_eq!(Scheme::Lru.choose(&three, 0), Some(0));
        assert_eq!(Scheme::Plainrandom.choose(&three, 4), Some(1));
        assert_eq!(Scheme::Twobin.choose(&three, 3), Some(1), "of 0 and 1");
        assert_eq!(Scheme::Weighted.choose(&three, 0), Some(0));
        assert_eq!(Scheme::Weighted.choose(&three, u64::MAX), Some(2));
        assert_eq!(Scheme::Pure.choose(&three, 5), Some(0));
        for name in [
            "leastload",
            "lru",
            "plainrandom",
            "pure",
            "twobin",
            "weighted",
        ] {
            let scheme: Scheme = name.parse().unwrap();
            assert_eq!(scheme.as_str(), name);
            assert_eq!(scheme.choose(&[], 7), None);
        }
        assert!("nonsense".parse::<Scheme>().is_err());
    }
}
