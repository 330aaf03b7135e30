//! rustc's errors about the `phalanx` library's traits, reworded with advice.

use phalanx_protocol::failure::{Diagnostic, DiagnosticSpan};
use serde_json::Value;

/// rustc's notation for a closure.
const CLOSURE: &str = "`{closure@";

/// The traits with which rustc determines the parameters of a function.
const FUNCTION_TRAITS: [&str; 4] = [
    "IntoFunction<",
    ": Argument<",
    ": MapItem<",
    "phalanx::MapItem<",
];

/// Rewrites an error; those with the library's own message, or without helpful notes of rustc's,
/// are simplified.
pub(super) fn rewrite(mut diagnostic: Diagnostic, error: &Value) -> Diagnostic {
    if let Some((before, named)) = diagnostic.message.split_once(CLOSURE)
        && let Some((_, after)) = named.split_once("}`")
    {
        let before = before.strip_suffix("values of type ").unwrap_or(before);
        diagnostic.message = format!("{before}this closure{after}");
    }
    let mentions = |words: &[&str]| {
        let children = error["children"].as_array().into_iter().flatten();
        let mut messages = children.filter_map(|child| child["message"].as_str());
        messages.any(|message| words.iter().any(|word| message.contains(word)))
    };
    match diagnostic.code.as_deref() {
        Some("E0282" | "E0283" | "E0284") if mentions(&FUNCTION_TRAITS) => Diagnostic {
            message: "cannot infer the parameter types of this function".to_owned(),
            // A single mistake that rustc reports in several ways.
            code: Some("E0283".to_owned()),
            spans: without_labels(diagnostic.spans),
            help: vec![
                "call a function of `&str`, `&[u8]` or `&Path` from a closure with an owned parameter: `|s: String| count(&s)`".to_owned(),
                "a closure's parameters need their types: `|x: f64| …`".to_owned(),
            ],
            ..diagnostic
        },
        Some("E0599") if diagnostic.message.contains("`to_owned`") && is_captured(error) => {
            let ty = diagnostic.message.rsplit(" for ").next().and_then(|rest| rest.split('`').nth(1));
            Diagnostic {
                message: format!(
                    "`task!` copies what it captures, and `{}` cannot be copied",
                    ty.unwrap_or("this type")
                ),
                spans: without_labels(diagnostic.spans),
                help: vec![match mentions(&["#[derive(Clone)]"]) {
                    true => "derive the traits: `#[derive(Clone, Serialize, Deserialize)]`".to_owned(),
                    false => "capture a part of it that implements `Clone`, `Serialize` and `Deserialize`".to_owned(),
                }],
                ..diagnostic
            }
        }
        _ if diagnostic.message.starts_with("implementation of `Deserialize` is not general") => {
            Diagnostic {
                message: "results of functions on engines, and what their arguments contain, must be owned".to_owned(),
                spans: without_labels(diagnostic.spans),
                help: vec!["`String` instead of `&str`, `Vec<T>` instead of `&[T]`".to_owned()],
                ..diagnostic
            }
        }
        _ => diagnostic,
    }
}

/// Returns true for an error in the expansion of `task!` for a variable.
fn is_captured(error: &Value) -> bool {
    let spans = error["spans"].as_array().into_iter().flatten();
    let mut macros = spans.filter_map(|span| span["expansion"]["macro_decl_name"].as_str());
    macros.any(|name| name.ends_with("__task!"))
}

fn without_labels(mut spans: Vec<DiagnosticSpan>) -> Vec<DiagnosticSpan> {
    for span in &mut spans {
        span.label.clear();
    }
    spans
}

/// Removes errors that are only consequences of another one.
pub(super) fn without_consequences(diagnostics: &mut Vec<Diagnostic>) {
    let has = |words: &str| diagnostics.iter().any(|d| d.message.contains(words));
    let (is_unsendable, is_uncallable) = (has("values of type `"), has("engines cannot call"));
    diagnostics.retain(|diagnostic| {
        let message = &diagnostic.message;
        let of_serde = message.starts_with("the trait bound `") && message.contains(": serde::");
        let of_method = message.starts_with("the method `") && message.contains("`Scatter<");
        let of_arguments = message.contains("` cannot be given for the parameters `");
        !(is_unsendable && (of_serde || of_method) || is_uncallable && of_arguments)
    });
}

#[cfg(test)]
mod tests {
    use super::super::error_hints::plain;
    use super::*;
    use serde_json::json;

    fn error(message: &str, code: &str) -> Diagnostic {
        Diagnostic {
            code: Some(code.to_owned()),
            ..plain(message.to_owned())
        }
    }

    #[test]
    fn closures_are_named_without_their_position() {
        let message = "engines cannot call `{closure@src/lib.rs:147:17: 147:19}`";
        let diagnostic = rewrite(error(message, "E0277"), &json!({}));
        assert_eq!(diagnostic.message, "engines cannot call this closure");
        let message =
            "values of type `{closure@src/lib.rs:147:17: 147:19}` cannot be sent to engines";
        let diagnostic = rewrite(error(message, "E0277"), &json!({}));
        assert_eq!(diagnostic.message, "this closure cannot be sent to engines");
    }

    #[test]
    fn functions_of_references_get_a_closure_that_owns() {
        let note = "cannot satisfy `<for<'a> fn(&'a str) -> usize {count} as phalanx::IntoFunction<(_,), _>>::Output == _`";
        let details = json!({"children": [{"message": note}]});
        let needed = || error("type annotations needed", "E0284");
        assert!(rewrite(needed(), &details).help[0].contains("|s: String| count(&s)"));
        assert_eq!(rewrite(needed(), &json!({})), needed());
    }

    #[test]
    fn captures_that_cannot_be_cloned_are_explained() {
        let message = "the method `to_owned` exists for struct `Größe`, but its trait bounds were not satisfied";
        let details = |name: &str| {
            json!({
                "spans": [{"expansion": {"macro_decl_name": name}}],
                "children": [{"message": "consider annotating `Größe` with `#[derive(Clone)]`"}],
            })
        };
        let diagnostic = rewrite(error(message, "E0599"), &details("$crate::__task!"));
        assert_eq!(
            diagnostic.message,
            "`task!` copies what it captures, and `Größe` cannot be copied"
        );
        assert!(diagnostic.help[0].contains("#[derive(Clone, Serialize, Deserialize)]"));
        let diagnostic = rewrite(error(message, "E0599"), &details("other!"));
        assert_eq!(diagnostic.message, message);
    }

    #[test]
    fn consequences_of_an_error_are_removed() {
        let mut all = vec![
            error("values of type `N` cannot be sent to engines", "E0277"),
            error(
                "the trait bound `N: serde::Serialize` is not satisfied",
                "E0277",
            ),
            error(
                "the method `wait` exists for struct `Scatter<List<N>, Many>`, but …",
                "E0599",
            ),
            error("mismatched types", "E0308"),
        ];
        without_consequences(&mut all);
        assert_eq!(all.len(), 2);
        assert_eq!(all[1].message, "mismatched types");
    }
}
