//! The types of variables that a cell declares without type annotations, from the analysis process.
//!
//! evcxr would use its own rust-analyzer, which has nothing to read (see [`super::blind`]): types
//! that are not written in the cell are requested here, and added to the cell. Types that the
//! process does not know, or not yet, are inferred by rustc.

use super::compile_cache::NamespaceShape;
use super::generated_crate::build_folder;
use super::inference::{self, NotInferred};
use super::untyped::{TypedCell, UntypedVariable, untyped};
use super::variables::VariableTypes;
use super::{item_macros, returns};
use crate::interrupt::Interrupt;
use phalanx_analysis::client::AnalysisClient;
use phalanx_protocol::analysis::{
    AnalysisReply, AnalysisRequest, AnalyzedCell, InferredType, VariableType,
};
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

/// The time after which rustc is used instead.
const PATIENCE: Duration = Duration::from_millis(250);

/// The maximum time a cell waits for types that rustc does not infer either.
const LONG_PATIENCE: Duration = Duration::from_secs(90);

/// The placeholder package with which evcxr tries out a dependency.
const TRIAL: &str = "name = \"evcxr_dummy_validate_dep\"";

/// The connection to the analysis process, if any.
pub(super) struct Types {
    client: Option<AnalysisClient>,
    interrupt: Interrupt,
    /// The dependencies last sent to the process; `None` once their files may have changed.
    dependencies: Option<Vec<String>>,
}

impl Types {
    pub(super) fn new(interrupt: &Interrupt) -> Self {
        let mut types = Self {
            client: AnalysisClient::of_environment(),
            interrupt: interrupt.clone(),
            dependencies: Some(Vec::new()),
        };
        types.update();
        types
    }

    /// Returns the types of the variables that a cell declares, in a namespace of this shape
    /// without the variables in `dropped`. A cell whose types are all written, or evident from its
    /// values, does not wait.
    pub(super) fn resolve(
        &mut self,
        source: &str,
        shape: &NamespaceShape,
        dropped: &[String],
    ) -> Vec<VariableType> {
        let unannotated = untyped(source);
        let evident = unannotated.iter().map(|variable| {
            let ty = InferredType::Known(variable.evident.clone()?);
            Some(VariableType {
                name: variable.name.clone(),
                offset: variable.offset,
                ty,
            })
        });
        if let Some(evident) = evident.collect() {
            return evident;
        }
        let variables = shape.variables();
        let cell = AnalyzedCell {
            items: vec![shape.items().to_owned()],
            variables: variables
                .filter(|(name, _)| !dropped.iter().any(|dropped| dropped == name))
                .map(|(name, ty)| (name.to_owned(), ty.to_owned()))
                .collect(),
            source: source.to_owned(),
            ..AnalyzedCell::default()
        };
        let interrupt = &self.interrupt;
        let client = &mut self.client;
        let mut ask = |patience, wait| {
            let is_wanted = || !interrupt.interrupted();
            let cell = cell.clone();
            let request = AnalysisRequest::Types { cell, wait };
            match client.as_mut()?.ask(&request, patience, is_wanted) {
                Some(AnalysisReply::Types(types)) => Some(types),
                _ => None,
            }
        };
        // rustc is sooner than the analysis process while that is loading.
        let analyzed = ask(PATIENCE, false);
        let is_loading = analyzed.is_none();
        let known = analyzed.unwrap_or_default();
        if unknown(&unannotated, &known).is_empty() || interrupt.interrupted() {
            return known;
        }
        let types = match inferred(&cell, &unannotated, &known) {
            Ok(types) => types,
            // The user is shown the errors, which are there whatever the types are.
            Err(NotInferred::Errors) if is_like_scaffold(source, shape.items()) => return known,
            Err(_) => known,
        };
        if is_loading
            && !unknown(&unannotated, &types).is_empty()
            && let Some(analyzed) = ask(LONG_PATIENCE, true)
        {
            let types = complete(types, analyzed);
            return inferred(&cell, &unannotated, &types).unwrap_or(types);
        }
        types
    }

    /// Marks the files of dependencies as changed, which is possible when one is added again.
    pub(super) fn invalidate(&mut self) {
        self.dependencies = None;
    }

    /// Makes the analysis process load the current dependencies of evcxr's crate, unless it has.
    pub(super) fn update(&mut self) {
        let (Some(client), Some(folder)) = (&mut self.client, build_folder()) else {
            return;
        };
        let Some(dependencies) = dependencies(&folder) else {
            return;
        };
        if self.dependencies.as_ref() == Some(&dependencies) {
            return;
        }
        let is_reload = self.dependencies.is_none();
        if client.notify(&AnalysisRequest::Load {
            folder,
            again: is_reload,
        }) {
            self.dependencies = Some(dependencies);
        }
    }
}

/// Returns the types that a cell's variables had when it was compiled before. Of several variables
/// with the same name, only the last one was kept.
pub(super) fn known(source: &str, types: &[(String, String)]) -> Vec<VariableType> {
    let mut seen = HashSet::new();
    let variables = untyped(source).into_iter().rev();
    let typed = variables.map(|UntypedVariable { name, offset, .. }| {
        let found = types.iter().find(|(known, _)| *known == name);
        let ty = match found.filter(|_| seen.insert(name.clone())) {
            Some((_, ty)) => InferredType::Known(ty.clone()),
            None => InferredType::Unknown,
        };
        VariableType { name, offset, ty }
    });
    typed.collect()
}

/// Returns the types of the namespace's variables that a cell has declared without type
/// annotations.
pub(super) fn declared(source: &str, variables: &VariableTypes) -> Vec<(String, String)> {
    let names: HashSet<String> = untyped(source).into_iter().map(|v| v.name).collect();
    let declared = variables.iter().filter(|(name, _)| names.contains(name));
    declared.cloned().collect()
}

/// Completes types with those that rustc infers for the remaining variables. The known ones help
/// rustc: unlike rust-analyzer, it does not call methods of a number with an undetermined type.
///
/// # Errors
/// Returns an error if rustc infers nothing.
fn inferred(
    cell: &AnalyzedCell,
    variables: &[UntypedVariable],
    types: &[VariableType],
) -> Result<Vec<VariableType>, NotInferred> {
    let unknown = unknown(variables, types);
    if unknown.is_empty() {
        return Ok(types.to_vec());
    }
    let with_types = || {
        let typed = TypedCell::new(&cell.source, types);
        let is_unknown = |variable: &UntypedVariable| {
            let offset = typed.offset(variable.offset);
            unknown.iter().any(|variable| variable.offset == offset)
        };
        let variables = untyped(&typed.source).into_iter().filter(is_unknown);
        let cell = AnalyzedCell {
            source: typed.source.clone(),
            ..cell.clone()
        };
        let found = inference::infer(&cell, &variables.collect::<Vec<_>>()).ok()?;
        let found = found.into_iter().map(|ty| VariableType {
            offset: typed.offset(ty.offset),
            ..ty
        });
        Some(found.collect::<Vec<_>>())
    };
    let found = match types.is_empty() {
        true => None,
        false => with_types(),
    };
    let found = found.map_or_else(|| inference::infer(cell, &unknown), Ok)?;
    Ok(complete(found, types.to_vec()))
}

/// Returns true for a cell in which rustc finds the errors that it finds in the scaffold: that
/// returns a `Result`, and lacks the items that macros make.
fn is_like_scaffold(source: &str, items: &str) -> bool {
    !returns::has_any(source)
        && item_macros::calls(items, "").is_empty()
        && item_macros::calls(source, items).is_empty()
}

/// Combines known types; the first type of each variable is kept.
fn complete(mut types: Vec<VariableType>, others: Vec<VariableType>) -> Vec<VariableType> {
    types.retain(|ty| ty.ty != InferredType::Unknown);
    for other in others {
        if types.iter().all(|ty| ty.offset != other.offset) {
            types.push(other);
        }
    }
    types
}

/// Returns the variables whose types were not found.
fn unknown(variables: &[UntypedVariable], types: &[VariableType]) -> Vec<UntypedVariable> {
    let is_unknown = |variable: &&UntypedVariable| {
        let found = types.iter().find(|ty| ty.offset == variable.offset);
        found.is_none_or(|found| found.ty == InferredType::Unknown)
    };
    variables.iter().filter(is_unknown).cloned().collect()
}

/// Returns the dependencies of evcxr's crate, sorted.
fn dependencies(folder: &Path) -> Option<Vec<String>> {
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).ok()?;
    if manifest.contains(TRIAL) {
        return None;
    }
    let (_, dependencies) = manifest.split_once("[dependencies]")?;
    let mut lines: Vec<String> = dependencies.lines().map(str::to_owned).collect();
    lines.sort();
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_with_returns_and_item_macros_differ_from_the_scaffold() {
        assert!(is_like_scaffold("let n = a.len(); n", "fn f() {}"));
        assert!(is_like_scaffold("let f = || { return 1; };", ""));
        assert!(!is_like_scaffold("if a { return; } let n = 1.5;", ""));
        let made = "thread_local! { static N: u8 = 1; }";
        assert!(!is_like_scaffold("let n = 1.5;", made));
        assert!(!is_like_scaffold(&format!("{made}\nlet n = 1.5;"), ""));
    }

    #[test]
    fn types_of_an_earlier_compile_apply_to_kept_variables() {
        let source = "let x = 1;\nlet x = name.len();\nlet (y, z) = pair;\nlet w: u8 = 1;";
        let variable = |name: &str, ty: &str| (name.to_owned(), ty.to_owned());
        let left = vec![
            variable("w", "u8"),
            variable("x", "usize"),
            variable("y", "größe::Wert"),
            variable("other", "u8"),
        ];
        let declared = declared(source, &left);
        assert_eq!(declared, left[1..3]);
        let mut types = known(source, &declared);
        types.sort_by_key(|variable| variable.offset);
        let types: Vec<_> = types.into_iter().map(|variable| variable.ty).collect();
        let known = |ty: &str| InferredType::Known(ty.to_owned());
        let unknown = InferredType::Unknown;
        assert_eq!(
            types,
            [
                unknown.clone(),
                known("usize"),
                known("größe::Wert"),
                unknown
            ]
        );
    }
}
