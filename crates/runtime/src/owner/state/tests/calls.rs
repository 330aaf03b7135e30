//! Calls, several of which are sent ahead: the output, the value and the end of each.

use super::*;

#[test]
fn a_call_is_ended_by_its_value() {
    let mut owner = Owner::new();
    assert_eq!(owner.call(1), ["call 1"]);
    owner.starts();
    owner.returns(1, false);
    assert_eq!(owner.receives(), ["1 value v1", "1 Completed"]);
}

#[test]
fn a_value_may_arrive_after_its_announcement() {
    let mut owner = Owner::new();
    owner.call(1);
    owner.starts();
    owner.returns(1, false);
    let value = owner.process.sent.pop_back().expect("a value");
    assert_eq!(owner.receives(), NOTHING);
    owner.process.sent.push_back(value);
    assert_eq!(owner.receives(), ["1 value v1", "1 Completed"]);
}

#[test]
fn output_that_is_in_the_pipe_when_the_reply_arrives_precedes_the_end() {
    let mut owner = Owner::new();
    owner.call(1);
    owner.starts();
    owner.prints(Stdout, "a");
    owner.prints(Stderr, "b\n");
    owner.returns(1, false);
    assert_eq!(
        owner.receives(),
        ["1 value v1", "1 stdout: a", "1 stderr: b\n", "1 Completed"]
    );
}

#[test]
fn output_of_a_call_after_its_reply_is_that_of_the_next_call() {
    let mut owner = Owner::new();
    owner.call(1);
    owner.call(2);
    owner.starts();
    owner.prints(Stdout, "a");
    owner.returns(1, false);
    owner.starts();
    owner.prints(Stdout, "b");
    // The pipe is read before the reply, with the output of both.
    let read = owner.reads(Stdout);
    assert_eq!(read, ["1 value v1", "1 stdout: a", "1 Completed"]);
    assert_eq!(owner.waits(), ["2 stdout: b"], "text is sent in batches");
    owner.prints(Stdout, "c");
    owner.returns(2, false);
    let ended = owner.receives();
    assert_eq!(ended, ["2 value v2", "2 stdout: c", "2 Completed"]);
    // A thread of the second call writes on.
    owner.prints(Stdout, "d");
    let stray = owner.waits_for_text();
    assert_eq!(stray, ["- stdout: d"]);
}

#[test]
fn the_ends_of_several_calls_are_handled_at_once() {
    let mut owner = Owner::new();
    for run in 1..=3 {
        owner.call(run);
    }
    for run in 1..=3 {
        owner.starts();
        owner.prints(Stdout, &format!("{run}"));
        owner.returns(run, false);
    }
    assert_eq!(
        owner.receives(),
        [
            "1 value v1",
            "1 stdout: 1",
            "1 Completed",
            "2 value v2",
            "2 stdout: 2",
            "2 Completed",
            "3 value v3",
            "3 stdout: 3",
            "3 Completed",
        ]
    );
}

#[test]
fn text_of_a_child_process_that_is_counted_late_is_not_waited_for() {
    let mut owner = Owner::new();
    owner.call(1);
    owner.starts();
    owner.prints(Stdout, "a");
    owner.returns(1, false);
    // A child process has written before the pipe is read.
    owner.prints(Stdout, "child");
    owner.call(2);
    let read = owner.receives();
    assert_eq!(read, ["1 value v1", "1 stdout: a", "1 Completed"]);
    assert_eq!(owner.waits(), ["2 stdout: child"]);
}

#[test]
fn a_display_belongs_to_the_call_that_is_running_by_then() {
    let mut owner = Owner::new();
    owner.call(1);
    owner.call(2);
    owner.starts();
    owner.returns(1, false);
    let (reply, _answer) = HostReplier::new();
    // The second call shows an output before the reply to the first is read.
    let call = ReceivedCall {
        request: HostRequest::Output(Output::ClearOutput { wait: false }),
        raw: Vec::new(),
        reply,
    };
    let outputs = owner.handle(OwnerEvent::HostCall(call));
    assert_eq!(outputs, ["1 value v1", "1 Completed", "answer Place(1)"]);
    owner.prints(Stdout, "\x1b]phalanx;place;1\x07");
    owner.returns(2, false);
    assert_eq!(
        owner.receives(),
        ["2 value v2", "2 ClearOutput { wait: false }", "2 Completed"]
    );
}

#[test]
fn output_before_a_host_call_precedes_it() {
    let mut owner = Owner::new();
    owner.run(1);
    owner.starts();
    owner.prints(Stdout, "a");
    owner.prints(Stderr, "b");
    let (reply, _answer) = HostReplier::new();
    let call = ReceivedCall {
        request: CellRequest::ReadLine.into(),
        raw: Vec::new(),
        reply,
    };
    let called = owner.handle(OwnerEvent::HostCall(call));
    assert_eq!(
        called,
        ["1 stdout: a", "1 stderr: b", "1 calls Cell(ReadLine)"]
    );
}

#[test]
fn calls_that_have_not_started_are_recalled() {
    let mut owner = Owner::new();
    for run in 1..=3 {
        owner.call(run);
    }
    owner.starts();
    assert_eq!(owner.command(RuntimeCommand::Recall), NOTHING);
    let last = owner.process.words[crate::RECALL_WORD].load(Ordering::SeqCst);
    assert_eq!(last, 3);
    owner.returns(1, false);
    for run in [2, 3] {
        owner.sends(RuntimeReply::Recalled { run: RunId(run) });
    }
    assert_eq!(
        owner.receives(),
        ["1 value v1", "1 Completed", "2 recalled", "3 recalled"]
    );
    assert_eq!(owner.call(4), ["call 4"]);
}

#[test]
fn arguments_that_cannot_be_sent_end_their_call() {
    let mut owner = Owner::new();
    owner.call(1);
    let (run, message) = (RunId(1), "too long".to_owned());
    let refused = owner.handle(OwnerEvent::CallRefused { run, message });
    assert_eq!(refused, ["1 errored: the arguments: too long"]);
    assert_eq!(owner.call(2), ["call 2"]);
}

#[test]
fn a_call_needs_a_new_snapshot_only_if_it_has_changed_the_namespace() {
    let mut owner = Owner::protected();
    for (run, changed) in [(1, false), (2, true)] {
        owner.call(run);
        owner.starts();
        owner.returns(run, changed);
        owner.receives();
        assert_eq!(owner.state.snapshot.is_ready(), !changed);
    }
    assert_eq!(owner.handle(standby(2, Some(2))), ["release 101"]);
    assert!(owner.state.snapshot.is_ready());
}

impl Owner {
    /// Reads stdout, and waits until batched text is released.
    fn waits_for_text(&mut self) -> Vec<String> {
        let mut all = self.reads(Stdout);
        while all.is_empty() {
            all.extend(self.waits());
        }
        all
    }
}
