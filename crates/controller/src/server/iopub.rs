use super::{engine_uuid, shown};
use phalanx_protocol::id::EngineUuid;
use phalanx_transport::{Event, Frames, RawMessage, Receiver, Sender, Session, Socket};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// Carries what engines publish to all clients, as it came.
///
/// Its own task, so that floods of output delay nothing else; it waits for clients, so that
/// engines are slowed down rather than their output dropped.
pub struct IopubRelay {
    clients: (Sender, Receiver),
    engines: Receiver,
}

#[derive(Deserialize)]
struct Published<'a> {
    #[serde(borrow)]
    session: std::borrow::Cow<'a, str>,
}

impl IopubRelay {
    pub fn new(clients: Socket, engines: Socket) -> Self {
        Self {
            clients: clients.split(),
            // It sends nothing; its other half lives in the socket's task.
            engines: engines.split().1,
        }
    }

    pub fn sender(&self) -> Sender {
        self.clients.0.clone()
    }

    /// Runs until a socket is closed. While somebody listens, tells who publishes.
    pub async fn run(
        mut self,
        session: Session,
        heard: mpsc::UnboundedSender<EngineUuid>,
        listens: Arc<AtomicBool>,
    ) {
        loop {
            tokio::select! {
                event = self.engines.recv() => match event {
                    Some(Event::Message(frames)) => {
                        let Some(frames) = admit(frames, &session, &heard, &listens) else {
                            continue;
                        };
                        if let Err(error) = self.clients.0.send(frames).await {
                            tracing::warn!(%error, "output is dropped");
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

    /// Tells a new subscriber that nothing published from now on is lost (Jupyter's JEP 65).
    async fn welcome(&self, session: &Session, topic: &[u8]) {
        let content = json!({"subscription": String::from_utf8_lossy(topic)});
        let mut welcome = session.envelope("iopub_welcome", content, None);
        welcome.identities = vec![bytes::Bytes::copy_from_slice(topic)];
        if let Ok(frames) = welcome.seal(session.key())
            && let Err(error) = self.clients.0.send(frames).await
        {
            tracing::warn!(%error, "a welcome is dropped");
        }
    }
}

fn admit(
    frames: Frames,
    session: &Session,
    heard: &mpsc::UnboundedSender<EngineUuid>,
    listens: &AtomicBool,
) -> Option<Frames> {
    let topic = shown(frames.first());
    let message = match RawMessage::verify(frames, session.key()) {
        Ok(message) => message,
        Err(error) => {
            tracing::warn!(%topic, %error, "output that is no message of ours");
            return None;
        }
    };
    if listens.load(Ordering::Acquire)
        && let Ok(published) = serde_json::from_slice::<Published>(&message.header)
        && let Some(engine) = engine_uuid(published.session.as_bytes())
    {
        // The server may be gone already.
        drop(heard.send(engine));
    }
    Some(message.into_frames())
}
