//! The behaviour of an engine, tested as lists of events and commands.

mod calls;
mod segments;

use super::*;
use chrono::DateTime;
use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::failure::Panic;
use phalanx_protocol::id::{ArtifactHash, EngineId, EngineUuid};
use phalanx_protocol::output::{MimeBundle, StreamName};
use phalanx_protocol::parallel::{
    BATCH, BatchedReply, Cell, CellMetadata, EchoedMetadata, PHALANX, Signal, SignalRequest,
};
use phalanx_protocol::release::Release;
use phalanx_transport::wire::Header;
use serde_json::Value;

const NOW: Now = DateTime::UNIX_EPOCH;

struct Engine {
    machine: Machine,
    runs: u64,
}

impl Engine {
    /// Returns an engine whose runtime has started.
    fn up() -> Self {
        let mut engine = Self::new();
        assert_eq!(engine.handle(EngineEvent::RuntimeStarted), [""; 0]);
        engine
    }

    fn new() -> Self {
        let identity = EngineIdentity {
            id: EngineId(3),
            uuid: EngineUuid::new("uuid"),
        };
        let about = crate::about::handshake(Vec::new());
        Self {
            machine: Machine::new(identity, about),
            runs: 0,
        }
    }

    /// Handles an event and describes the resulting commands.
    fn handle(&mut self, event: EngineEvent) -> Vec<String> {
        let commands = self.machine.handle(event, NOW);
        commands.iter().map(describe).collect()
    }

    fn asked(&mut self, id: &str, content: EngineRequest) -> Vec<String> {
        self.handle(EngineEvent::Requested(Box::new(request(id, content))))
    }

    /// Submits a cell, finds its artifacts, and returns the resulting commands.
    fn begins(&mut self, id: &str, base: &str, next: &str) -> Vec<String> {
        self.asked(id, cell(base, next));
        self.runs += 1;
        self.prepared(Ok(vec!["/std".into(), "/cell".into()]))
    }

    fn prepared(&mut self, artifacts: Result<Vec<PathBuf>, ArtifactFailure>) -> Vec<String> {
        let run = RunId(self.runs);
        self.handle(EngineEvent::Prepared { run, artifacts })
    }

    fn ended(&mut self, outcome: Outcome) -> Vec<String> {
        let run = RunId(self.runs);
        self.handle(EngineEvent::RuntimeEnded { run, outcome })
    }

    /// Ends the running call with a value.
    fn returns(&mut self) -> Vec<String> {
        self.gave(b"P");
        self.ended(Outcome::Completed)
    }

    fn state(&self) -> &str {
        self.machine.state.as_str()
    }
}

fn request(id: &str, content: EngineRequest) -> IncomingRequest {
    let msg_type = match content {
        EngineRequest::Unknown => "odd_request",
        ref known => known.msg_type(),
    };
    IncomingRequest {
        channel: EngineRequestChannel::Mux,
        route: vec!["client".into()],
        header: Header {
            msg_id: id.to_owned(),
            username: String::new(),
            session: "client".to_owned(),
            date: NOW,
            msg_type: msg_type.to_owned(),
            version: "5.4".to_owned(),
            subshell_id: None,
        },
        echo: EchoedMetadata {
            label: Some("mine".to_owned()),
            ..EchoedMetadata::default()
        },
        batched: false,
        content,
    }
}

pub(super) fn metadata(base: &str, next: &str) -> CellMetadata {
    CellMetadata {
        abi: "rustc 1".to_owned(),
        host: "here".to_owned(),
        base: StateId::new(base),
        next: StateId::new(next),
        entry: Some("run".to_owned()),
        has_result: false,
        lines: Vec::new(),
        artifacts: vec![ArtifactHash::new("std"), ArtifactHash::new("cell")],
        paths: Vec::new(),
        buffers: Vec::new(),
        record: Box::default(),
    }
}

fn execute(cell: Result<CellMetadata, NotRunnable>) -> EngineRequest {
    EngineRequest::Execute {
        code: "code".to_owned(),
        silent: false,
        cell: cell.map(|metadata| Cell {
            metadata: Box::new(metadata),
            artifacts: Vec::new(),
        }),
    }
}

fn signal(number: i32, tasks: &[&str]) -> EngineRequest {
    EngineRequest::Signal(SignalRequest {
        sig: Signal::Number(number),
        msg_ids: tasks.iter().copied().map(MsgId::new).collect(),
    })
}

fn cell(base: &str, next: &str) -> EngineRequest {
    execute(Ok(metadata(base, next)))
}

fn describe(command: &EngineCommand) -> String {
    match command {
        EngineCommand::Publish {
            parent,
            publication,
        } => {
            let parent = parent.as_ref().map_or("-", |header| &header.msg_id);
            match publication {
                EnginePublication::Kept(_) => format!("{parent} kept"),
                EnginePublication::Status(status) => format!("{parent} {}", status.as_str()),
                EnginePublication::Input {
                    execution_count, ..
                } => format!("{parent} input {execution_count}"),
                EnginePublication::Output(_) => format!("{parent} output"),
                EnginePublication::Result {
                    execution_count, ..
                } => format!("{parent} result {execution_count}"),
                EnginePublication::Error { error, .. } => format!("{parent} error {}", error.ename),
            }
        }
        EngineCommand::Reply(reply) => {
            let header = &reply.request.header;
            let message = reply.reply.clone().encode(&header.msg_type);
            let (metadata, content) = (Value::Object(message.metadata), message.content);
            assert_eq!(metadata["engine"], "uuid");
            assert_eq!(metadata["label"], "mine");
            assert_eq!(metadata["status"], content["status"]);
            let reason = text(&metadata[PHALANX]["reason"], "kind");
            let ended = metadata[BATCH].as_array();
            let ended = ended.map(|ended| ended.iter().map(of_batch).collect::<Vec<_>>());
            let ended = ended.map_or_else(String::new, |ended| format!("of {}", ended.join(",")));
            let described = format!(
                "{} {} {} {reason}{ended}",
                header.msg_id,
                message.msg_type,
                text(&content, "status")
            );
            let described = described.trim_end();
            match reply.inlined.as_slice() {
                [] => described.to_owned(),
                inlined => format!("{described}, inline {inlined:?}"),
            }
        }
        EngineCommand::OpenProbe { client, .. } => format!("open probe of {client}"),
        EngineCommand::KeepArguments(request) => {
            format!("keep arguments of {}", request.header.msg_id)
        }
        EngineCommand::Prepare { .. } => "prepare".to_owned(),
        EngineCommand::Load(path) => format!("load {}", path.display()),
        EngineCommand::Run { cell, .. } => format!("run {}", cell.artifact.display()),
        EngineCommand::Interrupt => "interrupt".to_owned(),
        EngineCommand::Call { call, .. } => format!("call {}", call.offset),
        EngineCommand::Recall => "recall".to_owned(),
        EngineCommand::Kill => "kill".to_owned(),
        EngineCommand::Signal(number) => format!("signal {number}"),
        EngineCommand::StartRuntime => "start runtime".to_owned(),
        EngineCommand::Stop => "stop".to_owned(),
    }
}

fn of_batch(ended: &Value) -> String {
    let ended: BatchedReply = serde_json::from_value(ended.clone()).unwrap();
    let output = if ended.output { " output" } else { "" };
    format!("{}{output}", ended.msg_id)
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

#[test]
fn the_life_of_a_cell() {
    let mut engine = Engine::up();
    let asked = engine.asked("a", cell("empty", "1"));
    assert_eq!(asked, ["a busy", "prepare"]);
    engine.runs = 1;
    let began = engine.prepared(Ok(vec!["/std".into(), "/cell".into()]));
    assert_eq!(began, ["a input 1", "load /std", "run /cell"]);
    let output = |output| EngineEvent::RuntimeOutput {
        run: Some(RunId(1)),
        output,
    };
    let stream = Output::Stream {
        name: StreamName::Stdout,
        text: "é".to_owned(),
    };
    assert_eq!(engine.handle(output(stream)), ["a output"]);
    let result = Output::Result(MimeBundle::plain("42"));
    assert_eq!(engine.handle(output(result)), ["a result 1"]);
    let ended = engine.ended(Outcome::Completed);
    assert_eq!(ended, ["a execute_reply ok", "a idle"]);
    assert_eq!(engine.state(), "1");
    // Each library is loaded once.
    let began = engine.begins("b", "1", "2");
    assert_eq!(began, ["b input 2", "run /cell"]);
    assert_eq!(engine.machine.handshake().rustc.as_deref(), Some("rustc 1"));
}

#[test]
fn each_outcome_has_its_state_and_its_name() {
    let panic = Panic {
        message: "boom".to_owned(),
        location: None,
    };
    let (message, failure) = ("no".to_owned(), None);
    let usage = Outcome::Errored {
        message: "no".to_owned(),
        failure: Some(Box::new(phalanx_protocol::failure::Failure::Usage {
            message: "no".to_owned(),
            hint: None,
        })),
        location: None,
    };
    for (outcome, ename, state) in [
        (Outcome::Panicked(panic), "Panic", "1~panicked"),
        (
            Outcome::Errored {
                message,
                failure,
                location: None,
            },
            "Error",
            "1~error",
        ),
        (usage, "UsageError", "1~error"),
        (
            Outcome::Died {
                status: RuntimeExit::Signal(9),
            },
            "RuntimeDied",
            "1~died",
        ),
        (
            Outcome::Abandoned {
                status: RuntimeExit::Signal(9),
            },
            "RuntimeDied",
            "empty",
        ),
    ] {
        let mut engine = Engine::up();
        engine.begins("a", "empty", "1");
        let described = engine.ended(outcome);
        assert_eq!(
            described,
            [
                format!("a error {ename}"),
                "a execute_reply error".to_owned(),
                "a idle".to_owned()
            ]
        );
        assert_eq!(engine.state(), state);
    }
}

#[test]
fn a_cell_that_does_not_fit_is_refused_and_nothing_changes() {
    let mut engine = Engine::up();
    let described = engine.asked("a", cell("other", "1"));
    assert_eq!(
        described,
        ["a busy", "a execute_reply error state_mismatch", "a idle"]
    );
    engine.asked("b", cell("empty", "1"));
    engine.runs = 1;
    let missing = vec![ArtifactHash::new("cell")];
    let described = engine.prepared(Err(ArtifactFailure::Missing(missing)));
    assert_eq!(
        described,
        ["b execute_reply error need_artifacts", "b idle"]
    );
    engine.begins("c", "empty", "1");
    let described = engine.ended(Outcome::VariablesLost(vec!["x".to_owned()]));
    assert_eq!(
        described,
        ["c execute_reply error variables_lost", "c idle"]
    );
    assert_eq!(engine.state(), "empty");
    assert_eq!(engine.begins("d", "empty", "1")[0], "d input 1");
}

#[test]
fn requests_of_python_and_of_other_compilers_fail_with_what_is_needed() {
    let mut engine = Engine::up();
    let described = engine.asked("a", EngineRequest::Apply(Err(NotRunnable::Foreign)));
    assert_eq!(
        described,
        [
            "a busy",
            "a error UsageError",
            "a apply_reply error",
            "a idle"
        ]
    );
    let described = engine.asked("b", execute(Err(NotRunnable::Foreign)));
    assert_eq!(described[1], "b error UsageError");
    // The scheduler may have an engine that can run it.
    let mut balanced = request("e", execute(Err(NotRunnable::Foreign)));
    balanced.channel = EngineRequestChannel::Task;
    let commands = engine
        .machine
        .handle(EngineEvent::Requested(Box::new(balanced)), NOW);
    let described: Vec<_> = commands.iter().map(describe).collect();
    assert_eq!(described, ["e busy", "e execute_reply error", "e idle"]);
    let EngineCommand::Reply(reply) = &commands[1] else {
        panic!("{described:?}");
    };
    assert!(!reply.reply.metadata.dependencies_met);
    engine.begins("c", "empty", "1");
    engine.ended(Outcome::Completed);
    let mut other = metadata("1", "2");
    other.abi = "rustc 2".to_owned();
    let described = engine.asked("d", execute(Ok(other)));
    assert_eq!(described[1], "d error UsageError");
}

#[test]
fn a_request_of_another_version_fails_with_both_versions_and_the_remedy() {
    let mut engine = Engine::up();
    let theirs = Release {
        version: "0.0.9".to_owned(),
        protocol: 0,
    };
    let other = execute(Err(NotRunnable::OtherRelease(theirs)));
    let asked = EngineEvent::Requested(Box::new(request("a", other)));
    let commands = engine.machine.handle(asked, NOW);
    let [_, EngineCommand::Publish { publication, .. }, ..] = &commands[..] else {
        panic!("{commands:?}");
    };
    let EnginePublication::Error { error, .. } = publication else {
        panic!("{publication:?}");
    };
    let ours = Release::ours();
    let said = format!(
        "engine 3 is {ours}, the kernel is Phalanx 0.0.9 (engine protocol 0): \
         they do not understand each other"
    );
    assert_eq!(
        (error.ename.as_str(), &error.evalue),
        ("EnvironmentError", &said)
    );
    let remedy = "  help: install the same version for both, and restart the older of the two";
    assert_eq!(error.traceback.last().unwrap(), remedy);
}

#[test]
fn a_cell_without_code_to_run_only_changes_the_state() {
    let mut engine = Engine::up();
    let mut items = metadata("empty", "1");
    items.entry = None;
    engine.asked("a", execute(Ok(items)));
    engine.runs = 1;
    let described = engine.prepared(Ok(Vec::new()));
    assert_eq!(described, ["a input 1", "a execute_reply ok", "a idle"]);
    assert_eq!(engine.state(), "1");
}

#[test]
fn cells_run_one_after_the_other_and_control_requests_are_replied_to_meanwhile() {
    let mut engine = Engine::up();
    engine.begins("a", "empty", "1");
    assert_eq!(engine.asked("b", cell("1", "2")), [""; 0]);
    let described = engine.asked("k", EngineRequest::KernelInfo { probe: None });
    assert_eq!(described, ["k busy", "k kernel_info_reply ok", "k idle"]);
    let described = engine.ended(Outcome::Completed);
    assert_eq!(
        described,
        ["a execute_reply ok", "a idle", "b busy", "prepare"]
    );
}

#[test]
fn what_has_not_begun_can_be_aborted_even_before_it_comes() {
    let mut engine = Engine::up();
    engine.begins("a", "empty", "1");
    engine.asked("b", cell("1", "2"));
    let ids = ["a", "b", "c"].map(MsgId::new).to_vec();
    let described = engine.asked("x", EngineRequest::Abort(ids));
    assert_eq!(
        described,
        [
            "x busy",
            "b busy",
            "b execute_reply aborted",
            "b idle",
            "x abort_reply ok",
            "x idle"
        ]
    );
    let described = engine.asked("c", cell("1", "2"));
    assert_eq!(described, ["c busy", "c execute_reply aborted", "c idle"]);
    engine.asked("d", cell("1", "2"));
    let described = engine.asked("y", EngineRequest::Abort(Vec::new()));
    assert_eq!(described[2], "d execute_reply aborted");
    assert_eq!(
        engine.ended(Outcome::Completed),
        ["a execute_reply ok", "a idle"]
    );
}

#[test]
fn an_interrupt_without_a_snapshot_costs_the_running_cell_and_its_runtime() {
    let mut engine = Engine::up();
    let sigint = || EngineRequest::Signal(SignalRequest::new(Signal::Name("SIGINT".to_owned())));
    let described = engine.asked("i", sigint());
    assert_eq!(described, ["i busy", "i signal_reply ok", "i idle"]);
    engine.begins("a", "empty", "1");
    engine.asked("b", cell("1~died", "2"));
    let described = engine.asked("j", sigint());
    assert_eq!(described[1], "interrupt");
    let status = || RuntimeExit::Signal(9);
    let described = engine.ended(Outcome::Died { status: status() });
    assert_eq!(
        described,
        [
            "a error Interrupted",
            "a execute_reply error",
            "a idle",
            "b busy",
            "prepare"
        ]
    );
    engine.runs = 2;
    // The next cell waits for the new runtime and loads its libraries again.
    assert_eq!(
        engine.handle(EngineEvent::RuntimeExited { status: status() }),
        ["start runtime"]
    );
    let artifacts = vec!["/std".into(), "/cell".into()];
    assert_eq!(engine.prepared(Ok(artifacts)), ["b input 2"]);
    assert_eq!(
        engine.handle(EngineEvent::RuntimeStarted),
        ["load /std", "run /cell"]
    );
}

#[test]
fn a_signal_for_tasks_leaves_the_cells_of_others_alone() {
    let mut engine = Engine::up();
    engine.begins("a", "empty", "1");
    engine.asked("b", cell("empty", "2"));
    for number in [2, 9, 10] {
        let described = engine.asked("s", signal(number, &["b", "c"]));
        assert_eq!(described, ["s busy", "s signal_reply ok", "s idle"]);
    }
    let described = engine.asked("t", signal(2, &["b", "a"]));
    assert_eq!(described[1], "interrupt");
    let status = RuntimeExit::Signal(9);
    let described = engine.ended(Outcome::Abandoned { status });
    assert_eq!(described[0], "a error Interrupted");
    // The next cell has begun, though it waits for its artifacts.
    let described = engine.asked("u", signal(2, &["a"]));
    assert_eq!(described, ["u busy", "u signal_reply ok", "u idle"]);
    engine.runs = 2;
    let described = engine.prepared(Ok(vec!["/cell".into()]));
    assert_eq!(described, ["b input 2", "run /cell"]);
}

#[test]
fn an_interrupt_costs_the_running_cell_and_nothing_else() {
    let mut engine = Engine::up();
    engine.begins("a", "empty", "1");
    engine.asked("b", cell("empty", "2"));
    assert_eq!(engine.handle(EngineEvent::Interrupt), ["interrupt"]);
    let status = RuntimeExit::Signal(9);
    let described = engine.ended(Outcome::Abandoned { status });
    assert_eq!(
        described,
        [
            "a error Interrupted",
            "a execute_reply error",
            "a idle",
            "b busy",
            "prepare"
        ]
    );
    engine.runs = 2;
    let artifacts = vec!["/std".into(), "/cell".into()];
    // The snapshot has loaded the libraries of its process.
    assert_eq!(engine.prepared(Ok(artifacts)), ["b input 2", "run /cell"]);
}

#[test]
fn an_interrupt_before_the_cell_runs_leaves_the_runtime_alone() {
    let mut engine = Engine::up();
    engine.asked("a", cell("empty", "1"));
    assert_eq!(engine.handle(EngineEvent::Interrupt), [""; 0]);
    engine.runs = 1;
    let described = engine.prepared(Ok(vec!["/cell".into()]));
    assert_eq!(described[0], "a error Interrupted");
    assert_eq!(engine.state(), "empty");
}

#[test]
fn an_interrupt_ends_a_cell_that_waits_for_the_runtime() {
    let mut engine = Engine::new();
    assert_eq!(engine.begins("a", "empty", "1"), ["a input 1"]);
    let described = engine.handle(EngineEvent::Interrupt);
    assert_eq!(
        described,
        ["a error Interrupted", "a execute_reply error", "a idle"]
    );
    assert_eq!(engine.handle(EngineEvent::RuntimeStarted), [""; 0]);
    assert_eq!(engine.state(), "empty");
    let begun = engine.begins("b", "empty", "1");
    assert_eq!(begun, ["b input 2", "load /std", "run /cell"]);
}

#[test]
fn a_runtime_that_dies_between_cells_takes_the_state_along() {
    let mut engine = Engine::up();
    engine.begins("a", "empty", "1");
    engine.ended(Outcome::Completed);
    let status = RuntimeExit::Signal(9);
    let described = engine.handle(EngineEvent::RuntimeExited { status });
    assert_eq!(described, ["start runtime"]);
    assert_eq!(engine.state(), "empty");
    assert_eq!(engine.machine.handshake().rustc, None);
}

#[test]
fn a_runtime_that_does_not_start_fails_the_cell_that_waits_and_the_next_tries_again() {
    let mut engine = Engine::new();
    let began = engine.begins("a", "empty", "1");
    assert_eq!(began, ["a input 1"]);
    let message = "no such file".to_owned();
    let described = engine.handle(EngineEvent::RuntimeFailed { message });
    assert_eq!(described[0], "a error EngineError");
    assert_eq!(engine.state(), "empty");
    let began = engine.begins("b", "empty", "1");
    assert_eq!(began, ["b input 2", "start runtime"]);
    assert_eq!(
        engine.handle(EngineEvent::RuntimeStarted),
        ["load /std", "run /cell"]
    );
}

#[test]
fn clear_forgets_everything_also_while_a_cell_runs() {
    let mut engine = Engine::up();
    engine.begins("a", "empty", "1");
    engine.ended(Outcome::Completed);
    let described = engine.asked("c", EngineRequest::Clear);
    assert_eq!(described, ["c busy", "kill", "c clear_reply ok", "c idle"]);
    assert_eq!(engine.state(), "empty");
    let status = || RuntimeExit::Signal(9);
    engine.handle(EngineEvent::RuntimeExited { status: status() });
    engine.handle(EngineEvent::RuntimeStarted);
    engine.begins("b", "empty", "1");
    engine.asked("d", EngineRequest::Clear);
    engine.ended(Outcome::Died { status: status() });
    assert_eq!(engine.state(), "empty");
}

/// A request of another client.
fn of_other(id: &str, content: EngineRequest) -> EngineEvent {
    let mut request = request(id, content);
    request.header.session = "other".to_owned();
    EngineEvent::Requested(Box::new(request))
}

#[test]
fn a_client_whose_cell_was_refused_has_the_next_turn() {
    let mut engine = Engine::up();
    engine.begins("a", "empty", "s1");
    // Compiled before the cell of the first client has changed the state.
    assert_eq!(engine.handle(of_other("b", cell("empty", "t1"))), [""; 0]);
    let ended = engine.ended(Outcome::Completed).join(", ");
    assert!(
        ended.contains("b execute_reply error state_mismatch"),
        "{ended}"
    );
    // The first client's next cell and call wait, in order.
    assert_eq!(engine.asked("a2", cell("s1", "s2")), [""; 0]);
    assert_eq!(
        engine.machine.turn_ends(),
        Some(NOW + chrono::TimeDelta::seconds(2))
    );
    let begun = engine.handle(of_other("b", cell("s1", "t2"))).join(", ");
    assert!(begun.contains("b busy"), "{begun}");
    assert_eq!(engine.machine.turn_ends(), None);
    engine.runs += 1;
    engine.prepared(Ok(vec!["/std".into(), "/cell".into()]));
    let ended = engine.ended(Outcome::Completed).join(", ");
    assert!(
        ended.contains("a2 execute_reply error state_mismatch"),
        "{ended}"
    );
    assert_eq!(engine.state(), "t2");
}

#[test]
fn a_turn_that_is_not_taken_passes() {
    let mut engine = Engine::up();
    engine.begins("a", "empty", "s1");
    engine.ended(Outcome::Completed);
    let refused = engine.handle(of_other("b", cell("empty", "t1"))).join(", ");
    assert!(
        refused.contains("b execute_reply error state_mismatch"),
        "{refused}"
    );
    assert_eq!(engine.asked("a2", cell("s1", "s2")), [""; 0]);
    let later = NOW + chrono::TimeDelta::seconds(3);
    let commands = engine.machine.handle(EngineEvent::TurnOver, later);
    let begun: Vec<_> = commands.iter().map(describe).collect();
    assert!(begun.join(", ").contains("a2 busy"), "{begun:?}");
    // A client that is alone does not wait for itself.
    let mut engine = Engine::up();
    engine.asked("a", cell("odd", "s1"));
    let begun = engine.begins("a", "empty", "s1");
    assert!(!begun.is_empty());
}

#[test]
fn a_turn_that_is_overdue_is_not_waited_for_while_nothing_can_begin() {
    let mut engine = Engine::up();
    engine.begins("a", "empty", "s1");
    engine.ended(Outcome::Completed);
    engine.handle(of_other("b", cell("empty", "t1")));
    // The client's next request is a call, which leaves its turn.
    let begun = engine.handle(of_other("c", calls::call())).join(", ");
    assert!(begun.contains("c busy"), "{begun}");
    assert_eq!(engine.asked("a2", cell("s1", "s2")), [""; 0]);
    assert_eq!(engine.machine.turn_ends(), None);
    engine.runs += 1;
    engine.prepared(Ok(vec!["/f".into()]));
    engine.returns();
    assert!(engine.machine.turn_ends().is_some());
    engine.handle(EngineEvent::Away);
    assert_eq!(engine.machine.turn_ends(), None);
    let later = NOW + chrono::TimeDelta::seconds(3);
    let commands = engine.machine.handle(EngineEvent::Back, later);
    let begun: Vec<_> = commands.iter().map(describe).collect();
    assert!(begun.join(", ").contains("a2 busy"), "{begun:?}");
}

#[test]
fn shutdown_is_replied_to_and_odd_requests_are_refused() {
    let mut engine = Engine::up();
    let described = engine.asked("a", EngineRequest::Unknown);
    assert_eq!(described[1], "a error UsageError");
    let described = engine.asked("b", signal(999, &[]));
    assert_eq!(described[1], "b error UsageError");
    for number in [10, 15] {
        let described = engine.asked("c", signal(number, &[]));
        let expected = format!("signal {number}");
        assert_eq!(
            described,
            ["c busy", &expected, "c signal_reply ok", "c idle"]
        );
    }
    let described = engine.asked("s", EngineRequest::Shutdown);
    assert_eq!(
        described,
        ["s busy", "s shutdown_reply ok", "s idle", "stop"]
    );
}

#[test]
fn nothing_is_begun_while_the_controller_is_lost() {
    let mut engine = Engine::up();
    engine.begins("a", "empty", "1");
    engine.asked("b", cell("1", "2"));
    assert_eq!(engine.handle(EngineEvent::Away), [""; 0]);
    let ended = engine.ended(Outcome::Completed);
    assert_eq!(ended, ["a execute_reply ok", "a idle"]);
    // The connection has persisted.
    assert_eq!(engine.handle(EngineEvent::Back), ["b busy", "prepare"]);
    engine.runs += 1;
    engine.prepared(Ok(vec!["/cell".into()]));
    engine.asked("c", cell("2", "3"));
    engine.handle(EngineEvent::Away);
    // The controller has replied to the engine's requests; the running cell continues.
    let identity = EngineIdentity {
        id: EngineId(4),
        uuid: EngineUuid::new("uuid"),
    };
    assert_eq!(engine.handle(EngineEvent::Rejoined(identity)), [""; 0]);
    let ended = engine.ended(Outcome::Completed);
    assert_eq!(ended, ["b execute_reply ok", "b idle"]);
    assert_eq!(engine.state(), "2");
    assert_eq!(engine.asked("d", cell("2", "3")), ["d busy", "prepare"]);
}

#[test]
fn what_threads_put_out_after_their_cell_belongs_to_it() {
    let mut engine = Engine::up();
    let late = || EngineEvent::RuntimeOutput {
        run: None,
        output: Output::Stream {
            name: StreamName::Stdout,
            text: "late".to_owned(),
        },
    };
    assert_eq!(engine.handle(late()), ["- output"], "nothing has run");
    engine.begins("a", "empty", "1");
    engine.ended(Outcome::Completed);
    assert_eq!(engine.handle(late()), ["a output"]);
    engine.begins("b", "1", "2");
    assert_eq!(engine.handle(late()), ["b output"]);
}
