//! What rustc says where the `phalanx` library's traits are not implemented, in words that say what
//! to do.

use super::error_hints::plain;
use super::source::Prepared;
use super::spans::places;
use phalanx_protocol::failure::{Diagnostic, DiagnosticSpan};
use serde_json::Value;

/// What helps where a type does not travel; the library has it at its traits.
const SERDE: [&str; 2] = [
    "derive what it needs for a type of your own: `#[derive(Serialize, Deserialize)]`",
    "types of other crates often need their crate's `serde` feature: `:dep ndarray = { version = \"0.16\", features = [\"serde\"] }`",
];

/// How rustc names a closure in a message.
const CLOSURE: &str = "`{closure@";

/// The traits by which rustc finds out which parameters a function has.
const OF_FUNCTIONS: [&str; 4] = ["IntoFunction<", ": Argument<", ": Item<", "phalanx::Item<"];

/// An error that is left to its library's words, or that has none of rustc's that would help.
pub(super) fn told(mut diagnostic: Diagnostic, error: &Value) -> Diagnostic {
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
            // One fault, of which rustc complains in several ways.
            code: Some("E0283".to_owned()),
            spans: unlabelled(diagnostic.spans),
            help: vec![
                "a function of `&str`, `&[u8]` or `&Path` is given in a closure that owns: `|s: String| count(&s)`".to_owned(),
                "a closure's parameters need their types: `|x: f64| …`".to_owned(),
            ],
            ..diagnostic
        },
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

fn unlabelled(mut spans: Vec<DiagnosticSpan>) -> Vec<DiagnosticSpan> {
    for span in &mut spans {
        span.label.clear();
    }
    spans
}

/// A type that does not travel, in the last expression: all that evcxr leaves of the error is that a
/// trait is not implemented.
pub(super) fn not_travelling(error: &Value, source: &Prepared) -> Option<Diagnostic> {
    let message = error["message"].as_str()?;
    let (of, ty) = message
        .strip_prefix("the trait `")?
        .split_once("` is not implemented for `")?;
    let of = of.rsplit("::").next().unwrap_or(of);
    let of = of.split('<').next().unwrap_or(of);
    if !["Travels", "Sendable", "Serialize", "Deserialize"].contains(&of) {
        return None;
    }
    let ty = ty.trim_end_matches('`');
    let mut spans = places(error, source);
    if spans.is_empty() || source.last_expression.is_some() {
        spans = source.last_expression.clone().into_iter().collect();
    }
    Some(Diagnostic {
        code: Some("E0277".to_owned()),
        spans,
        help: SERDE.map(str::to_owned).to_vec(),
        ..plain(format!("values of type `{ty}` cannot travel to engines"))
    })
}

/// Leaves out what only follows from another error.
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
        let told = told(of(message, "E0277"), &json!({}));
        assert_eq!(told.message, "engines cannot call this closure");
    }

    #[test]
    fn a_function_of_texts_is_given_by_one_that_owns() {
        let note = "cannot satisfy `<for<'a> fn(&'a str) -> usize {count} as phalanx::IntoFunction<(_,), _>>::Output == _`";
        let error = json!({"children": [{"message": note}]});
        let needed = || of("type annotations needed", "E0284");
        assert!(told(needed(), &error).help[0].contains("|s: String| count(&s)"));
        assert_eq!(told(needed(), &json!({})), needed());
    }

    #[test]
    fn types_that_do_not_travel_are_told_of_once() {
        let source = Prepared::unchanged("dv.apply_sync(task!([n] || n.x))?");
        let mut all = Vec::new();
        for of in ["Travels", "Serialize", "Deserialize<'_>"] {
            let message = format!("the trait `{of}` is not implemented for `N`");
            all.extend(not_travelling(&json!({"message": message}), &source));
        }
        assert_eq!(all.len(), 3);
        assert!(all.iter().all(|one| *one == all[0]));
        assert!(all[0].message.contains("`N`") && all[0].help[0].contains("derive"));
        let other = json!({"message": "the trait `Iterator` is not implemented for `N`"});
        assert_eq!(not_travelling(&other, &source), None);

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
