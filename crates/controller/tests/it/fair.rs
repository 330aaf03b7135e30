//! Several clients at once: one that submits many tasks, or has disconnected, does not delay the
//! others.

use crate::client::{Client, reply};
use crate::cluster::{Cluster, Route, soon};
use phalanx_controller::ControllerConfig;
use serde_json::{Value, json};
use std::time::Duration;

/// Polls the number of waiting load-balanced tasks until it satisfies a condition.
async fn waiting(client: &mut Client, wanted: impl Fn(u64) -> bool) -> u64 {
    let waiting = async {
        loop {
            let content = json!({"targets": null, "verbose": false});
            let queue = client.ask("queue_request", content).await;
            let waiting = queue.content["unassigned"].as_u64().unwrap();
            if wanted(waiting) {
                return waiting;
            }
            tokio::task::yield_now().await;
        }
    };
    soon(waiting).await
}

#[tokio::test]
async fn a_single_task_does_not_wait_for_a_hundred_thousand_of_another_client() {
    const TASKS: u64 = 100_000;
    let cluster = Cluster::start(ControllerConfig::default()).await;
    let (many, mut few) = (cluster.client().await, cluster.client().await);
    let sending = many.submitter("x", TASKS as usize);
    waiting(&mut few, |waiting| waiting == TASKS).await;
    let _engine = cluster.engine("a").await;
    few.joined("a").await;
    let id = few.submit("mine", json!({})).await;
    let (parent, answer) = reply(&mut few.task, &few.session).await;
    assert_eq!(
        (parent, answer.content["status"].as_str()),
        (id, Some("ok"))
    );
    let left = waiting(&mut few, |_| true).await;
    assert!(left > TASKS / 2, "{left} of {TASKS} tasks wait");
    soon(sending).await.unwrap();
}

#[tokio::test]
async fn only_the_waiting_tasks_of_a_client_that_left_are_dropped() {
    let config = ControllerConfig {
        client_timeout: Duration::ZERO,
        ..ControllerConfig::default()
    };
    let cluster = Cluster::start(config).await;
    let (mut gone, mut other) = (cluster.client().await, cluster.client().await);
    let _engine = cluster.rust_engine("a").await;
    gone.joined("a").await;
    let rust = json!({"phalanx": {}});
    let done = gone.submit("done", rust.clone()).await;
    reply(&mut gone.task, &gone.session).await;
    let runs = gone.submit("hang", rust.clone()).await;
    let lost = gone.submit("lost", rust).await;
    let kept = json!({"phalanx": {}, "phalanx_detached": true});
    let kept = gone.submit("kept", kept).await;
    waiting(&mut other, |waiting| waiting == 2).await;
    drop(gone);
    waiting(&mut other, |waiting| waiting == 1).await;
    let content = json!({"msg_ids": [done, runs, lost, kept], "status_only": false});
    let results = other.ask("result_request", content).await.content;
    let ids = |key: &str| {
        let mut ids: Vec<_> = results[key].as_array().unwrap().clone();
        ids.sort_by_key(Value::to_string);
        ids
    };
    let sorted = |mut ids: [String; 2]| {
        ids.sort();
        ids.map(Value::from).to_vec()
    };
    assert_eq!(ids("pending"), sorted([runs, kept]));
    assert_eq!(ids("completed"), sorted([done.clone(), lost.clone()]));
    assert_eq!(results[&lost]["result_content"]["status"], "aborted");
    assert_eq!(results[&done]["result_content"]["status"], "ok");
}

#[tokio::test]
async fn other_requests_are_answered_while_task_intake_is_paused() {
    const TASKS: u64 = 100;
    let task = "x".repeat(100_000);
    let config = ControllerConfig {
        queued_bytes: 20 * task.len(),
        ..ControllerConfig::default()
    };
    let cluster = Cluster::start(config).await;
    let (many, mut other) = (cluster.client().await, cluster.client().await);
    let sending = many.submitter(&task, TASKS as usize);
    let taken = waiting(&mut other, |waiting| waiting >= 9).await;
    assert!(taken < TASKS / 2, "{taken} of {TASKS} tasks were taken");
    // An engine joins, a direct request comes before those that wait, and then all of them run.
    let _engine = cluster.engine("a").await;
    other.joined("a").await;
    let id = other.run("a", "mine").await;
    assert_eq!(reply(&mut other.mux, &other.session).await.0, id);
    waiting(&mut other, |waiting| waiting == 0).await;
    soon(sending).await.unwrap();
}

/// A client that fills the room for tasks, whatever its connection, leaves some to others.
#[tokio::test]
async fn a_client_that_exceeds_its_share_is_paused_alone() {
    const SIZE: usize = 100_000;
    const ROOM: usize = 40;
    const TASKS: usize = 100;
    for route in [Route::Network, Route::Unix, Route::Memory] {
        let config = ControllerConfig {
            queued_bytes: ROOM * SIZE,
            ..ControllerConfig::default()
        };
        let cluster = Cluster::start(config).await;
        let mut many = cluster.client_by(route).await;
        let mut few = cluster.client_by(route).await;
        let mut watcher = cluster.client().await;
        let sending = many.submitter(&"x".repeat(SIZE), TASKS);
        let half = ROOM as u64 / 2;
        let taken = waiting(&mut watcher, |waiting| waiting >= half - 1).await;
        // The tasks of others are read meanwhile.
        let id = few.submit("mine", json!({})).await;
        let with_mine = waiting(&mut watcher, |waiting| waiting > taken).await;
        assert!(with_mine <= half + 4, "{route:?}: {with_mine} are here");
        // They run in turn, and then all of them do.
        let _engine = cluster.engine("a").await;
        assert_eq!(reply(&mut few.task, &few.session).await.0, id);
        for _ in 0..TASKS {
            reply(&mut many.task, &many.session).await;
        }
        soon(sending).await.unwrap();
        assert_eq!(waiting(&mut watcher, |_| true).await, 0);
    }
}

/// A client that is paused when it ends is noticed, and what it has sent is received.
#[tokio::test]
async fn the_end_of_a_paused_client_is_noticed() {
    const SIZE: usize = 100_000;
    for route in [Route::Network, Route::Unix, Route::Memory] {
        let config = ControllerConfig {
            queued_bytes: 10 * SIZE,
            client_timeout: Duration::ZERO,
            ..ControllerConfig::default()
        };
        let cluster = Cluster::start(config).await;
        let (gone, mut other) = (cluster.client_by(route).await, cluster.client().await);
        let code = "x".repeat(SIZE);
        for _ in 0..6 {
            gone.submit(&code, json!({"phalanx": {}})).await;
        }
        waiting(&mut other, |waiting| waiting >= 5).await;
        let kept = json!({"phalanx": {}, "phalanx_detached": true});
        gone.submit("kept", kept).await;
        gone.task.close(Duration::from_secs(10)).await.unwrap();
        waiting(&mut other, |waiting| waiting == 1).await;
        let _engine = cluster.rust_engine("a").await;
        waiting(&mut other, |waiting| waiting == 0).await;
    }
}
