//! The state of each set of magics: `%px`, `%pxresult`, `%pxconfig` and `%autopx` with the same
//! suffix share targets, defaults and the last result.

use super::{MagicSuffix, PxDefaults, PxOptions, Targets};
use phalanx_protocol::id::AsyncResultId;
use std::collections::BTreeMap;

/// All sets, including the one without a suffix.
#[derive(Debug)]
pub struct MagicSets {
    sets: BTreeMap<MagicSuffix, MagicSet>,
    /// The set to whose engines `%autopx` sends every cell.
    auto: Option<MagicSuffix>,
}

#[derive(Debug, Default)]
struct MagicSet {
    defaults: PxDefaults,
    last: Option<AsyncResultId>,
}

impl Default for MagicSets {
    fn default() -> Self {
        Self {
            sets: BTreeMap::from([(MagicSuffix::default(), MagicSet::default())]),
            auto: None,
        }
    }
}

impl MagicSets {
    /// Returns the activated suffixes.
    pub fn suffixes(&self) -> Vec<MagicSuffix> {
        let all = self.sets.keys();
        all.filter(|suffix| !suffix.as_str().is_empty())
            .cloned()
            .collect()
    }

    /// Creates or replaces a set.
    pub fn activate(&mut self, suffix: MagicSuffix, options: PxOptions) {
        let mut set = MagicSet::default();
        set.defaults.set(options);
        self.sets.insert(suffix, set);
    }

    /// Returns the defaults of a set.
    pub fn defaults(&self, suffix: &MagicSuffix) -> PxDefaults {
        let set = self.sets.get(suffix);
        set.map(|set| set.defaults.clone()).unwrap_or_default()
    }

    /// Changes the defaults of a set.
    pub fn configure(&mut self, suffix: &MagicSuffix, options: PxOptions) {
        self.set(suffix).defaults.set(options);
    }

    /// Returns the AsyncResult for a set's `%pxresult`.
    pub fn last(&self, suffix: &MagicSuffix) -> Option<AsyncResultId> {
        self.sets.get(suffix)?.last
    }

    /// Records the AsyncResult of a set's last cell.
    pub fn submitted(&mut self, suffix: &MagicSuffix, id: AsyncResultId) {
        self.set(suffix).last = Some(id);
    }

    /// Returns the set to whose engines every cell is sent, if `%autopx` is on.
    pub fn auto(&self) -> Option<&MagicSuffix> {
        self.auto.as_ref()
    }

    /// Toggles `%autopx`: turns it on for this set, or off if it is on for any set. Returns the new
    /// state.
    pub fn toggle_auto(&mut self, suffix: &MagicSuffix) -> bool {
        self.auto = match self.auto {
            Some(_) => None,
            None => Some(suffix.clone()),
        };
        self.auto.is_some()
    }

    /// Returns the default targets of a set.
    pub fn targets(&self, suffix: &MagicSuffix) -> Targets {
        self.defaults(suffix).targets
    }

    fn set(&mut self, suffix: &MagicSuffix) -> &mut MagicSet {
        self.sets.entry(suffix.clone()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::magic::{Magic, parse};

    #[test]
    fn sets_do_not_share_their_last_result() {
        let mut sets = MagicSets::default();
        let plain = MagicSuffix::default();
        let Magic::PxActivate { suffix, options } = parse("%pxactivate -t 0 0", &[]).unwrap().magic
        else {
            panic!()
        };
        sets.activate(suffix.clone(), options);
        assert_eq!(sets.suffixes(), std::slice::from_ref(&suffix));
        assert_eq!(sets.targets(&suffix), Targets::Id(0));
        assert_eq!(sets.targets(&plain), Targets::All);
        sets.submitted(&suffix, AsyncResultId(7));
        assert_eq!(sets.last(&suffix), Some(AsyncResultId(7)));
        assert_eq!(sets.last(&plain), None);
        assert!(sets.toggle_auto(&suffix));
        assert_eq!(sets.auto(), Some(&suffix));
        assert!(!sets.toggle_auto(&plain));
        assert_eq!(sets.auto(), None);
    }
}
