use crate::client::reply;
use crate::cluster::{Cluster, LIMIT, clusters, soon};
use phalanx_controller::ControllerConfig;
use phalanx_protocol::parallel::RegistrationReply;
use serde_json::json;
use std::sync::{Arc, Mutex};

/// Its output is complete, although the client waited only for the notification.
#[tokio::test]
async fn the_first_cell_after_registration_loses_no_output() {
    for cluster in clusters("first").await {
        let mut client = cluster.client().await;
        for round in 0..100 {
            let uuid = format!("engine-{round}");
            let engine = cluster.engine(&uuid).await;
            client.joined(&uuid).await;
            let id = client.run(&uuid, "hello").await;
            assert_eq!(client.printed(&id).await, "hello");
            let (parent, answer) = reply(&mut client.mux, &client.session).await;
            assert_eq!(
                (parent, answer.content["status"].as_str()),
                (id, Some("ok"))
            );
            assert_eq!(answer.identities, [uuid.into_bytes()]);
            engine.crash().await;
        }
        cluster.controller.shutdown().await;
    }
}

#[tokio::test]
async fn tasks_of_an_engine_are_answered_when_it_ends() {
    for cluster in clusters("ends").await {
        let mut client = cluster.client().await;
        let engine = cluster.engine("victim").await;
        client.joined("victim").await;
        let mut expected = vec![
            client.run("victim", "hang").await,
            client.run("victim", "hang").await,
        ];
        let task = client
            .submit("hang", json!({"targets": ["victim"], "retries": 3}))
            .await;
        let cast = client.broadcast("hang", &["victim"], false).await;
        let one = client.broadcast("hang", &["victim"], true).await;
        // Everything has arrived once this is answered, since the engine reads in order.
        client.run("victim", "there").await;
        soon(client.mux.recv_message()).await.unwrap();
        engine.crash().await;

        for _ in 0..2 {
            let (parent, answer) = reply(&mut client.mux, &client.session).await;
            assert_eq!(parent, expected.remove(0));
            assert_eq!(answer.header.msg_type, "execute_reply");
            assert_eq!(answer.content["ename"], "EngineError");
            assert_eq!(answer.metadata["engine"], "victim");
        }
        let (parent, answer) = reply(&mut client.task, &client.session).await;
        assert_eq!(answer.content["ename"], "EngineError");
        let died = format!("Engine 0 died while running task '{task}'");
        assert_eq!((parent, &answer.content["evalue"]), (task, &json!(died)));
        let (parent, answer) = reply(&mut client.broadcast, &client.session).await;
        assert_eq!(parent, format!("{cast}_victim"));
        assert_eq!(answer.content["ename"], "EngineError");
        let (_, answer) = reply(&mut client.broadcast, &client.session).await;
        assert_eq!(answer.metadata["original_msg_id"], json!(one));
        assert_eq!(answer.content["ename"], "EngineError");
        assert_eq!(
            client.notified().await,
            (
                "unregistration_notification".to_owned(),
                "victim".to_owned()
            )
        );
        let engines = client.ask("connection_request", json!({})).await;
        assert_eq!(engines.content["engines"], json!({}));
        cluster.controller.shutdown().await;
    }
}

#[tokio::test]
async fn a_request_for_an_unknown_engine_is_answered_with_an_error() {
    for cluster in clusters("nobody").await {
        let mut client = cluster.client().await;
        let id = client.run("nobody", "x").await;
        let (parent, answer) = reply(&mut client.mux, &client.session).await;
        assert_eq!(
            (parent, &answer.content["ename"]),
            (id, &json!("EngineError"))
        );
    }
}

/// A log whose lines are counted.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_peer_that_sends_nonsense_does_not_fill_the_log() {
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt().with_writer(move || writer.clone());
    let _logged = tracing::subscriber::set_default(log.finish());
    let cluster = clusters("nonsense").await.swap_remove(2);
    let mut client = cluster.client().await;
    let _engine = cluster.engine("a").await;
    client.joined("a").await;
    for _ in 0..500 {
        client.run_forged("a", "forged").await;
    }
    let id = client.run("a", "honest").await;
    let (parent, _) = reply(&mut client.mux, &client.session).await;
    assert_eq!(parent, id);
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let said = log.matches("a message is dropped").count();
    assert!((1..20).contains(&said), "{said} times");
}

#[tokio::test]
async fn forged_messages_are_not_relayed() {
    for cluster in clusters("forged").await {
        let mut client = cluster.client().await;
        let _engine = cluster.engine("a").await;
        client.joined("a").await;
        client.run_forged("a", "forged").await;
        client
            .mux
            .send(vec!["a".into(), "no message".into()])
            .await
            .unwrap();
        let id = client.run("a", "honest").await;
        let (parent, _) = reply(&mut client.mux, &client.session).await;
        assert_eq!(parent, id);
    }
}

#[tokio::test]
async fn tasks_are_balanced_and_retried() {
    for cluster in clusters("tasks").await {
        let mut client = cluster.client().await;
        let _engines = [cluster.engine("a").await, cluster.engine("b").await];
        client.joined("a").await;
        client.joined("b").await;
        let mut ids = Vec::new();
        for n in 0..20 {
            ids.push(client.submit(&n.to_string(), json!({})).await);
        }
        let mut parents = Vec::new();
        for _ in 0..20 {
            parents.push(reply(&mut client.task, &client.session).await.0);
        }
        ids.sort();
        parents.sort();
        assert_eq!(parents, ids);
        for code in ["fail", "unmet"] {
            let id = client.submit(code, json!({"retries": 7})).await;
            let (parent, answer) = reply(&mut client.task, &client.session).await;
            assert_eq!(parent, id);
            let ename = &answer.content["ename"];
            assert_eq!(ename == "ImpossibleDependency", code == "unmet");
            assert_eq!(answer.content["status"], "error");
        }
        let queue = client
            .ask("queue_request", json!({"targets": null, "verbose": false}))
            .await;
        let completed = |id: &str| queue.content[id]["completed"].as_u64().unwrap();
        assert_eq!(queue.content["unassigned"], 0);
        assert_eq!(completed("0") + completed("1"), 21);
        let history = client.ask("history_request", json!({})).await;
        assert_eq!(history.content["history"].as_array().unwrap().len(), 22);
    }
}

/// The number of tasks waiting here is bounded; the others wait at the client until there is an
/// engine.
#[tokio::test]
async fn excess_tasks_wait_in_the_client() {
    const SIZE: usize = 10_000;
    const MOST: usize = 20;
    const TASKS: usize = 100;
    let config = ControllerConfig {
        queued_bytes: MOST * SIZE,
        ..ControllerConfig::default()
    };
    let cluster = Cluster::start(config).await;
    let mut client = cluster.client().await;
    let large = "x".repeat(SIZE);
    let sending = client.submitter(&large, TASKS);
    let unassigned = soon(async {
        loop {
            let content = json!({"targets": null, "verbose": false});
            let queue = client.ask("queue_request", content).await;
            let waiting = queue.content["unassigned"].as_u64().unwrap();
            // Half of the room is for other clients, and each is slightly larger than its code.
            if waiting >= MOST as u64 / 2 - 1 {
                return waiting;
            }
            tokio::task::yield_now().await;
        }
    });
    let unassigned = unassigned.await;
    assert!(unassigned <= MOST as u64 / 2 + 3, "{unassigned}");
    let _engine = cluster.engine("a").await;
    for _ in 0..TASKS {
        reply(&mut client.task, &client.session).await;
    }
    soon(sending).await.unwrap();
}

#[tokio::test]
async fn a_broadcast_is_answered_by_many_replies_or_one() {
    for cluster in clusters("broadcast").await {
        let mut client = cluster.client().await;
        let _engines = [cluster.engine("a").await, cluster.engine("b").await];
        client.joined("a").await;
        client.joined("b").await;
        let id = client.broadcast("x", &["a", "b"], false).await;
        let mut parents = vec![
            reply(&mut client.broadcast, &client.session).await.0,
            reply(&mut client.broadcast, &client.session).await.0,
        ];
        parents.sort();
        assert_eq!(parents, [format!("{id}_a"), format!("{id}_b")]);
        let id = client.broadcast("x", &["b", "a"], true).await;
        let (_, one) = reply(&mut client.broadcast, &client.session).await;
        assert_eq!(one.metadata["original_msg_id"], json!(id));
        assert_eq!(
            one.metadata["broadcast_targets"],
            json!([["b", 0], ["a", 1]])
        );
        assert_eq!(one.buffers, ["b", "a"]);
    }
}

#[tokio::test]
async fn a_uuid_registers_once() {
    for cluster in clusters("twice").await {
        let mut client = cluster.client().await;
        let _engine = cluster.engine("a").await;
        client.joined("a").await;
        let again = cluster.engine("a").await;
        let RegistrationReply::Error(error) = again.registration else {
            panic!("{:?}", again.registration);
        };
        assert!(error.evalue.contains("in use"), "{error:?}");
    }
}

#[tokio::test]
async fn a_late_subscriber_receives_the_registered_engines() {
    for cluster in clusters("late").await {
        let mut early = cluster.client().await;
        let _engine = cluster.engine("a").await;
        early.joined("a").await;
        cluster.client().await.joined("a").await;
    }
}

#[tokio::test]
async fn shutdown_notifies_the_clients_and_removes_the_files() {
    for asked in [true, false] {
        for cluster in clusters("ending").await {
            let mut client = cluster.client().await;
            let _engine = cluster.engine("a").await;
            client.joined("a").await;
            let path = cluster.controller.engine_path().to_owned();
            assert!(path.exists());
            if asked {
                let reply = client.ask("shutdown_request", json!({})).await;
                assert_eq!(reply.content["status"], "ok");
                soon(cluster.controller.ended()).await;
            }
            tokio::time::timeout(LIMIT, cluster.controller.shutdown())
                .await
                .unwrap();
            assert_eq!(client.notified().await.0, "shutdown_notification");
            assert!(!path.exists());
        }
    }
}
