//! Messages between clients and engines: recorded between ipyparallel 9.2 and its engines
//! (`recorded.jsonl`; long texts are truncated), and our own.

#![cfg(feature = "jupyter")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use bytes::Bytes;
use data_encoding::HEXLOWER;
use phalanx_protocol::id::{ArtifactHash, EngineId, EngineUuid, MsgId, StateId};
use phalanx_protocol::output::Output;
use phalanx_protocol::parallel::{
    BATCH, BatchedReply, Call, CallBatch, CallMetadata, Cell, CellMetadata, EchoedMetadata,
    EngineHandshake, EngineKind, EnginePublication, EngineReply, EngineReplyContent, EngineRequest,
    EngineStatus, KernelInfo, Message, MessageRef, NotRunnable, PHALANX, RefusalReason,
    ReplyExtension, Signal, SignalRequest,
};
use phalanx_protocol::payload::{Payload, Segment};
use phalanx_protocol::release::{PROTOCOL, Release};
use phalanx_protocol::segment::SegmentRef;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

#[derive(Deserialize)]
struct Recorded {
    what: String,
    msg_type: String,
    metadata: Map<String, Value>,
    content: Value,
    topic: Option<String>,
    buffers: Vec<String>,
}

impl Recorded {
    /// The recorded messages whose description begins with a prefix.
    fn all(beginning: &str) -> Vec<Self> {
        let lines = include_str!("recorded.jsonl").lines();
        let all = lines.map(|line| serde_json::from_str::<Self>(line).unwrap());
        let found: Vec<_> = all.filter(|one| one.what.starts_with(beginning)).collect();
        assert!(!found.is_empty(), "{beginning}");
        found
    }

    fn buffers(&self) -> Vec<Bytes> {
        let decode = |hex: &String| HEXLOWER.decode(hex.as_bytes()).unwrap().into();
        self.buffers.iter().map(decode).collect()
    }

    fn read<T>(&self, decode: impl FnOnce(MessageRef<'_>) -> T) -> T {
        decode(MessageRef {
            msg_type: &self.msg_type,
            metadata: &self.metadata,
            content: &self.content,
            buffers: &self.buffers(),
        })
    }
}

#[test]
fn recorded_requests_are_read_and_written_as_they_were() {
    let mut kinds = Vec::new();
    for beginning in ["SEND", "ENGINE SHELL"] {
        for recorded in Recorded::all(beginning) {
            let request = recorded.read(EngineRequest::decode).unwrap();
            let written = request.clone().encode();
            assert_eq!(written.msg_type, recorded.msg_type);
            assert_eq!(written.content, recorded.content, "{}", recorded.what);
            kinds.push(match request {
                EngineRequest::Execute { code, silent, cell } => {
                    assert_eq!(cell, Err(NotRunnable::Foreign));
                    format!("{code} {silent}")
                }
                EngineRequest::Apply(Err(NotRunnable::Foreign)) => "a Python function".to_owned(),
                other => format!("{other:?}"),
            });
        }
    }
    assert_eq!(
        kinds,
        [
            "print(\"hi\"); 40+2 false",
            "a Python function",
            "a Python function",
            "Abort([MsgId(\"x\")])",
            "Clear",
            "Signal(SignalRequest { sig: Number(0), msg_ids: [] })",
            "KernelInfo { probe: None }",
            "a Python function",
            "a Python function",
        ]
    );
    let labelled = Recorded::all("ENGINE SHELL RECV via mux").remove(0);
    let echo = labelled.read(EchoedMetadata::decode);
    assert_eq!(echo.label.as_deref(), Some("lab"));
}

#[test]
fn recorded_replies_are_read_and_written_as_they_were() {
    for recorded in Recorded::all("RECV") {
        let reply = recorded.read(EngineReply::decode);
        assert_eq!(reply.extension, None);
        if let EngineReplyContent::KernelInfo(info) = &reply.content {
            assert_eq!(info.kind, EngineKind::Foreign);
            assert_eq!(info.banner, recorded.content["banner"]);
            continue;
        }
        let request = recorded.msg_type.replace("_reply", "_request");
        let written = reply.encode(&request);
        assert_eq!(written.content, recorded.content, "{}", recorded.what);
        assert_eq!(written.buffers, recorded.buffers(), "{}", recorded.what);
        for (key, value) in &recorded.metadata {
            // Added by the scheduler.
            if key != "broadcast_targets" {
                assert_eq!(written.metadata.get(key), Some(value), "{}", recorded.what);
            }
        }
    }
    let raised = Recorded::all("RECV mux apply error").remove(0);
    let EngineReplyContent::Failed { error, .. } = raised.read(EngineReply::decode).content else {
        panic!("it has failed");
    };
    assert_eq!(error.ename, "ZeroDivisionError");
    assert_eq!(error.engine_info.engine_id, Some(EngineId(0)));
    let raw = Recorded::all("CLIENT TASK RECV").remove(0);
    let raw = raw.read(EngineReply::decode);
    let value = Payload::Inline(Bytes::from_static(b"\x80\x04Kc."));
    assert_eq!(raw.content, EngineReplyContent::Applied(Some(value)));
    assert!(raw.metadata.started.is_some() && raw.metadata.dependencies_met);
}

#[test]
fn recorded_publications_are_read_and_written_as_they_were() {
    let engine = EngineUuid::new("9ff71e4a-bb7af82f8a3b2f02b53739d4");
    let mut outputs = Vec::new();
    for recorded in Recorded::all("IOPUB") {
        let Some(output) = recorded.read(EnginePublication::decode) else {
            assert_eq!(recorded.msg_type, "iopub_welcome");
            continue;
        };
        let topic = format!("engine.0.{}", output.topic());
        assert_eq!(recorded.topic, Some(topic));
        let written = output.clone().encode(&engine);
        assert_eq!(written.msg_type, recorded.msg_type);
        assert_eq!(written.content, recorded.content);
        assert_eq!(written.metadata["engine"], json!(engine));
        outputs.push(output);
    }
    assert_eq!(
        outputs[0],
        EnginePublication::Status(EngineStatus::Starting)
    );
    assert!(matches!(
        &outputs[4],
        EnginePublication::Output(Output::Stream { text, .. }) if text == "hi\n"
    ));
    assert!(matches!(
        &outputs[5],
        EnginePublication::Result { data, execution_count: 1 } if data.text() == Some("42")
    ));
}

fn segment() -> Segment {
    let reference = SegmentRef {
        pid: 1,
        fd: 2,
        device: 3,
        inode: 4,
        offset: 0,
        len: 1 << 20,
    };
    Segment::read(reference.to_bytes().to_vec().into()).unwrap()
}

fn cell() -> CellMetadata {
    CellMetadata {
        abi: "rustc 1".to_owned(),
        host: "here".to_owned(),
        base: StateId::empty(),
        next: StateId::new("1"),
        entry: Some("run".to_owned()),
        has_result: true,
        lines: vec![(3, 1)],
        artifacts: vec![ArtifactHash::new("std"), ArtifactHash::new("cell")],
        paths: vec!["/std".into()],
        buffers: vec![1],
        record: Box::default(),
    }
}

fn call() -> CallMetadata {
    CallMetadata {
        abi: "rustc 1".to_owned(),
        host: "here".to_owned(),
        offset: Some(16),
        artifacts: vec![ArtifactHash::new("std")],
        paths: Vec::new(),
        buffers: Vec::new(),
        quiet: true,
        keep: false,
        pushes: Vec::new(),
    }
}

fn handshake() -> EngineHandshake {
    EngineHandshake {
        version: "0.1.0".to_owned(),
        host: "here".to_owned(),
        target: "x86_64-unknown-linux-gnu".to_owned(),
        libc: "gnu 2.36".to_owned(),
        rustc: None,
        artifacts: Vec::new(),
        state: StateId::empty(),
    }
}

fn info(kind: EngineKind) -> EngineReplyContent {
    EngineReplyContent::KernelInfo(Box::new(KernelInfo {
        protocol_version: "5.5".to_owned(),
        banner: "Phalanx engine 0".to_owned(),
        kind,
    }))
}

fn reply(content: EngineReplyContent) -> EngineReply {
    let mut reply = EngineReply::decode(Message::new("apply_reply", json!({})).as_ref());
    reply.extension = Some(ReplyExtension {
        reason: Some(RefusalReason::StateMismatch),
        state: StateId::new("1"),
        settled: true,
    });
    reply.metadata.status = content.status().to_owned();
    reply.content = content;
    reply
}

#[test]
fn our_requests_come_back_as_they_were() {
    let call = |args| Call {
        metadata: Arc::new(call()),
        artifacts: vec!["code".into()],
        args,
    };
    for request in [
        EngineRequest::Execute {
            code: "größe".to_owned(),
            silent: false,
            cell: Ok(Cell {
                metadata: Box::new(cell()),
                artifacts: vec!["code".into()],
            }),
        },
        EngineRequest::Apply(Ok(call(Payload::Inline("args".into())))),
        EngineRequest::Apply(Ok(call(segment().into()))),
        EngineRequest::Batch(CallBatch {
            metadata: Arc::new(self::call()),
            artifacts: Vec::new(),
            tasks: vec![
                (MsgId::new("1"), Payload::default()),
                (MsgId::new("2"), Payload::Inline("2".into())),
            ],
        }),
        EngineRequest::KernelInfo {
            probe: Some(segment()),
        },
        EngineRequest::Lineage,
        EngineRequest::Abort(vec![MsgId::new("1")]),
        EngineRequest::Clear,
        EngineRequest::Shutdown,
        EngineRequest::Signal(SignalRequest::new(Signal::Name("SIGINT".to_owned()))),
        EngineRequest::ReleaseSegment(segment()),
    ] {
        let message = request.clone().encode();
        assert_eq!(message.msg_type, request.msg_type());
        let read = EngineRequest::decode(message.as_ref()).unwrap();
        assert_eq!(read, request);
    }
    // Each call of a batch has the common parts.
    let batch = CallBatch {
        metadata: Arc::new(self::call()),
        artifacts: vec!["code".into()],
        tasks: vec![(MsgId::new("1"), Payload::default())],
    };
    let [(id, one)] = &batch.calls().collect::<Vec<_>>()[..] else {
        panic!("one call");
    };
    assert_eq!((id.as_str(), one.artifacts.len()), ("1", 1));
}

#[test]
fn malformed_requests_are_no_requests() {
    for (msg_type, content, metadata) in [
        ("execute_request", json!({}), json!({})),
        ("signal_request", json!({"sig": []}), json!({})),
        ("abort_request", json!([1]), json!({})),
        ("apply_request", json!({}), json!({BATCH: 3})),
        ("taken", json!({}), json!({})),
    ] {
        let mut message = Message::new(msg_type, content);
        message.add(&metadata);
        assert!(
            EngineRequest::decode(message.as_ref()).is_err(),
            "{msg_type}"
        );
    }
    let odd = Message::new("größe", json!({}));
    let odd = EngineRequest::decode(odd.as_ref()).unwrap();
    assert_eq!(odd, EngineRequest::Unknown);
}

#[test]
fn our_replies_come_back_as_they_were() {
    let ended = |id: &str| BatchedReply {
        msg_id: MsgId::new(id),
        started: Default::default(),
        completed: Default::default(),
        output: true,
    };
    for (request, content) in [
        (
            "execute_request",
            EngineReplyContent::Executed {
                execution_count: Some(3),
            },
        ),
        (
            "apply_request",
            EngineReplyContent::Applied(Some(segment().into())),
        ),
        (
            "apply_request",
            EngineReplyContent::Applied(Some(Payload::default())),
        ),
        (
            "apply_request",
            EngineReplyContent::Batch(vec![
                (ended("1"), Payload::Inline("P".into())),
                (ended("2"), Payload::default()),
            ]),
        ),
        ("clear_request", EngineReplyContent::Done),
        ("shutdown_request", EngineReplyContent::ShutDown),
        ("execute_request", EngineReplyContent::Aborted),
        (
            "execute_request",
            EngineReplyContent::Failed {
                error: Default::default(),
                execution_count: Some(1),
            },
        ),
        (
            "kernel_info_request",
            info(EngineKind::Rust(Arc::new(handshake()))),
        ),
    ] {
        let mut reply = reply(content);
        let values = reply.values_mut().count();
        let message = reply.clone().encode(request);
        assert_eq!(message.buffers.len(), values);
        assert_eq!(EngineReply::decode(message.as_ref()), reply);
    }
}

#[test]
fn messages_of_another_version_are_recognized_whatever_they_contain() {
    let theirs = Release {
        version: "0.0.9".to_owned(),
        protocol: PROTOCOL + 1,
    };
    let other = json!({"release": theirs, "what": "nobody knows"});
    for msg_type in ["execute_request", "apply_request"] {
        let mut message = Message::new(msg_type, json!({"code": "x"}));
        message.set(PHALANX, &other);
        let why = match EngineRequest::decode(message.as_ref()).unwrap() {
            EngineRequest::Execute { cell, .. } => cell.unwrap_err(),
            EngineRequest::Apply(call) => call.unwrap_err(),
            other => panic!("{other:?}"),
        };
        assert_eq!(why, NotRunnable::OtherRelease(theirs.clone()));
    }
    // An engine that reports only its program version, as those before protocol versions did.
    let before = json!({"status": "ok", "phalanx": {"version": "0.0.1", "host": "h"}});
    let reply = EngineReply::decode(Message::new("kernel_info_reply", before).as_ref());
    let EngineReplyContent::KernelInfo(info) = reply.content else {
        panic!("no description");
    };
    let EngineKind::OtherRelease(theirs) = info.kind else {
        panic!("{:?}", info.kind);
    };
    assert_eq!(theirs.to_string(), "Phalanx 0.0.1 (engine protocol 0)");
    // Of this version, but without the fields of a cell.
    let mut broken = Message::new("execute_request", json!({"code": "x"}));
    broken.set(PHALANX, &json!({"release": Release::ours()}));
    let read = EngineRequest::decode(broken.as_ref()).unwrap();
    assert!(matches!(
        read,
        EngineRequest::Execute {
            cell: Err(NotRunnable::Malformed(_)),
            ..
        }
    ));
}

/// A change that breaks this test requires incrementing [`PROTOCOL`].
#[test]
fn the_form_of_our_metadata_is_that_of_its_number() {
    let release = json!({"version": env!("CARGO_PKG_VERSION"), "protocol": PROTOCOL});
    assert_eq!(PROTOCOL, 1);
    let sent = EngineRequest::Execute {
        code: String::new(),
        silent: false,
        cell: Ok(Cell {
            metadata: Box::new(cell()),
            artifacts: Vec::new(),
        }),
    };
    assert_eq!(
        sent.encode().metadata[PHALANX],
        json!({
            "release": release, "abi": "rustc 1", "host": "here", "base": "empty", "next": "1",
            "entry": "run", "has_result": true, "lines": [[3, 1]], "artifacts": ["std", "cell"],
            "paths": ["/std"], "buffers": [1], "record": {"cell": 0, "dependencies": ""},
        })
    );
    let sent = EngineRequest::Apply(Ok(Call {
        metadata: Arc::new(call()),
        artifacts: Vec::new(),
        args: Payload::default(),
    }));
    assert_eq!(
        sent.encode().metadata[PHALANX],
        json!({
            "release": release, "abi": "rustc 1", "host": "here", "offset": 16,
            "artifacts": ["std"], "paths": [], "buffers": [], "quiet": true,
        })
    );
    let sent = reply(info(EngineKind::Rust(Arc::new(handshake())))).encode("kernel_info_request");
    assert_eq!(
        sent.content[PHALANX],
        json!({
            "release": release, "version": "0.1.0", "host": "here",
            "target": "x86_64-unknown-linux-gnu", "libc": "gnu 2.36", "rustc": null,
            "artifacts": [], "state": "empty",
        })
    );
    assert_eq!(
        sent.metadata[PHALANX],
        json!({"reason": {"kind": "state_mismatch"}, "state": "1", "settled": true})
    );
}
