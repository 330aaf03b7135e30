//! Function calls, and the snapshots taken for them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod session;

use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::id::RunId;
use phalanx_protocol::output::Output;
use phalanx_protocol::runtime::Outcome;
use phalanx_runtime::RuntimeEvent;
use rustix::process::{Pid, Signal, kill_process};
use session::{Session, children_of, parent_of, stdout, until};
use std::collections::HashMap;

/// The process id of the current snapshot, once it differs from `before`.
async fn snapshot(session: &Session, before: Option<u32>) -> u32 {
    let pid = session.runtime.pid();
    let others = || -> Vec<u32> {
        let children = children_of(parent_of(pid)).into_iter();
        children.filter(|child| *child != pid).collect()
    };
    // For a moment the previous one exists too.
    until(|| matches!(others()[..], [only] if Some(only) != before)).await;
    others()[0]
}

fn abandoned(status: RuntimeExit) -> Outcome {
    Outcome::Abandoned { status }
}

#[tokio::test]
async fn arguments_and_values_of_any_size_arrive_complete() {
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
async fn a_call_that_kills_its_process_loses_only_the_call() {
    let mut session = Session::start().await;
    session.run("let cell = 1").await;
    session.call("let pushed = 2", Vec::new()).await;
    for (crash, status) in [
        ("abort", RuntimeExit::Signal(6)),
        ("fault", RuntimeExit::Signal(11)),
        ("exit 0", RuntimeExit::Status(0)),
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
async fn an_interrupt_stops_only_the_call() {
    let mut session = Session::start().await;
    session.call("let kept = 1", Vec::new()).await;
    let id = session.submit_call("write on\nspin", Vec::new());
    session.next().await;
    session.runtime.interrupt();
    let outcome = session.collect_call(id).await;
    assert_eq!(outcome, (None, abandoned(RuntimeExit::Signal(9))));
    assert_eq!(session.run("show kept").await.0, [stdout("1\n")]);
}

#[tokio::test]
async fn a_process_that_dies_while_reading_arguments_blocks_nothing() {
    let mut session = Session::start().await;
    let initial = snapshot(&session, None).await;
    session.run("let kept = 1").await;
    snapshot(&session, Some(initial)).await;
    let pid = Pid::from_raw(session.runtime.pid() as i32).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let id = session.submit_call("return-input", vec![7; 8 << 20]);
    kill_process(pid, Signal::KILL).unwrap();
    // It has ended, or has started in the snapshot.
    let (_, outcome) = session.collect_call(id).await;
    let ends = [abandoned(RuntimeExit::Signal(9)), Outcome::Completed];
    assert!(ends.contains(&outcome), "{outcome:?}");
    let (value, _) = session
        .call("show kept\nreturn-input", vec![8; 8 << 20])
        .await;
    assert!(value == Some(vec![8; 8 << 20]));
}

#[tokio::test]
async fn the_output_of_each_call_is_attributed_to_it() {
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

/// Collects the ends, values and texts of calls, in the order in which they ended.
async fn collect(session: &mut Session, count: usize) -> Vec<(u64, String)> {
    let mut printed = HashMap::<_, String>::new();
    let mut values = HashMap::new();
    let mut all = Vec::new();
    while all.len() < count {
        match session.next().await {
            RuntimeEvent::Output {
                run: Some(run),
                output: Output::Stream { name, text },
            } => {
                let name = name.as_str();
                printed
                    .entry(run)
                    .or_default()
                    .push_str(&format!("{name}: {text}"));
            }
            RuntimeEvent::Value { run, value } => {
                values.insert(run, String::from_utf8_lossy(value.frame()).into_owned());
            }
            RuntimeEvent::Ended { run, outcome } => {
                let printed = printed.remove(&run).unwrap_or_default();
                let value = values.remove(&run).unwrap_or_default();
                let outcome = match outcome {
                    Outcome::Completed => String::new(),
                    outcome => format!("{outcome:?}"),
                };
                all.push((run.0, printed + &value + &outcome));
            }
            RuntimeEvent::Recalled { run } => all.push((run.0, "recalled".to_owned())),
            other => panic!("unexpected {other:?}"),
        }
    }
    all
}

#[tokio::test]
async fn calls_that_are_sent_ahead_keep_their_output_and_their_order() {
    let mut session = Session::start().await;
    let mut expected = Vec::new();
    for round in 0..300 {
        let text = format!("{round}");
        let (script, printed) = match round % 4 {
            0 => ("print-input\nreturn 1", format!("stdout: {round}\n1")),
            1 => ("return 2", "2".to_owned()),
            2 => ("eprint oh\nreturn 3", "stderr: oh\n3".to_owned()),
            // Larger than a pipe's capacity.
            _ => ("lines 30000\nreturn 4", "4".to_owned()),
        };
        let run = session.submit_call(script, text.into_bytes());
        expected.push((run.0, printed));
    }
    let all = collect(&mut session, 300).await;
    for ((run, printed), (expected_run, expected)) in all.into_iter().zip(expected) {
        assert_eq!(run, expected_run);
        if expected == "4" {
            let lines = printed.replace("stdout: ", "");
            assert_eq!(
                lines.lines().count(),
                30_001,
                "{}",
                &printed[..200.min(printed.len())]
            );
            assert!(lines.ends_with("4"));
        } else {
            assert_eq!(printed, expected);
        }
    }
}

#[tokio::test]
async fn calls_sent_ahead_are_returned_after_a_crash() {
    let mut session = Session::start().await;
    for crash in ["abort", "fault", "exit 0"] {
        session.call("let kept = 1", Vec::new()).await;
        let first = session.submit_call("print a\nreturn 1", Vec::new());
        let crash = session.submit_call(&format!("print b\n{crash}"), Vec::new());
        let third = session.submit_call("print c\nreturn 3", Vec::new());
        let fourth = session.submit_call("let kept = spoilt", Vec::new());
        let all = collect(&mut session, 4).await;
        assert_eq!(all[0], (first.0, "stdout: a\n1".to_owned()));
        assert_eq!(all[1].0, crash.0);
        assert!(all[1].1.starts_with("stdout: b\nAbandoned"), "{all:?}");
        let back = |run: RunId| (run.0, "recalled".to_owned());
        assert_eq!(all[2..], [back(third), back(fourth)]);
        assert_eq!(session.run("show kept").await.0, [stdout("1\n")]);
    }
}

#[tokio::test]
async fn calls_that_have_not_begun_can_be_recalled() {
    let mut session = Session::start().await;
    // So that an interrupt only requests the cell to stop.
    session.runtime.set_snapshots(false);
    let first = session.submit_call("write on\nuntil-interrupted\nreturn 1", Vec::new());
    let second = session.submit_call("return 2", Vec::new());
    let third = session.submit_call("return 3", Vec::new());
    // It has started.
    session.next().await;
    session.runtime.recall();
    session.runtime.interrupt();
    let all = collect(&mut session, 3).await;
    assert!(all[0].0 == first.0 && all[0].1.ends_with('1'), "{all:?}");
    let back = |run: RunId| (run.0, "recalled".to_owned());
    assert_eq!(all[1..], [back(second), back(third)]);
    let fourth = session.submit_call("return 4", Vec::new());
    assert_eq!(collect(&mut session, 1).await, [(fourth.0, "4".to_owned())]);
}
