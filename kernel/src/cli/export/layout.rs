//! The places of a program's items: outside of `main`, or in a block of it that a cell opens when
//! it redefines one.

use super::definition::{Definition, DefinitionKind, Mentions};
use super::plan::{Plan, Scene};
use std::collections::BTreeSet;

/// A part of the notebook, in order.
#[derive(Debug)]
pub(super) enum Entry {
    /// The start of a cell, with its number.
    Cell(usize),
    /// Lines of comments.
    Comment(String),
    /// Code that the notebook evaluates at once.
    Unit(Unit),
}

/// Code that the notebook evaluates at once.
#[derive(Debug, Default)]
pub(super) struct Unit {
    pub(super) items: Vec<UnitItem>,
    pub(super) steps: Vec<Step>,
}

impl Unit {
    /// Returns all its definitions.
    pub(super) fn definitions(&self) -> impl Iterator<Item = &Definition> {
        self.items.iter().flat_map(|item| &item.definitions)
    }
}

/// An item of a unit.
#[derive(Debug)]
pub(super) struct UnitItem {
    pub(super) text: String,
    pub(super) definitions: Vec<Definition>,
}

/// A statement of a unit, or lines of comments.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) text: String,
    pub(super) mentions: Mentions,
    /// The names that it binds.
    pub(super) bound: Vec<String>,
    /// True for a declaration whose type may follow from later code alone, and that does nothing
    /// else.
    pub(super) is_open: bool,
}

/// A definition that code of the next cells refers to.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) definition: Definition,
    /// The number of its cell.
    pub(super) cell: usize,
    /// True if its unit also defines the type that it implements.
    pub(super) is_with_type: bool,
    /// The number of blocks of `main` around it; 0 for an item outside of `main`.
    level: usize,
    /// The position of its text.
    chunk: usize,
}

/// The texts of a program.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// The items outside of `main`.
    pub(super) items: Vec<String>,
    /// The body of `main`, in which `depth` blocks are open at its end.
    pub(super) body: String,
    pub(super) depth: usize,
    /// The differences from the notebook.
    pub(super) notes: Vec<String>,
}

impl Layout {
    /// Finds the places for the parts of a notebook.
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut placer = Placer::default();
        for (at, entry) in entries.iter().enumerate() {
            match entry {
                Entry::Cell(number) => {
                    placer.end_cell();
                    placer.cell = *number;
                }
                Entry::Comment(text) => placer.push(text.clone()),
                Entry::Unit(unit) => placer.unit(entries, at, unit),
            }
        }
        placer.end_cell();
        let text = |chunk: &usize| placer.chunks[*chunk].clone();
        Self {
            items: placer.root.iter().map(text).collect(),
            body: placer.body.iter().map(text).collect(),
            depth: placer.depth,
            notes: placer.notes,
        }
    }
}

#[derive(Debug, Default)]
struct Placer {
    /// All texts, which later cells may change.
    chunks: Vec<String>,
    /// The texts outside of `main`.
    root: Vec<usize>,
    body: Vec<usize>,
    /// The texts of the current cell.
    of_cell: Vec<usize>,
    live: Vec<Live>,
    cell: usize,
    depth: usize,
    notes: Vec<String>,
}

impl Placer {
    fn chunk(&mut self, text: String) -> usize {
        self.chunks.push(text);
        self.chunks.len() - 1
    }

    fn push(&mut self, text: String) {
        let chunk = self.chunk(text);
        self.of_cell.push(chunk);
    }

    fn end_cell(&mut self) {
        if self.of_cell.is_empty() {
            return;
        }
        let head = self.chunk(format!("    // In [{}]\n", self.cell));
        self.body.push(head);
        self.body.append(&mut self.of_cell);
        let end = self.chunk("\n".to_owned());
        self.body.push(end);
    }

    fn unit(&mut self, entries: &[Entry], at: usize, unit: &Unit) {
        self.items(entries, at, unit);
        for step in &unit.steps {
            self.push(step.text.clone());
        }
    }

    fn items(&mut self, entries: &[Entry], at: usize, unit: &Unit) {
        let is_known = |new: &Definition| {
            let mut live = self.live.iter();
            live.any(|old| old.definition.key == new.key && old.definition.tokens == new.tokens)
        };
        let new: Vec<&Definition> = unit.definitions().filter(|it| !is_known(it)).collect();
        self.remove_stale(unit, &new);
        let scene = Scene {
            entries,
            at,
            live: &self.live,
            new: &new,
        };
        let plan = Plan::of(&scene);
        let cell = self.cell;
        if plan.opens_block() {
            self.depth += 1;
            let names: Vec<String> = plan
                .redefined
                .iter()
                .map(|it| new[*it].describe())
                .collect();
            let names = names.join(", ");
            self.push(format!(
                "    // Cell {cell} redefines {names} for the rest of the program.\n    {{\n"
            ));
        }
        for (index, reason) in &plan.replaced {
            self.note(format!(
                "{} of cell {cell} is used from the start, since {reason}",
                new[*index].describe()
            ));
        }
        for (index, reason) in &plan.kept {
            let old = &self.live[*index];
            let text = format!(
                "{} of cell {} does not use the new definitions of cell {cell}, since {reason}",
                old.definition.describe(),
                old.cell
            );
            self.note(text);
        }
        let in_block = self.in_block(&new, &plan);
        self.warn_of_paths(&new, &in_block);
        let gone: BTreeSet<usize> = (0..self.live.len())
            .filter(|at| {
                let old = &self.live[*at].definition;
                let mut redefined = plan.redefined.iter();
                redefined.any(|index| old.is_same_thing(new[*index]))
            })
            .collect();
        // A macro is defined before its uses.
        for is_macro in [true, false] {
            self.add(unit, &new, &plan, &in_block, is_macro);
            for index in &plan.copies {
                let is_one = self.live[*index].definition.key.starts_with("macro ");
                if is_one == is_macro {
                    let text = format!("{}\n\n", self.live[*index].definition.text);
                    let chunk = self.chunk(text);
                    self.of_cell.push(chunk);
                    self.live[*index].chunk = chunk;
                    self.live[*index].level = self.depth;
                }
            }
        }
        let mut position = 0..;
        let mut is_gone = || position.next().is_some_and(|at| gone.contains(&at));
        self.live.retain(|_| !is_gone());
    }

    /// Removes the impls that end with the redefinition of their type, as in the notebook.
    fn remove_stale(&mut self, unit: &Unit, new: &[&Definition]) {
        let keys: BTreeSet<&str> = unit.definitions().map(|it| it.key.as_str()).collect();
        let implemented: BTreeSet<&str> = unit.definitions().filter_map(implemented).collect();
        self.live.retain(|live| {
            let DefinitionKind::Impl {
                ty: Some(ty),
                of_trait,
                ..
            } = &live.definition.kind
            else {
                return true;
            };
            let redefinition = new.iter().find_map(|new| match &new.kind {
                DefinitionKind::Type { derived, .. } if new.names.contains(ty) => Some(derived),
                _ => None,
            });
            let Some(derived) = redefinition else {
                return true;
            };
            let is_derived = of_trait.as_ref().is_some_and(|it| derived.contains(it));
            let is_implemented = implemented.contains(ty.as_str());
            !live.is_with_type
                || keys.contains(live.definition.key.as_str())
                || !(is_derived || is_implemented)
        });
    }

    /// Returns the positions of the new definitions that belong into the innermost block.
    fn in_block(&self, new: &[&Definition], plan: &Plan) -> BTreeSet<usize> {
        let mut inner = plan.fresh.clone();
        for live in self.live.iter().filter(|live| live.level > 0) {
            add_names(&mut inner, &live.definition);
        }
        let mut found: BTreeSet<usize> = plan.redefined.iter().copied().collect();
        loop {
            let before = found.len();
            for (index, definition) in new.iter().enumerate() {
                let is_replaced = plan.replaced.contains_key(&index);
                if !is_replaced && (found.contains(&index) || meets(&definition.mentions, &inner)) {
                    found.insert(index);
                    add_names(&mut inner, definition);
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }

    /// Notes definitions in a block whose paths lead out of it.
    fn warn_of_paths(&mut self, new: &[&Definition], in_block: &BTreeSet<usize>) {
        for index in in_block {
            let definition = new[*index];
            let roots = ["crate :: ", "super :: ", "self :: "];
            if roots.iter().any(|root| definition.tokens.contains(root)) {
                let note = format!(
                    "the paths in {} of cell {} that start with `crate`, `self` or `super` lead to the first definitions",
                    definition.describe(),
                    self.cell
                );
                self.note(note);
            }
        }
    }

    /// Adds the new definitions that are macros, or those that are none.
    fn add(
        &mut self,
        unit: &Unit,
        new: &[&Definition],
        plan: &Plan,
        in_block: &BTreeSet<usize>,
        is_macro: bool,
    ) {
        let types: BTreeSet<&str> = unit.definitions().filter_map(defined_type).collect();
        for item in &unit.items {
            let position = |definition: &Definition| {
                let is_it = |it: &&Definition| std::ptr::eq(*it, definition);
                new.iter().position(is_it)
            };
            let all: Vec<Option<usize>> = item.definitions.iter().map(position).collect();
            let is_one = item
                .definitions
                .iter()
                .any(|it| it.key.starts_with("macro "));
            if is_one != is_macro {
                continue;
            }
            let place = |at: &Option<usize>| {
                let at = (*at)?;
                (!plan.replaced.contains_key(&at)).then(|| in_block.contains(&at))
            };
            let first = all.first().and_then(place);
            let is_whole = first.is_some() && all.iter().all(|at| place(at) == first);
            let mut whole = None;
            for (definition, at) in item.definitions.iter().zip(&all) {
                let Some(index) = *at else { continue };
                if plan.replaced.contains_key(&index) {
                    self.replace(definition);
                    continue;
                }
                let inner = in_block.contains(&index);
                let chunk = match whole {
                    Some(chunk) => chunk,
                    None => {
                        let text = if is_whole {
                            &item.text
                        } else {
                            &definition.text
                        };
                        let end = if inner { "\n\n" } else { "" };
                        let chunk = self.chunk(format!("{text}{end}"));
                        match inner {
                            true => self.of_cell.push(chunk),
                            false => self.root.push(chunk),
                        }
                        whole = is_whole.then_some(chunk);
                        chunk
                    }
                };
                let of = implemented(definition);
                self.live.push(Live {
                    definition: definition.clone(),
                    cell: self.cell,
                    is_with_type: of.is_some_and(|of| types.contains(of)),
                    level: if inner { self.depth } else { 0 },
                    chunk,
                });
            }
        }
    }

    /// Puts a definition in the place of the earlier one.
    fn replace(&mut self, new: &Definition) {
        let cell = self.cell;
        let old = self
            .live
            .iter_mut()
            .find(|live| live.definition.is_same_thing(new));
        let Some(old) = old else { return };
        let text = &mut self.chunks[old.chunk];
        let method = |definition: &Definition| match &definition.kind {
            DefinitionKind::Impl { method, .. } => method.clone(),
            _ => None,
        };
        let (from, to) = match (method(&old.definition), method(new)) {
            (Some((_, from)), Some((_, to))) => (from, to),
            _ => (old.definition.text.clone(), new.text.clone()),
        };
        *text = text.replacen(&from, &to, 1);
        old.definition = new.clone();
        old.cell = cell;
    }

    fn note(&mut self, text: String) {
        self.push(format!("    // Differs from the notebook: {text}.\n"));
        self.notes.push(text);
    }
}

/// Returns the type that an impl is for.
fn implemented(definition: &Definition) -> Option<&str> {
    match &definition.kind {
        DefinitionKind::Impl { ty, .. } => ty.as_deref(),
        _ => None,
    }
}

/// Returns the type that a definition defines.
fn defined_type(definition: &Definition) -> Option<&str> {
    match &definition.kind {
        DefinitionKind::Type { .. } => definition.names.first().map(String::as_str),
        _ => None,
    }
}

/// Adds the names that a definition defines, and the methods of a trait.
pub(super) fn add_names(to: &mut Mentions, definition: &Definition) {
    to.names.extend(definition.names.iter().cloned());
    if let DefinitionKind::Trait { methods } = &definition.kind {
        to.members.extend(methods.iter().cloned());
    }
}

/// Returns true if code mentions one of the names.
pub(super) fn meets(code: &Mentions, names: &Mentions) -> bool {
    !code.names.is_disjoint(&names.names) || !code.members.is_disjoint(&names.members)
}

#[cfg(test)]
mod tests {
    use super::super::program::{CodeCell, Program};
    use std::path::Path;

    /// Returns the items outside of `main`, its body, and the notes; all without layout.
    fn parts(cells: &[&str]) -> (String, String, Vec<String>) {
        let cells: Vec<CodeCell> = cells.iter().map(|cell| CodeCell::from(*cell)).collect();
        let program = Program::of(&cells, Path::new(""));
        let text = program.text();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (items, body) = text.split_once("fn main()").unwrap();
        let body = body.split("/// Prints").next().unwrap();
        (items.to_owned(), body.to_owned(), program.notes().to_vec())
    }

    fn assert_order(text: &str, parts: &[&str]) {
        let mut rest = text;
        for part in parts {
            let Some(at) = rest.find(part) else {
                panic!("{part} is not at its place in\n{text}");
            };
            rest = &rest[at + part.len()..];
        }
    }

    #[test]
    fn functions_use_redefined_ones_from_their_cell_on() {
        let (items, body, notes) = parts(&[
            "fn f() -> u8 { 1 }\nfn g() -> u8 { f() }\nfn other() -> u8 { 0 }",
            "let a = g();",
            "// again\nfn f() -> u8 { 2 }",
            "g() + other()",
            "fn f() -> u8 {\n    // the same\n    2\n}",
            "fn f() -> u8 { 3 }\nfn h() -> u8 { g() }\nh()",
        ]);
        assert_order(&items, &["fn f() -> u8 { 1 }", "fn g()", "fn other()"]);
        assert!(!items.contains("fn h"), "{items}");
        assert_order(
            &body,
            &[
                "let a = g();",
                "// Cell 3 redefines `f` for the rest of the program. {",
                "fn f() -> u8 { 2 }",
                "fn g() -> u8 { f() }",
                "show(&(g() + other()));",
                "// Cell 6 redefines `f`",
                "fn f() -> u8 { 3 }",
                "fn h()",
                "fn g()",
                "show(&(h())); } } Ok(())",
            ],
        );
        assert_eq!(body.matches("redefines").count(), 2, "{body}");
        assert!(notes.is_empty(), "{notes:?}");
    }

    #[test]
    fn types_are_redefined_with_their_impls_and_users() {
        let (items, body, notes) = parts(&[
            "struct Größe(u8);\nimpl Größe { fn a(&self) -> u8 { self.0 } fn b(&self) -> u8 { 1 } }\n\
             impl Clone for Größe { fn clone(&self) -> Self { Self(0) } }",
            "fn show_it(g: &Größe) -> u8 { g.a() }\nfn unused(g: &Größe) {}",
            "let g = Größe(1);\nshow_it(&g)",
            "#[derive(Clone)]\nstruct Größe(u8, u8);\nimpl Größe { fn a(&self) -> u8 { self.1 } }",
            "show_it(&Größe(1, 2).clone())",
            "struct Größe;",
            "Größe.a()",
        ]);
        assert_order(
            &items,
            &[
                "struct Größe(u8);",
                "fn b(&self)",
                "impl Clone",
                "fn show_it",
                "fn unused",
            ],
        );
        assert_order(
            &body,
            &[
                "{ #[derive(Clone)] struct Größe(u8, u8);",
                "self.1",
                "fn show_it",
                "show(&(show_it",
                "{ struct Größe;",
                "impl Größe { fn a(&self) -> u8 { self.1 } }",
                "show(&(Größe.a())); } }",
            ],
        );
        for absent in ["fn b", "impl Clone", "fn unused"] {
            assert!(!body.contains(absent), "{absent} in {body}");
        }
        assert!(notes.is_empty(), "{notes:?}");
    }

    #[test]
    fn impls_are_redefined_with_their_type_unless_its_values_are_in_use() {
        let cells = [
            "trait T { fn t(&self) -> u8; }\nstruct A;\nimpl T for A { fn t(&self) -> u8 { 1 } }",
            "let a = A;\na.t()",
            "impl T for A { fn t(&self) -> u8 { 2 } }",
        ];
        let (items, body, notes) = parts(&[&cells[..], &["A.t()"]].concat());
        assert!(items.contains("{ 1 }"), "{items}");
        assert_order(
            &body,
            &["{ impl T for A { fn t(&self) -> u8 { 2 } }", "struct A;"],
        );
        assert!(notes.is_empty(), "{notes:?}");

        let (items, body, notes) = parts(&[&cells[..], &["a.t()"]].concat());
        assert!(
            items.contains("{ 2 }") && !items.contains("{ 1 }"),
            "{items}"
        );
        assert!(body.contains("// Differs from the notebook: `impl T for A` of cell 3"));
        assert_eq!(notes.len(), 1, "{notes:?}");
    }

    #[test]
    fn imports_and_impls_of_several_cells_are_kept() {
        let (items, body, notes) = parts(&[
            "use std::collections::{HashMap, HashSet};\nstruct A;\nimpl A { fn a() {} }",
            "use std::collections::{BTreeMap, HashMap};\nimpl A { fn b() {} }",
        ]);
        for part in [
            "{HashMap, HashSet}",
            "use std::collections::BTreeMap;",
            "fn a()",
            "fn b()",
        ] {
            assert!(items.contains(part), "{part} in {items}");
        }
        assert!(!body.contains("redefines") && notes.is_empty(), "{body}");
    }
}
