//! Requests that somebody has recorded and sends again, as they reach an engine's own socket.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use phalanx_transport::{
    Endpoint, EngineConnectionFile, Envelope, Event, Frames, Session, SigningKey, Socket,
    SocketKind, SocketOptions,
};
use serde_json::json;
use std::process::Stdio;
use support::PATIENCE;
use tokio::process::Command;
use tokio::time::timeout;

const KEY: &str = "secret";

/// The sockets of a controller that relays whatever it is given; the real one has a guard of its own.
struct Relay {
    session: Session,
    registration: Socket,
    control: Socket,
    file: EngineConnectionFile,
    _others: Vec<Socket>,
}

async fn bound(kind: SocketKind) -> (Socket, u16) {
    let endpoint = Endpoint::of("tcp://127.0.0.1", 0).unwrap();
    let options = SocketOptions::default().identity("relay");
    let socket = Socket::bind(kind, &endpoint, options).await.unwrap();
    let port = socket.endpoint().port().unwrap();
    (socket, port)
}

impl Relay {
    async fn new() -> Self {
        let (registration, registration_port) = bound(SocketKind::Router).await;
        let (control, control_port) = bound(SocketKind::Router).await;
        let (mut others, mut ports) = (Vec::new(), Vec::new());
        for kind in [
            SocketKind::Router,
            SocketKind::Router,
            SocketKind::Router,
            SocketKind::Sub,
            SocketKind::Pub,
            SocketKind::Router,
        ] {
            let (socket, port) = bound(kind).await;
            others.push(socket);
            ports.push(port);
        }
        let file = json!({
            "interface": "tcp://127.0.0.1", "location": "", "key": KEY,
            "registration": registration_port, "control": control_port, "mux": ports[0], "task": ports[1],
            "broadcast": [ports[2]], "iopub": ports[3], "hb_ping": ports[4], "hb_pong": ports[5],
        });
        Self {
            session: Session::new("relay", SigningKey::sha256(KEY)),
            registration,
            control,
            file: EngineConnectionFile::from_json(&file.to_string()).unwrap(),
            _others: others,
        }
    }

    /// Registers the engine; its name, once it can be reached.
    async fn joined(&mut self) -> String {
        let request = self.registration.recv_message().await.unwrap();
        let request = Envelope::open(request, self.session.key()).unwrap();
        let content = json!({"status": "ok", "id": 0, "hb_period": 3000});
        let mut reply = self
            .session
            .envelope("registration_reply", content, Some(&request));
        reply.identities.clone_from(&request.identities);
        let reply = reply.seal(self.session.key()).unwrap();
        self.registration.send(reply).await.unwrap();
        while !matches!(self.control.recv().await.unwrap(), Event::Connected(_)) {}
        request.content["uuid"].as_str().unwrap().to_owned()
    }

    /// A request and its id.
    fn request(&self, engine: &str) -> (Frames, String) {
        let mut request = self
            .session
            .envelope("kernel_info_request", json!({}), None);
        request.identities = vec![engine.to_owned().into(), "client".into()];
        let id = request.header.msg_id.clone();
        (request.seal(self.session.key()).unwrap(), id)
    }
}

#[tokio::test]
async fn a_request_that_is_sent_again_is_answered_once() {
    let mut relay = Relay::new().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.json");
    relay.file.write(&path).unwrap();
    let _engine = Command::new(env!("CARGO_BIN_EXE_phalanx-engine"))
        .arg("--file")
        .arg(&path)
        .env("PHALANX_CACHE_DIR", folder.path().join("cache"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let engine = timeout(PATIENCE, relay.joined()).await.unwrap();
    let (recorded, first) = relay.request(&engine);
    let (other, last) = relay.request(&engine);
    for frames in [recorded.clone(), recorded, other] {
        relay.control.send(frames).await.unwrap();
    }
    let mut answered = Vec::new();
    while answered.last() != Some(&last) {
        let reply = timeout(PATIENCE, relay.control.recv_message()).await;
        let reply = Envelope::open(reply.unwrap().unwrap(), relay.session.key()).unwrap();
        answered.push(reply.parent_header.unwrap().msg_id);
    }
    assert_eq!(answered, [first, last]);
}
