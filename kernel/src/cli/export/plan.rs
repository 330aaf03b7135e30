//! The effects of a cell's definitions on earlier ones: which definitions are redefined, and which
//! earlier ones use them from then on, as in the notebook.

use super::definition::{Definition, DefinitionKind, Mentions};
use super::layout::{Entry, Live, Step, add_names, meets};
use std::collections::{BTreeMap, BTreeSet};

/// Definitions at their place in a notebook.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) entries: &'a [Entry],
    /// The position of the unit with the new definitions.
    pub(super) at: usize,
    pub(super) live: &'a [Live],
    pub(super) new: &'a [&'a Definition],
}

/// The effects of new definitions.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The new definitions that redefine others, in a block.
    pub(super) redefined: BTreeSet<usize>,
    /// The new definitions that replace others from the start, with the reason.
    pub(super) replaced: BTreeMap<usize, String>,
    /// The earlier definitions that are copied into the block.
    pub(super) copies: BTreeSet<usize>,
    /// The earlier definitions that cannot be copied, with the reason.
    pub(super) kept: BTreeMap<usize, String>,
    /// The names that have another meaning in the block.
    pub(super) fresh: Mentions,
    /// The types among them.
    types: BTreeSet<String>,
}

impl Plan {
    /// Finds the effects of new definitions.
    pub(super) fn of(scene: &Scene<'_>) -> Self {
        let needed = scene.needed();
        let (mut replaced, mut kept) = (BTreeMap::new(), BTreeMap::new());
        // Ends, since each turn but the last adds a reason.
        loop {
            let plan = Self::without(scene, &needed, &replaced, &kept);
            let is_same = plan.replaced.len() == replaced.len() && plan.kept.len() == kept.len();
            if is_same {
                return plan;
            }
            (replaced, kept) = (plan.replaced, plan.kept);
        }
    }

    /// Returns true if the definitions need a block of their own.
    pub(super) fn opens_block(&self) -> bool {
        !self.redefined.is_empty()
    }

    /// Plans with the definitions that are known not to fit into a block.
    fn without(
        scene: &Scene<'_>,
        needed: &BTreeSet<usize>,
        replaced: &BTreeMap<usize, String>,
        kept: &BTreeMap<usize, String>,
    ) -> Self {
        let redefined = (0..scene.new.len())
            .filter(|index| scene.redefines(scene.new[*index]) && !replaced.contains_key(index));
        let mut plan = Self {
            redefined: redefined.collect(),
            replaced: replaced.clone(),
            kept: kept.clone(),
            ..Self::default()
        };
        for index in plan.redefined.clone() {
            plan.add(scene.new[index]);
        }
        for index in plan.redefined.clone() {
            if let Err(reason) = plan.fit(scene, scene.new[index]) {
                plan.replace(scene, index, &reason);
            }
        }
        loop {
            let before = plan.copies.len() + plan.kept.len();
            for index in needed {
                plan.consider(scene, *index);
            }
            if plan.copies.len() + plan.kept.len() == before {
                return plan;
            }
        }
    }

    /// Adds the names of a definition in the block.
    fn add(&mut self, definition: &Definition) {
        add_names(&mut self.fresh, definition);
        if let DefinitionKind::Type { .. } = definition.kind {
            self.types.extend(definition.names.iter().cloned());
        }
    }

    /// Copies an earlier definition if it uses the new ones.
    fn consider(&mut self, scene: &Scene<'_>, index: usize) {
        let definition = &scene.live[index].definition;
        let is_done = self.copies.contains(&index) || self.kept.contains_key(&index);
        if is_done || scene.is_redefined(definition) || !meets(&definition.mentions, &self.fresh) {
            return;
        }
        // A static keeps its value, unless its type is another one.
        let is_static = definition.kind == DefinitionKind::Static;
        if is_static && definition.mentions.names.is_disjoint(&self.types) {
            return;
        }
        match self.fit(scene, definition) {
            Ok(()) => {
                self.copies.insert(index);
                self.add(definition);
                if definition.kind == DefinitionKind::Use {
                    self.fresh.names.extend(scene.imported(definition));
                }
            }
            Err(reason) => {
                self.keep_trait(scene, definition, &reason);
                self.kept.insert(index, reason);
            }
        }
    }

    /// Returns an error if a definition cannot be repeated in a block: an impl needs a type that is
    /// new there.
    fn fit(&mut self, scene: &Scene<'_>, definition: &Definition) -> Result<(), String> {
        let DefinitionKind::Impl { ty, head, .. } = &definition.kind else {
            return Ok(());
        };
        if !head.is_disjoint(&self.types) {
            return Ok(());
        }
        let ty = ty.as_deref().unwrap_or("its type");
        let is_it = |live: &Live| match live.definition.kind {
            DefinitionKind::Type { .. } => live.definition.names.iter().any(|name| name == ty),
            _ => false,
        };
        let Some(index) = scene.live.iter().position(is_it) else {
            return Err(format!(
                "a program has one such impl, and no cell defines `{ty}`"
            ));
        };
        if scene.is_carried(ty) {
            return Err(format!(
                "a program has one such impl, and cells before and after it use the same `{ty}`"
            ));
        }
        self.copies.insert(index);
        self.add(&scene.live[index].definition);
        Ok(())
    }

    /// Lets a new definition replace the earlier one from the start.
    fn replace(&mut self, scene: &Scene<'_>, index: usize, reason: &str) {
        self.redefined.remove(&index);
        self.replaced.insert(index, reason.to_owned());
        self.keep_trait(scene, scene.new[index], reason);
    }

    /// Keeps a trait out of the block if one of its impls does not fit there.
    fn keep_trait(&mut self, scene: &Scene<'_>, definition: &Definition, reason: &str) {
        let DefinitionKind::Impl {
            of_trait: Some(name),
            ..
        } = &definition.kind
        else {
            return;
        };
        let is_it = |definition: &Definition| match definition.kind {
            DefinitionKind::Trait { .. } => definition.names.contains(name),
            _ => false,
        };
        let new = scene.new.iter().position(|new| is_it(new));
        if let Some(index) = new.filter(|index| self.redefined.remove(index)) {
            self.replaced.insert(index, reason.to_owned());
        }
        let old = scene.live.iter().position(|live| is_it(&live.definition));
        if let Some(index) = old.filter(|index| self.copies.remove(index)) {
            self.kept.insert(index, reason.to_owned());
        }
    }
}

impl Scene<'_> {
    /// Returns true if a new definition redefines an earlier one.
    fn redefines(&self, new: &Definition) -> bool {
        let mut live = self.live.iter();
        live.any(|live| live.definition.is_same_thing(new))
    }

    /// Returns true if a new definition redefines an earlier one.
    fn is_redefined(&self, old: &Definition) -> bool {
        self.new.iter().any(|new| old.is_same_thing(new))
    }

    /// Returns the names that a glob import of an enum imports.
    fn imported(&self, import: &Definition) -> Vec<String> {
        let types = self.live.iter().map(|live| &live.definition);
        let types = types.chain(self.new.iter().copied());
        let variants = types.filter_map(|it| match &it.kind {
            DefinitionKind::Type { variants, .. }
                if import.names.is_empty()
                    && it
                        .names
                        .iter()
                        .any(|name| import.mentions.names.contains(name)) =>
            {
                Some(variants.clone())
            }
            _ => None,
        });
        variants.flatten().collect()
    }

    /// Returns the statements of a part of the notebook.
    fn steps(entries: &[Entry]) -> impl Iterator<Item = &Step> {
        entries.iter().flat_map(|entry| match entry {
            Entry::Unit(unit) => unit.steps.as_slice(),
            _ => &[],
        })
    }

    /// Returns the earlier definitions that the rest of the notebook refers to.
    fn needed(&self) -> BTreeSet<usize> {
        let mut used = Mentions::default();
        for step in Self::steps(&self.entries[self.at..]) {
            used.extend(&step.mentions);
        }
        for entry in &self.entries[self.at..] {
            if let Entry::Unit(unit) = entry {
                unit.definitions().for_each(|it| used.extend(&it.mentions));
            }
        }
        let mut needed = BTreeSet::new();
        loop {
            let before = needed.len();
            for (index, live) in self.live.iter().enumerate() {
                if !needed.contains(&index) && self.is_used(&live.definition, &used) {
                    needed.insert(index);
                    used.extend(&live.definition.mentions);
                }
            }
            if needed.len() == before {
                return needed;
            }
        }
    }

    fn is_used(&self, definition: &Definition, used: &Mentions) -> bool {
        match &definition.kind {
            DefinitionKind::Impl {
                method: Some((name, _)),
                ..
            } => used.members.contains(name),
            DefinitionKind::Impl {
                ty,
                of_trait: Some(name),
                ..
            } => {
                let traits = self
                    .live
                    .iter()
                    .find_map(|live| match &live.definition.kind {
                        DefinitionKind::Trait { methods }
                            if live.definition.names.contains(name) =>
                        {
                            Some(methods)
                        }
                        _ => None,
                    });
                match (traits, ty) {
                    (Some(methods), _) => {
                        used.names.contains(name) || !methods.is_disjoint(&used.members)
                    }
                    (None, Some(ty)) => used.names.contains(ty) || self.is_carried(ty),
                    (None, None) => true,
                }
            }
            DefinitionKind::Impl { .. } => true,
            DefinitionKind::Trait { methods } => {
                definition.names.iter().any(|it| used.names.contains(it))
                    || !methods.is_disjoint(&used.members)
            }
            // A glob import.
            DefinitionKind::Use if definition.names.is_empty() => true,
            _ => definition.names.iter().any(|it| used.names.contains(it)),
        }
    }

    /// Returns true if a variable that may contain a value of a type is used from here on.
    fn is_carried(&self, ty: &str) -> bool {
        let makers = self.makers(ty);
        let mut carriers: BTreeSet<String> = BTreeSet::new();
        let mut variables: BTreeSet<String> = BTreeSet::new();
        for step in Self::steps(&self.entries[..self.at]) {
            let names = &step.mentions.names;
            if names.is_disjoint(&makers) && names.is_disjoint(&carriers) {
                carriers.retain(|name| !step.bound.contains(name));
            } else {
                carriers.extend(step.bound.iter().cloned());
                // `v.push(…)` and `v = …` put it into a variable.
                let start = step.text.trim_start();
                let is_changed = |name: &&String| start.starts_with(name.as_str());
                carriers.extend(variables.iter().filter(is_changed).cloned());
            }
            variables.extend(step.bound.iter().cloned());
        }
        Self::steps(&self.entries[self.at..]).any(|step| {
            let is_used = !step.mentions.names.is_disjoint(&carriers);
            carriers.retain(|name| !step.bound.contains(name));
            is_used
        })
    }

    /// Returns the names of the definitions that can make a value of a type.
    fn makers(&self, ty: &str) -> BTreeSet<String> {
        let mut makers = BTreeSet::from([ty.to_owned()]);
        loop {
            let before = makers.len();
            for Live { definition, .. } in self.live {
                if definition.mentions.names.is_disjoint(&makers) {
                    continue;
                }
                makers.extend(definition.names.iter().cloned());
                if definition.kind == DefinitionKind::Use {
                    makers.extend(self.imported(definition));
                }
                if let DefinitionKind::Impl { ty: Some(ty), .. } = &definition.kind {
                    makers.insert(ty.clone());
                }
            }
            if makers.len() == before {
                return makers;
            }
        }
    }
}
