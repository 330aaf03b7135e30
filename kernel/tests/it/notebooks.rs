//! Several notebooks that use the engines of one cluster.

use crate::Frontend;
use crate::cluster::{stream, with_engines};
use crate::frontend::limited;
use serde_json::json;
use std::process::Command;
use tempfile::TempDir;

/// A cluster of two engines that belongs to no notebook; stopped on drop.
struct Cluster {
    home: TempDir,
    file: String,
}

impl Cluster {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let args = ["start", "-n", "2", "--echo", "--daemonize"];
        let printed = Self::phalanx(&home, &args);
        let file = printed.trim().rsplit(' ').next().unwrap().to_owned();
        Self { home, file }
    }

    fn phalanx(home: &TempDir, args: &[&str]) -> String {
        let output = Self::command(home, args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn notebook(&self) -> Frontend {
        let mut frontend = Frontend::start().await;
        let outputs = frontend
            .ok(&format!("%cluster connect {}", self.file))
            .await;
        assert!(outputs[0].ends_with(": 2 engines.\n"), "{outputs:?}");
        frontend
    }

    fn stop(self) {
        Self::phalanx(&self.home, &["stop"]);
    }

    fn command(home: &TempDir, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_phalanx"));
        command.arg("cluster").args(args);
        command.env("XDG_DATA_HOME", home.path());
        command
    }

    /// Kills the process of the cluster, with its controller and its engines.
    fn kill(&self) {
        let folder = self.home.path().join("phalanx/clusters");
        let mut files = std::fs::read_dir(folder).unwrap().flatten();
        let record = files.find(|file| file.path().extension().is_some_and(|end| end == "json"));
        let record = std::fs::read(record.unwrap().path()).unwrap();
        let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
        let pid = i32::try_from(record["pid"].as_i64().unwrap()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
}

impl Drop for Cluster {
    /// Stops the cluster of a test that has failed.
    fn drop(&mut self) {
        let _ = Self::command(&self.home, &["stop"]).output();
    }
}

/// Returns the standard output of a cell on both engines.
async fn both(notebook: &mut Frontend, cell: &str) -> Vec<String> {
    let text = stream(&notebook.ok(cell).await, "stdout");
    let parts = text.split("[stdout:").skip(1);
    let bodies = parts.filter_map(|part| Some(part.split_once('\n')?.1.to_owned()));
    bodies.collect()
}

#[tokio::test]
async fn notebooks_use_engines_in_turns() {
    let cluster = Cluster::start();
    let mut first = cluster.notebook().await;
    first.ok("%%px\nfn f\nlet a = 1").await;
    first.fails("%%px\nlet unseen = 0\npanic größer").await;
    first.ok("%px let a = 2").await;

    let mut second = cluster.notebook().await;
    assert_eq!(both(&mut second, "%%px\ncall f\nshow a").await, ["2\n"; 2]);
    second.ok("%px -t 0 let b = 3").await;
    second.ok("%px -t 1 let b = 4").await;

    let mut shown = both(&mut first, "%%px\nshow a\nshow b").await;
    shown.sort();
    assert_eq!(shown, ["2\n3\n", "2\n4\n"]);
    first.ok("%px let a = 5").await;
    assert_eq!(both(&mut second, "%px show a").await, ["5\n"; 2]);
    first.stop().await;
    second.stop().await;

    let mut third = cluster.notebook().await;
    assert_eq!(both(&mut third, "%%px\ncall f\nshow a").await, ["5\n"; 2]);
    let outputs = third.ok("%cluster restart").await;
    assert!(outputs[0].contains("Restarted 2 engines"), "{outputs:?}");
    let outputs = third.fails("%px call f").await;
    assert!(
        outputs[0].contains("cannot find function `f`"),
        "{outputs:?}"
    );
    third.stop().await;
    cluster.stop();
}

#[tokio::test]
async fn a_cell_that_does_not_compile_does_not_disturb_pending_ones() {
    let cluster = Cluster::start();
    let mut notebook = cluster.notebook().await;
    notebook.ok("%px print first").await;
    notebook.ok("%%px --noblock\nsleep 1\nfn f").await;
    let outputs = notebook.fails("%px call nothing").await;
    assert!(
        outputs[0].contains("cannot find function `nothing`"),
        "{outputs:?}"
    );
    notebook.ok("%px call f").await;
    notebook.stop().await;
    cluster.stop();
}

#[tokio::test]
async fn cells_of_one_notebook_wait_for_those_of_another() {
    let cluster = Cluster::start();
    let (mut first, mut second) = (cluster.notebook().await, cluster.notebook().await);
    let running = first
        .send_execute("%%px\nprint begun\nsleep 1\nlet a = 1")
        .await;
    first
        .wait_for_text(&running, &["[stdout:0]", "[stdout:1]"])
        .await;
    assert_eq!(both(&mut second, "%px show a").await, ["1\n"; 2]);
    assert_eq!(first.ran(&running).await.reply["status"], "ok");
    assert_eq!(both(&mut first, "%px show a").await, ["1\n"; 2]);
    first.stop().await;
    second.stop().await;
    cluster.stop();
}

#[tokio::test]
async fn unawaited_cells_that_are_compiled_again_keep_their_order() {
    let cluster = Cluster::start();
    let (mut first, mut second) = (cluster.notebook().await, cluster.notebook().await);
    first.ok("%px let a = 0").await;
    assert_eq!(both(&mut second, "%px show a").await, ["0\n"; 2]);
    let running = first
        .send_execute("%%px\nprint begun\nsleep 1\nlet a = 1")
        .await;
    first
        .wait_for_text(&running, &["[stdout:0]", "[stdout:1]"])
        .await;
    // Both wait for the engines, which refuse them then.
    second.ok("%%px --noblock\ncompile-sleep 0.2\nfn f").await;
    second.ok("%%px --noblock\ncall f\nprint called").await;
    assert_eq!(both(&mut second, "%pxresult").await, ["called\n"; 2]);
    assert_eq!(both(&mut second, "%%px\ncall f\nshow a").await, ["1\n"; 2]);
    assert_eq!(first.ran(&running).await.reply["status"], "ok");
    first.stop().await;
    second.stop().await;
    cluster.stop();
}

#[tokio::test]
async fn an_interrupt_ends_a_cell_that_is_compiled_again() {
    let cluster = Cluster::start();
    let (mut first, mut second) = (cluster.notebook().await, cluster.notebook().await);
    first.ok("%px let a = 0").await;
    second.ok("%px show a").await;
    let running = first
        .send_execute("%%px\nprint begun\nsleep 1\nlet a = 1")
        .await;
    first
        .wait_for_text(&running, &["[stdout:0]", "[stdout:1]"])
        .await;
    let refused = second
        .send_execute("%%px --progress-after 0\ncompile-sleep 0.7\nfn g")
        .await;
    // Its bar counts engines once it is sent.
    second.wait_for_text(&refused, &["0/2"]).await;
    assert_eq!(first.ran(&running).await.reply["status"], "ok");
    second.ask_control("interrupt_request", json!({})).await;
    let ran = second.ran(&refused).await;
    assert_eq!(
        ran.reply["evalue"],
        "the cell was interrupted; engines 0, 1 had not begun"
    );
    // No engine is expected to have what it defines.
    let ran = second.execute("%px call g").await;
    assert_eq!(ran.reply["ename"], "CompileError", "{ran:#?}");
    assert_eq!(both(&mut second, "%px show a").await, ["1\n"; 2]);
    first.stop().await;
    second.stop().await;
    cluster.stop();
}

#[tokio::test]
async fn a_cluster_that_is_killed_is_not_waited_for() {
    let cluster = Cluster::start();
    let mut notebook = Frontend::start_at_home(cluster.home.path()).await;
    notebook.ok("%cluster connect").await;
    let running = notebook.send_execute("%%px\nprint begun\nsleep 600").await;
    notebook
        .wait_for_text(&running, &["[stdout:0]", "[stdout:1]"])
        .await;
    cluster.kill();
    let ran = limited("the end of the cell", notebook.ran(&running)).await;
    let outputs = ran.outputs.join("\n");
    assert!(outputs.contains("the cluster has stopped"), "{outputs}");
    let traceback = ran.reply["traceback"].to_string();
    assert!(
        traceback.contains("the task is lost with it"),
        "{traceback}"
    );
    let outputs = notebook.ok("%cluster status").await;
    assert!(outputs[0].contains("was stopped"), "{outputs:?}");
    notebook.stop().await;
}

#[tokio::test]
async fn adopted_cells_bring_their_dependencies() {
    let cluster = Cluster::start();
    let mut first = cluster.notebook().await;
    first.ok(":dep alpha = \"1\"").await;
    first.ok("%%px\nuses alpha\nlet a = 1").await;
    let mut second = cluster.notebook().await;
    second.ok(":dep beta = \"1\"").await;
    assert_eq!(both(&mut second, "%px show a").await, ["1\n"; 2]);
    second.ok("%%px\nuses beta\nlet b = 2").await;
    second.ok(":dep gamma = \"1\"").await;
    second.ok("%%px\nuses gamma\nlet c = 3").await;

    assert_eq!(
        both(&mut first, "%%px\nuses beta\nshow c").await,
        ["3\n"; 2]
    );
    let mut late = cluster.notebook().await;
    late.ok(":dep gamma = \"1\"").await;
    let outputs = late
        .ok("%%px\nuses alpha\nuses beta\nuses gamma\nshow b")
        .await;
    assert!(!stream(&outputs, "stderr").contains("another notebook"));
    assert_eq!(both(&mut second, "%px show b").await, ["2\n"; 2]);
    for notebook in [first, second, late] {
        notebook.stop().await;
    }
    cluster.stop();
}

#[tokio::test]
async fn adopted_definitions_that_do_not_compile_are_left_out_and_listed() {
    let cluster = Cluster::start();
    let crates = tempfile::tempdir().unwrap();
    let folder = crates.path().join("alpha");
    std::fs::create_dir(&folder).unwrap();
    let mut first = cluster.notebook().await;
    first
        .ok(&format!(":dep alpha = {{ path = {folder:?} }}"))
        .await;
    first.ok("%%px\nuses alpha;\nlet b = 3").await;
    std::fs::remove_dir(&folder).unwrap();

    let mut second = cluster.notebook().await;
    let outputs = second.ok("%%px\nshow b").await;
    let notices = stream(&outputs, "stderr");
    let notices = notices.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "`:dep alpha = { path = ",
        "cannot be built here: failed to load `alpha",
        "not taken over from In[3] of another notebook",
        "cannot find module or crate `alpha`",
    ] {
        assert!(notices.contains(words), "{words}: {notices}");
    }
    // Once is enough.
    let outputs = second.ok("%%px\nshow b\nlet c = 4").await;
    assert!(!stream(&outputs, "stderr").contains("another notebook"));
    assert_eq!(
        both(&mut first, "%%px\nuses alpha\nshow c").await,
        ["4\n"; 2]
    );
    first.stop().await;
    second.stop().await;
    cluster.stop();
}

#[tokio::test]
async fn a_cluster_stopped_in_a_terminal_is_reported_and_can_be_replaced() {
    let cluster = Cluster::start();
    let mut notebooks = Vec::new();
    for _ in 0..4 {
        let mut notebook = Frontend::start_at_home(cluster.home.path()).await;
        notebook.ok("%cluster connect").await;
        notebooks.push(notebook);
    }
    Cluster::phalanx(&cluster.home, &["stop"]);
    let [mut running, mut querying, mut starting, mut connecting] =
        <[Frontend; 4]>::try_from(notebooks).ok().unwrap();

    let outputs = running.fails("%px print x").await;
    assert!(outputs[0].contains("was stopped"), "{outputs:?}");
    let outputs = running.ok("%cluster status").await;
    assert!(outputs[0].contains("No cluster is running"), "{outputs:?}");
    running.ok("%px -t 0 print x").await;

    let outputs = querying.ok("%cluster status").await;
    assert!(outputs[0].contains("was stopped"), "{outputs:?}");
    let outputs = querying.fails("%cluster stop").await;
    assert!(outputs[0].contains("no cluster is running"), "{outputs:?}");

    let outputs = starting.ok("%cluster start -n 1").await;
    assert!(outputs[0].contains("Started 1 engine"), "{outputs:?}");
    assert_eq!(both(&mut starting, "%px print x").await, ["x\n"]);

    let args = ["start", "-n", "2", "--echo", "--daemonize"];
    Cluster::phalanx(&cluster.home, &args);
    connecting.ok("%cluster connect").await;
    assert_eq!(both(&mut connecting, "%px print x").await, ["x\n"; 2]);
    for notebook in [running, querying, starting, connecting] {
        notebook.stop().await;
    }
    cluster.stop();
}

#[tokio::test]
async fn a_notebooks_own_cluster_that_another_client_ended_is_reported_once() {
    let mut owner = with_engines(2).await;
    let outputs = owner.ok("%cluster status").await;
    let file = outputs[0].split("connect with ").nth(1).unwrap();
    let file = file.split(".json").next().unwrap();
    let mut other = Frontend::start().await;
    other.ok(&format!("%cluster connect {file}.json")).await;
    let shutdown = json!({"Shutdown": {"engines": [0, 1], "hub": true}});
    other.ok(&format!("client {shutdown}")).await;

    // The controller ends shortly after its reply.
    let stopped = async {
        loop {
            let outputs = owner.ok("%cluster status").await;
            if !outputs[0].contains("connect with") {
                return outputs;
            }
        }
    };
    let outputs = limited("the end of the cluster", stopped).await;
    let expected =
        "The cluster of this notebook was stopped by another of its clients; `%cluster start";
    assert!(outputs[0].contains(expected), "{outputs:?}");
    let outputs = owner.ok("%cluster status").await;
    assert!(outputs[0].contains("No cluster is running"), "{outputs:?}");
    owner.ok("%cluster start -n 1").await;
    assert_eq!(owner.ok("%px print x").await, ["stdout: [stdout:0] \nx\n"]);
    owner.stop().await;
    other.stop().await;
}
