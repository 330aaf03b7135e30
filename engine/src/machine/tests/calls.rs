//! Calls of functions: single, batched, prefetched.

use super::*;
use bytes::Bytes;
use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::parallel::Call;

#[test]
fn arguments_sent_with_a_call_are_announced_before_it_runs() {
    let mut engine = Engine::new();
    let mut request = call();
    if let EngineRequest::Apply(Ok(call)) = &mut request {
        Arc::make_mut(&mut call.metadata).buffers = vec![1];
    }
    engine.asked("a", request);
    engine.runs += 1;
    let described = engine.prepared(Ok(vec!["std".into(), "cell".into()]));
    assert_eq!(described[0], "a kept", "{described:?}");
}

pub(super) fn call() -> EngineRequest {
    EngineRequest::Apply(Ok(Call {
        metadata: Arc::new(CallMetadata {
            abi: "rustc 1".to_owned(),
            host: "here".to_owned(),
            offset: Some(16),
            artifacts: vec![ArtifactHash::new("std"), ArtifactHash::new("cell")],
            paths: Vec::new(),
            buffers: Vec::new(),
            quiet: false,
            keep: false,
            pushes: Vec::new(),
        }),
        artifacts: Vec::new(),
        args: Payload::Inline("args".into()),
    }))
}

impl Engine {
    pub(super) fn gave(&mut self, value: &[u8]) {
        let run = RunId(self.runs);
        let value = Payload::Inline(Bytes::copy_from_slice(value));
        assert_eq!(
            self.handle(EngineEvent::RuntimeValue { run, value }),
            [""; 0]
        );
    }

    fn calls(&mut self, id: &str) -> Vec<String> {
        self.asked(id, call());
        self.runs += 1;
        self.prepared(Ok(vec!["/std".into(), "/cell".into()]))
    }
}

#[test]
fn functions_are_called_in_turn_with_cells_and_change_no_state() {
    let mut engine = Engine::up();
    engine.begins("a", "empty", "1");
    assert_eq!(engine.asked("b", call()), [""; 0]);
    let described = engine.ended(Outcome::Completed);
    assert_eq!(
        described,
        ["a execute_reply ok", "a idle", "b busy", "prepare"]
    );
    engine.runs += 1;
    let described = engine.prepared(Ok(vec!["/std".into(), "/cell".into()]));
    assert_eq!(described, ["call 16"]);
    engine.gave(b"P1");
    let described = engine.ended(Outcome::Completed);
    assert_eq!(described, ["b apply_reply ok", "b idle"]);
    assert_eq!(engine.state(), "1");
}

#[test]
fn calls_that_fail_say_how() {
    let mut engine = Engine::up();
    engine.calls("a");
    engine.gave(br#"X{"ename": "DeserializeError", "evalue": "argument 1"}"#);
    let described = engine.ended(Outcome::Completed);
    let expected = ["a error DeserializeError", "a apply_reply error", "a idle"];
    assert_eq!(described, expected);
    engine.calls("b");
    engine.gave(b"");
    let panic = Panic {
        message: "boom".to_owned(),
        location: None,
    };
    let described = engine.ended(Outcome::Panicked(panic));
    assert_eq!(
        described,
        ["b error Panic", "b apply_reply error", "b idle"]
    );
    engine.begins("c", "empty", "1");
    engine.ended(Outcome::Completed);
    engine.calls("d");
    let status = RuntimeExit::Signal(11);
    let described = engine.ended(Outcome::Died { status });
    assert_eq!(described[0], "d error RuntimeDied");
    assert_eq!(engine.state(), "empty");
    let described = engine.calls("e");
    assert_eq!(described, [""; 0]);
}

/// Returns the calls of one message.
fn batch(ids: &[&str]) -> EngineEvent {
    let alike = request("", call());
    let one = |id: &&str| IncomingRequest {
        header: Header {
            msg_id: (*id).to_owned(),
            ..alike.header.clone()
        },
        batched: true,
        ..alike.clone()
    };
    EngineEvent::Batch(ids.iter().map(one).collect())
}

#[test]
fn small_calls_of_one_message_have_one_reply() {
    let mut engine = Engine::up();
    assert_eq!(engine.handle(batch(&["a", "b", "c"])), ["prepare"]);
    engine.runs = 1;
    let began = engine.prepared(Ok(vec!["/std".into(), "/cell".into()]));
    assert_eq!(began, ["load /std", "call 16"]);
    let sent = engine.returns();
    assert_eq!(sent, ["call 16", "call 16"], "a waits, c is sent ahead");
    assert!(engine.machine.holds_replies());
    engine.runs = 2;
    // `idle` is published only for a call that has output.
    let stream = Output::Stream {
        name: StreamName::Stdout,
        text: "x".to_owned(),
    };
    let run = Some(RunId(2));
    let output = EngineEvent::RuntimeOutput {
        run,
        output: stream,
    };
    assert_eq!(engine.handle(output), ["b output"]);
    assert_eq!(engine.returns(), ["b idle"]);
    engine.runs = 3;
    assert_eq!(
        engine.handle(EngineEvent::Flush),
        ["a apply_reply ok of a,b output"]
    );
    assert_eq!(
        engine.returns(),
        ["c apply_reply ok of c"],
        "nothing follows"
    );
    assert!(!engine.machine.holds_replies());
}

#[test]
fn a_call_that_fails_among_others_has_a_reply_of_its_own() {
    let mut engine = Engine::up();
    engine.handle(batch(&["a", "b", "c", "d"]));
    engine.runs = 1;
    engine.prepared(Ok(vec!["/std".into(), "/cell".into()]));
    engine.returns();
    engine.runs = 2;
    let panic = Outcome::Panicked(Panic {
        message: "boom".to_owned(),
        location: None,
    });
    assert_eq!(
        engine.ended(panic),
        ["b error Panic", "b apply_reply error", "b idle"]
    );
    engine.runs = 3;
    let described = engine.asked("x", EngineRequest::Abort(vec![MsgId::new("d")]));
    assert_eq!(
        described,
        ["x busy", "recall", "x abort_reply ok", "x idle"]
    );
    assert_eq!(engine.returns(), [""; 0]);
    let run = RunId(4);
    let described = engine.handle(EngineEvent::RuntimeRecalled { run });
    assert_eq!(described, ["d busy", "d apply_reply aborted", "d idle"]);
    assert_eq!(
        engine.handle(EngineEvent::Flush),
        ["a apply_reply ok of a,c"]
    );
}

#[test]
fn calls_the_runtime_gives_back_are_sent_again_in_their_order() {
    let mut engine = Engine::up();
    engine.handle(batch(&["a", "b", "c", "d", "e"]));
    engine.runs = 1;
    engine.prepared(Ok(vec!["/std".into(), "/cell".into()]));
    assert_eq!(engine.returns().len(), 4);
    engine.runs = 2;
    // The process has ended, and another one has taken over.
    let status = RuntimeExit::Signal(9);
    let described = engine.ended(Outcome::Abandoned { status });
    assert_eq!(described[0], "b error RuntimeDied");
    for run in [3, 4] {
        let run = RunId(run);
        assert_eq!(engine.handle(EngineEvent::RuntimeRecalled { run }), [""; 0]);
    }
    let run = RunId(5);
    let described = engine.handle(EngineEvent::RuntimeRecalled { run });
    assert_eq!(described, ["call 16"], "c alone, since b was not quick");
    engine.runs = 6;
    assert_eq!(engine.returns(), ["call 16", "call 16"]);
    // The calls of this process are lost, and an aborted one does not run in the next.
    engine.runs = 7;
    let described = engine.asked("x", EngineRequest::Abort(vec![MsgId::new("e")]));
    assert_eq!(
        described,
        ["x busy", "recall", "x abort_reply ok", "x idle"]
    );
    let status = RuntimeExit::Signal(9);
    let described = engine.ended(Outcome::Died { status });
    assert_eq!(described[..2], ["e busy", "e apply_reply aborted"]);
    assert_eq!(described[3], "d error RuntimeDied");
    let status = RuntimeExit::Signal(9);
    let described = engine.handle(EngineEvent::RuntimeExited { status });
    assert_eq!(described, ["start runtime"]);
    assert_eq!(engine.handle(EngineEvent::RuntimeStarted), [""; 0]);
    assert_eq!(
        engine.handle(EngineEvent::Flush),
        ["a apply_reply ok of a,c"]
    );
}

#[test]
fn artifacts_may_come_without_a_call() {
    let mut engine = Engine::new();
    let mut request = call();
    if let EngineRequest::Apply(Ok(call)) = &mut request {
        Arc::make_mut(&mut call.metadata).offset = None;
    }
    engine.asked("a", request);
    engine.runs += 1;
    let described = engine.prepared(Ok(vec!["/std".into(), "/cell".into()]));
    assert_eq!(described, ["a apply_reply ok", "a idle"]);
}
