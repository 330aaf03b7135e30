//! Real cells: compiled by rustc, run in real runtimes. One session each for the two kinds.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use phalanx_evaluator::{Backend, Evaluator, EvaluatorConfig, EvaluatorNotice};
use phalanx_protocol::evaluator::{
    Answer, Compiled, CompiledCell, Evaluated, EvaluatorEvent, EvaluatorRequest, NamespaceKind,
    RequestId, Toolchain,
};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::{RunId, StateId};
use phalanx_protocol::output::{Output, StreamName};
use phalanx_protocol::runtime::Outcome;
use phalanx_runtime::{Input, Runtime, RuntimeConfig, RuntimeEvent};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// rustc may have to build the library first.
const PATIENCE: Duration = Duration::from_secs(300);

fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples/evaluator_program")
}

struct Machine {
    runtime: Runtime,
    events: mpsc::Receiver<RuntimeEvent>,
    runs: u64,
}

impl Machine {
    async fn start(toolchain: &Toolchain) -> Self {
        let config = RuntimeConfig {
            program: program(),
            args: vec!["runtime".into()],
            env: Vec::new(),
            input: Input::Nothing,
        };
        let (runtime, events) = Runtime::start(config).await.expect("a runtime");
        runtime.load(toolchain.libstd.clone());
        Self {
            runtime,
            events,
            runs: 0,
        }
    }

    async fn run(&mut self, cell: CompiledCell) -> (String, Outcome) {
        self.runs += 1;
        self.runtime.run(RunId(self.runs), cell);
        let mut shown = String::new();
        loop {
            let event = timeout(PATIENCE, self.events.recv())
                .await
                .expect("in time")
                .expect("an event");
            match event {
                RuntimeEvent::Output { output, .. } => match output {
                    Output::Stream {
                        name: StreamName::Stdout,
                        text,
                    } => shown += &text,
                    Output::Stream { text, .. } => shown += &format!("[{text}]"),
                    Output::Result(data) => shown += &format!("={}", data.text().unwrap_or("?")),
                    Output::Display(display) => {
                        shown += &format!("<{}>", display.data.text().unwrap_or("?"))
                    }
                    Output::ClearOutput { .. } => shown += "clear",
                },
                RuntimeEvent::Ended { outcome, .. } => return (shown, outcome),
                other => panic!("unexpected {other:?}"),
            }
        }
    }
}

struct Session {
    evaluator: Evaluator,
    notices: mpsc::UnboundedReceiver<EvaluatorNotice>,
    toolchain: Toolchain,
    requests: u64,
}

impl Session {
    async fn start(kind: NamespaceKind) -> Self {
        let config = EvaluatorConfig {
            program: program(),
            kind,
            backend: Backend::Evcxr,
        };
        let (evaluator, mut notices) = Evaluator::start(config).await.expect("an evaluator");
        let toolchain = loop {
            match timeout(PATIENCE, notices.recv())
                .await
                .expect("in time")
                .expect("a notice")
            {
                EvaluatorNotice::Event(EvaluatorEvent::Ready(toolchain)) => break toolchain,
                EvaluatorNotice::Progress(_) => {}
                other => panic!("not ready: {other:?}"),
            }
        };
        Self {
            evaluator,
            notices,
            toolchain,
            requests: 0,
        }
    }

    fn id(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    async fn event(&mut self) -> EvaluatorEvent {
        loop {
            match timeout(PATIENCE, self.notices.recv())
                .await
                .expect("in time")
                .expect("a notice")
            {
                EvaluatorNotice::Event(event) => return event,
                EvaluatorNotice::Progress(_) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    /// Evaluates a local cell; what it showed, how it ended, what the evaluator answered.
    async fn cell(
        &mut self,
        machine: &mut Machine,
        source: &str,
    ) -> (String, Option<Outcome>, Result<Evaluated, Failure>) {
        let id = self.id();
        let began = Instant::now();
        self.evaluator.send(EvaluatorRequest::Evaluate {
            id,
            source: source.to_owned(),
        });
        let (mut shown, mut last) = (String::new(), None);
        loop {
            match self.event().await {
                EvaluatorEvent::Run(cell) => {
                    let (text, outcome) = machine.run(cell).await;
                    shown = text;
                    last = Some(outcome.clone());
                    self.evaluator.send(EvaluatorRequest::Ran { outcome });
                }
                EvaluatorEvent::Answer { result, .. } => {
                    println!(
                        "{:>6.0?} ms  {source:?}",
                        began.elapsed().as_secs_f64() * 1e3
                    );
                    let evaluated = result.map(|answer| match answer {
                        Answer::Evaluated(evaluated) => evaluated,
                        other => panic!("unexpected {other:?}"),
                    });
                    return (shown, last, evaluated);
                }
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    async fn shown(&mut self, machine: &mut Machine, source: &str) -> String {
        let (shown, outcome, result) = self.cell(machine, source).await;
        assert!(result.is_ok(), "{source}: {result:?}");
        assert_eq!(outcome, Some(Outcome::Completed), "{source}");
        shown
    }

    async fn compile(
        &mut self,
        source: &str,
        base: &StateId,
        next: &StateId,
        outcome: Outcome,
    ) -> Result<Compiled, Failure> {
        let id = self.id();
        let (source, base, next) = (source.to_owned(), base.clone(), next.clone());
        self.evaluator.send(EvaluatorRequest::Compile {
            id,
            source,
            base,
            next,
            outcome,
        });
        match self.event().await {
            EvaluatorEvent::Answer {
                result: Ok(Answer::Compiled(compiled)),
                ..
            } => Ok(compiled),
            EvaluatorEvent::Answer {
                result: Err(failure),
                ..
            } => Err(failure),
            other => panic!("unexpected {other:?}"),
        }
    }
}

#[tokio::test]
async fn local_cells() {
    let mut session = Session::start(NamespaceKind::Local).await;
    let mut machine = Machine::start(&session.toolchain).await;
    let (s, m) = (&mut session, &mut machine);
    assert_eq!(s.shown(m, "1 + 1").await, "=2");
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
    let by_value = "struct ByValue; impl ByValue { pub fn evcxr_display(self) { println!(\"EVCXR_BEGIN_CONTENT text/plain\\nmine\\nEVCXR_END_CONTENT\"); } }";
    s.shown(m, by_value).await;
    assert_eq!(s.shown(m, "ByValue").await, "=mine");

    let (_, outcome, result) = s
        .cell(m, "let lost = 1;\npanic!(\"boom {}\", größe[0])")
        .await;
    assert!(result.is_ok(), "{result:?}");
    let Some(Outcome::Panicked(panic)) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(panic.message, "boom 1");
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
            message: "invalid digit found in string".into()
        })
    );
    assert_eq!(shown, "[before\n]");

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

    let (_, _, result) = s
        .cell(
            m,
            "let r = std::panic::catch_unwind(|| panic!(\"caught\"));",
        )
        .await;
    let Err(Failure::Compile { diagnostics }) = result else {
        panic!("{result:?}")
    };
    assert!(
        diagnostics[0].message.contains("cannot be kept"),
        "{diagnostics:?}"
    );

    let (_, outcome, result) = s.cell(m, "std::process::exit(3)").await;
    assert_eq!(
        outcome,
        Some(Outcome::Died {
            status: "exit status 3".into()
        })
    );
    assert_eq!(result.unwrap().variables, []);
    machine = Machine::start(&s.toolchain).await;
    let m = &mut machine;
    let (_, _, result) = s.cell(m, "größe").await;
    assert!(matches!(result, Err(Failure::Compile { .. })), "{result:?}");
    assert_eq!(s.shown(m, "let after = vec![1]; after").await, "=[1]");
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
    assert_eq!(s.shown(m, "use phalanx::prelude::*;").await, "");
    assert_eq!(
        s.shown(m, "phalanx::html(\"<i>x</i>\")?; println!(\"after\");")
            .await,
        "<<i>x</i>>after\n"
    );
}

/// Waits until a compiler is at work for the evaluator of that process id: cargo, or rustc called in its place.
async fn compiling(evaluator: u32) {
    let started = Instant::now();
    let mut look = tokio::time::interval(Duration::from_millis(5));
    while started.elapsed() < PATIENCE {
        look.tick().await;
        let busy = std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let parent = stat
                .rsplit_once(')')
                .and_then(|(_, rest)| rest.split(' ').nth(2));
            let compiler = stat.contains("(cargo)") || stat.contains("(rustc)");
            compiler && parent == Some(&evaluator.to_string())
        });
        if busy {
            return;
        }
    }
    panic!("no compiler is started");
}

#[tokio::test]
async fn an_interrupted_compile_costs_nothing() {
    let mut session = Session::start(NamespaceKind::Local).await;
    let mut machine = Machine::start(&session.toolchain).await;
    let (s, m) = (&mut session, &mut machine);
    s.evaluator.interrupt();
    assert_eq!(s.shown(m, "let kept = 1; kept").await, "=1");
    let id = s.id();
    let source = "#[allow(long_running_const_eval)]\nconst LONG: u64 = { let mut i = 0u64; while i < 1 << 40 { i += 1; } i };\nLONG";
    let source = source.to_owned();
    s.evaluator.send(EvaluatorRequest::Evaluate { id, source });
    compiling(s.evaluator.pid().unwrap()).await;
    let began = Instant::now();
    s.evaluator.interrupt();
    let EvaluatorEvent::Answer { result, .. } = s.event().await else {
        panic!("no answer")
    };
    println!("interrupted in {:?}", began.elapsed());
    assert_eq!(result, Err(Failure::Interrupted { lost: Vec::new() }));
    // While rust-analyzer is at work, before any compiler is started.
    let id = s.id();
    let source = "let v = [1u8; 3]; v.len()".to_owned();
    s.evaluator.send(EvaluatorRequest::Evaluate { id, source });
    s.evaluator.interrupt();
    let EvaluatorEvent::Answer { result, .. } = s.event().await else {
        panic!("no answer")
    };
    assert_eq!(result, Err(Failure::Interrupted { lost: Vec::new() }));
    assert_eq!(s.shown(m, "kept").await, "=1");
}

#[tokio::test]
async fn engines_with_different_histories() {
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
    let again = s
        .compile("x + 1", &after, &state("1c"), Outcome::Completed)
        .await
        .unwrap();
    assert_eq!(first.run(again.cell.unwrap()).await.0, "=22");

    let died = Outcome::Died {
        status: "signal 9".into(),
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
