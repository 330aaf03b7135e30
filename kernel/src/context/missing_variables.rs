//! The causes of missing names: variables that a cell has moved, dropped or not kept, and the
//! definitions of cells that did not compile.

use super::unresolved::{occurrences, unresolved};
use crate::cell::items;
use crate::report::unkept_reason;
use phalanx_protocol::evaluator::{DroppedVariables, UnkeptReason, UnkeptVariable};
use phalanx_protocol::failure::{Diagnostic, Failure};
use std::collections::BTreeMap;
use std::fmt;

/// The name of a cell in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CellName {
    /// A cell of this notebook, with its execution count.
    Own(usize),
    /// A cell that another notebook has run on the engines, with its execution count there.
    Foreign(usize),
}

impl fmt::Display for CellName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(count) => write!(f, "In[{count}]"),
            Self::Foreign(count) => write!(f, "In[{count}] of another notebook"),
        }
    }
}

/// Missing variables, with the cells that caused it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MissingVariables {
    moved: BTreeMap<String, CellName>,
    /// Names that do not exist for another reason.
    undefined: BTreeMap<String, (CellName, MissingCause)>,
}

/// The cause of a name that does not exist although a cell defines it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MissingCause {
    /// The cell did not compile.
    NotCompiled,
    /// The cell failed.
    Failed,
    /// The cell returned before its end.
    Returned,
    /// The variable cannot be kept, for this reason.
    Unkept(UnkeptReason),
    /// The cell has redefined the variable's type; or these crates were rebuilt, which define it.
    Dropped(Vec<String>),
    /// The process with the variable ended in the cell.
    Died,
    /// The process with the variable ended after the cell, while no other ran.
    DiedAtRest,
    /// The cell of another notebook does not compile in this one.
    LeftOut,
}

impl MissingVariables {
    /// Returns the cell that moved a variable, if one did.
    pub fn by(&self, variable: &str) -> Option<CellName> {
        self.moved.get(variable).copied()
    }

    /// Returns true if the cause of a missing name is known.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.moved.contains_key(name) || self.undefined.contains_key(name)
    }

    /// Describes the cause of a missing name, and the remedy.
    fn cause_of(&self, name: &str) -> Option<String> {
        match (self.undefined.get(name), self.by(name)) {
            (Some((cell, cause)), _) => Some(match cause {
                MissingCause::NotCompiled => {
                    format!("{cell} did not compile, so `{name}`, which it defines, is not there")
                }
                MissingCause::Failed if self.by(name) == Some(*cell) => format!(
                    "{cell} failed, so `{name}`, which it defines anew, is not there, and the earlier value is gone: give a `let` that may fail another name"
                ),
                MissingCause::Failed => format!(
                    "{cell} failed, so `{name}`, which it defines, is not there: a cell's definitions are kept only if it succeeds; put code that may fail into a cell of its own"
                ),
                MissingCause::Returned => format!(
                    "{cell} returned before its end, so `{name}`, which it defines, is not there"
                ),
                MissingCause::Unkept(reason) => {
                    let variable = UnkeptVariable {
                        name: name.to_owned(),
                        reason: reason.clone(),
                    };
                    let reason = unkept_reason(&variable);
                    format!("`{name}` was not kept for cells after {cell}: {reason}")
                }
                MissingCause::Dropped(rebuilt) if rebuilt.is_empty() => format!(
                    "`{name}` was dropped by {cell}, which defines its type anew: run the cell again that makes `{name}`"
                ),
                MissingCause::Dropped(rebuilt) => format!(
                    "`{name}` was dropped before {cell}, since `{}` was built anew: run the cell again that makes `{name}`",
                    rebuilt.join("`, `")
                ),
                MissingCause::Died => format!(
                    "`{name}` was lost when its process ended in {cell}: run the cell again that makes `{name}`"
                ),
                MissingCause::DiedAtRest => format!(
                    "`{name}` was lost when its process ended after {cell}: run the cell again that makes `{name}`"
                ),
                MissingCause::LeftOut => format!(
                    "`{name}` is defined by {cell}, whose definition of it does not compile in this one"
                ),
            }),
            (_, Some(cell)) => Some(format!(
                "`{name}` was moved by {cell} and is gone: give that cell a copy (`{name}.clone()`) or a reference (`&{name}`), or define `{name}` again"
            )),
            _ => None,
        }
    }

    /// Adds the cause to errors about names that do not exist.
    pub fn explain(&self, mut failure: Failure) -> Failure {
        if let Failure::Compile { diagnostics } = &mut failure {
            for diagnostic in diagnostics {
                let why = missing_name(diagnostic).and_then(|name| self.cause_of(name));
                if let Some(why) = why {
                    // The names that rustc suggests instead are similar, but unrelated.
                    diagnostic.help = vec![why];
                }
            }
        }
        failure
    }

    /// Records a cell that compiled, and the variables that it has moved; `variables` exist after
    /// it.
    pub(crate) fn record<'a>(
        &mut self,
        cell: CellName,
        source: &str,
        moved: &[String],
        variables: impl IntoIterator<Item = &'a str>,
    ) {
        for name in moved {
            self.moved.insert(name.clone(), cell);
            self.undefined.remove(name);
        }
        for name in variables {
            self.moved.remove(name);
            self.undefined.remove(name);
        }
        for item in items(source) {
            self.undefined.remove(item.defined().unwrap_or_default());
        }
    }

    /// Records a cell that did not compile; `variables` exist after it.
    pub(crate) fn not_compiled(&mut self, cell: CellName, source: &str, variables: &[String]) {
        let items = items(source);
        let items = items.iter().filter_map(|item| item.defined());
        for name in bound(source).chain(items) {
            let is_there = variables.iter().any(|there| there == name);
            // It may have failed because of the other cause.
            let is_known = self.moved.contains_key(name)
                || self
                    .undefined
                    .get(name)
                    .is_some_and(|(_, cause)| *cause != MissingCause::NotCompiled);
            if !is_there && !is_known {
                let cause = (cell, MissingCause::NotCompiled);
                self.undefined.insert(name.to_owned(), cause);
            }
        }
    }

    /// Records variables that were dropped for a cell; `variables` exist after it.
    pub(crate) fn dropped(
        &mut self,
        cell: CellName,
        dropped: &DroppedVariables,
        variables: &[String],
    ) {
        for name in dropped
            .names
            .iter()
            .filter(|name| !variables.contains(name))
        {
            let cause = MissingCause::Dropped(dropped.rebuilt.clone());
            self.moved.remove(name);
            self.undefined.insert(name.clone(), (cell, cause));
        }
    }

    /// Records variables that were lost when their process ended in a cell, or after it.
    pub(crate) fn lost<'a>(
        &mut self,
        cell: CellName,
        cause: MissingCause,
        names: impl IntoIterator<Item = &'a String>,
    ) {
        for name in names {
            self.moved.remove(name);
            self.undefined.insert(name.clone(), (cell, cause.clone()));
        }
    }

    /// Records a cell that did not run to its end; `variables` exist after it.
    pub(crate) fn ended_early(
        &mut self,
        cell: CellName,
        cause: MissingCause,
        source: &str,
        variables: &[String],
    ) {
        for name in bound(source) {
            if !variables.iter().any(|there| there == name) {
                self.undefined
                    .insert(name.to_owned(), (cell, cause.clone()));
            }
        }
    }

    /// Records the definitions of another notebook's cell that do not compile here: variables, and
    /// items with their kind.
    pub(crate) fn left_out(&mut self, cell: CellName, names: &[String]) {
        for name in names {
            let name = name.rsplit(' ').next().unwrap_or(name);
            self.undefined
                .insert(name.to_owned(), (cell, MissingCause::LeftOut));
        }
    }

    /// Records variables of a cell that were not kept.
    pub(crate) fn unkept(&mut self, cell: CellName, variables: &[UnkeptVariable]) {
        self.undefined.extend(variables.iter().map(|variable| {
            let cause = MissingCause::Unkept(variable.reason.clone());
            (variable.name.clone(), (cell, cause))
        }));
    }
}

/// Returns the variables whose loss is reported after their cell. A closure or a borrowing value
/// that the cell itself uses is seldom meant for others; the error of one that is names the reason.
pub(crate) fn reported_unkept(source: &str, variables: &[UnkeptVariable]) -> Vec<UnkeptVariable> {
    let variables = variables.iter().filter(|variable| match variable.reason {
        UnkeptReason::Borrowed | UnkeptReason::Closure | UnkeptReason::Unnameable { .. } => {
            occurrences(source, &variable.name).nth(1).is_none()
        }
        UnkeptReason::Uninitialized | UnkeptReason::Unknown => true,
    });
    variables.cloned().collect()
}

/// Returns the name that an error is about, if it is that the name does not exist.
pub(crate) fn missing_name(error: &Diagnostic) -> Option<&str> {
    const METHODS: &str = "E0599";
    const MACRO: &str = "cannot find macro `";
    match error.code.as_deref() {
        Some(METHODS) => None,
        Some(_) => unresolved(error),
        None => error.message.strip_prefix(MACRO)?.split('`').next(),
    }
}

/// Returns the names bound by `let` statements, approximately: a false positive does no harm.
pub fn bound(source: &str) -> impl Iterator<Item = &str> {
    let of_name = |c: char| c.is_alphanumeric() || c == '_';
    let begins = move |at: usize| !source[..at].ends_with(of_name);
    let lets = source
        .match_indices("let ")
        .filter(move |(at, _)| begins(*at));
    let patterns = lets.map(|(at, word)| {
        let rest = &source[at + word.len()..];
        &rest[..rest.find(['=', ':', ';']).unwrap_or(rest.len())]
    });
    let words = patterns.flat_map(move |pattern| pattern.split(move |c| !of_name(c)));
    words.filter(|word| {
        let first = word.chars().next();
        first.is_some_and(|c| c.is_lowercase() || c == '_') && !matches!(*word, "mut" | "ref" | "_")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::failure::Diagnostic;

    fn unkept(name: &str, reason: UnkeptReason) -> UnkeptVariable {
        UnkeptVariable {
            name: name.to_owned(),
            reason,
        }
    }

    #[test]
    fn variables_that_their_cell_uses_are_not_reported() {
        let variables = [
            unkept("f", UnkeptReason::Closure),
            unkept("größe", UnkeptReason::Closure),
            unkept("wörter", UnkeptReason::Borrowed),
            unkept("x", UnkeptReason::Unknown),
        ];
        let source =
            "let f = |größen: u8| x; let größe = || 1;\nlet wörter = f(x).split();\nwörter.len()";
        let reported = reported_unkept(source, &variables);
        let names: Vec<_> = reported.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["größe", "x"]);
    }

    #[test]
    fn an_error_about_a_moved_variable_names_the_cell() {
        let mut moved = MissingVariables::default();
        moved.record(CellName::Own(3), "", &["größe".into()], []);
        let missing = |name: &str| Diagnostic {
            message: format!("cannot find value `{name}` in this scope"),
            code: Some("E0425".into()),
            spans: Vec::new(),
            help: vec!["a local variable with a similar name exists".into()],
            rendered: None,
            earlier: None,
        };
        let diagnostics = vec![missing("größe"), missing("other")];
        let Failure::Compile { diagnostics } = moved.explain(Failure::Compile { diagnostics })
        else {
            panic!()
        };
        assert!(diagnostics[0].help[0].contains("`größe` was moved by In[3]"));
        assert_eq!(diagnostics[1], missing("other"));
    }

    #[test]
    fn a_redefined_variable_is_not_missing() {
        let mut moved = MissingVariables::default();
        moved.record(CellName::Own(3), "", &["a".into(), "b".into()], ["c"]);
        moved.record(CellName::Foreign(4), "", &["c".into()], ["a"]);
        assert_eq!(moved.by("a"), None);
        assert_eq!(moved.by("b"), Some(CellName::Own(3)));
        let why = moved.cause_of("c").unwrap();
        assert!(
            why.contains("moved by In[4] of another notebook and is gone"),
            "{why}"
        );
    }

    #[test]
    fn missing_names_that_were_dropped_or_did_not_compile_are_explained() {
        let mut missing = MissingVariables::default();
        let cell = CellName::Own;
        let dropped = |rebuilt: &[&str]| DroppedVariables {
            names: vec!["a".into(), "kept".into()],
            rebuilt: rebuilt.iter().map(|name| (*name).to_owned()).collect(),
        };
        missing.dropped(cell(2), &dropped(&[]), &["kept".into()]);
        assert_eq!(missing.cause_of("kept"), None);
        assert!(missing.cause_of("a").unwrap().contains("dropped by In[2]"));
        missing.dropped(cell(3), &dropped(&["rand"]), &["kept".into()]);
        assert!(
            missing
                .cause_of("a")
                .unwrap()
                .contains("before In[3], since `rand`")
        );

        let source = "fn mandel() {} struct Größe; let (a, b) = mandel(); wrong";
        missing.not_compiled(cell(4), source, &["b".into()]);
        let help_for = |missing: &MissingVariables, code: Option<&str>, message: &str| {
            let diagnostics = vec![Diagnostic {
                message: message.to_owned(),
                code: code.map(str::to_owned),
                spans: Vec::new(),
                help: Vec::new(),
                rendered: None,
                earlier: None,
            }];
            let Failure::Compile { mut diagnostics } =
                missing.explain(Failure::Compile { diagnostics })
            else {
                panic!()
            };
            diagnostics.remove(0).help.pop().unwrap_or_default()
        };
        let not_compiled = |name: &str| {
            format!("In[4] did not compile, so `{name}`, which it defines, is not there")
        };
        for (code, message, name) in [
            (
                Some("E0425"),
                "cannot find function `mandel` in this scope",
                "mandel",
            ),
            (
                Some("E0412"),
                "cannot find type `Größe` in this scope",
                "Größe",
            ),
            (None, "cannot find macro `mandel` in this scope", "mandel"),
        ] {
            assert_eq!(help_for(&missing, code, message), not_compiled(name));
        }
        assert_eq!(
            help_for(&missing, Some("E0599"), "no method named `mandel` found"),
            ""
        );
        assert!(
            missing.cause_of("a").unwrap().contains("dropped"),
            "the first cause"
        );
        assert_eq!(missing.cause_of("b"), None);
        missing.record(cell(5), "fn mandel() {}", &[], []);
        assert_eq!(missing.cause_of("mandel"), None);
        assert!(missing.cause_of("Größe").is_some());
    }

    #[test]
    fn missing_names_of_a_failed_cell_are_explained() {
        let mut moved = MissingVariables::default();
        moved.record(CellName::Own(3), "", &["slow".into()], []);
        let source =
            "let slow = f()?; let (mut a, Some(größe)) = slow; pallet = 1; let kept: u8 = 2;";
        moved.ended_early(
            CellName::Own(3),
            MissingCause::Failed,
            source,
            &["kept".into()],
        );
        for name in ["slow", "a", "größe"] {
            let why = moved.cause_of(name).unwrap();
            assert!(
                why.starts_with(&format!("In[3] failed, so `{name}`")),
                "{why}"
            );
        }
        for name in ["kept", "Some", "mut", "pallet", "f", "u8"] {
            assert_eq!(moved.cause_of(name), None);
        }
        // `slow` had been moved by the same cell: it was there before.
        assert!(
            moved
                .cause_of("slow")
                .unwrap()
                .contains("the earlier value is gone")
        );
        assert!(!moved.cause_of("a").unwrap().contains("earlier value"));
        moved.record(CellName::Own(4), "", &[], ["a"]);
        assert_eq!(moved.cause_of("a"), None);
        moved.record(CellName::Own(5), "", &["slow".into()], []);
        assert!(moved.cause_of("slow").unwrap().contains("moved by In[5]"));
        moved.unkept(CellName::Own(6), &[unkept("slow", UnkeptReason::Borrowed)]);
        assert!(
            moved
                .cause_of("slow")
                .unwrap()
                .contains("not kept for cells after In[6]: it borrows")
        );
        moved.lost(CellName::Own(6), MissingCause::Died, &["slow".to_owned()]);
        assert!(
            moved
                .cause_of("slow")
                .unwrap()
                .contains("lost when its process ended in In[6]")
        );
        moved.ended_early(
            CellName::Own(7),
            MissingCause::Returned,
            "let slow = 1;",
            &[],
        );
        assert!(moved.cause_of("slow").unwrap().contains("In[7] returned"));
        let names = ["fn slow".to_owned(), "größe".to_owned()];
        moved.left_out(CellName::Foreign(8), &names);
        for name in ["slow", "größe"] {
            let why = moved.cause_of(name).unwrap();
            assert!(
                why.contains("defined by In[8] of another notebook"),
                "{why}"
            );
        }
    }
}
