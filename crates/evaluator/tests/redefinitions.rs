//! The effects of definitions and imports on the variables and items of earlier cells.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod session;

use phalanx_protocol::evaluator::NamespaceKind;
use phalanx_protocol::failure::{Diagnostic, EARLIER_ITEM, Failure};
use session::{Machine, Session};
use std::path::Path;

async fn check(s: &mut Session, m: &mut Machine, cells: &[(&str, &str)]) {
    for (cell, shown) in cells {
        assert_eq!(s.shown(m, cell).await, *shown, "{cell}");
    }
}

async fn errors(s: &mut Session, m: &mut Machine, cell: &str) -> Vec<Diagnostic> {
    match s.cell(m, cell).await.2 {
        Err(Failure::Compile { diagnostics }) => diagnostics,
        other => panic!("{cell}: {other:?}"),
    }
}

#[tokio::test]
async fn restart_loses_variables_and_keeps_items() {
    let mut session = Session::start(NamespaceKind::Local).await;
    let mut machine = Machine::start(&session.toolchain).await;
    let (s, m) = (&mut session, &mut machine);
    check(
        s,
        m,
        &[(
            "struct Größe(u8); let lost = vec![1]; let größe = Größe(2);",
            "",
        )],
    )
    .await;
    let evaluated = s.cell(m, ":restart").await.2.unwrap();
    assert_eq!(evaluated.variables, []);
    let missing = errors(s, m, "lost.len()").await;
    assert!(
        missing[0].message.contains("cannot find value `lost`"),
        "{missing:?}"
    );
    // Items are kept, and names are free.
    check(s, m, &[("let lost = Größe(3);", ""), ("lost.0", "=3")]).await;

    // Options that the toolchain does not have leave cells as they were.
    if !s.toolchain.is_nightly() {
        for command in [
            ":time_passes",
            ":codegen_backend cranelift",
            ":codegen_backend ü",
        ] {
            let refused = format!("{:?}", s.cell(m, command).await.2.unwrap_err());
            assert!(refused.contains("nightly"), "{command}: {refused}");
        }
        check(s, m, &[("lost.0 + 1", "=4")]).await;
    }

    // The toolchain in use, by its name.
    if let Some(choice) = phalanx_toolchain::rustup::choice(Path::new(".")) {
        let command = format!(":toolchain {}", choice.name);
        let evaluated = s.cell(m, &command).await.2.unwrap();
        assert_eq!(evaluated.toolchain, None);
        check(
            s,
            m,
            &[("lost.0 + 2", "=5"), ("let more = lost.0 * 2; more", "=6")],
        )
        .await;
        s.cell(m, ":clear").await.2.unwrap();
        check(s, m, &[("let lost = 7; lost", "=7")]).await;
    }
}

#[tokio::test]
async fn glob_imports_drop_only_variables_whose_types_they_change() {
    let mut session = Session::start(NamespaceKind::Local).await;
    let mut machine = Machine::start(&session.toolchain).await;
    let (s, m) = (&mut session, &mut machine);
    check(
        s,
        m,
        &[
            (
                "struct M { y: Vec<f64>, name: Option<String> } let m = M { y: vec![2.0], name: None };",
                "",
            ),
            // Nothing that the struct refers to.
            ("use serde::de::*;", ""),
            ("m.y[0]", "=2.0"),
        ],
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("src")).unwrap();
    let manifest = "[package]\nname = \"own_crate\"\nedition = \"2024\"\n\
                    [dependencies]\nlibc = { version = \"0.2\", default-features = false }\n";
    std::fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    let library = "pub struct Held(pub libc::c_int); pub mod vectors { pub struct Vec<T>(pub T); }";
    std::fs::write(folder.path().join("src/lib.rs"), library).unwrap();
    let dep = format!(":dep own_crate = {{ path = {:?} }}", folder.path());
    s.cell(m, &dep).await.2.unwrap();
    // No call of rustc is known if there is a dependency by path.
    check(
        s,
        m,
        &[
            ("use own_crate::*; let held = Held(7);", ""),
            ("m.y[0]", "=2.0"),
        ],
    )
    .await;
    // tokio, which is added for it, requires more features of libc.
    check(
        s,
        m,
        &[
            (
                "let task = tokio::spawn(async { 1 }); assert_eq!(tokio::join!(async { 1 }), (1,));",
                "",
            ),
            ("task.await? + held.0", "=8"),
        ],
    )
    .await;
    // Here the struct is another one.
    s.shown(m, "use own_crate::vectors::*;").await;
    let gone = errors(s, m, "m.y.0").await;
    assert!(
        gone[0].message.contains("cannot find value `m`"),
        "{gone:?}"
    );
}

#[tokio::test]
async fn items_that_do_not_fit_a_redefined_type_are_reported() {
    let mut session = Session::start(NamespaceKind::Local).await;
    let mut machine = Machine::start(&session.toolchain).await;
    let (s, m) = (&mut session, &mut machine);
    let implementation = |body: &str| {
        format!(
            "impl Summary for Vec<Measured> {{\n    fn summary(&self) -> usize {{\n        {body}\n    }}\n    fn len(&self) -> usize {{ 7 }}\n}}"
        )
    };
    let first = implementation("self.iter().filter(|m| m.value.is_none()).count()");
    check(
        s,
        m,
        &[
            ("struct Measured { value: Option<f64> }", ""),
            (
                "trait Summary { fn summary(&self) -> usize; fn len(&self) -> usize; }",
                "",
            ),
            (&first, ""),
            (
                "fn is_there(m: &Measured) -> bool { m.value.is_some() }",
                "",
            ),
            ("let words = vec![\"a\", \"b\"]; words.len()", "=2"),
        ],
    )
    .await;
    let (_, _, evaluated) = s.cell(m, "struct Measured { value: f64 }").await;
    let misfits = evaluated.unwrap().misfits;
    let lines: Vec<&str> = misfits.iter().map(|item| item.lines.as_str()).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("fn is_there(") && lines[1].starts_with("impl Summary for"));
    check(
        s,
        m,
        &[
            // Its method may be meant, but the impl does not compile.
            ("words.len()", "=2"),
            ("let all = vec![Measured { value: 1.5 }]; all.len()", "=1"),
            ("fn other() -> usize { words().len() } fn words() -> String { String::from(\"abc\") } other()", "=3"),
            ("other() + words.len()", "=5"),
        ],
    )
    .await;
    // An error of a cell's own is the only one.
    let own = errors(s, m, "words.len() + missing").await;
    assert!(
        own.len() == 1 && own[0].message.contains("`missing`"),
        "{own:?}"
    );
    for (cell, line, name) in [
        ("all.summary()", "m.value.is_none()", "Summary"),
        ("is_there(&all[0])", "m.value.is_some()", "is_there"),
    ] {
        let found = errors(s, m, cell).await;
        assert_eq!(found.len(), 1, "{found:?}");
        let item = found[0].earlier.as_ref().unwrap();
        assert!(
            item.lines.lines().last().unwrap().contains(line),
            "{item:?}"
        );
        assert!(
            item.names.contains("Measured") && item.names.contains(name),
            "{item:?}"
        );
        let rendered = found[0].rendered.as_ref().unwrap();
        assert!(
            rendered.contains(&format!("--> {EARLIER_ITEM}")),
            "{rendered}"
        );
    }
    let second = implementation("self.iter().filter(|m| m.value > 1.0).count()");
    check(
        s,
        m,
        &[
            (&second, ""),
            ("all.summary()", "=1"),
            ("Summary::len(&all)", "=7"),
            // The first definition again: the item fits as it is.
            ("struct Measured { value: Option<f64> }", ""),
            ("is_there(&Measured { value: None })", "=false"),
        ],
    )
    .await;
}

#[tokio::test]
async fn impls_of_redefined_types_are_kept_or_replaced() {
    let mut session = Session::start(NamespaceKind::Local).await;
    let mut machine = Machine::start(&session.toolchain).await;
    let (s, m) = (&mut session, &mut machine);
    check(
        s,
        m,
        &[
            (
                "struct Zähler(u64); impl Zähler { fn next(&mut self) -> u64 { self.0 += 1; self.0 } }\n\
                 struct Name(i32); impl Name { fn one(&self) -> i32 { 1 } fn two(&self) -> i32 { 2 } }\n\
                 impl Clone for Name { fn clone(&self) -> Self { Self(0) } }",
                "",
            ),
            ("struct Name(String);", ""),
            ("Zähler(1).next()", "=2"),
            ("Name(String::new()).one()", "=1"),
            // A cell that implements the type replaces its impls; one that derives a trait, the
            // trait's.
            (
                "#[derive(Clone)] struct Name(u8); impl Name { fn two(&self) -> u8 { self.0 } }",
                "",
            ),
            ("Name(2).clone().two()", "=2"),
            ("Zähler(2).next()", "=3"),
        ],
    )
    .await;
    let gone = errors(s, m, "Name(2).one()").await;
    assert!(
        gone[0].message.contains("no method named `one`"),
        "{gone:?}"
    );

    // Run again with other heads, and with a method in another cell.
    let point =
        "#[derive(Debug)] struct Punkt(f64);\nimpl Punkt { fn new() -> Self { Self(1.0) } }\n";
    let with = |rest: &str| format!("{point}{rest}");
    let first = with(
        "impl std::ops::Neg for &Punkt { type Output = f64; fn neg(self) -> f64 { -self.0 } }\n\
         impl From<Punkt> for f64 { fn from(p: Punkt) -> f64 { p.0 } }\n\
         impl Punkt { fn norm(&self) -> f64 { self.0 } }",
    );
    let again = with(
        "impl<'a> core::ops::Neg for &'a Punkt { type Output = f64; fn neg(self) -> f64 { -2.0 * self.0 } }\n\
         impl Into<f64> for Punkt { fn into(self) -> f64 { 3.0 } }",
    );
    check(
        s,
        m,
        &[
            (&first, ""),
            ("(-&Punkt::new(), f64::from(Punkt::new()))", "=(-1.0, 1.0)"),
            ("impl Punkt { fn norm(&self) -> f64 { 5.0 } }", ""),
            (&again, ""),
            (
                "(-&Punkt::new(), Into::<f64>::into(Punkt::new()), Punkt::new().norm())",
                "=(-2.0, 3.0, 5.0)",
            ),
        ],
    )
    .await;
    // A cell that does not compile makes the session fallible for the next one.
    errors(s, m, "\"5\".parse::<u8>()?.cout()").await;
    let returned = s.cell(m, "if Punkt::new().0 > 0.0 { return; }").await.2;
    assert!(returned.is_ok(), "{returned:?}");
}
