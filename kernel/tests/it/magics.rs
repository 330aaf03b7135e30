//! The parallel magics and their options, as seen by a frontend.

use crate::Frontend;
use crate::cluster::{stream, with_engines};
use serde_json::{Value, json};
use std::process::Command;

/// A cell with every kind of output.
const CELL: &str = "print out\neprint err\nhtml a\nresult 1";

#[tokio::test]
async fn every_option_works_in_short_and_long_form_on_line_and_cell_magics() {
    let mut frontend = with_engines(3).await;
    for (options, expected) in [
        ("-t 1", "x\n"),
        ("--targets 1", "x\n"),
        ("--targets=-1", "x\n"),
        ("-t 0,2 --no-stream", "[stdout:0] \nx\n[stdout:2] \nx\n"),
        (
            "-t [2, 0] --no-stream -b",
            "[stdout:0] \nx\n[stdout:2] \nx\n",
        ),
        (
            "--targets ::2 --no-stream --block",
            "[stdout:0] \nx\n[stdout:2] \nx\n",
        ),
        ("-t 1: --stream", "[stdout:1] \nx\n[stdout:2] \nx\n"),
        (
            "-t 1 --progress-after -1 --signal-on-interrupt TERM --no-verbose",
            "x\n",
        ),
        ("-t 1 --verbose", "Parallel execution on engine(s): 1\nx\n"),
        (
            "-t :2 --verbose --no-stream",
            "Parallel execution on engine(s): [0, 1]\n[stdout:0] \nx\n[stdout:1] \nx\n",
        ),
        (
            "--verbose --no-stream",
            "Parallel execution on engine(s): all\n[stdout:0] \nx\n[stdout:1] \nx\n[stdout:2] \nx\n",
        ),
    ] {
        for cell in [
            format!("%px {options} print x"),
            format!("%%px {options}\nprint x"),
        ] {
            assert_eq!(
                stream(&frontend.ok(&cell).await, "stdout"),
                expected,
                "{cell}"
            );
        }
    }
    for not_waited in ["-a", "--noblock"] {
        for name in ["-o ar", "--out ar", "--out=ar"] {
            let outputs = frontend
                .ok(&format!("%px {not_waited} {name} -t 0 print x"))
                .await;
            assert_eq!(outputs, ["result: <AsyncResult(%px): pending>"]);
            assert_eq!(frontend.ok("%result").await, ["stdout: x\n"]);
            assert_eq!(frontend.ok("show ar").await.len(), 1);
        }
    }
    frontend.stop().await;
}

#[tokio::test]
async fn groups_are_formatted_as_in_ipyparallel() {
    let mut frontend = with_engines(2).await;
    let by_type = [
        "stdout: [stdout:0] \nout\n[stdout:1] \nout\n",
        "stderr: [stderr:0] \nerr\n[stderr:1] \nerr\n",
        "display: [output:0]",
        "display: text/html=a | a",
        "display: [output:1]",
        "display: text/html=a | a",
        "display: Out[0:N]: 1",
        "display: Out[1:N]: 1",
    ];
    let by_engine = [
        "stdout: [stdout:0] \nout\n",
        "stderr: [stderr:0] \nerr\n",
        "display: [output:0]",
        "display: text/html=a | a",
        "display: Out[0:N]: 1",
        "stdout: [stdout:1] \nout\n",
        "stderr: [stderr:1] \nerr\n",
        "display: [output:1]",
        "display: text/html=a | a",
        "display: Out[1:N]: 1",
    ];
    let cases = [
        ("", &by_type[..]),
        ("--group-outputs type", &by_type),
        ("--group-outputs=engine", &by_engine),
        ("-e", &by_engine),
    ];
    for (number, (option, expected)) in cases.into_iter().enumerate() {
        let count = format!(":{}]", number + 1);
        let expected: Vec<String> = expected.iter().map(|o| o.replace(":N]", &count)).collect();
        let outputs = frontend
            .ok(&format!("%%px --no-stream {option}\n{CELL}"))
            .await;
        assert_eq!(outputs, expected, "{option}");
        assert_eq!(
            frontend.ok(&format!("%pxresult {option}")).await,
            expected,
            "{option}"
        );
    }
    for option in ["-r", "--group-outputs order"] {
        let outputs = frontend
            .ok(&format!("%%px --no-stream {option}\n{CELL}"))
            .await;
        assert_eq!(outputs.len(), 5, "{outputs:?}");
        assert!(
            outputs[2].contains("[output:0]</figcaption>a</figure>"),
            "{outputs:?}"
        );
        assert!(
            outputs[2].contains("[output:1]</figcaption>a</figure>"),
            "{outputs:?}"
        );
        let again = frontend.ok(&format!("%pxresult {option}")).await;
        assert_eq!(again, outputs);
    }
    let ran = frontend.execute(&format!("%%px --no-stream\n{CELL}")).await;
    let engines: Vec<&Value> = ran
        .messages
        .iter()
        .filter(|message| message.content["data"].get("text/html").is_some())
        .map(|message| &message.content["metadata"]["engine"])
        .collect();
    assert_eq!(engines, [0, 1]);
    frontend.stop().await;
}

#[tokio::test]
async fn pxconfig_sets_defaults_that_options_override() {
    let mut frontend = with_engines(2).await;
    frontend
        .ok("%pxconfig -t 1 -a --no-stream --verbose --progress-after 0 --signal-on-interrupt 0")
        .await;
    let outputs = frontend.ok("%px print x").await;
    assert_eq!(
        outputs[0],
        "stdout: Async parallel execution on engine(s): 1\n"
    );
    assert_eq!(
        outputs.last().unwrap(),
        "result: <AsyncResult(%px): pending>"
    );
    frontend
        .ok("%pxconfig --block --no-verbose --progress-after -1")
        .await;
    assert_eq!(frontend.ok("%px print x").await, ["stdout: x\n"]);
    assert_eq!(
        frontend.ok("%px -t all print x").await,
        ["stdout: [stdout:0] \nx\n[stdout:1] \nx\n"]
    );
    assert_eq!(frontend.ok("%px print x").await, ["stdout: x\n"]);
    frontend.stop().await;
}

#[tokio::test]
async fn autopx_sends_every_cell_to_the_engines() {
    let mut frontend = with_engines(2).await;
    frontend.ok("%pxconfig --no-stream").await;
    frontend.ok("let here = 1").await;
    assert_eq!(frontend.ok("%autopx").await, ["stdout: %autopx enabled\n"]);
    frontend.ok("let there = 2").await;
    let outputs = frontend.ok("// no magic\nshow there\nprint é").await;
    assert_eq!(outputs, ["stdout: [stdout:0] \n2\né\n[stdout:1] \n2\né\n"]);
    // Magics still work, including those with targets.
    assert_eq!(frontend.ok("%px -t 0 show there").await, ["stdout: 2\n"]);
    let ran = frontend.execute("print a\npanic there").await;
    assert_eq!(ran.reply["ename"], "CompositeError");
    let error = frontend.execute("print a\ncompile-error no").await;
    assert!(
        error.reply["traceback"].to_string().contains("In[9]:2:1"),
        "{:?}",
        error.reply
    );
    assert_eq!(frontend.ok("%autopx").await, ["stdout: %autopx disabled\n"]);
    assert_eq!(frontend.ok("show here").await, ["stdout: 1\n"]);
    frontend.stop().await;
}

#[tokio::test]
async fn suffixes_make_sets_of_magics() {
    let mut frontend = with_engines(3).await;
    let outputs = frontend.fails("%px0 print x").await;
    assert_eq!(outputs, ["UsageError: unknown magic `%px0`"]);
    frontend
        .ok("%pxactivate -t 0 0\n%pxactivate --targets 1: --no-stream _rest")
        .await;
    assert_eq!(frontend.ok("%px0 print x").await, ["stdout: x\n"]);
    let rest = "stdout: [stdout:1] \ny\n[stdout:2] \ny\n";
    assert_eq!(frontend.ok("%%px_rest\nprint y").await, [rest]);
    // Each set has its own last result.
    assert_eq!(frontend.ok("%pxresult0").await, ["stdout: x\n"]);
    assert_eq!(frontend.ok("%pxresult_rest").await, [rest]);
    assert!(frontend.fails("%pxresult").await[0].contains("has not yet been used"));
    frontend.ok("%pxconfig0 -t 2 --noblock").await;
    let outputs = frontend.ok("%px0 print z").await;
    assert_eq!(outputs, ["result: <AsyncResult(%px): pending>"]);
    frontend.ok("%autopx_rest").await;
    assert_eq!(frontend.ok("print y").await, [rest]);
    frontend.ok("%autopx_rest").await;
    assert_eq!(
        frontend.fails("%pxactivate result").await,
        ["UsageError: `result` cannot be the suffix of magics"]
    );
    frontend.stop().await;
}

#[tokio::test]
async fn a_failure_on_engines_is_located_in_the_file_that_the_cell_runs() {
    let mut frontend = with_engines(2).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("work.rs");
    std::fs::write(&file, "%px panic boom\n").unwrap();
    let ran = frontend.execute(&format!("%run {}", file.display())).await;
    let traceback = ran.reply["traceback"].to_string();
    assert!(
        traceback.contains("work.rs, line 1: %px panic boom"),
        "{traceback}"
    );
    frontend.stop().await;
}

#[tokio::test]
async fn clusters_are_scaled_restarted_and_shown() {
    let mut frontend = with_engines(2).await;
    frontend.ok("%px let a = 1").await;
    let outputs = frontend.ok("%cluster scale 4").await;
    assert!(
        outputs[0].starts_with("stdout: Scaled from 2 engines to 4 in "),
        "{outputs:?}"
    );
    // The new engines have another history; the cell runs on all of them.
    let text = stream(&frontend.ok("%px print x").await, "stdout");
    assert_eq!(text.matches("x\n").count(), 4);
    let table = frontend.ok("%engines").await;
    let rows: Vec<&str> = table[0].lines().collect();
    assert!(
        rows.iter()
            .any(|row| row.trim_start().starts_with("0 ") && row.ends_with(" a")),
        "{table:?}"
    );
    assert!(
        rows.iter()
            .any(|row| row.trim_start().starts_with("3 ") && !row.ends_with(" a")),
        "{table:?}"
    );
    let outputs = frontend.ok("%cluster restart -t 1").await;
    assert!(
        outputs[0].starts_with("stdout: Restarted 1 engine in "),
        "{outputs:?}"
    );
    let outputs = frontend.fails("%px -t 1 show a").await;
    assert!(
        outputs.last().unwrap().contains("gone missing"),
        "{outputs:?}"
    );
    assert_eq!(frontend.ok("%px -t 0 show a").await, ["stdout: 1\n"]);
    frontend.ok("%cluster scale -n 1").await;
    assert_eq!(
        frontend.ok("%px --no-stream show a").await,
        ["stdout: [stdout:0] \n1\n"]
    );
    frontend.ok("%cluster restart").await;
    let outputs = frontend.ok("%cluster scale 2").await;
    assert!(
        outputs[0].ends_with(" s.\n"),
        "nothing is missing: {outputs:?}"
    );
    frontend.ok("%cluster scale 1").await;
    assert!(frontend.fails("%px -t 0 show a").await.len() == 1);
    for (line, message) in [
        ("%cluster restart -t 7", "there is no engine 7"),
        (
            "%cluster connect",
            "a cluster of 1 engine is running already",
        ),
        ("%cluster scale none", "`none` is not a number of engines"),
    ] {
        assert_eq!(
            frontend.fails(line).await,
            [format!("UsageError: {message}")]
        );
    }
    frontend.stop().await;
}

#[tokio::test]
async fn sync_replays_definitions_on_late_engines() {
    let mut frontend = with_engines(2).await;
    frontend.ok("%%px\nfn f() {}\nlet a = 1").await;
    frontend.ok("%%px\nfn g() { call f }").await;
    assert_eq!(
        frontend.ok("%cluster sync").await,
        ["stdout: 2 engines up to date.\n"]
    );
    let scaled = frontend.ok("%cluster scale 3").await;
    assert!(
        scaled[0].contains("The new engines lack the definitions and variables of the others"),
        "{scaled:?}"
    );
    let failed = frontend.fails("%%px -t 2\ncall g").await;
    assert!(failed[0].starts_with("CompileError"), "{failed:?}");
    // If it compiles for some engines only, the others are named.
    let ran = frontend.execute("%%px\ncall g").await;
    let traceback = ran.reply["traceback"].to_string();
    assert!(traceback.contains("so it is on engine 2"), "{traceback}");
    assert_eq!(
        frontend.ok("%cluster sync").await,
        [
            "stdout: Engine 2: replayed fn f, fn g; the values of variables are not copied: run the cells that define a with `%%px --targets 2`\n"
        ]
    );
    frontend.ok("%%px\ncall g").await;
    frontend.ok("%px -t 2 let a = 2").await;
    assert_eq!(
        frontend.ok("%cluster sync").await,
        ["stdout: 3 engines up to date.\n"]
    );
    let text = stream(&frontend.ok("%px show a").await, "stdout");
    assert!(text.contains("1\n") && text.contains("2\n"), "{text}");
    frontend.stop().await;
}

#[tokio::test]
async fn a_cluster_outlives_the_notebooks_that_connect_to_it() {
    let home = tempfile::tempdir().unwrap();
    let phalanx = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_phalanx"))
            .arg("cluster")
            .args(args)
            .env("XDG_DATA_HOME", home.path())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.success(),
            text(output.stdout) + &text(output.stderr),
        )
    };
    let start = [
        "start",
        "-n",
        "2",
        "--echo",
        "--daemonize",
        "--cluster-id",
        "alpha",
    ];
    let (ok, printed) = phalanx(&start);
    assert!(
        ok && printed.starts_with("cluster alpha: 2 engines in "),
        "{printed}"
    );
    let file = printed.trim().rsplit(' ').next().unwrap();
    let (ok, printed) = phalanx(&start);
    assert!(!ok && printed.contains("is running already"), "{printed}");
    for value in [7, 8] {
        let mut frontend = Frontend::start().await;
        assert!(
            frontend.fails("%cluster connect /no/such").await[0].contains("no connection file")
        );
        let outputs = frontend.ok(&format!("%cluster connect {file}")).await;
        assert!(outputs[0].ends_with(": 2 engines.\n"), "{outputs:?}");
        assert!(frontend.fails("%cluster scale 3").await[0].contains("cannot be scaled"));
        if value == 7 {
            let outputs = frontend.ok("%px --no-stream print x").await;
            assert_eq!(outputs, ["stdout: [stdout:0] \nx\n[stdout:1] \nx\n"]);
            let outputs = frontend.ok("%cluster stop").await;
            assert!(outputs[0].contains("which keeps running"), "{outputs:?}");
        }
        frontend.stop().await;
    }
    let (_, printed) = phalanx(&["list"]);
    assert!(
        printed.starts_with("1 cluster\n") && printed.contains("alpha"),
        "{printed}"
    );
    let (_, printed) = phalanx(&["list", "--output", "json"]);
    assert_eq!(
        serde_json::from_str::<Value>(&printed).unwrap()[0]["engines"],
        2
    );
    let (_, printed) = phalanx(&["status"]);
    assert!(
        printed.starts_with("cluster alpha: 2 of 2 engines"),
        "{printed}"
    );
    assert!(!phalanx(&["stop", "beta"]).0);
    assert_eq!(
        phalanx(&["stop"]),
        (true, "stopped cluster alpha\n".to_owned())
    );
    assert!(phalanx(&["list"]).1.starts_with("no cluster is running"));
    assert!(!phalanx(&["start", "--cluster-id", "../x"]).0);
}

#[test]
fn a_cluster_of_a_profile_has_the_files_and_the_name_of_the_profile() {
    let home = tempfile::tempdir().unwrap();
    let phalanx = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_phalanx"))
            .arg("cluster")
            .args(args)
            .env("XDG_DATA_HOME", home.path())
            .env("IPYTHONDIR", home.path())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.success(),
            text(output.stdout) + &text(output.stderr),
        )
    };
    let start = [
        "start",
        "-n",
        "1",
        "--echo",
        "--daemonize",
        "--profile",
        "lab",
    ];
    let (ok, printed) = phalanx(&start);
    assert!(ok, "{printed}");
    let security = home.path().join("profile_lab/security");
    for file in ["cluster-.json", "ipcontroller-client.json"] {
        assert!(security.join(file).exists(), "{file}: {printed}");
    }
    let (ok, printed) = phalanx(&start);
    assert!(
        !ok && printed.contains("of the profile lab is running already"),
        "{printed}"
    );
    let (ok, printed) = phalanx(&["stop", "lab"]);
    assert!(ok && printed.starts_with("stopped cluster "), "{printed}");
    assert!(!security.join("cluster-.json").exists());
}

#[tokio::test]
async fn an_interrupt_reports_the_engines_it_stopped() {
    let mut frontend = with_engines(2).await;
    frontend.ok("%px -t 1 let go = 1").await;
    // Engine 0 has no `go`, so it finishes at once.
    let id = frontend
        .send_execute("%%px --progress-after -1\nprint begun\nshow go\nsleep 600")
        .await;
    frontend.wait_for_text(&id, &["[stdout:1]", "\n1\n"]).await;
    frontend.ask_control("interrupt_request", json!({})).await;
    let ran = frontend.ran(&id).await;
    // A failure of its own takes precedence over the interrupt.
    assert_eq!(ran.reply["ename"], "CompositeError", "{:?}", ran.outputs);

    let id = frontend.send_execute("%%px\nprint begun\nsleep 600").await;
    frontend
        .wait_for_text(&id, &["[stdout:0]", "[stdout:1]"])
        .await;
    frontend.ask_control("interrupt_request", json!({})).await;
    let ran = frontend.ran(&id).await;
    assert_eq!(ran.reply["ename"], "Interrupted");
    assert_eq!(
        ran.reply["evalue"],
        "the cell was interrupted; engines 0, 1 were stopped"
    );
    let stderr = stream(&ran.outputs, "stderr");
    assert_eq!(
        stderr,
        "Received Keyboard Interrupt. Sending signal SIGINT to engines...\n"
    );
    let text = stream(&frontend.ok("%px print on").await, "stdout");
    assert_eq!(text.matches("on\n").count(), 2, "{text}");
    frontend.stop().await;
}

#[tokio::test]
async fn the_signal_of_an_interrupt_is_chosen() {
    let mut frontend = with_engines(2).await;
    let id = frontend
        .send_execute("%%px --signal-on-interrupt 0\nprint begun\nsleep 5\nprint unseen")
        .await;
    frontend
        .wait_for_text(&id, &["[stdout:0]", "[stdout:1]"])
        .await;
    frontend.ask_control("interrupt_request", json!({})).await;
    let ran = frontend.ran(&id).await;
    assert_eq!(
        ran.reply["evalue"],
        "the cell was interrupted; engines 0, 1 still run it"
    );
    // They continue, so the result can be shown later.
    let outputs = frontend.ok("%pxresult").await;
    assert_eq!(stream(&outputs, "stdout").matches("unseen").count(), 2);

    // The signal has no effect, and a second interrupt ends the wait.
    let id = frontend
        .send_execute("%%px --signal-on-interrupt CONT\nprint begun\nsleep 600")
        .await;
    frontend
        .wait_for_text(&id, &["[stdout:0]", "[stdout:1]"])
        .await;
    frontend.ask_control("interrupt_request", json!({})).await;
    frontend.ask_control("interrupt_request", json!({})).await;
    let ran = frontend.ran(&id).await;
    assert!(
        ran.reply["evalue"]
            .as_str()
            .unwrap()
            .ends_with("engines 0, 1 still run it")
    );

    let id = frontend
        .send_execute("%%px --signal-on-interrupt SIGTERM -t 0\nsleep 600")
        .await;
    frontend.begun(&id).await;
    frontend.ask_control("interrupt_request", json!({})).await;
    let ran = frontend.ran(&id).await;
    assert_eq!(ran.reply["status"], "error");
    frontend.stop().await;
}

#[tokio::test]
async fn bars_of_engines_move_in_place() {
    let mut frontend = with_engines(2).await;
    let cell =
        "%%px\nwrite  5%\rx\nsleep 0.3\nwrite 50%\ry\nsleep 0.3\nwrite \rdone\nprint .\nprint end";
    let outputs = frontend.ok(cell).await;
    for engine in 0..2 {
        let label = format!("[stdout:{engine}] ");
        let shown: Vec<&String> = outputs
            .iter()
            .filter(|o| o.starts_with("display: ") && o.contains(&label))
            .collect();
        assert_eq!(shown.len(), 1, "{outputs:?}");
        let last = outputs
            .iter()
            .rfind(|o| o.starts_with("update: ") && o.contains(&label));
        assert_eq!(
            last.unwrap(),
            &format!("update: {label}done."),
            "{outputs:?}"
        );
    }
    assert_eq!(stream(&outputs, "stdout").matches("end\n").count(), 2);
    frontend.stop().await;
}

#[tokio::test]
async fn a_bar_is_shown_while_compiling() {
    let mut frontend = with_engines(2).await;
    let outputs = frontend
        .ok("%%px --progress-after 0\ncompile-sleep 0.4\nsleep 0.2")
        .await;
    assert!(
        outputs[0].contains("%px: compiling for 2 engines"),
        "{outputs:?}"
    );
    assert!(outputs.last().unwrap().contains("%px: 100%"), "{outputs:?}");
    assert!(
        outputs[1..].iter().all(|o| o.starts_with("update: ")),
        "{outputs:?}"
    );
    let outputs = frontend
        .ok("%%px --progress-after 0 --noblock\ncompile-sleep 0.4")
        .await;
    assert!(
        outputs.iter().any(|o| o.contains("%px: compiled and sent")),
        "{outputs:?}"
    );
    let outputs = frontend
        .fails("%%px --progress-after 0\ncompile-sleep 0.4\ncompile-error no")
        .await;
    assert!(
        outputs.iter().any(|o| o.contains("%px: not compiled")),
        "{outputs:?}"
    );
    frontend.stop().await;
}

#[tokio::test]
async fn much_output_arrives_complete_and_once() {
    let mut frontend = with_engines(4).await;
    let ran = frontend
        .execute("%%px --progress-after -1\nlines 10000")
        .await;
    assert_eq!(ran.reply["status"], "ok");
    let text = stream(&ran.outputs, "stdout");
    // Grouped by engine, without newlines: a label ends an incomplete line.
    let mut texts = vec![String::new(); 4];
    let mut engine = 0;
    for line in text.lines() {
        match line.strip_prefix("[stdout:") {
            Some(label) => engine = label[..1].parse().unwrap(),
            None => texts[engine].push_str(line),
        }
    }
    let whole: String = (0..10_000)
        .map(|n| format!("line {n} of a flood of lines"))
        .collect();
    assert!(texts.iter().all(|text| *text == whole));
    let wanted = 4 * (whole.len() + 10_000);
    let sent: usize = ran
        .messages
        .iter()
        .map(|message| {
            message.content.to_string().len()
                - message.content["text"]
                    .as_str()
                    .map_or(0, |text| text.matches('\n').count())
        })
        .sum();
    assert!(
        (sent as f64) < 1.2 * wanted as f64,
        "{sent} bytes for {wanted}"
    );
    frontend.stop().await;
}

#[tokio::test]
async fn completion_offers_names_options_and_targets() {
    let mut frontend = with_engines(2).await;
    frontend
        .ok("%pxactivate -t 1 _one\n%px -t 1 let printed = 1")
        .await;
    let offered = async |frontend: &mut Frontend, cell: &str, cursor: usize| -> Vec<String> {
        let ask = json!({"code": cell, "cursor_pos": cursor});
        let reply = frontend.ask("complete_request", ask).await;
        let matches = reply["matches"].as_array().unwrap().clone();
        matches
            .iter()
            .map(|m| m.as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(offered(&mut frontend, "%%px_", 5).await, ["%%px_one"]);
    assert_eq!(
        offered(&mut frontend, "%%px --sig\nprint x", 10).await,
        ["--signal-on-interrupt"]
    );
    assert_eq!(
        offered(&mut frontend, "%%px -t ", 8).await,
        ["all", ":", "::2", "0", "1"]
    );
    // In the body and on the line: the variables of the targeted engines.
    for (cell, cursor, known) in [
        ("%%px_one\npri", 12, true),
        ("%%px -t 1\npri", 13, true),
        ("%%px -t 0\npri", 13, false),
        ("%px -t 1 pri", 12, true),
    ] {
        let found = offered(&mut frontend, cell, cursor).await;
        assert_eq!(
            found.contains(&"printed".to_owned()),
            known,
            "{cell}: {found:?}"
        );
    }
    frontend.stop().await;
}

#[tokio::test]
async fn malformed_magics_fail_and_unusual_texts_arrive() {
    let mut frontend = with_engines(2).await;
    for line in [
        "%%px -t é\nprint x",
        "%%px -t 99999999999999999999\nprint x",
        "%%px -t -9223372036854775808\nprint x",
        "%%px -t 0:9223372036854775807:0\nprint x",
        "%%px -t [0\nprint x",
        "%%px --targets\nprint x",
        "%px",
        "%%pxresult\nx",
        "%px --progress-after NaN print x",
        "%pxactivate",
        "%cluster connect \"",
        "%cluster scale 99999",
        "%",
    ] {
        let outputs = frontend.fails(line).await;
        assert!(
            outputs[0].contains("UsageError") || outputs[0].contains("CompileError"),
            "{line}: {outputs:?}"
        );
    }
    let long = "é".repeat(300_000);
    let outputs = frontend.ok(&format!("%px -t 0 print {long}")).await;
    assert!(stream(&outputs, "stdout") == long + "\n");
    let text = stream(&frontend.ok("%px print").await, "stdout");
    assert_eq!(text, "[stdout:0] \n\n[stdout:1] \n\n");
    frontend.stop().await;
}

#[tokio::test]
async fn a_cell_for_engines_within_another_is_refused_with_the_way_out() {
    let mut frontend = Frontend::start().await;
    for (cell, help) in [
        ("%%px\n%px print b", "runs on the engines already"),
        ("%%px\n%cluster status", "put it into a cell of its own"),
    ] {
        let ran = frontend.execute(cell).await;
        let traceback = ran.reply["traceback"].to_string();
        assert!(traceback.contains(help), "{cell}: {traceback}");
        assert!(!traceback.contains("on a line before"), "{traceback}");
    }
    frontend.stop().await;
}
