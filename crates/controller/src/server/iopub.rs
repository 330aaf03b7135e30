//! The relay of publications, from all engines to all clients.

use super::replies::HeaderFields;
use super::{engine_uuid, peer_name};
use crate::records::PublishedOutput;
use phalanx_protocol::id::{EngineUuid, MsgId};
use phalanx_transport::warn_rarely;
use phalanx_transport::{Event, Frames, RawMessage, Receiver, Sender, Session, Socket};
use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// Relays the publications of engines to all clients, unchanged.
///
/// A task of its own, so that a flood of output delays nothing else; it waits for clients, which
/// slows down engines instead of dropping their output.
pub struct IopubRelay {
    clients: (Sender, Receiver),
    engines: Receiver,
}

/// Information from a published message for the server.
#[derive(Debug)]
pub enum PublicationFact {
    /// A publication of this engine has arrived.
    Engine(EngineUuid),
    /// Output that belongs to the record of a task.
    Published(MsgId, PublishedOutput),
}

#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    session: Cow<'a, str>,
    #[serde(borrow)]
    msg_type: Cow<'a, str>,
}

impl IopubRelay {
    pub fn new(clients: Socket, engines: Socket) -> Self {
        Self {
            clients: clients.split(),
            // Only receives; its other half stays with the socket's task.
            engines: engines.split().1,
        }
    }

    pub fn sender(&self) -> Sender {
        self.clients.0.clone()
    }

    /// Runs until a socket is closed. Reports output for records and, while a registration waits
    /// for it, the publishing engines.
    pub async fn run(
        mut self,
        session: Session,
        seen: mpsc::Sender<PublicationFact>,
        listens: Arc<AtomicBool>,
    ) {
        loop {
            tokio::select! {
                event = self.engines.recv() => match event {
                    Some(Event::Message(frames)) => {
                        let Some(message) = admit(frames, &session) else {
                            continue;
                        };
                        let listened = listens.load(Ordering::Acquire);
                        for each in facts(&message, listened).into_iter().flatten() {
                            // The server may have ended.
                            let _ = seen.send(each).await;
                        }
                        if let Err(error) = self.clients.0.send(message.into_frames()).await {
                            warn_rarely!(%error, "output is dropped");
                        }
                    }
                    Some(_) => {}
                    None => return,
                },
                event = self.clients.1.recv() => match event {
                    Some(Event::Subscribed(topic)) => self.welcome(&session, &topic).await,
                    Some(_) => {}
                    None => return,
                },
            }
        }
    }

    /// Notifies a new subscriber that nothing published from now on is lost (Jupyter's JEP 65).
    async fn welcome(&self, session: &Session, topic: &[u8]) {
        let content = json!({"subscription": String::from_utf8_lossy(topic)});
        let mut welcome = session.envelope("iopub_welcome", content, None);
        welcome.identities = vec![bytes::Bytes::copy_from_slice(topic)];
        if let Ok(frames) = welcome.seal(session.key())
            && let Err(error) = self.clients.0.send(frames).await
        {
            warn_rarely!(%error, "a welcome is dropped");
        }
    }
}

fn admit(frames: Frames, session: &Session) -> Option<RawMessage> {
    let topic = peer_name(frames.first());
    RawMessage::verify(frames, session.key())
        .map_err(|error| warn_rarely!(%topic, %error, "output that is not a signed message"))
        .ok()
}

/// Finds the publishing engine, if `with_engine` is set, and output that belongs to a record.
fn facts(message: &RawMessage, with_engine: bool) -> [Option<PublicationFact>; 2] {
    let topic = message.identities.first();
    // Most messages only report the start or end of a task; in ours and ipykernel's, the topic
    // shows it.
    let status = topic.is_some_and(|topic| topic.ends_with(b".status"));
    if status && !with_engine {
        return [None, None];
    }
    let Ok(header) = serde_json::from_slice::<Header>(&message.header) else {
        return [None, None];
    };
    let engine = with_engine
        .then(|| engine_uuid(header.session.as_bytes()))
        .flatten();
    let published = recorded(&header.msg_type, message);
    [
        engine.map(PublicationFact::Engine),
        published.map(|(task, published)| PublicationFact::Published(task, published)),
    ]
}

fn recorded(msg_type: &str, message: &RawMessage) -> Option<(MsgId, PublishedOutput)> {
    if !matches!(
        msg_type,
        "stream" | "execute_input" | "execute_result" | "error"
    ) {
        return None;
    }
    let task = HeaderFields::of(&message.parent_header).ok()?.id();
    let mut content: Value = serde_json::from_slice(&message.content).ok()?;
    let text = |content: &Value, field: &str| content[field].as_str().map(str::to_owned);
    let published = match msg_type {
        "stream" => {
            let text = text(&content, "text")?;
            match content["name"].as_str()? {
                "stdout" => PublishedOutput::Stdout(text),
                _ => PublishedOutput::Stderr(text),
            }
        }
        "execute_input" => PublishedOutput::Input(text(&content, "code")?),
        "execute_result" => PublishedOutput::Result(content.take()),
        _ => PublishedOutput::Error(content.take()),
    };
    Some((task, published))
}
