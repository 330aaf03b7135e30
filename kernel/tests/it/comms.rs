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
