//! The exit of the process that runs cells, with and without a snapshot.

use super::*;
use phalanx_protocol::exit::RuntimeExit;

#[test]
fn a_snapshot_takes_over_from_a_process_that_has_crashed() {
    let mut owner = Owner::protected();
    let library = RuntimeCommand::Load("/std".into());
    assert_eq!(owner.command(library), ["load /std"]);
    owner.run(1);
    owner.starts();
    owner.prints(Stdout, "last ");
    assert_eq!(owner.reports(PID, ABORTED), ["settle 101, spare [7]"]);
    assert!(!owner.state.is_running(), "commands and host calls wait");
    assert!(!owner.state.reads(Stdout));
    // A process of the cell writes until it is ended.
    owner.prints(Stdout, "words");
    let settled = OwnerEvent::Supervisor(SupervisorReply::Settled);
    assert_eq!(owner.handle(settled), ["wake 101"]);
    assert!(
        !owner.state.receives_supervisor(),
        "the snapshot may exit too"
    );
    let woken = owner.handle(OwnerEvent::Woken(Ok(101)));
    assert_eq!(woken, [r#"adopt 101, load ["/std"]"#]);
    let ended = owner.handle(OwnerEvent::Adopted(Ok(())));
    assert_eq!(
        ended,
        ["1 stdout: last words", "1 abandoned: signal 6 (SIGABRT)"]
    );
    // The exit of the former process means nothing any more.
    assert_eq!(owner.reports(PID, KILLED), NOTHING);
    owner.run(2);
    owner.starts();
    assert_eq!(
        owner.interrupt(),
        NOTHING,
        "there is no further snapshot yet"
    );
}

#[test]
fn without_a_snapshot_the_runtime_ends() {
    let mut owner = Owner::protected();
    owner.run(1);
    owner.starts();
    owner.cannot_be_copied(None);
    // Its notice is given, and the snapshot is out of date.
    let read = owner.receives();
    assert_eq!(read, ["release 101"]);
    owner.prints(Stderr, "oh\n");
    let exited = owner.reports(PID, ABORTED);
    assert_eq!(exited, ["end processes"]);
    assert!(!owner.state.has_processes());
    let ended = owner.drains();
    assert!(
        ended[0].starts_with("1 stderr: phalanx: this cell runs without"),
        "{ended:?}"
    );
    let last = [
        "1 stderr: oh\n",
        "1 died: signal 6 (SIGABRT)",
        "exited: signal 6 (SIGABRT)",
    ];
    assert_eq!(ended[1..], last);
}

#[test]
fn a_late_snapshot_is_awaited() {
    let mut owner = Owner::protected();
    owner.run(1);
    owner.starts();
    owner.ends(1);
    owner.reads(Stdout);
    assert_eq!(owner.reads(Stderr), ["1 Completed"]);
    // The process is killed right after it has taken a snapshot, which has not connected yet.
    assert_eq!(owner.reports(PID, KILLED), NOTHING);
    assert_eq!(
        owner.state.deadline(),
        Some(owner.now + Duration::from_secs(5))
    );
    let late = owner.handle(standby(2, Some(1)));
    assert_eq!(late, ["release 101", "settle 102, spare [7]"]);
    assert_eq!(owner.fails_over(102), NOTHING, "nothing was running");
    assert_eq!(owner.run(2), ["reset stdin", "run 2"]);
}

#[test]
fn a_snapshot_that_does_not_arrive_is_given_up() {
    let mut owner = Owner::protected();
    owner.run(1);
    owner.starts();
    owner.ends(1);
    owner.reads(Stdout);
    owner.reads(Stderr);
    assert_eq!(owner.reports(PID, KILLED), NOTHING);
    // The one before the run lacks its effects.
    assert_eq!(owner.waits(), ["end processes"]);
    assert_eq!(owner.drains(), ["exited: signal 9 (SIGKILL)"]);
}

#[test]
fn a_snapshot_reported_as_missing_is_not_awaited() {
    for step in [
        (|owner| {
            owner.cannot_be_copied(Some(1));
            owner.receives()
        }) as fn(&mut Owner) -> Vec<String>,
        |owner| owner.handle(OwnerEvent::StandbysLost),
        |owner| {
            let status = RuntimeExit::Status(1);
            owner.handle(OwnerEvent::SupervisorExited { status })
        },
    ] {
        let mut owner = Owner::new();
        owner.run(1);
        owner.starts();
        owner.ends(1);
        owner.reads(Stdout);
        assert_eq!(owner.reads(Stderr), ["1 Completed"]);
        assert_eq!(owner.reports(PID, KILLED), NOTHING);
        assert_eq!(step(&mut owner), ["end processes"]);
        assert_eq!(owner.drains(), ["exited: signal 9 (SIGKILL)"]);
    }
}

#[test]
fn a_snapshot_that_does_not_take_over_is_given_up_at_each_step() {
    let lost = || OwnerEvent::Woken(Err(std::io::ErrorKind::UnexpectedEof.into()));
    let unsent = || OwnerEvent::Adopted(Err(std::io::ErrorKind::BrokenPipe.into()));
    let settled = || OwnerEvent::Supervisor(SupervisorReply::Settled);
    let cases: [(&str, Vec<OwnerEvent>); 6] = [
        ("no reply of the supervisor", vec![OwnerEvent::Tick]),
        ("no supervisor", vec![OwnerEvent::SupervisorLost]),
        (
            "no reply of the snapshot",
            vec![settled(), OwnerEvent::Tick],
        ),
        ("no snapshot", vec![settled(), lost()]),
        (
            "no loads",
            vec![settled(), OwnerEvent::Woken(Ok(101)), unsent()],
        ),
        (
            "no snapshot though it is late",
            vec![settled(), OwnerEvent::Tick, lost()],
        ),
    ];
    for (case, events) in cases {
        let mut owner = Owner::protected();
        owner.run(1);
        owner.starts();
        assert_eq!(owner.reports(PID, ABORTED), ["settle 101, spare [7]"]);
        let mut all = Vec::new();
        for event in events {
            owner.now = owner.state.deadline().unwrap_or(owner.now);
            all.extend(owner.handle(event));
        }
        let ends = all.iter().filter(|command| *command == "end processes");
        assert_eq!(ends.count(), 1, "{case}: {all:?}");
        let status = "signal 6 (SIGABRT)";
        let ended = [format!("1 died: {status}"), format!("exited: {status}")];
        assert_eq!(owner.drains(), ended, "{case}");
    }
}

#[test]
fn a_snapshot_that_is_killed_after_it_was_woken_is_a_process_that_has_exited() {
    let mut owner = Owner::protected();
    owner.run(1);
    owner.starts();
    owner.reports(PID, ABORTED);
    assert_eq!(owner.fails_over(101), ["1 abandoned: signal 6 (SIGABRT)"]);
    assert_eq!(owner.handle(standby(2, None)), NOTHING);
    assert_eq!(owner.reports(101, KILLED), ["settle 102, spare [7]"]);
    assert_eq!(owner.fails_over(102), NOTHING);
}

#[test]
fn threads_missing_in_a_snapshot_are_listed() {
    let mut owner = Owner::new();
    owner.handle(OwnerEvent::StandbyArrived(StandbySnapshot {
        pid: 101,
        number: 1,
        after: None,
        children: Vec::new(),
        threads: vec!["pool".to_owned()],
    }));
    owner.run(1);
    owner.starts();
    owner.reports(PID, ABORTED);
    let ended = owner.fails_over(101);
    assert!(ended[0].contains("`pool`"), "{ended:?}");
    assert_eq!(ended[1..], ["1 abandoned: signal 6 (SIGABRT)"]);
}

#[test]
fn a_runtime_that_is_killed_has_no_successor() {
    let mut owner = Owner::protected();
    owner.run(1);
    owner.starts();
    assert_eq!(owner.command(RuntimeCommand::Kill), ["kill 100"]);
    assert_eq!(owner.reports(PID, KILLED), ["end processes"]);
    let status = "signal 9 (SIGKILL)";
    assert_eq!(
        owner.drains(),
        [format!("1 died: {status}"), format!("exited: {status}")]
    );
}

#[test]
fn calls_queued_after_a_crash_are_returned() {
    let mut owner = Owner::protected();
    for run in 1..=4 {
        owner.call(run);
    }
    owner.starts();
    owner.prints(Stdout, "a");
    owner.returns(1, false);
    owner.prints(Stdout, "b");
    // Nothing of it has been read when the process crashes.
    let exited = owner.reports(PID, ABORTED);
    assert_eq!(
        exited,
        [
            "1 value v1",
            "1 stdout: a",
            "1 Completed",
            "settle 101, spare [7]"
        ]
    );
    let ended = owner.fails_over(101);
    assert_eq!(
        ended,
        [
            "2 stdout: b",
            "2 abandoned: signal 6 (SIGABRT)",
            "3 recalled",
            "4 recalled"
        ]
    );
    assert_eq!(owner.call(5), ["call 5"]);
    owner.starts();
    owner.returns(5, false);
    assert_eq!(owner.receives(), ["5 value v5", "5 Completed"]);
}

#[test]
fn queued_calls_are_returned_without_a_snapshot_too() {
    let mut owner = Owner::new();
    owner.cannot_be_copied(None);
    assert_eq!(owner.receives(), NOTHING);
    owner.call(1);
    owner.call(2);
    owner.starts();
    assert_eq!(owner.reports(PID, ABORTED), ["end processes"]);
    let status = "signal 6 (SIGABRT)";
    assert_eq!(
        owner.drains(),
        [
            format!("1 died: {status}"),
            "2 recalled".to_owned(),
            format!("exited: {status}")
        ]
    );
}

#[test]
fn a_pipe_that_a_child_process_holds_open_is_read_for_a_limited_time() {
    let mut owner = Owner::new();
    owner.run(1);
    owner.starts();
    owner.prints(Stderr, "from the cell\n");
    let status = RuntimeExit::Status(1);
    let gone = owner.handle(OwnerEvent::SupervisorExited { status });
    assert_eq!(gone, ["end processes"]);
    // A process that has left the group has both pipes.
    assert_eq!(owner.handle(OwnerEvent::ProcessesEnded), NOTHING);
    assert!(owner.state.reads(Stdout) && !owner.state.reads(Stderr));
    let began = owner.now;
    owner.prints(Stdout, "from the child");
    owner.now += Duration::from_millis(400);
    assert_eq!(owner.reads(Stdout), NOTHING, "reported at the end");
    assert_eq!(owner.waits(), NOTHING);
    assert_eq!(owner.now, began + Duration::from_millis(500));
    assert!(!owner.state.reads(Stdout) && owner.state.reads(Stderr));
    assert_eq!(owner.reads(Stderr), NOTHING);
    let ended = owner.waits();
    assert_eq!(owner.now, began + Duration::from_secs(1));
    assert_eq!(
        ended,
        [
            "1 stdout: from the child",
            "1 stderr: from the cell\n",
            "1 died: exit status 1",
            "exited: exit status 1"
        ]
    );
}

#[test]
fn an_end_that_was_not_reported_is_undone_by_a_failover() {
    let mut owner = Owner::protected();
    owner.run(1);
    owner.starts();
    owner.prints(Stdout, "a");
    // The process is killed between its markers and its reply, and before its next snapshot.
    owner.marks(1);
    assert_eq!(owner.reports(PID, KILLED), ["settle 101, spare [7]"]);
    let ended = owner.fails_over(101);
    assert_eq!(ended, ["1 stdout: a", "1 abandoned: signal 9 (SIGKILL)"]);
    assert_eq!(owner.handle(standby(2, None)), NOTHING);
    assert!(owner.state.snapshot.is_ready(), "nothing has changed");
}
