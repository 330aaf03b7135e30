//! Help for code written in Python's syntax.

use super::error_subject::ErrorSubject;
use super::type_advice::with_types;
use super::{idioms, numbers};
use phalanx_protocol::failure::Diagnostic;

/// Adds to an error the Rust code, or the command, that corresponds to another language's syntax.
pub(super) fn explain(diagnostic: &mut Diagnostic, cell: &str, subject: ErrorSubject<'_>) {
    for help in &mut diagnostic.help {
        *help = with_types(help);
    }
    let Some(help) = help(diagnostic, cell, subject) else {
        return;
    };
    let is_misleading = |help: &String| {
        MISLEADING
            .iter()
            .any(|beginning| help.starts_with(beginning))
    };
    diagnostic.help.retain(|help| !is_misleading(help));
    diagnostic.help.insert(0, help.to_owned());
}

/// The beginnings of rustc's advice about such lines, which is of no use.
const MISLEADING: [&str; 14] = [
    "use `!` to invoke the macro",
    "consider inserting whitespace here",
    "maybe write a path separator here",
    "you might have meant to write a method call",
    "escape `try` to use it as an identifier",
    "perhaps you intended to use this type",
    "consider importing this function",
    "the nightly-only, unstable trait `Try`",
    "remove the extra argument",
    "provide the argument",
    "call `.into_iter()` first",
    "there is a method `",
    "use the `.` operator to call the method `num_traits",
    "you might have meant to write a field access",
];

fn help(diagnostic: &Diagnostic, cell: &str, subject: ErrorSubject<'_>) -> Option<&'static str> {
    let primary = diagnostic.spans.iter().find(|span| span.primary)?;
    let line = cell.lines().nth(primary.start_line.checked_sub(1)?)?;
    let rest: String = line
        .chars()
        .skip(primary.start_column.checked_sub(1)?)
        .collect();
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let following = rest.trim_start_matches(is_name);
    let word = &rest[..rest.len() - following.len()];
    let before = &line[..line.len() - rest.len()];
    // rustc itself suggests it at the end of a statement.
    let is_suggested = |help: &String| help.contains("introduce a new binding");
    if diagnostic.help.iter().any(is_suggested) {
        return None;
    }
    match diagnostic.code.as_deref() {
        None if diagnostic.message.contains("is not a logical operator") => None,
        None if diagnostic.message.starts_with("negative integers") => {
            Some("`v.last()` is the last value of a list, if there is one: `v.last().unwrap()`")
        }
        None => syntax(line.trim_start(), word == "f" && following.starts_with('"')),
        Some("E0425") if idioms::is_named_argument(before, following) => {
            Some("arguments have no names: they are passed in their order")
        }
        Some("E0425") if before.ends_with('!') && before.contains('=') => Some(
            "a line that begins with `!` is for the shell; `std::process::Command::new(\"ls\").output()?` has what a program prints",
        ),
        Some("E0423" | "E0425" | "E0433") => name(word, following.trim_start()),
        Some("E0614") if line.contains("**") => {
            Some("`x.pow(3)` raises an integer to a power, `x.powi(3)` and `x.powf(0.5)` a float")
        }
        Some("E0369") if diagnostic.message.starts_with("cannot multiply `&str`") => {
            Some("`\"=\".repeat(3)` repeats a text")
        }
        Some("E0369") if diagnostic.message.starts_with("cannot add `&str`") => {
            Some("`format!(\"{a}{b}\")` makes a text of several")
        }
        Some("E0277") if is_question(cell) => Some(
            "`?v` shows the documentation of a variable; behind a value, `?` ends the cell with its error",
        ),
        _ => numbers::help(diagnostic, (before, word, following), subject)
            .or_else(|| idioms::help(diagnostic, word, before, subject)),
    }
}

/// Returns true for a cell that is a name and a question mark.
fn is_question(cell: &str) -> bool {
    let name = cell.trim().strip_suffix('?').unwrap_or_default();
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Words, and the help for each of them.
type Words = &'static [(&'static [&'static str], &'static str)];

fn among(words: Words, word: &str) -> Option<&'static str> {
    let found = words.iter().find(|(words, _)| words.contains(&word));
    found.map(|(_, help)| *help)
}

/// Words that begin a line of Python, with the Rust for what they begin.
const STATEMENTS: Words = &[
    (
        &["import", "from"],
        "`use` brings names into scope, and `:dep name = \"1\"` adds a crate",
    ),
    (&["assert"], "`assert!(condition)` is a macro"),
    (&["lambda"], "`|x| x + 1` is a closure"),
    (&["del"], "`drop(x)` ends a variable"),
    (
        &["print"],
        "`println!(\"{x}\")` prints a text or a number, `println!(\"{x:?}\")` any value",
    ),
    (&["#"], "`//` begins a comment"),
    (
        &["?"],
        "`:help` lists commands and magics, and `name?` shows the documentation of a name",
    ),
    (
        &["_"],
        "values of earlier cells are not kept: name one with `let`",
    ),
    (
        &["def"],
        "`fn twice(x: f64) -> f64 { x * 2.0 }` defines a function",
    ),
    (
        &["class"],
        "`struct Point { x: f64, y: f64 }` defines a type, `impl Point { … }` its methods",
    ),
    (
        &["with"],
        "what is opened is closed at the end of its block: `let text = std::fs::read_to_string(\"file\")?;`",
    ),
    (
        &["try:", "except", "except:", "finally:"],
        "what may fail returns a `Result`: `?` ends the cell with its error, `match` and `if let Ok(x) = …` look at it",
    ),
    (
        &["raise"],
        "`return Err(\"no\".into());` ends a cell with an error, `panic!(\"no\")` a function, too",
    ),
    (&["pass"], "an empty block is `{}`"),
    (&["elif"], "`else if` begins another condition"),
    (
        &["while"],
        "blocks stand in braces: `while x > 0 { … }`, and `loop { … }` until a `break`",
    ),
    (
        &["for"],
        "blocks stand in braces: `for i in 0..10 { … }`, `for (i, x) in v.iter().enumerate() { … }`",
    ),
    (
        &["if"],
        "blocks stand in braces: `if x > 3 { … } else { … }`",
    ),
];

/// Returns the help for a line that is not Rust; `is_formatted` is true for an error at `f"…"`.
fn syntax(line: &str, is_formatted: bool) -> Option<&'static str> {
    let first = line.split_whitespace().next().unwrap_or_default();
    let is_block = line.ends_with(':') || line.contains(": ");
    match first {
        "for" | "if" | "while" if !is_block => None,
        "import" | "from" if imported(line).is_some() => imported(line),
        _ if among(STATEMENTS, first).is_some() => among(STATEMENTS, first),
        _ if first.starts_with('@') => Some(
            "there are no decorators: a function is passed to what is to change it, as in `dv.remote(f)?`",
        ),
        _ if line.contains("[:]") => {
            Some("`&v[..]` is a whole list, `rc.all()` a view of all engines")
        }
        _ if first.starts_with("type(") => {
            Some("`:types` shows the types of values, and `?x` that of a variable")
        }
        _ if is_formatted => Some("`format!(\"{x}\")` makes a text with values in it"),
        _ if line.contains(" elif ") => Some("`else if` begins another condition"),
        _ if line.contains(" for ") && line.contains(" in ") => Some(
            "`v.iter().map(|x| x * x).collect::<Vec<_>>()` makes a list of another, `filter` leaves some out",
        ),
        _ if line.contains(" lambda ") || line.contains("(lambda ") => {
            Some("`|x| x + 1` is a closure")
        }
        _ if line.contains(" if ") && line.contains(" else ") => {
            Some("`if x > 3 { x } else { 0 }` is a value")
        }
        _ if line.ends_with(" is None") || line.contains(" is not None") => {
            Some("`x.is_none()` and `x.is_some()` ask an `Option`")
        }
        _ if line.contains(" not in ") || line.contains(" in ") => {
            Some("`v.contains(&x)` asks a list, `map.contains_key(&x)` a map")
        }
        _ if first == "not" || line.contains(" not ") => Some("`!x` is the opposite of a `bool`"),
        _ if is_dictionary(line) => {
            Some("`std::collections::HashMap::from([(\"a\", 1), (\"b\", 2)])` is a map")
        }
        _ if is_slice(line) => Some(
            "`&v[1..]`, `&v[..3]` and `&v[1..3]` are parts of a list, `v.iter().step_by(2)` is every other value",
        ),
        _ if is_block && line.ends_with(':') => Some("blocks stand in braces: `{ … }`"),
        _ if is_tuple_assignment(line) => Some("`let (a, b) = (1, 2);` declares two variables"),
        _ => None,
    }
}

/// Help for the library that a line imports.
fn imported(line: &str) -> Option<&'static str> {
    let name = line.split_whitespace().nth(1)?;
    among(LIBRARIES, name.split('.').next()?)
}

/// Returns true for a line with `{"a": …`.
fn is_dictionary(line: &str) -> bool {
    let inside = line.split_once("{\"").map(|(_, inside)| inside);
    inside.is_some_and(|inside| inside.contains("\":") && !line.contains('!'))
}

/// Returns true for a line with `v[1:]`.
fn is_slice(line: &str) -> bool {
    let mut indices = line
        .split('[')
        .skip(1)
        .filter_map(|rest| rest.split_once(']'));
    indices.any(|(index, _)| {
        let is_index = |c: char| c.is_ascii_digit() || matches!(c, ':' | '-' | ' ');
        index.contains(':') && index.chars().all(is_index)
    })
}

/// Returns true for `a, b = …`.
fn is_tuple_assignment(line: &str) -> bool {
    let is_name = |name: &str| {
        let name = name.trim();
        !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    let targets = line.split_once('=').map(|(targets, _)| targets);
    targets.is_some_and(|targets| targets.contains(',') && targets.split(',').all(is_name))
}

/// Functions of Python, with the Rust for a call.
const FUNCTIONS: Words = &[
    (
        &["print"],
        "`println!(\"{x}\")` prints a text or a number, `println!(\"{x:?}\")` any value",
    ),
    (
        &["help"],
        "`?v` shows the type of a variable, `Vec?` the documentation of a type",
    ),
    (
        &["dir"],
        "Tab after `v.` lists what a value has, and `Vec?` shows the documentation",
    ),
    (&["input"], "`phalanx::input(\"name\")?` requests a line"),
    (&["len"], "a length is a method: `v.len()`"),
    (&["range"], "`0..10` is a range"),
    (&["str"], "`x.to_string()` makes a text"),
    (
        &["int", "float"],
        "`\"5\".parse::<i64>()?` reads a number, `x as i64` and `x as f64` convert one",
    ),
    (
        &["sum"],
        "a sum is a method of iterators: `v.iter().sum::<i32>()`, with the type of the sum",
    ),
    (
        &["max", "min"],
        "`v.iter().max()` is the largest value of a list, `v.iter().copied().fold(f64::MIN, f64::max)` of floats, `a.max(b)` of two",
    ),
    (
        &["sorted", "reversed"],
        "`v.sort()` sorts a list that is `mut`, `v.sort_by(f64::total_cmp)` one of floats, `v.reverse()` turns it round",
    ),
    (&["abs"], "`x.abs()` is a method"),
    (
        &["round"],
        "`x.round()` is a method, and `{x:.2}` prints two digits",
    ),
    (
        &["enumerate", "zip", "map", "filter", "any", "all"],
        "iterators have methods for it: `v.iter().enumerate()`, `.zip(&w)`, `.map(|x| x + 1)`, `.filter(|x| **x > 0)`, `.any(|x| *x > 0)`",
    ),
    (
        &["dict"],
        "`std::collections::HashMap::from([(\"a\", 1), (\"b\", 2)])` is a map",
    ),
    (
        &["list", "tuple"],
        "`vec![1, 2]` is a list, `iterator.collect::<Vec<_>>()` makes one",
    ),
    (
        &["set"],
        "`v.iter().collect::<std::collections::HashSet<_>>()` makes a set of a list",
    ),
    (
        &["open"],
        "`std::fs::read_to_string(\"file\")?` reads a file, `std::fs::write(\"file\", text)?` writes one",
    ),
    (
        &["isinstance"],
        "types are known when a cell is compiled: `?x` shows that of a variable",
    ),
];

/// Names by which people call libraries of Python, with what there is here.
const LIBRARIES: Words = &[
    (
        &["ipp", "ipyparallel"],
        "`use phalanx::prelude::*;` and `let rc = Client::connect()?;` connect to the engines, `%cluster start -n 4` starts some",
    ),
    (
        &["np", "numpy"],
        "`:dep ndarray = \"0.17\"` adds arrays, `:dep nalgebra = \"0.34\"` linear algebra: `ndarray::array![1, 2, 3]`",
    ),
    (
        &["pd", "pandas", "pl"],
        "`:dep polars = { version = \"0.55\", default-features = false, features = [\"csv\", \"fmt\", \"lazy\"] }` adds data frames, `:dep csv = \"1\"` reads files",
    ),
    (
        &["df"],
        "a frame of polars that is a cell's value is a table, and so is `df.head(Some(5))`; `phalanx::table(&rows)?` shows any list",
    ),
    (
        &["plt", "matplotlib", "sns", "px", "go"],
        "`:dep plotters = { version = \"0.3\", default-features = false, features = [\"svg_backend\", \"all_series\"] }` draws, `phalanx::svg(text)?` shows it",
    ),
    (
        &["math"],
        "numbers have methods: `2f64.sqrt()`, `x.sin()`; π is `std::f64::consts::PI`",
    ),
    (
        &["random"],
        "`:dep rand = \"0.9\"` adds random numbers: `rand::random::<f64>()`",
    ),
    (
        &["time"],
        "`std::thread::sleep(std::time::Duration::from_secs(1))` waits, `std::time::Instant::now()` and `.elapsed()` measure",
    ),
    (
        &["os", "sys", "pathlib"],
        "`std::env` has variables and the working folder, `std::fs` files, `std::path` their names",
    ),
    (
        &["json"],
        "`:dep serde_json = \"1\"` reads and writes JSON: `serde_json::from_str::<serde_json::Value>(text)?`",
    ),
    (
        &["requests"],
        "`:dep reqwest = \"0.13\"` fetches pages: `reqwest::get(address).await?.text().await?`",
    ),
];

/// Help for a name that is nowhere, and what stands behind it.
fn name(name: &str, following: &str) -> Option<&'static str> {
    const CHANGES: [&str; 5] = ["+=", "-=", "*=", "/=", "%="];
    let next = following.chars().next();
    match (name, next) {
        ("exit" | "quit", _) => Some("`:quit` ends the kernel"),
        ("Out" | "In", Some('[')) => {
            Some("values of earlier cells are not kept: name one with `let`")
        }
        (_, Some('=')) if !following.starts_with("==") && !following.starts_with("=>") => {
            Some("a variable is declared with `let`: `let mut x = 5;` if it is to change")
        }
        _ if CHANGES.iter().any(|change| following.starts_with(change)) => {
            Some("a variable is declared before it changes: `let mut x = 0;`")
        }
        (_, Some('(')) => among(FUNCTIONS, name),
        (_, Some('.' | ':')) => among(LIBRARIES, name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::failure::DiagnosticSpan;

    fn help_for(cell: &str, code: Option<&str>, column: usize) -> String {
        let mut diagnostic = Diagnostic {
            message: "no".to_owned(),
            code: code.map(str::to_owned),
            rendered: None,
            earlier: None,
            help: Vec::new(),
            spans: vec![DiagnosticSpan {
                start_line: 1,
                start_column: column,
                end_line: 1,
                end_column: column + 1,
                label: String::new(),
                primary: true,
            }],
        };
        explain(&mut diagnostic, cell, ErrorSubject::default());
        diagnostic.help.concat()
    }

    #[test]
    fn python_syntax_is_answered_with_rust() {
        for (cell, code, column, part) in [
            ("größe = 5", Some("E0425"), 1, "`let mut x = 5;`"),
            ("n += 1", Some("E0425"), 1, "before it changes"),
            ("/* ä */ len(v)", Some("E0425"), 9, "`v.len()`"),
            ("for i in range(10) {}", Some("E0425"), 10, "`0..10`"),
            ("help(Vec)", Some("E0425"), 1, "`Vec?`"),
            ("v?", Some("E0277"), 2, "`?v`"),
            ("exit()", Some("E0425"), 1, ":quit"),
            ("Out[3]", Some("E0425"), 1, "`let`"),
            ("2**3", Some("E0614"), 2, "pow"),
            ("import numpy as np", None, 8, ":dep ndarray"),
            ("import antigravity", None, 8, ":dep name"),
            ("from math import sqrt", None, 6, "sqrt()"),
            ("a, b = 1, 2", None, 2, "(a, b)"),
            ("f\"{x}\"", None, 1, "format!"),
            ("let s = f\"{x}\";", None, 9, "format!"),
            ("assert x == 1", None, 8, "assert!"),
            ("if x > 1:", None, 9, "braces"),
            ("# a comment", None, 3, "//"),
            ("x = lambda", Some("E0425"), 1, "let"),
            ("print(x)", Some("E0423"), 1, "println!"),
            ("let y = sum(v);", Some("E0425"), 9, "v.iter().sum"),
            ("np.array([1])", Some("E0425"), 1, "ndarray"),
            ("[x * 2 for x in v]", None, 8, ".map("),
            ("v[1:]", None, 4, "&v[1..]"),
            ("x if x > 3 else 0", None, 3, "if x > 3 {"),
            ("d = {\"a\": 1}", None, 9, "HashMap"),
            ("def f(x):", None, 5, "`fn "),
            ("for i in range(10):", None, 19, "0..10 {"),
            ("x is None", None, 3, "is_none"),
        ] {
            let help = help_for(cell, code, column);
            assert!(help.contains(part), "{cell}: {help:?}");
        }
    }

    #[test]
    fn rust_code_gets_no_help() {
        for (cell, code, column) in [
            ("distence == 5", Some("E0425"), 1),
            ("compute(1)", Some("E0425"), 1),
            ("let a = 1 let b", None, 11),
            ("v[1, 2] = 3;", None, 4),
            ("*n", Some("E0614"), 1),
        ] {
            assert_eq!(help_for(cell, code, column), "", "{cell}");
        }
    }
}
