//! What a definition or an import costs the variables and items of earlier cells.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod session;

use phalanx_protocol::evaluator::NamespaceKind;
use phalanx_protocol::failure::{Diagnostic, Failure};
use session::{Machine, Session};

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
async fn a_cell_costs_others_only_what_it_changes() {
    let mut session = Session::start(NamespaceKind::Local).await;
    let mut machine = Machine::start(&session.toolchain).await;
    let (s, m) = (&mut session, &mut machine);
    glob_imports(s, m).await;
}

async fn glob_imports(s: &mut Session, m: &mut Machine) {
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
    // tokio, which is added for it, asks for more of libc.
    check(
        s,
        m,
        &[
            ("let task = tokio::spawn(async { 1 }); async {}.await;", ""),
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
