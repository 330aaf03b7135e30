//! Help for the idioms of Python's values and of ipyparallel, whose Rust has other names.

use super::error_subject::ErrorSubject;
use super::members;
use phalanx_protocol::failure::Diagnostic;

/// Words, and the help for each of them.
type Words = &'static [(&'static [&'static str], &'static str)];

/// Methods of Python's values.
const METHODS: Words = &[
    (
        &["sum"],
        "`v.iter().sum::<i32>()` adds up a list, with the type of the sum",
    ),
    (
        &["mean", "average"],
        "`v.iter().sum::<f64>() / v.len() as f64` is the mean of a list of floats",
    ),
    (
        &["max", "min"],
        "`v.iter().max()` is the largest value of a list, `v.iter().copied().fold(f64::MIN, f64::max)` of floats",
    ),
    (
        &["format"],
        "`format!(\"{x}\")` makes a text with values in it",
    ),
    (
        &["upper", "lower", "title", "capitalize"],
        "`word.to_uppercase()` and `word.to_lowercase()` change the letters of a text",
    ),
    (
        &["strip", "lstrip", "rstrip"],
        "`word.trim()`, `trim_start()` and `trim_end()` leave out white space",
    ),
    (
        &["startswith", "endswith"],
        "`word.starts_with(\"a\")` and `word.ends_with(\"z\")` look at the ends of a text",
    ),
    (
        &["items"],
        "`for (key, value) in &map { … }` goes through a map",
    ),
    (&["copy"], "`v.clone()` is a copy"),
];

/// Operators and what they mean for lists and texts.
const OPERATORS: &[(&str, &str)] = &[
    (
        "cannot multiply `Vec<",
        "`v.iter().map(|x| x * 2).collect::<Vec<_>>()` multiplies each value; ndarray's arrays do it with `*`",
    ),
    (
        "cannot add `Vec<",
        "`[v, w].concat()` joins two lists, `v.iter().zip(&w).map(|(a, b)| a + b).collect::<Vec<_>>()` adds their values",
    ),
    (
        "cannot calculate the remainder of `&str`",
        "`format!(\"{x}\")` makes a text with values in it, `{x:.2}` with two digits",
    ),
];

/// Calls of views that take arguments or lists, by method.
const CALLS: Words = &[
    (
        &["apply", "apply_async"],
        "`dv.apply_async_with(f, 4.0)?` passes an argument, `dv.apply_async_with(f, (1, 2.0))?` several",
    ),
    (
        &["apply_sync"],
        "`dv.apply_sync_with(f, 4.0)?` passes an argument, `dv.apply_sync_with(f, (1, 2.0))?` several",
    ),
    (
        &["map", "map_sync", "map_async"],
        "a map passes one item to each call: zip the lists, `xs.into_iter().zip(ys)`, for a function of a pair, `|(x, y): (f64, f64)| x + y`",
    ),
    (
        &["push"],
        "`dv.push(\"a\", &5)?` sets one variable on the engines",
    ),
];

/// Types that Python would index.
const INDEXED: &[(&str, &str)] = &[
    (
        "Client",
        "`rc.all()` is a view of all engines, `rc.view(0)` of one, `rc.view(0..2)` of some",
    ),
    (
        "DirectView",
        "`dv.push(\"a\", &5)?` sets a variable on the engines, `dv.pull::<i32>(\"a\")?` reads it",
    ),
    (
        "AsyncResult",
        "`ar.at(0)?` is the value of one task, `ar.get()?` has all",
    ),
];

/// The types of which the flag `block` is set in Python.
const BLOCKING: [&str; 4] = [
    "DirectView",
    "LoadBalancedView",
    "ParallelFunction",
    "RemoteFunction",
];

/// The functions of a list, for `dv.parallel(f)`.
const PARALLEL: &str = "a parallel function takes its part of the list, `|xs: Vec<f64>| xs.iter().map(|x| 2.0 * x).collect::<Vec<_>>()`; a map calls a function of one item: `dv.map_sync(f, xs)?`";

/// Returns the Rust for what a line means in Python. `word` is the word at the error, `before` the
/// text in front of it. Types and methods of the notebook have no help: their names are those of
/// other things.
pub(super) fn help(
    diagnostic: &Diagnostic,
    word: &str,
    before: &str,
    subject: ErrorSubject<'_>,
) -> Option<&'static str> {
    let message = diagnostic.message.as_str();
    match diagnostic.code.as_deref()? {
        "E0599" if message.contains("for struct `phalanx::Map<") => {
            Some("`.submit()?` sends the tasks of a map, and returns its AsyncResult")
        }
        "E0599" if subject.is_own_type(message) => None,
        "E0599" => members::help(message, word, subject).or_else(|| among(METHODS, word)),
        "E0369" => starting(OPERATORS, message),
        "E0277" if message.contains("with `Option<_>`") => {
            Some("only an `Option` can be `None`: `x.is_none()`")
        }
        "E0277" if message.starts_with("engines cannot call") => uncallable(message, before),
        "E0061" if subject.is_of_library() => {
            members::without_arguments(message, word)
                .or_else(|| members::without_defaults(message, word))
                .or_else(|| among(CALLS, word))
        }
        // Iterators take what views take.
        "E0061" if word == "map" && subject.is_of_std() => among(CALLS, word),
        "E0593" => among(CALLS, word),
        "E0608" => {
            let indexed = message.strip_prefix("cannot index into a value of type `")?;
            let mut types = INDEXED.iter();
            let found = types.find(|(name, _)| subject.is_library_type(indexed, &[*name]));
            found.map(|(_, help)| *help)
        }
        "E0609" => match message.strip_prefix("no field `block` on type `") {
            Some(ty) => subject.is_library_type(ty, &BLOCKING).then_some(
                "`apply_sync` and `map_sync` wait for the results, `apply_async` and `map_async` do not",
            ),
            None => members::help(message, word, subject),
        },
        "E0308" if expects_bundle(diagnostic) => Some(
            "any value is shown as the last expression of a cell, a list by `phalanx::table(&v)?`, and others by `phalanx::display(MimeBundle::plain(format!(\"{x:?}\")))?`",
        ),
        _ => None,
    }
}

/// Returns true if a value stands in place of its representations, as for `display(5)`.
fn expects_bundle(diagnostic: &Diagnostic) -> bool {
    let mut spans = diagnostic.spans.iter();
    spans.any(|span| span.primary && span.label.starts_with("expected `MimeBundle`"))
}

/// Returns true if an argument has a name, as in `f(timeout=5)`.
pub(super) fn is_named_argument(before: &str, behind: &str) -> bool {
    let before = before.trim_end();
    let is_in_call = before.contains('(') && (before.ends_with('(') || before.ends_with(','));
    is_in_call && behind.starts_with('=') && !behind.starts_with("==")
}

/// Help for a function that engines cannot call in this way.
fn uncallable(message: &str, before: &str) -> Option<&'static str> {
    let parameters = message
        .split_once("fn(")
        .and_then(|(_, rest)| rest.split_once(')'));
    if before.contains(".parallel(") {
        Some(PARALLEL)
    } else if before.contains(".map") && parameters.is_some_and(|(list, _)| list.contains(", ")) {
        among(CALLS, "map")
    } else {
        None
    }
}

fn among(words: Words, word: &str) -> Option<&'static str> {
    let found = words.iter().find(|(words, _)| words.contains(&word));
    found.map(|(_, help)| *help)
}

fn starting(beginnings: &[(&str, &'static str)], text: &str) -> Option<&'static str> {
    let found = beginnings.iter().find(|(start, _)| text.starts_with(start));
    found.map(|(_, help)| *help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::failure::DiagnosticSpan;
    use serde_json::json;

    const LIBRARY: &str = "/library/0.1.0-0a/phalanx/src/view/direct.rs";

    fn of(code: &str, message: &str, word: &str, before: &str) -> Option<&'static str> {
        defined(code, message, word, before, LIBRARY)
    }

    /// The help if rustc names a definition in a file.
    fn defined(
        code: &str,
        message: &str,
        word: &str,
        before: &str,
        file: &str,
    ) -> Option<&'static str> {
        let diagnostic = Diagnostic {
            message: message.to_owned(),
            code: Some(code.to_owned()),
            rendered: None,
            earlier: None,
            help: Vec::new(),
            spans: Vec::new(),
        };
        let defined = json!({"children": [{"level": "note", "spans": [{"file_name": file}]}]});
        let subject = ErrorSubject::new(&defined, "struct Own;\nstruct LoadBalancedView;");
        help(&diagnostic, word, before, subject)
    }

    #[test]
    fn values_and_views_of_python_have_their_rust() {
        for (code, message, word, before, expected) in [
            (
                "E0599",
                "no method named `upper` found for …",
                "upper",
                "s.",
                "to_uppercase",
            ),
            (
                "E0599",
                "no method named `get` found for struct `phalanx::Map<A, M>`",
                "get",
                "",
                ".submit()",
            ),
            (
                "E0369",
                "cannot add `Vec<i32>` to `Vec<i32>`",
                "",
                "v ",
                "concat()",
            ),
            (
                "E0277",
                "can't compare `&str` with `Option<_>`",
                "",
                "",
                "is_none()",
            ),
            (
                "E0061",
                "this method takes 1 argument but 2 arguments were supplied",
                "apply_async",
                "dv.",
                "apply_async_with",
            ),
            (
                "E0608",
                "cannot index into a value of type `Client`",
                "",
                "rc",
                "rc.view(0)",
            ),
            (
                "E0608",
                "cannot index into a value of type `AsyncResult<i32>`",
                "",
                "ar",
                "ar.at(0)?",
            ),
            // Without its parameters if they are the defaults.
            (
                "E0608",
                "cannot index into a value of type `phalanx::AsyncResult`",
                "",
                "ar",
                "ar.at(0)?",
            ),
            (
                "E0609",
                "no field `block` on type `DirectView`",
                "block",
                "dv.",
                "apply_sync",
            ),
            (
                "E0277",
                "engines cannot call `fn(f64, f64) -> f64 {mandel}`",
                "mandel",
                "lv.map_sync(",
                "zip",
            ),
            (
                "E0277",
                "engines cannot call this closure",
                "",
                "dv.parallel(",
                "part of the list",
            ),
        ] {
            let help = of(code, message, word, before).unwrap_or_default();
            assert!(help.contains(expected), "{message}: {help}");
        }
        let own = "engines cannot call `fn(f64) -> Own {f}`";
        assert_eq!(of("E0277", own, "f", "lv.map_sync("), None);
        assert_eq!(
            of("E0608", "cannot index into a value of type `u8`", "", "x"),
            None
        );
    }

    #[test]
    fn types_and_methods_of_others_get_no_help() {
        let none = "this method takes 0 arguments but 1 argument was supplied";
        let two = "this method takes 1 argument but 2 arguments were supplied";
        for file in ["/rust/library/std/src/process.rs", "src/lib.rs"] {
            assert_eq!(defined("E0061", none, "wait", "child.", file), None);
            assert_eq!(defined("E0061", none, "get", "cell.", file), None);
            assert_eq!(defined("E0061", two, "push", "v.", file), None);
        }
        assert!(of("E0061", none, "wait", "ar.").is_some());
        // Python's `map(f, v, w)`.
        let iterator = "/rust/library/core/src/iter/traits/iterator.rs";
        assert!(defined("E0061", two, "map", "v.", iterator).is_some());
        assert_eq!(defined("E0061", two, "map", "v.", "src/lib.rs"), None);
        for (code, message, word) in [
            ("E0609", "no field `block` on type `Own`", "block"),
            (
                "E0609",
                "no field `block` on type `LoadBalancedView`",
                "block",
            ),
            (
                "E0609",
                "no field `metadata` on type `LoadBalancedView`",
                "metadata",
            ),
            ("E0608", "cannot index into a value of type `Own`", ""),
        ] {
            assert_eq!(of(code, message, word, ""), None, "{message}");
        }
        let diagnostic = Diagnostic {
            message: "no method named `mean` found for struct `Own` in the current scope"
                .to_owned(),
            code: Some("E0599".to_owned()),
            rendered: None,
            earlier: None,
            help: Vec::new(),
            spans: Vec::new(),
        };
        let label = |label: &str| json!({"spans": [{"label": label}]});
        let own = label("method `mean` not found for this struct");
        let mean = |error| help(&diagnostic, "mean", "own.", ErrorSubject::new(error, ""));
        assert_eq!(mean(&own), None);
        let reference = "no method named `mean` found for reference `&Own` in the current scope";
        assert_eq!(of("E0599", reference, "mean", "own."), None);
        assert!(mean(&label("method not found in `Vec<f64>`")).is_some());
    }

    #[test]
    fn values_to_display_are_shown_in_other_ways() {
        let label = |label: &str| Diagnostic {
            message: "mismatched types".to_owned(),
            code: Some("E0308".to_owned()),
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
        let found = help(
            &label("expected `MimeBundle`, found integer"),
            "5",
            "display(",
            ErrorSubject::default(),
        );
        assert!(found.is_some_and(|help| help.contains("last expression")));
        assert_eq!(
            help(
                &label("expected `u8`, found `MimeBundle`"),
                "",
                "",
                ErrorSubject::default()
            ),
            None
        );
    }

    #[test]
    fn arguments_with_names_are_recognized() {
        assert!(is_named_argument("ar.get(", "=5)"));
        assert!(is_named_argument("f(1, ", "=5)"));
        assert!(!is_named_argument("f(", "== 5)"));
        assert!(!is_named_argument("", "= 5"));
    }
}
