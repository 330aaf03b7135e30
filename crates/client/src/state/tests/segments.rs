//! Large values and arguments in shared memory.

use super::*;
use crate::state::segments::{ReceivedSegment, SentArguments};
use phalanx_protocol::payload::Payload;
use phalanx_protocol::segment::SegmentRef;

/// A segment of a process.
fn segment(pid: u32) -> Segment {
    let reference = SegmentRef {
        pid,
        fd: 2,
        device: 3,
        inode: 4,
        offset: 0,
        len: 5,
    };
    Segment::read(reference.to_bytes().to_vec().into()).unwrap()
}

/// A call with large arguments on an engine.
fn large(engine: u32, args: &Segment) -> EngineTask {
    match balanced(&[]) {
        EngineTask::Call(call) => EngineTask::Call(EngineCall {
            placement: Placement::Engine(EngineId(engine)),
            args: args.clone().into(),
            ..call
        }),
        cell => cell,
    }
}

impl Client {
    /// Submits calls with the same large arguments, once their libraries are on all machines.
    fn share(&mut self, engines: &[u32]) -> Vec<String> {
        let args = segment(1);
        let tasks = engines.iter().enumerate();
        let tasks = tasks.map(|(n, &engine)| (key(n), large(engine, &args)));
        let tasks = tasks.collect();
        self.handle(StateEvent::Submit { tasks })
    }

    fn keeps(&mut self, engine: u32, parent: &str) -> Vec<String> {
        self.handle(StateEvent::Published {
            parent: MsgId::new(parent),
            engine: Some(uuid(engine)),
            published: EnginePublication::Kept(Some(segment(7))),
        })
    }

    fn over(&mut self, parent: &str) -> Vec<String> {
        let mut described = self.replied(parent, OK);
        described.extend(self.published(parent, IDLE));
        described
    }
}

#[test]
fn large_arguments_travel_to_a_machine_once_and_are_given_up_with_the_last_task() {
    let mut client = Client::with(&["here", "there", "there", "beyond"]);
    let described = client.share(&[0, 1, 2, 3]);
    let sent = [
        "u0 s_1 by path",
        "u1 s_2 with [0, 1] and its data",
        "u3 s_4 with [0, 1] and its data",
    ];
    assert_eq!(described, sent);
    // The second engine of the machine waits for both the libraries and the arguments.
    assert_eq!(client.keeps(1, "s_2"), [""; 0]);
    let described = client.published("s_2", EnginePublication::Kept(None));
    assert_eq!(described, ["u2 s_6 with [] and data of 7 at there"]);
    assert_eq!(client.over("s_2"), ["1 ends ok", "1 settles"]);
    assert_eq!(client.keeps(3, "s_4"), [""; 0]);
    let described = client.over("s_4");
    assert_eq!(described, ["3 ends ok", "3 settles", "u3 s_7 taken"]);
    let described = client.over("s_6");
    assert_eq!(described, ["2 ends ok", "2 settles", "u1 s_8 taken"]);
    assert_eq!(client.over("s_1"), ["0 ends ok", "0 settles"]);
    assert!(client.state.arguments.is_empty());
}

#[test]
fn large_arguments_that_are_lost_on_the_way_travel_again() {
    let mut client = Client::with(&["there", "there"]);
    // Their libraries are on the machine already.
    client.share(&[0]);
    client.keeps(0, "s_1");
    client.over("s_1");
    assert!(client.state.arguments.is_empty());
    let described = client.share(&[0, 1]);
    assert_eq!(described, ["u0 s_3 with [] and its data"]);
    // The first engine exits, or has no memory for them and reports it too late.
    client.handle(StateEvent::Unregistered(EngineId(0), uuid(0)));
    let described = client.after(DEATH_GRACE * 2);
    let again = "u1 s_5 with [] and its data";
    assert_eq!(described, ["0 ends EngineError", "0 settles", again]);
    assert_eq!(client.keeps(0, "s_3"), ["u0 s_6 taken"]);
    assert_eq!(client.keeps(1, "s_5"), [""; 0]);
    assert_eq!(
        client.over("s_5"),
        ["1 ends ok", "1 settles", "u1 s_7 taken"]
    );
}

#[test]
fn an_engine_that_cannot_follow_a_reference_is_sent_the_arguments_itself() {
    let mut client = Client::with(&["there", "there"]);
    client.share(&[0]);
    client.keeps(0, "s_1");
    client.over("s_1");
    client.share(&[0, 1]);
    let described = client.keeps(0, "s_3");
    assert_eq!(described, ["u1 s_5 with [] and data of 7 at there"]);
    let lacks = ReplyContent::Refused(RefusalReason::NeedArtifacts {
        artifacts: Vec::new(),
    });
    let described = client.replied("s_5", lacks);
    assert_eq!(described, ["u1 s_6 with [0, 1] and its data"]);
    assert_eq!(client.keeps(1, "s_6"), [""; 0]);
    client.over("s_3");
    let described = client.over("s_6");
    assert_eq!(described[..2], ["1 ends ok", "1 settles"]);
    assert_eq!(
        described.len(),
        4,
        "both engines may forget them: {described:?}"
    );
}

/// The reply of engine `u0` with a value in a segment, which was opened or not.
fn with_segment(parent: &str, error: Option<&str>) -> Reply {
    Reply {
        engine: Some(uuid(0)),
        segment: Some(Box::new(ReceivedSegment {
            reference: segment(7),
            error: error.map(str::to_owned),
        })),
        ..reply(parent)
    }
}

#[test]
fn a_value_is_released_once_it_is_opened() {
    let mut client = Client::with(&["here"]);
    client.submit(&[0]);
    let replied = client.handle(StateEvent::Replied(with_segment("s_1", None)));
    assert_eq!(replied, ["u0 s_2 taken", "0 ends ok"]);
}

#[test]
fn a_value_that_cannot_be_opened_is_released_and_fails_its_task() {
    let mut client = Client::with(&["here"]);
    client.submit(&[0]);
    let gone = with_segment("s_1", Some("no such process"));
    let replied = client.handle(StateEvent::Replied(gone));
    assert_eq!(replied, ["u0 s_2 taken", "0 ends EngineError"]);
}

#[test]
fn a_value_of_a_task_that_has_ended_is_released_too() {
    let mut client = Client::with(&["here"]);
    client.submit(&[0]);
    client.replied("s_1", OK);
    let again = client.handle(StateEvent::Replied(with_segment("s_1", None)));
    assert_eq!(again, ["u0 s_2 taken"]);
    let unknown = client.handle(StateEvent::Replied(with_segment("another", None)));
    assert_eq!(unknown, ["u0 s_3 taken"]);
}

#[test]
fn a_failure_of_the_task_is_kept_whatever_becomes_of_its_value() {
    let mut client = Client::with(&["here"]);
    client.submit(&[0]);
    let failed = Reply {
        content: error("Panic"),
        ..with_segment("s_1", Some("gone"))
    };
    let replied = client.handle(StateEvent::Replied(failed));
    assert_eq!(replied, ["u0 s_2 taken", "0 ends Panic"]);
}

#[test]
fn values_of_a_batch_are_released_one_by_one() {
    let mut client = Client::with(&["here"]);
    client.submit(&[0, 0, 0]);
    let replies = vec![
        with_segment("s_1", None),
        reply("s_2"),
        with_segment("s_3", Some("gone")),
    ];
    assert_eq!(
        client.handle(StateEvent::Batch(replies)),
        [
            "u0 s_4 taken",
            "0 ends ok",
            "1 ends ok",
            "u0 s_5 taken",
            "2 ends EngineError"
        ]
    );
}

/// The arguments that are sent with calls to engines `engines`.
fn sent(client: &mut Client, engines: &[u32]) -> Vec<SentArguments> {
    let args = segment(1);
    let tasks = engines.iter().enumerate();
    let tasks = tasks.map(|(n, &engine)| (key(n), large(engine, &args)));
    let tasks = tasks.collect();
    arguments(&client.commands(StateEvent::Submit { tasks }))
}

fn arguments(commands: &[StateCommand]) -> Vec<SentArguments> {
    let sent = commands.iter().filter_map(|command| match command {
        StateCommand::Send(outgoing) => outgoing.body.arguments(),
        _ => None,
    });
    sent.collect()
}

#[test]
fn arguments_are_sent_in_the_form_that_the_engine_can_open() {
    let mut client = Client::with(&["here", "there", "there"]);
    let own = Payload::from(segment(1));
    // This machine's engine opens our segment, another machine's first engine is sent the bytes.
    assert_eq!(
        sent(&mut client, &[0, 1, 2]),
        [
            SentArguments::Unchanged(own.clone()),
            SentArguments::Inline(own)
        ]
    );
    // That engine keeps them, for its neighbour.
    client.keeps(1, "s_2");
    let parent = MsgId::new("s_2");
    let begun = client.commands(StateEvent::Published {
        parent,
        engine: None,
        published: EnginePublication::Kept(None),
    });
    let kept = SentArguments::Unchanged(segment(7).into());
    assert_eq!(arguments(&begun), [kept]);
}
