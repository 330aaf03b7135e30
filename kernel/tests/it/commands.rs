//! `:` commands: their effects and failures.

use crate::Frontend;

#[tokio::test]
async fn cd_and_env_apply_to_shell_lines() {
    let mut frontend = Frontend::start().await;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    std::fs::create_dir(folder.join("größer")).unwrap();
    let at = folder.display();
    let outputs = frontend.ok(&format!(":cd {at}\n!pwd")).await;
    assert_eq!(outputs.concat(), format!("stdout: {at}\nstdout: {at}\n"));
    let outputs = frontend.ok(":cd größer\n!pwd").await;
    assert!(outputs[1].ends_with("größer\n"), "{outputs:?}");
    let outputs = frontend.ok(":env GRÖSSE=a b\n!echo \"$GRÖSSE\"").await;
    let text = outputs.concat();
    assert!(text.starts_with("stdout: Set GRÖSSE=a b\n"), "{text}");
    let outputs = frontend.ok(":env").await;
    assert!(
        outputs[0].contains("GRÖSSE") && outputs[0].contains("a b"),
        "{outputs:?}"
    );

    for (cell, evalue) in [
        (":cd nowhere", "cannot be entered"),
        (":env A", "`A` is not of the form NAME=VALUE"),
        (":dep", "`:dep` needs a crate"),
        (":dep ./nowhere", "cannot be read"),
        (":varz", "unknown command `:varz`"),
        (":help nothing", "unknown command `:nothing`"),
    ] {
        let failed = frontend.fails(cell).await;
        let message = failed.last().unwrap();
        assert!(
            message.starts_with("UsageError: ") && message.contains(evalue),
            "{cell}: {message}"
        );
    }
    frontend.stop().await;
}

#[tokio::test]
async fn variables_are_listed_and_lost_with_a_restart() {
    let mut frontend = Frontend::start().await;
    frontend.ok("let a = 7").await;
    let outputs = frontend.ok(":vars").await;
    assert!(outputs[0].contains("1 variable"), "{outputs:?}");
    frontend.ok(":restart").await;
    let outputs = frontend.ok(":vars").await;
    assert!(outputs[0].contains("No variables"), "{outputs:?}");
    assert_eq!(
        frontend.fails("show a").await,
        ["Panic: variable 'a' has gone missing"],
        "the runtime is a new one"
    );
    assert_eq!(frontend.ok("print on").await, ["stdout: on\n"]);
    frontend.stop().await;
}

#[tokio::test]
async fn time_and_timing_report_the_wall_time() {
    let mut frontend = Frontend::start().await;
    let outputs = frontend.ok(":time print a").await;
    assert_eq!(outputs[0], "stdout: a\n");
    assert!(outputs[1].starts_with("stdout: Wall time: "), "{outputs:?}");
    let outputs = frontend.ok(":time\nprint a\nprint b").await.concat();
    assert!(outputs.contains("Wall time: "), "{outputs:?}");
    frontend.ok(":timing").await;
    let outputs = frontend.ok("print a").await.concat();
    assert!(outputs.contains("Wall time: "), "{outputs:?}");
    frontend.ok(":timing").await;
    assert_eq!(frontend.ok("print a").await, ["stdout: a\n"]);
    frontend.stop().await;
}

#[tokio::test]
async fn quit_ends_the_kernel_after_the_reply() {
    let mut frontend = Frontend::start().await;
    let family = crate::frontend::family(frontend.pid());
    let ran = frontend.execute("print last\n:quit").await;
    assert_eq!(ran.outputs, ["stdout: last\n"]);
    assert_eq!(ran.reply["status"], "ok");
    assert_eq!(ran.reply["payload"][0]["source"], "ask_exit");
    frontend.gone(family).await;
}
