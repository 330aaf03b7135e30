//! Functions called on real engines.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use bytes::Bytes;
use phalanx_client::{AsyncResult, Balanced, EngineCall, Placement, Submission};
use phalanx_protocol::id::{ArtifactHash, EngineId};
use phalanx_protocol::parallel::{CallMetadata, Dependency};
use support::{Cluster, failure, ok};
use tokio::sync::mpsc;

impl Cluster {
    fn function(&self, placement: Placement, script: &str, args: &'static [u8]) -> EngineCall {
        let artifact = format!("#!echo\n{script}");
        let hash = ArtifactHash::of(artifact.as_bytes());
        let path = self.folder.path().join(hash.as_str());
        std::fs::write(&path, artifact).expect("a script");
        EngineCall {
            placement,
            metadata: CallMetadata {
                abi: "rustc 1".to_owned(),
                host: phalanx_client::host(),
                offset: Some(0),
                artifacts: vec![hash.clone()],
                paths: Vec::new(),
                buffers: Vec::new(),
            },
            artifacts: vec![(hash, path)],
            args: Bytes::from_static(args),
            label: Some("mine".to_owned()),
        }
    }

    fn call(&self, calls: Vec<EngineCall>) -> AsyncResult {
        self.client.submit(Submission {
            name: "f".to_owned(),
            tasks: calls.into_iter().map(Into::into).collect(),
            refused: mpsc::unbounded_channel().0,
        })
    }
}

fn on(id: u32) -> Placement {
    Placement::Engine(EngineId(id))
}

#[tokio::test]
async fn a_function_is_called_with_its_arguments_and_its_output_is_its_own() {
    let mut cluster = Cluster::start(2).await;
    let cell = cluster.everywhere("let x = 1", "empty", "1");
    let call = cluster.function(
        on(1),
        "print from inside\nhtml <b>\nreturn-input",
        b"P\0\xff",
    );
    let called = cluster.call(vec![call]);
    let tasks = cluster.done(&called).await;
    assert!(ok(&tasks[0]), "{tasks:?}");
    assert_eq!(tasks[0].metadata.stdout, "from inside\n");
    assert_eq!(tasks[0].metadata.outputs.len(), 1);
    assert_eq!(tasks[0].metadata.label.as_deref(), Some("mine"));
    let value = Bytes::from_static(b"P\0\xff");
    assert_eq!(
        called.outcomes(0..1),
        [Some(Ok((Some(EngineId(1)), value)))]
    );
    cluster.done(&cell).await;
    // Its state is as the cell left it.
    let shown = cluster.everywhere("show x", "1", "2");
    for task in cluster.done(&shown).await {
        assert_eq!(task.metadata.stdout, "1\n");
    }
    cluster.end().await;
}

#[tokio::test]
async fn a_call_ends_however_it_ends() {
    let cluster = Cluster::start(1).await;
    for (script, ename) in [
        (
            "return X{\"ename\": \"DeserializeError\", \"evalue\": \"é\"}",
            "DeserializeError",
        ),
        ("panic boom", "Panic"),
        ("abort", "RuntimeDied"),
        ("print nothing", "EngineError"),
    ] {
        let called = cluster.call(vec![cluster.function(on(0), script, b"P")]);
        let tasks = cluster.done(&called).await;
        let failure = failure(&tasks[0]);
        assert_eq!(
            (failure.ename.as_str(), failure.method.as_str()),
            (ename, "apply")
        );
        assert_eq!(failure.engine, Some(EngineId(0)));
    }
    let called = cluster.call(vec![cluster.function(on(0), "return P again", b"")]);
    assert!(ok(&cluster.done(&called).await[0]));
    cluster.end().await;
}

#[tokio::test]
async fn megabytes_come_back_as_they_went() {
    let cluster = Cluster::start(1).await;
    let args: &'static [u8] = vec![b'P'; 32 << 20].leak();
    let called = cluster.call(vec![cluster.function(on(0), "return-input", args)]);
    assert!(ok(&cluster.done(&called).await[0]));
    let Some(Ok((_, value))) = called.outcomes(0..1).remove(0) else {
        panic!("no value");
    };
    assert!(value == args);
    cluster.end().await;
}

#[tokio::test]
async fn balanced_tasks_say_who_ran_them() {
    let cluster = Cluster::start(2).await;
    let anywhere = || Placement::Balanced(Balanced::default());
    let calls = (0..20).map(|_| cluster.function(anywhere(), "print x\nreturn-input", b"P1"));
    let called = cluster.call(calls.collect());
    let tasks = cluster.done(&called).await;
    for task in &tasks {
        assert!(ok(task), "{task:?}");
        assert_eq!(task.metadata.stdout, "x\n");
        assert!(task.metadata.engine_id.is_some() && task.metadata.engine_uuid.is_some());
    }
    let first = tasks[0].metadata.msg_id.clone().expect("an id");
    let follow = Placement::Balanced(Balanced {
        follow: Dependency {
            dependencies: vec![first.clone()],
            ..Dependency::default()
        },
        ..Balanced::default()
    });
    let called = cluster.call(vec![cluster.function(follow, "return P", b"")]);
    let followed = cluster.done(&called).await;
    assert_eq!(followed[0].metadata.engine_id, tasks[0].metadata.engine_id);
    assert_eq!(followed[0].metadata.follow, [first]);
    cluster.end().await;
}
