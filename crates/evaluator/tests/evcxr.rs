//! Real cells: compiled by rustc, run in real runtimes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod session;

use phalanx_protocol::evaluator::{
    Compiled, EvaluatorEvent, EvaluatorReply, EvaluatorRequest, NamespaceKind, UnkeptReason,
};
use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::StateId;
use phalanx_protocol::runtime::Outcome;
use session::{Machine, PATIENCE, Session};
use std::time::{Duration, Instant};

#[tokio::test]
async fn cells_show_their_output_and_their_value() {
    let mut session = Session::start(NamespaceKind::Local).await;
    let mut machine = Machine::start(&session.toolchain).await;
    let (s, m) = (&mut session, &mut machine);
    // An incomplete line is kept, even if the cell does not use the library.
    assert_eq!(s.shown(m, "print!(\"hi\");").await, "hi");
    assert_eq!(s.shown(m, "1 + 1").await, "=2");
    assert_eq!(
        s.shown(m, "fn main() { println!(\"main\") }").await,
        "main\n"
    );
    s.shown(m, "let big = [7u8; 20_000_000];").await;
    assert_eq!(s.shown(m, "big.len() + big[9] as usize").await, "=20000007");
    assert_eq!(s.shown(m, "let größe = vec![1, 2, 3];").await, "");
    assert_eq!(
        s.shown(m, "println!(\"a\"); print!(\"b\"); größe.len()")
            .await,
        "a\nb=3"
    );
    assert_eq!(s.shown(m, "&größe").await, "=[1, 2, 3]");
    assert_eq!(s.shown(m, "println!(\"no unit\")").await, "no unit\n");
    assert_eq!(
        s.shown(m, "for x in &größe { print!(\"{x}\") }").await,
        "123"
    );
    let rich = "struct Rich; impl Rich { pub fn evcxr_display(&self) { println!(\"EVCXR_BEGIN_CONTENT text/html\\n<b>\\nEVCXR_END_CONTENT\"); } }";
    s.shown(m, rich).await;
    assert_eq!(s.shown(m, "Rich").await, "=?");
    // The first `?` of a session.
    assert_eq!(s.shown(m, "Ok::<_, String>(Rich)?").await, "=?");
    let by_value = "struct ByValue; impl ByValue { pub fn evcxr_display(self) { println!(\"EVCXR_BEGIN_CONTENT text/plain\\nmine\\nEVCXR_END_CONTENT\"); } }";
    s.shown(m, by_value).await;
    assert_eq!(s.shown(m, "ByValue").await, "=mine");

    assert_eq!(s.shown(m, "use phalanx::prelude::*;").await, "");
    assert_eq!(
        s.shown(m, "phalanx::html(\"<i>x</i>\")?; println!(\"after\");")
            .await,
        "<<i>x</i>>after\n"
    );
    // A handle is no result.
    let shown = s.shown(m, "phalanx::html(\"<i>x</i>\")?").await;
    assert_eq!(shown, "<<i>x</i>>");
}

#[tokio::test]
async fn variables_are_kept_moved_or_unkept_with_the_reason() {
    let mut session = Session::start(NamespaceKind::Local).await;
    let mut machine = Machine::start(&session.toolchain).await;
    let (s, m) = (&mut session, &mut machine);
    let moved = "let moved = vec![1];\nfor x in moved { print!(\"{x}\") }";
    assert_eq!(s.shown(m, moved).await, "1");
    s.shown(m, "let after = vec![1];").await;
    let (_, _, result) = s.cell(m, ":vars").await;
    assert!(
        result
            .unwrap()
            .command_output
            .text()
            .unwrap()
            .contains("after")
    );
    let (_, _, result) = s.cell(m, "drop(after)").await;
    assert_eq!(result.unwrap().moved, ["after"]);
    let (_, _, result) = s
        .cell(
            m,
            "let r = std::panic::catch_unwind(|| panic!(\"caught\"));",
        )
        .await;
    result.unwrap();
    let unkept = &m.unkept[0];
    assert_eq!(unkept.name, "r");
    assert!(
        matches!(&unkept.reason, UnkeptReason::Unnameable { ty } if ty.contains('!')),
        "{unkept:?}"
    );
}

#[tokio::test]
async fn failed_cell_leaves_earlier_variables_and_has_its_place() {
    let mut session = Session::start(NamespaceKind::Local).await;
    let mut machine = Machine::start(&session.toolchain).await;
    let (s, m) = (&mut session, &mut machine);
    s.shown(m, "let größe = vec![1, 2, 3];").await;
    let (_, outcome, result) = s
        .cell(m, "let lost = 1;\npanic!(\"boom {}\", größe[0])")
        .await;
    assert!(result.is_ok(), "{result:?}");
    let Some(Outcome::Panicked(panic)) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(panic.message, "boom 1");
    assert!(panic.location.unwrap().starts_with("cell:2:"));
    // evcxr puts each statement on a line of its own.
    let (_, outcome, _) = s
        .cell(
            m,
            "let n = 1;\nprint!(\"a\"); if n == 1 { panic!(\"b\") } n",
        )
        .await;
    let Some(Outcome::Panicked(panic)) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(panic.location.unwrap().starts_with("cell:2:"));
    assert_eq!(s.shown(m, "größe").await, "=[1, 2, 3]");
    let (_, _, result) = s.cell(m, "lost").await;
    assert!(matches!(result, Err(Failure::Compile { .. })), "{result:?}");

    let (shown, outcome, _) = s
        .cell(m, "eprintln!(\"before\");\nlet n: i32 = \"x\".parse()?;\nn")
        .await;
    assert_eq!(
        outcome,
        Some(Outcome::Errored {
            message: "invalid digit found in string".into(),
            failure: None,
            location: Some("cell:2:14".into()),
        })
    );
    assert_eq!(shown, "[before\n]");

    // The library's own error, from the cell's copy of the library.
    let (shown, outcome, _) = s.cell(m, "phalanx::Client::connect()?;").await;
    let Some(Outcome::Errored {
        message, failure, ..
    }) = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(failure.as_deref(), Some(&Failure::NoEngines));
    assert!(message.contains("%cluster start") && shown.is_empty());
    // The place of a panic is found by its line, as it was written.
    let written = "let ones = vec![1]; ones.iter().map(|x| x + 1).sum::<i32>()";
    assert_eq!(s.shown(m, written).await, "=2");
    let beside = m.artifacts.last().unwrap().with_extension("rs");
    let compiled = std::fs::read_to_string(beside).unwrap();
    assert_eq!(compiled.lines().filter(|line| *line == written).count(), 2);
}

#[tokio::test]
async fn compile_errors_have_their_place_and_help() {
    let mut session = Session::start(NamespaceKind::Local).await;
    let mut machine = Machine::start(&session.toolchain).await;
    let (s, m) = (&mut session, &mut machine);
    s.shown(m, "let größe = vec![1, 2, 3];").await;
    // If rustc suggests an import of that name, evcxr has only the suggestion.
    let (_, _, result) = s.cell(m, "use std::time::Duration; id * 2").await;
    let Err(Failure::Compile { diagnostics }) = result else {
        panic!("{result:?}")
    };
    assert_eq!(diagnostics.len(), 1, "{diagnostics:#?}");
    assert_eq!(diagnostics[0].code.as_deref(), Some("E0425"));
    assert!(diagnostics[0].message.contains("`id`"), "{diagnostics:#?}");

    let (_, _, result) = s.cell(m, "let ü = \"ß\"; let n: u8 = \"zwölf\";").await;
    let Err(Failure::Compile { diagnostics }) = result else {
        panic!("{result:?}")
    };
    assert_eq!(diagnostics[0].code.as_deref(), Some("E0308"));
    assert_eq!(
        (
            diagnostics[0].spans[0].start_line,
            diagnostics[0].spans[0].start_column
        ),
        (1, 26)
    );

    let (_, _, result) = s.cell(m, "struct Opaque;\nlet o = Opaque;\no").await;
    let Err(Failure::Compile { diagnostics }) = result else {
        panic!("{result:?}")
    };
    assert_eq!(
        (
            diagnostics[0].spans[0].start_line,
            diagnostics[0].spans[0].end_column
        ),
        (3, 2)
    );
    assert!(
        diagnostics[0].help[0].contains("derive(Debug)"),
        "{diagnostics:?}"
    );

    for (cell, line, expected_help) in [
        (
            "fn f() -> usize {\n    größe.len()\n}",
            2,
            "is a variable of the notebook",
        ),
        ("let a = 1;\nuse foolib::bar;", 2, ":dep foolib"),
        ("\nlet open = \"ü", 2, ""),
        ("fn f() {\n    let a = 1\n    let b = 2;\n}", 2, "add `;`"),
    ] {
        let (_, _, result) = s.cell(m, cell).await;
        let Err(Failure::Compile { diagnostics }) = result else {
            panic!("{result:?}")
        };
        let [diagnostic] = diagnostics.as_slice() else {
            panic!("{diagnostics:?}")
        };
        assert_eq!(diagnostic.spans[0].start_line, line, "{diagnostic:?}");
        assert_eq!(diagnostic.rendered, None);
        let help = diagnostic.help.concat();
        assert!(help.contains(expected_help), "{diagnostic:?}");
    }
}

#[tokio::test]
async fn variables_outlive_a_cell_that_exits_but_not_their_runtime() {
    let mut session = Session::start(NamespaceKind::Local).await;
    let mut machine = Machine::start(&session.toolchain).await;
    let (s, m) = (&mut session, &mut machine);
    s.shown(m, "let größe = vec![1, 2, 3];").await;
    let (_, outcome, result) = s.cell(m, "std::process::exit(3)").await;
    let status = RuntimeExit::Status(3);
    assert_eq!(outcome, Some(Outcome::Abandoned { status }));
    assert!(!result.unwrap().variables.is_empty());
    assert_eq!(s.shown(m, "größe").await, "=[1, 2, 3]");

    // A runtime that died with all its variables.
    let (id, source) = (s.id(), "größe.len()".to_owned());
    s.evaluator.send(EvaluatorRequest::Evaluate { id, source });
    assert!(matches!(s.event().await, EvaluatorEvent::Run(_)));
    let status = RuntimeExit::Signal(9);
    let outcome = Outcome::Died { status };
    s.evaluator.send(EvaluatorRequest::Ran { outcome });
    let EvaluatorEvent::Reply { result, .. } = s.event().await else {
        panic!("no answer")
    };
    let Ok(EvaluatorReply::Evaluated(evaluated)) = result else {
        panic!("{result:?}")
    };
    assert_eq!(evaluated.variables, []);
    machine = Machine::start(&s.toolchain).await;
    let m = &mut machine;
    let (_, _, result) = s.cell(m, "größe").await;
    assert!(matches!(result, Err(Failure::Compile { .. })), "{result:?}");
    assert_eq!(s.shown(m, "let after = vec![1]; after").await, "=[1]");
}

/// Waits until a compiler runs for the evaluator with this process id: cargo, or rustc called
/// directly.
async fn wait_for_compiler(evaluator: u32) {
    let started = Instant::now();
    let mut interval = tokio::time::interval(Duration::from_millis(5));
    while started.elapsed() < PATIENCE {
        interval.tick().await;
        let is_compiling = std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let parent = stat
                .rsplit_once(')')
                .and_then(|(_, rest)| rest.split(' ').nth(2));
            let is_compiler = stat.contains("(cargo)") || stat.contains("(rustc)");
            is_compiler && parent == Some(&evaluator.to_string())
        });
        if is_compiling {
            return;
        }
    }
    panic!("no compiler is started");
}

#[tokio::test]
async fn interrupted_compile_changes_no_state() {
    let mut session = Session::start(NamespaceKind::Local).await;
    let mut machine = Machine::start(&session.toolchain).await;
    let (s, m) = (&mut session, &mut machine);
    s.evaluator.interrupt();
    assert_eq!(s.shown(m, "let kept = 1; kept").await, "=1");
    let id = s.id();
    let source = "#[allow(long_running_const_eval)]\nconst LONG: u64 = { let mut i = 0u64; while i < 1 << 40 { i += 1; } i };\nLONG";
    let source = source.to_owned();
    s.evaluator.send(EvaluatorRequest::Evaluate { id, source });
    wait_for_compiler(s.evaluator.pid().unwrap()).await;
    let interrupted_at = Instant::now();
    s.evaluator.interrupt();
    let EvaluatorEvent::Reply { result, .. } = s.event().await else {
        panic!("no answer")
    };
    println!("interrupted in {:?}", interrupted_at.elapsed());
    assert_eq!(result, Err(Failure::Interrupted { lost: Vec::new() }));
    // While rust-analyzer is running, before any compiler is started.
    let id = s.id();
    let source = "let v = [1u8; 3]; v.len()".to_owned();
    s.evaluator.send(EvaluatorRequest::Evaluate { id, source });
    s.evaluator.interrupt();
    let EvaluatorEvent::Reply { result, .. } = s.event().await else {
        panic!("no answer")
    };
    assert_eq!(result, Err(Failure::Interrupted { lost: Vec::new() }));
    assert_eq!(s.shown(m, "kept").await, "=1");
}

#[tokio::test]
async fn engines_have_separate_states() {
    let mut session = Session::start(NamespaceKind::Engines).await;
    let s = &mut session;
    let state = |name: &str| StateId::new(name);
    let (empty, one, two) = (StateId::empty(), state("one"), state("two"));
    let x_number = s
        .compile("let x = 21u64;", &empty, &one, Outcome::Completed)
        .await
        .unwrap();
    let x_text = s
        .compile(
            "let x = \"text\".to_string();",
            &empty,
            &two,
            Outcome::Completed,
        )
        .await
        .unwrap();
    let show = "format!(\"{x:?}\")";
    let on_one = s
        .compile(show, &one, &state("1b"), Outcome::Completed)
        .await
        .unwrap();
    let on_two = s
        .compile(show, &two, &state("2b"), Outcome::Completed)
        .await
        .unwrap();
    assert_eq!(on_one.variables, [("x".to_owned(), "u64".to_owned())]);

    let mut first = Machine::start(&s.toolchain).await;
    let mut second = Machine::start(&s.toolchain).await;
    first.run(x_number.cell.unwrap()).await;
    second.run(x_text.cell.unwrap()).await;
    assert_eq!(
        first.run(on_one.cell.unwrap()).await,
        ("=\"21\"".into(), Outcome::Completed)
    );
    assert_eq!(
        second.run(on_two.cell.unwrap()).await,
        ("=\"\\\"text\\\"\"".into(), Outcome::Completed)
    );

    let boom = "let fresh = 1;\nassert_eq!(x, 22);";
    let next = state("boom");
    let compiled = s
        .compile(boom, &state("1b"), &next, Outcome::Completed)
        .await
        .unwrap();
    let (_, outcome) = first.run(compiled.cell.unwrap()).await;
    assert!(matches!(outcome, Outcome::Panicked(_)), "{outcome:?}");
    let after = StateId::after(&next, &outcome).unwrap();
    let panicked = s
        .compile(boom, &state("1b"), &after, outcome)
        .await
        .unwrap();
    assert_eq!(panicked.variables, [("x".to_owned(), "u64".to_owned())]);
    let next_cell = s
        .compile("x + 1", &after, &state("1c"), Outcome::Completed)
        .await
        .unwrap();
    assert_eq!(first.run(next_cell.cell.unwrap()).await.0, "=22");

    let died = Outcome::Died {
        status: RuntimeExit::Signal(9),
    };
    let gone = s
        .compile("x", &state("1c"), &state("dead"), died)
        .await
        .unwrap();
    assert_eq!(gone.variables, []);
    let missing = s
        .compile("x", &state("dead"), &state("never"), Outcome::Completed)
        .await;
    assert!(
        matches!(missing, Err(Failure::Compile { .. })),
        "{missing:?}"
    );
    let unknown = s
        .compile("1", &state("nowhere"), &state("never"), Outcome::Completed)
        .await;
    assert!(
        matches!(unknown, Err(Failure::Internal { .. })),
        "{unknown:?}"
    );
}

/// A redefined type drops the variables of its old definition, and no others.
#[tokio::test]
async fn redefined_type_drops_its_variables() {
    let mut session = Session::start(NamespaceKind::Local).await;
    let mut machine = Machine::start(&session.toolchain).await;
    let (s, m) = (&mut session, &mut machine);
    let noisy = "impl Drop for A { fn drop(&mut self) { println!(\"dropped {}\", self.x) } }";
    s.shown(
        m,
        &format!("#[derive(Debug)] struct A {{ x: u64 }}\n{noisy}"),
    )
    .await;
    s.shown(
        m,
        "let mut a = A { x: 7 }; let v = vec![A { x: 8 }]; let kept = vec![1, 2];",
    )
    .await;
    // The same definition, with an additional method.
    s.shown(
        m,
        &format!("#[derive(Debug, Clone)] struct A {{ x: u64 }}\n{noisy}\nimpl A {{ fn f(&self) -> u64 {{ self.x * 2 }} }}"),
    )
    .await;
    assert_eq!(s.shown(m, "a.x += 1; a.f()").await, "=16");

    // A cell that does not compile drops nothing.
    let (_, outcome, result) = s.cell(m, "struct A { x: String }\na.x.len()").await;
    assert_eq!(outcome, None);
    let Err(Failure::Compile { diagnostics }) = result else {
        panic!("{result:?}")
    };
    assert!(
        diagnostics[0].help.iter().any(|help| help.contains("`a`")),
        "{diagnostics:?}"
    );
    assert_eq!(s.shown(m, "a.x += 1; a.f() + v.len() as u64").await, "=19");

    // The old values are dropped with their own types.
    let (shown, outcome, result) = s
        .cell(
            m,
            "#[derive(Debug)] struct A { x: String }\nlet a = A { x: \"new\".into() };",
        )
        .await;
    assert_eq!(outcome, Some(Outcome::Completed));
    let mut lines = shown.lines().collect::<Vec<_>>();
    lines.sort_unstable();
    assert_eq!(lines, ["dropped 8", "dropped 9"]);
    let evaluated = result.unwrap();
    let names = evaluated.variables.iter().map(|(name, _)| name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["a", "kept"]);
    assert!(evaluated.moved.is_empty());
    assert_eq!(s.shown(m, "&a").await, "=A { x: \"new\" }");
    assert_eq!(s.shown(m, "kept.len()").await, "=2");
    let (_, _, result) = s.cell(m, "v.len()").await;
    assert!(matches!(result, Err(Failure::Compile { .. })), "{result:?}");

    // Another number of parameters, over another item.
    s.shown(m, "struct B(A); let b = B(A { x: \"in b\".into() });")
        .await;
    s.shown(m, "#[derive(Debug)] struct A<T>(T);\nstruct B(A<u8>);")
        .await;
    assert_eq!(s.shown(m, "A(1)").await, "=A(1)");

    // A cell that panics has redefined its types nevertheless.
    s.shown(m, "let a = A(5);").await;
    let (_, outcome, _) = s
        .cell(m, "struct A(u8, u8); struct B;\npanic!(\"no\")")
        .await;
    assert!(matches!(outcome, Some(Outcome::Panicked(_))));
    let (_, _, result) = s.cell(m, "a.0").await;
    assert!(matches!(result, Err(Failure::Compile { .. })), "{result:?}");
    assert_eq!(s.shown(m, "A(1, 2).1").await, "=2");
}

/// An unchanged cell in a namespace of the same shape is not compiled again.
#[tokio::test]
async fn unchanged_cells_are_not_compiled_again() {
    let mut session = Session::start(NamespaceKind::Local).await;
    let mut machine = Machine::start(&session.toolchain).await;
    let (s, m) = (&mut session, &mut machine);
    /// Returns true if the last cell had the same code as an earlier one.
    fn is_reused(machine: &Machine) -> bool {
        let (last, before) = machine.artifacts.split_last().unwrap();
        before.contains(last)
    }
    assert_eq!(s.shown(m, "1 + 1").await, "=2");
    for _ in 0..4 {
        let (shown, ms) = s.timed(m, "1 + 1").await;
        assert_eq!(shown, "=2");
        println!("run again: {ms:.1} ms");
        assert!(is_reused(m));
    }
    let definition = "let mut x = vec![1];";
    s.shown(m, definition).await;
    s.shown(m, definition).await;
    assert!(
        !is_reused(m),
        "the second run finds a variable that the first did not"
    );
    s.shown(m, definition).await;
    assert!(is_reused(m));
    for n in 2..5 {
        assert_eq!(
            s.shown(m, "x.push(1);\nprintln!(\"{}\", x.len())").await,
            format!("{n}\n")
        );
        assert_eq!(is_reused(m), n > 2);
    }

    // Statics and thread-locals are reset each time the cell that defines them runs.
    let counter = "use std::sync::atomic::{AtomicU32, Ordering};\nstatic COUNT: AtomicU32 = AtomicU32::new(0);\n\
                   thread_local! { static OWN: std::cell::Cell<u32> = const { std::cell::Cell::new(0) }; }\n\
                   OWN.with(|own| own.set(own.get() + 1));\n\
                   COUNT.fetch_add(1, Ordering::SeqCst) + OWN.with(|own| own.get())";
    for run in 0..6 {
        assert_eq!(s.shown(m, counter).await, "=1");
        assert!(!is_reused(m), "run {run}");
    }

    // A panic in between; its line is known although the cell was not compiled again.
    let moody = "let n = 1;\nif x.len() > 3 { panic!(\"too long\") }\nn";
    s.shown(m, "x.truncate(1);").await;
    for _ in 0..2 {
        assert_eq!(s.shown(m, moody).await, "=1");
    }
    assert_eq!(s.shown(m, moody).await, "=1");
    assert!(is_reused(m));
    s.shown(m, "x.extend([1, 2, 3]);").await;
    let (_, outcome, result) = s.cell(m, moody).await;
    let Some(Outcome::Panicked(panic)) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(panic.location.unwrap().starts_with("cell:2:"));
    assert!(
        result
            .unwrap()
            .variables
            .iter()
            .all(|(name, _)| name != "n")
    );
    let (_, _, result) = s.cell(m, "n").await;
    assert!(matches!(result, Err(Failure::Compile { .. })), "{result:?}");
    s.shown(m, "x.truncate(1);").await;
    assert_eq!(s.shown(m, moody).await, "=1");
    assert_eq!(s.shown(m, "n + 1").await, "=2");

    // A cell that moves a variable fails the second time.
    s.shown(m, "let gone = vec![1];").await;
    s.shown(m, "drop(gone)").await;
    let (_, _, result) = s.cell(m, "drop(gone)").await;
    assert!(matches!(result, Err(Failure::Compile { .. })), "{result:?}");

    // Another type with the same name, and another function.
    s.shown(m, "fn twice(n: usize) -> usize { n * 2 }").await;
    for _ in 0..3 {
        assert_eq!(s.shown(m, "twice(x.len())").await, "=2");
    }
    assert!(is_reused(m));
    s.shown(m, "fn twice(n: usize) -> usize { n * 20 }").await;
    assert_eq!(s.shown(m, "twice(x.len())").await, "=20");
    s.shown(m, "let x = \"four\";").await;
    assert_eq!(s.shown(m, "twice(x.len())").await, "=80");
    s.shown(m, "let x = 1;\nconst fn f() -> usize { 1 }").await;

    // Options matter, as do the files that a cell reads while it is compiled.
    assert_eq!(s.shown(m, "x").await, "=1");
    assert_eq!(s.shown(m, "x").await, "=1");
    assert!(is_reused(m));
    let (_, _, result) = s.cell(m, ":efmt {:?}").await;
    result.unwrap();
    s.shown(m, "x").await;
    assert!(!is_reused(m));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("text");
    let reads = format!("println!(\"{{}}\", include_str!({file:?}))");
    for text in ["one", "two", "three", "four"] {
        std::fs::write(&file, text).unwrap();
        assert_eq!(s.shown(m, &reads).await, format!("{text}\n"));
    }
}

/// The same for engines, whose namespaces diverge.
#[tokio::test]
async fn engines_redefine_and_reuse_cells() {
    let mut session = Session::start(NamespaceKind::Engines).await;
    let mut machine = Machine::start(&session.toolchain).await;
    let (s, m) = (&mut session, &mut machine);
    let state = |name: &str| StateId::new(name);
    let names = |compiled: &Compiled| {
        let names = compiled.variables.iter().map(|(name, _)| name.clone());
        names.collect::<Vec<_>>().join(" ")
    };
    let definition = "#[derive(Debug)] struct A { x: u64 }\nimpl Drop for A { fn drop(&mut self) { println!(\"dropped {}\", self.x) } }\nfn double(a: &A) -> u64 { 2 * a.x }";
    let a = s
        .compile(
            definition,
            &StateId::empty(),
            &state("a"),
            Outcome::Completed,
        )
        .await
        .unwrap();
    m.run(a.cell.unwrap()).await;
    let b = s
        .compile(
            "let a = A { x: 7 }; let n = 1u64;",
            &state("a"),
            &state("b"),
            Outcome::Completed,
        )
        .await
        .unwrap();
    m.run(b.cell.unwrap()).await;

    // Twice from the same state: variables dropped by one exist for the other.
    let redefined = "#[derive(Debug)] struct A { x: String }\nlet b = A { x: \"new\".into() };";
    let c = s
        .compile(redefined, &state("b"), &state("c"), Outcome::Completed)
        .await
        .unwrap();
    assert_eq!(names(&c), "b n");
    let misfits: Vec<&str> = c.misfits.iter().map(|item| item.lines.as_str()).collect();
    assert_eq!(misfits, ["fn double(a: &A) -> u64 { 2 * a.x }"]);
    let again = s
        .compile(redefined, &state("c"), &state("c2"), Outcome::Completed)
        .await;
    assert!(again.unwrap().misfits.is_empty());
    let cell = c.cell.unwrap();
    assert_eq!(cell.dropped.names, ["a"]);
    let other = s
        .compile("a.x + n", &state("b"), &state("d"), Outcome::Completed)
        .await
        .unwrap();
    assert_eq!(m.run(other.cell.unwrap()).await.0, "=8");
    assert_eq!(m.run(cell).await.0, "dropped 7\n");
    let d = s
        .compile("&b", &state("c"), &state("e"), Outcome::Completed)
        .await
        .unwrap();
    assert_eq!(m.run(d.cell.unwrap()).await.0, "=A { x: \"new\" }");

    // Run again on the engines that ran it, and on others in a state of the same shape.
    let source = "static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(n_start());\n\
                  const fn n_start() -> u32 { 3 }\nCOUNT.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + n as u32";
    let mut base = state("e");
    let mut artifacts = Vec::new();
    for run in 0..4 {
        let next = StateId::new(format!("run-{run}"));
        let compiled = s
            .compile(source, &base, &next, Outcome::Completed)
            .await
            .unwrap();
        let cell = compiled.cell.unwrap();
        artifacts.push(cell.artifact.clone());
        assert_eq!(m.run(cell).await.0, "=4", "run {run}");
        base = next;
    }
    artifacts.sort();
    artifacts.dedup();
    assert_eq!(artifacts.len(), 4, "each run defines the static anew");
    let panicked = s
        .compile(
            source,
            &base,
            &state("p"),
            Outcome::Panicked(phalanx_protocol::failure::Panic {
                message: String::new(),
                location: None,
            }),
        )
        .await;
    assert_eq!(names(&panicked.unwrap()), "b n");
}

#[tokio::test]
async fn replaced_library_is_loaded_again() {
    let mut sessions = [
        Session::start(NamespaceKind::Local).await,
        Session::start(NamespaceKind::Local).await,
    ];
    let mut machine = Machine::start(&sessions[0].toolchain).await;
    let mut cells = Vec::new();
    for (session, source) in sessions.iter_mut().zip(["1 + 1", "2 + 2"]) {
        let id = session.id();
        let source = source.to_owned();
        session
            .evaluator
            .send(EvaluatorRequest::Evaluate { id, source });
        let EvaluatorEvent::Run(cell) = session.event().await else {
            panic!("no cell to run");
        };
        cells.push(cell.clone());
        let (_, outcome) = machine.run(cell).await;
        session.evaluator.send(EvaluatorRequest::Ran { outcome });
        session.event().await;
    }
    // A restarted evaluator counts its cells from the beginning.
    let [first, second] = &cells[..] else {
        panic!("two cells");
    };
    assert_eq!(first.entry, second.entry);
    let copy = first.artifact.with_extension("new");
    std::fs::copy(&second.artifact, &copy).unwrap();
    std::fs::rename(copy, &first.artifact).unwrap();
    assert_eq!(machine.run(first.clone()).await.0, "=4");
}
