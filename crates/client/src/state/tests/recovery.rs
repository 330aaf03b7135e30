//! A client after a lost connection, and with unusual engines and outputs.

use super::*;
use crate::state::message::Recovered;

/// A channel is lost and restored.
fn restored(client: &mut Client, channel: WatchedChannel) -> Vec<String> {
    client.handle(StateEvent::ChannelLost(channel));
    client.handle(StateEvent::ChannelRestored(channel))
}

#[test]
fn a_lost_connection_to_the_hub_is_complete_once_the_client_has_subscribed() {
    let mut client = Client::with(&["here"]);
    let connected = StateEvent::ChannelRestored;
    for channel in [WatchedChannel::Query, WatchedChannel::Mux] {
        assert_eq!(client.handle(connected(channel)), [""; 0], "the first time");
    }
    client.submit(&[0]);
    assert_eq!(client.lost(), ["stop subscribing", "lost"]);
    // The other channels are lost with it, in any order.
    let task = StateEvent::ChannelLost(WatchedChannel::Task);
    assert_eq!(client.handle(task), [""; 0]);
    assert_eq!(
        client.handle(connected(WatchedChannel::Query)),
        ["subscribe"]
    );
    assert_eq!(
        client.handle(connected(WatchedChannel::Task)),
        ["what of s_1"]
    );
    // It is lost again before the client has subscribed, which is no news.
    assert_eq!(client.lost(), ["stop subscribing"]);
    // A subscription that had ended by then is not the one that counts.
    assert_eq!(client.handle(StateEvent::Subscribed), [""; 0]);
    assert_eq!(
        client.handle(connected(WatchedChannel::Query)),
        ["subscribe"]
    );
    assert_eq!(
        client.handle(StateEvent::Subscribed),
        ["back", "query engines", "what of s_1"]
    );
}

#[test]
fn the_list_of_engines_is_requested_twice() {
    let mut client = Client::with(&["here"]);
    assert_eq!(client.handle(StateEvent::Connected), [""; 0]);
    assert_eq!(client.after(SECOND_QUERY / 2), [""; 0]);
    assert_eq!(client.after(SECOND_QUERY / 2), ["query engines"]);
    assert_eq!(client.after(SECOND_QUERY), [""; 0]);
    assert_eq!(client.state.deadline(), None);
}

#[test]
fn what_a_broken_connection_has_lost_is_asked_for_until_it_is_known() {
    let mut client = Client::with(&["here", "here"]);
    client.submit(&[0, 1]);
    assert_eq!(client.lost(), ["stop subscribing", "lost"]);
    let connected = StateEvent::ChannelRestored(WatchedChannel::Query);
    assert_eq!(client.handle(connected), ["subscribe"]);
    assert_eq!(
        client.handle(StateEvent::Subscribed),
        ["back", "query engines", "what of s_1,s_2"]
    );
    // The controller is a new one without engines; this does not end the tasks.
    let none = StateEvent::Engines {
        engines: Vec::new(),
        batches: false,
    };
    assert_eq!(client.handle(none), ["left 0", "left 1"]);
    assert_eq!(client.after(DEATH_GRACE), [""; 0]);
    let unknown = |ids: &[&str]| {
        StateEvent::Recovered(Recovered {
            ended: Vec::new(),
            unknown: ids.iter().copied().map(MsgId::new).collect(),
        })
    };
    // One task is pending; the other may be in transit, and is queried once more.
    assert_eq!(client.handle(unknown(&["s_2"])), [""; 0]);
    assert_eq!(client.after(RECOVERY_INTERVAL), ["what of s_2"]);
    assert_eq!(client.handle(StateEvent::NotRecovered), [""; 0]);
    assert_eq!(client.after(RECOVERY_INTERVAL), ["what of s_2"]);
    let lost = ["1 ends EngineError", "1 settles"];
    assert_eq!(client.handle(unknown(&["s_2"])), lost);
    assert_eq!(client.after(RECOVERY_INTERVAL), [""; 0]);
    assert_eq!(client.replied("s_1", OK), ["0 ends ok"]);
}

#[test]
fn a_reply_that_was_lost_is_taken_from_the_controllers_records() {
    let mut client = Client::with(&["here"]);
    client.submit(&[0]);
    let asked = restored(&mut client, WatchedChannel::Mux);
    assert_eq!(asked, ["what of s_1"]);
    let recorded = crate::record::HubResult {
        msg_id: MsgId::new("s_1"),
        msg_type: "execute_request".to_owned(),
        engine: Some(uuid(0)),
        label: None,
        submitted: None,
        started: None,
        completed: None,
        received: None,
        status: phalanx_protocol::host::TaskStatus::Ok,
        content: serde_json::json!({"status": "ok", "execution_count": 1}),
        metadata: serde_json::from_str(r#"{"phalanx": {"reason": null, "state": "1"}}"#).unwrap(),
        failure: None,
        output: Default::default(),
        buffers: Vec::new(),
    };
    let recovered = Recovered {
        ended: vec![crate::wire::recorded(recorded)],
        unknown: Vec::new(),
    };
    assert_eq!(
        client.handle(StateEvent::Recovered(recovered)),
        ["0 ends ok"]
    );
    assert_eq!(client.after(DEATH_GRACE), ["0 settles"]);
    assert_eq!(restored(&mut client, WatchedChannel::Mux), [""; 0]);
}

#[test]
fn rust_code_goes_to_rust_engines_alone() {
    let mut client = Client::with(&["here"]);
    let asked = client.handle(StateEvent::Registered(EngineId(1), uuid(1)));
    let msg_id = asked[0].split(' ').nth(1).unwrap().to_owned();
    client.handle(StateEvent::Replied(Reply {
        content: ReplyContent::KernelInfo(EngineKind::Foreign),
        ..reply(&msg_id)
    }));
    assert_eq!(client.published(&msg_id, IDLE), ["joined 1"]);
    client.state.sent = 0;
    let refused = ["1 ends EngineError", "1 settles"];
    assert_eq!(
        client.submit(&[0, 1]),
        ["u0 s_1 by path", refused[0], refused[1]]
    );
    // The scheduler receives the list of these engines.
    for (wanted, targets) in [(&[][..], Some(vec![uuid(0)])), (&[1][..], None)] {
        let now = EventTime {
            instant: client.start,
            utc: DateTime::UNIX_EPOCH,
        };
        let tasks = vec![(key(2), balanced(wanted))];
        let commands = client.state.handle(StateEvent::Submit { tasks }, now);
        let sent = commands.into_iter().find_map(|command| match command {
            StateCommand::Send(outgoing) => match outgoing.body {
                OutgoingContent::Work { targets, .. } => Some(targets),
                _ => None,
            },
            _ => None,
        });
        assert_eq!(sent, targets);
    }
}

#[test]
fn a_balanced_task_that_no_engine_can_run_says_why() {
    let mut client = Client::with(&["here"]);
    // A Python engine, and one that does not answer.
    let asked = client.handle(StateEvent::Registered(EngineId(1), uuid(1)));
    let msg_id = asked[0].split(' ').nth(1).unwrap().to_owned();
    client.handle(StateEvent::Replied(Reply {
        content: ReplyContent::KernelInfo(EngineKind::Foreign),
        ..reply(&msg_id)
    }));
    client.published(&msg_id, IDLE);
    client.handle(StateEvent::Registered(EngineId(2), uuid(2)));
    while client.state.engines.deadline().is_some() {
        client.after(GREETING_RETRY);
    }
    let reasons = [
        (7, TaskError::NoneRegistered),
        (1, TaskError::NoneIsRust),
        (2, TaskError::Silent(EngineId(2))),
    ];
    for (engine, why) in reasons {
        let tasks = vec![(key(0), balanced(&[engine]))];
        let commands = client.commands(StateEvent::Submit { tasks });
        let failure = commands.iter().find_map(|command| match command {
            StateCommand::Update(_, TaskUpdate::Ended(end)) => end.failure.clone(),
            _ => None,
        });
        assert_eq!(failure.unwrap().evalue, why.to_string());
    }
}

#[test]
fn an_engine_of_another_version_is_recognized_and_both_versions_are_named() {
    let mut client = Client::with(&["here"]);
    let asked = client.handle(StateEvent::Registered(EngineId(1), uuid(1)));
    let msg_id = asked[0].split(' ').nth(1).unwrap().to_owned();
    let theirs = Release {
        version: "0.0.9".to_owned(),
        protocol: 0,
    };
    client.handle(StateEvent::Replied(Reply {
        content: ReplyContent::KernelInfo(EngineKind::OtherRelease(Arc::new(theirs))),
        ..reply(&msg_id)
    }));
    assert_eq!(client.published(&msg_id, IDLE), ["joined 1"]);
    let now = EventTime {
        instant: client.start,
        utc: DateTime::UNIX_EPOCH,
    };
    let said = format!(
        "engine 1 is Phalanx 0.0.9 (engine protocol 0), the kernel is {}: \
         they do not understand each other; \
         install the same version for both, and restart the older of the two",
        Release::ours()
    );
    // Sent directly, or through a scheduler that has no other choice.
    for work in [cell(1).into(), balanced(&[1])] {
        let tasks = vec![(key(0), work)];
        let commands = client.state.handle(StateEvent::Submit { tasks }, now);
        let failure = commands.iter().find_map(|command| match command {
            StateCommand::Update(_, TaskUpdate::Ended(end)) => end.failure.clone(),
            _ => None,
        });
        assert_eq!(failure.unwrap().evalue, said);
    }
}

#[test]
fn what_an_engine_puts_out_after_its_task_is_reported() {
    let mut client = Client::with(&["here"]);
    client.submit(&[0]);
    client.replied("s_1", OK);
    client.published("s_1", IDLE);
    let described = client.handle(StateEvent::Published {
        parent: MsgId::new("s_1"),
        engine: Some(uuid(0)),
        published: text("late"),
    });
    assert_eq!(described, ["0 puts out late"]);
    assert_eq!(
        client.published("s_1", EnginePublication::Status(EngineStatus::Busy)),
        [""; 0]
    );
}
