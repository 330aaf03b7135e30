//! Which cell has moved a variable that is gone.

use std::collections::BTreeMap;

/// Variables that were moved, each with the execution count of the cell that moved it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved(BTreeMap<String, usize>);

impl Moved {
    /// The cell that moved a variable, if that is why it is gone.
    pub fn by(&self, variable: &str) -> Option<usize> {
        self.0.get(variable).copied()
    }

    /// A cell has moved some variables; these are there now.
    pub(super) fn record<'a>(
        &mut self,
        cell: usize,
        moved: &[String],
        variables: impl IntoIterator<Item = &'a str>,
    ) {
        self.0.extend(moved.iter().map(|name| (name.clone(), cell)));
        for name in variables {
            self.0.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_defined_again_is_not_gone() {
        let mut moved = Moved::default();
        moved.record(3, &["a".into(), "b".into()], ["c"]);
        moved.record(4, &["c".into()], ["a"]);
        assert_eq!(moved.by("a"), None);
        assert_eq!(moved.by("b"), Some(3));
        assert_eq!(moved.by("c"), Some(4));
    }
}
