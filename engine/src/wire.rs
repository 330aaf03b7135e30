//! Between messages on sockets and the machine's events and commands.

use crate::machine::{Ask, Channel, Event, Identity, Publication, Reply, Request};
use bytes::Bytes;
use phalanx_protocol::output::Output;
use phalanx_protocol::parallel::{
    AbortRequest, BATCH, Content, KEPT, LineageRequest, PHALANX, ReplyMetadata, SignalRequest,
};
use phalanx_transport::warn_rarely;
use phalanx_transport::wire::Header;
use phalanx_transport::{Envelope, Frames, Session, WireError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A message as one request or several; what is malformed is `None` and has been logged.
pub(crate) fn request(channel: Channel, envelope: Envelope) -> Option<Event> {
    let ask = match ask(&envelope) {
        Ok(ask) => ask,
        Err(error) => {
            let msg_type = &envelope.header.msg_type;
            warn_rarely!(%error, msg_type, "a malformed request is dropped");
            return None;
        }
    };
    // Requests have other metadata as well; only what a reply repeats is read.
    let echo = ["is_broadcast", "is_coalescing", "original_msg_id", "label"]
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), envelope.metadata.get(key)?.clone())))
        .collect::<Map<_, _>>();
    let echo = ReplyMetadata::deserialize(Value::Object(echo));
    let ask = match ask {
        Ask::Execute {
            code, silent, cell, ..
        } => Ask::Execute {
            code,
            silent,
            cell,
            buffers: envelope.buffers,
        },
        Ask::Apply { call, .. } => Ask::Apply {
            call,
            buffers: envelope.buffers,
        },
        ask => ask,
    };
    let request = Request {
        channel,
        route: envelope.identities,
        header: envelope.header,
        echo: echo.unwrap_or_else(|_| nothing_to_repeat()),
        batched: false,
        ask,
    };
    let ids = envelope.metadata.get(BATCH).map(Vec::<String>::deserialize);
    Some(match ids {
        Some(Ok(ids)) => Event::Batch(apart(&request, ids)),
        Some(Err(error)) => {
            warn_rarely!(%error, "a malformed batch is dropped");
            return None;
        }
        None => Event::Requested(Box::new(request)),
    })
}

/// The calls of one message.
fn apart(request: &Request, ids: Vec<String>) -> Vec<Request> {
    let Ask::Apply { call, buffers } = &request.ask else {
        return Vec::new();
    };
    let (artifacts, args) = buffers.split_at(buffers.len().saturating_sub(ids.len()));
    let call = |(msg_id, args): (String, &Bytes)| Request {
        channel: request.channel,
        route: request.route.clone(),
        header: Header {
            msg_id,
            ..request.header.clone()
        },
        echo: request.echo.clone(),
        batched: true,
        ask: Ask::Apply {
            call: call.clone(),
            buffers: artifacts.iter().chain([args]).cloned().collect(),
        },
    };
    ids.into_iter().zip(args).map(call).collect()
}

fn nothing_to_repeat() -> ReplyMetadata {
    ReplyMetadata {
        started: None,
        dependencies_met: true,
        engine: None,
        status: String::new(),
        is_broadcast: false,
        is_coalescing: false,
        original_msg_id: String::new(),
        label: None,
        engine_info: None,
        phalanx_batch: Vec::new(),
    }
}

fn ask(envelope: &Envelope) -> Result<Ask, WireError> {
    #[derive(Deserialize)]
    struct Execute {
        code: String,
        #[serde(default)]
        silent: bool,
    }
    Ok(match envelope.header.msg_type.as_str() {
        "execute_request" => {
            let Execute { code, silent } = envelope.content()?;
            Ask::Execute {
                code,
                silent,
                cell: metadata(envelope).map(Box::new),
                buffers: Vec::new(),
            }
        }
        "apply_request" => Ask::Apply {
            call: metadata(envelope).map(Arc::new),
            buffers: Vec::new(),
        },
        "kernel_info_request" => Ask::KernelInfo,
        LineageRequest::MSG_TYPE => Ask::Lineage,
        "abort_request" => Ask::Abort(envelope.content::<AbortRequest>()?.msg_ids),
        "clear_request" => Ask::Clear,
        "shutdown_request" => Ask::Shutdown,
        "signal_request" => Ask::Signal(envelope.content::<SignalRequest>()?.sig),
        _ => Ask::Unknown,
    })
}

/// Our metadata of a cell or a call.
fn metadata<T: DeserializeOwned>(envelope: &Envelope) -> Result<T, String> {
    let Some(metadata) = envelope.metadata.get(PHALANX) else {
        let what = match envelope.header.msg_type.as_str() {
            "apply_request" => "this is a Python function",
            _ => "this is source without an artifact",
        };
        return Err(what.to_owned());
    };
    T::deserialize(metadata)
        .map_err(|error| format!("`metadata.{PHALANX}` does not tell what to run: {error}"))
}

/// A reply as frames for its channel.
pub(crate) fn reply(reply: Reply, session: &Session) -> Result<Frames, WireError> {
    let mut envelope = session.envelope(&reply.msg_type, reply.content, None);
    envelope.identities = reply.request.route;
    envelope.parent_header = Some(reply.request.header);
    if let Value::Object(metadata) = reply.metadata {
        envelope.metadata = metadata;
    }
    envelope.buffers = reply.buffers;
    envelope.seal(session.key())
}

/// A publication as frames for iopub, under the topic `engine.<id>.<what>`.
pub(crate) fn publication(
    parent: Option<Header>,
    publication: Publication,
    identity: &Identity,
    session: &Session,
) -> Result<Frames, WireError> {
    let buffers = match &publication {
        Publication::Kept(Some(reference)) => vec![reference.clone()],
        _ => Vec::new(),
    };
    let (topic, msg_type, content) = published(publication);
    let mut envelope = session.envelope(msg_type, content, None);
    envelope.buffers = buffers;
    envelope.parent_header = parent;
    envelope.identities = vec![format!("engine.{}.{topic}", identity.id).into()];
    envelope
        .metadata
        .insert("engine".to_owned(), json!(identity.uuid));
    envelope.seal(session.key())
}

/// The topic's last part (ipyparallel names streams there), the type and the content.
fn published(publication: Publication) -> (&'static str, &'static str, Value) {
    match publication {
        Publication::Status(state) => ("status", "status", json!({"execution_state": state})),
        Publication::Input {
            code,
            execution_count,
        } => (
            "execute_input",
            "execute_input",
            json!({"code": code, "execution_count": execution_count}),
        ),
        Publication::Result {
            data,
            execution_count,
        } => (
            "execute_result",
            "execute_result",
            json!({"data": data, "metadata": {}, "execution_count": execution_count}),
        ),
        Publication::Error(content) => ("error", "error", content),
        Publication::Output(Output::Stream { name, text }) => {
            (name.as_str(), "stream", json!({"name": name, "text": text}))
        }
        Publication::Output(Output::Display(display)) => {
            let msg_type = if display.update {
                "update_display_data"
            } else {
                "display_data"
            };
            let mut transient = Map::new();
            if let Some(id) = display.display_id {
                transient.insert("display_id".to_owned(), Value::String(id));
            }
            let content = json!({
                "data": display.data,
                "metadata": display.metadata,
                "transient": transient,
            });
            (msg_type, msg_type, content)
        }
        Publication::Output(Output::Result(data)) => (
            "execute_result",
            "execute_result",
            json!({"data": data, "metadata": {}, "execution_count": 0}),
        ),
        Publication::Output(Output::Data(data)) => ("data_message", "data_message", json!(data)),
        Publication::Kept(_) => (KEPT, KEPT, json!({})),
        Publication::Output(Output::ClearOutput { wait }) => {
            ("clear_output", "clear_output", json!({"wait": wait}))
        }
    }
}
