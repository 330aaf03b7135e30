use crate::cluster::soon;
use phalanx_protocol::id::SessionId;
use phalanx_protocol::parallel::RegistrationReply;
use phalanx_transport::{
    EngineConnectionFile, Envelope, Event, Sender, Session, Socket, SocketKind, SocketOptions,
};
use serde_json::json;
use tokio::task::JoinSet;

/// Runs `execute_request`s: `hang` never ends, `fail` fails, `unmet` has an unmet dependency, any
/// other code is printed. Dropping it simulates a crash.
pub struct Engine {
    pub registration: RegistrationReply,
    tasks: JoinSet<()>,
}

async fn dealer(file: &EngineConnectionFile, port: u16, uuid: &str) -> Socket {
    let options = SocketOptions::default().identity(uuid);
    let endpoint = file.endpoint(port).unwrap();
    Socket::connect(SocketKind::Dealer, &endpoint, options)
        .await
        .unwrap()
}

impl Engine {
    pub async fn join(file: &EngineConnectionFile, uuid: &str) -> Self {
        Self::join_as(file, uuid, false).await
    }

    /// Joins as an engine that runs Rust, or Python.
    pub async fn join_as(file: &EngineConnectionFile, uuid: &str, rust: bool) -> Self {
        let key = file.signing_key().unwrap();
        let session = Session::with_id(SessionId::new(uuid), "engine", key);
        let mut registrar = dealer(file, file.registration, uuid).await;
        let request = session.envelope(
            "registration_request",
            json!({"uuid": uuid, "phalanx_batches": rust}),
            None,
        );
        registrar
            .send(request.seal(session.key()).unwrap())
            .await
            .unwrap();
        let reply = soon(registrar.recv_message()).await.unwrap();
        let reply = Envelope::open(reply, session.key()).unwrap();
        let registration = reply.content::<RegistrationReply>().unwrap();
        let mut tasks = JoinSet::new();
        if let RegistrationReply::Ok { id, .. } = &registration {
            let iopub = file.endpoint(file.iopub).unwrap();
            let iopub = Socket::connect(SocketKind::Pub, &iopub, SocketOptions::default());
            let (publish, mut subscriptions) = iopub.await.unwrap().split();
            let pong = dealer(file, file.hb_pong, uuid).await;
            let topic = format!("engine.{id}");
            for port in [file.mux, file.task, file.broadcast[0], file.control] {
                let socket = dealer(file, port, uuid).await;
                tasks.spawn(serve(
                    socket,
                    session.clone(),
                    publish.clone(),
                    topic.clone(),
                ));
            }
            tasks.spawn(async move {
                let _open = (pong, registrar);
                while let Some(event) = subscriptions.recv().await {
                    if let Event::Subscribed(_) = event {
                        let hello = session.envelope(
                            "status",
                            json!({"execution_state": "starting"}),
                            None,
                        );
                        publish
                            .send(hello.seal(session.key()).unwrap())
                            .await
                            .unwrap();
                    }
                }
            });
        }
        Self {
            registration,
            tasks,
        }
    }

    /// Closes its connections as a killed process does.
    pub async fn crash(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn serve(mut socket: Socket, session: Session, publish: Sender, topic: String) {
    while let Some(frames) = socket.recv_message().await {
        let request = Envelope::open(frames, session.key()).unwrap();
        let code = request.content["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if code == "hang" {
            continue;
        }
        for (msg_type, content) in [
            ("status", json!({"execution_state": "busy"})),
            ("stream", json!({"name": "stdout", "text": code})),
            ("status", json!({"execution_state": "idle"})),
        ] {
            let mut output = session.envelope(msg_type, content, Some(&request));
            output.identities = vec![format!("{topic}.{msg_type}").into()];
            publish
                .send(output.seal(session.key()).unwrap())
                .await
                .unwrap();
        }
        let content = match code.as_str() {
            "fail" => {
                json!({"status": "error", "ename": "Panic", "evalue": session.id(), "traceback": []})
            }
            _ => json!({"status": "ok", "execution_count": 1}),
        };
        let reply_type = request.header.msg_type.replace("_request", "_reply");
        let mut reply = session.envelope(&reply_type, content, Some(&request));
        for (key, value) in [
            ("status", reply.content["status"].clone()),
            ("engine", json!(session.id())),
            ("dependencies_met", json!(code != "unmet")),
        ] {
            reply.metadata.insert(key.to_owned(), value);
        }
        reply.buffers = vec![session.id().as_str().to_owned().into()];
        socket
            .send(reply.seal(session.key()).unwrap())
            .await
            .unwrap();
    }
}
