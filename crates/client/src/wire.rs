//! Between messages on sockets and the state's events.

use crate::hub::HubResult;
use crate::request::ControlOrder;
use crate::state::Event;
use crate::state::data::Route;
use crate::state::message::{Answer, Body, Outgoing, Published, Reply};
use crate::task::EngineTask;
use bytes::Bytes;
use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::id::{EngineId, EngineUuid, MsgId};
use phalanx_protocol::output::{Display, MimeBundle, Output, StreamName};
use phalanx_protocol::parallel::{
    AbortRequest, BATCH, CallMetadata, CellMetadata, ClearRequest, ConnectionReply, Content, Ended,
    KEPT, Lineage, LineageRequest, PHALANX, Refusal, RegistrationNotification,
    ShutdownNotification, ShutdownRequest, Signal, SignalRequest, TAKEN, TaskMetadata,
    UnregistrationNotification,
};
use phalanx_transport::warn_rarely;
use phalanx_transport::{Envelope, Session};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// A message from an engine or, in its name, from the controller: the reply to one of our requests.
pub(crate) fn reply(envelope: &Envelope) -> Option<Event> {
    if let Some(ended) = envelope.metadata.get(BATCH) {
        return batch(envelope, of(ended)?);
    }
    let parent = parent(envelope)?;
    // Field by field: the rest of the metadata differs between engines and is not needed.
    let engine = engine(envelope);
    let refusal: Option<Refusal> = envelope.metadata.get(PHALANX).and_then(of);
    let answer = answer(&envelope.content, refusal.as_ref(), &envelope.buffers);
    let answer = match (answer, envelope.header.msg_type.as_str()) {
        (Answer::Ok { .. }, "kernel_info_reply") => {
            Answer::KernelInfo(envelope.content.get(PHALANX).and_then(of))
        }
        (Answer::Ok { .. }, Lineage::MSG_TYPE) => {
            Answer::Lineage(of(&envelope.content).map(Box::new))
        }
        (answer, _) => answer,
    };
    let by_engine = engine
        .as_ref()
        .is_some_and(|uuid| uuid.as_str() == envelope.header.session);
    Some(Event::Replied(Reply {
        parent,
        by_engine,
        engine,
        started: envelope.metadata.get("started").and_then(of),
        completed: by_engine.then_some(envelope.header.date),
        settled: refusal.as_ref().is_some_and(|refusal| refusal.settled),
        state: refusal.map(|refusal| refusal.state),
        answer,
    }))
}

fn answer(content: &Value, refusal: Option<&Refusal>, buffers: &[Bytes]) -> Answer {
    let reason = refusal.and_then(|refusal| refusal.reason.clone());
    match (reason, content["status"].as_str()) {
        (Some(reason), _) => Answer::Refused(reason),
        (None, Some("aborted")) => Answer::Aborted,
        (None, Some("error")) => Answer::Failed(failure(content)),
        (None, _) => Answer::Ok {
            execution_count: content.get("execution_count").and_then(of),
            value: buffers.first().cloned(),
        },
    }
}

/// The reply to one of our requests as the controller has recorded it.
pub(crate) fn recorded(result: HubResult) -> Reply {
    let refusal: Option<Refusal> = result.metadata.get(PHALANX).and_then(of);
    Reply {
        answer: answer(&result.content, refusal.as_ref(), &result.buffers),
        parent: result.msg_id,
        // What the engine has published may be lost, so nothing is waited for.
        by_engine: false,
        engine: result.engine,
        started: result.started,
        completed: result.completed,
        settled: false,
        state: refusal.map(|refusal| refusal.state),
    }
}

/// The ends of tasks that ended well, in one message.
fn batch(envelope: &Envelope, ended: Vec<Ended>) -> Option<Event> {
    let engine = engine(envelope);
    let state: Option<Refusal> = envelope.metadata.get(PHALANX).and_then(of);
    let replies = ended.into_iter().zip(&envelope.buffers);
    let replies = replies.map(|(ended, value)| Reply {
        parent: ended.msg_id,
        by_engine: true,
        engine: engine.clone(),
        started: Some(ended.started),
        completed: Some(ended.completed),
        state: state.as_ref().map(|known| known.state.clone()),
        settled: !ended.output,
        answer: match value.is_empty() {
            // Every value has a first byte that says what it is.
            true => Answer::Failed(failure(&lost("it is gone"))),
            false => Answer::Ok {
                execution_count: None,
                value: Some(value.clone()),
            },
        },
    });
    Some(Event::Batch(replies.collect()))
}

/// The engine that replied.
pub(crate) fn engine(envelope: &Envelope) -> Option<EngineUuid> {
    envelope.metadata.get("engine").and_then(of)
}

/// The engine that replied has ended with its value, which was large: it has failed after all. In a
/// reply for several tasks, the value stays empty.
pub(crate) fn lose_value(envelope: &mut Envelope, error: &std::io::Error) {
    if !envelope.metadata.contains_key(BATCH) {
        envelope.content = lost(&error.to_string());
    }
}

/// The content of a reply whose value is gone.
fn lost(why: &str) -> Value {
    json!({
        "status": "error",
        "ename": "EngineError",
        "evalue": format!("the engine ended before its value was taken over: {why}"),
        "traceback": [],
    })
}

/// Something an engine published for a request of ours; other clients' are passed over.
pub(crate) fn published(envelope: &Envelope, session: &Session) -> Option<Event> {
    if envelope.parent_header.as_ref()?.session != session.id().as_str() {
        return None;
    }
    let content = &envelope.content;
    let published = match envelope.header.msg_type.as_str() {
        "status" => match content["execution_state"].as_str()? {
            "busy" => Published::Busy,
            "idle" => Published::Idle,
            _ => return None,
        },
        "execute_input" => Published::Input {
            code: content["code"].as_str()?.to_owned(),
            execution_count: content.get("execution_count").and_then(of)?,
        },
        "stream" => Published::Output(Output::Stream {
            name: content.get("name").and_then(of::<StreamName>)?,
            text: content["text"].as_str()?.to_owned(),
        }),
        "display_data" => Published::Output(Output::Display(display(content, false)?)),
        "update_display_data" => Published::Output(Output::Display(display(content, true)?)),
        "clear_output" => Published::Output(Output::ClearOutput {
            wait: content["wait"].as_bool().unwrap_or_default(),
        }),
        "execute_result" => Published::Result {
            data: content.get("data").and_then(of::<MimeBundle>)?,
            execution_count: content.get("execution_count").and_then(of)?,
        },
        KEPT => Published::Kept(envelope.buffers.first().cloned()),
        "data_message" => Published::Output(Output::Data(of(content)?)),
        "error" => Published::Error(failure(content)),
        _ => return None,
    };
    Some(Event::Published {
        parent: parent(envelope)?,
        engine: envelope.metadata.get("engine").and_then(of),
        published,
    })
}

/// Reads a notification of the controller about an engine.
pub(crate) fn notification(envelope: &Envelope) -> Option<Event> {
    if let Some(engine) = typed::<RegistrationNotification>(envelope) {
        return Some(Event::Registered(engine.id, engine.uuid));
    }
    if let Some(engine) = typed::<UnregistrationNotification>(envelope) {
        return Some(Event::Unregistered(engine.id, engine.uuid));
    }
    typed::<ShutdownNotification>(envelope).map(|_| Event::Disconnected {
        reason: "the controller was shut down".to_owned(),
    })
}

/// The controller's answer to `connection_request`: the engines there are, or why not.
pub(crate) fn connection_reply(envelope: &Envelope) -> Option<Result<Event, String>> {
    Some(match typed::<ConnectionReply>(envelope)? {
        ConnectionReply::Ok {
            engines,
            phalanx_batches,
        } => Ok(Event::Engines {
            engines: engines.into_iter().collect(),
            batches: phalanx_batches,
        }),
        ConnectionReply::Error(error) => Err(format!("{}: {}", error.ename, error.evalue)),
    })
}

/// A message to an engine. The artifacts that ride along are in the order of `buffers`.
pub(crate) fn request(outgoing: &Outgoing, session: &Session, buffers: Vec<Bytes>) -> Envelope {
    let mut envelope = match &outgoing.body {
        Body::Work { work, .. } => match &**work {
            EngineTask::Cell(cell) => session.envelope(
                "execute_request",
                json!({"code": cell.source, "silent": false, "user_expressions": {}}),
                None,
            ),
            EngineTask::Call(_) => session.envelope("apply_request", json!({}), None),
        },
        Body::KernelInfo => session.envelope("kernel_info_request", json!({}), None),
        Body::Taken(_) => session.envelope(TAKEN, json!({}), None),
        Body::Abort(ids) => session.message(
            &AbortRequest {
                msg_ids: ids.clone(),
            },
            None,
        ),
        Body::Control(ControlOrder::Shutdown) => session.message(&ShutdownRequest::default(), None),
        Body::Control(ControlOrder::Clear) => session.message(&ClearRequest::default(), None),
        Body::Control(ControlOrder::Lineage) => session.message(&LineageRequest::default(), None),
        Body::Control(ControlOrder::Signal(signal)) => session.message(
            &SignalRequest {
                sig: Signal::Number(*signal),
            },
            None,
        ),
    };
    envelope.header.msg_id = outgoing.msg_id.as_str().to_owned();
    if let Some(engine) = &outgoing.engine {
        let engine = engine.as_str().as_bytes();
        envelope.identities = vec![Bytes::copy_from_slice(engine)];
    }
    envelope.buffers = buffers;
    if let Body::Work {
        work,
        by_path,
        buffers,
        data,
        targets,
        more,
    } = &outgoing.body
    {
        envelope.metadata = metadata(work, *by_path, buffers, data.as_ref(), targets);
        if !more.is_empty() {
            let ids: Vec<&MsgId> = outgoing.ids().collect();
            envelope.metadata.insert(BATCH.to_owned(), json!(ids));
        }
    }
    envelope
}

/// The metadata of a task's request: ours, and the scheduler's conditions.
fn metadata(
    work: &EngineTask,
    by_path: bool,
    buffers: &[usize],
    data: Option<&Route>,
    targets: &[EngineUuid],
) -> Map<String, Value> {
    let paths = if by_path {
        let paths = work.artifacts().iter().map(|(_, path)| path.clone());
        paths.collect()
    } else {
        Vec::new()
    };
    let buffers = buffers.to_vec();
    let ours = match work {
        EngineTask::Cell(cell) => json!(CellMetadata {
            paths,
            buffers,
            ..cell.metadata.clone()
        }),
        EngineTask::Call(call) => {
            let mut metadata = CallMetadata {
                paths,
                buffers,
                ..CallMetadata::clone(&call.metadata)
            };
            match data {
                Some(Route::Carry) => {
                    metadata.keep = true;
                    // It ends with its `idle`, before which it says where they are.
                    metadata.quiet = false;
                }
                // What the arguments refer to is there, not here.
                Some(Route::There { host, .. }) => metadata.host.clone_from(host),
                Some(Route::Hold) | None => {}
            }
            json!(metadata)
        }
    };
    let mut metadata = Map::new();
    if let Some(balanced) = work.dependencies() {
        let heeded = json!(TaskMetadata {
            after: balanced.after.clone(),
            follow: balanced.follow.clone(),
            timeout: balanced.timeout,
            targets: targets.to_vec(),
            retries: balanced.retries,
            label: None,
            phalanx: None,
            phalanx_batch: Vec::new(),
        });
        if let Value::Object(heeded) = heeded {
            metadata = heeded;
        }
    }
    metadata.insert("label".to_owned(), json!(work.label()));
    metadata.insert(PHALANX.to_owned(), ours);
    metadata
}

/// The content, if the message is of that type and well-formed.
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

/// The failure in an `error` message or an error reply; absent fields are empty.
pub(crate) fn failure(content: &Value) -> RemoteFailure {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct EngineInfo {
        engine_id: Option<EngineId>,
        method: Option<String>,
    }
    let text = |field: &str| content[field].as_str().unwrap_or_default().to_owned();
    let engine: EngineInfo = content.get("engine_info").and_then(of).unwrap_or_default();
    RemoteFailure {
        ename: text("ename"),
        evalue: text("evalue"),
        traceback: content.get("traceback").and_then(of).unwrap_or_default(),
        engine: engine.engine_id,
        msg_id: None,
        // Where it is not said, it is what the task was.
        method: engine.method.unwrap_or_default(),
    }
}

fn display(content: &Value, update: bool) -> Option<Display> {
    Some(Display {
        data: content.get("data").and_then(of::<MimeBundle>)?,
        metadata: content
            .get("metadata")
            .and_then(of::<Map<String, Value>>)
            .unwrap_or_default(),
        display_id: content["transient"]["display_id"]
            .as_str()
            .map(str::to_owned),
        update,
    })
}

fn of<T: DeserializeOwned>(value: &Value) -> Option<T> {
    T::deserialize(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::id::SessionId;
    use phalanx_protocol::parallel::RefusalReason;
    use phalanx_transport::SigningKey;

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

    fn answer(content: Value, metadata: Value) -> Reply {
        match reply(&message("execute_reply", content, metadata)) {
            Some(Event::Replied(reply)) => reply,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn replies_are_read() {
        let ok = answer(
            json!({"status": "ok", "execution_count": 3, "payload": []}),
            json!({"engine": "uuid", "started": "2026-11-20T20:40:39.232509Z", "status": "ok",
                "phalanx": {"reason": null, "state": "s1"}}),
        );
        let count = Some(3);
        assert_eq!(
            ok.answer,
            Answer::Ok {
                execution_count: count,
                value: None
            }
        );
        assert!(ok.by_engine && ok.started.is_some() && ok.completed.is_some());
        assert_eq!(ok.state.unwrap().as_str(), "s1");

        // A stock engine names itself in the metadata, without the method.
        let raised = answer(
            json!({"status": "error", "ename": "ZeroDivisionError", "evalue": "division by zero",
                "traceback": ["…"], "engine_info": {"engine_id": 1, "method": "execute"}}),
            json!({"engine": "uuid", "status": "error",
                "engine_info": {"engine_uuid": "uuid", "engine_id": 1}}),
        );
        assert!(raised.by_engine && matches!(raised.answer, Answer::Failed(_)));

        // Made by a stock scheduler for an engine that died.
        let died = answer(
            json!({"status": "error", "ename": "EngineError", "evalue": "died", "traceback": [],
                "engine_info": {}}),
            json!({"engine": "another", "status": "error"}),
        );
        assert!(!died.by_engine && died.completed.is_none());
        let Answer::Failed(failure) = died.answer else {
            panic!("not a failure");
        };
        assert_eq!(
            (failure.ename.as_str(), failure.engine),
            ("EngineError", None)
        );

        let aborted = answer(json!({"status": "aborted"}), json!({"engine": "uuid"}));
        assert_eq!(aborted.answer, Answer::Aborted);
        let refused = answer(
            json!({"status": "error", "ename": "x", "evalue": "", "traceback": []}),
            json!({"engine": "uuid", "phalanx": {"reason": {"kind": "state_mismatch"}, "state": "s"}}),
        );
        assert_eq!(
            refused.answer,
            Answer::Refused(RefusalReason::StateMismatch)
        );
    }

    #[test]
    fn publications_of_other_clients_requests_are_passed_over() {
        let mut envelope = message("status", json!({"execution_state": "idle"}), json!({}));
        assert!(matches!(
            published(&envelope, &session()),
            Some(Event::Published {
                published: Published::Idle,
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
        let Some(Event::Published {
            published: Published::Output(Output::Display(display)),
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
    fn values_that_are_gone_fail_their_tasks_alone() {
        let gone = std::io::Error::from(std::io::ErrorKind::NotFound);
        let mut single = message("apply_reply", json!({"status": "ok"}), json!({}));
        lose_value(&mut single, &gone);
        let Some(Event::Replied(single)) = reply(&single) else {
            panic!("no reply");
        };
        let ended = |id: &str| Ended {
            msg_id: MsgId::new(id),
            started: Default::default(),
            completed: Default::default(),
            output: false,
        };
        let metadata = json!({BATCH: [ended("1"), ended("2")]});
        let mut both = message("apply_reply", json!({"status": "ok"}), metadata);
        both.buffers = vec!["P".into(), Default::default()];
        lose_value(&mut both, &gone);
        let Some(Event::Batch(both)) = reply(&both) else {
            panic!("no replies");
        };
        assert!(matches!(both[0].answer, Answer::Ok { .. }));
        for lost in [&single.answer, &both[1].answer] {
            let Answer::Failed(failure) = lost else {
                panic!("{lost:?}");
            };
            assert_eq!(failure.ename, "EngineError");
            assert!(failure.evalue.contains("before its value was taken over"));
        }
    }
}
