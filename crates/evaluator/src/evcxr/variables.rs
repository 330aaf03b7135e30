//! The variables of a namespace that are visible to the user.

use super::prelude::is_hidden;
use phalanx_protocol::runtime::Outcome;

/// Names and types, sorted by name.
pub(super) type VariableTypes = Vec<(String, String)>;

/// Returns all of evcxr's variables.
pub(super) fn all<'a>(variables: impl Iterator<Item = (&'a str, &'a str)>) -> VariableTypes {
    let mut variables = variables
        .map(|(name, ty)| (name.to_owned(), ty.to_owned()))
        .collect::<Vec<_>>();
    variables.sort();
    variables
}

/// Returns the user's variables among them.
pub(super) fn shown(variables: &VariableTypes) -> VariableTypes {
    let shown = variables.iter().filter(|(name, _)| !is_hidden(name));
    shown.cloned().collect()
}

/// Returns the variables that were moved by the cell, as opposed to lost with the runtime, or kept
/// because the cell did not run.
pub(super) fn moved(
    before: &VariableTypes,
    after: &VariableTypes,
    outcome: Option<&Outcome>,
) -> Vec<String> {
    let has_run = matches!(
        outcome,
        Some(
            Outcome::Completed | Outcome::Panicked(_) | Outcome::Errored { .. } | Outcome::Returned
        )
    );
    let names = before.iter().map(|(name, _)| name);
    names
        .filter(|name| {
            has_run && !is_hidden(name) && !after.iter().any(|(remaining, _)| remaining == *name)
        })
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::exit::RuntimeExit;

    #[test]
    fn variables_lost_with_the_runtime_are_not_moved() {
        let variables = |names: &[&str]| {
            let names = names.iter().map(|name| (*name, "u8"));
            shown(&all(names.chain([("phalanx_cell_x", "u8")])))
        };
        let (before, after) = (variables(&["b", "a"]), variables(&["b", "c"]));
        assert_eq!(before.len(), 2, "ours are not shown");
        assert_eq!(moved(&before, &after, Some(&Outcome::Completed)), ["a"]);
        let died = Outcome::Died {
            status: RuntimeExit::Unknown,
        };
        assert!(moved(&before, &[].into(), Some(&died)).is_empty());
        assert!(moved(&before, &after, None).is_empty());
    }
}
