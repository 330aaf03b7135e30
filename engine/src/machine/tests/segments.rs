//! Large values and arguments in shared memory.

use super::calls::call;
use super::*;
use phalanx_protocol::payload::Segment;
use phalanx_protocol::segment::SegmentRef;

/// A segment of this size.
fn segment(fd: u32, len: u64) -> Segment {
    let reference = SegmentRef {
        pid: 1,
        fd,
        device: 3,
        inode: 4,
        offset: 0,
        len,
    };
    Segment::read(reference.to_bytes().to_vec().into()).unwrap()
}

impl Engine {
    /// Calls a function that returns a large value.
    fn returns_segment(&mut self, id: &str, value: &Segment) -> Vec<String> {
        self.asked(id, call());
        self.runs += 1;
        self.prepared(Ok(vec!["/std".into(), "/cell".into()]));
        let (run, value) = (RunId(self.runs), value.clone().into());
        self.handle(EngineEvent::RuntimeValue { run, value });
        self.ended(Outcome::Completed)
    }

    /// Opens the memory of the client of all requests.
    fn reaches_client(&mut self) {
        let client = "client".to_owned();
        self.handle(EngineEvent::ClientReached { client });
    }

    fn taken(&mut self, value: &Segment) -> Vec<String> {
        self.asked("t", EngineRequest::ReleaseSegment(value.clone()))
    }

    fn kept_bytes(&self) -> u64 {
        self.machine.segments.bytes()
    }
}

#[test]
fn a_probe_is_opened_and_the_client_is_described_the_engine() {
    let mut engine = Engine::up();
    let probe = Some(segment(1, 7));
    let described = engine.asked("k", EngineRequest::KernelInfo { probe });
    let reply = [
        "k busy",
        "open probe of client",
        "k kernel_info_reply ok",
        "k idle",
    ];
    assert_eq!(described, reply);
    let without = engine.asked("k", EngineRequest::KernelInfo { probe: None });
    assert_eq!(without, ["k busy", "k kernel_info_reply ok", "k idle"]);
}

#[test]
fn a_value_is_sent_by_reference_to_clients_that_can_open_it() {
    let mut engine = Engine::up();
    let value = segment(1, 100);
    let described = engine.returns_segment("a", &value);
    assert_eq!(described, ["a apply_reply ok, inline [0]", "a idle"]);
    assert_eq!(engine.kept_bytes(), 0);
    let other = "other".to_owned();
    engine.handle(EngineEvent::ClientReached { client: other });
    let described = engine.returns_segment("b", &value);
    assert_eq!(described[0], "b apply_reply ok, inline [0]");
    engine.reaches_client();
    let described = engine.returns_segment("c", &value);
    assert_eq!(described, ["c apply_reply ok", "c idle"]);
    assert_eq!(engine.kept_bytes(), 100);
}

#[test]
fn a_value_is_kept_until_it_is_taken_and_released_once() {
    let mut engine = Engine::up();
    engine.reaches_client();
    let (value, other) = (segment(1, 100), segment(2, 30));
    engine.returns_segment("a", &value);
    engine.returns_segment("b", &other);
    assert_eq!(engine.kept_bytes(), 130);
    assert_eq!(engine.taken(&value), [""; 0], "there is no reply");
    assert_eq!(engine.taken(&value), [""; 0]);
    assert_eq!(engine.kept_bytes(), 30);
    assert_eq!(engine.taken(&segment(3, 1)), [""; 0]);
    assert_eq!(engine.taken(&other), [""; 0]);
    assert_eq!(engine.kept_bytes(), 0);
}

#[test]
fn a_value_that_is_sent_twice_is_kept_once() {
    let mut engine = Engine::up();
    engine.reaches_client();
    let value = segment(1, 100);
    engine.returns_segment("a", &value);
    engine.returns_segment("b", &value);
    assert_eq!(engine.kept_bytes(), 100);
    engine.taken(&value);
    assert_eq!(engine.kept_bytes(), 0);
}

#[test]
fn clients_that_take_nothing_cost_a_limited_amount() {
    let mut engine = Engine::up();
    engine.reaches_client();
    let huge = segment(1, 2 << 30);
    let described = engine.returns_segment("a", &huge);
    assert_eq!(described[0], "a apply_reply ok", "one is not many");
    let second = segment(2, 1);
    let described = engine.returns_segment("b", &second);
    assert_eq!(described[0], "b apply_reply ok, inline [0]");
    engine.taken(&huge);
    let described = engine.returns_segment("c", &second);
    assert_eq!(described[0], "c apply_reply ok");
}

/// A call whose arguments are to be kept for other engines.
fn keeping() -> EngineRequest {
    let mut request = call();
    if let EngineRequest::Apply(Ok(call)) = &mut request {
        let metadata = Arc::make_mut(&mut call.metadata);
        metadata.keep = true;
        metadata.host = "there".to_owned();
    }
    request
}

fn arguments_kept(kept: Option<Segment>) -> EngineEvent {
    let request = Box::new(request("a", keeping()));
    EngineEvent::ArgumentsKept { request, kept }
}

#[test]
fn arguments_are_kept_for_other_engines_before_the_call_begins() {
    let mut engine = Engine::up();
    assert_eq!(engine.asked("a", keeping()), ["keep arguments of a"]);
    let kept = segment(1, 50);
    let commands = engine
        .machine
        .handle(arguments_kept(Some(kept.clone())), NOW);
    let described: Vec<_> = commands.iter().map(describe).collect();
    assert_eq!(described, ["a kept", "a busy", "prepare"]);
    let Some(EngineCommand::Prepare { shipment, .. }) = commands.last() else {
        panic!("{described:?}");
    };
    assert_eq!(shipment.args, Some(kept.clone()));
    assert_ne!(
        shipment.host, "there",
        "the reference is one of this machine"
    );
    assert_eq!(engine.kept_bytes(), 50);
    // Other engines use them after the end of the call, until the client reports their last use.
    engine.runs += 1;
    engine.prepared(Ok(vec!["/std".into(), "/cell".into()]));
    assert_eq!(engine.returns(), ["a apply_reply ok", "a idle"]);
    assert_eq!(engine.kept_bytes(), 50);
    engine.taken(&kept);
    assert_eq!(engine.kept_bytes(), 0);
}

#[test]
fn a_call_runs_though_its_arguments_cannot_be_kept() {
    let mut engine = Engine::up();
    engine.asked("a", keeping());
    let described = engine.handle(arguments_kept(None));
    assert_eq!(described, ["a busy", "prepare"]);
    assert_eq!(engine.kept_bytes(), 0);
}

#[test]
fn arguments_that_are_a_reference_already_are_not_kept() {
    let mut engine = Engine::up();
    let mut request = keeping();
    if let EngineRequest::Apply(Ok(call)) = &mut request {
        call.args = segment(1, 50).into();
    }
    assert_eq!(engine.asked("a", request), ["a busy", "prepare"]);
}
