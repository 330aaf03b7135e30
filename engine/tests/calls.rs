//! Functions called on real engines.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use bytes::Bytes;
use phalanx_client::{AsyncResult, EngineCall, Placement, Submission};
use phalanx_protocol::apply::SchedulingOptions;
use phalanx_protocol::id::{ArtifactHash, EngineId};
use phalanx_protocol::parallel::{CallMetadata, Dependency};
use phalanx_protocol::payload::Payload;
use phalanx_sys::segment;
use std::sync::Arc;
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
            metadata: Arc::new(CallMetadata {
                abi: "rustc 1".to_owned(),
                host: phalanx_sys::machine::host_name(),
                offset: Some(0),
                artifacts: vec![hash.clone()],
                paths: Vec::new(),
                buffers: Vec::new(),
                quiet: false,
                keep: false,
                pushes: Vec::new(),
            }),
            artifacts: Arc::new([(hash, path)]),
            args: Payload::Inline(Bytes::from_static(args)),
            label: Some("mine".into()),
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
async fn arguments_that_are_to_be_kept_for_others_are_read_where_they_are_kept() {
    let cluster = Cluster::start(1).await;
    for keep in [false, true] {
        let mut call = cluster.function(on(0), "print-input\nreturn P", b"these");
        Arc::make_mut(&mut call.metadata).keep = keep;
        let called = cluster.call(vec![call]);
        let tasks = cluster.done(&called).await;
        assert!(ok(&tasks[0]), "{tasks:?}");
        // If it was stored, the runtime receives a reference, which is not text.
        assert_eq!(tasks[0].metadata.stdout == "these\n", !keep);
    }
    cluster.end().await;
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
    let value = Payload::Inline(Bytes::from_static(b"P\0\xff"));
    assert_eq!(
        called.outcomes(0..1),
        [Some(Ok((Some(EngineId(1)), value)))]
    );
    cluster.done(&cell).await;
    // The state is that after the cell.
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
    assert!(value.frame() == args);
    cluster.end().await;
}

/// Returns calls that differ in their arguments only.
fn alike(one: &EngineCall, count: usize) -> Vec<EngineCall> {
    let call = |n: usize| EngineCall {
        args: Payload::Inline(Bytes::from(format!("P{n}"))),
        ..one.clone()
    };
    (0..count).map(call).collect()
}

#[tokio::test]
async fn many_small_tasks_travel_together_and_each_is_its_own() {
    let cluster = Cluster::start(3).await;
    let anywhere = Placement::Balanced(Arc::default());
    let quiet = cluster.function(anywhere.clone(), "return-input", b"");
    let called = cluster.call(alike(&quiet, 3000));
    let tasks = cluster.done(&called).await;
    let mut ids = std::collections::HashSet::new();
    for (n, (task, outcome)) in tasks.iter().zip(called.outcomes(0..3000)).enumerate() {
        let metadata = &task.metadata;
        assert!(ok(task) && *outcome.unwrap().unwrap().1.frame() == format!("P{n}"));
        assert!(metadata.started.unwrap() <= metadata.completed.unwrap());
        assert!(metadata.submitted.unwrap() <= metadata.received.unwrap());
        assert!(metadata.engine_id.is_some() && metadata.label.as_deref() == Some("mine"));
        assert!(ids.insert(metadata.msg_id.clone().unwrap()));
    }
    let loud = cluster.function(anywhere, "print-input\nreturn-input", b"");
    let called = cluster.call(alike(&loud, 500));
    for (n, task) in cluster.done(&called).await.iter().enumerate() {
        assert_eq!(task.metadata.stdout, format!("P{n}\n"));
    }
    cluster.end().await;
}

#[tokio::test]
async fn a_map_whose_engines_all_die_comes_to_an_end() {
    let mut cluster = Cluster::start(2).await;
    let with = |retries| {
        let balanced = SchedulingOptions {
            retries,
            ..SchedulingOptions::default()
        };
        Placement::Balanced(Arc::new(balanced))
    };
    let once = cluster.function(with(0), "sleep 0.1\nreturn-input", b"");
    let again = cluster.function(with(3), "sleep 0.1\nreturn-input", b"");
    let maps = [once, again].map(|call| cluster.call(alike(&call, 20)));
    maps[0].ended_since(0, None).await;
    for child in cluster.engines.values_mut() {
        child.start_kill().expect("it can be killed");
    }
    for map in &maps {
        let mut enames = std::collections::BTreeSet::new();
        for task in cluster.done(map).await {
            if !ok(&task) {
                enames.insert(failure(&task).ename.clone());
            }
        }
        enames.remove("EngineError");
        assert_eq!(enames.into_iter().collect::<Vec<_>>(), ["NoEngines"]);
    }
    cluster.controller.shutdown().await;
}

#[tokio::test]
async fn large_data_goes_by_reference_and_whoever_takes_it_over_has_it() {
    let cluster = Cluster::start(2).await;
    let value = async |call: EngineCall| {
        let called = cluster.call(vec![call]);
        let tasks = cluster.done(&called).await;
        assert!(ok(&tasks[0]), "{tasks:?}");
        match called.outcomes(0..1).remove(0) {
            Some(Ok((_, value))) => (called, value),
            other => panic!("{other:?}"),
        }
    };
    let bytes: &'static [u8] = vec![b'P'; 3 << 20].leak();
    let anywhere = Placement::Balanced(Arc::default());
    for place in [on(0), on(1), anywhere] {
        let call = cluster.function(place.clone(), "return-placed", bytes);
        let (called, placed) = value(call).await;
        assert!(placed.segment().is_some());
        // Earlier results are dropped, but the client keeps its value.
        value(cluster.function(place.clone(), "return P", b"")).await;
        assert!(segment::resolve(placed.clone()).expect("a value") == bytes);

        // As an argument it is still a reference.
        let mut call = cluster.function(place, "return-input", b"");
        call.args = placed.clone();
        let (_, back) = value(call).await;
        drop((called, placed));
        assert!(segment::resolve(back).expect("a value") == bytes);
    }
    cluster.end().await;
}

#[tokio::test]
async fn a_call_whose_data_is_gone_ends() {
    let cluster = Cluster::start(1).await;
    for place in [on(0), Placement::Balanced(Arc::default())] {
        let mut call = cluster.function(place, "return-input", b"");
        let placed = segment::create(b"P").expect("a file");
        call.args = Payload::read(Bytes::copy_from_slice(placed.frame()));
        drop(placed);
        let called = cluster.call(vec![call]);
        let tasks = cluster.done(&called).await;
        assert_eq!(failure(&tasks[0]).ename, "EngineError");
    }
    cluster.end().await;
}

#[tokio::test]
async fn balanced_tasks_say_who_ran_them() {
    let cluster = Cluster::start(2).await;
    let anywhere = || Placement::Balanced(Arc::default());
    let calls = (0..20).map(|_| cluster.function(anywhere(), "print x\nreturn-input", b"P1"));
    let called = cluster.call(calls.collect());
    let tasks = cluster.done(&called).await;
    for task in &tasks {
        assert!(ok(task), "{task:?}");
        assert_eq!(task.metadata.stdout, "x\n");
        assert!(task.metadata.engine_id.is_some() && task.metadata.engine_uuid.is_some());
    }
    let first = tasks[0].metadata.msg_id.clone().expect("an id");
    let follow = Placement::Balanced(Arc::new(SchedulingOptions {
        follow: Dependency {
            dependencies: vec![first.clone()],
            ..Dependency::default()
        },
        ..SchedulingOptions::default()
    }));
    let called = cluster.call(vec![cluster.function(follow, "return P", b"")]);
    let followed = cluster.done(&called).await;
    assert_eq!(followed[0].metadata.engine_id, tasks[0].metadata.engine_id);
    assert_eq!(followed[0].metadata.follow, [first]);
    cluster.end().await;
}
