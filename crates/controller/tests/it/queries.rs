//! Clients' queries about tasks of all clients.

use crate::client::{Client, reply};
use crate::cluster::{Cluster, clusters, soon};
use phalanx_controller::{ControllerConfig, TaskDatabase};
use phalanx_transport::Envelope;
use serde_json::{Value, json};

/// Polls until the answer satisfies a condition: requests and queries use different sockets.
async fn ask_until(
    client: &mut Client,
    msg_type: &str,
    content: Value,
    wanted: impl Fn(&Envelope) -> bool,
) -> Envelope {
    soon(async {
        loop {
            let answer = client.ask(msg_type, content.clone()).await;
            if wanted(&answer) {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

fn is_ok(answer: &Envelope) -> bool {
    answer.content["status"] == "ok"
}

#[tokio::test]
async fn results_are_available_to_other_clients() {
    for cluster in clusters("results").await {
        let mut client = cluster.client().await;
        let _engine = cluster.engine("a").await;
        client.joined("a").await;
        let done = client.run("a", "x").await;
        reply(&mut client.mux, &client.session).await;
        assert_eq!(client.printed(&done).await, "x");
        let hangs = client.run("a", "hang").await;
        let mut other = cluster.client().await;
        let content = json!({"msg_ids": [hangs, done], "status_only": false});
        let printed = |answer: &Envelope| answer.content[&done]["io"]["stdout"] == "x";
        let answer = ask_until(&mut other, "result_request", content.clone(), printed).await;
        assert_eq!(answer.content["completed"], json!([done]));
        assert_eq!(answer.content["pending"], json!([hangs]));
        assert_eq!(answer.content[&done]["result_content"]["status"], "ok");
        assert_eq!(answer.content[&done]["header"]["msg_id"], json!(done));
        assert_eq!(answer.buffers, ["a"]);

        let pending = json!({"msg_ids": [hangs], "engine_ids": []});
        let refused = other.ask("purge_request", pending).await;
        assert_eq!(refused.content["ename"], "IndexError");
        let nobody = json!({"msg_ids": [], "engine_ids": [7]});
        let refused = other.ask("purge_request", nobody).await;
        assert_eq!(refused.content["ename"], "IndexError");
        let purged = json!({"msg_ids": "all", "engine_ids": []});
        let purged = other.ask("purge_request", purged).await;
        assert_eq!(purged.content, json!({"status": "ok"}));
        let answer = other.ask("result_request", content).await;
        assert_eq!(answer.content["ename"], "KeyError");
        let history = other.ask("history_request", json!({})).await;
        assert_eq!(history.content["history"], json!([hangs]));
    }
}

#[tokio::test]
async fn records_are_found_by_their_fields() {
    for cluster in clusters("records").await {
        let mut client = cluster.client().await;
        let _engine = cluster.engine("a").await;
        client.joined("a").await;
        let labelled = json!({"label": "dview_1"});
        let task = client.submit("x", labelled).await;
        reply(&mut client.task, &client.session).await;
        let failed = client.submit("fail", json!({"label": "dview_2"})).await;
        reply(&mut client.task, &client.session).await;
        let direct = client.run("a", "y").await;
        reply(&mut client.mux, &client.session).await;

        let labels = json!({"query": {"label": {"$glob": "dview_*"}}, "keys": ["label"]});
        let found = client.ask("db_request", labels).await;
        let expected = json!([
            {"label": "dview_1", "msg_id": task}, {"label": "dview_2", "msg_id": failed},
        ]);
        assert_eq!(found.content["records"], expected);
        assert_eq!(found.content["buffer_lens"], Value::Null);

        let keys = json!([
            "queue",
            "engine_uuid",
            "client_uuid",
            "result_buffers",
            "completed"
        ]);
        let query = json!({"msg_id": {"$in": [task, direct]}});
        let found = client
            .ask("db_request", json!({"query": query, "keys": keys}))
            .await;
        let records = found.content["records"].as_array().unwrap();
        let mut queues: Vec<_> = records.iter().map(|record| &record["queue"]).collect();
        queues.sort_by_key(|queue| queue.to_string());
        assert_eq!(queues, ["mux", "task"]);
        for record in records {
            assert_eq!(record["engine_uuid"], "a");
            assert_eq!(record["client_uuid"], json!(client.session.id()));
            assert!(record["completed"].is_string());
        }
        assert_eq!(found.content["result_buffer_lens"], json!([1, 1]));
        assert_eq!(found.buffers, ["a", "a"]);

        let all = client.ask("db_request", json!({"query": {}})).await;
        assert_eq!(all.content["records"].as_array().unwrap().len(), 3);
        assert_eq!(all.content["records"][0].as_object().unwrap().len(), 21);
        for bad in [
            json!({"query": {"x": 1}}),
            json!({"query": {}, "keys": ["x"]}),
        ] {
            let refused = client.ask("db_request", bad).await;
            assert_eq!(refused.content["ename"], "KeyError");
        }
    }
}

#[tokio::test]
async fn tasks_run_again_under_new_ids() {
    for cluster in clusters("again").await {
        let mut client = cluster.client().await;
        let _engine = cluster.engine("a").await;
        client.joined("a").await;
        let direct = client.run("a", "said").await;
        reply(&mut client.mux, &client.session).await;
        let content = json!({"msg_ids": [direct]});
        let answer = client.ask("resubmit_request", content).await;
        let new = answer.content["resubmitted"][&direct].as_str().unwrap();
        assert_ne!(new, direct);
        assert_eq!(
            client.printed(new).await,
            "said",
            "its output is the client's"
        );
        let content = json!({"msg_ids": [new], "status_only": false});
        let done = |answer: &Envelope| answer.content["completed"] == json!([new]);
        let answer = ask_until(&mut client, "result_request", content, done).await;
        assert_eq!(answer.content[new]["result_content"]["status"], "ok");
        let old = json!({"query": {"msg_id": direct}, "keys": ["resubmitted"]});
        let old = client.ask("db_request", old).await;
        assert_eq!(old.content["records"][0]["resubmitted"], json!(new));
        let nobody = client
            .ask("resubmit_request", json!({"msg_ids": ["nobody"]}))
            .await;
        assert_eq!(nobody.content["ename"], "KeyError");
    }
}

#[tokio::test]
async fn queue_status_counts_or_lists_tasks() {
    for cluster in clusters("queues").await {
        let mut client = cluster.client().await;
        let _engine = cluster.engine("a").await;
        client.joined("a").await;
        let done = client.run("a", "x").await;
        reply(&mut client.mux, &client.session).await;
        let direct = client.run("a", "hang").await;
        let running = client.submit("hang", json!({})).await;
        let waiting = client.submit("x", json!({})).await;
        let content = json!({"targets": [0], "verbose": true});
        let there = |answer: &Envelope| {
            answer.content["unassigned"] == json!([waiting])
                && answer.content["0"]["queue"] == json!([direct])
        };
        let named = ask_until(&mut client, "queue_request", content, there).await;
        let expected = json!({"queue": [direct], "completed": [done], "tasks": [running]});
        assert_eq!(named.content["0"], expected);
        let content = json!({"targets": ["a"], "verbose": false});
        let counted = client.ask("queue_request", content).await;
        let expected = json!({"status": "ok", "unassigned": 1,
            "0": {"queue": 1, "completed": 1, "tasks": 1}});
        assert_eq!(counted.content, expected);
        let loads = client.ask("load_request", json!({"targets": null})).await;
        assert_eq!(loads.content, json!({"status": "ok", "0": 2}));
        for query in ["queue_request", "load_request"] {
            let nobody = client.ask(query, json!({"targets": [7]})).await;
            assert_eq!(nobody.content["ename"], "IndexError");
        }
    }
}

#[tokio::test]
async fn results_that_are_not_recorded_still_reach_their_client() {
    let config = ControllerConfig {
        database: TaskDatabase::Memory { bytes: 0 },
        ..ControllerConfig::default()
    };
    let cluster = Cluster::start(config).await;
    let mut client = cluster.client().await;
    let _engine = cluster.engine("a").await;
    client.joined("a").await;
    let done = client.run("a", "x").await;
    let (parent, answer) = reply(&mut client.mux, &client.session).await;
    assert_eq!(
        (parent, is_ok(&answer)),
        (done.clone(), true),
        "its client has received it"
    );
    let content = json!({"msg_ids": [done]});
    let answer = client.ask("result_request", content).await;
    assert_eq!(answer.content["ename"], "KeyError");
}

/// The limit for one message is a quarter of the limit for all records.
#[tokio::test]
async fn requests_for_records_that_were_too_large_are_refused_with_the_reason() {
    const MIB: usize = 1 << 20;
    let config = ControllerConfig {
        database: TaskDatabase::Memory { bytes: 4 * MIB },
        ..ControllerConfig::default()
    };
    let cluster = Cluster::start(config).await;
    let mut client = cluster.client().await;
    let _engine = cluster.engine("a").await;
    client.joined("a").await;
    let small = client.run_large("a", "x", MIB).await;
    reply(&mut client.mux, &client.session).await;
    let large = client.run_large("a", "x", MIB + 1).await;
    let (parent, answer) = reply(&mut client.mux, &client.session).await;
    assert_eq!((parent, is_ok(&answer)), (large.clone(), true));
    let again = client
        .ask("resubmit_request", json!({"msg_ids": [large]}))
        .await;
    let message = again.content["evalue"].as_str().unwrap();
    assert!(
        message.contains("its arguments are more than 1 MiB: submit it anew"),
        "{message}"
    );
    let again = client
        .ask("resubmit_request", json!({"msg_ids": [small]}))
        .await;
    assert!(is_ok(&again), "{:?}", again.content);
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_database_outlives_its_controller() {
    let folder = tempfile::tempdir().unwrap();
    let config = ControllerConfig {
        database: TaskDatabase::Sqlite(folder.path().join("tasks.db")),
        ..ControllerConfig::default()
    };
    let cluster = Cluster::start(config.clone()).await;
    let mut client = cluster.client().await;
    let _engine = cluster.engine("a").await;
    client.joined("a").await;
    let done = client.submit("x", json!({"label": "before"})).await;
    reply(&mut client.task, &client.session).await;
    let lost = client.submit("hang", json!({})).await;
    let content = json!({"msg_ids": [lost], "status_only": true});
    ask_until(&mut client, "result_request", content, is_ok).await;
    cluster.controller.shutdown().await;

    let cluster = Cluster::start(config).await;
    let mut client = cluster.client().await;
    let history = client.ask("history_request", json!({})).await;
    assert_eq!(history.content["history"], json!([done, lost]));
    let content = json!({"msg_ids": [done, lost], "status_only": false});
    let answer = client.ask("result_request", content).await;
    assert_eq!(
        answer.content["pending"],
        json!([]),
        "nobody works on it any more"
    );
    assert_eq!(
        answer.content[&lost]["result_content"]["ename"],
        "EngineError"
    );
    assert_eq!(answer.buffers, ["a"]);
    let _engine = cluster.engine("b").await;
    client.joined("b").await;
    let content = json!({"msg_ids": [done]});
    let answer = client.ask("resubmit_request", content).await;
    let new = answer.content["resubmitted"][&done].as_str().unwrap();
    let content = json!({"msg_ids": [new], "status_only": false});
    let ended = |answer: &Envelope| answer.content["completed"] == json!([new]);
    let answer = ask_until(&mut client, "result_request", content, ended).await;
    assert_eq!(answer.buffers, ["b"]);
    let labels = json!({"query": {"label": "before"}, "keys": ["resubmitted"]});
    let found = client.ask("db_request", labels).await;
    assert_eq!(found.content["records"].as_array().unwrap().len(), 2);
    cluster.controller.shutdown().await;
}

#[tokio::test]
async fn unknown_queries_are_answered_with_an_error() {
    for cluster in clusters("bogus").await {
        let mut client = cluster.client().await;
        let answer = client.ask("bogus_request", json!({})).await;
        assert_eq!(answer.header.msg_type, "hub_error");
        assert_eq!(answer.content["ename"], "KeyError");
        let answer = client.ask("result_request", json!({"msg_ids": 3})).await;
        assert_eq!(answer.content["status"], "error");
    }
}
