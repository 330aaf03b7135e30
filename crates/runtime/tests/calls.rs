//! Functions that are called, and the snapshots behind them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod session;

use phalanx_protocol::output::Output;
use phalanx_protocol::runtime::Outcome;
use phalanx_runtime::RuntimeEvent;
use rustix::process::{Pid, Signal, kill_process};
use session::{Session, children_of, parent_of, stdout, until};

/// The process that sleeps behind the one that runs, once it is another than `before`.
async fn snapshot(session: &Session, before: Option<u32>) -> u32 {
    let pid = session.runtime.pid();
    let others = || -> Vec<u32> {
        let children = children_of(parent_of(pid)).into_iter();
        children.filter(|child| *child != pid).collect()
    };
    // For a moment the one before is there too.
    until(|| matches!(others()[..], [only] if Some(only) != before)).await;
    others()[0]
}

fn abandoned(status: &str) -> Outcome {
    Outcome::Abandoned {
        status: status.into(),
    }
}

#[tokio::test]
async fn arguments_and_values_of_any_size_come_whole() {
    let mut session = Session::start().await;
    for size in [0, 1, 1 << 16, 5 << 20] {
        let args: Vec<u8> = (0..size).map(|byte| byte as u8).collect();
        let (value, outcome) = session
            .call("print on the way\nreturn-input", args.clone())
            .await;
        assert!(value == Some(args), "{size} bytes");
        assert_eq!(outcome, Outcome::Completed);
    }
}

#[tokio::test]
async fn a_call_that_changes_nothing_needs_no_new_snapshot() {
    let mut session = Session::start().await;
    let initial = snapshot(&session, None).await;
    session.run("let kept = 1").await;
    let first = snapshot(&session, Some(initial)).await;
    for _ in 0..5 {
        session.call("return 7", Vec::new()).await;
    }
    session.call("panic oh", Vec::new()).await;
    assert_eq!(snapshot(&session, None).await, first);
    session.call("let kept = 2", Vec::new()).await;
    snapshot(&session, Some(first)).await;
}

#[tokio::test]
async fn a_call_that_brings_its_process_down_costs_nothing_but_the_call() {
    let mut session = Session::start().await;
    session.run("let cell = 1").await;
    session.call("let pushed = 2", Vec::new()).await;
    for (crash, status) in [
        ("abort", "signal 6 (SIGABRT)"),
        ("fault", "signal 11 (SIGSEGV)"),
        ("exit 0", "exit status 0"),
    ] {
        session.call("return pure", Vec::new()).await;
        let script = format!("let pushed = spoilt\nlet new = 3\n{crash}");
        let (value, outcome) = session.call(&script, vec![0; 1 << 20]).await;
        assert_eq!((value, outcome), (None, abandoned(status)));
        let (outputs, outcome) = session.run("show cell\nshow pushed").await;
        assert_eq!(outputs, [stdout("1\n2\n")]);
        assert_eq!(outcome, Outcome::Completed);
        let (_, outcome) = session.run("show new").await;
        assert!(matches!(outcome, Outcome::Panicked(_)), "{crash}");
    }
}

#[tokio::test]
async fn an_interrupt_stops_a_call_and_costs_nothing_else() {
    let mut session = Session::start().await;
    session.call("let kept = 1", Vec::new()).await;
    let id = session.submit_call("write on\nspin", Vec::new());
    session.next().await;
    session.runtime.interrupt();
    let outcome = session.collect_call(id).await;
    assert_eq!(outcome, (None, abandoned("signal 9 (SIGKILL)")));
    assert_eq!(session.run("show kept").await.0, [stdout("1\n")]);
}

#[tokio::test]
async fn a_process_that_dies_with_half_of_its_arguments_unread_holds_nothing_up() {
    let mut session = Session::start().await;
    let initial = snapshot(&session, None).await;
    session.run("let kept = 1").await;
    snapshot(&session, Some(initial)).await;
    let pid = Pid::from_raw(session.runtime.pid() as i32).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let id = session.submit_call("return-input", vec![7; 8 << 20]);
    kill_process(pid, Signal::KILL).unwrap();
    // It is over, or has begun in the snapshot.
    let (_, outcome) = session.collect_call(id).await;
    let ends = [abandoned("signal 9 (SIGKILL)"), Outcome::Completed];
    assert!(ends.contains(&outcome), "{outcome:?}");
    let (value, _) = session
        .call("show kept\nreturn-input", vec![8; 8 << 20])
        .await;
    assert!(value == Some(vec![8; 8 << 20]));
}

#[tokio::test]
async fn what_each_of_many_calls_prints_is_its_own() {
    let mut session = Session::start().await;
    for round in 0..200 {
        let script = "print-input\nreturn 1";
        let id = session.submit_call(script, format!("{round}").into_bytes());
        let mut printed = String::new();
        loop {
            match session.next().await {
                RuntimeEvent::Output {
                    run,
                    output: Output::Stream { text, .. },
                } if run == Some(id) => printed.push_str(&text),
                RuntimeEvent::Value { run, .. } if run == id => {}
                RuntimeEvent::Ended { run, .. } if run == id => break,
                other => panic!("unexpected {other:?}"),
            }
        }
        assert_eq!(printed, format!("{round}\n"));
    }
}
