//! The behaviour of an engine, as lists of events.

use super::*;
use chrono::DateTime;
use phalanx_protocol::failure::Panic;
use phalanx_protocol::id::{ArtifactHash, EngineId, EngineUuid};
use phalanx_protocol::output::{MimeBundle, StreamName};
use phalanx_protocol::parallel::{
    BATCH, CallMetadata, CellMetadata, Ended, PHALANX, ReplyMetadata, Signal,
};
use phalanx_transport::wire::Header;
use serde_json::Value;

const NOW: Now = DateTime::UNIX_EPOCH;

struct Engine {
    machine: Machine,
    runs: u64,
}

impl Engine {
    /// With its runtime up.
    fn up() -> Self {
        let mut engine = Self::new();
        assert_eq!(engine.told(Event::RuntimeStarted), [""; 0]);
        engine
    }

    fn new() -> Self {
        let identity = Identity {
            id: EngineId(3),
            uuid: EngineUuid::new("uuid"),
        };
        let about = crate::about::handshake(Vec::new());
        Self {
            machine: Machine::new(identity, about),
            runs: 0,
        }
    }

    /// Passes the machine an event; returns its commands, each in a few words.
    fn told(&mut self, event: Event) -> Vec<String> {
        let commands = self.machine.on(event, NOW);
        commands.iter().map(words).collect()
    }

    fn asked(&mut self, id: &str, ask: Ask) -> Vec<String> {
        self.told(Event::Requested(Box::new(request(id, ask))))
    }

    /// Submits a cell and has its artifacts found; what happens from then on.
    fn begins(&mut self, id: &str, base: &str, next: &str) -> Vec<String> {
        self.asked(id, cell(base, next));
        self.runs += 1;
        self.prepared(Ok(vec!["/std".into(), "/cell".into()]))
    }

    fn prepared(&mut self, artifacts: Result<Vec<PathBuf>, Unprepared>) -> Vec<String> {
        let run = RunId(self.runs);
        self.told(Event::Prepared { run, artifacts })
    }

    fn ended(&mut self, outcome: Outcome) -> Vec<String> {
        let run = RunId(self.runs);
        self.told(Event::RuntimeEnded { run, outcome })
    }

    /// The call that is under way gives something back and ends.
    fn returns(&mut self) -> Vec<String> {
        self.gave(b"P");
        self.ended(Outcome::Completed)
    }

    fn state(&self) -> &str {
        self.machine.state.as_str()
    }
}

fn request(id: &str, ask: Ask) -> Request {
    let msg_type = match ask {
        Ask::Execute { .. } => "execute_request",
        Ask::Apply { .. } => "apply_request",
        Ask::KernelInfo => "kernel_info_request",
        Ask::Abort(_) => "abort_request",
        Ask::Clear => "clear_request",
        Ask::Lineage => "lineage_request",
        Ask::Shutdown => "shutdown_request",
        Ask::Signal(_) => "signal_request",
        Ask::Unknown => "odd_request",
    };
    Request {
        channel: Channel::Mux,
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
        echo: serde_json::from_str::<ReplyMetadata>(r#"{"label": "mine"}"#).unwrap(),
        batched: false,
        ask,
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

fn execute(cell: Result<CellMetadata, String>) -> Ask {
    Ask::Execute {
        code: "code".to_owned(),
        silent: false,
        cell: cell.map(Box::new),
        buffers: Vec::new(),
    }
}

fn cell(base: &str, next: &str) -> Ask {
    execute(Ok(metadata(base, next)))
}

fn words(command: &Command) -> String {
    match command {
        Command::Publish {
            parent,
            publication,
        } => {
            let parent = parent.as_ref().map_or("-", |header| &header.msg_id);
            match publication {
                Publication::Kept(_) => format!("{parent} kept"),
                Publication::Status(state) => format!("{parent} {state}"),
                Publication::Input {
                    execution_count, ..
                } => format!("{parent} input {execution_count}"),
                Publication::Output(_) => format!("{parent} output"),
                Publication::Result {
                    execution_count, ..
                } => format!("{parent} result {execution_count}"),
                Publication::Error(content) => format!("{parent} error {}", text(content, "ename")),
            }
        }
        Command::Reply(reply) => {
            assert_eq!(reply.metadata["engine"], "uuid");
            assert_eq!(reply.metadata["label"], "mine");
            assert_eq!(reply.metadata["status"], reply.content["status"]);
            let reason = text(&reply.metadata[PHALANX]["reason"], "kind");
            let ended = reply.metadata[BATCH].as_array();
            let ended = ended.map(|ended| ended.iter().map(of_batch).collect::<Vec<_>>());
            let ended = ended.map_or_else(String::new, |ended| format!("of {}", ended.join(",")));
            format!(
                "{} {} {} {reason}{ended}",
                reply.request.header.msg_id,
                reply.msg_type,
                text(&reply.content, "status")
            )
            .trim_end()
            .to_owned()
        }
        Command::Prepare { .. } => "prepare".to_owned(),
        Command::Load(path) => format!("load {}", path.display()),
        Command::Run { cell, .. } => format!("run {}", cell.artifact.display()),
        Command::Interrupt => "interrupt".to_owned(),
        Command::Call { call, .. } => format!("call {}", call.offset),
        Command::Recall => "recall".to_owned(),
        Command::Kill => "kill".to_owned(),
        Command::Signal(number) => format!("signal {number}"),
        Command::StartRuntime => "start runtime".to_owned(),
        Command::Stop => "stop".to_owned(),
    }
}

fn of_batch(ended: &Value) -> String {
    let ended: Ended = serde_json::from_value(ended.clone()).unwrap();
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
    let output = |output| Event::RuntimeOutput {
        run: Some(RunId(1)),
        output,
    };
    let stream = Output::Stream {
        name: StreamName::Stdout,
        text: "é".to_owned(),
    };
    assert_eq!(engine.told(output(stream)), ["a output"]);
    let result = Output::Result(MimeBundle::plain("42"));
    assert_eq!(engine.told(output(result)), ["a result 1"]);
    let ended = engine.ended(Outcome::Completed);
    assert_eq!(ended, ["a execute_reply ok", "a idle"]);
    assert_eq!(engine.state(), "1");
    // Libraries are loaded once.
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
                status: "signal 9".to_owned(),
            },
            "RuntimeDied",
            "1~died",
        ),
        (
            Outcome::Abandoned {
                status: "signal 9".to_owned(),
            },
            "RuntimeDied",
            "empty",
        ),
    ] {
        let mut engine = Engine::up();
        engine.begins("a", "empty", "1");
        let told = engine.ended(outcome);
        assert_eq!(
            told,
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
    let told = engine.asked("a", cell("other", "1"));
    assert_eq!(
        told,
        ["a busy", "a execute_reply error state_mismatch", "a idle"]
    );
    engine.asked("b", cell("empty", "1"));
    engine.runs = 1;
    let missing = vec![ArtifactHash::new("cell")];
    let told = engine.prepared(Err(Unprepared::Missing(missing)));
    assert_eq!(told, ["b execute_reply error need_artifacts", "b idle"]);
    engine.begins("c", "empty", "1");
    let told = engine.ended(Outcome::VariablesLost(vec!["x".to_owned()]));
    assert_eq!(told, ["c execute_reply error variables_lost", "c idle"]);
    assert_eq!(engine.state(), "empty");
    assert_eq!(engine.begins("d", "empty", "1")[0], "d input 1");
}

#[test]
fn python_and_other_compilers_are_told_what_is_needed() {
    let mut engine = Engine::up();
    let told = engine.asked(
        "a",
        Ask::Apply {
            call: Err("this is a Python function".to_owned()),
            buffers: Vec::new(),
        },
    );
    assert_eq!(
        told,
        [
            "a busy",
            "a error UsageError",
            "a apply_reply error",
            "a idle"
        ]
    );
    let told = engine.asked("b", execute(Err("source".to_owned())));
    assert_eq!(told[1], "b error UsageError");
    // A scheduler may have an engine that can run it.
    let mut balanced = request("e", execute(Err("source".to_owned())));
    balanced.channel = Channel::Task;
    let commands = engine.machine.on(Event::Requested(Box::new(balanced)), NOW);
    let told: Vec<_> = commands.iter().map(words).collect();
    assert_eq!(told, ["e busy", "e execute_reply error", "e idle"]);
    let Command::Reply(reply) = &commands[1] else {
        panic!("{told:?}");
    };
    assert_eq!(reply.metadata["dependencies_met"], false);
    engine.begins("c", "empty", "1");
    engine.ended(Outcome::Completed);
    let mut other = metadata("1", "2");
    other.abi = "rustc 2".to_owned();
    let told = engine.asked("d", execute(Ok(other)));
    assert_eq!(told[1], "d error UsageError");
}

#[test]
fn a_cell_without_code_to_run_only_changes_the_state() {
    let mut engine = Engine::up();
    let mut items = metadata("empty", "1");
    items.entry = None;
    engine.asked("a", execute(Ok(items)));
    engine.runs = 1;
    let told = engine.prepared(Ok(Vec::new()));
    assert_eq!(told, ["a input 1", "a execute_reply ok", "a idle"]);
    assert_eq!(engine.state(), "1");
}

#[test]
fn cells_run_one_after_the_other_and_questions_are_answered_meanwhile() {
    let mut engine = Engine::up();
    engine.begins("a", "empty", "1");
    assert_eq!(engine.asked("b", cell("1", "2")), [""; 0]);
    let told = engine.asked("k", Ask::KernelInfo);
    assert_eq!(told, ["k busy", "k kernel_info_reply ok", "k idle"]);
    let told = engine.ended(Outcome::Completed);
    assert_eq!(told, ["a execute_reply ok", "a idle", "b busy", "prepare"]);
}

#[test]
fn what_has_not_begun_can_be_aborted_even_before_it_comes() {
    let mut engine = Engine::up();
    engine.begins("a", "empty", "1");
    engine.asked("b", cell("1", "2"));
    let ids = ["a", "b", "c"].map(MsgId::new).to_vec();
    let told = engine.asked("x", Ask::Abort(ids));
    assert_eq!(
        told,
        [
            "x busy",
            "b busy",
            "b execute_reply aborted",
            "b idle",
            "x abort_reply ok",
            "x idle"
        ]
    );
    let told = engine.asked("c", cell("1", "2"));
    assert_eq!(told, ["c busy", "c execute_reply aborted", "c idle"]);
    engine.asked("d", cell("1", "2"));
    let told = engine.asked("y", Ask::Abort(Vec::new()));
    assert_eq!(told[2], "d execute_reply aborted");
    assert_eq!(
        engine.ended(Outcome::Completed),
        ["a execute_reply ok", "a idle"]
    );
}

#[test]
fn an_interrupt_without_a_snapshot_costs_the_running_cell_and_its_runtime() {
    let mut engine = Engine::up();
    let sigint = || Ask::Signal(Signal::Name("SIGINT".to_owned()));
    let told = engine.asked("i", sigint());
    assert_eq!(told, ["i busy", "i signal_reply ok", "i idle"]);
    engine.begins("a", "empty", "1");
    engine.asked("b", cell("1~died", "2"));
    let told = engine.asked("j", sigint());
    assert_eq!(told[1], "interrupt");
    let status = || "signal 9".to_owned();
    let told = engine.ended(Outcome::Died { status: status() });
    assert_eq!(
        told,
        [
            "a error Interrupted",
            "a execute_reply error",
            "a idle",
            "b busy",
            "prepare"
        ]
    );
    engine.runs = 2;
    // The next cell waits for the new runtime and needs its libraries loaded again.
    assert_eq!(
        engine.told(Event::RuntimeExited { status: status() }),
        ["start runtime"]
    );
    let artifacts = vec!["/std".into(), "/cell".into()];
    assert_eq!(engine.prepared(Ok(artifacts)), ["b input 2"]);
    assert_eq!(
        engine.told(Event::RuntimeStarted),
        ["load /std", "run /cell"]
    );
}

#[test]
fn an_interrupt_costs_the_running_cell_and_nothing_else() {
    let mut engine = Engine::up();
    engine.begins("a", "empty", "1");
    engine.asked("b", cell("empty", "2"));
    assert_eq!(engine.told(Event::Interrupt), ["interrupt"]);
    let status = "signal 9".to_owned();
    let told = engine.ended(Outcome::Abandoned { status });
    assert_eq!(
        told,
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
    // The snapshot has loaded what its process had.
    assert_eq!(engine.prepared(Ok(artifacts)), ["b input 2", "run /cell"]);
}

#[test]
fn an_interrupt_before_the_cell_runs_leaves_the_runtime_alone() {
    let mut engine = Engine::up();
    engine.asked("a", cell("empty", "1"));
    assert_eq!(engine.told(Event::Interrupt), [""; 0]);
    engine.runs = 1;
    let told = engine.prepared(Ok(vec!["/cell".into()]));
    assert_eq!(told[0], "a error Interrupted");
    assert_eq!(engine.state(), "empty");
}

#[test]
fn a_runtime_that_dies_between_cells_takes_the_state_along() {
    let mut engine = Engine::up();
    engine.begins("a", "empty", "1");
    engine.ended(Outcome::Completed);
    let status = "signal 9".to_owned();
    let told = engine.told(Event::RuntimeExited { status });
    assert_eq!(told, ["start runtime"]);
    assert_eq!(engine.state(), "empty");
    assert_eq!(engine.machine.handshake().rustc, None);
}

#[test]
fn a_runtime_that_does_not_start_fails_the_cell_that_waits_and_the_next_tries_again() {
    let mut engine = Engine::new();
    let began = engine.begins("a", "empty", "1");
    assert_eq!(began, ["a input 1"]);
    let message = "no such file".to_owned();
    let told = engine.told(Event::RuntimeFailed { message });
    assert_eq!(told[0], "a error EngineError");
    assert_eq!(engine.state(), "empty");
    let began = engine.begins("b", "empty", "1");
    assert_eq!(began, ["b input 2", "start runtime"]);
    assert_eq!(
        engine.told(Event::RuntimeStarted),
        ["load /std", "run /cell"]
    );
}

#[test]
fn clear_forgets_everything_also_while_a_cell_runs() {
    let mut engine = Engine::up();
    engine.begins("a", "empty", "1");
    engine.ended(Outcome::Completed);
    let told = engine.asked("c", Ask::Clear);
    assert_eq!(told, ["c busy", "kill", "c clear_reply ok", "c idle"]);
    assert_eq!(engine.state(), "empty");
    let status = || "signal 9".to_owned();
    engine.told(Event::RuntimeExited { status: status() });
    engine.told(Event::RuntimeStarted);
    engine.begins("b", "empty", "1");
    engine.asked("d", Ask::Clear);
    engine.ended(Outcome::Died { status: status() });
    assert_eq!(engine.state(), "empty");
}

#[test]
fn shutdown_is_answered_and_odd_requests_are_refused() {
    let mut engine = Engine::up();
    let told = engine.asked("a", Ask::Unknown);
    assert_eq!(told[1], "a error UsageError");
    let told = engine.asked("b", Ask::Signal(Signal::Number(999)));
    assert_eq!(told[1], "b error UsageError");
    let told = engine.asked("c", Ask::Signal(Signal::Number(10)));
    assert_eq!(told[1], "signal 10");
    let told = engine.asked("s", Ask::Shutdown);
    assert_eq!(told, ["s busy", "s shutdown_reply ok", "s idle", "stop"]);
}

#[test]
fn what_came_with_a_call_is_told_to_be_here_before_the_call_runs() {
    let mut engine = Engine::new();
    let mut ask = call();
    if let Ask::Apply { call: Ok(call), .. } = &mut ask {
        Arc::make_mut(call).buffers = vec![1];
    }
    engine.asked("a", ask);
    engine.runs += 1;
    let told = engine.prepared(Ok(vec!["std".into(), "cell".into()]));
    assert_eq!(told[0], "a kept", "{told:?}");
}

fn call() -> Ask {
    Ask::Apply {
        call: Ok(Arc::new(CallMetadata {
            abi: "rustc 1".to_owned(),
            host: "here".to_owned(),
            offset: Some(16),
            artifacts: vec![ArtifactHash::new("std"), ArtifactHash::new("cell")],
            paths: Vec::new(),
            buffers: Vec::new(),
            quiet: false,
            keep: false,
            pushes: Vec::new(),
        })),
        buffers: vec!["args".into()],
    }
}

impl Engine {
    fn gave(&mut self, value: &[u8]) {
        let run = RunId(self.runs);
        let value = value.to_vec();
        assert_eq!(
            self.told(Event::RuntimeValue {
                run,
                value: value.into()
            }),
            [""; 0]
        );
    }

    fn calls(&mut self, id: &str) -> Vec<String> {
        self.asked(id, call());
        self.runs += 1;
        self.prepared(Ok(vec!["/std".into(), "/cell".into()]))
    }
}

#[test]
fn functions_are_called_in_turn_with_cells_and_change_no_state() {
    let mut engine = Engine::up();
    engine.begins("a", "empty", "1");
    assert_eq!(engine.asked("b", call()), [""; 0]);
    let told = engine.ended(Outcome::Completed);
    assert_eq!(told, ["a execute_reply ok", "a idle", "b busy", "prepare"]);
    engine.runs += 1;
    let told = engine.prepared(Ok(vec!["/std".into(), "/cell".into()]));
    assert_eq!(told, ["call 16"]);
    engine.gave(b"P1");
    let told = engine.ended(Outcome::Completed);
    assert_eq!(told, ["b apply_reply ok", "b idle"]);
    assert_eq!(engine.state(), "1");
}

#[test]
fn calls_that_fail_say_how() {
    let mut engine = Engine::up();
    engine.calls("a");
    engine.gave(br#"X{"ename": "DeserializeError", "evalue": "argument 1"}"#);
    let told = engine.ended(Outcome::Completed);
    let expected = ["a error DeserializeError", "a apply_reply error", "a idle"];
    assert_eq!(told, expected);
    engine.calls("b");
    engine.gave(b"");
    let panic = Panic {
        message: "boom".to_owned(),
        location: None,
    };
    let told = engine.ended(Outcome::Panicked(panic));
    assert_eq!(told, ["b error Panic", "b apply_reply error", "b idle"]);
    engine.begins("c", "empty", "1");
    engine.ended(Outcome::Completed);
    engine.calls("d");
    let status = "signal 11".to_owned();
    let told = engine.ended(Outcome::Died { status });
    assert_eq!(told[0], "d error RuntimeDied");
    assert_eq!(engine.state(), "empty");
    let told = engine.calls("e");
    assert_eq!(told, [""; 0]);
}

/// Calls of one message.
fn batch(ids: &[&str]) -> Event {
    let alike = request("", call());
    let one = |id: &&str| Request {
        header: Header {
            msg_id: (*id).to_owned(),
            ..alike.header.clone()
        },
        batched: true,
        ..alike.clone()
    };
    Event::Batch(ids.iter().map(one).collect())
}

#[test]
fn small_calls_of_one_message_are_answered_by_one() {
    let mut engine = Engine::up();
    assert_eq!(engine.told(batch(&["a", "b", "c"])), ["prepare"]);
    engine.runs = 1;
    let began = engine.prepared(Ok(vec!["/std".into(), "/cell".into()]));
    assert_eq!(began, ["load /std", "call 16"]);
    let sent = engine.returns();
    assert_eq!(sent, ["call 16", "call 16"], "a waits, c is sent ahead");
    assert!(engine.machine.holds_replies());
    engine.runs = 2;
    // Only what puts something out is told to have ended.
    let stream = Output::Stream {
        name: StreamName::Stdout,
        text: "x".to_owned(),
    };
    let run = Some(RunId(2));
    let output = Event::RuntimeOutput {
        run,
        output: stream,
    };
    assert_eq!(engine.told(output), ["b output"]);
    assert_eq!(engine.returns(), ["b idle"]);
    engine.runs = 3;
    assert_eq!(
        engine.told(Event::Flush),
        ["a apply_reply ok of a,b output"]
    );
    assert_eq!(
        engine.returns(),
        ["c apply_reply ok of c"],
        "nothing follows"
    );
    assert!(!engine.machine.holds_replies());
}

#[test]
fn a_call_that_fails_among_others_is_answered_alone() {
    let mut engine = Engine::up();
    engine.told(batch(&["a", "b", "c", "d"]));
    engine.runs = 1;
    engine.prepared(Ok(vec!["/std".into(), "/cell".into()]));
    engine.returns();
    engine.runs = 2;
    let panic = Outcome::Panicked(Panic {
        message: "boom".to_owned(),
        location: None,
    });
    assert_eq!(
        engine.ended(panic),
        ["b error Panic", "b apply_reply error", "b idle"]
    );
    engine.runs = 3;
    let told = engine.asked("x", Ask::Abort(vec![MsgId::new("d")]));
    assert_eq!(told, ["x busy", "recall", "x abort_reply ok", "x idle"]);
    assert_eq!(engine.returns(), [""; 0]);
    let run = RunId(4);
    let told = engine.told(Event::RuntimeRecalled { run });
    assert_eq!(told, ["d busy", "d apply_reply aborted", "d idle"]);
    assert_eq!(engine.told(Event::Flush), ["a apply_reply ok of a,c"]);
}

#[test]
fn calls_the_runtime_gives_back_are_sent_again_in_their_order() {
    let mut engine = Engine::up();
    engine.told(batch(&["a", "b", "c", "d", "e"]));
    engine.runs = 1;
    engine.prepared(Ok(vec!["/std".into(), "/cell".into()]));
    assert_eq!(engine.returns().len(), 4);
    engine.runs = 2;
    // The process is gone, and another has taken over.
    let status = "signal 9".to_owned();
    let told = engine.ended(Outcome::Abandoned { status });
    assert_eq!(told[0], "b error RuntimeDied");
    for run in [3, 4] {
        let run = RunId(run);
        assert_eq!(engine.told(Event::RuntimeRecalled { run }), [""; 0]);
    }
    let run = RunId(5);
    let told = engine.told(Event::RuntimeRecalled { run });
    assert_eq!(told, ["call 16"], "c alone, since b was not quick");
    engine.runs = 6;
    assert_eq!(engine.returns(), ["call 16", "call 16"]);
    // Nothing is left of this one, and what was aborted in it is not begun in the next.
    engine.runs = 7;
    let told = engine.asked("x", Ask::Abort(vec![MsgId::new("e")]));
    assert_eq!(told, ["x busy", "recall", "x abort_reply ok", "x idle"]);
    let status = "signal 9".to_owned();
    let told = engine.ended(Outcome::Died { status });
    assert_eq!(told[..2], ["e busy", "e apply_reply aborted"]);
    assert_eq!(told[3], "d error RuntimeDied");
    let status = "signal 9".to_owned();
    let told = engine.told(Event::RuntimeExited { status });
    assert_eq!(told, ["start runtime"]);
    assert_eq!(engine.told(Event::RuntimeStarted), [""; 0]);
    assert_eq!(engine.told(Event::Flush), ["a apply_reply ok of a,c"]);
}

#[test]
fn artifacts_may_come_without_a_call() {
    let mut engine = Engine::new();
    let Ask::Apply {
        call: Ok(mut call),
        buffers,
    } = call()
    else {
        panic!("no call");
    };
    Arc::make_mut(&mut call).offset = None;
    engine.asked(
        "a",
        Ask::Apply {
            call: Ok(call),
            buffers,
        },
    );
    engine.runs += 1;
    let told = engine.prepared(Ok(vec!["/std".into(), "/cell".into()]));
    assert_eq!(told, ["a apply_reply ok", "a idle"]);
}

#[test]
fn nothing_is_begun_while_the_controller_is_lost() {
    let mut engine = Engine::up();
    engine.begins("a", "empty", "1");
    engine.asked("b", cell("1", "2"));
    assert_eq!(engine.told(Event::Away), [""; 0]);
    let ended = engine.ended(Outcome::Completed);
    assert_eq!(ended, ["a execute_reply ok", "a idle"]);
    // It was there all the time.
    assert_eq!(engine.told(Event::Back), ["b busy", "prepare"]);
    engine.runs += 1;
    engine.prepared(Ok(vec!["/cell".into()]));
    engine.asked("c", cell("2", "3"));
    engine.told(Event::Away);
    // It has answered for what the engine had; what runs goes on.
    let identity = Identity {
        id: EngineId(4),
        uuid: EngineUuid::new("uuid"),
    };
    assert_eq!(engine.told(Event::Rejoined(identity)), [""; 0]);
    let ended = engine.ended(Outcome::Completed);
    assert_eq!(ended, ["b execute_reply ok", "b idle"]);
    assert_eq!(engine.state(), "2");
    assert_eq!(engine.asked("d", cell("2", "3")), ["d busy", "prepare"]);
}

#[test]
fn what_threads_put_out_after_their_cell_belongs_to_it() {
    let mut engine = Engine::up();
    let late = || Event::RuntimeOutput {
        run: None,
        output: Output::Stream {
            name: StreamName::Stdout,
            text: "late".to_owned(),
        },
    };
    assert_eq!(engine.told(late()), ["- output"], "nothing has run");
    engine.begins("a", "empty", "1");
    engine.ended(Outcome::Completed);
    assert_eq!(engine.told(late()), ["a output"]);
    engine.begins("b", "1", "2");
    assert_eq!(engine.told(late()), ["b output"]);
}
