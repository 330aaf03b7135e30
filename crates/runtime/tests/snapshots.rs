//! Cells that crash their process, and the snapshots that take over.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod session;

use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::output::{Output, StreamName};
use phalanx_protocol::runtime::Outcome;
use phalanx_runtime::RuntimeEvent;
use session::{Session, stdout};

use std::path::PathBuf;
use std::time::Instant;

fn abandoned(status: RuntimeExit) -> Outcome {
    Outcome::Abandoned { status }
}

#[tokio::test]
async fn a_cell_that_kills_its_process_loses_only_its_changes() {
    let mut session = Session::start().await;
    session.run("let kept = 1 2 3").await;
    for (crash, status) in [
        ("abort", RuntimeExit::Signal(6)),
        ("fault", RuntimeExit::Signal(11)),
        ("exit 3", RuntimeExit::Status(3)),
        ("exit 0", RuntimeExit::Status(0)),
        ("overflow", RuntimeExit::Signal(6)),
    ] {
        let script = format!("let kept = spoilt\nlet new = 1\nprint last words\n{crash}");
        let (outputs, outcome) = session.run(&script).await;
        assert_eq!(outcome, abandoned(status), "{crash}");
        assert_eq!(outputs[0], stdout("last words\n"), "{crash}");
        let (outputs, outcome) = session.run("show kept").await;
        assert_eq!(
            (outputs, outcome),
            (vec![stdout("1 2 3\n")], Outcome::Completed)
        );
        let (_, outcome) = session.run("show new").await;
        assert!(matches!(outcome, Outcome::Panicked(_)), "{crash}");
    }
}

#[tokio::test]
async fn an_interrupt_stops_a_busy_cell_and_is_ignored_without_one() {
    let mut session = Session::start().await;
    session.run("let kept = 1").await;
    session.runtime.interrupt();
    for busy in ["spin", "sleep 1000", "wait sleep 1000"] {
        let id = session.submit(&format!("write on\n{busy}"));
        assert!(matches!(session.next().await, RuntimeEvent::Output { .. }));
        let began = Instant::now();
        session.runtime.interrupt();
        let (_, outcome) = session.collect(id).await;
        println!("{busy}: interrupted in {:?}", began.elapsed());
        assert_eq!(outcome, abandoned(RuntimeExit::Signal(9)), "{busy}");
        assert_eq!(session.run("show kept").await.0, [stdout("1\n")], "{busy}");
    }
}

#[tokio::test]
async fn a_process_killed_while_idle_loses_nothing() {
    let mut session = Session::start().await;
    for round in 0..3 {
        session.run(&format!("let kept = {round}")).await;
        let pid = session.runtime.pid();
        // Its snapshot is the first one taken after the cell.
        let supervisor = session::parent_of(pid);
        let before = session::children_of(supervisor);
        session::until(|| {
            let now = session::children_of(supervisor);
            now.iter().any(|child| !before.contains(child))
        })
        .await;
        session::kill(pid);
        session::until(|| session.runtime.pid() != pid).await;
        let (outputs, _) = session.run("show kept\npid").await;
        let pid = session.runtime.pid();
        assert_eq!(outputs, [stdout(&format!("{round}\n{pid}\n"))]);
    }
}

#[tokio::test]
async fn an_incomplete_message_of_a_dead_process_is_dropped() {
    let mut session = Session::start().await;
    let half = "write before \x1b]phalanx;pla\nabort";
    let (outputs, outcome) = session.run(half).await;
    assert_eq!(outcome, abandoned(RuntimeExit::Signal(6)));
    assert!(
        matches!(&outputs[0], Output::Stream { text, .. } if text.starts_with("before ")),
        "{outputs:?}"
    );
    let (outputs, _) = session.run("print a\nhtml <b>\nresult 1").await;
    assert_eq!(outputs.len(), 3, "{outputs:?}");
    let half = "write EVCXR_BEGIN_CONTENT text/plain\nabort";
    assert_eq!(session.run(half).await.1, abandoned(RuntimeExit::Signal(6)));
    assert_eq!(session.run("print b").await.0, [stdout("b\n")]);
}

#[tokio::test]
async fn snapshots_keep_no_closed_file_open() {
    let mut session = Session::start().await;
    session.run("open line").await;
    let (outputs, outcome) = session.run("close line").await;
    assert_eq!(
        (outputs, outcome),
        (vec![stdout("closed \n")], Outcome::Completed)
    );
}

#[tokio::test]
async fn files_closed_by_an_abandoned_cell_return_errors() {
    let mut session = Session::start().await;
    session.run("open line\nopen other").await;
    // The opened files get the descriptors of the closed ones.
    let (_, outcome) = session.run("close line\nopen third\nabort").await;
    assert_eq!(outcome, abandoned(RuntimeExit::Signal(6)));
    // The snapshot's `line` is closed; `other` is unchanged.
    assert!(matches!(
        session.run("close line").await.1,
        Outcome::Errored { .. }
    ));
    assert_eq!(session.run("close other").await.0, [stdout("closed \n")]);
}

#[tokio::test]
async fn child_processes_of_cells_can_be_awaited() {
    let mut session = Session::start().await;
    for _ in 0..2 {
        let (outputs, outcome) = session.run("wait echo out").await;
        assert_eq!(
            (outputs, outcome),
            (vec![stdout("out\n")], Outcome::Completed)
        );
        session.run("abort").await;
    }
}

#[tokio::test]
async fn child_processes_of_an_abandoned_cell_end_with_it() {
    let mut session = Session::start().await;
    // In a session of its own, so that no signal to a process group reaches it.
    let start = |path: PathBuf| {
        let path = path.display();
        format!("start exec setsid sh -c 'echo $$ > {path}; exec sleep 1000'")
    };
    session.run(&start(session.file("earlier"))).await;
    let earlier = session.pid_in("earlier").await;
    let id = session.submit(&format!("{}\nspin", start(session.file("later"))));
    let later = session.pid_in("later").await;
    session.runtime.interrupt();
    session.collect(id).await;
    assert!(session::lives(earlier));
    assert!(!session::lives(later));
    drop(session.runtime);
    while session.events.recv().await.is_some() {}
    session::until(|| !session::lives(earlier)).await;
}

#[tokio::test]
async fn a_cell_that_polls_for_interrupts_is_given_time_to_stop() {
    let mut session = Session::start().await;
    let script = format!(
        "let partial = 1\nuntil-interrupted {}",
        session.file("looks").display()
    );
    let id = session.submit(&script);
    let looks = session.file("looks");
    session::until(|| looks.exists()).await;
    session.runtime.interrupt();
    assert_eq!(session.collect(id).await.1, Outcome::Completed);
    assert_eq!(session.run("show partial").await.0, [stdout("1\n")]);
}

#[tokio::test]
async fn idle_threads_lost_in_a_failover_are_reported() {
    let mut session = Session::start().await;
    session.run("let kept = 1\nrest pool-0\nrest pool-1").await;
    assert_eq!(session.run("show kept").await.0, [stdout("1\n")]);
    let (outputs, outcome) = session.run("abort").await;
    assert_eq!(outcome, abandoned(RuntimeExit::Signal(6)));
    assert!(shows(&outputs, "`pool-0`, `pool-1`"), "{outputs:?}");
    assert_eq!(session.run("show kept").await.0, [stdout("1\n")]);
    let (outputs, _) = session.run("abort").await;
    assert!(!shows(&outputs, "pool"), "{outputs:?}");
}

#[tokio::test]
async fn with_busy_threads_a_notice_about_the_missing_snapshot_is_shown_once() {
    let mut session = Session::start().await;
    session.run("let kept = 1\nwork pool-0").await;
    let (outputs, _) = session.run("show kept").await;
    assert!(
        shows(&outputs, "without a snapshot") && shows(&outputs, "`pool-0`"),
        "{outputs:?}"
    );
    assert_eq!(session.run("show kept").await.0, [stdout("1\n")]);
    let id = session.submit("write on\nspin");
    assert!(matches!(session.next().await, RuntimeEvent::Output { .. }));
    session.runtime.interrupt();
    session.runtime.interrupt();
    let status = RuntimeExit::Signal(9);
    assert_eq!(session.collect(id).await.1, Outcome::Died { status });
}

#[tokio::test]
async fn when_any_of_its_processes_is_killed_all_end() {
    for victim in ["owner", "supervisor"] {
        let mut session = Session::start().await;
        let path = session.file("child");
        let script = format!("start echo $$ > {}; exec sleep 1000", path.display());
        session.run(&script).await;
        let child = session.pid_in("child").await;
        let runner = session.runtime.pid();
        let supervisor = session::parent_of(runner);
        // Runner and snapshot; for a moment also the previous snapshot.
        let mut all = session::children_of(supervisor);
        assert!(all.len() >= 2 && all.contains(&runner));
        all.extend([supervisor, child]);
        session.submit("write on\nspin");
        assert!(matches!(session.next().await, RuntimeEvent::Output { .. }));
        match victim {
            "owner" => drop(session.runtime),
            _ => session::kill(supervisor),
        }
        while session.events.recv().await.is_some() {}
        session::until(|| all.iter().all(|pid| !session::lives(*pid))).await;
    }
}

#[tokio::test]
async fn much_output_before_a_crash_arrives_complete() {
    let mut session = Session::start().await;
    let lines: String = (0..20_000).map(|line| format!("print {line}\n")).collect();
    let (outputs, outcome) = session.run(&format!("{lines}abort")).await;
    assert_eq!(outcome, abandoned(RuntimeExit::Signal(6)));
    let expected: String = (0..20_000).map(|line| format!("{line}\n")).collect();
    assert_eq!(outputs, [stdout(&expected)]);
}

fn shows(outputs: &[Output], what: &str) -> bool {
    outputs.iter().any(|output| {
        matches!(output, Output::Stream { name: StreamName::Stderr, text } if text.contains(what))
    })
}

#[tokio::test]
async fn an_interrupt_at_the_end_of_a_cell_loses_nothing() {
    let mut session = Session::start().await;
    session.run("let kept = 1").await;
    for round in 0..300 {
        let id = session.submit(&format!("let round = {round}"));
        // From before its start until after its end.
        for _ in 0..round % 40 {
            tokio::task::yield_now().await;
        }
        session.runtime.interrupt();
        let (_, outcome) = session.collect(id).await;
        let kept = matches!(outcome, Outcome::Completed | Outcome::Abandoned { .. });
        assert!(kept, "round {round}: {outcome:?}");
    }
    assert_eq!(session.run("show kept").await.0, [stdout("1\n")]);
}
