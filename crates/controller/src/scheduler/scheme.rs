use std::str::FromStr;

/// The rule that chooses among the engines that may take a task; ipyparallel's `TaskScheduler.scheme_name`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// The one with the fewest tasks, of those the one longest without a new one.
    #[default]
    Leastload,
    /// The one longest without a new task.
    Lru,
    /// Any.
    Plainrandom,
    /// One after the other, as ZeroMQ alone does it: without dependencies, targets, retries,
    /// timeouts and limits.
    Pure,
    /// The one with fewer tasks of two chosen at random.
    Twobin,
    /// The one longest without a new task of two chosen at random, idle ones more likely.
    Weighted,
}

/// An engine that may take a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Tasks it has.
    pub load: usize,
    /// The moment it was given its last task, counted in tasks.
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

    /// The place of the chosen one; `random` is any number.
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
        .min_by_key(|place| key(&candidates[*place]))
}

/// With a weight of 1 / (1 + load).
fn weighted(candidates: &[Candidate], random: u64) -> Option<usize> {
    let weights = candidates.iter().map(|c| 1.0 / (1.0 + c.load as f64));
    let total: f64 = weights.clone().sum();
    let mut left = total * (random as f64 / u64::MAX as f64);
    for (place, weight) in weights.enumerate() {
        left -= weight;
        if left <= 0.0 {
            return Some(place);
        }
    }
    Some(candidates.len() - 1)
}

/// A scheme of a name we do not have.
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
    fn each_scheme_chooses_as_its_name_says() {
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
