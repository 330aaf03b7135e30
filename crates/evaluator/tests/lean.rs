//! Lean crates: cells have the same meaning as when the whole crate is compiled.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod session;

use phalanx_protocol::evaluator::NamespaceKind;
use phalanx_protocol::runtime::Outcome;
use session::{Machine, Session};

/// Cells whose outputs, drops and types depend on items that they do not name.
const CELLS: [&str; 46] = [
    "struct Noisy(u8);\nimpl Drop for Noisy { fn drop(&mut self) { print!(\"drop {} \", self.0) } }",
    "struct Quiet(u8);",
    "{ let n = Noisy(1); print!(\"in \"); }",
    "let kept = Noisy(2); let quiet = Quiet(3);",
    "quiet.0",
    "drop(kept); 1",
    "let boxed: Box<dyn std::any::Any> = Box::new(Noisy(4));",
    "drop(boxed);",
    "use std::ops::{Add, Deref, Index};",
    "#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)] struct P(f64);\nimpl Add for P { type Output = P; fn add(self, o: P) -> P { P(self.0 + o.0 + 0.5) } }\nimpl std::iter::Sum for P { fn sum<I: Iterator<Item = P>>(i: I) -> P { i.fold(P(0.0), Add::add) } }",
    "let p = P(1.0); let ps = vec![p; 3];",
    "p + p",
    "ps.iter().copied().sum::<P>()",
    "struct W(Vec<u8>);\nimpl Deref for W { type Target = Vec<u8>; fn deref(&self) -> &Vec<u8> { &self.0 } }\nimpl Index<char> for W { type Output = u8; fn index(&self, c: char) -> &u8 { &self.0[c as usize - 'a' as usize] } }",
    "let w = W(vec![7, 8]);",
    "w.len()",
    "w['b']",
    "trait Area { fn area(&self) -> f64; fn twice(&self) -> f64 { 2.0 * self.area() } const KIND: &'static str; }",
    "struct Square(f64); struct Disc(f64);\nimpl Area for Square { fn area(&self) -> f64 { self.0 * self.0 } const KIND: &'static str = \"square\"; }\nimpl Area for Disc { fn area(&self) -> f64 { 3.0 * self.0 * self.0 } fn twice(&self) -> f64 { -1.0 } const KIND: &'static str = \"disc\"; }",
    "let shapes: Vec<Box<dyn Fn() -> f64 + Send>> = vec![Box::new(|| Square(2.0).twice()), Box::new(|| Disc(1.0).twice())];",
    "shapes.iter().map(|f| f()).collect::<Vec<_>>()",
    "(Square::KIND, Disc::KIND)",
    "impl<T: std::fmt::Debug> Describe for T {}\ntrait Describe: std::fmt::Debug { fn describe(&self) -> String { format!(\"<{self:?}>\") } }",
    "p.describe()",
    "5.describe()",
    "mod geometry { pub struct Dot { pub x: i32 } impl Dot { pub fn new(x: i32) -> Self { Self { x: scaled(x) } } } fn scaled(x: i32) -> i32 { x * FACTOR } const FACTOR: i32 = 10; }\nuse geometry::Dot;",
    "let dot = Dot::new(4);",
    "println!(\"{}\", dot.x);",
    "macro_rules! largest { ($a:expr) => { $a }; ($a:expr, $($b:expr),+) => {{ let b = largest!($($b),+); if $a > b { $a } else { b } }} }",
    "fn of_three(a: u8, b: u8, c: u8) -> u8 { largest!(a, b, c) }",
    "of_three(3, 9, 4)",
    "const GREETING: &str = \"grüße\"; static LIMIT: usize = 3; type Pairs = Vec<(u8, char)>;",
    "let pairs: Pairs = vec![(1, 'ä')]; let width = 7usize;",
    "println!(\"{GREETING:>width$} {LIMIT} {:?}\", pairs);",
    "enum Op { Plus(i64), Times(i64) }\nuse Op::*;",
    "let ops = vec![Plus(2), Times(5)];",
    "ops.iter().fold(1, |n, op| match op { Plus(m) => n + m, Times(m) => n * m })",
    "impl From<Op> for i64 { fn from(op: Op) -> i64 { match op { Plus(n) | Times(n) => n } } }",
    "i64::from(Times(6)) + Into::<i64>::into(Plus(1))",
    "fn twice<T: Area>(t: &T) -> f64 { t.twice() }",
    "twice(&Square(3.0))",
    "std::any::type_name::<geometry::Dot>().len() + std::mem::size_of::<P>()",
    "#[derive(Default, Debug, Clone)] struct Config { name: String, depth: u8 }\nimpl Config { fn deep(mut self, n: u8) -> Self { self.depth = n; self } }",
    "let config = Config::default().deep(3);",
    "Config { name: \"ü\".into(), ..config.clone() }",
    "fn unused_and_wrong_only_later() -> u8 { 3 } quiet.0 + unused_and_wrong_only_later()",
];

#[tokio::test]
async fn lean_and_whole_cells_behave_the_same() {
    let mut lean = Session::start(NamespaceKind::Local).await;
    let mut whole = Session::start(NamespaceKind::Local).await;
    let mut machines = (
        Machine::start(&lean.toolchain).await,
        Machine::start(&whole.toolchain).await,
    );
    let (_, _, result) = whole.cell(&mut machines.1, ":lean 0").await;
    result.unwrap();
    let mut lean_cells = 0;
    for cell in CELLS {
        let (shown, outcome, result) = lean.cell(&mut machines.0, cell).await;
        let (expected, expected_outcome, expected_result) = whole.cell(&mut machines.1, cell).await;
        assert_eq!(outcome, Some(Outcome::Completed), "{cell}: {result:?}");
        assert_eq!((shown, outcome), (expected, expected_outcome), "{cell}");
        let (result, expected) = (result.unwrap(), expected_result.unwrap());
        assert_eq!(result.variables, expected.variables, "{cell}");
        assert_eq!(result.moved, expected.moved, "{cell}");
        lean_cells += usize::from(
            report(&mut lean, &mut machines.0)
                .await
                .contains("compiled lean"),
        );
        assert!(
            report(&mut whole, &mut machines.1)
                .await
                .contains("turned off")
        );
    }
    assert!(
        lean_cells > CELLS.len() / 2,
        "{lean_cells} of {} cells were lean",
        CELLS.len()
    );

    // A failing cell fails in the same way, and an item of the cell itself is checked even if it is
    // not used.
    for cell in [
        "fn wrong() -> u8 { \"x\" } 1",
        "p + missing",
        "Noisy(1).nothing()",
        "let q: u8 = p;",
    ] {
        let (_, _, result) = lean.cell(&mut machines.0, cell).await;
        let (_, _, expected) = whole.cell(&mut machines.1, cell).await;
        assert_eq!(result.unwrap_err(), expected.unwrap_err(), "{cell}");
    }
    // The variable's type is compiled, and the targets of imports.
    lean.shown(&mut machines.0, "p.0").await;
    let report = report(&mut lean, &mut machines.0).await;
    assert!(
        report.contains("variables: p\n") && report.contains("items: Op, P, geometry\n"),
        "{report}"
    );
}

async fn report(session: &mut Session, machine: &mut Machine) -> String {
    let (_, _, result) = session.cell(machine, ":lean").await;
    let shown = result.unwrap().command_output;
    shown.text().unwrap_or_default().to_owned()
}
