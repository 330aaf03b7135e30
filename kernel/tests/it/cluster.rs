//! Clusters and cells on engines.

use crate::Frontend;
use crate::frontend::{describe, family, limited};
use serde_json::json;

/// Joins the text of one stream, however it is split into messages.
pub fn stream(outputs: &[String], name: &str) -> String {
    let prefix = format!("{name}: ");
    outputs
        .iter()
        .filter_map(|output| output.strip_prefix(&prefix))
        .collect()
}

pub async fn with_engines(count: usize) -> Frontend {
    let mut frontend = Frontend::start().await;
    let outputs = frontend.ok(&format!("%cluster start -n {count}")).await;
    let text = stream(&outputs, "stdout");
    assert!(
        text.starts_with(&format!("Started {count} engine")),
        "{outputs:?}"
    );
    frontend
}

#[tokio::test]
async fn a_cell_runs_on_all_engines_and_outputs_are_labelled() {
    let mut frontend = with_engines(4).await;
    let outputs = frontend.ok("%%px\nprint hello").await;
    let text = stream(&outputs, "stdout");
    for engine in 0..4 {
        assert!(
            text.contains(&format!("[stdout:{engine}] \nhello\n")),
            "{text}"
        );
    }
    let outputs = frontend.ok("%px result 5").await;
    let mut results = outputs.clone();
    results.sort();
    assert_eq!(
        results,
        (0..4)
            .map(|n| format!("display: Out[{n}:2]: 5"))
            .collect::<Vec<_>>()
    );
    let outputs = frontend.ok("%%px\nhtml <b>x</b>").await;
    for engine in 0..4 {
        let label = format!("display: [output:{engine}]");
        let at = outputs.iter().position(|output| *output == label).unwrap();
        assert_eq!(outputs[at + 1], "display: text/html=<b>x</b> | <b>x</b>");
    }
    frontend.stop().await;
}

#[tokio::test]
async fn targets_choose_engines_and_a_single_one_has_no_labels() {
    let mut frontend = with_engines(3).await;
    assert_eq!(
        frontend.ok("%px --targets 1 print one").await,
        ["stdout: one\n"]
    );
    assert_eq!(
        frontend.ok("%px -t -1 print last").await,
        ["stdout: last\n"]
    );
    let text = stream(&frontend.ok("%%px --targets ::2\nprint x").await, "stdout");
    assert!(
        text.contains("[stdout:0]") && text.contains("[stdout:2]"),
        "{text}"
    );
    assert!(!text.contains("[stdout:1]"), "{text}");
    frontend.ok("%pxconfig --targets 2 --no-stream").await;
    assert_eq!(
        frontend.ok("%px print configured").await,
        ["stdout: configured\n"]
    );
    for (line, message) in [
        ("%px --targets 7 print x", "there is no engine 7"),
        (
            "%px --targets 0:x print x",
            "malformed targets `0:x`: `x` is not a number",
        ),
        ("%px --bogus print x", "unknown option `--bogus`"),
        ("%%px --targets 0", "there is no Rust code to run"),
    ] {
        let outputs = frontend.fails(line).await;
        assert_eq!(outputs, [format!("UsageError: {message}")], "{line}");
    }
    frontend.stop().await;
}

#[tokio::test]
async fn outputs_at_the_end_are_grouped() {
    let mut frontend = with_engines(2).await;
    let cell = "print out\neprint err\nhtml a\nhtml b\nresult 1";
    let outputs = frontend.ok(&format!("%%px --no-stream\n{cell}")).await;
    assert_eq!(
        outputs,
        [
            "stdout: [stdout:0] \nout\n[stdout:1] \nout\n",
            "stderr: [stderr:0] \nerr\n[stderr:1] \nerr\n",
            "display: [output:0]",
            "display: text/html=a | a",
            "display: text/html=b | b",
            "display: [output:1]",
            "display: text/html=a | a",
            "display: text/html=b | b",
            "display: Out[0:1]: 1",
            "display: Out[1:1]: 1",
        ]
    );
    let outputs = frontend.ok(&format!("%%px --no-stream -e\n{cell}")).await;
    let first_of_second = outputs
        .iter()
        .position(|o| o.contains("[stdout:1]"))
        .unwrap();
    assert!(
        outputs[..first_of_second].contains(&"display: Out[0:2]: 1".to_owned()),
        "{outputs:?}"
    );
    let outputs = frontend
        .ok(&format!("%%px --no-stream --group-outputs=order\n{cell}"))
        .await;
    // The first output of every engine, in the order of engines, then the second.
    let rows: Vec<_> = outputs.iter().filter(|o| o.contains("text/html")).collect();
    assert_eq!(rows.len(), 2, "{rows:?}");
    for (row, shown) in rows.iter().zip(["a", "b"]) {
        let figures = row
            .matches(&format!("</figcaption>{shown}</figure>"))
            .count();
        assert_eq!(figures, 2, "{row}");
        assert!(
            row.ends_with(&format!("[output:0] {shown}\n[output:1] {shown}")),
            "{row}"
        );
    }
    frontend.stop().await;
}

#[tokio::test]
async fn a_nonblocking_cell_returns_an_async_result() {
    let mut frontend = with_engines(2).await;
    let outputs = frontend
        .ok("%%px --noblock -o ar\nsleep 0.2\nprint late\nresult 3")
        .await;
    assert_eq!(outputs, ["result: <AsyncResult(%px): pending>"]);
    let outputs = frontend.ok("show ar").await;
    assert_eq!(outputs, ["stdout: phalanx::AsyncResult::from_id(1);\n"]);
    let outputs = frontend.ok("%pxresult").await;
    assert_eq!(
        outputs,
        [
            "stdout: [stdout:0] \nlate\n[stdout:1] \nlate\n",
            "display: Out[0:1]: 3",
            "display: Out[1:1]: 3",
        ]
    );
    assert_eq!(frontend.ok("%pxresult -o again\nshow again").await.len(), 1);
    frontend.stop().await;
}

#[tokio::test]
async fn pxresult_without_a_result_fails() {
    let mut frontend = Frontend::start().await;
    let outputs = frontend.fails("%pxresult").await;
    assert_eq!(
        outputs,
        ["UsageError: %pxresult recalls last %px result, which has not yet been used."]
    );
    frontend.stop().await;
}

#[tokio::test]
async fn the_failure_of_one_engine_names_it_and_the_others_are_shown() {
    let mut frontend = with_engines(3).await;
    frontend.ok("%px let a = 1").await;
    frontend.ok("%px -t 1 let b = 2").await;
    // Only engine 1 has `b`.
    let ran = frontend
        .execute("%%px\nprint before\nshow b\nresult 9")
        .await;
    assert_eq!(ran.reply["ename"], "CompositeError");
    let text = stream(&ran.outputs, "stdout");
    assert!(text.contains("[stdout:1] \nbefore\n2\n"), "{text}");
    assert!(
        ran.outputs.contains(&"display: Out[1:3]: 9".to_owned()),
        "{:?}",
        ran.outputs
    );
    let error = ran.outputs.last().unwrap();
    assert!(error.contains("[engines 0, 2:execute]Panic"), "{error}");
    assert!(!error.contains("[1:execute]"), "{error}");
    // The engines are in different states now, but run the same cell.
    let text = stream(&frontend.ok("%%px\nshow a").await, "stdout");
    assert_eq!(text.matches("1\n").count(), 3, "{text}");
    let one = frontend.fails("%%px -t 1\npanic alone").await;
    assert_eq!(one.last().unwrap(), "RemoteError: [1:execute] Panic: alone");
    frontend.stop().await;
}

#[tokio::test]
async fn cells_can_follow_one_whose_failure_was_not_shown() {
    let mut frontend = with_engines(2).await;
    frontend.ok("%px let a = 1").await;
    frontend.ok("%%px --noblock\nsleep 0.2\npanic late").await;
    // Compiled for the state after the last cell; the engines refuse the cell and receive another
    // compilation.
    let text = stream(&frontend.ok("%%px\nshow a").await, "stdout");
    assert_eq!(text.matches("1\n").count(), 2, "{text}");
    let outputs = frontend.ok("%%px\nlost old\nprint again").await;
    assert_eq!(stream(&outputs, "stdout").matches("again\n").count(), 2);
    // It fails while the next one is being compiled.
    frontend.ok("%%px --noblock\nsleep 0.2\npanic late").await;
    let outputs = frontend.ok("%%px\ncompile-sleep 0.6\nprint then").await;
    assert_eq!(stream(&outputs, "stdout").matches("then\n").count(), 2);
    frontend.stop().await;
}

#[tokio::test]
async fn a_cell_that_does_not_compile_runs_nowhere() {
    let mut frontend = with_engines(2).await;
    let ran = frontend
        .execute("%%px\nprint x\ncompile-error no such thing")
        .await;
    assert_eq!(ran.outputs, ["CompileError: [E0425] no such thing"]);
    let traceback = ran.reply["traceback"].to_string();
    assert!(traceback.contains("In[2]:3:1"), "{traceback}");
    frontend.stop().await;
}

#[tokio::test]
async fn a_panel_is_updated_and_ends_with_the_cluster() {
    let mut frontend = with_engines(2).await;
    let watch = frontend.send_execute("%cluster watch").await;
    let ran = frontend.ran(&watch).await;
    let first = ran.outputs.concat();
    assert!(first.contains("2 engines: 0 tasks under way"), "{first}");
    let shown = async |frontend: &mut Frontend, words: &str| {
        loop {
            let update = frontend.published_for(&watch).await;
            assert_eq!(update.header.msg_type, "update_display_data");
            let text = describe(&update).unwrap();
            if text.contains(words) {
                return text;
            }
        }
    };
    frontend.fails("%px -t 1 panic oh <no>").await;
    let panel = shown(&mut frontend, "Panic: oh").await;
    assert!(
        panel.contains("1 failed") && panel.contains("oh &lt;no&gt;"),
        "{panel}"
    );
    let status = frontend.ok("%cluster status").await;
    assert!(status[0].contains("Panic: oh <no>"), "{status:?}");
    frontend.ok("%cluster stop").await;
    shown(&mut frontend, "No longer watched.").await;
    assert_eq!(
        frontend.fails("%cluster watch").await,
        ["UsageError: no cluster is running"]
    );
    frontend.stop().await;
}

#[tokio::test]
async fn a_killed_engine_is_reported_and_the_others_continue() {
    let mut frontend = with_engines(3).await;
    let pids = frontend.ok("%%px --no-stream\npid").await;
    assert_eq!(pids.len(), 1);
    let status = frontend.ok("%cluster status").await;
    let row = status[0]
        .lines()
        .find(|line| line.trim_start().starts_with("1 "))
        .unwrap();
    let pid = row.split_whitespace().nth(2).unwrap().parse().unwrap();
    let id = frontend
        .send_execute("%%px\nprint begun\nsleep 1\nprint done")
        .await;
    frontend
        .wait_for_text(&id, &["[stdout:0]", "[stdout:1]", "[stdout:2]"])
        .await;
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let ran = frontend.ran(&id).await;
    assert_eq!(ran.reply["ename"], "RemoteError", "{:?}", ran.outputs);
    assert!(
        ran.reply["evalue"]
            .as_str()
            .unwrap()
            .contains("EngineError"),
        "{:?}",
        ran.outputs
    );
    assert_eq!(
        stream(&ran.outputs, "stdout").matches("done\n").count(),
        2,
        "{:?}",
        ran.outputs
    );
    let status = frontend.ok("%cluster status").await;
    assert!(status[0].contains("2 engines running"), "{status:?}");
    assert!(status[0].contains("ended (signal: 9"), "{status:?}");
    let text = stream(&frontend.ok("%px print on").await, "stdout");
    assert_eq!(text.matches("on\n").count(), 2, "{text}");
    frontend.stop().await;
}

#[tokio::test]
async fn an_engine_whose_runtime_dies_loses_only_its_cell() {
    let mut frontend = with_engines(2).await;
    frontend.ok("%px let a = 1").await;
    let outputs = frontend.fails("%px -t 0 abort").await;
    let error = outputs.last().unwrap();
    assert!(
        error.contains("RemoteError: [0:execute] RuntimeDied"),
        "{error}"
    );
    let text = stream(&frontend.ok("%px show a").await, "stdout");
    assert_eq!(text.matches("1\n").count(), 2, "{text}");
    frontend.stop().await;
}

#[tokio::test]
async fn an_engine_without_a_snapshot_loses_its_variables_and_continues() {
    let mut frontend = with_engines(2).await;
    frontend.ok("%px let a = 1").await;
    // A process with a running thread cannot be snapshotted.
    frontend.ok("%px -t 0 work busy").await;
    let outputs = frontend.fails("%px -t 0 abort").await;
    assert!(
        stream(&outputs, "stderr").contains("without a snapshot"),
        "{outputs:?}"
    );
    let outputs = frontend.fails("%px show a").await;
    assert!(
        stream(&outputs, "stdout").contains("[stdout:1] \n1\n"),
        "{outputs:?}"
    );
    frontend.ok("%px let a = 2").await;
    let text = stream(&frontend.ok("%px show a").await, "stdout");
    assert_eq!(text.matches("2\n").count(), 2, "{text}");
    frontend.stop().await;
}

#[tokio::test]
async fn an_interrupt_stops_the_engines() {
    let mut frontend = with_engines(2).await;
    frontend.ok("%px let kept = 1 2 3").await;
    let id = frontend.send_execute("%%px\nprint begun\nsleep 600").await;
    frontend
        .wait_for_text(&id, &["[stdout:0]", "[stdout:1]"])
        .await;
    frontend.ask_control("interrupt_request", json!({})).await;
    let ran = frontend.ran(&id).await;
    assert_eq!(ran.reply["status"], "error");
    assert!(stream(&ran.outputs, "stderr").contains("Sending signal SIGINT to engines"));
    assert!(
        ran.outputs.last().unwrap().contains("Interrupted"),
        "{:?}",
        ran.outputs
    );
    let text = stream(&frontend.ok("%px show kept").await, "stdout");
    assert_eq!(text.matches("1 2 3\n").count(), 2, "{text}");
    frontend.stop().await;
}

#[tokio::test]
async fn an_interrupt_ends_a_cell_that_began_without_variables_it_needs() {
    let mut frontend = with_engines(2).await;
    let cell = "%%px\ncompile-sleep 1\nprint begun\nlost a\nprint ran";
    let id = frontend.send_execute(cell).await;
    frontend
        .wait_for_text(&id, &["[stdout:0]", "[stdout:1]"])
        .await;
    // Compiled again without the variable.
    frontend.ask_control("interrupt_request", json!({})).await;
    let ran = frontend.ran(&id).await;
    assert_eq!(
        ran.reply["evalue"],
        "the cell was interrupted; engines 0, 1 had not begun"
    );
    assert!(
        !stream(&ran.outputs, "stdout").contains("ran"),
        "{:?}",
        ran.outputs
    );
    frontend.ok("%px print next").await;
    frontend.stop().await;
}

#[tokio::test]
async fn a_bar_is_shown_for_slow_cells() {
    let mut frontend = with_engines(2).await;
    let outputs = frontend.ok("%%px --progress-after 0\nsleep 0.5").await;
    assert!(
        outputs[0].starts_with("display: ") && outputs[0].contains("progressbar"),
        "{outputs:?}"
    );
    assert!(outputs.len() > 2, "{outputs:?}");
    let last = outputs.last().unwrap();
    assert!(
        last.starts_with("update: ") && last.contains("%px: 100%"),
        "{last}"
    );
    assert!(
        outputs
            .iter()
            .skip(1)
            .all(|output| output.starts_with("update: ")),
        "{outputs:?}"
    );
    assert!(
        frontend
            .ok("%%px --progress-after -1\nsleep 0.2")
            .await
            .is_empty()
    );
    frontend.stop().await;
}

#[tokio::test]
async fn outputs_of_the_local_run_precede_those_of_the_engines() {
    let mut frontend = with_engines(2).await;
    let outputs = frontend.ok("%%px --local\nprint here").await;
    assert_eq!(
        outputs,
        [
            "stdout: here\n",
            "stdout: [stdout:0] \nhere\n[stdout:1] \nhere\n"
        ]
    );
    frontend.stop().await;
}

#[tokio::test]
async fn magics_within_running_code_run_and_fail_with_their_own_error() {
    let mut frontend = with_engines(2).await;
    let outputs = frontend
        .ok("print first\nmagic %px print engine\nprint last")
        .await;
    let text = stream(&outputs, "stdout");
    assert!(
        text.starts_with("first\n") && text.ends_with("last\n"),
        "{text}"
    );
    assert!(text.contains("[stdout:0] \nengine\n") && text.contains("[stdout:1] \nengine\n"));
    let ran = frontend
        .execute("print a\nmagic %px --targets 9 print x\nprint b")
        .await;
    assert_eq!(
        ran.outputs,
        ["stdout: a\n", "UsageError: there is no engine 9"]
    );
    let ran = frontend
        .execute("print a\nmagic %px compile-error there")
        .await;
    let traceback = ran.reply["traceback"].to_string();
    assert!(traceback.contains("In[4]:2:11"), "{traceback}");
    let ran = frontend.execute("magic %px panic remote").await;
    assert_eq!(ran.reply["ename"], "CompositeError");
    frontend.stop().await;
}

#[tokio::test]
async fn a_cluster_starts_on_demand_and_stops_on_request() {
    let mut frontend = Frontend::start().await;
    let status = frontend.ok("%cluster status").await;
    assert!(status[0].contains("No cluster is running"), "{status:?}");
    assert_eq!(
        frontend.fails("%cluster stop").await,
        ["UsageError: no cluster is running"]
    );
    let outputs = frontend.ok("%px -t 0 print up").await;
    assert!(
        outputs[0].contains("No cluster was running, so one was started"),
        "{outputs:?}"
    );
    assert_eq!(outputs[1], "stdout: up\n");
    let again = frontend.ok("%cluster start").await;
    assert!(again[0].contains("was running already."), "{again:?}");
    let before = family(frontend.pid()).len();
    let outputs = frontend.ok("%cluster stop").await;
    assert!(outputs[0].starts_with("stdout: Stopped "), "{outputs:?}");
    assert!(family(frontend.pid()).len() < before);
    // AsyncResults outlive their cluster, and differ from those of the next one.
    frontend.ok("%cluster start -n 1").await;
    let again = frontend.ok("%cluster start -n 2").await;
    assert!(
        again[0].contains("A cluster of 1 engine was running; started 1 more in"),
        "{again:?}"
    );
    assert_eq!(frontend.ok("%px -t 0 --noblock print new").await.len(), 1);
    assert_eq!(frontend.ok("%pxresult").await, ["stdout: new\n"]);
    frontend.stop().await;
}

#[tokio::test]
async fn a_cluster_whose_controller_is_shut_down_has_ended() {
    let mut frontend = with_engines(1).await;
    let shutdown = json!({"Shutdown": {"engines": [0], "hub": true}});
    let outputs = frontend.ok(&format!("client {shutdown}")).await;
    assert!(stream(&outputs, "stdout").contains("Done"), "{outputs:?}");
    let outputs = frontend.ok("%cluster start -n 1").await;
    let text = stream(&outputs, "stdout");
    assert!(text.starts_with("Started 1 engine"), "{text}");
    frontend.stop().await;
}

#[tokio::test]
async fn a_call_for_no_engine_is_not_told_that_there_are_none() {
    let mut frontend = Frontend::start().await;
    let outputs = frontend.fails("%cluster sync").await;
    assert_eq!(outputs, ["UsageError: no cluster is running"]);
    let none = json!({"Start": {"engines": 0}});
    let outputs = frontend.ok(&format!("client {none}")).await;
    let text = stream(&outputs, "stdout");
    assert!(text.contains("`0` is not a number of engines"), "{text}");
    frontend.ok("%cluster start -n 2").await;
    let execute = json!({"Execute": {"source": "print x", "engines": []}});
    let outputs = frontend.ok(&format!("client {execute}")).await;
    let text = stream(&outputs, "stdout");
    assert!(text.contains("the call selects no engine"), "{text}");
    assert!(text.contains("the engines are 0, 1"), "{text}");
    let outputs = frontend.ok("client \"RequireEngines\"").await;
    assert!(stream(&outputs, "stdout").contains("[0,1]"), "{outputs:?}");
    frontend.stop().await;
}

#[tokio::test]
async fn a_name_that_no_engine_has_any_more_is_not_blamed_on_one() {
    let mut frontend = with_engines(2).await;
    frontend.ok("%px let a = 1").await;
    frontend.ok("%px -t 0 let b = 2").await;
    frontend.ok("%px move a").await;
    let ran = frontend.execute("%px call a").await;
    let traceback = ran.reply["traceback"].to_string();
    assert!(traceback.contains("`a` was moved by In[4]"), "{traceback}");
    assert!(!traceback.contains("run other cells"), "{traceback}");
    frontend.stop().await;
}

#[tokio::test]
async fn a_dependency_is_added_everywhere() {
    let mut frontend = with_engines(1).await;
    assert!(frontend.ok(":dep serde = \"1\"").await.is_empty());
    let outputs = frontend
        .ok("%%px -t 0\n:dep rand = \"0.9\"\nprint with rand")
        .await;
    assert_eq!(outputs, ["stdout: with rand\n"]);
    assert!(frontend.ok("%%px\n:dep either").await.is_empty());
    let outputs = frontend.fails("%%px\n:vars\nprint x").await;
    assert_eq!(outputs, ["UsageError: engines do not execute `:vars`"]);
    frontend.stop().await;
}

#[tokio::test]
async fn completion_offers_the_engines_variables() {
    let mut frontend = with_engines(1).await;
    frontend.ok("%px let printed = 1").await;
    let ask = json!({"code": "%%px\nlet x = pri", "cursor_pos": 16});
    let reply = frontend.ask("complete_request", ask).await;
    let matches: Vec<&str> = reply["matches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| found.as_str().unwrap())
        .collect();
    assert!(matches.contains(&"printed"), "{matches:?}");
    assert_eq!(reply["cursor_start"], 13);
    frontend.stop().await;
}

#[tokio::test]
async fn shutdown_with_pending_tasks_leaves_no_process() {
    let mut frontend = with_engines(2).await;
    frontend.ok("%%px --noblock\nsleep 600").await;
    limited("the end", frontend.stop()).await;
}

#[tokio::test]
async fn output_after_the_end_of_a_cell_is_shown_under_it() {
    let mut frontend = with_engines(1).await;
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let waits = format!("start until [ -e {} ]; do :; done; echo late", go.display());
    let id = frontend.send_execute(&format!("%%px\n{waits}")).await;
    let ran = frontend.ran(&id).await;
    assert_eq!(ran.reply["status"], "ok");
    std::fs::write(go, "").unwrap();
    let shown = frontend.text_until(&id, "late").await;
    assert!(shown.starts_with("[stdout:0]"), "{shown}");
    frontend.stop().await;
}

#[tokio::test]
async fn a_failure_is_shown_once_while_other_engines_run() {
    let mut frontend = with_engines(3).await;
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    // Engine 1 waits for a file; the others lack the variable.
    frontend.ok("%px let a = 1").await;
    frontend.ok("%px -t 1 let b = 2").await;
    let waits = format!("wait until [ -e {} ]; do :; done", go.display());
    let id = frontend
        .send_execute(&format!("%%px\nshow b\n{waits}"))
        .await;
    frontend
        .wait_for_text(&id, &["[engines 0, 2:execute]", "gone missing"])
        .await;
    std::fs::write(go, "").unwrap();
    let ran = frontend.ran(&id).await;
    assert_eq!(ran.reply["ename"], "CompositeError");
    let text = stream(&ran.outputs, "stderr");
    assert_eq!(text.matches("gone missing").count(), 1, "{text}");
    let traceback = ran.reply["traceback"].as_array().unwrap();
    assert_eq!(traceback.len(), 1, "{traceback:?}");
    frontend.stop().await;
}
