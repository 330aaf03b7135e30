use super::*;

fn requester(id: &str) -> Requester {
    Requester::nobody(id)
}

fn comm_message(comm: &str, data: Value) -> CommEvent {
    CommEvent::Message(message(CommId::new(comm), object(data)))
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

/// Formats each command as a line `cause: type id data [frames]`.
fn describe(commands: &[CommCommand]) -> Vec<String> {
    let line = |command: &CommCommand| match command {
        CommCommand::Wake(from) => format!("wake {}", from.msg_id()),
        CommCommand::Publish(publication) => {
            let content = &publication.content;
            let value = serde_json::to_value(content).unwrap();
            let frames = match publication.buffers.len() {
                0 => String::new(),
                _ => format!(" {:?}", publication.buffers),
            };
            format!(
                "{}: {} {} {}{frames}",
                publication.cause.msg_id(),
                content.message_type(),
                value["comm_id"].as_str().unwrap(),
                value["data"],
            )
        }
    };
    commands.iter().map(line).collect()
}

fn widget(comms: &mut Comms, id: &str, state: Value, now: Instant) {
    let opened = CommRequest::Open {
        target: WIDGET_TARGET.to_owned(),
        comms: vec![message(CommId::new(id), object(json!({"state": state})))],
    };
    let (_, commands) = comms.library(&requester("cell"), opened, now);
    assert_eq!(commands.len(), 1);
}

fn update(id: &str, state: Value) -> CommRequest {
    let data = json!({"method": "update", "state": state, "buffer_paths": []});
    CommRequest::Send(message(CommId::new(id), object(data)))
}

fn state(comms: &mut Comms, id: &str) -> Value {
    let request = CommRequest::State(CommId::new(id));
    match comms.library(&requester("cell"), request, Instant::now()).0 {
        HostReply::CommState(state) => json!(state),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_update_from_a_frontend_is_echoed_and_stored() {
    let mut comms = Comms::default();
    widget(
        &mut comms,
        "w",
        json!({"value": 1, "max": 9}),
        Instant::now(),
    );
    let update = comm_message("w", json!({"method": "update", "state": {"value": 4}}));
    assert_eq!(
        describe(&comms.frontend(&requester("drag"), update)),
        [r#"drag: comm_msg w {"buffer_paths":[],"method":"echo_update","state":{"value":4}}"#]
    );
    assert_eq!(state(&mut comms, "w"), json!({"value": 4, "max": 9}));
}

#[test]
fn observed_comms_wake_the_code_and_consecutive_updates_are_merged() {
    let mut comms = Comms::default();
    let now = Instant::now();
    widget(&mut comms, "w", json!({"value": 1}), now);
    comms.library(
        &requester("cell"),
        CommRequest::Observe(CommId::new("w")),
        now,
    );
    let drag =
        |value: u32| comm_message("w", json!({"method": "update", "state": {"value": value}}));
    let click = comm_message(
        "w",
        json!({"method": "custom", "content": {"event": "click"}}),
    );
    let commands = describe(&comms.frontend(&requester("1"), drag(2)));
    assert_eq!(commands.last().unwrap(), "wake 1");
    let commands = describe(&comms.frontend(&requester("2"), drag(3)));
    assert_eq!(commands.len(), 1, "it is merged with the previous update");
    comms.frontend(&requester("3"), click.clone());
    let mut events = Vec::new();
    while let HostReply::CommEvent(Some(event)) = comms
        .library(&requester("3"), CommRequest::NextEvent, now)
        .0
    {
        events.push(event);
    }
    let rest = json!({"method": "update", "state": {"value": 3}, "buffer_paths": []});
    assert_eq!(events, [comm_message("w", rest), click]);
}

#[test]
fn updates_by_the_code_are_throttled_and_the_last_is_sent() {
    let mut comms = Comms::default();
    let start = Instant::now();
    widget(&mut comms, "w", json!({"value": 0}), start);
    let mut sent = Vec::new();
    for at in 0..100 {
        let now = start + Duration::from_millis(at);
        let request = update("w", json!({"value": at}));
        sent.extend(describe(&comms.library(&requester("cell"), request, now).1));
    }
    assert_eq!(comms.deadline(), Some(start + UPDATE_INTERVAL * 2));
    sent.extend(describe(&comms.flush()));
    let of = |value: u32| {
        format!(
            r#"cell: comm_msg w {{"buffer_paths":[],"method":"update","state":{{"value":{value}}}}}"#
        )
    };
    assert_eq!(sent, [of(0), of(50), of(99)]);
    assert_eq!(comms.deadline(), None);
}

#[test]
fn an_update_from_a_frontend_replaces_a_delayed_update_by_the_code() {
    let mut comms = Comms::default();
    let now = Instant::now();
    widget(&mut comms, "w", json!({"value": 0}), now);
    for value in 1..3 {
        let both = update("w", json!({"value": value, "max": value}));
        comms.library(&requester("cell"), both, now);
    }
    let update = comm_message("w", json!({"method": "update", "state": {"value": 7}}));
    comms.frontend(&requester("drag"), update);
    assert_eq!(
        describe(&comms.flush()),
        [r#"cell: comm_msg w {"buffer_paths":[],"method":"update","state":{"max":2}}"#]
    );
    assert_eq!(state(&mut comms, "w"), json!({"value": 7, "max": 2}));
}

#[test]
fn a_reloaded_page_receives_all_states_with_their_buffers() {
    let mut comms = Comms::default();
    let model = json!({
        "state": {"_model_name": "ImageModel", "_model_module": "m", "_model_module_version": "2",
                  "format": "png"},
        "buffer_paths": [["value"]],
    });
    let opened = CommRequest::Open {
        target: WIDGET_TARGET.to_owned(),
        comms: vec![CommMessage {
            buffers: vec![Buffer(b"bytes".to_vec())],
            ..message(CommId::new("i"), object(model))
        }],
    };
    comms.library(&requester("cell"), opened, Instant::now());
    let control = CommEvent::Opened {
        target: CONTROL_TARGET.to_owned(),
        message: message(CommId::new("c"), Map::new()),
    };
    assert!(comms.frontend(&requester("page"), control).is_empty());
    let commands = describe(&comms.frontend(
        &requester("page"),
        comm_message("c", json!({"method": "request_states"})),
    ));
    assert_eq!(commands.len(), 1);
    for part in [
        r#"page: comm_msg c {"buffer_paths":[["i","state","value"]],"method":"update_states""#,
        r#""model_name":"ImageModel""#,
        r#"[b"bytes"]"#,
    ] {
        assert!(commands[0].contains(part), "{part} in {}", commands[0]);
    }
    assert_eq!(comms.info(Some(WIDGET_TARGET)).comms.len(), 1);
    assert_eq!(comms.info(None).comms.len(), 2);
}

#[test]
fn unknown_targets_are_closed_and_accepted_ones_reach_the_code() {
    let mut comms = Comms::default();
    let open = |id: &str| CommEvent::Opened {
        target: "mine".to_owned(),
        message: message(CommId::new(id), Map::new()),
    };
    assert_eq!(
        describe(&comms.frontend(&requester("page"), open("a"))),
        ["page: comm_close a {}"]
    );
    let accept = CommRequest::Accept("mine".to_owned());
    comms.library(&requester("cell"), accept, Instant::now());
    assert_eq!(
        describe(&comms.frontend(&requester("page"), open("b"))),
        ["wake page"]
    );
    let update = comm_message("b", json!({"any": "thing"}));
    assert_eq!(
        describe(&comms.frontend(&requester("page"), update)),
        ["wake page"]
    );
}

#[test]
fn an_output_widget_captures_the_outputs_of_one_request() {
    let mut comms = Comms::default();
    let now = Instant::now();
    widget(&mut comms, "o", json!({"msg_id": ""}), now);
    let capture = |on| CommRequest::Capture {
        comm_id: CommId::new("o"),
        on,
    };
    for (on, msg_id) in [(true, "cell"), (false, "")] {
        let (_, commands) = comms.library(&requester("cell"), capture(on), now);
        let expected = format!(
            r#"cell: comm_msg o {{"buffer_paths":[],"method":"update","state":{{"msg_id":"{msg_id}"}}}}"#
        );
        assert_eq!(describe(&commands), [expected]);
    }
}

#[test]
fn the_state_of_a_closed_widget_can_still_be_read_by_the_code() {
    let mut comms = Comms::default();
    let now = Instant::now();
    widget(&mut comms, "w", json!({"value": 3}), now);
    let close = CommRequest::Close(vec![CommId::new("w")]);
    let (_, commands) = comms.library(&requester("cell"), close, now);
    assert_eq!(describe(&commands), ["cell: comm_close w {}"]);
    let late = comm_message("w", json!({"method": "update", "state": {"value": 4}}));
    assert!(comms.frontend(&requester("drag"), late).is_empty());
    let (_, commands) = comms.library(&requester("cell"), update("w", json!({"value": 5})), now);
    assert!(commands.is_empty());
    assert_eq!(state(&mut comms, "w"), json!({"value": 5}));
    assert!(comms.info(None).comms.is_empty());
}
