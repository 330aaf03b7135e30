//! Real runtime processes, running scripts instead of compiled cells.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod session;

use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::output::Output;
use phalanx_protocol::runtime::Outcome;
use phalanx_runtime::{Runtime, RuntimeConfig, RuntimeEvent, StartError, StdinSource};
use session::{PATIENCE, Session, stdout};
use std::path::PathBuf;
use tokio::time::timeout;

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
async fn a_display_keeps_its_position_within_text() {
    let mut session = Session::start().await;
    let (outputs, _) = session.run("print a\nhtml <b>\nprint c").await;
    assert_eq!(outputs[0], stdout("a\n"));
    assert!(matches!(&outputs[1], Output::Display(_)));
    assert_eq!(outputs[2], stdout("c\n"));
}

#[tokio::test]
async fn a_panic_loses_no_variable() {
    let mut session = Session::start().await;
    session.run("let kept = 1").await;
    let (_, outcome) = session.run("write half\npanic boom").await;
    assert!(matches!(outcome, Outcome::Panicked(panic) if panic.message == "boom"));
    assert_eq!(session.run("show kept").await.0, [stdout("1\n")]);
}

#[tokio::test]
async fn without_a_snapshot_the_end_of_the_process_is_reported_with_its_signal() {
    for (script, status) in [
        ("abort", RuntimeExit::Signal(6)),
        ("exit 3", RuntimeExit::Status(3)),
    ] {
        let mut session = Session::start().await;
        session.runtime.set_snapshots(false);
        let (outputs, outcome) = session.run(&format!("print last words\n{script}")).await;
        assert_eq!(outputs, [stdout("last words\n")]);
        assert_eq!(
            outcome,
            Outcome::Died {
                status: status.clone()
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
            status: RuntimeExit::Signal(9)
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
async fn much_text_arrives_complete_and_in_few_messages() {
    let mut session = Session::start().await;
    let script: String = (0..20_000).map(|line| format!("print {line}\n")).collect();
    let (outputs, _) = session.run(&script).await;
    let expected: String = (0..20_000).map(|line| format!("{line}\n")).collect();
    assert_eq!(outputs, [stdout(&expected)]);
}

#[tokio::test]
async fn a_missing_or_wrong_program_is_reported() {
    let missing = RuntimeConfig {
        program: "/no/such/program".into(),
        args: Vec::new(),
        env: Vec::new(),
        input: StdinSource::Nothing,
    };
    let error = Runtime::start(missing).await.expect_err("no such program");
    assert!(matches!(&error, StartError::Spawn { .. }), "{error}");
    assert!(error.to_string().contains("/no/such/program"));
    let wrong = RuntimeConfig {
        program: "false".into(),
        args: Vec::new(),
        env: Vec::new(),
        input: StdinSource::Nothing,
    };
    let error = Runtime::start(wrong).await.expect_err("not a runtime");
    assert!(error.to_string().contains("exit status 1"), "{error}");
}

#[tokio::test]
async fn text_printed_before_a_host_call_precedes_it() {
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
