use super::*;

fn asks(id: &str) -> Requester {
    Requester::nobody(id)
}

fn says(comm: &str, data: Value) -> CommEvent {
    CommEvent::Message(message(CommId::new(comm), object(data)))
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

/// Formats each command as a line `cause: type id data [frames]`.
fn told(commands: &[CommCommand]) -> Vec<String> {
    let tell = |command: &CommCommand| match command {
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
    commands.iter().map(tell).collect()
}

fn widget(comms: &mut Comms, id: &str, state: Value, now: Instant) {
    let opened = CommRequest::Open {
        target: WIDGET_TARGET.to_owned(),
        comms: vec![message(CommId::new(id), object(json!({"state": state})))],
    };
    let (_, commands) = comms.library(&asks("cell"), opened, now);
    assert_eq!(commands.len(), 1);
}

fn update(id: &str, state: Value) -> CommRequest {
    let data = json!({"method": "update", "state": state, "buffer_paths": []});
    CommRequest::Send(message(CommId::new(id), object(data)))
}

fn state(comms: &mut Comms, id: &str) -> Value {
    let request = CommRequest::State(CommId::new(id));
    match comms.library(&asks("cell"), request, Instant::now()).0 {
        HostReply::CommState(state) => json!(state),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_frontend_changes_is_echoed_and_read_by_the_code() {
    let mut comms = Comms::default();
    widget(
        &mut comms,
        "w",
        json!({"value": 1, "max": 9}),
        Instant::now(),
    );
    let said = says("w", json!({"method": "update", "state": {"value": 4}}));
    assert_eq!(
        told(&comms.frontend(&asks("drag"), said)),
        [r#"drag: comm_msg w {"buffer_paths":[],"method":"echo_update","state":{"value":4}}"#]
    );
    assert_eq!(state(&mut comms, "w"), json!({"value": 4, "max": 9}));
}

#[test]
fn observed_comms_wake_the_code_and_updates_in_a_row_are_one() {
    let mut comms = Comms::default();
    let now = Instant::now();
    widget(&mut comms, "w", json!({"value": 1}), now);
    comms.library(&asks("cell"), CommRequest::Observe(CommId::new("w")), now);
    let drag = |value: u32| says("w", json!({"method": "update", "state": {"value": value}}));
    let click = says(
        "w",
        json!({"method": "custom", "content": {"event": "click"}}),
    );
    let told = told(&comms.frontend(&asks("1"), drag(2)));
    assert_eq!(told.last().unwrap(), "wake 1");
    let told = self::told(&comms.frontend(&asks("2"), drag(3)));
    assert_eq!(told.len(), 1, "it is heard with the one before");
    comms.frontend(&asks("3"), click.clone());
    let mut heard = Vec::new();
    while let HostReply::CommEvent(Some(event)) =
        comms.library(&asks("3"), CommRequest::NextEvent, now).0
    {
        heard.push(event);
    }
    let rest = json!({"method": "update", "state": {"value": 3}, "buffer_paths": []});
    assert_eq!(heard, [says("w", rest), click]);
}

#[test]
fn many_updates_of_the_code_become_few_and_the_last_is_sent() {
    let mut comms = Comms::default();
    let start = Instant::now();
    widget(&mut comms, "w", json!({"value": 0}), start);
    let mut sent = Vec::new();
    for at in 0..100 {
        let now = start + Duration::from_millis(at);
        let request = update("w", json!({"value": at}));
        sent.extend(told(&comms.library(&asks("cell"), request, now).1));
    }
    assert_eq!(comms.deadline(), Some(start + UPDATE_INTERVAL * 2));
    sent.extend(told(&comms.flush()));
    let of = |value: u32| {
        format!(
            r#"cell: comm_msg w {{"buffer_paths":[],"method":"update","state":{{"value":{value}}}}}"#
        )
    };
    assert_eq!(sent, [of(0), of(50), of(99)]);
    assert_eq!(comms.deadline(), None);
}

#[test]
fn what_a_frontend_changes_is_not_overwritten_by_an_older_value_of_the_code() {
    let mut comms = Comms::default();
    let now = Instant::now();
    widget(&mut comms, "w", json!({"value": 0}), now);
    for value in 1..3 {
        let both = update("w", json!({"value": value, "max": value}));
        comms.library(&asks("cell"), both, now);
    }
    let said = says("w", json!({"method": "update", "state": {"value": 7}}));
    comms.frontend(&asks("drag"), said);
    assert_eq!(
        told(&comms.flush()),
        [r#"cell: comm_msg w {"buffer_paths":[],"method":"update","state":{"max":2}}"#]
    );
    assert_eq!(state(&mut comms, "w"), json!({"value": 7, "max": 2}));
}

#[test]
fn a_reloaded_page_gets_all_states_with_their_bytes() {
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
    comms.library(&asks("cell"), opened, Instant::now());
    let control = CommEvent::Opened {
        target: CONTROL_TARGET.to_owned(),
        message: message(CommId::new("c"), Map::new()),
    };
    assert!(comms.frontend(&asks("page"), control).is_empty());
    let told = told(&comms.frontend(
        &asks("page"),
        says("c", json!({"method": "request_states"})),
    ));
    assert_eq!(told.len(), 1);
    for part in [
        r#"page: comm_msg c {"buffer_paths":[["i","state","value"]],"method":"update_states""#,
        r#""model_name":"ImageModel""#,
        r#"[b"bytes"]"#,
    ] {
        assert!(told[0].contains(part), "{part} in {}", told[0]);
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
        told(&comms.frontend(&asks("page"), open("a"))),
        ["page: comm_close a {}"]
    );
    let accept = CommRequest::Accept("mine".to_owned());
    comms.library(&asks("cell"), accept, Instant::now());
    assert_eq!(
        told(&comms.frontend(&asks("page"), open("b"))),
        ["wake page"]
    );
    let said = says("b", json!({"any": "thing"}));
    assert_eq!(told(&comms.frontend(&asks("page"), said)), ["wake page"]);
}

#[test]
fn an_output_widget_captures_what_one_request_puts_out() {
    let mut comms = Comms::default();
    let now = Instant::now();
    widget(&mut comms, "o", json!({"msg_id": ""}), now);
    let capture = |on| CommRequest::Capture {
        comm_id: CommId::new("o"),
        on,
    };
    for (on, msg_id) in [(true, "cell"), (false, "")] {
        let (_, commands) = comms.library(&asks("cell"), capture(on), now);
        let expected = format!(
            r#"cell: comm_msg o {{"buffer_paths":[],"method":"update","state":{{"msg_id":"{msg_id}"}}}}"#
        );
        assert_eq!(told(&commands), [expected]);
    }
}

#[test]
fn a_closed_widget_is_gone_from_frontends_but_not_from_the_code() {
    let mut comms = Comms::default();
    let now = Instant::now();
    widget(&mut comms, "w", json!({"value": 3}), now);
    let close = CommRequest::Close(vec![CommId::new("w")]);
    let (_, commands) = comms.library(&asks("cell"), close, now);
    assert_eq!(told(&commands), ["cell: comm_close w {}"]);
    let late = says("w", json!({"method": "update", "state": {"value": 4}}));
    assert!(comms.frontend(&asks("drag"), late).is_empty());
    let (_, commands) = comms.library(&asks("cell"), update("w", json!({"value": 5})), now);
    assert!(commands.is_empty());
    assert_eq!(state(&mut comms, "w"), json!({"value": 5}));
    assert!(comms.info(None).comms.is_empty());
}
