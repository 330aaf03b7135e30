//! Cells on real engines: their results and failures.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use phalanx_client::render::{Labels, Streamer, grouped};
use phalanx_client::{ClientEvent, EngineTask};
use phalanx_engine::{EngineConfig, Exit};
use phalanx_protocol::host::{GroupBy, TaskStatus};
use phalanx_protocol::id::EngineId;
use phalanx_protocol::output::Output;
use phalanx_protocol::parallel::RefusalReason;
use std::time::Instant;
use support::{Cluster, PATIENCE, failure, ok};
use tokio_util::sync::CancellationToken;

fn text(outputs: &[Output]) -> String {
    outputs
        .iter()
        .map(|output| match output {
            Output::Stream { text, .. } => text.clone(),
            Output::Display(display) => {
                let text = display.data.text().unwrap_or("(rich)");
                format!("{text}\n")
            }
            other => panic!("{other:?}"),
        })
        .collect::<String>()
        .replace("\x1b[0;34m", "")
        .replace("\x1b[0m", "")
}

#[tokio::test]
async fn four_engines_print_show_and_yield() {
    let mut cluster = Cluster::start(4).await;
    let script = "print grüße, 世界\neprint err\nhtml <b>x</b>\nresult 42";
    let result = cluster.everywhere(script, "empty", "1");
    let mut events = result.events();
    let tasks = cluster.done(&result).await;
    assert_eq!(format!("{result:?}"), "<AsyncResult(%px): finished>");
    assert_eq!((result.len(), result.progress()), (4, 4));
    for (task, id) in tasks.iter().zip(0..) {
        assert!(ok(task));
        let metadata = &task.metadata;
        assert_eq!(metadata.stdout, "grüße, 世界\n");
        assert_eq!(metadata.stderr, "err\n");
        assert_eq!(metadata.engine_id, Some(EngineId(id)));
        assert_eq!(metadata.status, Some(TaskStatus::Ok));
        assert_eq!(metadata.execution_count, Some(1));
        assert_eq!(metadata.execute_input.as_deref(), Some(script));
        assert_eq!(metadata.outputs.len(), 1);
        let times = [
            metadata.submitted,
            metadata.started,
            metadata.completed,
            metadata.received,
        ]
        .map(Option::unwrap);
        assert!(times.is_sorted(), "{times:?}");
        assert!(metadata.msg_id.is_some() && metadata.engine_uuid.is_some());
    }
    let snapshot = result.snapshot();
    let shown = text(&grouped(&snapshot, GroupBy::Type, false, Labels::Engines));
    assert!(shown.starts_with("[stdout:0] \ngrüße, 世界\n[stdout:1] \n"));
    assert!(shown.ends_with("Out[2:1]: 42\nOut[3:1]: 42\n"), "{shown}");

    let mut streamer = Streamer::new(Labels::Engines, "cell".to_owned());
    let mut streamed = Vec::new();
    while let Some(event) = events.recv().await {
        streamed.extend(streamer.event(event, Instant::now()));
    }
    streamed.extend(streamer.finish());
    let streamed = text(&streamed);
    for id in 0..4 {
        for part in [
            format!("[stdout:{id}] \ngrüße, 世界\n"),
            format!("[stderr:{id}] \nerr\n"),
            format!("[output:{id}]\n"),
            format!("Out[{id}:1]: 42\n"),
        ] {
            assert_eq!(streamed.matches(&part).count(), 1, "{part} in {streamed}");
        }
    }
    cluster.end().await;
}

#[tokio::test]
async fn one_panics_and_the_others_deliver() {
    let mut cluster = Cluster::start(4).await;
    let cells = (0..4)
        .map(|id| {
            let script = if id == 2 {
                "print before\npanic bööm"
            } else {
                "print fine\nresult 1"
            };
            cluster.cell(EngineId(id), script, "empty", "1")
        })
        .collect();
    let result = cluster.submit(cells);
    let tasks = cluster.done(&result).await;
    assert_eq!(format!("{result:?}"), "<AsyncResult(%px): failed>");
    for (id, task) in tasks.iter().enumerate() {
        if id == 2 {
            let failure = failure(task);
            assert_eq!(
                (failure.ename.as_str(), failure.evalue.as_str()),
                ("Panic", "bööm")
            );
            assert_eq!(failure.engine, Some(EngineId(2)));
            assert_eq!(task.metadata.stdout, "before\n");
            assert_eq!(task.metadata.status, Some(TaskStatus::Error));
        } else {
            assert!(ok(task));
            assert_eq!(task.metadata.stdout, "fine\n");
        }
    }
    // The panicked engine has a state of its own, and reports it.
    let next = cluster.everywhere("print again", "1", "2");
    let refused = cluster.refusal().await;
    assert_eq!(refused.engine, EngineId(2));
    assert_eq!(refused.reason, RefusalReason::StateMismatch);
    assert_eq!(refused.state.as_str(), "1~panicked");
    let EngineTask::Cell(mut cell) = refused.work.clone() else {
        panic!("no cell");
    };
    cell.metadata.base = refused.state.clone();
    refused.resend(cell);
    let tasks = cluster.done(&next).await;
    assert!(tasks.iter().all(ok));
    assert!(tasks.iter().all(|task| task.metadata.stdout == "again\n"));
    cluster.end().await;
}

#[tokio::test]
async fn an_unanswered_refusal_ends_the_task() {
    let mut cluster = Cluster::start(1).await;
    let result = cluster.everywhere("print x", "elsewhere", "1");
    drop(cluster.refusal().await);
    let tasks = cluster.done(&result).await;
    assert_eq!(failure(&tasks[0]).ename, "InternalError");
    cluster.end().await;
}

#[tokio::test]
async fn artifacts_travel_where_paths_do_not_lead() {
    let mut cluster = Cluster::start(2).await;
    let cells = cluster
        .ids()
        .into_iter()
        .map(|id| {
            let mut cell = cluster.cell(id, "print by wire", "empty", "1");
            cell.metadata.host = "another machine".to_owned();
            cell
        })
        .collect();
    let result = cluster.submit(cells);
    let tasks = cluster.done(&result).await;
    assert!(tasks.iter().all(ok), "{tasks:#?}");
    let cached = std::fs::read_dir(cluster.folder.path().join("cache/artifacts")).unwrap();
    assert_eq!(cached.count(), 1, "one file for both engines");

    let mut lost = cluster.cell(EngineId(0), "print gone", "1", "2");
    lost.metadata.host = "another machine".to_owned();
    std::fs::remove_file(&lost.artifacts[0].1).unwrap();
    let result = cluster.submit(vec![lost]);
    let tasks = cluster.done(&result).await;
    assert!(failure(&tasks[0]).evalue.contains("cell"), "{tasks:#?}");
    cluster.end().await;
}

#[tokio::test]
async fn empty_and_long_outputs_arrive_whole() {
    let mut cluster = Cluster::start(2).await;
    let result = cluster.everywhere("", "empty", "1");
    let tasks = cluster.done(&result).await;
    assert!(
        tasks
            .iter()
            .all(|task| ok(task) && task.metadata.stdout.is_empty())
    );

    let line = "x".repeat(99);
    let script: String = (0..10_500).map(|_| format!("print {line}\n")).collect();
    let result = cluster.everywhere(&script, "1", "2");
    let tasks = cluster.done(&result).await;
    for task in &tasks {
        assert!(ok(task));
        assert_eq!(task.metadata.stdout.len(), 10_500 * 100);
        assert!(task.metadata.stdout.lines().all(|got| got == line));
    }
    cluster.end().await;
}

#[tokio::test]
async fn carriage_returns_and_unfinished_lines() {
    let mut cluster = Cluster::start(1).await;
    let result = cluster.everywhere("write 10%\nwrite \r20%\nwrite  done", "empty", "1");
    let tasks = cluster.done(&result).await;
    assert!(tasks[0].metadata.stdout.contains("20%"), "{tasks:#?}");
    cluster.end().await;
}

#[tokio::test]
async fn queued_tasks_are_aborted_and_the_running_one_goes_on() {
    let mut cluster = Cluster::start(1).await;
    let id = EngineId(0);
    let first = cluster.one(id, "print begun\nsleep 0.3", "empty", "1");
    let mut events = first.events();
    // The first event reports that it has begun.
    events.recv().await.expect("an event");
    let queued: Vec<_> = (0..3)
        .map(|n| cluster.one(id, &format!("print {n}"), "1", "2"))
        .collect();
    for result in &queued {
        result.abort().await.expect("not done yet");
    }
    for result in &queued {
        let tasks = cluster.done(result).await;
        assert_eq!(failure(&tasks[0]).ename, "TaskAborted");
        assert_eq!(tasks[0].metadata.status, Some(TaskStatus::Aborted));
    }
    assert!(ok(&cluster.done(&first).await[0]));
    assert!(first.abort().await.is_err());
    let after = cluster.one(id, "print after", "1", "2");
    assert!(ok(&cluster.done(&after).await[0]));
    cluster.end().await;
}

#[tokio::test]
async fn a_task_for_an_engine_that_is_not_there_fails() {
    let mut cluster = Cluster::start(0).await;
    let result = cluster.one(EngineId(7), "print x", "empty", "1");
    let tasks = cluster.done(&result).await;
    assert_eq!(failure(&tasks[0]).ename, "EngineError");
    assert!(failure(&tasks[0]).evalue.contains('7'));
    cluster.end().await;
}

#[tokio::test]
async fn the_first_cell_of_a_new_engine_loses_no_output() {
    let mut cluster = Cluster::start(0).await;
    for _ in 0..30 {
        let id = cluster.add(&[]).await;
        let result = cluster.one(id, "print first\nresult 1", "empty", "1");
        let tasks = cluster.done(&result).await;
        assert_eq!(tasks[0].metadata.stdout, "first\n");
        assert!(tasks[0].metadata.execute_result.is_some());
        cluster
            .client
            .shutdown_engines(&[id], PATIENCE)
            .await
            .unwrap();
    }
    cluster.end().await;
}

/// The engine as a library in this process, as used by the kernel's program.
#[tokio::test]
async fn an_engine_runs_in_this_process_too() {
    let mut cluster = Cluster::start(0).await;
    let mut config = EngineConfig::new(cluster.controller.engine_file().clone()).unwrap();
    config.runtime.program = env!("CARGO_BIN_EXE_phalanx-engine").into();
    config.id = Some(EngineId(5));
    let (_wishes, signals) = tokio::sync::mpsc::channel(1);
    let stop = CancellationToken::new();
    let engine = tokio::spawn(phalanx_engine::run(config, signals, stop.clone()));
    let engines = cluster.client.wait_for_engines(1, PATIENCE).await.unwrap();
    assert_eq!(engines[0].id, EngineId(5));
    let handshake = engines[0].handshake().expect("a Rust engine");
    assert_eq!(handshake.host, phalanx_sys::machine::host_name());
    assert_eq!(handshake.state.as_str(), "empty");
    let result = cluster.one(EngineId(5), "print here", "empty", "1");
    assert_eq!(cluster.done(&result).await[0].metadata.stdout, "here\n");
    let mut events = cluster.client.events();
    stop.cancel();
    assert_eq!(engine.await.unwrap().unwrap(), Exit::Shutdown);
    let event = tokio::time::timeout(PATIENCE, events.recv()).await.unwrap();
    assert_eq!(event, Some(ClientEvent::EngineLeft(EngineId(5))));
    cluster.end().await;
}

#[tokio::test]
async fn lost_variables_are_for_the_submitter_to_answer() {
    let mut cluster = Cluster::start(1).await;
    let result = cluster.everywhere("print once\nlost x", "empty", "1");
    let refused = cluster.refusal().await;
    let names = vec!["x".to_owned()];
    assert_eq!(refused.reason, RefusalReason::VariablesLost { names });
    assert_eq!(refused.state.as_str(), "empty");
    let cell = cluster.cell(EngineId(0), "print again", "empty", "1");
    refused.resend(cell);
    assert!(ok(&cluster.done(&result).await[0]));
    cluster.end().await;
}

#[tokio::test]
async fn magics_are_for_the_notebooks_own_cells() {
    let mut cluster = Cluster::start(1).await;
    let result = cluster.everywhere("magic %px 1", "empty", "1");
    let tasks = cluster.done(&result).await;
    assert_eq!(failure(&tasks[0]).ename, "UsageError", "{tasks:#?}");
    cluster.end().await;
}
