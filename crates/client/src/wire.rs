//! Conversion between messages on sockets and the state's events and commands.

use crate::error::TaskError;
use crate::record::HubResult;
use crate::state::StateEvent;
use crate::state::argument_cache::ArgumentRoute;
use crate::state::message::{OutgoingContent, OutgoingMessage, Reply, ReplyContent};
use crate::state::segments::ReceivedSegment;
use crate::task::EngineTask;
use bytes::Bytes;
use phalanx_protocol::id::{EngineUuid, MsgId};
use phalanx_protocol::parallel::{
    Call, CallBatch, CallMetadata, Cell, CellMetadata, ConnectionReply, Content, DirectMetadata,
    EnginePublication, EngineReply, EngineReplyContent, EngineRequest, Message, MessageRef,
    RegistrationNotification, SchedulingMetadata, ShutdownNotification, UnregistrationNotification,
};
use phalanx_protocol::payload::{Payload, Segment};
use phalanx_transport::warn_rarely;
use phalanx_transport::{Envelope, Session};
use std::sync::Arc;

/// The parts of a message that are not contained in the state's command.
#[derive(Debug, Default)]
pub(crate) struct EnclosedParts {
    /// Artifacts, in the order of `buffers`.
    pub artifacts: Vec<Bytes>,
    /// The arguments of a call, in the form sent to its engine.
    pub args: Payload,
    /// A segment of this process, for engines that can open it.
    pub probe: Option<Segment>,
}

/// Converts the reply to one of our requests, from an engine or from the controller on its behalf.
/// `segments` are those of its values that had to be opened, with the positions of the values.
pub(crate) fn reply(
    envelope: &Envelope,
    reply: EngineReply,
    segments: Vec<(usize, ReceivedSegment)>,
) -> Option<StateEvent> {
    let mut segments = segments.into_iter().peekable();
    let mut segment = |at| {
        let segment = segments.next_if(|(position, _)| *position == at);
        segment.map(|(_, segment)| Box::new(segment))
    };
    let engine = reply.metadata.engine;
    let state = reply.extension.as_ref().map(|ours| ours.state.clone());
    let ended = match reply.content {
        EngineReplyContent::Batch(ended) => ended,
        content => {
            let session = envelope.header.session.as_str();
            let by_engine = engine.as_ref().is_some_and(|uuid| uuid.as_str() == session);
            let (reason, settled) = match reply.extension {
                Some(ours) => (ours.reason, ours.settled),
                None => (None, false),
            };
            return Some(StateEvent::Replied(Reply {
                parent: parent(envelope)?,
                by_engine,
                engine,
                started: reply.metadata.started,
                completed: by_engine.then_some(envelope.header.date),
                state,
                settled,
                content: reason.map_or_else(|| reply_content(content), ReplyContent::Refused),
                segment: segment(0),
            }));
        }
    };
    let ended = ended.into_iter().enumerate();
    let replies = ended.map(|(at, (ended, value))| Reply {
        segment: segment(at),
        parent: ended.msg_id,
        by_engine: true,
        engine: engine.clone(),
        started: Some(ended.started),
        completed: Some(ended.completed),
        state: state.clone(),
        settled: !ended.output,
        content: match value.size() {
            // Every value has a first byte that determines its format.
            0 => ReplyContent::Failed(gone().into()),
            _ => ReplyContent::Ok {
                execution_count: None,
                value: Some(value),
            },
        },
    });
    Some(StateEvent::Batch(replies.collect()))
}

/// The error of a task without a value.
fn gone() -> TaskError {
    TaskError::ValueLost {
        reason: "it is gone".to_owned(),
    }
}

fn reply_content(content: EngineReplyContent) -> ReplyContent {
    let (execution_count, value) = match content {
        EngineReplyContent::Aborted => return ReplyContent::Aborted,
        EngineReplyContent::Failed { error, .. } => return ReplyContent::Failed(error.into()),
        EngineReplyContent::KernelInfo(info) => return ReplyContent::KernelInfo(info.kind),
        EngineReplyContent::Lineage(lineage) => return ReplyContent::Lineage(lineage),
        EngineReplyContent::Executed { execution_count } => (execution_count, None),
        EngineReplyContent::Applied(value) => (None, value),
        EngineReplyContent::Done | EngineReplyContent::ShutDown | EngineReplyContent::Batch(_) => {
            (None, None)
        }
    };
    ReplyContent::Ok {
        execution_count,
        value,
    }
}

/// Converts a recorded reply to one of our requests.
pub(crate) fn recorded(result: HubResult) -> Reply {
    let reply = EngineReply::decode(MessageRef {
        msg_type: &result.msg_type.replace("_request", "_reply"),
        metadata: &result.metadata,
        content: &result.content,
        buffers: &result.buffers,
    });
    let (reason, state) = match reply.extension {
        Some(ours) => (ours.reason, Some(ours.state)),
        None => (None, None),
    };
    Reply {
        content: reason.map_or_else(|| reply_content(reply.content), ReplyContent::Refused),
        parent: result.msg_id,
        // Publications may be lost, so no `idle` is expected.
        by_engine: false,
        engine: result.engine,
        started: result.started,
        completed: result.completed,
        settled: false,
        state,
        segment: None,
    }
}

/// Decodes a publication of an engine for one of our requests; those of other clients are ignored.
pub(crate) fn published(envelope: &Envelope, session: &Session) -> Option<StateEvent> {
    if envelope.parent_header.as_ref()?.session != session.id().as_str() {
        return None;
    }
    Some(StateEvent::Published {
        parent: parent(envelope)?,
        engine: envelope.metadata.get("engine").and_then(|engine| {
            let engine = engine.as_str()?;
            Some(EngineUuid::new(engine))
        }),
        published: EnginePublication::decode(envelope.message())?,
    })
}

/// Decodes a notification of the controller about an engine.
pub(crate) fn notification(envelope: &Envelope) -> Option<StateEvent> {
    if let Some(engine) = typed::<RegistrationNotification>(envelope) {
        return Some(StateEvent::Registered(engine.id, engine.uuid));
    }
    if let Some(engine) = typed::<UnregistrationNotification>(envelope) {
        return Some(StateEvent::Unregistered(engine.id, engine.uuid));
    }
    typed::<ShutdownNotification>(envelope).map(|_| StateEvent::Disconnected {
        reason: "the controller was shut down".to_owned(),
    })
}

/// Decodes the controller's reply to `connection_request`: the list of engines, or the reason for
/// its refusal.
pub(crate) fn connection_reply(envelope: &Envelope) -> Option<Result<StateEvent, String>> {
    Some(match typed::<ConnectionReply>(envelope)? {
        ConnectionReply::Ok {
            engines,
            phalanx_batches,
        } => Ok(StateEvent::Engines {
            engines: engines.into_iter().collect(),
            batches: phalanx_batches,
        }),
        ConnectionReply::Error(error) => Err(format!("{}: {}", error.ename, error.evalue)),
    })
}

/// Builds a message to an engine or to the scheduler.
pub(crate) fn request(
    outgoing: &OutgoingMessage,
    session: &Session,
    enclosed: EnclosedParts,
) -> Envelope {
    let message = match &outgoing.body {
        OutgoingContent::KernelInfo => {
            let probe = enclosed.probe;
            EngineRequest::KernelInfo { probe }.encode()
        }
        OutgoingContent::Control(request) => request.clone().encode(),
        OutgoingContent::Work {
            work,
            by_path,
            buffers,
            argument_route,
            targets,
            more,
        } => {
            let paths = work.artifacts().iter().filter(|_| *by_path);
            let paths = paths.map(|(_, path)| path.clone()).collect();
            let buffers = buffers.clone();
            let request = match &**work {
                EngineTask::Cell(cell) => EngineRequest::Execute {
                    code: cell.source.clone(),
                    silent: false,
                    cell: Ok(Cell {
                        metadata: Box::new(CellMetadata {
                            paths,
                            buffers,
                            ..cell.metadata.clone()
                        }),
                        artifacts: enclosed.artifacts,
                    }),
                },
                EngineTask::Call(call) => {
                    let metadata = CallMetadata {
                        paths,
                        buffers,
                        ..CallMetadata::clone(&call.metadata)
                    };
                    let call = Call {
                        metadata: Arc::new(routed(metadata, argument_route.as_ref())),
                        artifacts: enclosed.artifacts,
                        args: enclosed.args,
                    };
                    with_others(&outgoing.msg_id, call, more)
                }
            };
            let mut message = request.encode();
            schedule(&mut message, work, targets);
            message
        }
    };
    let mut envelope = session.compose(message);
    envelope.header.msg_id = outgoing.msg_id.as_str().to_owned();
    if let Some(engine) = &outgoing.engine {
        let engine = engine.as_str().as_bytes();
        envelope.identities = vec![Bytes::copy_from_slice(engine)];
    }
    envelope
}

/// Combines a call with others that are sent in the same message.
fn with_others(msg_id: &MsgId, call: Call, others: &[(MsgId, Payload)]) -> EngineRequest {
    if others.is_empty() {
        return EngineRequest::Apply(Ok(call));
    }
    let first = std::iter::once((msg_id.clone(), call.args));
    EngineRequest::Batch(CallBatch {
        metadata: call.metadata,
        artifacts: call.artifacts,
        tasks: first.chain(others.iter().cloned()).collect(),
    })
}

/// Adapts the description of a call to the route of its arguments.
fn routed(mut metadata: CallMetadata, route: Option<&ArgumentRoute>) -> CallMetadata {
    match route {
        Some(ArgumentRoute::Carry) => {
            metadata.keep = true;
            // The call ends with its `idle`, before which the engine reports the arguments'
            // location.
            metadata.quiet = false;
        }
        // Paths and references are valid on that machine, not here.
        Some(ArgumentRoute::There { host, .. }) => metadata.host.clone_from(host),
        Some(ArgumentRoute::Wait) | None => {}
    }
    metadata
}

/// Adds the label of a task, and its scheduling conditions.
fn schedule(message: &mut Message, work: &EngineTask, targets: &[EngineUuid]) {
    let label = work.label().map(str::to_owned);
    let Some(balanced) = work.scheduling() else {
        return message.add(&DirectMetadata { label });
    };
    message.add(&SchedulingMetadata {
        after: balanced.after.clone(),
        follow: balanced.follow.clone(),
        timeout: balanced.timeout,
        targets: targets.to_vec(),
        retries: balanced.retries,
        label,
        phalanx: None,
        phalanx_detached: balanced.detached,
        phalanx_batch: Vec::new(),
    });
}

/// Decodes the content; `None` if it is of another type or malformed.
fn typed<T: Content>(envelope: &Envelope) -> Option<T> {
    envelope.content_of().unwrap_or_else(|error| {
        let msg_type = &envelope.header.msg_type;
        warn_rarely!(%error, msg_type, "a message from the controller is dropped");
        None
    })
}

fn parent(envelope: &Envelope) -> Option<MsgId> {
    let parent = envelope.parent_header.as_ref()?;
    Some(MsgId::new(parent.msg_id.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::id::SessionId;
    use phalanx_protocol::output::Output;
    use phalanx_protocol::parallel::{BATCH, BatchedReply, EngineStatus, RefusalReason};
    use phalanx_protocol::segment::SegmentRef;
    use phalanx_transport::SigningKey;
    use serde_json::{Value, json};

    fn session() -> Session {
        let id = SessionId::new("client");
        Session::with_id(id, "user", SigningKey::sha256("key"))
    }

    /// A message of engine `uuid` about our request.
    fn message(msg_type: &str, content: Value, metadata: Value) -> Envelope {
        let request = session().envelope("execute_request", json!({}), None);
        let engine = Session::with_id(SessionId::new("uuid"), "e", SigningKey::sha256("key"));
        let mut envelope = engine.envelope(msg_type, content, Some(&request));
        envelope.metadata = serde_json::from_value(metadata).unwrap();
        envelope
    }

    fn read(envelope: &Envelope) -> Option<StateEvent> {
        reply(
            envelope,
            EngineReply::decode(envelope.message()),
            Vec::new(),
        )
    }

    fn execute_reply(content: Value, metadata: Value) -> Reply {
        match read(&message("execute_reply", content, metadata)) {
            Some(StateEvent::Replied(reply)) => reply,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn replies_are_read() {
        let ok = execute_reply(
            json!({"status": "ok", "execution_count": 3, "payload": []}),
            json!({"engine": "uuid", "started": "2026-11-20T20:40:39.232509Z", "status": "ok",
                "phalanx": {"reason": null, "state": "s1"}}),
        );
        let count = Some(3);
        assert_eq!(
            ok.content,
            ReplyContent::Ok {
                execution_count: count,
                value: None
            }
        );
        assert!(ok.by_engine && ok.started.is_some() && ok.completed.is_some());
        assert_eq!(ok.state.unwrap().as_str(), "s1");

        // A stock engine includes its identity in the metadata, without the method.
        let raised = execute_reply(
            json!({"status": "error", "ename": "ZeroDivisionError", "evalue": "division by zero",
                "traceback": ["…"], "engine_info": {"engine_id": 1, "method": "execute"}}),
            json!({"engine": "uuid", "status": "error",
                "engine_info": {"engine_uuid": "uuid", "engine_id": 1}}),
        );
        assert!(raised.by_engine && matches!(raised.content, ReplyContent::Failed(_)));

        // Made by a stock scheduler for an engine that has left.
        let died = execute_reply(
            json!({"status": "error", "ename": "EngineError", "evalue": "died", "traceback": [],
                "engine_info": {}}),
            json!({"engine": "another", "status": "error"}),
        );
        assert!(!died.by_engine && died.completed.is_none());
        let ReplyContent::Failed(failure) = died.content else {
            panic!("not a failure");
        };
        assert_eq!(
            (failure.ename.as_str(), failure.engine),
            ("EngineError", None)
        );

        let aborted = execute_reply(json!({"status": "aborted"}), json!({"engine": "uuid"}));
        assert_eq!(aborted.content, ReplyContent::Aborted);
        let refused = execute_reply(
            json!({"status": "error", "ename": "x", "evalue": "", "traceback": []}),
            json!({"engine": "uuid", "phalanx": {"reason": {"kind": "state_mismatch"}, "state": "s"}}),
        );
        assert_eq!(
            refused.content,
            ReplyContent::Refused(RefusalReason::StateMismatch)
        );
    }

    #[test]
    fn publications_of_other_clients_requests_are_passed_over() {
        let mut envelope = message("status", json!({"execution_state": "idle"}), json!({}));
        assert!(matches!(
            published(&envelope, &session()),
            Some(StateEvent::Published {
                published: EnginePublication::Status(EngineStatus::Idle),
                ..
            })
        ));
        envelope.parent_header.as_mut().unwrap().session = "other".to_owned();
        assert!(published(&envelope, &session()).is_none());
        envelope.parent_header = None;
        assert!(published(&envelope, &session()).is_none());
    }

    #[test]
    fn malformed_publications_are_passed_over() {
        for (msg_type, content) in [
            ("stream", json!({"name": "stdin", "text": "x"})),
            ("stream", json!({"name": "stdout"})),
            ("display_data", json!({"data": 3})),
            ("execute_result", json!({"data": {"text/plain": "1"}})),
            ("status", json!([])),
            ("comm_open", json!({})),
        ] {
            let envelope = message(msg_type, content.clone(), json!({}));
            assert!(published(&envelope, &session()).is_none(), "{content}");
        }
    }

    #[test]
    fn displays_keep_their_id() {
        let envelope = message(
            "update_display_data",
            json!({"data": {"text/plain": "é"}, "metadata": {}, "transient": {"display_id": "d"}}),
            json!({}),
        );
        let Some(StateEvent::Published {
            published: EnginePublication::Output(Output::Display(display)),
            ..
        }) = published(&envelope, &session())
        else {
            panic!("not a display");
        };
        assert_eq!(
            (display.display_id.as_deref(), display.update),
            (Some("d"), true)
        );
    }

    #[test]
    fn values_keep_their_segments_and_those_of_a_batch_that_are_gone_fail_their_tasks_alone() {
        let reference = SegmentRef {
            pid: 1,
            fd: 2,
            device: 3,
            inode: 4,
            offset: 0,
            len: 5,
        };
        let segment = ReceivedSegment {
            reference: Segment::read(reference.to_bytes().to_vec().into()).unwrap(),
            error: None,
        };
        let at = |at| vec![(at, segment.clone())];
        let single = message("apply_reply", json!({"status": "ok"}), json!({}));
        let decoded = EngineReply::decode(single.message());
        let Some(StateEvent::Replied(single)) = reply(&single, decoded, at(0)) else {
            panic!("no reply");
        };
        assert_eq!(single.segment.as_deref(), Some(&segment));
        let ended = |id: &str| BatchedReply {
            msg_id: MsgId::new(id),
            started: Default::default(),
            completed: Default::default(),
            output: false,
        };
        let metadata = json!({BATCH: [ended("1"), ended("2")]});
        let mut both = message("apply_reply", json!({"status": "ok"}), metadata);
        both.buffers = vec!["P".into(), Default::default()];
        let decoded = EngineReply::decode(both.message());
        let Some(StateEvent::Batch(both)) = reply(&both, decoded, at(1)) else {
            panic!("no replies");
        };
        assert!(matches!(both[0].content, ReplyContent::Ok { .. }));
        assert_eq!(both[0].segment, None);
        assert_eq!(both[1].segment.as_deref(), Some(&segment));
        let ReplyContent::Failed(failure) = &both[1].content else {
            panic!("{both:?}");
        };
        assert_eq!(failure.ename, "EngineError");
        assert!(failure.evalue.contains("before its value was taken over"));
    }
}
