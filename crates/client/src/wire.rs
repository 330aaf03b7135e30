//! Between messages on sockets and the state's events.

use crate::request::ControlOrder;
use crate::state::Event;
use crate::state::message::{Answer, Body, Outgoing, Published, Reply};
use chrono::{DateTime, Utc};
use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::id::{EngineId, EngineUuid, MsgId};
use phalanx_protocol::output::{Display, MimeBundle, Output, StreamName};
use phalanx_protocol::parallel::{CellMetadata, PHALANX, Refusal};
use phalanx_transport::{Envelope, Session};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A message from an engine or, in its name, from the controller: the reply to one of our requests.
pub(crate) fn reply(envelope: &Envelope) -> Option<Event> {
    let parent = parent(envelope)?;
    let metadata: ReplyMetadata = of(&Value::Object(envelope.metadata.clone()))?;
    let refusal: Option<Refusal> = envelope.metadata.get(PHALANX).and_then(of);
    let reason = refusal.as_ref().and_then(|refusal| refusal.reason.clone());
    let answer = match (reason, envelope.content["status"].as_str()) {
        (Some(reason), _) => Answer::Refused(reason),
        (None, Some("aborted")) => Answer::Aborted,
        (None, Some("error")) => Answer::Failed(failure(&envelope.content)),
        (None, _) if envelope.header.msg_type == "kernel_info_reply" => {
            Answer::KernelInfo(envelope.content.get(PHALANX).and_then(of))
        }
        (None, _) => Answer::Ok {
            execution_count: envelope.content.get("execution_count").and_then(of),
        },
    };
    let by_engine = metadata.engine.as_deref() == Some(envelope.header.session.as_str());
    Some(Event::Replied(Reply {
        parent,
        by_engine,
        started: metadata.started,
        completed: by_engine.then_some(envelope.header.date),
        state: refusal.map(|refusal| refusal.state),
        answer,
    }))
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
        "error" => Published::Error(failure(content)),
        _ => return None,
    };
    Some(Event::Published {
        parent: parent(envelope)?,
        published,
    })
}

/// What the controller announces about an engine.
pub(crate) fn notification(envelope: &Envelope) -> Option<Event> {
    #[derive(Deserialize)]
    struct Announced {
        id: EngineId,
        uuid: EngineUuid,
    }
    let announced = || of::<Announced>(&envelope.content);
    match envelope.header.msg_type.as_str() {
        "registration_notification" => {
            announced().map(|engine| Event::Registered(engine.id, engine.uuid))
        }
        "unregistration_notification" => {
            announced().map(|engine| Event::Unregistered(engine.id, engine.uuid))
        }
        "shutdown_notification" => Some(Event::Disconnected {
            reason: "the controller was shut down".to_owned(),
        }),
        _ => None,
    }
}

/// The controller's answer to `connection_request`: the engines there are.
///
/// # Errors
/// What the controller says when it refuses.
pub(crate) fn connection_reply(envelope: &Envelope) -> Option<Result<Event, String>> {
    #[derive(Deserialize)]
    struct Connected {
        engines: BTreeMap<String, EngineUuid>,
    }
    if envelope.header.msg_type != "connection_reply" {
        return None;
    }
    let answer = match of::<Connected>(&envelope.content) {
        Some(connected) => Ok(Event::Engines(
            connected
                .engines
                .into_iter()
                .filter_map(|(id, uuid)| Some((EngineId(id.parse().ok()?), uuid)))
                .collect(),
        )),
        None => Err(failure(&envelope.content).evalue),
    };
    Some(answer)
}

/// A message to an engine. The artifacts that ride along are in the order of `buffers`.
pub(crate) fn request(
    outgoing: &Outgoing,
    session: &Session,
    buffers: Vec<bytes::Bytes>,
) -> Envelope {
    let (msg_type, content) = match &outgoing.body {
        Body::Cell { cell, .. } => (
            "execute_request",
            json!({"code": cell.source, "silent": false, "user_expressions": {}}),
        ),
        Body::KernelInfo => ("kernel_info_request", json!({})),
        Body::Abort(ids) => ("abort_request", json!({"msg_ids": ids})),
        Body::Control(ControlOrder::Shutdown) => ("shutdown_request", json!({"restart": false})),
        Body::Control(ControlOrder::Clear) => ("clear_request", json!({})),
        Body::Control(ControlOrder::Signal(signal)) => ("signal_request", json!({"sig": signal})),
    };
    let mut envelope = session.envelope(msg_type, content, None);
    envelope.header.msg_id = outgoing.msg_id.as_str().to_owned();
    envelope.identities = vec![bytes::Bytes::copy_from_slice(
        outgoing.engine.as_str().as_bytes(),
    )];
    envelope.buffers = buffers;
    if let Body::Cell {
        cell,
        by_path,
        buffers,
    } = &outgoing.body
    {
        let paths = cell.artifacts.iter().map(|(_, path)| path.clone());
        let metadata = CellMetadata {
            paths: if *by_path {
                paths.collect()
            } else {
                Vec::new()
            },
            buffers: buffers.clone(),
            ..cell.metadata.clone()
        };
        envelope.metadata.insert("label".to_owned(), Value::Null);
        envelope
            .metadata
            .insert(PHALANX.to_owned(), json!(metadata));
    }
    envelope
}

fn parent(envelope: &Envelope) -> Option<MsgId> {
    let parent = envelope.parent_header.as_ref()?;
    Some(MsgId::new(parent.msg_id.clone()))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReplyMetadata {
    engine: Option<String>,
    started: Option<DateTime<Utc>>,
}

/// The failure in an `error` message or an error reply; absent fields are empty.
fn failure(content: &Value) -> RemoteFailure {
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
        method: engine.method.unwrap_or_else(|| "execute".to_owned()),
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
