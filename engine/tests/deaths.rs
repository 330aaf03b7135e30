//! Deaths of engines, runtimes, controllers and parents, and their consequences.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use phalanx_client::{ClientEvent, TaskEventKind};
use phalanx_protocol::id::EngineId;
use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Instant;
use support::{Cluster, PATIENCE, failure, ok, process_ended};
use tokio::time::timeout;

#[tokio::test]
async fn a_killed_engine_costs_its_task_and_no_other() {
    let mut cluster = Cluster::start(4).await;
    let pids = cluster.everywhere("pid", "empty", "1");
    let pids = cluster.done(&pids).await;
    let mut events = cluster.client.events();
    let cells = (0..4)
        .map(|id| {
            let script = if id == 1 {
                "print last words\nsleep 600"
            } else {
                "print fine"
            };
            cluster.cell(EngineId(id), script, "1", "2")
        })
        .collect();
    let result = cluster.submit(cells);
    let mut outputs = result.events();
    while outputs.recv().await.expect("an event").engine != EngineId(1) {}
    let killed = Instant::now();
    cluster
        .engines
        .get_mut(&EngineId(1))
        .unwrap()
        .start_kill()
        .unwrap();
    assert!(result.wait(Some(PATIENCE)).await);
    println!("kill -9 to EngineError: {:?}", killed.elapsed());
    let tasks = cluster.done(&result).await;
    for (id, task) in tasks.iter().enumerate() {
        if id == 1 {
            assert_eq!(failure(task).ename, "EngineError");
            assert_eq!(failure(task).engine, Some(EngineId(1)));
        } else {
            assert!(ok(task));
            assert_eq!(task.metadata.stdout, "fine\n");
        }
    }
    let event = timeout(PATIENCE, events.recv()).await.unwrap();
    assert_eq!(event, Some(ClientEvent::EngineLeft(EngineId(1))));
    assert_eq!(cluster.ids(), [0, 2, 3].map(EngineId));
    process_ended(&pids[1].metadata.stdout).await;
    cluster.end().await;
}

#[tokio::test]
async fn a_runtime_that_dies_costs_one_cell() {
    let mut cluster = Cluster::start(1).await;
    let id = EngineId(0);
    for (script, status) in [("print x\nabort", "SIGABRT"), ("exit 3", "3")] {
        let result = cluster.one(id, script, "empty", "1");
        let tasks = cluster.done(&result).await;
        let failure = failure(&tasks[0]);
        assert_eq!(failure.ename, "RuntimeDied");
        assert!(failure.evalue.contains(status), "{}", failure.evalue);
        let result = cluster.one(id, "print alive", "empty", "empty");
        let tasks = cluster.done(&result).await;
        assert_eq!(tasks[0].metadata.stdout, "alive\n", "{tasks:#?}");
    }
    cluster.end().await;
}

#[tokio::test]
async fn an_interrupt_ends_the_running_cell() {
    let mut cluster = Cluster::start(2).await;
    let result = cluster.everywhere("print begun\nsleep 600", "empty", "1");
    let mut events = result.events();
    let ids = cluster.ids();
    // Signals travel on another channel than cells, and a signal to an idle engine has no effect.
    let mut begun = BTreeSet::new();
    while begun.len() < ids.len() {
        let event = timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
        if matches!(event.kind, TaskEventKind::Output(_)) {
            begun.insert(event.engine);
        }
    }
    cluster.client.signal_engines(&ids, 2).await.unwrap();
    let tasks = cluster.done(&result).await;
    for task in &tasks {
        assert_eq!(failure(task).ename, "Interrupted");
    }
    cluster.client.clear_engines(&ids).await.unwrap();
    let result = cluster.everywhere("print alive", "empty", "1");
    assert!(cluster.done(&result).await.iter().all(ok));
    cluster.end().await;
}

#[tokio::test]
async fn an_interrupt_of_a_waiting_cell_leaves_the_running_one_alone() {
    let mut cluster = Cluster::start(1).await;
    let id = EngineId(0);
    let running = cluster.one(id, "print begun\nsleep 2\nprint over", "empty", "1");
    let mut events = running.events();
    loop {
        let event = timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
        if matches!(event.kind, TaskEventKind::Output(_)) {
            break;
        }
    }
    let waiting = cluster.one(id, "print unseen", "1", "2");
    assert!(!running.is_waiting() && waiting.is_waiting());
    cluster.client.signal_tasks(&waiting, 2).await.unwrap();
    waiting.abort().await.unwrap();
    let tasks = cluster.done(&waiting).await;
    assert_eq!(failure(&tasks[0]).ename, "TaskAborted");
    let tasks = cluster.done(&running).await;
    assert_eq!(tasks[0].metadata.stdout, "begun\nover\n");
    cluster.end().await;
}

#[tokio::test]
async fn engines_end_with_their_controller() {
    let mut cluster = Cluster::start(0).await;
    let id = cluster.add(&["--unreachable", "0.2"]).await;
    let pid = cluster.one(id, "pid", "empty", "1");
    let pid = cluster.done(&pid).await[0].metadata.stdout.clone();
    let mut engine = cluster.engines.remove(&id).unwrap();
    let mut events = cluster.client.events();
    let running = cluster.one(id, "sleep 600", "1", "2");
    cluster.controller.shutdown().await;
    timeout(PATIENCE, engine.wait()).await.unwrap().unwrap();
    process_ended(&pid).await;
    let disconnected = async {
        while let Some(event) = events.recv().await {
            if matches!(event, ClientEvent::Disconnected { .. }) {
                return;
            }
        }
        panic!("no word of it");
    };
    timeout(PATIENCE, disconnected).await.unwrap();
    assert!(running.wait(Some(PATIENCE)).await);
    assert_eq!(failure(&running.snapshot().tasks[0]).ename, "EngineError");
    let late = cluster.client.clone();
    let late = late.wait_for_engines(1, PATIENCE).await;
    assert_eq!(late, Err(phalanx_client::WaitError::Disconnected));
}

#[tokio::test]
async fn engines_end_with_their_parent() {
    let mut cluster = Cluster::start(0).await;
    let mut parent = tokio::process::Command::new("cat")
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let pid = parent.id().unwrap().to_string();
    let id = cluster.add(&["--parent-pid", &pid]).await;
    let mut events = cluster.client.events();
    drop(parent.stdin.take());
    parent.wait().await.unwrap();
    let event = timeout(PATIENCE, events.recv()).await.unwrap();
    assert_eq!(event, Some(ClientEvent::EngineLeft(id)));
    let mut engine = cluster.engines.remove(&id).unwrap();
    let status = timeout(PATIENCE, engine.wait()).await.unwrap().unwrap();
    assert!(status.success());
    cluster.end().await;
}

#[tokio::test]
async fn an_engine_without_a_controller_says_what_is_missing() {
    let command = |args: &[&str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_phalanx-engine"));
        command
            .args(args)
            .env_remove("IPP_CONNECTION_INFO")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    };
    for (args, words) in [
        (vec![], "IPP_CONNECTION_INFO"),
        (vec!["--file", "/nowhere.json"], "/nowhere.json"),
        (vec!["--unreachable", "-1", "--file", "/nowhere.json"], ""),
    ] {
        let output = command(&args).output().await.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(stderr.contains(words), "{stderr}");
    }
    let output = command(&["--version"]).output().await.unwrap();
    assert!(output.stdout.starts_with(b"phalanx-engine "));
}
