//! The language of cells: Rust code that is valid in a file is valid in a cell, and its items
//! persist.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod session;

use phalanx_protocol::evaluator::{NamespaceKind, UnkeptReason};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::StateId;
use phalanx_protocol::runtime::Outcome;
use session::{Machine, Session};

async fn check(s: &mut Session, m: &mut Machine, cells: &[(&str, &str)]) {
    for (cell, shown) in cells {
        assert_eq!(s.shown(m, cell).await, *shown, "{cell}");
    }
}

#[tokio::test]
async fn cells_accept_the_language_of_files() {
    let mut session = Session::start(NamespaceKind::Local).await;
    let mut machine = Machine::start(&session.toolchain).await;
    let (s, m) = (&mut session, &mut machine);

    statics(s, m).await;
    macros_and_impls(s, m).await;
    returns(s, m).await;
    unkept(s, m).await;
    forms(s, m).await;
    panics(s, m).await;
}

async fn panics(s: &mut Session, m: &mut Machine) {
    check(s, m, &[("fn power(base: i32) -> i32 { base.pow(20) }", "")]).await;
    // The standard library's own line is of no use.
    for (cell, line) in [
        (
            "let ten = 10i32;\nlet shown = 1; println!(\"a\");\nten.pow(20)",
            3,
        ),
        (
            "let nine = 9;\n\nlet power = power(nine);\nprintln!(\"b\");",
            3,
        ),
        (
            "let ten = std::hint::black_box(i32::MIN);\nten.abs();\nten",
            2,
        ),
        ("for n in 1..3 {\n    power(n + 8);\n}", 1),
    ] {
        let (_, outcome, result) = s.cell(m, cell).await;
        let Some(Outcome::Panicked(panic)) = outcome else {
            panic!("{cell}: {outcome:?} {result:?}")
        };
        assert_eq!(panic.location, Some(format!("cell:{line}:1")), "{cell}");
    }
    panics_of_other_cells(s, m).await;
}

/// Panics in code of a cell that ran before: lines of it and of the running one can be the same.
async fn panics_of_other_cells(s: &mut Session, m: &mut Machine) {
    let lines = "\n".repeat(30);
    let worker = format!(
        "use std::sync::{{Arc, atomic::{{AtomicBool, Ordering::Relaxed}}}};\n\
         let go = Arc::new(AtomicBool::new(false));\nlet seen = go.clone();\n\
         let worker = std::thread::spawn(move || {{{lines}\
         while !seen.load(Relaxed) {{}} if seen.load(Relaxed) {{ panic!(\"late\") }} }});"
    );
    check(s, m, &[(&*worker, "")]).await;
    let wait = format!("go.store(true, Relaxed);\nwhile !worker.is_finished() {{{lines}{lines}}}");
    let shown = s.shown(m, &wait).await;
    assert!(
        shown.contains("panicked at another cell:\nlate\n"),
        "{shown}"
    );
    let own = "std::thread::spawn(|| panic!(\"now\")).join().is_err()";
    let shown = s.shown(m, own).await;
    assert!(shown.contains("panicked at cell:1:"), "{shown}");

    let closure =
        format!("let fails: Box<dyn Fn()> = Box::new(|| {{{lines}panic!(\"called\") }});");
    check(s, m, &[(&*closure, "")]).await;
    let call = format!("let one = 1;\nif one == 1 {{{lines}{lines}\n    fails();\n}}");
    let (_, outcome, result) = s.cell(m, &call).await;
    let Some(Outcome::Panicked(panic)) = outcome else {
        panic!("{outcome:?} {result:?}")
    };
    assert_eq!(panic.location.as_deref(), Some("cell:2:1"));
}

async fn statics(s: &mut Session, m: &mut Machine) {
    let counter = "use std::sync::atomic::{AtomicU32, Ordering::SeqCst};\n\
                   static COUNT: AtomicU32 = AtomicU32::new(7); fn next() -> u32 { COUNT.fetch_add(1, SeqCst) }";
    check(
        s,
        m,
        &[
            (counter, ""),
            ("next(); next()", "=8"),
            ("COUNT.load(SeqCst)", "=9"),
            // A repeated cell finds the current value and not that of its first run.
            ("COUNT.load(SeqCst)", "=9"),
            ("next();", ""),
            ("COUNT.load(SeqCst)", "=10"),
            (
                "pub mod größen { pub static mut RAW: &str = \"a\"; use std::sync::OnceLock;\n\
                 pub static ONCE: OnceLock<String> = OnceLock::new(); }",
                "",
            ),
            (
                "unsafe { größen::RAW = \"b\"; } größen::ONCE.set(\"ü\".into()).unwrap();",
                "",
            ),
            ("(unsafe { größen::RAW }, größen::ONCE.get())", "=(\"b\", Some(\"ü\"))"),
            (
                "thread_local! { static OWN: std::cell::Cell<u8> = const { std::cell::Cell::new(1) };\n\
                 static OTHER: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::default(); }",
                "",
            ),
            ("OWN.set(5); OTHER.with_borrow_mut(|all| all.push(OWN.get()));", ""),
            ("OWN.with(|own| own.get()) + OTHER.take()[0]", "=10"),
            // Functions with symbols of their own are nevertheless those of the newest cell.
            ("#[unsafe(no_mangle)] extern \"C\" fn exported() -> u32 { next() }", ""),
            ("exported()", "=10"),
            ("#[unsafe(no_mangle)] extern \"C\" fn exported() -> u32 { next() * 100 }", ""),
            ("exported()", "=1100"),
            // A panic does not affect stored values.
            ("static COUNT: AtomicU32 = AtomicU32::new(100);", ""),
        ],
    )
    .await;
    let (_, outcome, _) = s.cell(m, "next(); panic!(\"no\")").await;
    assert!(matches!(outcome, Some(Outcome::Panicked(_))));
    check(s, m, &[("next()", "=101")]).await;
    // A static with a redefined type is a new one.
    check(
        s,
        m,
        &[
            ("struct Own(u8); static HELD: std::sync::Mutex<Own> = std::sync::Mutex::new(Own(1));", ""),
            ("HELD.lock().unwrap().0 = 9;", ""),
            ("HELD.lock().unwrap().0", "=9"),
            ("struct Own(u64, u8); impl Own { const fn new() -> Self { Own(0, 0) } }", ""),
            ("static HELD: std::sync::Mutex<Own> = std::sync::Mutex::new(Own::new());", ""),
            ("HELD.lock().unwrap().0", "=0"),
        ],
    )
    .await;
}

async fn macros_and_impls(s: &mut Session, m: &mut Machine) {
    check(
        s,
        m,
        &[
            (
                "macro_rules! mk { ($n:ident, $v:expr) => { fn $n() -> i32 { $v } } }\n\
                 macro_rules! sq { ($x:expr) => { $x * $x } }\nmk!(three, 3); three()",
                "=3",
            ),
            ("mk!(vier, 4);", ""),
            ("three() + vier()", "=7"),
            ("mk!(vier, 40);", ""),
            ("mod inner { pub mod deep { pub fn g() -> i32 { sq!(super::five()) } } fn five() -> i32 { 5 } }", ""),
            ("inner::deep::g() + vier()", "=65"),
            ("struct S; trait Named { const NAME: &'static str; fn n(&self) -> i32; }", ""),
            ("impl Named for S { const NAME: &'static str = \"one\"; fn n(&self) -> i32 { 1 } }", ""),
            ("impl Named for S { const NAME: &'static str = \"two\"; fn n(&self) -> i32 { 2 } }", ""),
            (
                "impl S { fn a(&self) -> i32 { 10 }\n  /// ä\n  fn b(&self) -> i32 { 20 } }",
                "",
            ),
            ("impl S { fn b(&self) -> i32 { 200 } }", ""),
            ("(S.n(), S::NAME, S.a(), S.b())", "=(2, \"two\", 10, 200)"),
            ("struct P(i32); impl P { fn get(&self) -> i32 { self.0 } }", ""),
            ("P(1).get()", "=1"),
            // The impl for the old definition would not compile.
            ("struct P { x: i32 }", ""),
            ("P { x: 4 }.x", "=4"),
        ],
    )
    .await;
}

async fn forms(s: &mut Session, m: &mut Machine) {
    check(
        s,
        m,
        &[
            (
                "#[cfg(unix)] fn which() -> i32 { 1 }\n#[cfg(windows)] fn which() -> i32 { 2 }\nwhich()",
                "=1",
            ),
            ("which() + 1", "=2"),
            // A macro call with braces at the end of a cell expands to statements, or to a value.
            (
                "macro_rules! declare { ($n:ident) => { let $n = 1; println!(\"{}\", $n) } }\ndeclare! { größe }",
                "1\n",
            ),
            ("vec! { 1, 2 }", "=[1, 2]"),
            // A guard is dropped at the end of its cell.
            ("let cell = std::cell::RefCell::new(vec![1]); let seen = cell.borrow(); seen.len()", "=1"),
            ("cell.borrow_mut().push(2); cell.borrow().len()", "=2"),
            // rust-analyzer finds the type of the number, and rustc that of the other variable.
            ("let x = 2.0; let n = x.powi(2);", ""),
            ("x + n", "=6.0"),
        ],
    )
    .await;
}

async fn returns(s: &mut Session, m: &mut Machine) {
    check(s, m, &[("let kept = 1;", "")]).await;
    for cell in [
        "for i in 0..3 { if i == kept { return; } println!(\"{i}\"); } println!(\"no\");",
        "let early = kept; println!(\"{}\", early - 1); if early == 1 { return Ok(()); } println!(\"no\");",
        "let early = \"0\".parse::<i32>()?; println!(\"{early}\"); return;",
    ] {
        let (shown, outcome, result) = s.cell(m, cell).await;
        // The user is notified of variables that do not exist.
        assert_eq!(shown.contains("`early`"), cell.contains("early"), "{shown}");
        let shown = shown.split('[').next().unwrap_or_default();
        assert_eq!((shown, outcome), ("0\n", Some(Outcome::Returned)), "{cell}");
        let variables = result.unwrap().variables;
        assert!(variables.iter().all(|(name, _)| name != "early"), "{cell}");
    }
    for cell in [
        "return Err::<(), _>(\"größe\");",
        "return Err(\"größe\".into());",
        "let n: Result<(), _> = Err(\"größe\"); return n.map_err(|e| e.into());",
    ] {
        let (_, outcome, _) = s.cell(m, cell).await;
        let Some(Outcome::Errored { message, .. }) = outcome else {
            panic!("{cell}: {outcome:?}")
        };
        assert_eq!(message, "größe", "{cell}");
    }
    // An error that borrows can be formatted, but not reported with its causes.
    let lock = "let lock = std::sync::Mutex::new(3);";
    check(s, m, &[(lock, ""), ("*lock.lock()? + 1", "=4")]).await;
    check(
        s,
        m,
        &[
            ("kept + 1", "=2"),
            ("let early = 6; early", "=6"),
            (
                "let v: Vec<i32> = (0..4).map(|n| { if n > 2 { return 0; } n }).collect(); v",
                "=[0, 1, 2, 0]",
            ),
        ],
    )
    .await;
}

async fn unkept(s: &mut Session, m: &mut Machine) {
    let cell = "let text = String::from(\"a ü\"); let words: Vec<&str> = text.split(' ').collect();\n\
                let f = |x: usize| x + 1; f(words.len())";
    check(s, m, &[("let f = 5;", ""), (cell, "=3")]).await;
    let unkept_variables: Vec<_> = m
        .unkept
        .iter()
        .map(|unkept| (unkept.name.as_str(), unkept.reason.clone()))
        .collect();
    assert_eq!(
        unkept_variables,
        [
            ("f", UnkeptReason::Closure),
            ("words", UnkeptReason::Borrowed)
        ]
    );
    // The number that the closure has replaced no longer exists.
    let (_, _, result) = s.cell(m, "f").await;
    assert!(matches!(result, Err(Failure::Compile { .. })), "{result:?}");
    check(
        s,
        m,
        &[
            ("text", "=\"a ü\""),
            // Trait objects are kept, wherever their traits are defined.
            (
                "fn shown() -> Box<dyn std::fmt::Display> { Box::new(3) } let d = shown();",
                "",
            ),
            ("let r = std::thread::spawn(|| 5).join();", ""),
            ("format!(\"{d} {}\", r.is_ok())", "=\"3 true\""),
            // A value shown by an expression that moves a variable.
            (
                "#[derive(Debug)] struct Html(u8); impl Html { fn styled(self) -> Self { self }\n\
                 fn evcxr_display(&self) { println!(\"rich {}\", self.0) } } let html = Html(1);",
                "",
            ),
            ("html.styled()", "rich 1\n"),
        ],
    )
    .await;
    let (_, _, result) = s.cell(m, "html").await;
    assert!(matches!(result, Err(Failure::Compile { .. })), "{result:?}");
}

#[tokio::test]
async fn engines_keep_statics_of_their_state() {
    let mut session = Session::start(NamespaceKind::Engines).await;
    let s = &mut session;
    let mut engines = [
        Machine::start(&s.toolchain).await,
        Machine::start(&s.toolchain).await,
    ];
    let state = |name: &str| StateId::new(name);
    let define = "use std::sync::atomic::{AtomicU32, Ordering::SeqCst};\nstatic N: AtomicU32 = AtomicU32::new(1);";
    let mut base = StateId::empty();
    let cells = [(define, ["", ""]), ("N.fetch_add(1, SeqCst)", ["=1", "=1"])];
    for (number, (cell, shown)) in cells.into_iter().enumerate() {
        let next = state(&format!("s{number}"));
        let compiled = s.compile(cell, &base, &next, Outcome::Completed).await;
        let cell = compiled.unwrap().cell.unwrap();
        for (engine, shown) in engines.iter_mut().zip(shown) {
            assert_eq!(engine.run(cell.clone()).await.0, shown);
        }
        base = next;
    }
    // On one of them the next cell panics after a change; compiled again from the resulting state,
    // it continues with the same static.
    let panicking = "N.fetch_add(10, SeqCst); panic!(\"no\")";
    let compiled = s
        .compile(panicking, &base, &state("p"), Outcome::Completed)
        .await;
    let (_, outcome) = engines[0].run(compiled.unwrap().cell.unwrap()).await;
    let after = state("p~panicked");
    s.compile(panicking, &base, &after, outcome).await.unwrap();
    for (engine, base, shown) in [(0, &after, "=12"), (1, &base, "=2")] {
        let next = state(&format!("last{engine}"));
        let compiled = s
            .compile("N.load(SeqCst)", base, &next, Outcome::Completed)
            .await;
        let cell = compiled.unwrap().cell.unwrap();
        assert_eq!(engines[engine].run(cell).await.0, shown);
    }
}
