//! Races, written as lists of events.

use super::clients::MAX_ABSENT;
use super::incoming::ServerSocket;
use super::iopub::PublicationFact;
use super::state::{NOTIFY_AFTER_REPLIES, ServerCommand, ServerEvent, ServerState};
use crate::config::ControllerConfig;
use crate::hub::{MAX_MISSES, RECONNECT_LIMIT};
use phalanx_protocol::id::{EngineUuid, MsgId, SessionId};
use phalanx_transport::{Envelope, Event, Frames, RoutingId, Session, SigningKey};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

struct Case {
    state: ServerState,
    client: Session,
    now: Instant,
}

impl Case {
    fn new() -> Self {
        let key = SigningKey::sha256("secret");
        let session = Session::new("controller", key.clone());
        let now = Instant::now();
        let config = ControllerConfig::default();
        Self {
            state: ServerState::new(&config, session, json!({}), 1 << 20, 1, now),
            client: Session::with_id(SessionId::new("client"), "client", key),
            now,
        }
    }

    /// A cluster with these engines.
    fn with(engines: &[&str]) -> Self {
        let mut case = Self::new();
        for engine in engines {
            case.join(engine);
        }
        case
    }

    fn join(&mut self, engine: &str) -> Vec<String> {
        let content = json!({"uuid": engine, "id": null});
        let mut sent = self.receive(
            ServerSocket::Registration,
            &[engine],
            "registration_request",
            content,
        );
        sent.extend(self.connect(engine));
        let published = ServerEvent::Published(PublicationFact::Engine(EngineUuid::new(engine)));
        sent.extend(self.event(published));
        sent
    }

    fn connect(&mut self, engine: &str) -> Vec<String> {
        let ports = [
            ServerSocket::MuxEngine,
            ServerSocket::TaskEngine,
            ServerSocket::ControlEngine,
            ServerSocket::Pong,
        ];
        let connected = |port| ServerEvent::Socket(port, Event::Connected(RoutingId::from(engine)));
        let sent = ports.map(connected).map(|event| self.event(event));
        sent.concat()
    }

    fn gone(&mut self, engine: &str) -> Vec<String> {
        let ports = [
            ServerSocket::MuxEngine,
            ServerSocket::TaskEngine,
            ServerSocket::ControlEngine,
            ServerSocket::Pong,
        ];
        let gone = |port| ServerEvent::Socket(port, Event::Disconnected(RoutingId::from(engine)));
        let sent = ports.map(gone).map(|event| self.event(event));
        sent.concat()
    }

    fn event(&mut self, event: ServerEvent) -> Vec<String> {
        let commands = self.state.handle(event, self.now);
        let described = commands
            .into_iter()
            .filter_map(|command| self.describe(command));
        described.collect()
    }

    /// A message received through these identities.
    fn receive(
        &mut self,
        port: ServerSocket,
        by: &[&str],
        msg_type: &str,
        content: Value,
    ) -> Vec<String> {
        let message = self.client.envelope(msg_type, content, None);
        self.sent(port, by, message)
    }

    fn sent(&mut self, port: ServerSocket, by: &[&str], mut message: Envelope) -> Vec<String> {
        message.identities = by.iter().map(|name| (*name).to_owned().into()).collect();
        let frames = message.seal(self.client.key()).unwrap();
        self.event(ServerEvent::Socket(port, Event::Message(frames)))
    }

    /// A request with a given id.
    fn request(
        &mut self,
        port: ServerSocket,
        by: &[&str],
        id: &str,
        msg_type: &str,
    ) -> Vec<String> {
        let mut message = self.client.envelope(msg_type, json!({}), None);
        message.header.msg_id = id.to_owned();
        self.sent(port, by, message)
    }

    /// A successful reply of an engine.
    fn reply(&mut self, port: ServerSocket, engine: &str, id: &str) -> Vec<String> {
        let mut request = self.client.envelope("apply_request", json!({}), None);
        request.header.msg_id = id.to_owned();
        let content = json!({"status": "ok"});
        let mut reply = self.client.envelope("apply_reply", content, Some(&request));
        reply.metadata.insert("status".to_owned(), json!("ok"));
        reply.metadata.insert("engine".to_owned(), json!(engine));
        self.sent(port, &[engine, "client"], reply)
    }

    fn after(&mut self, time: Duration, event: ServerEvent) -> Vec<String> {
        self.now += time;
        self.event(event)
    }

    /// Formats a command; `None` for commands to the records and the iopub relay.
    fn describe(&self, command: ServerCommand) -> Option<String> {
        match command {
            ServerCommand::Post(port, frames) => Some(format!("{port:?}: {}", self.read(frames)?)),
            ServerCommand::Request {
                route,
                engine,
                id,
                frames,
            } => {
                let _ = self.read(frames)?;
                Some(format!("{route:?}: {engine} gets {id}"))
            }
            ServerCommand::Record(_)
            | ServerCommand::ReportPublishers(_)
            | ServerCommand::Read(_) => None,
            ServerCommand::Query(..) => Some("ask".to_owned()),
            ServerCommand::End => Some("end".to_owned()),
        }
    }

    /// The addressee, task and content of a message; `None` for heartbeats.
    fn read(&self, frames: Frames) -> Option<String> {
        let message = Envelope::open(frames, self.client.key()).ok()?;
        let to = message.identities.first();
        let to = to.map(|name| String::from_utf8_lossy(name).replace('\0', ""));
        let parent = message.parent_header.map(|parent| parent.msg_id);
        let fields = ["ename", "status", "uuid"].map(|key| message.content[key].as_str());
        let field = fields.into_iter().flatten().next();
        let words = [
            to,
            Some(message.header.msg_type),
            parent,
            field.map(str::to_owned),
        ];
        Some(words.into_iter().flatten().collect::<Vec<_>>().join(" "))
    }
}

#[test]
fn a_request_is_answered_once_by_its_engine_or_when_that_ends() {
    let mut case = Case::with(&["a"]);
    let by = ["client", "a"];
    assert_eq!(
        case.request(ServerSocket::MuxClient, &by, "1", "apply_request"),
        ["Mux: a gets 1"]
    );
    case.request(ServerSocket::MuxClient, &by, "2", "apply_request");
    case.request(ServerSocket::ControlClient, &by, "3", "shutdown_request");
    assert_eq!(
        case.reply(ServerSocket::MuxEngine, "a", "1"),
        ["MuxClient: client apply_reply 1 ok"]
    );
    assert_eq!(
        case.reply(ServerSocket::MuxEngine, "a", "1"),
        [""; 0],
        "again"
    );
    assert_eq!(
        case.gone("a"),
        [
            "MuxClient: client apply_reply 2 EngineError",
            // It shut down as requested.
            "ControlClient: client shutdown_reply 3 ok",
        ]
    );
    let late = case.reply(ServerSocket::MuxEngine, "a", "2");
    assert_eq!(
        late, [""; 0],
        "it was in transit when its engine was marked as missed"
    );
    assert_eq!(
        case.request(ServerSocket::MuxClient, &by, "4", "apply_request"),
        ["MuxClient: client apply_reply 4 EngineError"]
    );
}

#[test]
fn the_end_of_an_engine_is_announced_after_the_replies_on_its_behalf() {
    let mut case = Case::with(&["a", "b"]);
    case.request(
        ServerSocket::MuxClient,
        &["client", "a"],
        "1",
        "apply_request",
    );
    case.gone("a");
    // It has no pending requests, yet it is not announced before the first.
    case.gone("b");
    assert_eq!(case.event(ServerEvent::Announce), [""; 0]);
    assert_eq!(
        case.after(NOTIFY_AFTER_REPLIES, ServerEvent::Announce),
        [
            "Notification: unregistration_notification a",
            "Notification: unregistration_notification b",
        ]
    );
    assert_eq!(case.state.next_announcement(), None);
}

#[test]
fn an_engine_that_does_not_read_does_not_block_the_controller() {
    let mut case = Case::with(&["a"]);
    case.request(
        ServerSocket::MuxClient,
        &["client", "a"],
        "1",
        "apply_request",
    );
    let full = ServerEvent::Undelivered(EngineUuid::new("a"), MsgId::new("1"));
    assert_eq!(
        case.event(full),
        ["MuxClient: client apply_reply 1 EngineError"]
    );
}

#[test]
fn tasks_of_a_missed_engine_are_aborted_and_it_returns_with_a_heartbeat() {
    let mut case = Case::with(&["a"]);
    case.request(
        ServerSocket::MuxClient,
        &["client", "a"],
        "1",
        "apply_request",
    );
    case.request(ServerSocket::TaskClient, &["client"], "2", "apply_request");
    let mut sent = Vec::new();
    // It had returned the one before the first.
    for _ in 0..MAX_MISSES + 2 {
        sent.extend(case.event(ServerEvent::Beat));
    }
    assert_eq!(
        sent,
        [
            "ControlEngine: a abort_request",
            "MuxClient: client apply_reply 1 EngineError",
            "TaskClient: client apply_reply 2 EngineError",
        ]
    );
    case.after(NOTIFY_AFTER_REPLIES, ServerEvent::Announce);
    // It resumes, sends its replies, and returns the heartbeat.
    assert_eq!(case.reply(ServerSocket::MuxEngine, "a", "1"), [""; 0]);
    assert_eq!(case.reply(ServerSocket::TaskEngine, "a", "2"), [""; 0]);
    let pong = vec!["a".into(), case.state.pings[0].clone().into()];
    assert_eq!(
        case.event(ServerEvent::Socket(
            ServerSocket::Pong,
            Event::Message(pong)
        )),
        ["Notification: registration_notification a"]
    );
    assert_eq!(
        case.request(
            ServerSocket::MuxClient,
            &["client", "a"],
            "3",
            "apply_request"
        ),
        ["Mux: a gets 3"]
    );
}

#[test]
fn an_engine_that_registers_again_has_lost_the_messages_in_transit() {
    let mut case = Case::with(&["a"]);
    case.request(
        ServerSocket::MuxClient,
        &["client", "a"],
        "1",
        "apply_request",
    );
    let content = json!({"uuid": "a", "id": 0});
    assert_eq!(
        case.receive(
            ServerSocket::Registration,
            &["a"],
            "registration_request",
            content
        ),
        [
            "ControlEngine: a abort_request",
            "MuxClient: client apply_reply 1 EngineError",
            "Registration: a registration_reply ok",
        ]
    );
}

#[test]
fn an_engine_has_time_to_restore_a_lost_connection() {
    let mut case = Case::with(&["a"]);
    case.request(
        ServerSocket::MuxClient,
        &["client", "a"],
        "1",
        "apply_request",
    );
    let identity = RoutingId::from("a");
    let broken = Event::Disconnected(identity.clone());
    case.event(ServerEvent::Socket(ServerSocket::MuxEngine, broken.clone()));
    let made = Event::Connected(identity);
    case.event(ServerEvent::Socket(ServerSocket::MuxEngine, made));
    assert_eq!(case.after(RECONNECT_LIMIT, ServerEvent::Tick), [""; 0]);
    case.event(ServerEvent::Socket(ServerSocket::MuxEngine, broken));
    // The clock stops while the process is stopped, so time advances in small steps.
    let mut sent = Vec::new();
    for _ in 0..50 {
        sent.extend(case.after(RECONNECT_LIMIT / 40, ServerEvent::Tick));
    }
    assert_eq!(
        sent,
        [
            "ControlEngine: a abort_request",
            "MuxClient: client apply_reply 1 EngineError",
        ]
    );
}

#[test]
fn a_waiting_task_is_aborted_by_the_controller_and_a_running_one_by_its_engine() {
    let mut case = Case::with(&["a"]);
    assert_eq!(
        case.request(ServerSocket::TaskClient, &["client"], "1", "apply_request"),
        ["TaskEngine: a apply_request"]
    );
    case.request(ServerSocket::TaskClient, &["client"], "2", "apply_request");
    let abort = |case: &mut Case, id: &str| {
        let content = json!({"msg_ids": [id]});
        case.receive(
            ServerSocket::ControlClient,
            &["client", "a"],
            "abort_request",
            content,
        )
    };
    let sent = abort(&mut case, "2");
    assert_eq!(sent[0], "TaskClient: client apply_reply 2 aborted");
    assert!(sent[1].starts_with("Control: a gets"), "{sent:?}");
    assert_eq!(
        abort(&mut case, "1").len(),
        1,
        "only its engine receives the abort"
    );
    assert_eq!(
        case.reply(ServerSocket::TaskEngine, "a", "1"),
        ["TaskClient: client apply_reply 1 ok"]
    );
}

#[test]
fn a_coalescing_broadcast_has_one_reply_even_if_an_engine_ends() {
    let mut case = Case::with(&["a", "b"]);
    let mut message = case.client.envelope("apply_request", json!({}), None);
    message.header.msg_id = "1".to_owned();
    message
        .metadata
        .insert("targets".to_owned(), json!([["a", 0], ["b", 1]]));
    message
        .metadata
        .insert("is_coalescing".to_owned(), json!(true));
    assert_eq!(
        case.sent(ServerSocket::BroadcastClient, &["client"], message),
        ["Broadcast: a gets 1_a", "Broadcast: b gets 1_b"]
    );
    assert_eq!(
        case.reply(ServerSocket::BroadcastEngine, "a", "1_a"),
        [""; 0]
    );
    assert_eq!(
        case.gone("b"),
        ["BroadcastClient: client apply_reply 1_b EngineError"]
    );
}

#[test]
fn waiting_tasks_of_a_client_that_does_not_return_are_dropped() {
    for returns in [true, false] {
        let mut case = Case::with(&["a"]);
        case.state.client_timeout = Duration::from_millis(1500);
        for id in ["1", "2"] {
            let mut request = case.client.envelope("apply_request", json!({}), None);
            request.header.msg_id = id.to_owned();
            request.metadata.insert("phalanx".to_owned(), json!({}));
            case.sent(ServerSocket::MuxClient, &["client", "a"], request);
        }
        let client = RoutingId::from("client");
        let gone = Event::Disconnected(client.clone());
        case.event(ServerEvent::Socket(ServerSocket::TaskClient, gone));
        let second = Duration::from_secs(1);
        assert_eq!(case.after(second, ServerEvent::Tick), [""; 0]);
        if returns {
            case.event(ServerEvent::Socket(
                ServerSocket::TaskClient,
                Event::Connected(client),
            ));
        }
        let sent = case.after(second, ServerEvent::Tick);
        let recalled = ["ControlEngine: a abort_request"];
        assert_eq!(sent, if returns { &[][..] } else { &recalled });
    }
}

/// Anybody can connect and disconnect, under any identity.
#[test]
fn only_a_limited_number_of_idle_clients_is_remembered() {
    let mut case = Case::with(&["a"]);
    let task = case.client.envelope("apply_request", json!({}), None);
    case.sent(ServerSocket::TaskClient, &["busy"], task);
    let names = (0..2 * MAX_ABSENT).map(|number| number.to_string());
    for name in names.chain(["busy".to_owned()]) {
        let gone = Event::Disconnected(RoutingId::from(name.as_str()));
        case.event(ServerEvent::Socket(ServerSocket::TaskClient, gone));
    }
    assert_eq!(case.state.absent.len(), MAX_ABSENT + 1);
}

#[test]
fn a_shutdown_is_announced_after_its_reply() {
    let mut case = Case::with(&["a"]);
    let sent = case.receive(
        ServerSocket::Registration,
        &["client"],
        "shutdown_request",
        json!({}),
    );
    assert_eq!(sent[0], "end");
    assert!(
        sent[1].starts_with("Registration: client shutdown_reply"),
        "{sent:?}"
    );
    assert_eq!(
        case.event(ServerEvent::Ending),
        ["Notification: shutdown_notification"]
    );
}

#[test]
fn replayed_messages_are_ignored() {
    let mut case = Case::with(&["a"]);
    let by: [&[&str]; 4] = [&["client", "a"], &["client", "a"], &["client"], &["client"]];
    let ports = [
        (ServerSocket::MuxClient, "apply_request"),
        (ServerSocket::ControlClient, "shutdown_request"),
        (ServerSocket::TaskClient, "apply_request"),
        (ServerSocket::Registration, "connection_request"),
    ];
    for ((port, msg_type), by) in ports.into_iter().zip(by) {
        let mut message = case.client.envelope(msg_type, json!({}), None);
        message.identities = by.iter().map(|name| (*name).to_owned().into()).collect();
        let frames = message.seal(case.client.key()).unwrap();
        let mut receive = |frames: Frames| {
            let event = ServerEvent::Socket(port, Event::Message(frames));
            case.event(event).len()
        };
        assert_eq!(
            (receive(frames.clone()), receive(frames)),
            (1, 0),
            "{port:?}"
        );
    }
}

#[test]
fn unsigned_messages_are_ignored() {
    let mut case = Case::with(&["a"]);
    let forger = SigningKey::sha256("guessed");
    let mut request = case.client.envelope("apply_request", json!({}), None);
    request.identities = vec!["client".into(), "a".into()];
    for port in [
        ServerSocket::MuxClient,
        ServerSocket::TaskClient,
        ServerSocket::Registration,
    ] {
        let frames = request.clone().seal(&forger).unwrap();
        let event = ServerEvent::Socket(port, Event::Message(frames));
        assert_eq!(case.event(event), [""; 0]);
    }
}

#[test]
fn a_refused_task_does_not_count_as_failed() {
    let mut case = Case::with(&["a"]);
    for (id, reason) in [("1", json!({"kind": "state_mismatch"})), ("2", Value::Null)] {
        let by = ["client", "a"];
        case.request(ServerSocket::MuxClient, &by, id, "execute_request");
        let mut request = case.client.envelope("execute_request", json!({}), None);
        request.header.msg_id = id.to_owned();
        let content = json!({"status": "error", "ename": "E", "evalue": id, "traceback": []});
        let mut reply = case
            .client
            .envelope("execute_reply", content, Some(&request));
        let extension = json!({"reason": reason, "state": "s"});
        for (key, value) in [("status", json!("error")), ("phalanx", extension)] {
            reply.metadata.insert(key.to_owned(), value);
        }
        case.sent(ServerSocket::MuxEngine, &["a", "client"], reply);
    }
    let reply = case.state.engines_reply();
    let reports: Vec<_> = reply.engines.values().collect();
    let words = reports[0].last_error.as_ref().map(|error| &*error.evalue);
    assert_eq!((reports.len(), reports[0].failed, words), (1, 1, Some("2")));
    assert_eq!((reports[0].completed, reports[0].succeeded()), (1, 0));
}

#[test]
fn a_task_that_no_engine_can_run_is_refused_and_nobodys() {
    let mut case = Case::with(&["a"]);
    case.request(ServerSocket::TaskClient, &["client"], "1", "apply_request");
    let mut request = case.client.envelope("apply_request", json!({}), None);
    request.header.msg_id = "1".to_owned();
    let content = json!({"status": "error", "ename": "UnmetDependency", "evalue": "no such file"});
    let mut reply = case.client.envelope("apply_reply", content, Some(&request));
    for (key, value) in [
        ("status", json!("error")),
        ("dependencies_met", json!(false)),
    ] {
        reply.metadata.insert(key.to_owned(), value);
    }
    case.sent(ServerSocket::TaskEngine, &["a", "client"], reply);
    let said = case.state.engines_reply();
    let reports: Vec<_> = said.engines.values().collect();
    assert_eq!((said.refused, said.unassigned), (1, 0));
    assert_eq!((reports[0].completed, reports[0].failed), (0, 0));
    // One that has failed elsewhere is the engine's.
    case.request(ServerSocket::TaskClient, &["client"], "2", "apply_request");
    request.header.msg_id = "2".to_owned();
    let content = json!({"status": "error", "ename": "Panic", "evalue": "no"});
    let mut reply = case.client.envelope("apply_reply", content, Some(&request));
    reply.metadata.insert("status".to_owned(), json!("error"));
    case.sent(ServerSocket::TaskEngine, &["a", "client"], reply);
    let said = case.state.engines_reply();
    let reports: Vec<_> = said.engines.values().collect();
    assert_eq!((reports[0].completed, reports[0].failed), (1, 1));
}
