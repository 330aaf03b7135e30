//! Help for numbers: integers and floats in one operation, and floats where an order is needed.

use super::error_subject::ErrorSubject;
use phalanx_protocol::failure::Diagnostic;

const INTEGERS: [&str; 13] = [
    "{integer}",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "isize",
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "usize",
];

/// Types of floats, with the help for each: for an integer, for a reference to one, for the largest
/// value, for sorting, and for comparing.
const FLOATS: [(&str, FloatHelp); 3] = [("f32", SINGLE), ("f64", DOUBLE), ("{float}", DOUBLE)];

/// The help about one type of floats.
struct FloatHelp {
    integer: &'static str,
    integer_reference: &'static str,
    largest: &'static str,
    sorted: &'static str,
    ordered: &'static str,
}

const DOUBLE: FloatHelp = FloatHelp {
    integer: "integers and floats do not mix: write `2.0`, or `x as f64`",
    integer_reference: "integers and floats do not mix: write `2.0`, or `*x as f64` for a reference",
    largest: "`v.iter().copied().fold(f64::MIN, f64::max)` is the largest value of a list of floats, `fold(f64::MAX, f64::min)` the smallest",
    sorted: "`v.sort_by(f64::total_cmp)` sorts a list of floats",
    ordered: "floats are not `Ord`, since NaN is neither less nor greater than others: `a.total_cmp(&b)` compares two, as in `v.sort_by(|a, b| a.total_cmp(b))`",
};

const SINGLE: FloatHelp = FloatHelp {
    integer: "integers and floats do not mix: write `2.0`, or `x as f32`",
    integer_reference: "integers and floats do not mix: write `2.0`, or `*x as f32` for a reference",
    largest: "`v.iter().copied().fold(f32::MIN, f32::max)` is the largest value of a list of floats, `fold(f32::MAX, f32::min)` the smallest",
    sorted: "`v.sort_by(f32::total_cmp)` sorts a list of floats",
    ordered: DOUBLE.ordered,
};

/// The operators that rustc's messages name.
const OPERATIONS: [&str; 6] = [
    "compare",
    "add",
    "subtract",
    "multiply",
    "divide",
    "calculate",
];

/// The functions for the larger and the smaller of two values, without the crate.
const CALLS: [&str; 2] = ["::cmp::max(", "::cmp::min("];

/// The help for pairs with a float, for sorting and for the largest, and for two floats.
const SORTED_PAIRS: &str = "`v.sort_by(|a, b| a.1.total_cmp(&b.1))` sorts pairs by their floats";
const LARGEST_PAIR: &str = "`iter.max_by(|a, b| a.1.total_cmp(&b.1))` is the pair with the largest float, `min_by` that with the smallest";
const LARGER: &str = "`a.max(b)` is the larger of two floats, `a.min(b)` the smaller";

/// Returns the help for an error about numbers. `word` is the word at the error, `before` the text
/// in front of it, `following` the text behind it.
pub(super) fn help(
    diagnostic: &Diagnostic,
    (before, word, following): (&str, &str, &str),
    subject: ErrorSubject<'_>,
) -> Option<&'static str> {
    let message = diagnostic.message.as_str();
    match diagnostic.code.as_deref()? {
        "E0277" => {
            mixed(message).or_else(|| unordered(message, (before, word, following), subject))
        }
        "E0308" if before.trim_end().ends_with(".powi(") && expects_integer(diagnostic) => Some(
            "`x.powf(0.5)` raises a float to a power that is a float, `x.powi(2)` to an integer",
        ),
        _ => None,
    }
}

/// Returns the help for an operator between an integer and a float, or references to them.
fn mixed(message: &str) -> Option<&'static str> {
    let words = message
        .strip_prefix("can't ")
        .or(message.strip_prefix("cannot "))?;
    if !OPERATIONS.iter().any(|verb| words.starts_with(verb)) {
        return None;
    }
    let types: Vec<&str> = words.split('`').skip(1).step_by(2).collect();
    let [left, right] = types.as_slice() else {
        return None;
    };
    let pairs = [(left, right), (right, left)].into_iter();
    let mut pairs = pairs.filter(|(_, integer)| INTEGERS.contains(&referent(integer)));
    pairs.find_map(|(float, integer)| {
        let help = of_float(referent(float))?;
        Some(match integer.starts_with('&') {
            true => help.integer_reference,
            false => help.integer,
        })
    })
}

/// Returns the help for floats in place of values that have an order.
fn unordered(
    message: &str,
    (before, word, following): (&str, &str, &str),
    subject: ErrorSubject<'_>,
) -> Option<&'static str> {
    let bound = message.strip_prefix("the trait bound `")?;
    let ty = bound.strip_suffix(": Ord` is not satisfied")?;
    let help = of_float(referent(ty))?;
    let whole = subject.type_with_bound("Ord");
    let is_part = whole.is_some_and(|whole| of_float(referent(whole)).is_none());
    Some(match word {
        "max" | "min" if is_part && whole.is_some_and(is_pair) => LARGEST_PAIR,
        "sort" | "sort_unstable" if is_part && whole.is_some_and(is_pair) => SORTED_PAIRS,
        _ if is_part => help.ordered,
        // The error is at the path, or at an argument.
        "std" | "core" if CALLS.iter().any(|call| following.starts_with(call)) => LARGER,
        _ if CALLS.iter().any(|call| before.ends_with(call)) => LARGER,
        "max" | "min" => help.largest,
        "sort" | "sort_unstable" => help.sorted,
        _ => help.ordered,
    })
}

/// Returns true for a pair whose second value is a float.
fn is_pair(ty: &str) -> bool {
    let inner = ty.trim_start_matches('&').strip_prefix('(');
    let inner = inner.and_then(|inner| inner.strip_suffix(')'));
    let second = inner.and_then(|inner| inner.rsplit_once(", "));
    // A pair of pairs has more than one comma.
    second.is_some_and(|(first, second)| {
        !first.contains(", ") && of_float(referent(second)).is_some()
    })
}

/// Returns true if an `i32` is expected where a float is.
fn expects_integer(diagnostic: &Diagnostic) -> bool {
    const FOUND: [&str; 3] = ["floating-point number", "`f64`", "`f32`"];
    let mut labels = diagnostic.spans.iter().filter(|span| span.primary);
    labels.any(|span| {
        let found = span.label.strip_prefix("expected `i32`, found ");
        found.is_some_and(|found| FOUND.contains(&found))
    })
}

fn of_float(ty: &str) -> Option<&'static FloatHelp> {
    let found = FLOATS.iter().find(|(float, _)| *float == ty);
    found.map(|(_, help)| help)
}

/// Returns a type without references.
fn referent(ty: &str) -> &str {
    let referent = ty.trim_start_matches('&');
    referent.strip_prefix("mut ").unwrap_or(referent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::failure::DiagnosticSpan;
    use serde_json::{Value, json};

    fn help_for(code: &str, message: &str, label: &str, word: &str, before: &str) -> String {
        help_about(code, message, label, (before, word, ""), &Value::Null)
    }

    fn help_about(
        code: &str,
        message: &str,
        label: &str,
        place: (&str, &str, &str),
        error: &Value,
    ) -> String {
        let diagnostic = Diagnostic {
            message: message.to_owned(),
            code: Some(code.to_owned()),
            rendered: None,
            earlier: None,
            help: Vec::new(),
            spans: vec![DiagnosticSpan {
                start_line: 1,
                start_column: 1,
                end_line: 1,
                end_column: 2,
                label: label.to_owned(),
                primary: true,
            }],
        };
        help(&diagnostic, place, ErrorSubject::new(error, ""))
            .unwrap_or_default()
            .to_owned()
    }

    #[test]
    fn integers_and_floats_do_not_mix() {
        for (message, expected) in [
            ("cannot multiply `{float}` by `{integer}`", "`x as f64`"),
            ("cannot multiply `&f64` by `{integer}`", "`x as f64`"),
            ("cannot add `{integer}` to `&f64`", "`x as f64`"),
            ("cannot multiply `{integer}` by `&f64`", "`x as f64`"),
            ("cannot multiply `&f64` by `usize`", "`x as f64`"),
            ("cannot add-assign `u8` to `f32`", "`x as f32`"),
            ("cannot divide `&{integer}` by `{float}`", "`*x as f64`"),
            ("cannot add-assign `&i32` to `f32`", "`*x as f32`"),
            ("can't compare `i32` with `{float}`", "`x as f64`"),
        ] {
            let help = help_for("E0277", message, "", "", "");
            assert!(help.contains(expected), "{message}: {help:?}");
        }
        for message in [
            "cannot multiply `f64` by `f32`",
            "cannot add `Own` to `f64`",
            "cannot add `i32` to `usize`",
            "can't compare `&f64` with `f64`",
            "cannot send `f64` to `i32`",
        ] {
            assert_eq!(help_for("E0277", message, "", "", ""), "", "{message}");
        }
    }

    #[test]
    fn floats_have_no_order() {
        for (ty, word, expected) in [
            ("f64", "max", "fold(f64::MIN, f64::max)"),
            ("f32", "min", "fold(f32::MAX, f32::min)"),
            ("f64", "sort", "`v.sort_by(f64::total_cmp)`"),
            ("f32", "sort_unstable", "`v.sort_by(f32::total_cmp)`"),
            ("{float}", "insert", "NaN"),
        ] {
            let message = format!("the trait bound `{ty}: Ord` is not satisfied");
            let help = help_for("E0277", &message, "", word, "");
            assert!(help.contains(expected), "{message}: {help:?}");
        }
        let other = "the trait bound `Own: Ord` is not satisfied";
        assert_eq!(help_for("E0277", other, "", "max", ""), "");
        let message = "the trait bound `{float}: Ord` is not satisfied";
        assert_eq!(
            help_for("E0277", message, "", "1", "std::cmp::max("),
            LARGER
        );
    }

    #[test]
    fn values_with_floats_are_no_lists_of_floats() {
        let message = "the trait bound `f64: Ord` is not satisfied";
        for (types, word, expected) in [
            (vec!["(String, f64)"], "sort", SORTED_PAIRS),
            (vec!["&f64", "(usize, &f64)"], "max", LARGEST_PAIR),
            (vec!["&f64"], "max", DOUBLE.largest),
            (vec!["Option<f64>", "&Option<f64>"], "max", DOUBLE.ordered),
            (vec!["(u8, u8, f64)"], "sort", DOUBLE.ordered),
            (vec!["Punkt"], "sort", DOUBLE.ordered),
        ] {
            let notes = types
                .iter()
                .map(|ty| json!({"message": format!("required for `{ty}` to implement `Ord`")}));
            let error = json!({"children": notes.collect::<Vec<_>>()});
            let help = help_about("E0277", message, "", ("", word, "()"), &error);
            assert_eq!(help, expected, "{types:?}");
        }
    }

    #[test]
    fn powers_of_floats_have_two_methods() {
        let of =
            |label: &str, before: &str| help_for("E0308", "mismatched types", label, "2", before);
        let found = "expected `i32`, found floating-point number";
        assert!(of(found, "x.powi(").contains("powf"));
        assert!(of("expected `i32`, found `f64`", "x.powi(").contains("powf"));
        assert_eq!(of("expected `i32`, found `usize`", "x.powi("), "");
        assert_eq!(of(found, "f("), "");
    }
}
