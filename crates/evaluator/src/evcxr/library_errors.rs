//! rustc's errors about the `phalanx` library's traits, reworded with advice.

use phalanx_protocol::failure::{Diagnostic, DiagnosticSpan};
use serde_json::Value;

/// rustc's notation for a closure.
const CLOSURE: &str = "`{closure@";

/// The beginning of the library's message about a function.
const UNCALLABLE: &str = "engines cannot call";

/// The traits with which rustc determines the parameters of a function.
const FUNCTION_TRAITS: [&str; 4] = [
    "IntoFunction<",
    ": Argument<",
    ": MapItem<",
    "phalanx::MapItem<",
];

/// The types of which a closure's parameter may consist to be compared with rustc's name of a type:
/// they have one name.
const NUMBERS: [&str; 14] = [
    "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128",
    "usize",
];
const OTHERS: [&str; 5] = ["bool", "char", "String", "Vec", "Option"];

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
        Some("E0277") if diagnostic.message.starts_with(UNCALLABLE) => match OtherItems::of(error) {
            Some(items) => items.explain(diagnostic),
            None => diagnostic,
        },
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

/// A closure whose parameter has another type than the items of a map.
struct OtherItems {
    items: String,
    parameter: String,
}

impl OtherItems {
    /// Returns the types in an error about a map of a closure, if they certainly differ.
    fn of(error: &Value) -> Option<Self> {
        let children = error["children"].as_array().into_iter().flatten();
        let messages: Vec<&str> = children
            .filter_map(|child| child["message"].as_str())
            .collect();
        let mut bounds = messages
            .iter()
            .filter_map(|message| message.strip_prefix("required by a bound in `"));
        if !bounds.any(|of| of.contains("::map")) {
            return None;
        }
        let unmet = messages.iter().find_map(|message| {
            let (_, rest) = message.split_once("`IntoFunction<(")?;
            Some(rest.split_once(",), ")?.0)
        });
        let items: String = unmet?.to_owned();
        let parameter = parameter(error)?;
        let is_number = |ty: &str| NUMBERS.contains(&ty);
        let differs = match items.as_str() {
            // It would have become any of these.
            "{integer}" => !is_number(&parameter) || parameter.starts_with('f'),
            "{float}" => !parameter.starts_with('f'),
            // Not known, or abbreviated.
            other if other.contains(['_', '{', '…', '.']) => false,
            other => without_spaces(other) != without_spaces(&parameter),
        };
        differs.then_some(Self { items, parameter })
    }

    fn explain(&self, diagnostic: Diagnostic) -> Diagnostic {
        let Self { items, parameter } = self;
        let mut help =
            format!("the parameter of the closure is `{parameter}`, and the items are `{items}`");
        let is_number = |ty: &str| NUMBERS.contains(&ty) || ty.starts_with('{');
        if is_number(items) && is_number(parameter) {
            help += &format!(": `items.into_iter().map(|x| x as {parameter})` converts them");
        }
        let mut spans = diagnostic.spans;
        for span in spans.iter_mut().filter(|span| span.primary) {
            span.label = format!("not a function of `{items}`");
        }
        Diagnostic {
            spans,
            help: vec![help],
            ..diagnostic
        }
    }
}

/// Returns the type of the only parameter of the closure in an error, if it has but one name.
fn parameter(error: &Value) -> Option<String> {
    let mut spans = error["spans"].as_array()?.iter();
    let line = &spans.find(|span| span["is_primary"] == true)?["text"][0];
    let start = usize::try_from(line["highlight_start"].as_u64()?).ok()?;
    let closure: String = line["text"]
        .as_str()?
        .chars()
        .skip(start.checked_sub(1)?)
        .collect();
    let closure = closure.strip_prefix("move ").unwrap_or(&closure);
    let (parameters, _) = closure.strip_prefix('|')?.split_once('|')?;
    let (pattern, ty) = parameters.split_once(':')?;
    if pattern.contains(',') && !pattern.trim().ends_with([')', ']']) {
        return None;
    }
    let ty = ty.trim().trim_end_matches(',');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut words = ty.split(|c| !is_word(c)).filter(|word| !word.is_empty());
    let is_plain = words.all(|word| NUMBERS.contains(&word) || OTHERS.contains(&word))
        && ty.chars().all(|c| is_word(c) || "<>(), ".contains(c));
    (is_plain && !ty.is_empty()).then(|| ty.to_owned())
}

fn without_spaces(ty: &str) -> String {
    ty.chars().filter(|c| !c.is_whitespace()).collect()
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
    let (is_unsendable, is_uncallable) = (has("values of type `"), has(UNCALLABLE));
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
    fn closures_of_other_types_than_the_items_are_explained() {
        let rewritten = |cell: &str, items: &str, bound: &str| {
            let start = cell.find(['|', 'm']).unwrap() + 1;
            let details = json!({
                "spans": [{
                    "is_primary": true,
                    "text": [{"text": cell, "highlight_start": start, "highlight_end": 20}],
                }],
                "children": [
                    {"message": format!("the trait `IntoFunction<({items},), _>` is not implemented for closure `{{closure@src/lib.rs:1:1: 1:2}}`")},
                    {"message": format!("required by a bound in `{bound}`")},
                ],
            });
            let message = "engines cannot call `{closure@src/lib.rs:1:1: 1:2}`";
            rewrite(error(message, "E0277"), &details).help.concat()
        };
        let map = "LoadBalancedView::map_sync";
        for (cell, items, expected) in [
            (
                "(|x: f64| x * 2.0, 0..4)",
                "{integer}",
                "the parameter of the closure is `f64`, and the items are `{integer}`: `items.into_iter().map(|x| x as f64)` converts them",
            ),
            (
                "(|x: u64| x, v)",
                "i32",
                "the parameter of the closure is `u64`, and the items are `i32`: `items.into_iter().map(|x| x as u64)` converts them",
            ),
            (
                "(|s: String| s, v)",
                "&str",
                "the parameter of the closure is `String`, and the items are `&str`",
            ),
            (
                "(move |(a, b): (f64, f64)| a, v)",
                "(i32, i32)",
                "the parameter of the closure is `(f64, f64)`, and the items are `(i32, i32)`",
            ),
        ] {
            assert_eq!(rewritten(cell, items, map), expected, "{cell}");
        }
        for (cell, items, bound) in [
            ("(|x: f64| Rc::new(x), v)", "f64", map),
            ("(|x: f64| Rc::new(x), v)", "{float}", map),
            ("(|x: u8| Rc::new(x), 0..4)", "{integer}", map),
            ("(|x: (f64,u8)| Rc::new(x), v)", "(f64, u8)", map),
            // Perhaps another name of the type.
            ("(|x: Length| Rc::new(x), v)", "f64", map),
            ("(|x: Vec<f64>| Rc::new(x), v)", "Vec<{float}>", map),
            ("(|x| Rc::new(x), v)", "i32", map),
            ("(|x, y: f64| x, v)", "i32", map),
            ("(|x: f64| x, 1)", "i32", "DirectView::apply_sync_with"),
        ] {
            assert_eq!(rewritten(cell, items, bound), "", "{cell}");
        }
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
