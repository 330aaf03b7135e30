//! The memory use of waiting tasks, measured in a process of its own.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use phalanx_controller::{Controller, ControllerConfig};
use phalanx_protocol::parallel::BATCH;
use phalanx_transport::{Envelope, SendError, Session, Socket, SocketKind, SocketOptions};
use serde_json::json;
use std::time::Duration;

const TASKS: usize = 100_000;
/// The limit in MB for all tasks.
const MOST: u64 = 150;
/// The numbers of tasks per message: as our client sends them, and as a stock client does.
const TOGETHER: [usize; 2] = [1000, 1];

/// The resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() << 10
}

/// A task in a stock client's form: function and arguments of 300 bytes.
fn single(session: &Session) -> Envelope {
    let mut task = session.envelope("apply_request", json!({}), None);
    let metadata = json!({"after": [], "follow": [], "timeout": 0.0, "targets": [], "retries": 0,
        "label": null});
    task.metadata = metadata.as_object().unwrap().clone();
    task.buffers = vec![vec![1; 200].into(), vec![2; 50].into(), vec![3; 50].into()];
    task
}

/// Tasks in our client's form: many per message.
fn batch(session: &Session, count: usize) -> Envelope {
    let ids: Vec<_> = (0..count).map(|_| session.header("").msg_id).collect();
    let mut tasks = single(session);
    tasks
        .metadata
        .insert("phalanx".to_owned(), json!({"call": "f", "abi": "rustc"}));
    tasks.metadata.insert(BATCH.to_owned(), json!(ids));
    tasks.buffers = vec![vec![1; 100].into(); count];
    tasks
}

#[tokio::test]
async fn a_hundred_thousand_waiting_tasks_use_little_memory() {
    for together in TOGETHER {
        let controller = Controller::start(ControllerConfig::default())
            .await
            .unwrap();
        let file = controller.client_file();
        let session = Session::new("client", file.signing_key().unwrap());
        let open = async |port| {
            let endpoint = file.endpoint(port).unwrap();
            let options = SocketOptions::default();
            Socket::connect(SocketKind::Dealer, &endpoint, options)
                .await
                .unwrap()
        };
        let (task, mut query) = (open(file.task).await, open(file.registration).await);
        phalanx_sys::heap::trim();
        let before = resident();
        for _ in 0..TASKS / together {
            let task_message = match together {
                1 => single(&session),
                count => batch(&session, count),
            };
            let frames = task_message.seal(session.key()).unwrap();
            while let Err(error) = task.send(frames.clone()).await {
                assert!(matches!(error, SendError::Stalled { .. }), "{error}");
            }
        }
        let all = async {
            loop {
                let content = json!({"targets": null, "verbose": false});
                let request = session.envelope("queue_request", content, None);
                let request = request.seal(session.key()).unwrap();
                query.send(request).await.unwrap();
                let reply = query.recv_message().await.unwrap();
                let reply = Envelope::open(reply, session.key()).unwrap();
                if reply.content["unassigned"] == TASKS {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), all)
            .await
            .unwrap();
        // Memory freed by the sender is not the controller's.
        phalanx_sys::heap::trim();
        let taken = resident().saturating_sub(before) / 1_000_000;
        println!("{TASKS} tasks, {together} in a message: {taken} MB");
        assert!(taken <= MOST, "{taken} MB for {together} in a message");
        controller.shutdown().await;
    }
}
