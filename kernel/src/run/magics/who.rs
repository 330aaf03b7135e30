//! `%who`: the variables with their types, sizes and values.

use crate::context::CellContext;
use crate::run::Local;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::output::StreamName;
use std::fmt::Write as _;

pub(super) async fn who(local: &Local, context: &CellContext) -> Result<(), Failure> {
    let known = local.evaluate(context, String::new()).await?;
    if known.variables.is_empty() {
        let text = "There are no variables.\n";
        context.sink().text(StreamName::Stdout, text).await;
        return Ok(());
    }
    let source = shown(&known.variables);
    local.evaluate(context, source).await.map(drop)
}

/// Returns code that shows variables, given their names and types.
fn shown(variables: &[(String, String)]) -> String {
    let mut source =
        "{ use phalanx::__magic::{ByDebug as _, ByHeap as _, ByName as _, BySize as _}; phalanx::__magic::who(&["
            .to_owned();
    for (name, ty) in variables {
        // Writing to a string cannot fail.
        let _ = write!(
            source,
            "({name:?}, {ty:?}, (&phalanx::__magic::MeasuredVariable(&{name})).bytes(), (&phalanx::__magic::ShownVariable(&{name})).text()), "
        );
    }
    source + "]) }"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_accessed_by_reference() {
        let source = shown(&[("größe".to_owned(), "&'static str".to_owned())]);
        assert!(
            source.contains("(\"größe\", \"&'static str\", "),
            "{source}"
        );
        assert!(source.contains("ShownVariable(&größe)).text()"), "{source}");
    }
}
