//! Cells that request input, in every supported way.

use crate::Frontend;
use serde_json::json;

/// Returns the text printed by a cell.
fn printed(outputs: &[String]) -> String {
    let texts = outputs.iter().map(|output| {
        let (_, text) = output.split_once(": ").unwrap_or(("", output));
        text
    });
    texts.collect()
}

#[tokio::test]
async fn reads_of_stdin_request_lines_until_the_input_ends() {
    let mut frontend = Frontend::start().await;
    let id = frontend
        .send_execute("print before\nread\nread\nread\nread")
        .await;
    let question = frontend.input_request().await;
    assert_eq!(question.parent_header.as_ref().unwrap().msg_id, id);
    assert_eq!(question.content, json!({"prompt": "", "password": false}));
    frontend.wait_for_text(&id, &["before"]).await;
    let first = json!({"value": "größe 👩‍👩‍👧", "status": "ok"});
    frontend.send_stdin("input_reply", first).await;
    frontend.input_reply("", "two\nlines").await;
    frontend.input_reply("", "\u{4}").await;
    let ran = frontend.ran(&id).await;
    assert_eq!(ran.reply["status"], "ok");
    assert_eq!(
        printed(&ran.outputs),
        "before\nread größe 👩‍👩‍👧\nread two\nread lines\nend\n"
    );
    // The end of input applied to that cell only.
    let id = frontend.send_execute("read").await;
    frontend.input_reply("", "again").await;
    assert_eq!(frontend.ran(&id).await.outputs, ["stdout: read again\n"]);
    frontend.stop().await;
}

#[tokio::test]
async fn input_requests_of_the_library_and_of_evcxr_have_a_prompt() {
    let mut frontend = Frontend::start().await;
    let id = frontend
        .send_execute("ask your name?\nrequest secret\nask end?")
        .await;
    frontend.input_reply("your name?", "Ada").await;
    let question = frontend.input_request().await;
    assert_eq!(
        question.content,
        json!({"prompt": "secret", "password": true})
    );
    // The reply names its request, as JupyterLab's does, among replies to other requests.
    let stale = json!({"value": "stale", "status": "ok"});
    let mut reply = frontend
        .session()
        .envelope("input_reply", stale, Some(&question));
    reply.identities.clear();
    reply.content["value"] = json!("named");
    frontend.send_stdin_message(reply).await;
    frontend.input_reply("end?", "\u{4}").await;
    let ran = frontend.ran(&id).await;
    assert_eq!(printed(&ran.outputs), "asked Ada\nread named\nend\n");
    frontend.stop().await;
}

#[tokio::test]
async fn without_allow_stdin_the_input_is_empty_and_a_notice_is_printed() {
    let mut frontend = Frontend::start().await;
    let ask = json!({"code": "read\nread", "silent": false, "allow_stdin": false});
    let id = frontend.send_shell("execute_request", ask).await;
    let ran = frontend.ran(&id).await;
    assert_eq!(ran.reply["status"], "ok");
    let text = printed(&ran.outputs);
    assert!(text.contains("end\nend\n"), "{text}");
    assert_eq!(text.matches("stdin is empty").count(), 1, "{text}");
    let ask = json!({"code": "ask who?", "silent": false, "allow_stdin": false});
    let id = frontend.send_shell("execute_request", ask).await;
    assert_eq!(frontend.ran(&id).await.reply["ename"], "Panic");
    frontend.stop().await;
}

#[tokio::test]
async fn an_input_request_can_be_interrupted_and_a_late_reply_is_dropped() {
    let mut frontend = Frontend::start().await;
    for cell in ["read", "ask who?"] {
        let id = frontend.send_execute(cell).await;
        frontend.input_request().await;
        frontend.ask_control("interrupt_request", json!({})).await;
        let ran = frontend.ran(&id).await;
        assert_eq!(ran.reply["ename"], "Interrupted", "{cell}");
    }
    let late = json!({"value": "late", "status": "ok"});
    frontend.send_stdin("input_reply", late).await;
    // A later cell is done, so the late reply has been read.
    frontend.ok("print after").await;
    let id = frontend.send_execute("read").await;
    frontend.input_reply("", "in time").await;
    assert_eq!(frontend.ran(&id).await.outputs, ["stdout: read in time\n"]);
    frontend.stop().await;
}
