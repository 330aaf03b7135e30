//! Messages that frontends should not send, and frontends that misbehave.

use crate::Frontend;
use bytes::Bytes;
use serde_json::{Value, json};

#[tokio::test]
async fn frames_that_are_not_a_message_are_dropped() {
    let mut frontend = Frontend::start().await;
    let frame = Bytes::from_static;
    for frames in [
        vec![frame(b"")],
        vec![frame(b"\xff\xfe")],
        vec![frame(b"<IDS|MSG>")],
        vec![frame(b"<IDS|MSG>"), frame(b"signature")],
        vec![frame(b"<IDS|MSG>"); 9],
        vec![Bytes::from(vec![b'x'; 1 << 20]); 3],
    ] {
        frontend.send_frames(frames).await;
    }
    assert_eq!(frontend.ok("print alive").await, ["stdout: alive\n"]);
    frontend.stop().await;
}

#[tokio::test]
async fn contents_of_the_wrong_shape_are_refused_with_a_reply() {
    let mut frontend = Frontend::start().await;
    for msg_type in [
        "execute_request",
        "complete_request",
        "inspect_request",
        "is_complete_request",
        "delete_subshell_request",
    ] {
        for content in [json!(null), json!([]), json!("text"), json!({"code": [1]})] {
            let reply = frontend.ask(msg_type, content.clone()).await;
            assert_eq!(reply["status"], "error", "{msg_type} {content}");
        }
    }
    let beyond = json!({"code": "é", "cursor_pos": u32::MAX});
    assert_eq!(
        frontend.ask("complete_request", beyond).await["status"],
        "ok"
    );
    assert_eq!(frontend.ok("print alive").await, ["stdout: alive\n"]);
    frontend.stop().await;
}

#[tokio::test]
async fn huge_and_empty_cells_run() {
    let mut frontend = Frontend::start().await;
    for cell in ["", " \n\t\n", "// only a comment", "/* and\nanother */"] {
        assert!(frontend.ok(cell).await.is_empty(), "{cell:?}");
    }
    let text = "é".repeat(2 << 20);
    let printed = frontend.ok(&format!("print {text}")).await;
    let printed: String = printed
        .iter()
        .filter_map(|output| output.strip_prefix("stdout: "))
        .collect();
    assert_eq!(printed.len(), text.len() + 1);
    assert!(printed.starts_with(&text));
    frontend.stop().await;
}

#[tokio::test]
async fn a_thousand_waiting_cells_are_aborted_or_run_in_order() {
    let mut frontend = Frontend::start().await;
    let first = frontend
        .send_execute("print begun\nsleep 0.2\npanic no")
        .await;
    frontend.wait_for(&first, "stdout: begun\n").await;
    let mut ids = Vec::new();
    for n in 0..1000 {
        ids.push(frontend.send_execute(&format!("print {n}")).await);
    }
    assert_eq!(frontend.ran(&first).await.reply["status"], "error");
    // Cells that arrived after the end of the first one run.
    let mut aborted = 0;
    for (n, id) in ids.iter().enumerate() {
        let ran = frontend.ran(id).await;
        if ran.reply["status"] == "aborted" {
            assert!(ran.outputs.is_empty());
            assert_eq!(aborted, n, "aborted after one that ran");
            aborted += 1;
        } else {
            assert_eq!(ran.outputs, [format!("stdout: {n}\n")]);
        }
    }
    frontend.stop().await;
}

#[tokio::test]
async fn the_kernel_survives_a_frontend_that_vanishes() {
    let mut frontend = Frontend::start().await;
    let id = frontend
        .send_execute("let kept = 1\nprint begun\nread")
        .await;
    frontend.input_request().await;
    frontend.reconnect("second").await;
    // The cell still waits for the reply of the disconnected frontend.
    frontend.ask_control("interrupt_request", json!({})).await;
    loop {
        let message = frontend.published_for(&id).await;
        if message.content["execution_state"] == "idle" {
            break;
        }
    }
    assert_eq!(frontend.ok("print free").await, ["stdout: free\n"]);
    let reply: Value = frontend.execute_beside("print beside").await;
    assert_eq!(reply["status"], "ok");
    frontend.stop().await;
}
