//! Compile errors: the user sees only rustc's errors about the cell, at positions of the cell.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod session;

use phalanx_protocol::evaluator::NamespaceKind;
use phalanx_protocol::failure::{Diagnostic, Failure};
use phalanx_protocol::id::StateId;
use phalanx_protocol::runtime::Outcome;
use session::{Machine, Session};

/// Parts of internal names that must not be shown.
const INTERNAL_NAMES: [&str; 9] = [
    "pub(crate) use",
    "phalanx_",
    "unkept!",
    "evcxr",
    "Evcxr",
    "src/lib.rs",
    "phalanx::__",
    "run_user_code",
    "put_variable",
];

/// The cells that precede all others.
const BEFORE: [&str; 5] = [
    "macro_rules! squared { ($x:expr) => { $x * $x } }\nmacro_rules! mk { ($n:ident) => { fn $n() -> i32 { 1 } } }",
    "#[derive(Debug, Clone)] struct Point { x: i32 }\nstruct Plain { a: u8 }\nfn old(plain: &Plain) -> u8 { plain.a }",
    "fn show<T: std::fmt::Display>(t: T) -> String { format!(\"{t}\") }\nfn take(v: Vec<i32>) -> usize { v.len() }",
    "mod bank { pub struct Sealed(i32); }\nasync fn later() -> i32 { 7 }",
    "let kept = vec![1, 2, 3]; let mut list = vec![1]; let point = Point { x: 1 }; let größe = 5;",
];

/// A cell, and the expected errors: code, line, column and a part of the help.
type Case = (
    &'static str,
    &'static [(&'static str, usize, usize, &'static str)],
);

/// Errors about types and functions of other cells, in a last expression.
const LAST: [Case; 11] = [
    ("/* ä */ squared!(point)", &[("E0369", 1, 9, "`Mul`")]),
    (
        "later()",
        &[("E0277", 1, 1, "once it is awaited: `.await`")],
    ),
    ("|x: u8| x", &[("E0277", 1, 1, "once it is called")]),
    (
        "show(point)",
        &[(
            "E0277",
            1,
            6,
            "`std::fmt::Display` is not implemented for `Point`",
        )],
    ),
    (
        "point + point",
        &[("E0369", 1, 7, "an implementation of `Add` might be missing")],
    ),
    (
        "HashMap::<i32, i32>::new()",
        &[("E0433", 1, 1, "`use std::collections::HashMap;`")],
    ),
    (
        "Client::connect().unwrap().ids()",
        &[("E0433", 1, 1, "`use phalanx::prelude::*;` brings `Client`")],
    ),
    (
        "\"a\".len(5)",
        &[("E0061", 1, 5, "remove the extra argument: `\"a\".len()`")],
    ),
    (
        "phalanx::display(5)",
        &[("E0308", 1, 18, "shown as the last expression")],
    ),
    // A consequence would be that the value cannot be shown.
    ("bank::Sealed(1)", &[("E0603", 1, 7, "")]),
    ("/* ä */ größe.x", &[("E0610", 1, 15, "")]),
];

/// Errors that involve the code around a cell.
const AROUND: [Case; 13] = [
    (
        "let n = squared!(point) + 1;\nn",
        &[("E0369", 1, 9, "`Mul`")],
    ),
    (
        "let a = kept;\nlet b = kept;",
        &[(
            "E0382",
            2,
            9,
            "move occurs because `kept` has type `Vec<i32>`",
        )],
    ),
    (
        "let x = None;",
        &[("E0282", 1, 5, "type: `let x: Option<f64> = None;`, for")],
    ),
    // Lints have no codes.
    (
        "let n: u8 = 300;\nn",
        &[("", 1, 13, "whose range is `0..=255`")],
    ),
    (
        "/* ä 漢字 */ let b: Box<dyn Clone> = Box::new(1);\n1",
        &[("E0038", 1, 27, "")],
    ),
    (
        "let f: impl Fn(i32) -> i32 = |x| x + 1;\nf(1)",
        &[("E0562", 1, 8, "")],
    ),
    (
        "std::thread::spawn(|| println!(\"{}\", kept.len())).join().unwrap()",
        &[("E0373", 1, 20, "use the `move` keyword")],
    ),
    (
        "/* ä */ use std::collections::HashMpa;",
        &[("E0432", 1, 13, "`HashMap`")],
    ),
    (
        "kept.push(4);\nkept.len()",
        &[("E0596", 1, 1, "`let mut kept = kept;`")],
    ),
    ("größe = 6;", &[("E0384", 1, 1, "`let mut größe = größe;`")]),
    ("return 5;", &[("E0308", 1, 8, "`return;` ends a cell")]),
    ("(|| { later().await })()", &[("E0728", 1, 15, "")]),
    (
        "struct Plain { b: u8 }\nlet _ = old(&Plain { b: 1 });",
        // In an earlier cell: it has no position in this one.
        &[("E0609", 0, 0, "")],
    ),
];

/// Errors of items, and rustc's suggestions.
const ITEMS: [Case; 14] = [
    (
        "thread_local! { static T: Cell<i32> = Cell::new(1); }",
        &[
            ("E0425", 1, 27, "`use std::cell::Cell;`"),
            ("E0433", 1, 39, "`use std::cell::Cell;`"),
        ],
    ),
    (
        "thread_local! { static T: std::cell::Cell<i32> = std::cell::Cell::new(\"ä\"); }",
        &[("E0308", 1, 71, "")],
    ),
    ("/* ä */ mk!(1);", &[("", 1, 13, "")]),
    (
        "#[derive(Serialize)] struct Sent { a: u8 }",
        &[("", 1, 10, "`use phalanx::prelude::*;` brings `Serialize`")],
    ),
    // rustc knows another one.
    (
        "fn shown(output: &Output) {}",
        &[("E0425", 1, 19, "`use phalanx::widgets::Output;` brings")],
    ),
    // Names that the library has, too.
    (
        "struct Client;\nimpl Client { fn closed(&self) {} }\nClient.close();",
        &[("E0599", 3, 8, "a method `closed` with a similar name")],
    ),
    (
        "std::cell::Cell::new(1).get(0);",
        &[("E0061", 1, 25, "remove the extra argument: ")],
    ),
    (
        "fn late(ar: &phalanx::AsyncResult) { ar.wait(5); }",
        &[("E0061", 1, 41, "`ar.wait_timeout(")],
    ),
    ("fn g() -> i32 { squared!(\"a\") }", &[("E0369", 1, 17, "")]),
    ("struct S;\nenum S { A }", &[("E0428", 2, 1, "")]),
    (
        "fn z() -> i32 { \"ü\" }\nfn a() -> i32 { \"b\" }",
        &[("E0308", 1, 17, ""), ("E0308", 2, 17, "")],
    ),
    (
        "fn f(v: Vec<i32>) -> usize {\n    take(v);\n    v.len()\n}",
        &[("E0382", 3, 5, "`take(v.clone());`")],
    ),
    (
        "fn pick(a: &str, b: &str) -> &str { a }",
        &[(
            "E0106",
            1,
            30,
            "`fn pick<'a>(a: &'a str, b: &'a str) -> &'a str { a }`",
        )],
    ),
    (
        "fn f(v: Vec<&str>) -> u8 { v.iter().sum() }",
        &[("E0277", 1, 37, "implements `Sum`")],
    ),
];

/// Cells whose error is explained in a note of rustc's: the line of the note, and a part of its
/// text.
const NOTED: [(&str, usize, &str); 4] = [
    (
        "use std::rc::Rc;\nfn need<T: Send>(_: T) {}\nneed(async {\n    let held = Rc::new(1);\n    later().await;\n    drop(held);\n});",
        5,
        "across an await",
    ),
    (
        "struct Bare;\nfn text<T: ToString>(t: T) -> String { t.to_string() }\ntext(Bare)",
        2,
        "required by a bound in `text`",
    ),
    (
        "mod vault {\n    fn secret() {}\n}\nvault::secret();",
        2,
        "is defined here",
    ),
    (
        "fn two(a: i32, b: i32) -> i32 { a + b }\ntwo(1)",
        1,
        "function defined here",
    ),
];

fn diagnostics<T: std::fmt::Debug>(cell: &str, result: Result<T, Failure>) -> Vec<Diagnostic> {
    match result {
        Err(Failure::Compile { diagnostics }) => diagnostics,
        other => panic!("{cell}: {other:?}"),
    }
}

fn check((cell, expected): Case, diagnostics: &[Diagnostic]) {
    let text = format!("{diagnostics:#?}");
    for name in INTERNAL_NAMES {
        assert!(!text.contains(name), "{cell}: {text}");
    }
    let positions = diagnostics.iter().map(|diagnostic| {
        let code = diagnostic.code.as_deref().unwrap_or_default();
        let first = diagnostic.spans.first();
        let position = first.map(|span| (span.start_line, span.start_column));
        let (line, column) = position.unwrap_or_default();
        (code, line, column)
    });
    let positions: Vec<_> = positions.collect();
    let expected_positions = expected
        .iter()
        .map(|(code, line, column, _)| (*code, *line, *column));
    assert_eq!(
        positions,
        expected_positions.collect::<Vec<_>>(),
        "{cell}: {text}"
    );
    for (diagnostic, (.., help)) in diagnostics.iter().zip(expected) {
        assert!(diagnostic.help.concat().contains(help), "{cell}: {text}");
    }
}

#[tokio::test]
async fn local_cells_report_their_own_errors() {
    let mut session = Session::start(NamespaceKind::Local).await;
    let mut machine = Machine::start(&session.toolchain).await;
    let (s, m) = (&mut session, &mut machine);
    for cell in BEFORE {
        s.shown(m, cell).await;
    }
    for case in LAST.into_iter().chain(AROUND).chain(ITEMS) {
        let (_, _, result) = s.cell(m, case.0).await;
        check(case, &diagnostics(case.0, result));
        assert_eq!(
            s.shown(m, "kept.len() + 1").await,
            "=4",
            "behind {}",
            case.0
        );
    }
    for (cell, line, note) in NOTED {
        let (_, _, result) = s.cell(m, cell).await;
        let found = diagnostics(cell, result);
        let mut spans = found[0].spans.iter();
        let is_shown = spans.any(|span| span.start_line == line && span.label.contains(note));
        assert!(is_shown, "{cell}: {found:#?}");
    }
    // The cells of a session with a `?` are closures: rustc words what moves differently.
    s.shown(m, "\"5\".parse::<u8>()?;").await;
    let cell = "let a = kept;\nlet b = kept;";
    let (_, _, result) = s.cell(m, cell).await;
    let found = diagnostics(cell, result);
    let help = found[0].help.concat();
    assert!(help.contains("move occurs because `kept`"), "{found:#?}");
    // The borrow is used by the last expression.
    let cell = "let first = &list[0];\nlist.push(4);\n*first";
    let (_, _, result) = s.cell(m, cell).await;
    let found = diagnostics(cell, result);
    let last = found[0].spans.iter().find(|span| span.start_line == 3);
    let last = last.expect("a label on the last line");
    assert_eq!((last.start_column, last.end_column), (1, 7));
    assert!(last.label.contains("later used"), "{last:?}");
    // An error of an item of another cell has no lines of this one.
    let (_, _, result) = s
        .cell(m, "struct Plain { b: u8 }\nlet _ = old(&Plain { b: 1 });")
        .await;
    let rendered = diagnostics("", result).remove(0).rendered;
    let rendered = rendered.expect("rustc's rendering");
    assert!(
        rendered.contains("an item of an earlier cell"),
        "{rendered}"
    );
    assert!(rendered.contains("plain.a"), "{rendered}");
}

#[tokio::test]
async fn engine_cells_report_their_own_errors() {
    let mut session = Session::start(NamespaceKind::Engines).await;
    let s = &mut session;
    let mut base = StateId::empty();
    for (number, cell) in BEFORE.into_iter().enumerate() {
        let next = StateId::new(format!("s{number}"));
        s.compile(cell, &base, &next, Outcome::Completed)
            .await
            .unwrap();
        base = next;
    }
    for case in LAST.into_iter().chain(AROUND) {
        let next = StateId::fresh();
        let result = s.compile(case.0, &base, &next, Outcome::Completed).await;
        check(case, &diagnostics(case.0, result));
    }
}
