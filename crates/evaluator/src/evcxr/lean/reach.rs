//! Reachability of items by name.
//!
//! An item is reached when a name that it defines occurs. In addition:
//! * an impl is reached with any type in its head, whatever its trait: `Drop`, `Deref` and operators
//!   have an effect without being named. Only a trait of the notebook has to be reached itself;
//! * all impls of a trait of the notebook are reached with it, so that types that rustc infers from
//!   the existing impls do not change;
//! * a trait is reached by the name of one of its methods;
//! * imports, extern crates, macro calls, and items with attributes that may have an effect by being
//!   present (`#[no_mangle]`, macros) are always kept, with everything they mention.

use super::items::{ItemAccess, LeanItem};
use std::collections::{BTreeMap, BTreeSet};

/// Returns for each item whether it is reachable from the names in `roots`.
pub(super) fn reachable(items: &[LeanItem], roots: BTreeSet<String>) -> Vec<bool> {
    let defined: BTreeSet<&str> = items.iter().flat_map(names_of).collect();
    let traits: BTreeSet<&str> = items
        .iter()
        .filter(|item| matches!(item.kind, ItemAccess::Trait(_)))
        .flat_map(names_of)
        .collect();
    // The items reached by each name.
    let mut by_name = BTreeMap::<&str, Vec<usize>>::new();
    let mut in_part = Vec::new();
    let mut reached = vec![false; items.len()];
    let mut names: Vec<String> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let mut by = |name| by_name.entry(name).or_default().push(index);
        item.defines.iter().for_each(|name| by(name.as_str()));
        match &item.kind {
            ItemAccess::Always => {
                reached[index] = true;
                names.extend(item.mentions.iter().cloned());
            }
            ItemAccess::Named => {}
            ItemAccess::NamedInPart => in_part.push(index),
            ItemAccess::Trait(associated) => associated.iter().for_each(|name| by(name.as_str())),
            ItemAccess::Impl { of, head } => {
                let own = of.as_deref().filter(|of| traits.contains(of));
                let mut head = head.iter().filter(|name| defined.contains(name.as_str()));
                match own {
                    Some(of) => by(of),
                    None => {
                        let mut is_known = false;
                        for name in head.by_ref() {
                            is_known = true;
                            by(name.as_str());
                        }
                        if !is_known {
                            reached[index] = true;
                            names.extend(item.mentions.iter().cloned());
                        }
                    }
                }
            }
        }
    }
    let mut seen = BTreeSet::new();
    names.extend(roots);
    while let Some(name) = names.pop() {
        if seen.contains(&name) {
            continue;
        }
        let named = by_name.get(name.as_str()).into_iter().flatten().copied();
        let made = in_part.iter().copied().filter(|index| {
            let defines = &items[*index].defines;
            defines.iter().any(|own| is_made_from(&name, own))
        });
        for index in named.chain(made).collect::<Vec<_>>() {
            if !std::mem::replace(&mut reached[index], true) {
                names.extend(items[index].mentions.iter().cloned());
            }
        }
        seen.insert(name);
    }
    reached
}

fn names_of(item: &LeanItem) -> impl Iterator<Item = &str> {
    item.defines.iter().map(String::as_str)
}

/// Returns true for a name that a macro may have derived from another: `PipeBuilder`, `pipe_new`.
fn is_made_from(name: &str, own: &str) -> bool {
    let plain = |name: &str| name.replace('_', "").to_lowercase();
    plain(name).contains(&plain(own))
}
