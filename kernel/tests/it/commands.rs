//! `:` commands: their effects and failures.

use crate::Frontend;

#[tokio::test]
async fn the_folder_and_the_environment_are_those_of_shell_lines() {
    let mut frontend = Frontend::start().await;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    std::fs::create_dir(folder.join("größer")).unwrap();
    let at = folder.display();
    let told = frontend.ok(&format!(":cd {at}\n!pwd")).await;
    assert_eq!(told.concat(), format!("stdout: {at}\nstdout: {at}\n"));
    let told = frontend.ok(":cd größer\n!pwd").await;
    assert!(told[1].ends_with("größer\n"), "{told:?}");
    let told = frontend.ok(":env GRÖSSE=a b\n!echo \"$GRÖSSE\"").await;
    let text = told.concat();
    assert!(text.starts_with("stdout: Set GRÖSSE=a b\n"), "{text}");
    let told = frontend.ok(":env").await;
    assert!(
        told[0].contains("GRÖSSE") && told[0].contains("a b"),
        "{told:?}"
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
        let said = failed.last().unwrap();
        assert!(
            said.starts_with("UsageError: ") && said.contains(evalue),
            "{cell}: {said}"
        );
    }
    frontend.stop().await;
}

#[tokio::test]
async fn variables_are_listed_and_lost_with_a_restart() {
    let mut frontend = Frontend::start().await;
    frontend.ok("let a = 7").await;
    let told = frontend.ok(":vars").await;
    assert!(told[0].contains("1 variable"), "{told:?}");
    frontend.ok(":restart").await;
    let told = frontend.ok(":vars").await;
    assert!(told[0].contains("No variables"), "{told:?}");
    assert_eq!(
        frontend.fails("show a").await,
        ["Panic: variable 'a' has gone missing"],
        "the runtime is a new one"
    );
    assert_eq!(frontend.ok("print on").await, ["stdout: on\n"]);
    frontend.stop().await;
}

#[tokio::test]
async fn time_is_told_when_asked_for() {
    let mut frontend = Frontend::start().await;
    let told = frontend.ok(":time print a").await;
    assert_eq!(told[0], "stdout: a\n");
    assert!(told[1].starts_with("stdout: Wall time: "), "{told:?}");
    let told = frontend.ok(":time\nprint a\nprint b").await.concat();
    assert!(told.contains("Wall time: "), "{told:?}");
    frontend.ok(":timing").await;
    let told = frontend.ok("print a").await.concat();
    assert!(told.contains("Wall time: "), "{told:?}");
    frontend.ok(":timing").await;
    assert_eq!(frontend.ok("print a").await, ["stdout: a\n"]);
    frontend.stop().await;
}

#[tokio::test]
async fn quit_ends_the_kernel_once_the_cell_is_answered() {
    let mut frontend = Frontend::start().await;
    let family = crate::frontend::family(frontend.pid());
    let ran = frontend.execute("print last\n:quit").await;
    assert_eq!(ran.outputs, ["stdout: last\n"]);
    assert_eq!(ran.reply["status"], "ok");
    assert_eq!(ran.reply["payload"][0]["source"], "ask_exit");
    frontend.gone(family).await;
}
