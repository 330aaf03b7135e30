//! Behaviour that frontends rely on, independent of the cells.

use crate::Frontend;
use crate::frontend::{connection, limited};
use phalanx_protocol::jupyter::connection_info::Transport;
use phalanx_transport::SigningKey;
use phalanx_transport::connection::write_kernel_file;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use tokio::process::Command;

#[tokio::test]
async fn kernel_info_is_answered_on_both_channels() {
    let mut frontend = Frontend::start().await;
    for reply in [
        frontend.ask("kernel_info_request", json!({})).await,
        frontend.ask_control("kernel_info_request", json!({})).await,
    ] {
        assert_eq!(reply["status"], "ok");
        assert_eq!(reply["implementation"], "phalanx");
        assert_eq!(
            reply["supported_features"],
            json!(["kernel subshells", "iopub_welcome"])
        );
        assert_eq!(reply["language_info"]["name"], "rust");
        assert_eq!(reply["language_info"]["file_extension"], ".rs");
        assert_eq!(reply["language_info"]["mimetype"], "text/rust");
        let version = reply["protocol_version"].as_str().unwrap();
        assert!(version.starts_with("5."), "{version}");
    }
    // The compiler is known once it has compiled a cell: the twin's is `echo 1.0`.
    frontend.ok("print x").await;
    let reply = frontend.ask("kernel_info_request", json!({})).await;
    assert_eq!(reply["language_info"]["version"], "1.0");
    frontend.heartbeat().await;
    frontend.stop().await;
}

#[tokio::test]
async fn every_request_is_answered() {
    let mut frontend = Frontend::start().await;
    let reply = frontend
        .ask("comm_info_request", json!({"target_name": "x"}))
        .await;
    assert_eq!(reply["comms"], json!({}));
    let reply = frontend.ask("connect_request", json!({})).await;
    assert!(reply["shell_port"].is_u64());
    let reply = frontend
        .ask("is_complete_request", json!({"code": "fn f() {"}))
        .await;
    assert_eq!(
        (&reply["status"], &reply["indent"]),
        (&json!("incomplete"), &json!("    "))
    );
    let reply = frontend
        .ask("is_complete_request", json!({"code": "1"}))
        .await;
    assert_eq!(reply["status"], "complete");
    let reply = frontend.ask("nonsense_request", json!({"a": 1})).await;
    assert_eq!(reply["status"], "error");
    let reply = frontend.ask("execute_request", json!({"no": "code"})).await;
    assert_eq!(reply["status"], "error");
    assert_eq!(reply["ename"], "UsageError");
    let id = frontend
        .send_shell(
            "comm_open",
            json!({"comm_id": "c", "target_name": "t", "data": {}}),
        )
        .await;
    let closed = frontend.until_idle(&id).await;
    assert_eq!(closed[0].header.msg_type, "comm_close");
    assert_eq!(closed[0].content["comm_id"], "c");
    let id = frontend
        .send_shell("comm_msg", json!({"comm_id": "c", "data": {}}))
        .await;
    frontend.quiet(&id).await;
    frontend
        .send_stdin("input_reply", json!({"value": "unasked", "status": "ok"}))
        .await;
    assert_eq!(
        frontend.ok("print still here").await,
        ["stdout: still here\n"]
    );
    frontend.stop().await;
}

#[tokio::test]
async fn the_history_contains_the_cells_that_ran() {
    let mut frontend = Frontend::start().await;
    frontend.ok("result 1").await;
    frontend.ok("print 2").await;
    let ask = json!({"hist_access_type": "tail", "n": 2, "output": true, "raw": true});
    let reply = frontend.ask("history_request", ask).await;
    assert_eq!(
        reply["history"],
        json!([[1, 1, ["result 1", "1"]], [1, 2, ["print 2", ""]]])
    );
    let ask =
        json!({"hist_access_type": "search", "pattern": "pri*", "output": false, "raw": true});
    let reply = frontend.ask("history_request", ask).await;
    assert_eq!(reply["history"], json!([[1, 2, "print 2"]]));
    frontend.stop().await;
}

#[tokio::test]
async fn the_history_contains_earlier_sessions() {
    let home = tempfile::tempdir().unwrap();
    for print in ["print 1", "print 2"] {
        let mut frontend = Frontend::start_at_home(home.path()).await;
        frontend.ok(print).await;
        let id = frontend.send_execute("magic %px?").await;
        frontend.ran(&id).await;
        frontend.stop().await;
    }
    let mut frontend = Frontend::start_at_home(home.path()).await;
    let ask = json!({"hist_access_type": "search", "pattern": "print*", "raw": true});
    let reply = frontend.ask("history_request", ask).await;
    assert_eq!(
        reply["history"],
        json!([[1, 1, "print 1"], [2, 1, "print 2"]])
    );
    frontend.stop().await;
}

#[tokio::test]
async fn help_is_a_page_in_the_reply() {
    let mut frontend = Frontend::start().await;
    for cell in ["%px?", "?px", "%%px?", "px??", "magic %px?"] {
        let ran = frontend.execute(cell).await;
        assert_eq!(ran.reply["status"], "ok", "{cell}");
        assert!(ran.outputs.is_empty(), "{cell}: {:?}", ran.outputs);
        let page = &ran.reply["payload"][0];
        assert_eq!(page["source"], "page", "{cell}");
        assert_eq!(page["start"], 0, "{cell}");
        let text = page["data"]["text/plain"].as_str().unwrap();
        assert!(text.contains("--targets"), "{cell}: {text}");
    }
    let ran = frontend.execute("print?").await;
    assert_eq!(ran.reply["payload"][0]["source"], "page");
    assert_eq!(
        frontend.ok("?nothing").await,
        ["stdout: `nothing` was not found.\n"]
    );
    frontend.stop().await;
}

#[tokio::test]
async fn loaded_and_formatted_text_replaces_the_cell() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("größe.rs");
    std::fs::write(&file, "let größe = 1;\n").unwrap();
    let load = format!("%load {}", file.display());
    let loaded = format!("// {load}\nlet größe = 1;\n");
    let mut frontend = Frontend::start().await;
    for (cell, text) in [
        (load.as_str(), loaded.as_str()),
        (
            "%fmt\nif a>0{f(a)}\nlet text=\"ü  \\n\" ;",
            "if a > 0 {\n    f(a)\n}\nlet text = \"ü  \\n\";",
        ),
        // Magics and commands stay as they are.
        (
            "%%fmt\nlet a=1;\n%px -t 0  f( 1 )\n:dep  x\nf(a ,b)",
            "let a = 1;\n%px -t 0  f( 1 )\n:dep  x\nf(a, b)",
        ),
    ] {
        let ran = frontend.execute(cell).await;
        assert_eq!(ran.reply["status"], "ok", "{cell}: {ran:#?}");
        assert!(ran.outputs.is_empty(), "{cell}: {:?}", ran.outputs);
        let replaced = json!([{"source": "set_next_input", "text": text, "replace": true}]);
        assert_eq!(ran.reply["payload"], replaced, "{cell}");
    }
    for cell in ["%fmt\nlet = 1;", "%load no/such.rs"] {
        let ran = frontend.execute(cell).await;
        assert_eq!(ran.reply["status"], "error", "{cell}: {ran:#?}");
        let payload = ran.reply["payload"].as_array();
        assert!(payload.is_none_or(Vec::is_empty), "{cell}: {payload:?}");
    }
    frontend.stop().await;
}

#[tokio::test]
async fn a_failed_user_expression_does_not_affect_the_others() {
    let mut frontend = Frontend::start().await;
    let ask = json!({
        "code": "let a = 7\nprint said", "silent": false, "store_history": true,
        "user_expressions": {"good": "result 5", "bad": "panic no", "worse": "what"},
        "allow_stdin": false, "stop_on_error": true,
    });
    let id = frontend.send_shell("execute_request", ask.clone()).await;
    let ran = frontend.ran(&id).await;
    assert_eq!(ran.outputs, ["stdout: said\n"]);
    let values = &ran.reply["user_expressions"];
    assert_eq!(values["good"]["status"], "ok");
    assert_eq!(values["good"]["data"]["text/plain"], "5");
    assert_eq!(values["bad"]["status"], "error");
    assert_eq!(values["bad"]["ename"], "Panic");
    assert_eq!(values["worse"]["ename"], "CompileError");
    let mut failing = ask;
    failing["code"] = json!("panic first");
    let id = frontend.send_shell("execute_request", failing).await;
    let ran = frontend.ran(&id).await;
    assert_eq!(ran.reply["status"], "error");
    assert_eq!(ran.reply["user_expressions"], json!({}));
    frontend.stop().await;
}

#[tokio::test]
async fn subshells_answer_while_a_cell_runs() {
    let mut frontend = Frontend::start().await;
    let reply = frontend
        .ask_control("create_subshell_request", json!({}))
        .await;
    assert_eq!(reply["status"], "ok");
    let subshell = reply["subshell_id"].as_str().unwrap().to_owned();
    let reply = frontend
        .ask_control("list_subshell_request", json!({}))
        .await;
    assert_eq!(reply["subshell_id"], json!([subshell]));
    let main = frontend.send_execute("print begun\nsleep 600").await;
    frontend.wait_for(&main, "stdout: begun\n").await;
    for (cell, output) in [
        ("%cluster status", "display: "),
        ("!echo shell", "stdout: shell"),
    ] {
        let ask = json!({"code": cell, "silent": false, "store_history": false});
        let id = frontend
            .send_within(&subshell, "execute_request", ask)
            .await;
        let ran = frontend.ran(&id).await;
        assert_eq!(ran.reply["status"], "ok", "{cell}");
        assert!(ran.outputs[0].starts_with(output), "{:?}", ran.outputs);
    }
    let ask = json!({"code": "let wha", "cursor_pos": 3});
    let id = frontend
        .send_within(&subshell, "complete_request", ask)
        .await;
    assert_eq!(frontend.reply(&id).await["status"], "ok");
    frontend.quiet(&id).await;
    // The Rust cell is queued.
    let ask = json!({"code": "print after", "silent": false, "store_history": true});
    let rust = frontend
        .send_within(&subshell, "execute_request", ask.clone())
        .await;
    frontend.ask_control("interrupt_request", json!({})).await;
    assert_eq!(frontend.ran(&main).await.reply["ename"], "Interrupted");
    // Interrupted as well, unless it arrived later.
    frontend.ran(&rust).await;
    let rust = frontend
        .send_within(&subshell, "execute_request", ask)
        .await;
    assert_eq!(frontend.ran(&rust).await.outputs, ["stdout: after\n"]);
    let ask = json!({"subshell_id": subshell});
    let reply = frontend
        .ask_control("delete_subshell_request", ask.clone())
        .await;
    assert_eq!(reply["status"], "ok");
    let reply = frontend.ask_control("delete_subshell_request", ask).await;
    assert_eq!(reply["status"], "error");
    let ask = json!({"code": "print no"});
    let id = frontend
        .send_within(&subshell, "execute_request", ask)
        .await;
    let reply = frontend.reply(&id).await;
    assert_eq!(reply["ename"], "UsageError");
    frontend.quiet(&id).await;
    frontend.stop().await;
}

#[tokio::test]
async fn completion_and_inspection_are_answered_while_a_cell_runs() {
    let mut frontend = Frontend::start().await;
    let main = frontend.send_execute("print begun\nsleep 600").await;
    frontend.wait_for(&main, "stdout: begun\n").await;
    let ask = json!({"code": "resu", "cursor_pos": 4});
    let reply = frontend.ask("complete_request", ask).await;
    // A keyword of the echo backend, not of Rust.
    assert_eq!(reply["matches"], json!(["result"]));
    assert_eq!(
        (&reply["cursor_start"], &reply["cursor_end"]),
        (&json!(0), &json!(4))
    );
    let ask = json!({"code": "print", "cursor_pos": 2, "detail_level": 0});
    let reply = frontend.ask("inspect_request", ask).await;
    assert_eq!(reply["found"], true);
    frontend.ask_control("interrupt_request", json!({})).await;
    assert_eq!(frontend.ran(&main).await.reply["ename"], "Interrupted");
    frontend.stop().await;
}

#[tokio::test]
async fn usage_requests_are_answered() {
    let mut frontend = Frontend::start().await;
    frontend.ok("print up").await;
    for _ in 0..2 {
        let usage = frontend.ask_control("usage_request", json!({})).await;
        assert_eq!(usage["pid"], frontend.pid());
        assert!(
            usage["kernel_memory"].as_u64().unwrap() > 1 << 20,
            "{usage}"
        );
        assert!(usage["host_virtual_memory"]["total"].as_u64() > usage["kernel_memory"].as_u64());
    }
    frontend.stop().await;
}

#[tokio::test]
async fn completion_and_inspection_count_in_characters() {
    let mut frontend = Frontend::start().await;
    // After a cell has run, the evaluator has started.
    frontend.ok("let a = 1").await;
    let reply = frontend
        .ask(
            "complete_request",
            json!({"code": "print é pri", "cursor_pos": 11}),
        )
        .await;
    assert_eq!(reply["matches"], json!(["print"]));
    assert_eq!(
        (&reply["cursor_start"], &reply["cursor_end"]),
        (&json!(8), &json!(11))
    );
    let reply = frontend
        .ask(
            "complete_request",
            json!({"code": "%%px --ta\né", "cursor_pos": 9}),
        )
        .await;
    assert_eq!(reply["matches"], json!(["--targets"]));
    let reply = frontend
        .ask("complete_request", json!({"code": "%px", "cursor_pos": 3}))
        .await;
    assert_eq!(
        reply["matches"],
        json!(["%px", "%pxresult", "%pxconfig", "%pxactivate"])
    );
    let reply = frontend
        .ask(
            "inspect_request",
            json!({"code": "é print", "cursor_pos": 7}),
        )
        .await;
    assert_eq!(reply["found"], true);
    let reply = frontend
        .ask("inspect_request", json!({"code": "%px 1", "cursor_pos": 2}))
        .await;
    assert!(
        reply["data"]["text/plain"]
            .as_str()
            .unwrap()
            .contains("--targets")
    );
    let reply = frontend
        .ask(
            "inspect_request",
            json!({"code": "nothing", "cursor_pos": 3}),
        )
        .await;
    assert_eq!(reply["found"], false);
    frontend.stop().await;
}

#[tokio::test]
async fn messages_with_a_wrong_signature_are_dropped() {
    let mut frontend = Frontend::start().await;
    let forged = frontend
        .session()
        .envelope("kernel_info_request", json!({}), None);
    frontend
        .send_raw(forged, &SigningKey::sha256("another"))
        .await;
    let reply = frontend.ask("kernel_info_request", json!({})).await;
    assert_eq!(reply["status"], "ok");
    frontend.stop().await;
}

#[tokio::test]
async fn sigterm_ends_all_processes() {
    let mut frontend = Frontend::start().await;
    frontend.ok("print up").await;
    let id = frontend.send_execute("print begun\nsleep 600").await;
    frontend.wait_for(&id, "stdout: begun\n").await;
    frontend.terminate().await;
}

#[tokio::test]
async fn the_end_of_the_parent_process_ends_all_processes() {
    let mut server = Command::new("sleep")
        .arg("600")
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut frontend = Frontend::start_for(server.id().unwrap()).await;
    frontend.ok("%cluster start -n 2").await;
    let family = crate::frontend::family(frontend.pid());
    server.kill().await.unwrap();
    frontend.gone(family).await;
}

#[tokio::test]
async fn a_kernel_started_by_hand_prints_its_connection_file() {
    let (mut frontend, file) = Frontend::start_by_hand().await;
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(frontend.ok("print there").await, ["stdout: there\n"]);
    let reply = frontend.ask("connect_request", json!({})).await;
    assert_ne!(reply["shell_port"], 0);
    frontend.heartbeat().await;
    frontend.stop().await;
    assert!(!file.exists());
}

#[tokio::test]
async fn other_transports_and_signature_schemes_are_supported() {
    for scheme in ["hmac-sha384", "hmac-sha512"] {
        let mut info = connection();
        info.signature_scheme = scheme.to_owned();
        let mut frontend = Frontend::start_at(info, tempfile::tempdir().unwrap()).await;
        assert_eq!(frontend.ok("print 1").await, ["stdout: 1\n"], "{scheme}");
        frontend.stop().await;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut info = connection();
    info.transport = Transport::IPC;
    info.ip = folder.path().join("kernel-ipc").display().to_string();
    (info.shell_port, info.iopub_port, info.stdin_port) = (1, 2, 3);
    (info.control_port, info.hb_port) = (4, 5);
    let mut frontend = Frontend::start_at(info, folder).await;
    assert_eq!(frontend.ok("print 1").await, ["stdout: 1\n"]);
    frontend.heartbeat().await;
    let id = frontend.send_execute("read").await;
    frontend.input_reply("", "over ipc").await;
    assert_eq!(frontend.ran(&id).await.outputs, ["stdout: read over ipc\n"]);
    frontend.stop().await;
}

async fn refused(file: &std::path::Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_phalanx"))
        .args(["kernel", "--echo", "--connection-file"])
        .arg(file)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = limited("the kernel's end", output).await.unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn a_faulty_connection_file_or_port_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kernel.json");
    std::fs::write(&file, "not json").unwrap();
    let malformed = refused(&file).await;
    assert!(
        malformed.contains("kernel.json is not a connection file"),
        "{malformed}"
    );
    std::fs::write(&file, r#"{"ip": "127.0.0.1", "transport": "tcp"}"#).unwrap();
    let lacking = refused(&file).await;
    assert!(lacking.contains("shell_port"), "{lacking}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut info = connection();
    info.iopub_port = taken.local_addr().unwrap().port();
    write_kernel_file(&file, &info).unwrap();
    let in_use = refused(&file).await;
    assert!(
        in_use.contains("iopub") && in_use.contains(&info.iopub_port.to_string()),
        "{in_use}"
    );
    let mut info = connection();
    info.signature_scheme = "hmac-md5".into();
    write_kernel_file(&file, &info).unwrap();
    let scheme = refused(&file).await;
    assert!(scheme.contains("hmac-md5"), "{scheme}");
}
