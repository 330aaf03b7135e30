use super::*;
use crate::stored::StoredMessage;
use bytes::Bytes;
use phalanx_protocol::parallel::{Dependency, SchedulingMetadata};
use phalanx_transport::{RawMessage, SigningKey};
use std::time::Duration;

/// More than the tasks of any test take.
const ROOM: usize = 1 << 30;

fn engine(name: &str) -> EngineUuid {
    EngineUuid::new(name)
}

fn id(name: &str) -> MsgId {
    MsgId::new(name)
}

fn on(ids: &[&str]) -> Dependency {
    Dependency {
        dependencies: ids.iter().map(|name| id(name)).collect(),
        ..Dependency::default()
    }
}

/// A task with its name in its header.
fn task(name: &str, metadata: SchedulingMetadata) -> BalancedTask {
    BalancedTask::new(id(name), request(vec![], name), metadata)
}

fn request(identities: Vec<Bytes>, name: &str) -> StoredMessage {
    let parts = [name, "", "", ""].map(|part| Bytes::copy_from_slice(part.as_bytes()));
    let message = RawMessage::sign(identities, parts, vec![], &SigningKey::sha256(""));
    StoredMessage::new(message)
}

/// A task of the client with this name.
fn task_of(client: &str, name: &str) -> BalancedTask {
    let client = vec![Bytes::copy_from_slice(client.as_bytes())];
    BalancedTask::new(id(name), request(client, name), rust())
}

/// Formats commands: `run t on a`, `reply …`, `fail t: …`.
fn describe(commands: Vec<SchedulerCommand>) -> Vec<String> {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    commands
        .into_iter()
        .map(|command| match command {
            SchedulerCommand::Run {
                engine, request, ..
            } => {
                format!("run {} on {engine}", text(&request.to_raw().header))
            }
            SchedulerCommand::Reply(frames) => format!("reply {}", text(&frames[0])),
            SchedulerCommand::Fail(task, reason) => format!("fail {}: {reason:?}", task.id),
        })
        .collect()
}

struct Case {
    scheduler: Scheduler,
    now: Instant,
}

impl Case {
    fn new(hwm: usize, engines: &[&str]) -> Self {
        let mut scheduler = Scheduler::new(Scheme::Leastload, hwm, ROOM, 1);
        for name in engines {
            assert_eq!(scheduler.joined(engine(name), Language::Python), []);
        }
        Self {
            scheduler,
            now: Instant::now(),
        }
    }

    fn submit(&mut self, name: &str) -> Vec<String> {
        self.submit_with(name, SchedulingMetadata::default())
    }

    fn submit_with(&mut self, name: &str, metadata: SchedulingMetadata) -> Vec<String> {
        describe(self.scheduler.submit(task(name, metadata), self.now))
    }

    fn reply(&mut self, from: &str, name: &str, verdict: ReplyVerdict) -> Vec<String> {
        let reply = vec![Bytes::from(format!("{name} {verdict:?}"))];
        let commands = self
            .scheduler
            .replied(&engine(from), &id(name), verdict, reply);
        describe(commands.expect("a task of that engine"))
    }

    /// Submits the tasks of one message.
    fn submit_batch(&mut self, batch: u64, names: impl Iterator<Item = u32>) -> Vec<String> {
        let batch = Some(BatchNo(batch));
        let mut out = Vec::new();
        for name in names {
            let task = task(&name.to_string(), SchedulingMetadata::default());
            out.extend(
                self.scheduler
                    .submit(BalancedTask { batch, ..task }, self.now),
            );
        }
        describe(out)
    }

    /// Ends tasks of a batch successfully, each with a duration in microseconds.
    fn ended(&mut self, from: &str, names: std::ops::Range<u32>, micros: i64) -> Vec<String> {
        let ended = names.map(|name| BatchedReply {
            msg_id: id(&name.to_string()),
            started: chrono::DateTime::UNIX_EPOCH,
            completed: chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::microseconds(micros),
            output: false,
        });
        let ended: Vec<_> = ended.collect();
        describe(
            self.scheduler
                .batch_replied(&engine(from), &ended)
                .expect("tasks of that engine"),
        )
    }

    fn left(&mut self, name: &str) -> Vec<String> {
        describe(self.scheduler.left(&engine(name), self.now))
    }

    fn joined(&mut self, name: &str) -> Vec<String> {
        self.joined_as(name, Language::Python)
    }

    fn joined_as(&mut self, name: &str, runs: Language) -> Vec<String> {
        describe(self.scheduler.joined(engine(name), runs))
    }

    fn after(&mut self, time: Duration) -> Vec<String> {
        self.now += time;
        describe(self.scheduler.tick(self.now))
    }
}

fn retries(retries: u32) -> SchedulingMetadata {
    SchedulingMetadata {
        retries,
        ..SchedulingMetadata::default()
    }
}

#[test]
fn tasks_go_to_the_least_loaded_engine_and_wait_at_the_high_water_mark() {
    let mut case = Case::new(2, &["a", "b"]);
    assert_eq!(case.submit("1"), ["run 1 on a"]);
    assert_eq!(case.submit("2"), ["run 2 on b"]);
    assert_eq!(case.submit("3"), ["run 3 on a"]);
    assert_eq!(case.submit("4"), ["run 4 on b"]);
    assert_eq!(case.submit("5"), [""; 0]);
    assert_eq!(case.submit("6"), [""; 0]);
    assert_eq!(case.scheduler.waiting().len(), 2);
    assert_eq!(
        case.reply("b", "2", ReplyVerdict::Ok),
        ["reply 2 Ok", "run 5 on b"]
    );
    assert_eq!(
        case.reply("a", "1", ReplyVerdict::Failed),
        ["reply 1 Failed", "run 6 on a"]
    );
}

#[test]
fn without_engines_tasks_wait_for_one() {
    let mut case = Case::new(1, &[]);
    assert_eq!(case.submit("1"), [""; 0]);
    assert_eq!(case.joined("a"), ["run 1 on a"]);
}

#[test]
fn a_failed_task_is_retried_on_another_engine_and_then_answered() {
    let mut case = Case::new(1, &["a", "b"]);
    case.submit_with("1", retries(5));
    assert_eq!(case.reply("a", "1", ReplyVerdict::Failed), ["run 1 on b"]);
    assert_eq!(
        case.reply("b", "1", ReplyVerdict::Failed),
        ["reply 1 Failed"]
    );
    assert_eq!(case.scheduler.waiting(), []);
}

#[test]
fn a_reply_of_another_engine_than_the_assigned_one_is_ignored() {
    let mut case = Case::new(1, &["a", "b"]);
    case.submit("1");
    let nobody = case
        .scheduler
        .replied(&engine("b"), &id("1"), ReplyVerdict::Ok, vec![]);
    assert_eq!(nobody, None);
}

#[test]
fn unmet_dependencies_use_no_retry_and_fail_once_all_engines_have_refused() {
    let mut case = Case::new(1, &["a", "b"]);
    case.submit("1");
    let lacks = |what: &str| ReplyVerdict::Unmet(what.to_owned());
    assert_eq!(case.reply("a", "1", lacks("x")), ["run 1 on b"]);
    let why = r#"fail 1: ImpossibleDependency(Unmet("y"))"#;
    assert_eq!(case.reply("b", "1", lacks("y")), [why]);
    // A task on an engine that exits fails with that, and a failed task with its own failure.
    case.submit_with("2", retries(1));
    assert_eq!(case.reply("a", "2", lacks("x")), ["run 2 on b"]);
    let died = r#"fail 2: EngineDied(EngineUuid("b"))"#;
    assert_eq!(case.left("b"), [died]);
    case.joined("b");
    assert_eq!(case.submit_with("3", retries(1)), ["run 3 on b"]);
    assert_eq!(case.reply("b", "3", lacks("x")), ["run 3 on a"]);
    assert_eq!(
        case.reply("a", "3", ReplyVerdict::Failed),
        ["reply 3 Failed"]
    );
}

#[test]
fn a_task_fails_once_all_its_targets_have_unmet_dependencies() {
    let mut case = Case::new(1, &["a", "b", "c"]);
    let metadata = SchedulingMetadata {
        targets: vec![engine("a"), engine("b")],
        ..SchedulingMetadata::default()
    };
    case.submit_with("1", metadata);
    let lacks = |what: &str| ReplyVerdict::Unmet(what.to_owned());
    assert_eq!(case.reply("a", "1", lacks("x")), ["run 1 on b"]);
    let why = r#"fail 1: ImpossibleDependency(Unmet("y"))"#;
    assert_eq!(case.reply("b", "1", lacks("y")), [why]);
}

#[test]
fn a_refused_task_is_tried_elsewhere_and_then_returned() {
    let mut case = Case::new(1, &["a", "b"]);
    case.submit("1");
    assert_eq!(case.reply("a", "1", ReplyVerdict::Refused), ["run 1 on b"]);
    assert_eq!(
        case.reply("b", "1", ReplyVerdict::Refused),
        ["reply 1 Refused"]
    );
}

#[test]
fn tasks_of_a_dead_engine_fail_or_are_retried() {
    let mut case = Case::new(2, &["a", "b"]);
    case.submit("1");
    case.submit("2");
    case.submit_with("3", retries(1));
    assert_eq!(
        case.left("a"),
        ["fail 1: EngineDied(EngineUuid(\"a\"))", "run 3 on b"]
    );
    assert_eq!(
        case.left("b"),
        [
            "fail 2: EngineDied(EngineUuid(\"b\"))",
            "fail 3: EngineDied(EngineUuid(\"b\"))"
        ]
    );
    assert_eq!(case.left("b"), [""; 0]);
    assert_eq!(case.submit("4"), [""; 0]);
    assert_eq!(case.joined("c"), ["run 4 on c"]);
}

#[test]
fn a_task_ends_when_every_engine_has_failed_it() {
    let mut case = Case::new(1, &["a"]);
    case.submit_with("1", retries(3));
    assert_eq!(case.left("a"), ["fail 1: EngineDied(EngineUuid(\"a\"))"]);
    let mut case = Case::new(1, &["a", "b"]);
    case.submit_with("1", retries(3));
    assert_eq!(case.reply("a", "1", ReplyVerdict::Failed), ["run 1 on b"]);
    assert_eq!(case.left("b"), ["reply 1 Failed"]);
}

#[test]
fn after_the_last_engine_has_left_tasks_wait_for_a_limited_time() {
    let after = |ids| SchedulingMetadata {
        after: on(ids),
        ..SchedulingMetadata::default()
    };
    let mut case = Case::new(1, &["a", "b"]);
    for name in ["1", "2", "3"] {
        case.submit(name);
    }
    case.submit_with("4", retries(2));
    case.submit_with("5", after(&["4"]));
    assert_eq!(
        case.left("a"),
        ["fail 1: EngineDied(EngineUuid(\"a\"))"],
        "another engine is left"
    );
    assert_eq!(case.after(WITHOUT_ENGINES), [""; 0]);
    assert_eq!(case.left("b"), ["fail 2: EngineDied(EngineUuid(\"b\"))"]);
    assert_eq!(
        case.after(WITHOUT_ENGINES - Duration::from_millis(1)),
        [""; 0]
    );
    assert_eq!(
        case.after(Duration::from_millis(1)),
        [
            "fail 3: NoEngines",
            "fail 4: NoEngines",
            "fail 5: NoEngines"
        ]
    );
    assert_eq!(case.scheduler.waiting(), []);
    assert_eq!(case.scheduler.queued_bytes(), 0);
    // The limit starts anew for later tasks.
    assert_eq!(case.submit("5"), [""; 0]);
    assert_eq!(case.after(WITHOUT_ENGINES / 2), [""; 0]);
    case.scheduler.abort(&[id("5")]);
    assert_eq!(case.submit("6"), [""; 0]);
    assert_eq!(case.after(WITHOUT_ENGINES / 2), [""; 0]);
    assert_eq!(case.after(WITHOUT_ENGINES), ["fail 6: NoEngines"]);
    assert_eq!(case.joined("c"), [""; 0]);
    assert_eq!(case.submit("7"), ["run 7 on c"]);
}

#[test]
fn an_engine_that_restarts_in_time_runs_the_waiting_tasks() {
    let mut case = Case::new(1, &["a"]);
    case.submit("1");
    case.submit("2");
    case.left("a");
    assert_eq!(case.after(WITHOUT_ENGINES / 2), [""; 0]);
    assert_eq!(case.joined("a again"), ["run 2 on a again"]);
    assert_eq!(case.after(WITHOUT_ENGINES), [""; 0]);
    assert_eq!(case.reply("a again", "2", ReplyVerdict::Ok), ["reply 2 Ok"]);
    // Without waiting tasks, there is nothing to fail.
    case.left("a again");
    assert_eq!(case.after(WITHOUT_ENGINES * 2), [""; 0]);
}

#[test]
fn before_the_first_engine_tasks_wait_without_a_limit() {
    let mut case = Case::new(1, &[]);
    case.submit("1");
    assert_eq!(case.after(WITHOUT_ENGINES * 100), [""; 0]);
    assert_eq!(case.joined("a"), ["run 1 on a"]);
}

fn runs(names: std::ops::Range<u32>, engine: &str) -> Vec<String> {
    names
        .map(|name| format!("run {name} on {engine}"))
        .collect()
}

#[test]
fn short_tasks_of_a_message_are_batched_and_long_ones_sent_alone() {
    let mut case = Case::new(1, &["a", "b"]);
    let described = case.submit_batch(1, 0..100);
    assert_eq!(described, ["run 0 on a", "run 1 on b"]);
    assert_eq!(case.ended("a", 0..1, 5), runs(2..6, "a"));
    assert_eq!(case.ended("b", 1..2, 5), runs(6..10, "b"));
    assert_eq!(case.ended("a", 2..6, 5), runs(10..26, "a"));
    // While some are pending, the engine is sent no more.
    assert_eq!(case.ended("b", 6..8, 5), [""; 0]);
    assert_eq!(case.ended("b", 8..10, 5), runs(26..42, "b"));
    // A share of the rest, so that others are sent some as well.
    assert_eq!(case.ended("a", 10..26, 5), runs(42..71, "a"));
    assert_eq!(case.ended("b", 26..42, 20_000), runs(71..72, "b"));
    // A failed task is retried alone, on another engine.
    assert_eq!(
        case.reply("a", "42", ReplyVerdict::Failed),
        ["reply 42 Failed"]
    );
    assert_eq!(
        case.left("a").last().expect("the last"),
        "fail 70: EngineDied(EngineUuid(\"a\"))"
    );
    assert_eq!(case.ended("b", 71..72, 20_000), runs(72..73, "b"));
    for n in 72..100 {
        case.ended("b", n..n + 1, 20_000);
    }
    assert_eq!(case.scheduler.queued_bytes(), 0);
    assert!(case.scheduler.paces.is_empty());
    assert_eq!(case.scheduler.batch_replied(&engine("a"), &[]), None);
}

#[test]
fn tasks_of_different_messages_are_not_batched() {
    let mut case = Case::new(1, &["a"]);
    case.submit_batch(1, 0..4);
    case.submit("4");
    case.submit_batch(2, 5..8);
    assert_eq!(case.ended("a", 0..1, 5), runs(1..4, "a"));
    assert_eq!(case.ended("a", 1..4, 5), runs(4..5, "a"));
    assert_eq!(
        case.reply("a", "4", ReplyVerdict::Ok),
        ["reply 4 Ok", "run 5 on a"]
    );
    assert_eq!(case.ended("a", 5..6, 5), runs(6..8, "a"));
}

#[test]
fn tasks_run_only_on_their_targets() {
    let targets = |name: &str| SchedulingMetadata {
        targets: vec![engine(name)],
        ..SchedulingMetadata::default()
    };
    let mut case = Case::new(1, &["a", "b"]);
    assert_eq!(case.submit_with("1", targets("b")), ["run 1 on b"]);
    assert_eq!(case.submit_with("2", targets("b")), [""; 0]);
    assert_eq!(case.submit("3"), ["run 3 on a"]);
    assert_eq!(
        case.left("b"),
        [
            "fail 1: EngineDied(EngineUuid(\"b\"))",
            "fail 2: ImpossibleDependency(Nowhere)"
        ]
    );
    assert_eq!(
        case.submit_with("4", targets("b")),
        ["fail 4: ImpossibleDependency(Nowhere)"]
    );
}

#[test]
fn tasks_run_after_their_dependencies() {
    let after = |ids| SchedulingMetadata {
        after: on(ids),
        ..SchedulingMetadata::default()
    };
    let mut case = Case::new(0, &["a"]);
    case.submit("1");
    assert_eq!(case.submit_with("2", after(&["1"])), [""; 0]);
    assert_eq!(case.submit_with("3", after(&["2"])), [""; 0]);
    assert_eq!(
        case.reply("a", "1", ReplyVerdict::Ok),
        ["reply 1 Ok", "run 2 on a"]
    );
    assert_eq!(
        case.reply("a", "2", ReplyVerdict::Failed),
        ["reply 2 Failed", "fail 3: ImpossibleDependency(Ended)"]
    );
    assert_eq!(case.submit_with("4", after(&["1"])), ["run 4 on a"]);
    for impossible in [&["nobody"][..], &["5"]] {
        assert_eq!(
            case.submit_with("5", after(impossible)),
            ["fail 5: InvalidDependency"]
        );
    }
}

#[test]
fn follow_runs_a_task_on_the_engine_of_its_dependencies() {
    let follow = |ids| SchedulingMetadata {
        follow: on(ids),
        ..SchedulingMetadata::default()
    };
    let mut case = Case::new(0, &["a", "b"]);
    case.submit("1");
    case.submit("2");
    case.reply("a", "1", ReplyVerdict::Ok);
    case.reply("b", "2", ReplyVerdict::Ok);
    assert_eq!(case.submit_with("3", follow(&["2"])), ["run 3 on b"]);
    assert_eq!(
        case.submit_with("4", follow(&["1", "2"])),
        ["fail 4: ImpossibleDependency(Nowhere)"]
    );
}

#[test]
fn a_task_that_waits_too_long_times_out() {
    let timeout = SchedulingMetadata {
        timeout: 2.5,
        ..SchedulingMetadata::default()
    };
    let mut case = Case::new(1, &["a"]);
    case.submit_with("1", timeout.clone());
    case.submit_with("2", timeout);
    case.now += Duration::from_millis(2499);
    assert_eq!(describe(case.scheduler.tick(case.now)), [""; 0]);
    case.now += Duration::from_millis(1);
    assert_eq!(describe(case.scheduler.tick(case.now)), ["fail 2: Timeout"]);
}

#[test]
fn only_waiting_tasks_can_be_aborted_by_the_scheduler() {
    let mut case = Case::new(1, &["a"]);
    case.submit("1");
    case.submit("2");
    let aborted = case.scheduler.abort(&[id("1"), id("2"), id("3")]);
    assert_eq!(describe(aborted), ["fail 2: Aborted"]);
    assert_eq!(
        case.reply("a", "1", ReplyVerdict::Aborted),
        ["reply 1 Aborted"]
    );
}

#[test]
fn an_older_task_for_a_busy_engine_does_not_hold_up_the_others() {
    let bound = |name: &str| SchedulingMetadata {
        targets: vec![engine(name)],
        ..SchedulingMetadata::default()
    };
    let mut case = Case::new(1, &["a", "b"]);
    case.submit_with("1", bound("a"));
    case.submit_with("2", bound("a"));
    case.submit("3");
    assert_eq!(case.submit("4"), [""; 0]);
    assert_eq!(
        case.reply("b", "3", ReplyVerdict::Ok),
        ["reply 3 Ok", "run 4 on b"]
    );
    case.submit("5");
    // The oldest one that may run there.
    assert_eq!(
        case.reply("a", "1", ReplyVerdict::Ok),
        ["reply 1 Ok", "run 2 on a"]
    );
    assert_eq!(
        case.reply("a", "2", ReplyVerdict::Ok),
        ["reply 2 Ok", "run 5 on a"]
    );
}

#[test]
fn a_failed_dependency_fails_the_whole_chain_at_once() {
    let mut case = Case::new(1, &["a"]);
    case.submit("0");
    for n in 1..100 {
        let before = (n - 1).to_string();
        let metadata = SchedulingMetadata {
            after: on(&[&before]),
            ..SchedulingMetadata::default()
        };
        assert_eq!(case.submit_with(&n.to_string(), metadata), [""; 0]);
    }
    let described = case.reply("a", "0", ReplyVerdict::Failed);
    assert_eq!(described.len(), 100);
    assert_eq!(described[99], "fail 99: ImpossibleDependency(Ended)");
    assert_eq!(case.scheduler.waiting(), []);
    assert_eq!(case.scheduler.queued_bytes(), 0);
}

#[test]
fn the_pure_scheme_supports_no_conditions() {
    let mut case = Case {
        scheduler: Scheduler::new(Scheme::Pure, 1, ROOM, 1),
        now: Instant::now(),
    };
    case.joined("a");
    case.joined("b");
    let metadata = SchedulingMetadata {
        targets: vec![engine("nobody")],
        after: on(&["nothing"]),
        retries: 3,
        ..SchedulingMetadata::default()
    };
    assert_eq!(case.submit_with("1", metadata.clone()), ["run 1 on a"]);
    assert_eq!(case.submit_with("2", metadata.clone()), ["run 2 on b"]);
    assert_eq!(case.submit_with("3", metadata), ["run 3 on a"]);
    assert_eq!(
        case.reply("a", "1", ReplyVerdict::Failed),
        ["reply 1 Failed"]
    );
}

/// The metadata of tasks of our clients.
fn rust() -> SchedulingMetadata {
    serde_json::from_str(r#"{"phalanx": {"abi": "rustc 1"}}"#).unwrap()
}

#[test]
fn tasks_run_only_on_engines_of_their_language() {
    let mut case = Case::new(1, &["python"]);
    case.joined_as("rust", Language::Rust);
    assert_eq!(case.submit_with("1", rust()), ["run 1 on rust"]);
    assert_eq!(case.submit_with("2", rust()), [""; 0]);
    assert_eq!(case.submit("3"), ["run 3 on python"]);
    assert_eq!(case.submit("4"), [""; 0]);
    let done = case.reply("python", "3", ReplyVerdict::Ok);
    assert_eq!(done, ["reply 3 Ok", "run 4 on python"]);
    let done = case.reply("rust", "1", ReplyVerdict::Ok);
    assert_eq!(done, ["reply 1 Ok", "run 2 on rust"]);
    // There is an engine, but none that can run the waiting tasks.
    assert_eq!(case.submit_with("5", rust()), [""; 0]);
    let left = case.left("rust");
    let nobody = "ImpossibleDependency(Language(Rust))";
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(left[1], format!("fail 5: {nobody}"));
    let described = case.submit_with("6", rust());
    assert_eq!(described, [format!("fail 6: {nobody}")]);
}

#[test]
fn a_task_does_not_wait_for_all_those_of_another_client() {
    let mut case = Case::new(1, &[]);
    case.joined_as("a", Language::Rust);
    let submit = |case: &mut Case, client: &str, name: &str| {
        describe(case.scheduler.submit(task_of(client, name), case.now))
    };
    for name in ["1", "2", "3", "4", "5"] {
        submit(&mut case, "many", name);
    }
    submit(&mut case, "few", "x");
    submit(&mut case, "few", "y");
    submit(&mut case, "one", "z");
    let mut order = Vec::new();
    let mut runs = "1".to_owned();
    while let [next] = case.reply("a", &runs, ReplyVerdict::Ok)[1..]
        .to_vec()
        .as_slice()
    {
        runs = next.split(' ').nth(1).unwrap().to_owned();
        order.push(runs.clone());
        if runs == "x" {
            // A client that always has a single task does not overtake the others, either.
            submit(&mut case, "one", "w");
        }
    }
    assert_eq!(order, ["2", "x", "z", "3", "y", "w", "4", "5"]);
}

#[test]
fn the_fair_queue_takes_one_message_of_small_tasks_per_turn() {
    let mut case = Case::new(1, &[]);
    case.joined_as("a", Language::Rust);
    for name in 0..20 {
        let batch = Some(BatchNo(1));
        let task = task_of("many", &name.to_string());
        case.scheduler
            .submit(BalancedTask { batch, ..task }, case.now);
    }
    case.scheduler.submit(task_of("one", "x"), case.now);
    assert_eq!(case.ended("a", 0..1, 5), runs(1..5, "a"));
    assert_eq!(case.ended("a", 1..5, 5), ["run x on a"]);
    assert_eq!(
        case.reply("a", "x", ReplyVerdict::Ok)[1..],
        runs(5..20, "a")
    );
}

#[test]
fn waiting_tasks_of_a_client_that_left_are_dropped_unless_retained() {
    let mut case = Case::new(1, &[]);
    case.joined_as("a", Language::Rust);
    for (client, name) in [("gone", "1"), ("gone", "2"), ("other", "3"), ("gone", "4")] {
        case.scheduler.submit(task_of(client, name), case.now);
    }
    let mut kept = task_of("gone", "5");
    kept.detached = true;
    case.scheduler.submit(kept, case.now);
    assert_eq!(
        describe(case.scheduler.client_left(b"gone")),
        ["fail 2: ClientLeft", "fail 4: ClientLeft"]
    );
    assert_eq!(case.scheduler.running_on(&engine("a")), [id("1")]);
    assert_eq!(case.scheduler.waiting(), [id("3"), id("5")]);
    let python = task("6", SchedulingMetadata::default());
    assert!(python.detached, "stock clients fetch their results later");
}

#[test]
fn a_deadline_that_overflows_is_none() {
    let mut case = Case::new(1, &[]);
    for timeout in [1e10, 1e19, 1e300] {
        let metadata = SchedulingMetadata {
            timeout,
            ..SchedulingMetadata::default()
        };
        assert_eq!(case.submit_with(&timeout.to_string(), metadata), [""; 0]);
    }
    assert_eq!(case.joined("a"), ["run 10000000000 on a"]);
}
