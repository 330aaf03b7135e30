//! The end of a cell: its reply on the control socket, its markers in the pipes, in any order.

use super::*;
use phalanx_protocol::host::CellRequest;

#[test]
fn an_end_that_is_reported_before_its_markers_are_read_waits_for_them() {
    let mut owner = Owner::new();
    assert_eq!(owner.run(1), ["reset stdin", "run 1"]);
    owner.starts();
    owner.prints(Stdout, "a");
    owner.ends(1);
    assert_eq!(owner.receives(), NOTHING);
    assert_eq!(owner.reads(Stdout), ["1 stdout: a"]);
    assert_eq!(owner.reads(Stderr), ["1 Completed"]);
    assert_eq!(owner.waits(), NOTHING, "the markers are awaited no longer");
}

#[test]
fn an_end_whose_markers_are_read_before_it_is_reported_is_reported_once() {
    let mut owner = Owner::new();
    owner.run(1);
    owner.starts();
    owner.prints(Stderr, "b\n");
    owner.ends(1);
    assert_eq!(owner.reads(Stderr), NOTHING);
    assert_eq!(owner.reads(Stdout), ["1 stderr: b\n", "1 Completed"]);
    assert!(
        owner.process.sent.is_empty(),
        "the reply was received by then"
    );
    let next = owner.run(2);
    assert_eq!(next, ["reset stdin", "run 2"]);
    assert_eq!(owner.waits(), NOTHING, "its deadline concerns run 1 only");
}

#[test]
fn an_end_without_markers_is_reported_after_a_while() {
    let mut owner = Owner::new();
    owner.run(1);
    owner.starts();
    owner.prints(Stdout, "a");
    // The cell has redirected both pipes.
    owner.sends(RuntimeReply::Ended { run: RunId(1) });
    assert_eq!(owner.receives(), NOTHING);
    assert_eq!(owner.reads(Stdout), ["1 stdout: a"]);
    let before = owner.now;
    assert_eq!(owner.waits(), ["1 Completed"]);
    assert_eq!(owner.now, before + Duration::from_millis(500));
}

#[test]
fn an_end_in_a_pipe_counts_if_the_other_one_has_ended() {
    let mut owner = Owner::new();
    owner.run(1);
    owner.starts();
    owner.process.closed[Stderr as usize] = true;
    assert_eq!(owner.reads(Stderr), NOTHING);
    assert!(!owner.state.reads(Stderr));
    owner.prints(Stdout, &end_marker(RunId(1)));
    assert_eq!(owner.reads(Stdout), ["1 Completed"]);
}

#[test]
fn an_end_that_was_reported_counts_though_its_process_has_exited_since() {
    let mut owner = Owner::protected();
    owner.run(1);
    owner.starts();
    owner.prints(Stdout, "a");
    owner.sends(RuntimeReply::Ended { run: RunId(1) });
    let exited = owner.reports(PID, ABORTED);
    assert_eq!(exited, ["1 stdout: a", "1 Completed"]);
    // The snapshot is older than that run, whose effects count: it must not take over.
    assert_eq!(
        owner.handle(standby(2, Some(1))),
        ["release 101", "settle 102, spare [7]"]
    );
}

#[test]
fn a_library_that_cannot_be_loaded_ends_its_run() {
    let mut owner = Owner::new();
    owner.run(1);
    let message = "no such symbol".to_owned();
    let run = Some(RunId(1));
    owner.sends(RuntimeReply::LoadFailed { run, message });
    assert_eq!(owner.receives(), ["1 errored: no such symbol"]);
}

#[test]
fn output_between_runs_belongs_to_none() {
    let mut owner = Owner::new();
    owner.prints(Stdout, "late");
    assert_eq!(owner.reads(Stdout), ["- stdout: late"]);
}

#[test]
fn a_missing_snapshot_is_reported_once_before_the_output_of_its_cell() {
    let mut owner = Owner::new();
    owner.run(1);
    owner.starts();
    owner.cannot_be_copied(None);
    owner.prints(Stdout, "a");
    // The pipe is read first.
    let read = owner.reads(Stdout);
    assert!(
        read[0].starts_with("1 stderr: phalanx: this cell runs without"),
        "{read:?}"
    );
    assert_eq!(read[1..], ["1 stdout: a"]);
    owner.ends(1);
    owner.reads(Stdout);
    assert_eq!(owner.reads(Stderr), ["1 Completed"]);
    owner.run(2);
    owner.starts();
    owner.cannot_be_copied(Some(1));
    assert_eq!(owner.receives(), NOTHING);
}

#[test]
fn a_malformed_message_ends_the_runtime() {
    let mut owner = Owner::protected();
    owner.run(1);
    let broken = OwnerEvent::ControlLost { is_malformed: true };
    assert_eq!(owner.handle(broken), ["kill 100"]);
    assert!(!owner.state.receives());
    assert_eq!(owner.reports(PID, KILLED), ["end processes"]);
}

#[test]
fn the_last_value_is_the_result_though_an_async_result_is_dropped_after_it() {
    let mut owner = Owner::new();
    let cell = CompiledCell {
        has_result: true,
        ..CompiledCell::default()
    };
    owner.command(RuntimeCommand::Run(RunId(1), cell));
    owner.starts();
    owner.prints(
        Stdout,
        "EVCXR_BEGIN_CONTENT text/plain\n5\nEVCXR_END_CONTENT\n",
    );
    let request = CellRequest::Released {
        results: Vec::new(),
    };
    let (reply, _answer) = HostReplier::new();
    let called = owner.handle(OwnerEvent::HostCall(ReceivedCall {
        request: request.into(),
        raw: Vec::new(),
        reply,
    }));
    assert_eq!(called, ["1 calls Cell(Released { results: [] })"]);
    owner.ends(1);
    assert_eq!(owner.reads(Stderr), NOTHING);
    let ended = owner.reads(Stdout);
    assert!(ended[0].starts_with("1 Result("), "{ended:?}");
    assert_eq!(ended[1..], ["1 Completed"]);
}
