//! Variables without type annotations, whose types are found by the analysis process and added to
//! the cell.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod session;

use phalanx_protocol::evaluator::{NamespaceKind, UnkeptReason, UnkeptVariable};
use phalanx_protocol::failure::{Diagnostic, Failure};
use session::{Machine, Session};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

async fn diagnostics(s: &mut Session, m: &mut Machine, source: &str) -> Vec<Diagnostic> {
    let (_, _, result) = s.cell(m, source).await;
    match result {
        Err(Failure::Compile { diagnostics }) => diagnostics,
        other => panic!("{source}: {other:?}"),
    }
}

/// The types of a session's variables.
async fn variables(s: &mut Session, m: &mut Machine) -> String {
    let (_, _, result) = s.cell(m, "();").await;
    let variables = result.unwrap().variables.into_iter();
    let variables = variables.map(|(name, ty)| format!("{name}: {ty}"));
    variables.collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn all_patterns_keep_variables_with_their_types() {
    let mut session = Session::start(NamespaceKind::Local).await;
    let mut machine = Machine::start(&session.toolchain).await;
    let (s, m) = (&mut session, &mut machine);
    s.shown(
        m,
        "let n = 1; let x = 1.5; let used = 2;\nlet wide: u64 = used + 1;",
    )
    .await;
    assert_eq!(
        variables(s, m).await,
        "n: i32; used: u64; wide: u64; x: f64"
    );
    s.shown(
        m,
        "#[derive(Debug, Clone)] struct Own { a: Vec<u8>, b: char }\n\
         let (mut first, Own { a, .. }) = (vec![\"x\".to_string()], Own { a: vec![7], b: 'c' });\n\
         let partly: std::collections::BTreeMap<_, Vec<_>> = [(1u8, vec![Some(2.5)])].into();\n\
         let Some(own) = Some(Own { a: a.clone(), b: 'd' }) else { panic!() };\n\
         let later; later = first.len();",
    )
    .await;
    s.shown(m, "first.push(\"y\".into());").await;
    assert_eq!(
        s.shown(m, "(first, a, partly, own.b, later)").await,
        "=([\"x\", \"y\"], [7], {1: [Some(2.5)]}, 'd', 1)"
    );
    // A variable of a type that the cell itself redefines.
    s.shown(m, "struct Own(u16);\nlet own = Own(3); let inner = own.0;")
        .await;
    assert_eq!(s.shown(m, "inner").await, "=3");

    // Positions are those in the user's text.
    let wrong = "let ü = vec![1]; let (p, q) = (ü.len(), 2); let z: u8 = \"zwölf\";";
    let found = diagnostics(s, m, wrong).await;
    assert_eq!(found[0].code.as_deref(), Some("E0308"));
    let at = wrong.chars().position(|c| c == '"').unwrap() + 1;
    assert_eq!(found[0].spans[0].start_column, at, "{found:?}");
    // Variables that cannot be kept are omitted.
    for (source, name, reason) in [
        (
            "let a = 1; let f = |x: i32| x + 1; f(1)",
            "f",
            UnkeptReason::Closure,
        ),
        (
            "let own = vec![1]; let r = &own; r.len()",
            "r",
            UnkeptReason::Borrowed,
        ),
        (
            "fn f() -> impl Fn() -> u8 { || 1 }\nlet g = f(); g() + 1",
            "g",
            UnkeptReason::Unnameable {
                ty: "impl Fn() -> u8".to_owned(),
            },
        ),
    ] {
        let shown = s.shown(m, source).await;
        assert!(shown.starts_with('='), "{source}: {shown}");
        let name = name.to_owned();
        assert_eq!(m.unkept, [UnkeptVariable { name, reason }]);
    }
    assert!(variables(s, m).await.contains("own: Vec<i32>"));

    // An added crate is known without further steps.
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("src")).unwrap();
    std::fs::write(
        folder.path().join("Cargo.toml"),
        "[package]\nname = \"own_crate\"\nedition = \"2024\"\n",
    )
    .unwrap();
    let library = "#[derive(Debug)] pub struct There(pub u8); pub fn there() -> There { There(1) }";
    std::fs::write(folder.path().join("src/lib.rs"), library).unwrap();
    let dep = format!(":dep own_crate = {{ path = {:?} }}", folder.path());
    let (_, _, result) = s.cell(m, &dep).await;
    result.unwrap();
    assert_eq!(
        s.shown(m, "let kept = own_crate::there(); &kept").await,
        "=There(1)"
    );
    let changed = library.replace("pub u8", "pub u64");
    std::fs::write(folder.path().join("src/lib.rs"), changed).unwrap();
    let (_, _, result) = s.cell(m, &dep).await;
    result.unwrap();
    s.shown(m, "let number = own_crate::there().0;").await;
    assert!(variables(s, m).await.contains("number: u64"));
}

#[tokio::test]
async fn annotated_cells_do_not_wait_for_the_analysis() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("silent");
    // Never replies.
    let _listener = UnixListener::bind(&socket).unwrap();
    let mut session = Session::asking(NamespaceKind::Local, Some(socket)).await;
    let mut machine = Machine::start(&session.toolchain).await;
    let (s, m) = (&mut session, &mut machine);
    let started = Instant::now();
    assert_eq!(s.shown(m, "1 + 1").await, "=2");
    s.shown(m, "let a: Vec<u8> = vec![1]; let n = 5; let t = \"x\";")
        .await;
    assert_eq!(s.shown(m, "(a, n, t)").await, "=([1], 5, \"x\")");
    assert!(
        started.elapsed() < Duration::from_secs(25),
        "nothing waited"
    );
}

#[tokio::test]
async fn rustc_infers_types_without_the_analysis() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("silent");
    // Never replies, like one that is loading.
    let _listener = UnixListener::bind(&socket).unwrap();
    for analysis in [Some(socket), None] {
        let has_analysis = analysis.is_some();
        let mut session = Session::asking(NamespaceKind::Local, analysis).await;
        let mut machine = Machine::start(&session.toolchain).await;
        let (s, m) = (&mut session, &mut machine);
        let started = Instant::now();
        s.shown(
            m,
            "mod shapes { #[derive(Debug)] pub struct Größe<T>(pub T); }\n\
             let mut a = vec![1u8]; let (b, c) = (shapes::Größe(Some(2)), std::sync::mpsc::channel::<u8>());\n\
             let d = std::collections::HashMap::from([(\"x\".to_owned(), a.len() as f32)]);",
        )
        .await;
        s.shown(m, "a.push(2);").await;
        assert_eq!(
            s.shown(m, "(&a, &b, d[\"x\"])").await,
            "=([1, 2], Größe(Some(2)), 1.0)"
        );
        let variables_shown = variables(s, m).await;
        assert!(
            variables_shown.contains("a: Vec<u8>; b: shapes::Größe<Option<i32>>;"),
            "{variables_shown}"
        );
        assert!(
            variables_shown.contains("std::sync::mpsc::Sender<u8>"),
            "{variables_shown}"
        );
        // Their own paths are in private modules.
        s.shown(
            m,
            "let e = Some(std::io::Cursor::new(vec![1u8])); let h = std::thread::spawn(|| 5);",
        )
        .await;
        let variables_shown = variables(s, m).await;
        for ty in [
            "Option<std::io::Cursor<Vec<u8>>>",
            "std::thread::JoinHandle<i32>",
        ] {
            assert!(variables_shown.contains(ty), "{variables_shown}");
        }
        s.shown(m, "let f = |x: u8| x; let i = a.iter().map(|x| x + 1);")
            .await;
        let reasons = m.unkept.iter().map(|unkept| &unkept.reason);
        let [UnkeptReason::Closure, UnkeptReason::Unnameable { ty }] =
            reasons.collect::<Vec<_>>()[..]
        else {
            panic!("{:?}", m.unkept);
        };
        assert!(ty.contains("Map<") && !ty.contains("closure"), "{ty}");
        assert!(
            started.elapsed() < Duration::from_secs(25),
            "nothing waited"
        );
        if !has_analysis {
            // Other errors of the cell are reported first.
            let found = diagnostics(s, m, "let b = missing();").await;
            assert_eq!(found[0].code.as_deref(), Some("E0425"), "{found:?}");
        }
    }
}
