use crate::cluster::soon;
use phalanx_transport::{
    ClientConnectionFile, Envelope, Frames, Receiver, SendError, Session, SigningKey, Socket,
    SocketKind, SocketOptions,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub struct Client {
    pub session: Session,
    pub query: Socket,
    pub mux: Socket,
    pub task: Socket,
    pub broadcast: Socket,
    pub iopub: Receiver,
    pub notification: Receiver,
}

impl Client {
    pub async fn connect(file: &ClientConnectionFile) -> Self {
        let open = async |kind, port| {
            let endpoint = file.endpoint(port).unwrap();
            let options = SocketOptions::default();
            Socket::connect(kind, &endpoint, options).await.unwrap()
        };
        Self {
            session: Session::new("client", file.signing_key().unwrap()),
            notification: open(SocketKind::Sub, file.notification).await.split().1,
            iopub: open(SocketKind::Sub, file.iopub).await.split().1,
            query: open(SocketKind::Dealer, file.registration).await,
            mux: open(SocketKind::Dealer, file.mux).await,
            task: open(SocketKind::Dealer, file.task).await,
            broadcast: open(SocketKind::Dealer, file.broadcast).await,
        }
    }

    pub fn open(&self, frames: Frames) -> Envelope {
        Envelope::open(frames, self.session.key()).unwrap()
    }

    fn execute(&self, engine: Option<&str>, code: &str, metadata: Value) -> Envelope {
        let mut request = self
            .session
            .envelope("execute_request", json!({"code": code}), None);
        request.metadata = metadata.as_object().unwrap().clone();
        request.identities = engine
            .map(|name| name.to_owned().into())
            .into_iter()
            .collect();
        request
    }

    /// Sends a direct request; returns its msg_id.
    pub async fn run(&self, engine: &str, code: &str) -> String {
        let request = self.execute(Some(engine), code, json!({}));
        let id = request.header.msg_id.clone();
        self.mux
            .send(request.seal(self.session.key()).unwrap())
            .await
            .unwrap();
        id
    }

    /// Sends a direct request with a buffer of `bytes` bytes; returns its msg_id.
    pub async fn run_large(&self, engine: &str, code: &str, bytes: usize) -> String {
        let mut request = self.execute(Some(engine), code, json!({}));
        request.buffers = vec![vec![0; bytes].into()];
        let id = request.header.msg_id.clone();
        self.mux
            .send(request.seal(self.session.key()).unwrap())
            .await
            .unwrap();
        id
    }

    /// Sends a direct request signed with a wrong key.
    pub async fn run_forged(&self, engine: &str, code: &str) {
        let request = self.execute(Some(engine), code, json!({}));
        let forged = request.seal(&SigningKey::sha256("guessed")).unwrap();
        self.mux.send(forged).await.unwrap();
    }

    /// Submits a load-balanced task; returns its msg_id.
    pub async fn submit(&self, code: &str, metadata: Value) -> String {
        let request = self.execute(None, code, metadata);
        let id = request.header.msg_id.clone();
        self.task
            .send(request.seal(self.session.key()).unwrap())
            .await
            .unwrap();
        id
    }

    /// Submits many tasks with the same code, subject to the controller's backpressure.
    pub fn submitter(&self, code: &str, count: usize) -> JoinHandle<()> {
        let (code, session, task) = (
            code.to_owned(),
            self.session.clone(),
            self.task.sender().clone(),
        );
        // Ends once everything has been sent; awaited by the test.
        tokio::spawn(async move {
            for _ in 0..count {
                let request = session.envelope("execute_request", json!({"code": code}), None);
                let frames = request.seal(session.key()).unwrap();
                while let Err(error) = task.send(frames.clone()).await {
                    assert!(matches!(error, SendError::Stalled { .. }), "{error}");
                }
            }
        })
    }

    /// Sends a broadcast; returns its msg_id.
    pub async fn broadcast(&self, code: &str, targets: &[&str], coalescing: bool) -> String {
        let targets: Vec<_> = targets
            .iter()
            .enumerate()
            .map(|(id, uuid)| json!([uuid, id]))
            .collect();
        let metadata =
            json!({"targets": targets, "is_broadcast": true, "is_coalescing": coalescing});
        let request = self.execute(None, code, metadata);
        let id = request.header.msg_id.clone();
        self.broadcast
            .send(request.seal(self.session.key()).unwrap())
            .await
            .unwrap();
        id
    }

    pub async fn ask(&mut self, msg_type: &str, content: Value) -> Envelope {
        let request = self.session.envelope(msg_type, content, None);
        self.query
            .send(request.seal(self.session.key()).unwrap())
            .await
            .unwrap();
        let reply = soon(self.query.recv_message()).await.unwrap();
        self.open(reply)
    }

    /// Waits for the next notification; returns its type and the engine's uuid.
    pub async fn notified(&mut self) -> (String, String) {
        let frames = soon(self.notification.recv_message()).await.unwrap();
        let notification = self.open(frames);
        let uuid = notification.content["uuid"].as_str().unwrap_or_default();
        (notification.header.msg_type.clone(), uuid.to_owned())
    }

    pub async fn joined(&mut self, uuid: &str) {
        while self.notified().await != ("registration_notification".to_owned(), uuid.to_owned()) {}
    }

    /// The text printed by a request, up to its idle.
    pub async fn printed(&mut self, msg_id: &str) -> String {
        let mut text = String::new();
        loop {
            let frames = soon(self.iopub.recv_message()).await.unwrap();
            let output = self.open(frames);
            if output
                .parent_header
                .is_none_or(|parent| parent.msg_id != msg_id)
            {
                continue;
            }
            match output.content["execution_state"].as_str() {
                Some("idle") => return text,
                _ => text += output.content["text"].as_str().unwrap_or_default(),
            }
        }
    }
}

/// Waits for the next reply on a channel; returns the id of its request and its content.
pub async fn reply(socket: &mut Socket, session: &Session) -> (String, Envelope) {
    let frames = soon(socket.recv_message()).await.unwrap();
    let reply = Envelope::open(frames, session.key()).unwrap();
    (reply.parent_header.clone().unwrap().msg_id, reply)
}
