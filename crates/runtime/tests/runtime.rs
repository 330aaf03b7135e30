//! Real runtime processes, running scripts instead of compiled cells.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use phalanx_protocol::evaluator::CompiledCell;
use phalanx_protocol::id::RunId;
use phalanx_protocol::output::{Output, StreamName};
use phalanx_protocol::runtime::Outcome;
use phalanx_runtime::{Input, Runtime, RuntimeConfig, RuntimeEvent, StartError};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// No test waits longer for one event.
const PATIENCE: Duration = Duration::from_secs(20);

struct Session {
    runtime: Runtime,
    events: mpsc::Receiver<RuntimeEvent>,
    folder: TempDir,
    runs: u64,
}

fn program() -> RuntimeConfig {
    RuntimeConfig {
        program: PathBuf::from(env!("CARGO_BIN_EXE_phalanx-echo-runtime")),
        args: Vec::new(),
        env: Vec::new(),
        input: Input::Nothing,
    }
}

impl Session {
    async fn start() -> Self {
        let (runtime, events) = Runtime::start(program()).await.expect("a runtime");
        Self {
            runtime,
            events,
            folder: TempDir::new().expect("a folder"),
            runs: 0,
        }
    }

    fn submit(&mut self, script: &str) -> RunId {
        self.runs += 1;
        let artifact = self.folder.path().join(format!("cell{}", self.runs));
        std::fs::write(&artifact, format!("#!echo\n{script}")).expect("a script");
        let cell = CompiledCell {
            dropped: Vec::new(),
            artifact,
            entry: "run".into(),
            has_result: script.contains("result"),
            ..CompiledCell::default()
        };
        self.runtime.run(RunId(self.runs), cell);
        RunId(self.runs)
    }

    async fn next(&mut self) -> RuntimeEvent {
        timeout(PATIENCE, self.events.recv())
            .await
            .expect("an event in time")
            .expect("an event")
    }

    /// Runs a script; its output in the order of arrival, streams merged, and its outcome.
    async fn run(&mut self, script: &str) -> (Vec<Output>, Outcome) {
        let id = self.submit(script);
        self.collect(id).await
    }

    async fn collect(&mut self, id: RunId) -> (Vec<Output>, Outcome) {
        let mut outputs = Vec::<Output>::new();
        loop {
            match self.next().await {
                RuntimeEvent::Output { run, output } => {
                    assert_eq!(run, Some(id));
                    match (outputs.last_mut(), output) {
                        (
                            Some(Output::Stream { name: last, text }),
                            Output::Stream { name, text: more },
                        ) if *last == name => text.push_str(&more),
                        (_, output) => outputs.push(output),
                    }
                }
                RuntimeEvent::Ended { run, outcome } => {
                    assert_eq!(run, id);
                    return (outputs, outcome);
                }
                other => panic!("unexpected {other:?}"),
            }
        }
    }
}

fn stdout(text: &str) -> Output {
    Output::Stream {
        name: StreamName::Stdout,
        text: text.into(),
    }
}

#[tokio::test]
async fn cells_share_variables_and_their_output_is_complete() {
    let mut session = Session::start().await;
    let (outputs, outcome) = session.run("let größe = 3 €\nprint a\nwrite b").await;
    assert_eq!(
        (outputs, outcome),
        (vec![stdout("a\nb")], Outcome::Completed)
    );
    let (outputs, _) = session.run("show größe\nresult 42").await;
    assert_eq!(outputs.len(), 2);
    assert_eq!(outputs[0], stdout("3 €\n"));
    assert!(matches!(&outputs[1], Output::Result(data) if data.text() == Some("42")));
}

#[tokio::test]
async fn a_display_stands_between_the_text_around_it() {
    let mut session = Session::start().await;
    let (outputs, _) = session.run("print a\nhtml <b>\nprint c").await;
    assert_eq!(outputs[0], stdout("a\n"));
    assert!(matches!(&outputs[1], Output::Display(_)));
    assert_eq!(outputs[2], stdout("c\n"));
}

#[tokio::test]
async fn a_panic_costs_nothing_but_the_cell() {
    let mut session = Session::start().await;
    session.run("let kept = 1").await;
    let (_, outcome) = session.run("write half\npanic boom").await;
    assert!(matches!(outcome, Outcome::Panicked(panic) if panic.message == "boom"));
    assert_eq!(session.run("show kept").await.0, [stdout("1\n")]);
}

#[tokio::test]
async fn the_end_of_the_process_is_told_with_its_signal() {
    for (script, status) in [("abort", "signal 6 (SIGABRT)"), ("exit 3", "exit status 3")] {
        let mut session = Session::start().await;
        let (outputs, outcome) = session.run(&format!("print last words\n{script}")).await;
        assert_eq!(outputs, [stdout("last words\n")]);
        assert_eq!(
            outcome,
            Outcome::Died {
                status: status.into()
            }
        );
        assert!(matches!(session.next().await, RuntimeEvent::Exited { status: s } if s == status));
    }
}

#[tokio::test]
async fn a_busy_cell_can_be_killed() {
    let mut session = Session::start().await;
    let id = session.submit("write on\nsleep 1000");
    assert!(matches!(session.next().await, RuntimeEvent::Output { .. }));
    session.runtime.kill();
    let (_, outcome) = session.collect(id).await;
    assert_eq!(
        outcome,
        Outcome::Died {
            status: "signal 9 (SIGKILL)".into()
        }
    );
}

#[tokio::test]
async fn dropping_the_handle_ends_the_process() {
    let mut session = Session::start().await;
    session.submit("write on\nsleep 1000");
    session.next().await;
    let pid = session.runtime.pid();
    drop(session.runtime);
    let gone = async {
        while session.events.recv().await.is_some() {}
        while PathBuf::from(format!("/proc/{pid}")).exists() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.expect("the process ends");
}

#[tokio::test]
async fn much_text_arrives_whole_and_in_few_messages() {
    let mut session = Session::start().await;
    let script: String = (0..20_000).map(|line| format!("print {line}\n")).collect();
    let (outputs, _) = session.run(&script).await;
    let expected: String = (0..20_000).map(|line| format!("{line}\n")).collect();
    assert_eq!(outputs, [stdout(&expected)]);
}

#[tokio::test]
async fn a_program_that_is_not_there_or_no_runtime_is_named() {
    let missing = RuntimeConfig {
        program: "/no/such/program".into(),
        args: Vec::new(),
        env: Vec::new(),
        input: Input::Nothing,
    };
    let error = Runtime::start(missing).await.expect_err("no such program");
    assert!(matches!(&error, StartError::Spawn { .. }), "{error}");
    assert!(error.to_string().contains("/no/such/program"));
    let wrong = RuntimeConfig {
        program: "false".into(),
        args: Vec::new(),
        env: Vec::new(),
        input: Input::Nothing,
    };
    let error = Runtime::start(wrong).await.expect_err("not a runtime");
    assert!(error.to_string().contains("exit status 1"), "{error}");
}

#[tokio::test]
async fn what_was_printed_before_a_host_call_comes_before_it() {
    let mut session = Session::start().await;
    let id = session.submit("print before\neprint also\nmagic %cluster status\nprint after");
    let mut before = String::new();
    let call = loop {
        match session.next().await {
            RuntimeEvent::Output {
                output: Output::Stream { text, .. },
                ..
            } => before += &text,
            RuntimeEvent::HostCall(call) => break call,
            other => panic!("unexpected {other:?}"),
        }
    };
    assert!(
        before.contains("before\n") && before.contains("also\n"),
        "{before:?}"
    );
    assert_eq!(call.run, Some(id));
    call.reply.send(phalanx_protocol::host::HostReply::Done);
    assert_eq!(
        session.collect(id).await,
        (vec![stdout("after\n")], Outcome::Completed)
    );
}
