//! Comms and widgets over the wire: messages of a cell, messages of a frontend, and the states sent
//! to a reloaded page.

use crate::frontend::Frontend;
use bytes::Bytes;
use phalanx_transport::Envelope;
use serde_json::{Value, json};

async fn open(frontend: &mut Frontend) {
    let request = json!({"Open": {
        "target": "jupyter.widget",
        "comms": [{
            "comm_id": "w",
            "data": {"state": {"_model_name": "IntSliderModel", "value": 1}, "buffer_paths": []},
            "metadata": {"version": "2.1.0"},
        }],
    }});
    let ran = frontend.execute(&format!("print a\ncomm {request}")).await;
    let types: Vec<&str> = ran.messages.iter().map(msg_type).collect();
    assert_eq!(types, ["execute_input", "stream", "comm_open", "stream"]);
    assert_eq!(ran.messages[2].content["target_name"], "jupyter.widget");
    assert_eq!(ran.messages[2].metadata["version"], "2.1.0");
}

fn msg_type(message: &Envelope) -> &str {
    &message.header.msg_type
}

fn content(data: Value) -> Value {
    json!({"comm_id": "w", "data": data})
}

#[tokio::test]
async fn a_widget_is_read_and_changed_from_both_sides() {
    let mut frontend = Frontend::start().await;
    open(&mut frontend).await;
    let update = json!({"method": "update", "state": {"value": 5}, "buffer_paths": [["bytes"]]});
    let mut message = frontend
        .session()
        .envelope("comm_msg", content(update), None);
    message.buffers = vec![Bytes::from_static(b"\x00\xff")];
    let id = frontend.send_envelope(message).await;
    let echo = frontend.until_idle(&id).await;
    assert_eq!(echo.len(), 1, "{echo:#?}");
    assert_eq!(echo[0].content["data"]["method"], "echo_update");
    assert_eq!(echo[0].content["data"]["state"], json!({"value": 5}));
    assert_eq!(echo[0].buffers, [Bytes::from_static(b"\x00\xff")]);
    let state = r#"{"CommState":{"_model_name":"IntSliderModel","value":5}}"#;
    assert_eq!(
        frontend.ok(r#"comm {"State":"w"}"#).await,
        [format!("stdout: {state}\n")]
    );
    let reply = frontend
        .ask(
            "comm_info_request",
            json!({"target_name": "jupyter.widget"}),
        )
        .await;
    assert_eq!(
        reply["comms"],
        json!({"w": {"target_name": "jupyter.widget"}})
    );
    let ran = frontend.execute(r#"comm {"Close":["w"]}"#).await;
    assert_eq!(msg_type(&ran.messages[1]), "comm_close");
    frontend.stop().await;
}

/// The message that changes the widget's value, by the code.
fn set(value: u32) -> String {
    let data = json!({"method": "update", "state": {"value": value}, "buffer_paths": []});
    format!("comm {}", json!({"Send": content(data)}))
}

/// Returns the updates of displays, with the texts that a frontend without widgets shows.
fn updates(messages: &[Envelope]) -> Vec<&str> {
    let updates = messages
        .iter()
        .filter(|m| msg_type(m) == "update_display_data");
    updates
        .map(|message| {
            let content = &message.content;
            assert_eq!(content["transient"]["display_id"], "w");
            let view = &content["data"]["application/vnd.jupyter.widget-view+json"];
            assert_eq!(view["model_id"], "w");
            content["data"]["text/plain"].as_str().unwrap()
        })
        .collect()
}

#[tokio::test]
async fn saved_displays_of_widgets_are_those_at_the_end_of_a_cell() {
    let mut frontend = Frontend::start().await;
    open(&mut frontend).await;
    let ran = frontend.execute(&set(2)).await;
    assert!(updates(&ran.messages).is_empty(), "it is not displayed yet");
    let display = r#"comm {"Display":"w"}"#;
    let ran = frontend.execute(display).await;
    assert!(ran.outputs[0].contains("IntSlider(value=2)"), "{ran:#?}");
    let changes = [set(3), "sleep 0.3".to_owned(), set(4), set(5)].join("\n");
    let ran = frontend.execute(&changes).await;
    assert_eq!(updates(&ran.messages), ["IntSlider(value=5)"]);
    assert_eq!(
        msg_type(ran.messages.last().unwrap()),
        "update_display_data"
    );
    let ran = frontend.execute("print unchanged").await;
    assert!(updates(&ran.messages).is_empty());
    // Nothing replaces a view that a user operates.
    let update = content(json!({"method": "update", "state": {"value": 9}}));
    let id = frontend.send_shell("comm_msg", update).await;
    assert!(updates(&frontend.until_idle(&id).await).is_empty());
    let ran = frontend
        .execute(&format!("{}\npanic and yet", set(7)))
        .await;
    assert!(updates(&ran.messages).is_empty(), "{ran:#?}");
    let close = set(1) + "\n" + r#"comm {"Close":["w"]}"#;
    let ran = frontend.execute(&close).await;
    assert!(updates(&ran.messages).is_empty(), "a view would fail");
    frontend.stop().await;
}

#[tokio::test]
async fn bars_of_widgets_move_on_a_console() {
    let mut frontend = Frontend::start().await;
    let state = json!({"_model_name": "IntProgressModel", "value": 0, "min": 0, "max": 4});
    let open = json!({"Open": {
        "target": "jupyter.widget",
        "comms": [{"comm_id": "w", "data": {"state": state, "buffer_paths": []}}],
    }});
    frontend.ok(&format!("comm {open}")).await;
    let wait = "sleep 0.3";
    let display = r#"comm {"Display":"w"}"#;
    let cell = [display, &set(1), wait, &set(2), &set(3), wait, &set(4)].join("\n");
    let request = json!({
        "code": cell, "silent": false, "store_history": true, "user_expressions": {},
        "allow_stdin": true, "stop_on_error": true,
    });
    let mut message = frontend
        .session()
        .envelope("execute_request", request, None);
    // As the clients of consoles number their messages.
    message.header.msg_id = format!("{}_7", message.header.session);
    let id = frontend.send_envelope(message).await;
    let ran = frontend.ran(&id).await;
    let bars = ran
        .outputs
        .iter()
        .filter(|output| output.starts_with("stderr: "));
    let bars: String = bars.map(|output| &output["stderr: ".len()..]).collect();
    let steps = bars.split('|').filter(|part| part.ends_with('%'));
    let steps: Vec<&str> = steps
        .filter_map(|step| step.split_whitespace().last())
        .collect();
    assert_eq!(steps.last(), Some(&"100%"), "{bars:?}");
    assert!(steps.contains(&"25%") || steps.contains(&"50%"), "{bars:?}");
    assert!(bars.ends_with("4/4\n"), "{bars:?}");
    assert!(updates(&ran.messages).is_empty());
    frontend.stop().await;
}

#[tokio::test]
async fn callbacks_run_between_cells_and_frontends_do_not_wait_for_a_running_cell() {
    let mut frontend = Frontend::start().await;
    open(&mut frontend).await;
    frontend.ok(r#"comm {"Observe":"w"}"#).await;
    let click = json!({"method": "custom", "content": {"event": "click"}});
    let id = frontend.send_shell("comm_msg", content(click)).await;
    let messages = frontend.until_idle(&id).await;
    assert_eq!(messages.len(), 1, "{messages:#?}");
    let text = messages[0].content["text"].as_str().unwrap();
    assert!(text.contains("click"), "{text}");
    let cell = frontend.send_execute("print begun\nsleep 600").await;
    frontend.wait_for(&cell, "stdout: begun\n").await;
    let update = json!({"method": "update", "state": {"value": 9}});
    let id = frontend.send_shell("comm_msg", content(update)).await;
    let echo = frontend.until_idle(&id).await;
    assert_eq!(echo[0].content["data"]["method"], "echo_update");
    frontend.ask_control("interrupt_request", json!({})).await;
    let ran = frontend.ran(&cell).await;
    assert_eq!(ran.reply["ename"], "Interrupted");
    frontend.terminate().await;
}

#[tokio::test]
async fn a_reloaded_page_receives_every_widget() {
    let mut frontend = Frontend::start().await;
    open(&mut frontend).await;
    let control = json!({
        "comm_id": "page", "target_name": "jupyter.widget.control", "data": {},
    });
    let id = frontend.send_shell("comm_open", control).await;
    frontend.quiet(&id).await;
    let request = json!({"comm_id": "page", "data": {"method": "request_states"}});
    let id = frontend.send_shell("comm_msg", request).await;
    let states = frontend.until_idle(&id).await;
    assert_eq!(states[0].content["comm_id"], "page");
    let data = &states[0].content["data"];
    assert_eq!(data["method"], "update_states");
    assert_eq!(data["states"]["w"]["model_name"], "IntSliderModel");
    assert_eq!(data["states"]["w"]["state"]["value"], 1);
    let request = content(json!({"method": "request_state"}));
    let id = frontend.send_shell("comm_msg", request).await;
    let state = frontend.until_idle(&id).await;
    assert_eq!(state[0].content["data"]["state"]["value"], 1);
    frontend.stop().await;
}
