//! A fake frontend for tests; fails if the kernel sends messages that the test does not receive.

use phalanx_protocol::jupyter::connection_info::{ConnectionInfo, Transport};
use phalanx_transport::connection::{read_kernel_file, write_kernel_file};
use phalanx_transport::{
    Endpoint, Envelope, Session, SigningKey, Socket, SocketKind, SocketOptions,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Time limit of each wait.
const LIMIT: Duration = Duration::from_secs(90);

/// A kernel process and its connections.
pub struct Frontend {
    kernel: Child,
    session: Session,
    shell: Socket,
    control: Socket,
    stdin: Socket,
    iopub: Socket,
    info: ConnectionInfo,
    /// The received publications, by the request that caused them.
    published: BTreeMap<String, VecDeque<Envelope>>,
    replies: Vec<Envelope>,
    _folder: tempfile::TempDir,
}

/// The reply, outputs and messages of a cell.
#[derive(Debug)]
pub struct Ran {
    pub reply: Value,
    /// The outputs, one line each, in the format of `describe`.
    pub outputs: Vec<String>,
    pub messages: Vec<Envelope>,
}

impl Frontend {
    /// Starts a kernel with the echo backend and connects to all its channels.
    pub async fn start() -> Self {
        Self::start_for(std::process::id()).await
    }

    /// Starts a kernel with this process id as its parent.
    pub async fn start_for(parent: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("data");
        Self::start_in(&home, folder, parent).await
    }

    /// Starts a kernel with its history in a folder that outlives it.
    pub async fn start_at_home(home: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start_in(home, folder, std::process::id()).await
    }

    async fn start_in(home: &Path, folder: tempfile::TempDir, parent: u32) -> Self {
        let info = connection();
        let file = folder.path().join("kernel.json");
        write_kernel_file(&file, &info).unwrap();
        let mut command = kernel(home);
        command.arg("--connection-file").arg(&file);
        command.env("JPY_PARENT_PID", parent.to_string());
        Self::connect(command.spawn().unwrap(), info, folder).await
    }

    /// Starts a kernel with a connection file.
    pub async fn start_at(info: ConnectionInfo, folder: tempfile::TempDir) -> Self {
        let file = folder.path().join("kernel.json");
        write_kernel_file(&file, &info).unwrap();
        let mut command = kernel(folder.path());
        command.arg("--connection-file").arg(&file);
        Self::connect(command.spawn().unwrap(), info, folder).await
    }

    /// Starts a kernel by hand; also returns the connection file it has written.
    pub async fn start_by_hand() -> (Self, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let mut command = kernel(folder.path());
        command.env("JUPYTER_RUNTIME_DIR", folder.path().join("runtime"));
        let mut kernel = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(kernel.stdout.take().unwrap()).lines();
        let file = loop {
            let line = limited("a hint", lines.next_line()).await.unwrap().unwrap();
            if let Some(file) = line.trim().strip_prefix("--existing ") {
                break PathBuf::from(file);
            }
        };
        let info = read_kernel_file(&file).unwrap();
        (Self::connect(kernel, info, folder).await, file)
    }

    async fn connect(kernel: Child, info: ConnectionInfo, folder: tempfile::TempDir) -> Self {
        let scheme = info.signature_scheme.parse().unwrap();
        let session = Session::new("test", SigningKey::new(scheme, &*info.key));
        let mut frontend = Self {
            kernel,
            session,
            shell: connect(&info, SocketKind::Dealer, info.shell_port, "frontend").await,
            control: connect(&info, SocketKind::Dealer, info.control_port, "frontend").await,
            stdin: connect(&info, SocketKind::Dealer, info.stdin_port, "frontend").await,
            iopub: connect(&info, SocketKind::Sub, info.iopub_port, "frontend").await,
            info,
            published: BTreeMap::new(),
            replies: Vec::new(),
            _folder: folder,
        };
        frontend.welcomed().await;
        frontend
    }

    /// Disconnects and connects again with another identity.
    pub async fn reconnect(&mut self, identity: &str) {
        let info = &self.info;
        self.shell = connect(info, SocketKind::Dealer, info.shell_port, identity).await;
        self.control = connect(info, SocketKind::Dealer, info.control_port, identity).await;
        self.stdin = connect(info, SocketKind::Dealer, info.stdin_port, identity).await;
        self.iopub = connect(info, SocketKind::Sub, info.iopub_port, identity).await;
        self.published.clear();
        self.welcomed().await;
    }

    /// Waits for `iopub_welcome`, after which no publication is missed.
    async fn welcomed(&mut self) {
        let welcome = self.next_published().await;
        assert_eq!(welcome.header.msg_type, "iopub_welcome");
    }

    /// Executes a cell from another frontend, and waits for the reply to it.
    pub async fn execute_beside(&mut self, source: &str) -> Value {
        let info = &self.info;
        let mut shell = connect(info, SocketKind::Dealer, info.shell_port, "beside").await;
        let ask = json!({"code": source, "silent": false});
        let request = self.session.envelope("execute_request", ask, None);
        let id = request.header.msg_id.clone();
        let frames = request.seal(self.session.key()).unwrap();
        shell.send(frames).await.unwrap();
        let frames = limited("a reply", shell.recv_message()).await.unwrap();
        let reply = Envelope::open(frames, self.session.key()).unwrap();
        assert_eq!(reply.parent_header.unwrap().msg_id, id);
        self.until_idle(&id).await;
        reply.content
    }

    /// Sends frames that are not a message.
    pub async fn send_frames(&mut self, frames: Vec<bytes::Bytes>) {
        self.shell.send(frames).await.unwrap();
    }

    pub fn pid(&self) -> u32 {
        self.kernel.id().unwrap()
    }

    /// Executes a cell that must succeed; returns its outputs.
    pub async fn ok(&mut self, source: &str) -> Vec<String> {
        let ran = self.execute(source).await;
        assert_eq!(ran.reply["status"], "ok", "{source}: {ran:#?}");
        ran.outputs
    }

    /// Executes a cell that must fail; returns its outputs, followed by the name and message of the
    /// error.
    pub async fn fails(&mut self, source: &str) -> Vec<String> {
        let ran = self.execute(source).await;
        assert_eq!(ran.reply["status"], "error", "{source}: {ran:#?}");
        ran.outputs
    }

    /// Executes a cell.
    pub async fn execute(&mut self, source: &str) -> Ran {
        let id = self.send_execute(source).await;
        self.ran(&id).await
    }

    pub async fn send_execute(&mut self, source: &str) -> String {
        self.send_shell(
            "execute_request",
            json!({
                "code": source, "silent": false, "store_history": true, "user_expressions": {},
                "allow_stdin": true, "stop_on_error": true,
            }),
        )
        .await
    }

    pub async fn send_shell(&mut self, msg_type: &str, content: Value) -> String {
        let message = self.session.envelope(msg_type, content, None);
        self.send_envelope(message).await
    }

    /// Sends a request to a subshell.
    pub async fn send_within(&mut self, subshell: &str, msg_type: &str, content: Value) -> String {
        let mut message = self.session.envelope(msg_type, content, None);
        message.header.subshell_id = Some(subshell.to_owned());
        self.send_envelope(message).await
    }

    /// Sends a message on shell unchanged.
    pub async fn send_envelope(&mut self, message: Envelope) -> String {
        let id = message.header.msg_id.clone();
        let frames = message.seal(self.session.key()).unwrap();
        self.shell.send(frames).await.unwrap();
        id
    }

    pub async fn send_control(&mut self, msg_type: &str, content: Value) -> String {
        let message = self.session.envelope(msg_type, content, None);
        let id = message.header.msg_id.clone();
        let frames = message.seal(self.session.key()).unwrap();
        self.control.send(frames).await.unwrap();
        id
    }

    /// Sends a message signed with another key.
    pub async fn send_raw(&mut self, message: Envelope, key: &SigningKey) {
        self.shell.send(message.seal(key).unwrap()).await.unwrap();
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    pub async fn send_stdin(&mut self, msg_type: &str, content: Value) {
        let message = self.session.envelope(msg_type, content, None);
        let frames = message.seal(self.session.key()).unwrap();
        self.stdin.send(frames).await.unwrap();
    }

    pub async fn send_stdin_message(&mut self, message: Envelope) {
        let frames = message.seal(self.session.key()).unwrap();
        self.stdin.send(frames).await.unwrap();
    }

    /// Waits for the next input request.
    pub async fn input_request(&mut self) -> Envelope {
        let frames = limited("a question", self.stdin.recv_message())
            .await
            .unwrap();
        let question = Envelope::open(frames, self.session.key()).unwrap();
        assert_eq!(question.header.msg_type, "input_request");
        question
    }

    /// Replies to the next input request, which must have this prompt.
    pub async fn input_reply(&mut self, prompt: &str, line: &str) {
        assert_eq!(self.input_request().await.content["prompt"], prompt);
        let reply = json!({"value": line, "status": "ok"});
        self.send_stdin("input_reply", reply).await;
    }

    /// Sends a request on shell; returns the content of the reply once the kernel is idle again.
    pub async fn ask(&mut self, msg_type: &str, content: Value) -> Value {
        let id = self.send_shell(msg_type, content).await;
        let reply = self.reply(&id).await;
        self.quiet(&id).await;
        reply
    }

    /// Sends a request on control; returns the content of the reply once the kernel is idle again.
    pub async fn ask_control(&mut self, msg_type: &str, content: Value) -> Value {
        let id = self.send_control(msg_type, content).await;
        let reply = self.reply(&id).await;
        self.quiet(&id).await;
        reply
    }

    /// Waits for the reply to a cell and its outputs between busy and idle.
    pub async fn ran(&mut self, id: &str) -> Ran {
        let reply = self.reply(id).await;
        let messages = self.until_idle(id).await;
        let outputs = messages.iter().filter_map(describe).collect();
        Ran {
            reply,
            outputs,
            messages,
        }
    }

    /// Waits for busy and idle of a request that has no outputs.
    pub async fn quiet(&mut self, id: &str) {
        let messages = self.until_idle(id).await;
        assert!(messages.is_empty(), "{messages:#?}");
    }

    /// Waits for the publications of a request up to idle; the first must be busy.
    pub async fn until_idle(&mut self, id: &str) -> Vec<Envelope> {
        let mut messages: Vec<Envelope> = Vec::new();
        let first = self.published_for(id).await;
        assert_eq!(state(&first), Some("busy"), "{first:#?}");
        loop {
            let message = self.published_for(id).await;
            match state(&message) {
                Some("idle") => return messages,
                // The kernel publishes busy again after each request served meanwhile.
                Some("busy") => {}
                _ => messages.push(message),
            }
        }
    }

    /// Waits for the next publication of a request.
    pub async fn published_for(&mut self, id: &str) -> Envelope {
        loop {
            if let Some(message) = self.published.get_mut(id).and_then(VecDeque::pop_front) {
                return message;
            }
            let message = self.next_published().await;
            let Some(parent) = &message.parent_header else {
                continue;
            };
            let parent = parent.msg_id.clone();
            self.published.entry(parent).or_default().push_back(message);
        }
    }

    /// Waits until a cell is running.
    pub async fn begun(&mut self, id: &str) {
        let first = self.published_for(id).await;
        assert_eq!(state(&first), Some("busy"), "{first:#?}");
        let published = self.published.entry(id.to_owned()).or_default();
        published.push_front(first);
    }

    /// Waits for an output of a running cell, such as its first print.
    pub async fn wait_for(&mut self, id: &str, output: &str) {
        loop {
            let message = self.published_for(id).await;
            if describe(&message).as_deref() == Some(output) {
                // Put back, as if the cell had just begun.
                let busy =
                    self.session
                        .envelope("status", json!({"execution_state": "busy"}), None);
                self.published
                    .entry(id.to_owned())
                    .or_default()
                    .push_front(busy);
                return;
            }
        }
    }

    /// Waits until the streams and displays of a running cell contain all these texts.
    pub async fn wait_for_text(&mut self, id: &str, texts: &[&str]) {
        let mut seen = String::new();
        let mut messages = VecDeque::new();
        while !texts.iter().all(|text| seen.contains(text)) {
            let message = self.published_for(id).await;
            let content = &message.content;
            for text in [&content["text"], &content["data"]["text/plain"]] {
                seen.push_str(text.as_str().unwrap_or_default());
            }
            messages.push_back(message);
        }
        let rest = self.published.entry(id.to_owned()).or_default();
        messages.append(rest);
        *rest = messages;
    }

    /// Takes the text published for a request up to a message that contains `words`.
    pub async fn text_until(&mut self, id: &str, words: &str) -> String {
        let mut seen = String::new();
        while !seen.contains(words) {
            let message = self.published_for(id).await;
            seen.push_str(message.content["text"].as_str().unwrap_or_default());
        }
        seen
    }

    async fn next_published(&mut self) -> Envelope {
        let frames = limited("iopub", self.iopub.recv_message()).await.unwrap();
        // The topic precedes the message.
        Envelope::open(frames, self.session.key()).unwrap()
    }

    pub async fn reply(&mut self, id: &str) -> Value {
        loop {
            let parent = |reply: &Envelope| reply.parent_header.as_ref().unwrap().msg_id.clone();
            if let Some(at) = self.replies.iter().position(|reply| parent(reply) == id) {
                return self.replies.remove(at).content;
            }
            let received = async {
                tokio::select! {
                    frames = self.shell.recv_message() => frames,
                    frames = self.control.recv_message() => frames,
                }
            };
            let frames = limited("a reply", received).await.unwrap();
            let reply = Envelope::open(frames, self.session.key()).unwrap();
            assert_ne!(reply.header.session, self.session.id().as_str());
            self.replies.push(reply);
        }
    }

    /// Checks that the heartbeat is echoed.
    pub async fn heartbeat(&self) {
        let info = &self.info;
        let mut socket = connect(info, SocketKind::Dealer, info.hb_port, "heart").await;
        let frames = vec![
            bytes::Bytes::new(),
            bytes::Bytes::from_static(b"any\0thing"),
        ];
        socket.send(frames.clone()).await.unwrap();
        let back = limited("heartbeat", socket.recv_message()).await;
        assert_eq!(back, Some(frames));
    }

    /// Shuts the kernel down and checks that no messages or processes are left.
    pub async fn stop(mut self) {
        let family = family(self.pid());
        let reply = self
            .ask_control("shutdown_request", json!({"restart": false}))
            .await;
        assert_eq!(reply["status"], "ok");
        self.gone(family).await;
        self.nothing_left();
    }

    /// Waits until the kernel and its descendants have ended.
    pub async fn gone(&mut self, family: Vec<OwnedFd>) {
        let status = limited("the kernel's end", self.kernel.wait())
            .await
            .unwrap();
        for process in family {
            #[expect(deprecated, reason = "sound for an OwnedFd; the other way is unsafe")]
            let process = AsyncFd::new(process).unwrap();
            limited("a process's end", process.readable())
                .await
                .unwrap()
                .retain_ready();
        }
        assert!(status.success(), "{status}");
    }

    /// Terminates the kernel by a signal.
    pub async fn terminate(mut self) {
        let family = family(self.pid());
        let pid = rustix::process::Pid::from_raw(self.pid() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.gone(family).await;
    }

    fn nothing_left(&self) {
        let left: Vec<_> = self
            .published
            .values()
            .flatten()
            .filter(|message| state(message).is_none())
            .map(|message| (&message.header.msg_type, &message.content))
            .collect();
        assert!(left.is_empty(), "unexpected messages: {left:#?}");
        assert!(
            self.replies.is_empty(),
            "replies to nothing: {:#?}",
            self.replies
        );
    }
}

pub async fn limited<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future)
        .await
        .unwrap_or_else(|_| panic!("waited for {what} in vain"))
}

/// Opens a process and all its descendants, so that their ends can be awaited.
pub fn family(pid: u32) -> Vec<OwnedFd> {
    let mut found = vec![pid];
    let mut at = 0;
    while let Some(pid) = found.get(at) {
        at += 1;
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
        for task in tasks.into_iter().flatten().flatten() {
            let children = std::fs::read_to_string(task.path().join("children"));
            let children = children.unwrap_or_default();
            found.extend(
                children
                    .split_whitespace()
                    .map(|pid| pid.parse::<u32>().unwrap()),
            );
        }
    }
    found
        .into_iter()
        .filter_map(|pid| {
            let pid = rustix::process::Pid::from_raw(pid as i32)?;
            let flags = rustix::process::PidfdFlags::NONBLOCK;
            rustix::process::pidfd_open(pid, flags).ok()
        })
        .collect()
}

/// Returns the command of a kernel with the echo backend, and its history in a folder.
fn kernel(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_phalanx"));
    command
        .args(["kernel", "--echo"])
        .env("XDG_DATA_HOME", home)
        .env("JPY_PARENT_PID", std::process::id().to_string())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn connect(info: &ConnectionInfo, kind: SocketKind, port: u16, identity: &str) -> Socket {
    let interface = format!("{}://{}", info.transport, info.ip);
    let endpoint = Endpoint::of(&interface, port).unwrap();
    // Has the identity of the shell socket, as in clients, so that input requests reach it.
    let options = SocketOptions::default().identity(identity);
    Socket::connect(kind, &endpoint, options).await.unwrap()
}

/// Returns an unused loopback port outside of the range that the system assigns automatically,
/// where another test may take it at any time.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + (std::process::id() % 15_000) as u16;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Returns a connection file for unused loopback ports.
pub fn connection() -> ConnectionInfo {
    let ports: Vec<u16> = (0..5).map(|_| free_port()).collect();
    let port = |at: usize| ports[at];
    ConnectionInfo {
        ip: "127.0.0.1".into(),
        transport: Transport::TCP,
        shell_port: port(0),
        iopub_port: port(1),
        stdin_port: port(2),
        control_port: port(3),
        hb_port: port(4),
        key: "secret".into(),
        signature_scheme: "hmac-sha256".into(),
        kernel_name: None,
    }
}

fn state(message: &Envelope) -> Option<&str> {
    message.content["execution_state"].as_str()
}

/// Formats an output as a line; `None` for other messages.
pub fn describe(message: &Envelope) -> Option<String> {
    let content = &message.content;
    let data = || {
        let data = content["data"].as_object().unwrap();
        let shown = data.iter().map(|(mime, value)| {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            match mime.as_str() {
                "text/plain" => value,
                mime => format!("{mime}={value}"),
            }
        });
        plain(&shown.collect::<Vec<_>>().join(" | "))
    };
    let text = |key: &str| content[key].as_str().unwrap().to_owned();
    Some(match message.header.msg_type.as_str() {
        "execute_input" => return None,
        "stream" => format!("{}: {}", text("name"), text("text")),
        "execute_result" => format!("result: {}", data()),
        "display_data" => format!("display: {}", data()),
        "update_display_data" => format!("update: {}", data()),
        "clear_output" => "clear".to_owned(),
        "error" => format!("{}: {}", text("ename"), text("evalue")),
        other => format!("{other}: {content}"),
    })
}

/// Removes colours from a text.
pub fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        plain.push_str(&rest[..at]);
        let end = rest[at..].find('m').map_or(rest.len(), |end| at + end + 1);
        rest = &rest[end..];
    }
    plain + rest
}
