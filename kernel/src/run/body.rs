//! The preparation of the code of a `%px`: engines receive the Rust, dependencies apply to the
//! session.

use super::dependency::{Dependencies, TypedDependency};
use super::error::CellError;
use crate::cell::{DirectiveKind, RustText, split};
use crate::context::CellContext;
use crate::report::{Fault, FaultSource};
use crate::source_map::SourceMap;

/// Adds the dependencies named in the code, locally and for the engines, and returns the code
/// without these lines; line numbers are preserved.
///
/// # Errors
/// Returns an error if a dependency cannot be added, or if the code contains other commands or
/// magics.
pub(super) async fn prepare(
    dependencies: Dependencies<'_>,
    context: &CellContext,
    text: RustText,
    location: &FaultSource,
) -> Result<RustText, Fault> {
    let mut source = text.source.clone();
    let mut wanted = Vec::new();
    for directive in split(&text.source, &[]) {
        let map = SourceMap::starting_at(&text.source, directive.span.start).within(&text.map);
        let at = FaultSource {
            map,
            ..location.clone()
        };
        match directive.kind {
            DirectiveKind::Rust(_) => {}
            DirectiveKind::Command(line) if line.starts_with(":dep ") => {
                wanted.push(TypedDependency {
                    argument: line.trim_start_matches(":dep").trim().to_owned(),
                    location: at,
                });
                source.replace_range(directive.span.clone(), &" ".repeat(directive.span.len()));
            }
            DirectiveKind::Command(line) => {
                return Err(Fault::at(CellError::EngineCommand(line), at));
            }
            DirectiveKind::Shell(line) => {
                return Err(Fault::at(CellError::EngineShell(line), at));
            }
            DirectiveKind::Magic(line) | DirectiveKind::CellMagic { line, .. } => {
                return Err(Fault::at(CellError::EngineMagic(line), at));
            }
        }
    }
    if !wanted.is_empty() {
        dependencies.add(context, wanted).await?;
    }
    Ok(RustText {
        source,
        map: text.map,
    })
}
