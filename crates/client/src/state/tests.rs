//! Races, written as lists of events in different orders.

mod recovery;
mod segments;

use super::argument_cache::ArgumentRoute;
use super::engines::GREETING_RETRY;
use super::tasks::{DEATH_GRACE, IDLE_TIMEOUT};
use super::*;
use crate::error::TaskError;
use crate::task::{EngineCall, EngineCell, EngineTask, Placement, SubmissionId, TaskKey};
use chrono::DateTime;
use phalanx_protocol::apply::SchedulingOptions;
use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::id::{ArtifactHash, StateId};
use phalanx_protocol::output::{Output, StreamName};
use phalanx_protocol::parallel::CallMetadata;
use phalanx_protocol::parallel::{
    CellMetadata, EngineHandshake, ErrorContent, Lineage, RefusalReason,
};
use phalanx_protocol::release::Release;
use std::collections::BTreeMap;
use std::sync::Arc;

const UNREACHABLE: Duration = Duration::from_secs(10);

struct Client {
    state: State,
    start: Instant,
    millis: u64,
}

impl Client {
    /// Creates a client on machine `here` with one engine on each of these machines.
    fn with(hosts: &[&str]) -> Self {
        let mut client = Self {
            state: State::new("s".to_owned(), "here".to_owned(), UNREACHABLE),
            start: Instant::now(),
            millis: 0,
        };
        for (id, host) in (0..).zip(hosts) {
            let asked = client.handle(StateEvent::Registered(EngineId(id), uuid(id)));
            let msg_id = asked[0].split(' ').nth(1).unwrap().to_owned();
            client.handle(StateEvent::Replied(Reply {
                content: ReplyContent::KernelInfo(EngineKind::Rust(Arc::new(handshake(host)))),
                ..reply(&msg_id)
            }));
            let joined = client.published(&msg_id, IDLE);
            assert_eq!(joined, [format!("joined {id}")]);
        }
        client.state.sent = 0;
        client
    }

    fn commands(&mut self, event: StateEvent) -> Vec<StateCommand> {
        let now = EventTime {
            instant: self.start + Duration::from_millis(self.millis),
            utc: DateTime::UNIX_EPOCH,
        };
        self.state.handle(event, now)
    }

    /// Handles an event and describes the resulting commands.
    fn handle(&mut self, event: StateEvent) -> Vec<String> {
        let commands = self.commands(event);
        commands.iter().filter_map(describe).collect()
    }

    fn submit(&mut self, engines: &[u32]) -> Vec<String> {
        let tasks = engines
            .iter()
            .enumerate()
            .map(|(task, &id)| (key(task), cell(id).into()))
            .collect();
        self.handle(StateEvent::Submit { tasks })
    }

    fn published(&mut self, parent: &str, published: EnginePublication) -> Vec<String> {
        let parent = MsgId::new(parent);
        self.handle(StateEvent::Published {
            parent,
            engine: None,
            published,
        })
    }

    fn replied(&mut self, parent: &str, content: ReplyContent) -> Vec<String> {
        self.handle(StateEvent::Replied(Reply {
            content,
            ..reply(parent)
        }))
    }

    /// A reply made by the controller on behalf of an engine.
    fn decided(&mut self, parent: &str, content: ReplyContent) -> Vec<String> {
        self.handle(StateEvent::Replied(Reply {
            content,
            by_engine: false,
            ..reply(parent)
        }))
    }

    /// The connection to the hub is lost.
    fn lost(&mut self) -> Vec<String> {
        self.handle(StateEvent::ChannelLost(WatchedChannel::Query))
    }

    fn after(&mut self, wait: Duration) -> Vec<String> {
        self.millis += wait.as_millis() as u64;
        self.handle(StateEvent::Tick)
    }
}

fn key(task: usize) -> TaskKey {
    TaskKey {
        submission: SubmissionId(1),
        task,
    }
}

fn uuid(id: u32) -> EngineUuid {
    EngineUuid::new(format!("u{id}"))
}

fn handshake(host: &str) -> EngineHandshake {
    EngineHandshake {
        version: String::new(),
        host: host.to_owned(),
        target: String::new(),
        libc: String::new(),
        rustc: None,
        artifacts: Vec::new(),
        state: StateId::empty(),
    }
}

pub(crate) fn cell(engine: u32) -> EngineCell {
    EngineCell {
        engine: EngineId(engine),
        source: "x".to_owned(),
        metadata: CellMetadata {
            abi: String::new(),
            host: "here".to_owned(),
            base: StateId::empty(),
            next: StateId::new("1"),
            entry: None,
            has_result: false,
            lines: Vec::new(),
            artifacts: vec![ArtifactHash::new("std"), ArtifactHash::new("cell")],
            paths: Vec::new(),
            buffers: Vec::new(),
            record: Box::default(),
        },
        artifacts: Vec::new(),
    }
}

fn reply(parent: &str) -> Reply {
    Reply {
        parent: MsgId::new(parent),
        by_engine: true,
        engine: None,
        started: None,
        completed: None,
        state: Some(StateId::new("now")),
        settled: false,
        content: OK,
        segment: None,
    }
}

const IDLE: EnginePublication = EnginePublication::Status(EngineStatus::Idle);

const OK: ReplyContent = ReplyContent::Ok {
    execution_count: Some(1),
    value: None,
};

fn failure(ename: &str) -> RemoteFailure {
    let error = ErrorContent::new(ename, "it says");
    error.into()
}

fn error(ename: &str) -> ReplyContent {
    ReplyContent::Failed(failure(ename))
}

fn text(text: &str) -> EnginePublication {
    EnginePublication::Output(Output::Stream {
        name: StreamName::Stdout,
        text: text.to_owned(),
    })
}

fn describe(command: &StateCommand) -> Option<String> {
    Some(match command {
        StateCommand::Send(outgoing) => {
            let body = match &outgoing.body {
                OutgoingContent::Work {
                    by_path,
                    buffers,
                    more,
                    argument_route,
                    ..
                } => {
                    let data = argument_route.as_ref().map(|route| match route {
                        ArgumentRoute::Carry => "its data".to_owned(),
                        ArgumentRoute::There { host, reference } => {
                            let pid = reference.reference().pid;
                            format!("data of {pid} at {host}")
                        }
                        ArgumentRoute::Wait => "nothing".to_owned(),
                    });
                    if let Some(data) = data {
                        format!("with {buffers:?} and {data}")
                    } else if !more.is_empty() {
                        let ids: Vec<_> = outgoing.ids().map(MsgId::as_str).collect();
                        format!("for {}", ids.join(","))
                    } else if *by_path {
                        "by path".to_owned()
                    } else {
                        format!("with {buffers:?}")
                    }
                }
                OutgoingContent::KernelInfo => "greeting".to_owned(),
                OutgoingContent::Control(EngineRequest::ReleaseSegment(_)) => "taken".to_owned(),
                OutgoingContent::Control(EngineRequest::Abort(ids)) => {
                    format!("abort {}", ids.len())
                }
                OutgoingContent::Control(request) => format!("{request:?}"),
            };
            let engine = outgoing.engine.as_ref().map_or("-", EngineUuid::as_str);
            format!("{engine} {} {body}", outgoing.msg_id)
        }
        StateCommand::Update(key, update) => match update {
            TaskUpdate::Sent { .. } => return None,
            TaskUpdate::Known { .. } => return None,
            TaskUpdate::Refused => format!("{} waits", key.task),
            TaskUpdate::Placed { id, .. } => format!("{} on {id}", key.task),
            TaskUpdate::Ended(end) => {
                let how = match &end.failure {
                    None => "ok".to_owned(),
                    Some(failure) => failure.ename.clone(),
                };
                format!("{} ends {how}", key.task)
            }
            TaskUpdate::OutputDone => format!("{} settles", key.task),
            TaskUpdate::Output(_) | TaskUpdate::Result { .. } => format!("{} puts out", key.task),
            TaskUpdate::Input { .. } => format!("{} starts", key.task),
            TaskUpdate::Error(failure) => format!("{} says {}", key.task, failure.ename),
        },
        StateCommand::ReportRefusal { key, state, .. } => {
            format!("{} refused in {state}", key.task)
        }
        StateCommand::Notify(ClientEvent::EngineJoined(engine)) => format!("joined {}", engine.id),
        StateCommand::Notify(ClientEvent::EngineLeft(id)) => format!("left {id}"),
        StateCommand::Notify(ClientEvent::LateOutput(id, _)) => format!("{id} puts out late"),
        StateCommand::Notify(ClientEvent::ConnectionLost(_)) => "lost".to_owned(),
        StateCommand::Notify(ClientEvent::ConnectionBack) => "back".to_owned(),
        StateCommand::Notify(ClientEvent::Disconnected { .. }) => "disconnected".to_owned(),
        StateCommand::Lineage(ticket, lineage) => format!("lineage {} {}", ticket.0, lineage.state),
        StateCommand::EnginesReplied(ticket) => format!("engines replied {}", ticket.0),
        StateCommand::QueryEngines => "query engines".to_owned(),
        StateCommand::Subscribe => "subscribe".to_owned(),
        StateCommand::StopSubscribing => "stop subscribing".to_owned(),
        StateCommand::Trim => "trim".to_owned(),
        StateCommand::Recover(tasks) => format!(
            "what of {}",
            tasks
                .iter()
                .map(MsgId::as_str)
                .collect::<Vec<_>>()
                .join(",")
        ),
    })
}

#[test]
fn reply_and_idle_come_in_either_order() {
    let mut client = Client::with(&["here"]);
    assert_eq!(client.submit(&[0]), ["u0 s_1 by path"]);
    assert_eq!(
        client.published("s_1", EnginePublication::Status(EngineStatus::Busy)),
        [""; 0]
    );
    assert_eq!(client.published("s_1", text("a")), ["0 puts out"]);
    assert_eq!(client.replied("s_1", OK), ["0 ends ok"]);
    assert_eq!(client.published("s_1", text("late")), ["0 puts out"]);
    assert_eq!(client.published("s_1", IDLE), ["0 settles"]);

    client.submit(&[0]);
    assert_eq!(client.published("s_2", IDLE), [""; 0]);
    assert_eq!(client.replied("s_2", OK), ["0 ends ok", "0 settles"]);
    assert_eq!(client.state.deadline(), None);
}

#[test]
fn a_task_ends_once_whoever_speaks_first() {
    type Step = fn(&mut Client) -> Vec<String>;
    let engine: Step = |client| client.replied("s_1", error("Panic"));
    let controller: Step = |client| client.decided("s_1", error("EngineError"));
    let left: Step = |client| client.handle(StateEvent::Unregistered(EngineId(0), uuid(0)));
    let time: Step = |client| client.after(DEATH_GRACE);
    let idle: Step = |client| client.published("s_1", IDLE);
    let cases: [(&[Step], &str); 6] = [
        (&[left, controller, time, idle], "EngineError"),
        (&[controller, left, time, engine], "EngineError"),
        // The engine's reply was in transit when it left.
        (&[left, engine, idle, time], "Panic"),
        (&[left, engine, time, controller], "Panic"),
        // A stock controller does not reply.
        (&[left, time, engine, idle], "EngineError"),
        (&[engine, idle, left, controller], "Panic"),
    ];
    for (number, (steps, ename)) in cases.into_iter().enumerate() {
        let mut client = Client::with(&["here"]);
        client.submit(&[0]);
        let described: Vec<_> = steps
            .iter()
            .flat_map(|step| step(&mut client))
            .filter(|line| line != "left 0")
            .collect();
        let wanted = [format!("0 ends {ename}"), "0 settles".to_owned()];
        assert_eq!(described, wanted, "case {number}");
        assert_eq!(client.state.deadline(), None, "case {number}");
    }
}

#[test]
fn what_a_dying_engine_said_last_is_not_lost() {
    let mut client = Client::with(&["here"]);
    client.submit(&[0]);
    client.handle(StateEvent::Unregistered(EngineId(0), uuid(0)));
    client.decided("s_1", error("EngineError"));
    assert_eq!(client.published("s_1", text("last words")), ["0 puts out"]);
    assert_eq!(client.after(DEATH_GRACE), ["0 settles"]);
}

#[test]
fn a_lost_idle_is_not_waited_for_for_ever() {
    let mut client = Client::with(&["here"]);
    client.submit(&[0]);
    client.replied("s_1", OK);
    client.after(IDLE_TIMEOUT / 2);
    // Output still arrives, so the deadline is extended.
    client.published("s_1", text("late"));
    assert_eq!(client.after(IDLE_TIMEOUT / 2), [""; 0]);
    assert_eq!(client.after(IDLE_TIMEOUT / 2), ["0 settles"]);
}

#[test]
fn a_refused_cell_is_asked_about_and_sent_again() {
    let mut client = Client::with(&["here"]);
    client.submit(&[0]);
    let described = client.replied("s_1", ReplyContent::Refused(RefusalReason::StateMismatch));
    assert_eq!(described, ["0 waits", "0 refused in now"]);
    assert_eq!(client.published("s_1", IDLE), [""; 0]);
    let resend = || StateEvent::Resend {
        key: key(0),
        work: cell(0).into(),
    };
    assert_eq!(client.handle(resend()), ["u0 s_2 by path"]);
    // Only the first response counts.
    assert_eq!(client.handle(resend()), [""; 0]);
    assert_eq!(client.replied("s_2", OK), ["0 ends ok"]);
    let failed = || StateEvent::Fail {
        key: key(0),
        failure: failure("InternalError"),
    };
    assert_eq!(client.handle(failed()), [""; 0]);

    client.submit(&[0]);
    client.replied("s_3", ReplyContent::Refused(RefusalReason::StateMismatch));
    let described = client.handle(failed());
    assert_eq!(described, ["0 ends InternalError", "0 settles"]);
}

#[test]
fn artifacts_travel_once_to_a_machine_and_the_others_wait() {
    let mut client = Client::with(&["there", "there", "there"]);
    assert_eq!(client.submit(&[0, 1, 2]), ["u0 s_1 with [0, 1]"]);
    let input = || EnginePublication::Input {
        code: String::new(),
        execution_count: 1,
    };
    let described = client.published("s_1", input());
    assert_eq!(described, ["0 starts", "u1 s_4 with []", "u2 s_5 with []"]);
    assert_eq!(client.submit(&[0]), ["u0 s_6 with []"]);
}

#[test]
fn when_the_carrier_dies_another_carries() {
    let mut client = Client::with(&["there", "there"]);
    client.submit(&[0, 1]);
    let described = client.handle(StateEvent::Unregistered(EngineId(0), uuid(0)));
    assert_eq!(described, ["left 0", "u1 s_3 with [0, 1]"]);
    let described = client.after(DEATH_GRACE);
    assert_eq!(described, ["0 ends EngineError", "0 settles"]);
}

#[test]
fn an_engine_that_lacks_artifacts_is_sent_them_but_not_for_ever() {
    let need = || {
        ReplyContent::Refused(RefusalReason::NeedArtifacts {
            artifacts: cell(0).metadata.artifacts,
        })
    };
    let mut client = Client::with(&["here"]);
    client.submit(&[0]);
    assert_eq!(client.replied("s_1", need()), ["u0 s_2 with [0, 1]"]);
    assert_eq!(client.replied("s_2", need()), ["u0 s_3 with [0, 1]"]);
    assert_eq!(client.replied("s_3", need()), ["0 ends InternalError"]);
}

#[test]
fn abort_reaches_tasks_wherever_they_are() {
    let mut client = Client::with(&["there", "there", "here"]);
    // Task 0 is sent, task 1 waits for artifacts, task 2 is refused, task 3 is done.
    client.submit(&[0, 1, 2, 2]);
    client.replied("s_3", ReplyContent::Refused(RefusalReason::StateMismatch));
    client.replied("s_4", OK);
    client.published("s_4", IDLE);
    let described = client.handle(StateEvent::Abort {
        keys: (0..4).map(key).collect(),
        ticket: Ticket(7),
    });
    assert_eq!(
        described,
        [
            "1 ends TaskAborted",
            "1 settles",
            "2 ends TaskAborted",
            "2 settles",
            "u0 s_5 abort 1"
        ]
    );
    assert_eq!(client.replied("s_5", OK), ["engines replied 7"]);
    let described = client.replied("s_1", ReplyContent::Aborted);
    assert_eq!(described, ["0 ends TaskAborted", "0 settles"]);
    let described = client.handle(StateEvent::Abort {
        keys: vec![key(0)],
        ticket: Ticket(8),
    });
    assert_eq!(described, ["engines replied 8"]);
}

#[test]
fn a_request_to_engines_ends_once_all_have_replied_or_left() {
    let mut client = Client::with(&["here", "here"]);
    let described = client.handle(StateEvent::Control {
        engines: vec![EngineId(0), EngineId(1), EngineId(9)],
        request: EngineRequest::Shutdown,
        ticket: Ticket(1),
    });
    assert_eq!(described, ["u0 s_1 Shutdown", "u1 s_2 Shutdown"]);
    assert_eq!(client.replied("s_1", OK), [""; 0]);
    let described = client.handle(StateEvent::Unregistered(EngineId(1), uuid(1)));
    assert_eq!(described, ["engines replied 1", "left 1"]);
}

#[test]
fn the_second_look_finds_who_was_missed() {
    let mut client = Client::with(&["here", "here"]);
    let there = vec![(EngineId(1), uuid(1)), (EngineId(2), uuid(2))];
    let described = client.handle(StateEvent::Engines {
        engines: there,
        batches: false,
    });
    assert_eq!(described, ["left 0", "u2 s_1 greeting"]);
    // The id now belongs to another engine.
    let described = client.handle(StateEvent::Registered(EngineId(1), uuid(5)));
    assert_eq!(described, ["left 1", "u5 s_2 greeting"]);
    let described = client.after(GREETING_RETRY);
    assert_eq!(described, ["u5 s_3 greeting", "u2 s_4 greeting"]);
}

#[test]
fn when_the_controller_is_gone_everything_ends() {
    let mut client = Client::with(&["here", "here"]);
    client.submit(&[0, 1]);
    client.replied("s_2", ReplyContent::Refused(RefusalReason::StateMismatch));
    client.handle(StateEvent::Control {
        engines: vec![EngineId(0)],
        request: EngineRequest::Clear,
        ticket: Ticket(1),
    });
    assert_eq!(client.lost(), ["stop subscribing", "lost"]);
    assert_eq!(client.after(UNREACHABLE / 2), [""; 0]);
    // The connection is restored and lost again: the deadline is reset.
    let connected = StateEvent::ChannelRestored(WatchedChannel::Query);
    assert_eq!(client.handle(connected), ["subscribe"]);
    assert_eq!(
        client.handle(StateEvent::Subscribed),
        ["back", "query engines", "what of s_1"]
    );
    client.lost();
    assert_eq!(client.after(UNREACHABLE / 2), [""; 0]);
    let described = client.after(UNREACHABLE / 2);
    assert_eq!(
        described,
        [
            "0 ends EngineError",
            "0 settles",
            "1 ends EngineError",
            "1 settles",
            "engines replied 1",
            "disconnected"
        ]
    );
    assert!(client.state.ended() && client.state.engines.joined().is_empty());
}

#[test]
fn what_cannot_be_sent_fails_its_task() {
    let mut client = Client::with(&["there", "there"]);
    client.submit(&[0, 1]);
    let described = client.handle(StateEvent::SendFailed {
        msg_id: MsgId::new("s_1"),
        error: TaskError::NoArtifact(0),
    });
    assert_eq!(
        described,
        ["0 ends EngineError", "0 settles", "u1 s_3 with [0, 1]"]
    );
}

fn balanced(targets: &[u32]) -> EngineTask {
    EngineTask::Call(EngineCall {
        placement: Placement::Balanced(Arc::new(SchedulingOptions {
            targets: targets.iter().map(|&id| EngineId(id)).collect(),
            ..SchedulingOptions::default()
        })),
        metadata: Arc::new(CallMetadata {
            abi: String::new(),
            host: "here".to_owned(),
            offset: Some(1),
            artifacts: vec![ArtifactHash::new("std"), ArtifactHash::new("cell")],
            paths: Vec::new(),
            buffers: Vec::new(),
            quiet: false,
            keep: false,
            pushes: Vec::new(),
        }),
        artifacts: Arc::new([
            (ArtifactHash::new("std"), "/std".into()),
            (ArtifactHash::new("cell"), "/cell".into()),
        ]),
        args: Default::default(),
        label: None,
    })
}

#[test]
fn it_turns_out_who_runs_a_balanced_task() {
    let mut client = Client::with(&["here", "here"]);
    let tasks = vec![(key(0), balanced(&[])), (key(1), balanced(&[7]))];
    let described = client.handle(StateEvent::Submit { tasks });
    assert_eq!(described[0], "- s_1 by path");
    assert_eq!(described[1..], ["1 ends EngineError", "1 settles"]);
    let described = client.handle(StateEvent::Published {
        parent: MsgId::new("s_1"),
        engine: Some(uuid(1)),
        published: text("a"),
    });
    assert_eq!(described, ["0 on 1", "0 puts out"]);
    // Its engine exits; the scheduler reassigns it and replies on its behalf.
    client.handle(StateEvent::Unregistered(EngineId(1), uuid(1)));
    assert_eq!(client.after(DEATH_GRACE * 2), [""; 0]);
    let described = client.handle(StateEvent::Replied(Reply {
        engine: Some(uuid(0)),
        ..reply("s_1")
    }));
    assert_eq!(described, ["0 on 0", "0 ends ok"]);
}

#[test]
fn a_balanced_task_that_an_unknown_engine_refuses_ends() {
    let mut client = Client::with(&["here"]);
    let tasks = vec![(key(0), balanced(&[]))];
    client.handle(StateEvent::Submit { tasks });
    let refusal = || {
        StateEvent::Replied(Reply {
            engine: Some(uuid(9)),
            content: ReplyContent::Refused(RefusalReason::StateMismatch),
            ..reply("s_1")
        })
    };
    assert_eq!(
        client.handle(refusal()),
        ["0 ends EngineError", "0 settles"]
    );
    // It is over: it neither ends again nor waits for a decision.
    assert_eq!(client.handle(refusal()), [""; 0]);
    assert_eq!(client.published("s_1", IDLE), [""; 0]);
    let work = balanced(&[]);
    let resent = client.handle(StateEvent::Resend { key: key(0), work });
    assert_eq!(resent, [""; 0]);
    assert_eq!(client.state.deadline(), None);
}

#[test]
fn artifacts_a_balanced_task_lacks_ride_along_the_next_time() {
    let mut client = Client::with(&["there"]);
    let tasks = vec![(key(0), balanced(&[]))];
    client.handle(StateEvent::Submit { tasks });
    let artifacts = vec![ArtifactHash::new("cell")];
    let lacks = ReplyContent::Refused(RefusalReason::NeedArtifacts { artifacts });
    let described = client.replied("s_1", lacks);
    assert_eq!(described, ["- s_2 by path"]);
    assert_eq!(client.replied("s_2", OK), ["0 ends ok"]);
}

#[test]
fn every_engine_is_sent_the_abort_of_a_balanced_task() {
    let mut client = Client::with(&["here", "here"]);
    let tasks = vec![(key(0), balanced(&[]))];
    client.handle(StateEvent::Submit { tasks });
    let ticket = Ticket(1);
    let keys = vec![key(0)];
    let described = client.handle(StateEvent::Abort { keys, ticket });
    assert_eq!(described, ["u0 s_2 abort 1", "u1 s_3 abort 1"]);
}

#[test]
fn tasks_that_differ_in_their_arguments_alone_travel_together() {
    let mut client = Client::with(&["here"]);
    let described = client.handle(StateEvent::Engines {
        engines: vec![(EngineId(0), uuid(0))],
        batches: true,
    });
    assert_eq!(described, [""; 0]);
    let (one, other) = (balanced(&[]), balanced(&[]));
    let tasks = [&one, &one, &other, &one, &one].into_iter().cloned();
    let tasks = tasks.enumerate().map(|(n, task)| (key(n), task)).collect();
    let described = client.handle(StateEvent::Submit { tasks });
    assert_eq!(
        described,
        ["- s_1 for s_1,s_2", "- s_3 by path", "- s_4 for s_4,s_5"]
    );
    // Each ends on its own.
    let settled = |parent, settled| Reply {
        settled,
        ..reply(parent)
    };
    let replies = vec![settled("s_1", true), settled("s_4", false)];
    let described = client.handle(StateEvent::Batch(replies));
    assert_eq!(described, ["0 ends ok", "0 settles", "3 ends ok"]);
    assert_eq!(client.published("s_4", IDLE), ["3 settles"]);
    assert_eq!(client.replied("s_2", error("Panic")), ["1 ends Panic"]);
    let lacks = ReplyContent::Refused(RefusalReason::NeedArtifacts {
        artifacts: vec![ArtifactHash::new("cell")],
    });
    assert_eq!(client.replied("s_5", lacks), ["- s_6 by path"]);
}

#[test]
fn a_lineage_goes_to_whoever_asked_for_it() {
    let mut client = Client::with(&["here", "here"]);
    let request = |engine| StateEvent::Control {
        engines: vec![EngineId(engine)],
        request: EngineRequest::Lineage,
        ticket: Ticket(engine.into()),
    };
    assert_eq!(client.handle(request(0)), ["u0 s_1 Lineage"]);
    let lineage = Lineage {
        state: StateId::new("theirs"),
        records: Vec::new(),
        dependencies: BTreeMap::new(),
        pushed: Vec::new(),
    };
    let content = ReplyContent::Lineage(Some(Box::new(lineage)));
    let of_engine = Reply {
        content,
        ..reply("s_1")
    };
    assert_eq!(
        client.handle(StateEvent::Replied(of_engine)),
        ["lineage 0 theirs", "engines replied 0"]
    );
    // The reply of an engine of an incompatible version is not decoded.
    assert_eq!(client.handle(request(1)), ["u1 s_2 Lineage"]);
    let undecoded = Reply {
        content: ReplyContent::Lineage(None),
        ..reply("s_2")
    };
    assert_eq!(
        client.handle(StateEvent::Replied(undecoded)),
        ["engines replied 1"]
    );
}
