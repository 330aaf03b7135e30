//! Local cells: outputs, failures, interrupts, and deaths of processes.

use crate::Frontend;
use crate::cluster::{stream, with_engines};
use serde_json::{Value, json};

#[tokio::test]
async fn outputs_arrive_in_order_and_with_their_types() {
    let mut frontend = Frontend::start().await;
    let ran = frontend
        .execute("print a\nwrite par\nwrite tial\nhtml <b>x</b>\nhtml <i>y</i>\neprint e\nresult 5")
        .await;
    assert_eq!(ran.reply["status"], "ok");
    assert_eq!(ran.reply["execution_count"], 1);
    assert_eq!(ran.reply["user_expressions"], json!({}));
    let stdout: String = ran
        .outputs
        .iter()
        .filter_map(|output| output.strip_prefix("stdout: "))
        .collect();
    assert_eq!(stdout, "a\npartial");
    let rest: Vec<&str> = ran
        .outputs
        .iter()
        .map(String::as_str)
        .filter(|output| !output.starts_with("stdout"))
        .collect();
    assert!(rest.contains(&"stderr: e\n"), "{rest:?}");
    let rich: Vec<&str> = rest
        .into_iter()
        .filter(|output| !output.starts_with("stderr"))
        .collect();
    assert_eq!(
        rich,
        [
            "display: text/html=<b>x</b> | <b>x</b>",
            "display: text/html=<i>y</i> | <i>y</i>",
            "result: 5"
        ]
    );
    let input = ran
        .messages
        .iter()
        .find(|m| m.header.msg_type == "execute_input")
        .unwrap();
    assert_eq!(input.content["execution_count"], 1);
    assert!(frontend.ok("// nothing").await.is_empty());
    let ran = frontend.execute("let a = 7\nshow a").await;
    assert_eq!(ran.reply["execution_count"], 3);
    assert_eq!(frontend.ok("show a").await, ["stdout: 7\n"]);
    frontend.stop().await;
}

#[tokio::test]
async fn failures_fail_the_cell_and_have_a_location() {
    let mut frontend = Frontend::start().await;
    let ran = frontend.execute("print a\npanic böse").await;
    assert_eq!(ran.reply["status"], "error");
    assert_eq!(ran.reply["ename"], "Panic");
    assert_eq!(ran.outputs, ["stdout: a\n", "Panic: böse"]);
    assert!(ran.reply["traceback"][0].as_str().unwrap().contains("böse"));
    assert_eq!(
        frontend.fails("error no file").await.last().unwrap(),
        "Error: no file"
    );

    let ran = frontend
        .execute(":show_deps\n\ncompile-error does not fit")
        .await;
    assert_eq!(ran.outputs[0], "display: command: show_deps");
    assert_eq!(
        ran.outputs.last().unwrap(),
        "CompileError: [E0425] does not fit"
    );
    assert_eq!(
        ran.outputs
            .iter()
            .filter(|output| output.starts_with("CompileError"))
            .count(),
        1
    );
    let traceback = ran.reply["traceback"].as_array().unwrap();
    let text: Vec<&str> = traceback
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    let text = crate::frontend::plain(&text.join("\n"));
    assert!(
        text.contains("In[3]:3:1") && text.contains("compile-error does not fit"),
        "{text}"
    );
    frontend.stop().await;
}

#[tokio::test]
async fn cells_that_wait_are_aborted_when_one_fails() {
    let mut frontend = Frontend::start().await;
    let first = frontend
        .send_execute("print begun\nsleep 0.2\npanic stop")
        .await;
    let second = frontend.send_execute("print second").await;
    let third = frontend.send_execute("print third").await;
    assert_eq!(frontend.ran(&first).await.reply["status"], "error");
    for id in [second, third] {
        let ran = frontend.ran(&id).await;
        assert_eq!(ran.reply["status"], "aborted");
        assert!(ran.messages.is_empty());
    }
    assert_eq!(frontend.ok("print on").await, ["stdout: on\n"]);
    frontend.stop().await;
}

#[tokio::test]
async fn silent_cells_publish_nothing() {
    let mut frontend = Frontend::start().await;
    let ask = json!({"code": "print a\nresult 1", "silent": true, "store_history": false});
    let reply = frontend.ask("execute_request", ask).await;
    assert_eq!(reply["status"], "ok");
    assert_eq!(
        frontend.execute("print a").await.reply["execution_count"],
        1
    );
    frontend.stop().await;
}

#[tokio::test]
async fn an_interrupt_stops_the_running_cell_and_nothing_else() {
    let mut frontend = Frontend::start().await;
    frontend.ok("let a = 1").await;
    let reply = frontend.ask_control("interrupt_request", json!({})).await;
    assert_eq!(reply["status"], "ok");
    assert_eq!(frontend.ok("show a").await, ["stdout: 1\n"]);

    let id = frontend.send_execute("print begun\nsleep 600").await;
    frontend.wait_for(&id, "stdout: begun\n").await;
    // Replied to while the cell runs.
    frontend.ask("kernel_info_request", json!({})).await;
    frontend
        .ask("complete_request", json!({"code": "pri", "cursor_pos": 3}))
        .await;
    frontend.ask_control("interrupt_request", json!({})).await;
    let ran = frontend.ran(&id).await;
    assert_eq!(ran.reply["ename"], "Interrupted");
    assert_eq!(
        ran.outputs,
        ["Interrupted: the cell was interrupted; every variable from before it is kept"]
    );
    assert_eq!(frontend.ok("show a").await, ["stdout: 1\n"]);
    frontend.stop().await;
}

#[tokio::test]
async fn a_crash_loses_the_cell_and_no_variable() {
    let mut frontend = Frontend::start().await;
    frontend.ok("let kept = 1 2 3").await;
    for crash in ["abort", "fault", "overflow", "exit 3", "exit 0"] {
        let began = std::time::Instant::now();
        let cell = format!("let kept = spoilt\nprint last words\n{crash}");
        let outputs = frontend.fails(&cell).await;
        println!("{crash}: idle again after {:?}", began.elapsed());
        assert_eq!(outputs[0], "stdout: last words\n");
        let error = outputs.last().unwrap();
        assert!(error.starts_with("RuntimeDied: "), "{error}");
        assert!(
            error.ends_with("every variable from before it is kept"),
            "{error}"
        );
        assert_eq!(frontend.ok("show kept").await, ["stdout: 1 2 3\n"]);
    }
    frontend.stop().await;
}

#[tokio::test]
async fn without_a_snapshot_a_crash_lists_the_lost_variables_and_the_session_continues() {
    let mut frontend = Frontend::start().await;
    frontend.ok(":snapshot 0").await;
    frontend.ok("let a = 1\nlet b = 2").await;
    let outputs = frontend.fails("print last words\nabort").await;
    assert_eq!(outputs[0], "stdout: last words\n");
    let error = outputs.last().unwrap();
    assert!(error.starts_with("RuntimeDied: "), "{error}");
    assert!(
        error.ends_with("the variables `a`, `b` are lost"),
        "{error}"
    );
    assert_eq!(frontend.ok("let a = 3\nshow a").await, ["stdout: 3\n"]);
    let error = frontend.fails("exit 3").await;
    assert!(
        error.last().unwrap().contains("the variable `a` is lost"),
        "{error:?}"
    );
    frontend.ok(":snapshot 1").await;
    frontend.ok("let a = 4").await;
    frontend.fails("exit 3").await;
    assert_eq!(frontend.ok("show a").await, ["stdout: 4\n"]);
    frontend.stop().await;
}

#[tokio::test]
async fn lost_variables_are_listed_and_the_cell_runs_without_them() {
    let mut frontend = Frontend::start().await;
    let outputs = frontend.ok("lost old\nprint done").await;
    assert_eq!(
        outputs,
        [
            "stderr: lost, because their types have changed: `old`\n",
            "stdout: done\n"
        ]
    );
    frontend.stop().await;
}

#[tokio::test]
async fn a_dead_evaluator_is_replaced_and_the_variables_stay() {
    let mut frontend = Frontend::start().await;
    frontend.ok("let a = 1").await;
    frontend.fails("let b = 2\npanic x").await;
    let evaluator = child_with_argument(frontend.pid(), "evaluator");
    let pid = rustix::process::Pid::from_raw(evaluator as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(frontend.ok("show a").await, ["stdout: 1\n"]);
    assert_eq!(
        frontend.ok(":show_deps").await,
        ["display: command: show_deps"]
    );
    frontend.stop().await;
}

/// Returns the child process with this argument.
fn child_with_argument(parent: u32, argument: &str) -> u32 {
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).unwrap();
    let children = tasks.flat_map(|task| {
        let children = std::fs::read_to_string(task.unwrap().path().join("children")).unwrap();
        children
            .split_whitespace()
            .map(|pid| pid.parse::<u32>().unwrap())
            .collect::<Vec<_>>()
    });
    let has = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0)
            .any(|word| word == argument.as_bytes())
    };
    children.into_iter().find(has).unwrap()
}

#[tokio::test]
async fn shell_lines_stream_and_can_be_interrupted() {
    let mut frontend = Frontend::start().await;
    assert_eq!(frontend.ok("!echo one; echo two >&2").await.len(), 2);
    // The kernel's own program is found, wherever it is installed.
    let version = frontend.ok("!phalanx --version").await;
    assert!(version[0].starts_with("stdout: phalanx "), "{version:?}");
    let id = frontend.send_execute("!echo begun; sleep 600").await;
    frontend.wait_for(&id, "stdout: begun\n").await;
    frontend.ask_control("interrupt_request", json!({})).await;
    assert_eq!(frontend.ran(&id).await.reply["ename"], "Interrupted");
    frontend.stop().await;
}

#[tokio::test]
async fn a_shutdown_during_a_cell_ends_all_processes() {
    let mut frontend = Frontend::start().await;
    let id = frontend.send_execute("print begun\nsleep 600").await;
    frontend.wait_for(&id, "stdout: begun\n").await;
    let waiting = frontend.send_execute("print never").await;
    let family = crate::frontend::family(frontend.pid());
    let shutdown = frontend
        .send_control("shutdown_request", json!({"restart": true}))
        .await;
    assert_eq!(frontend.reply(&id).await["status"], "error");
    assert_eq!(frontend.reply(&shutdown).await["restart"], true);
    frontend.gone(family).await;
    let _ = waiting;
}

#[tokio::test]
async fn an_unknown_magic_is_refused_with_a_similar_one() {
    let mut frontend = Frontend::start().await;
    let ran = frontend.execute("%pxx 1").await;
    assert_eq!(ran.outputs, ["UsageError: unknown magic `%pxx`"]);
    let traceback = ran.reply["traceback"].to_string();
    assert!(traceback.contains("did you mean `%px`?"), "{traceback}");
    frontend.stop().await;
}

#[tokio::test]
async fn a_purged_result_is_kept_for_its_variable_but_not_found_by_id() {
    async fn ask(frontend: &mut Frontend, word: &str, request: Value) -> String {
        let outputs = frontend.ok(&format!("{word} {request}")).await;
        stream(&outputs, "stdout")
    }
    let mut frontend = with_engines(1).await;
    let execute = json!({"Execute": {"source": "let a = 5", "engines": [0]}});
    ask(&mut frontend, "client", execute).await;
    let wait = json!({"Wait": {"tasks": [], "timeout": 60.0}});
    ask(&mut frontend, "client", wait).await;
    let history = ask(&mut frontend, "client", json!("History")).await;
    let history: Value = serde_json::from_str(&history).unwrap();
    let tasks = history["MsgIds"].clone();
    assert_eq!(tasks.as_array().unwrap().len(), 1, "{history}");

    ask(
        &mut frontend,
        "client",
        json!({"PurgeLocal": {"results": []}}),
    )
    .await;
    ask(
        &mut frontend,
        "client",
        json!({"Purge": {"tasks": [], "engines": []}}),
    )
    .await;
    let range = json!([{"id": 1, "from": 0, "to": 1}]);
    let values = json!({"AsyncResult": {"of": range, "query": {"Values": {"from": 0, "to": 1, "wait": true}}}});
    let reply = ask(&mut frontend, "cell-request", values.clone()).await;
    assert!(reply.starts_with("{\"Values\""), "{reply}");
    let get = |tasks: Value| json!({"GetResult": {"tasks": tasks}});
    let reply = ask(&mut frontend, "client", get(tasks)).await;
    assert!(reply.contains("No such message"), "{reply}");
    let reply = ask(&mut frontend, "client", get(json!([]))).await;
    assert!(reply.contains("no such task"), "{reply}");

    ask(
        &mut frontend,
        "cell-request",
        json!({"Released": {"results": [1]}}),
    )
    .await;
    let reply = ask(&mut frontend, "cell-request", values).await;
    assert!(reply.contains("it was purged"), "{reply}");
    frontend.stop().await;
}

#[tokio::test]
async fn a_name_that_no_variable_can_have_is_sent_to_no_engine() {
    let mut frontend = with_engines(1).await;
    let apply = |pushed: &[&str], references: &[&str]| {
        let pushes = pushed.iter();
        let pushes = pushes.map(|name| json!({"name": name, "type_name": "u8"}));
        json!({"Apply": {
            "name": "push", "artifact": "/nowhere", "offset": 0, "placement": {"Engines": [0]},
            "args": 0, "sizes": [], "label": null, "references": references,
            "pushes": pushes.collect::<Vec<_>>(), "wait": false,
        }})
    };
    for (request, name) in [
        (apply(&["not ident"], &[]), "`not ident` cannot be the name"),
        (apply(&["fn"], &[]), "`fn` cannot be the name"),
        (apply(&[], &["match"]), "`match` cannot be the name"),
    ] {
        let outputs = frontend.ok(&format!("cell-request {request}")).await;
        let said = stream(&outputs, "stdout");
        assert!(said.contains(name), "{said}");
        assert!(said.contains("a name consists of letters"), "{said}");
    }
    let named = apply(&["x"], &["x + 1"]);
    let outputs = frontend.ok(&format!("cell-request {named}")).await;
    let said = stream(&outputs, "stdout");
    assert!(!said.contains("cannot be the name"), "{said}");
    frontend.stop().await;
}
