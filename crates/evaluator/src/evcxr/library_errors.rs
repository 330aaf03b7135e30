//! rustc's errors about the `phalanx` library's traits, reworded with advice.

use phalanx_protocol::failure::{Diagnostic, DiagnosticSpan};
use serde_json::Value;

/// rustc's notation for a closure.
const CLOSURE: &str = "`{closure@";

/// The traits with which rustc determines the parameters of a function.
const OF_FUNCTIONS: [&str; 4] = [
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
        diagnostic.message = format!("{before}this closure{after}");
    }
    let said = |words: &[&str]| {
        let children = error["children"].as_array().into_iter().flatten();
        let mut messages = children.filter_map(|child| child["message"].as_str());
        messages.any(|message| words.iter().any(|word| message.contains(word)))
    };
    match diagnostic.code.as_deref() {
        Some("E0282" | "E0283" | "E0284") if said(&OF_FUNCTIONS) => Diagnostic {
            message: "how this function takes what it is given cannot be told".to_owned(),
            // A single mistake that rustc reports in several ways.
            code: Some("E0283".to_owned()),
            spans: unlabelled(diagnostic.spans),
            help: vec![
                "a function of `&str`, `&[u8]` or `&Path` is given in a closure that owns: `|s: String| count(&s)`".to_owned(),
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
                spans: unlabelled(diagnostic.spans),
                help: vec![match said(&["#[derive(Clone)]"]) {
                    true => "derive what it needs: `#[derive(Clone, Serialize, Deserialize)]`".to_owned(),
                    false => "capture a part of it that is `Clone`, and that serde reads and writes".to_owned(),
                }],
                ..diagnostic
            }
        }
        _ if diagnostic.message.starts_with("implementation of `Deserialize` is not general") => {
            Diagnostic {
                message: "what functions of engines give back, and what is inside what they are given, is owned".to_owned(),
                spans: unlabelled(diagnostic.spans),
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

fn unlabelled(mut spans: Vec<DiagnosticSpan>) -> Vec<DiagnosticSpan> {
    for span in &mut spans {
        span.label.clear();
    }
    spans
}

/// Removes errors that are only consequences of another one.
pub(super) fn without_consequences(diagnostics: &mut Vec<Diagnostic>) {
    let has = |words: &str| diagnostics.iter().any(|d| d.message.contains(words));
    let (travels, called) = (has("values of type `"), has("engines cannot call"));
    diagnostics.retain(|diagnostic| {
        let message = &diagnostic.message;
        let of_serde = message.starts_with("the trait bound `") && message.contains(": serde::");
        let of_method = message.starts_with("the method `") && message.contains("`Scatter<");
        let of_given = message.contains("` cannot be given for the parameters `");
        !(travels && (of_serde || of_method) || called && of_given)
    });
}

#[cfg(test)]
mod tests {
    use super::super::error_hints::plain;
    use super::*;
    use serde_json::json;

    fn of(message: &str, code: &str) -> Diagnostic {
        Diagnostic {
            code: Some(code.to_owned()),
            ..plain(message.to_owned())
        }
    }

    #[test]
    fn closures_are_not_named_by_their_place() {
        let message = "engines cannot call `{closure@src/lib.rs:147:17: 147:19}`";
        let told = rewrite(of(message, "E0277"), &json!({}));
        assert_eq!(told.message, "engines cannot call this closure");
    }

    #[test]
    fn a_function_of_texts_is_given_by_one_that_owns() {
        let note = "cannot satisfy `<for<'a> fn(&'a str) -> usize {count} as phalanx::IntoFunction<(_,), _>>::Output == _`";
        let error = json!({"children": [{"message": note}]});
        let needed = || of("type annotations needed", "E0284");
        assert!(rewrite(needed(), &error).help[0].contains("|s: String| count(&s)"));
        assert_eq!(rewrite(needed(), &json!({})), needed());
    }

    #[test]
    fn what_task_cannot_copy_is_told() {
        let message = "the method `to_owned` exists for struct `Größe`, but its trait bounds were not satisfied";
        let error = |name: &str| {
            json!({
                "spans": [{"expansion": {"macro_decl_name": name}}],
                "children": [{"message": "consider annotating `Größe` with `#[derive(Clone)]`"}],
            })
        };
        let found = rewrite(of(message, "E0599"), &error("$crate::__task!"));
        assert_eq!(
            found.message,
            "`task!` copies what it captures, and `Größe` cannot be copied"
        );
        assert!(found.help[0].contains("#[derive(Clone, Serialize, Deserialize)]"));
        let found = rewrite(of(message, "E0599"), &error("other!"));
        assert_eq!(found.message, message);
    }

    #[test]
    fn types_that_do_not_travel_are_told_of_once() {
        let mut all = vec![
            of("values of type `N` cannot be sent to engines", "E0277"),
            of(
                "the trait bound `N: serde::Serialize` is not satisfied",
                "E0277",
            ),
            of(
                "the method `wait` exists for struct `Scatter<List<N>, Many>`, but …",
                "E0599",
            ),
            of("mismatched types", "E0308"),
        ];
        without_consequences(&mut all);
        assert_eq!(all.len(), 2);
        assert_eq!(all[1].message, "mismatched types");
    }
}
