use super::*;
use phalanx_protocol::evaluator::{DroppedVariables, Evaluated, UnkeptReason, UnkeptVariable};
use phalanx_protocol::failure::{Diagnostic, Panic};

/// A namespace with events and commands described in words.
struct Bench {
    state: LocalState,
}

impl Bench {
    fn new() -> Self {
        Self {
            state: LocalState::new().0,
        }
    }

    /// Returns a namespace whose evaluator and runtime have started.
    fn up() -> Self {
        let mut bench = Self::new();
        bench.state.handle(LocalEvent::RuntimeStarted);
        bench.state.handle(ready());
        bench
    }

    fn check(&mut self, event: LocalEvent, expected: &[&str]) {
        let commands = self.state.handle(event);
        let seen: Vec<String> = commands.iter().map(describe).collect();
        assert_eq!(seen, expected);
    }

    fn evaluate(&mut self, job: u64, source: &str) {
        self.state.handle(evaluate(job, source));
    }
}

fn describe(command: &LocalCommand) -> String {
    match command {
        LocalCommand::StartEvaluator => "start evaluator".into(),
        LocalCommand::KillEvaluator => "kill evaluator".into(),
        LocalCommand::InterruptEvaluator => "interrupt evaluator".into(),
        LocalCommand::Send(EvaluatorRequest::Evaluate { id, source }) => {
            format!("evaluate {} {source}", id.0)
        }
        LocalCommand::Send(EvaluatorRequest::Ran { outcome }) => {
            let outcome = format!("{outcome:?}");
            format!("ran {}", outcome.split([' ', '(', '{']).next().unwrap())
        }
        LocalCommand::Send(_) => "ask".into(),
        LocalCommand::StartRuntime => "start runtime".into(),
        LocalCommand::InterruptRuntime => "interrupt runtime".into(),
        LocalCommand::Load(path) => format!("load {}", path.display()),
        LocalCommand::Run { run, .. } => format!("run {run}"),
        LocalCommand::RunCallbacks { job, run } => format!("run callbacks {} as {run}", job.0),
        LocalCommand::CallbacksCalled { job } => format!("callbacks called {}", job.0),
        LocalCommand::CallbacksEnded { job, failure } => match failure {
            None => format!("callbacks ended {}", job.0),
            Some(failure) => format!("callbacks ended {} {failure:?}", job.0),
        },
        LocalCommand::Progress { line, .. } => format!("progress {line}"),
        LocalCommand::ShowNotice { notice, .. } => match notice {
            Notice::Lost(names) => format!("lost {}", names.join(" ")),
            Notice::ProcessEnded(_, names) => format!("lost at rest {}", names.join(" ")),
            Notice::Allocator => "allocator".to_owned(),
            Notice::OnEngines(engines, _) => format!("on {} engines", engines.len()),
            Notice::Dropped(dropped) => format!("dropped {}", dropped.names.join(" ")),
            Notice::Unkept(variables) => format!("unkept {}", variables.len()),
            Notice::Misfit { item, .. } => format!("misfit {item}"),
            Notice::LeftOut(_) | Notice::DependencyLeftOut(..) => "left out".to_owned(),
            Notice::Silent(engines) => format!("{} silent", engines.len()),
            Notice::ConnectionLost(_) | Notice::ConnectionBack => "connection".to_owned(),
        },
        LocalCommand::Reply { job, result } => match result {
            Ok(_) => format!("{} ok", job.0),
            Err(Failure::Interrupted { lost }) => {
                format!("{} interrupted {}", job.0, lost.join(" "))
            }
            Err(Failure::RuntimeDied { lost, .. }) => format!("{} died {}", job.0, lost.join(" ")),
            Err(Failure::Raised { failure, location }) => {
                format!("{} {failure:?} at {location}", job.0)
            }
            Err(failure) => {
                let failure = format!("{failure:?}");
                format!(
                    "{} {}",
                    job.0,
                    failure.split([' ', '(', '{']).next().unwrap()
                )
            }
        },
    }
}

fn evaluate(job: u64, source: &str) -> LocalEvent {
    LocalEvent::Evaluate {
        job: JobId(job),
        cell: job as usize,
        source: source.into(),
    }
}

fn ready() -> LocalEvent {
    LocalEvent::Message(EvaluatorMessage::Event(EvaluatorEvent::Ready(Toolchain {
        libstd: "std".into(),
        ..Toolchain::default()
    })))
}

fn compiled() -> LocalEvent {
    LocalEvent::Message(EvaluatorMessage::Event(EvaluatorEvent::Run(CompiledCell {
        artifact: "cell".into(),
        entry: "f".into(),
        has_result: false,
        lines: Vec::new(),
        dropped: DroppedVariables::default(),
        unkept: Vec::new(),
    })))
}

fn replied(id: u64, variables: &[&str]) -> LocalEvent {
    let variables = variables
        .iter()
        .map(|name| ((*name).to_owned(), String::new()));
    let evaluated = Evaluated {
        variables: variables.collect(),
        ..Evaluated::default()
    };
    LocalEvent::Message(EvaluatorMessage::Event(EvaluatorEvent::Reply {
        id: RequestId(id),
        result: Ok(EvaluatorReply::Evaluated(evaluated)),
    }))
}

fn failed(id: u64, failure: Failure) -> LocalEvent {
    LocalEvent::Message(EvaluatorMessage::Event(EvaluatorEvent::Reply {
        id: RequestId(id),
        result: Err(failure),
    }))
}

fn ended(run: u64, outcome: Outcome) -> LocalEvent {
    LocalEvent::Ended {
        run: RunId(run),
        outcome,
    }
}

fn evaluator_exited() -> LocalEvent {
    LocalEvent::Message(EvaluatorMessage::Exited {
        status: "signal 9".into(),
        last_output: String::new(),
    })
}

fn died() -> Outcome {
    Outcome::Died {
        status: RuntimeExit::Signal(6),
    }
}

fn panicked() -> Outcome {
    Outcome::Panicked(Panic {
        message: "x".into(),
        location: None,
    })
}

#[test]
fn a_cell_waits_for_the_evaluator_and_then_for_the_runtime() {
    let mut bench = Bench::new();
    bench.check(evaluate(1, "a"), &[]);
    bench.check(ready(), &["evaluate 1 a"]);
    bench.check(compiled(), &[]);
    bench.check(LocalEvent::RuntimeStarted, &["load std", "run 1"]);
    bench.check(ended(1, Outcome::Completed), &["ran Completed"]);
    bench.check(replied(1, &["a"]), &["1 ok"]);
    assert_eq!(bench.state.variables(), ["a"]);
}

#[test]
fn outcomes_become_failures() {
    for (outcome, expected) in [
        (panicked(), "1 Panic"),
        (
            Outcome::Errored {
                message: "e".into(),
                failure: None,
                location: None,
            },
            "1 Error",
        ),
        (
            Outcome::Errored {
                message: "e".into(),
                failure: Some(Box::new(Failure::NoEngines)),
                location: Some("cell:3:9".into()),
            },
            "1 NoEngines at cell:3:9",
        ),
        (
            Outcome::Errored {
                message: "e".into(),
                failure: Some(Box::new(Failure::Interrupted { lost: Vec::new() })),
                location: Some("cell:3:9".into()),
            },
            "1 interrupted ",
        ),
        (died(), "1 died "),
    ] {
        let mut bench = Bench::up();
        bench.evaluate(1, "a");
        bench.state.handle(compiled());
        bench.state.handle(ended(1, outcome));
        bench.check(replied(1, &[]), &[expected]);
    }
}

#[test]
fn a_dead_runtime_loses_the_variables_and_is_replaced() {
    let mut bench = Bench::up();
    bench.evaluate(1, "a");
    bench.state.handle(replied(1, &["a", "b"]));
    bench.evaluate(2, "b");
    bench.check(compiled(), &["run 1"]);
    bench.check(ended(1, died()), &["ran Died"]);
    bench.check(
        LocalEvent::Exited {
            status: RuntimeExit::Signal(6),
        },
        &["start runtime"],
    );
    bench.check(replied(2, &[]), &["2 died a b"]);
    bench.check(LocalEvent::RuntimeStarted, &["load std"]);
    assert!(bench.state.variables().is_empty());
}

#[test]
fn a_runtime_that_dies_between_cells_restarts_the_evaluator() {
    let mut bench = Bench::up();
    bench.evaluate(1, "a");
    bench.state.handle(compiled());
    bench.state.handle(ended(1, Outcome::Completed));
    bench.state.handle(replied(1, &["a"]));
    bench.check(
        LocalEvent::Exited {
            status: RuntimeExit::Signal(11),
        },
        &["start runtime", "start evaluator"],
    );
    bench.check(evaluate(2, "a"), &[]);
    bench.check(ready(), &["evaluate 2 a"]);
    bench.check(compiled(), &["ran Died"]);
    bench.check(replied(2, &[]), &["lost at rest a", "evaluate 3 a"]);
}

#[test]
fn a_run_that_was_not_received_ends_with_its_runtime() {
    let mut bench = Bench::up();
    bench.evaluate(1, "a");
    bench.state.handle(compiled());
    let exited = LocalEvent::Exited {
        status: RuntimeExit::Signal(9),
    };
    bench.check(exited, &["start runtime", "ran Died"]);
    bench.check(ended(1, died()), &[]);
    bench.check(replied(1, &[]), &["1 died "]);
}

#[test]
fn a_new_evaluator_is_sent_every_cell_and_none_runs() {
    let mut bench = Bench::up();
    for (job, outcome) in [(1, Outcome::Completed), (2, panicked())] {
        bench.evaluate(job, &format!("cell {job}"));
        bench.state.handle(compiled());
        bench.state.handle(ended(job, outcome));
        bench.state.handle(replied(job, &["a"]));
    }
    bench.evaluate(3, "bad");
    bench.check(
        failed(
            3,
            Failure::Compile {
                diagnostics: vec![],
            },
        ),
        &["3 Compile"],
    );
    bench.check(evaluator_exited(), &["start evaluator"]);
    bench.check(evaluate(4, "next"), &[]);
    bench.check(ready(), &["evaluate 4 cell 1"]);
    bench.check(compiled(), &["ran Completed"]);
    bench.check(replied(4, &["a"]), &["evaluate 5 cell 2"]);
    bench.check(compiled(), &["ran Panicked"]);
    bench.check(replied(5, &["a"]), &["evaluate 6 next"]);
    assert_eq!(bench.state.variables(), ["a"]);
}

#[test]
fn a_cell_whose_evaluator_died_is_compiled_once_more() {
    let mut bench = Bench::up();
    bench.evaluate(1, "a");
    bench.check(evaluator_exited(), &["start evaluator"]);
    bench.check(ready(), &["evaluate 2 a"]);
    bench.check(evaluator_exited(), &["start evaluator", "1 Environment"]);
    bench.check(ready(), &[]);
}

#[test]
fn a_cell_outlives_the_evaluator_that_compiled_it() {
    let mut bench = Bench::up();
    bench.evaluate(1, "a");
    bench.state.handle(compiled());
    bench.check(evaluator_exited(), &["start evaluator"]);
    bench.check(ended(1, Outcome::Completed), &["1 ok"]);
    bench.check(ready(), &["evaluate 2 a"]);
    bench.check(compiled(), &["ran Completed"]);
}

#[test]
fn an_evaluator_that_does_not_start_fails_the_waiting_cells_and_the_next_cell_starts_another() {
    let mut bench = Bench::new();
    bench.evaluate(1, "a");
    let failure = Failure::Environment {
        message: "no rustc".into(),
        hint: None,
    };
    let not_started = EvaluatorEvent::StartFailed { failure };
    bench.check(
        LocalEvent::Message(EvaluatorMessage::Event(not_started)),
        &["1 Environment"],
    );
    bench.check(evaluator_exited(), &[]);
    bench.check(evaluate(2, "b"), &["start evaluator"]);
    bench.check(ready(), &["evaluate 1 b"]);
}

#[test]
fn the_effect_of_an_interrupt_depends_on_the_phase_of_the_cell() {
    let mut bench = Bench::up();
    bench.check(LocalEvent::Interrupt, &[]);

    bench.evaluate(1, "compiling");
    bench.check(LocalEvent::Interrupt, &["interrupt evaluator"]);
    bench.check(
        failed(1, Failure::Interrupted { lost: vec![] }),
        &["1 interrupted "],
    );

    bench.evaluate(2, "compiled just now");
    bench.state.handle(LocalEvent::Interrupt);
    bench.check(compiled(), &["ran Abandoned"]);
    bench.check(replied(2, &["v"]), &["2 interrupted "]);

    bench.evaluate(3, "running");
    bench.check(compiled(), &["run 1"]);
    bench.check(LocalEvent::Interrupt, &["interrupt runtime"]);
    bench.check(ended(1, died()), &["ran Died"]);
    bench.check(replied(3, &[]), &["3 interrupted v"]);

    bench.evaluate(4, "does not stop compiling");
    bench.check(LocalEvent::Interrupt, &["interrupt evaluator"]);
    bench.check(LocalEvent::Interrupt, &["kill evaluator"]);
    bench.check(evaluator_exited(), &["start evaluator", "4 interrupted "]);
}

#[test]
fn an_abandoned_cell_changes_nothing() {
    let mut bench = Bench::up();
    bench.evaluate(1, "a");
    bench.check(compiled(), &["run 1"]);
    bench.check(ended(1, Outcome::Completed), &["ran Completed"]);
    bench.check(replied(1, &["v"]), &["1 ok"]);
    let abandoned = || Outcome::Abandoned {
        status: RuntimeExit::Signal(11),
    };
    bench.evaluate(2, "crashes");
    bench.check(compiled(), &["run 2"]);
    bench.check(ended(2, abandoned()), &["ran Abandoned"]);
    bench.check(replied(2, &["v"]), &["2 died "]);
    assert_eq!(bench.state.variables(), ["v"]);
    bench.evaluate(3, "is stopped");
    bench.check(compiled(), &["run 3"]);
    bench.check(LocalEvent::Interrupt, &["interrupt runtime"]);
    bench.check(ended(3, abandoned()), &["ran Abandoned"]);
    bench.check(replied(3, &["v"]), &["3 interrupted "]);
    assert_eq!(bench.state.variables(), ["v"]);
    // The new evaluator receives the first cell only.
    bench.check(evaluator_exited(), &["start evaluator"]);
    bench.check(ready(), &["evaluate 4 a"]);
}

#[test]
fn an_interrupt_after_the_end_of_a_cell_undoes_nothing() {
    let mut bench = Bench::up();
    bench.evaluate(1, "a");
    bench.state.handle(compiled());
    bench.state.handle(ended(1, Outcome::Completed));
    bench.state.handle(LocalEvent::Interrupt);
    bench.check(replied(1, &["a"]), &["1 ok"]);
}

#[test]
fn cells_that_wait_for_the_evaluator_can_be_interrupted() {
    let mut bench = Bench::new();
    bench.evaluate(1, "a");
    bench.check(LocalEvent::Interrupt, &["1 interrupted "]);
    bench.check(ready(), &[]);
}

#[test]
fn a_runtime_that_does_not_start_fails_the_cell_and_the_next_cell_starts_another() {
    let mut bench = Bench::new();
    bench.state.handle(ready());
    bench.evaluate(1, "a");
    bench.state.handle(compiled());
    let reason = "no process".into();
    bench.check(LocalEvent::RuntimeNotStarted { reason }, &["ran Died"]);
    bench.check(replied(1, &[]), &["1 died "]);
    bench.evaluate(2, "b");
    bench.check(compiled(), &["start runtime"]);
    bench.check(LocalEvent::RuntimeStarted, &["load std", "run 1"]);
}

#[test]
fn a_command_that_empties_the_namespace_gets_a_new_runtime() {
    for (source, expected) in [
        (":restart", &["start runtime", "1 ok"][..]),
        (":clear // everything", &["start runtime", "1 ok"]),
        (":vars", &["1 ok"]),
        ("let restart = 1;", &["1 ok"]),
    ] {
        let mut bench = Bench::up();
        bench.evaluate(1, source);
        bench.check(replied(1, &[]), expected);
    }
}

#[test]
fn an_edited_cell_sees_the_finished_cells_and_the_running_one() {
    let mut bench = Bench::up();
    bench.evaluate(1, "a");
    bench.check(replied(1, &["v"]), &["1 ok"]);
    bench.evaluate(2, "b");
    let scope = bench.state.scope();
    assert_eq!(
        (scope.sources, scope.running),
        (vec!["a".into()], Some("b".into()))
    );
    let names = scope.variables.iter().map(|(name, _)| name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["v"]);
}

#[test]
fn lost_variables_are_reported_and_the_cell_is_compiled_again() {
    let mut bench = Bench::up();
    bench.evaluate(1, "a");
    bench.state.handle(compiled());
    bench.check(
        ended(1, Outcome::VariablesLost(vec!["v".into()])),
        &["lost v", "ran VariablesLost"],
    );
    bench.check(compiled(), &["run 2"]);
    bench.check(ended(2, Outcome::Completed), &["ran Completed"]);
    bench.check(replied(1, &[]), &["1 ok"]);
}

#[test]
fn builds_during_the_start_of_the_evaluator_are_shown_in_the_waiting_cell() {
    let line = || LocalEvent::Message(EvaluatorMessage::Progress("Compiling serde".into()));
    let mut bench = Bench::new();
    bench.check(line(), &[]);
    bench.evaluate(1, "1");
    bench.check(line(), &["progress Compiling serde"]);
}

#[test]
fn moves_by_a_cell_that_panicked_are_recorded() {
    let mut bench = Bench::up();
    bench.evaluate(1, "let v = x");
    bench.state.handle(compiled());
    bench.state.handle(ended(1, Outcome::Completed));
    bench.state.handle(replied(1, &["v"]));
    bench.evaluate(2, "move v; panic");
    bench.state.handle(compiled());
    bench.state.handle(ended(2, panicked()));
    let evaluated = Evaluated {
        moved: vec!["v".into()],
        ..Evaluated::default()
    };
    let reply = EvaluatorEvent::Reply {
        id: RequestId(2),
        result: Ok(EvaluatorReply::Evaluated(evaluated)),
    };
    let reply = LocalEvent::Message(EvaluatorMessage::Event(reply));
    bench.check(reply, &["2 Panic"]);
    assert_eq!(
        bench.state.missing_variables().by("v"),
        Some(crate::context::CellName::Own(2))
    );
}

#[test]
fn the_missing_definitions_of_a_cell_that_panicked_are_recorded() {
    let mut bench = Bench::up();
    bench.evaluate(1, "let v = x; panic");
    bench.state.handle(compiled());
    bench.state.handle(ended(1, panicked()));
    bench.check(replied(1, &[]), &["1 Panic"]);
    let diagnostic = Diagnostic {
        message: "cannot find value `v` in this scope".into(),
        code: Some("E0425".into()),
        spans: Vec::new(),
        help: Vec::new(),
        rendered: None,
        earlier: None,
    };
    let failure = Failure::Compile {
        diagnostics: vec![diagnostic],
    };
    let Failure::Compile { diagnostics } = bench.state.missing_variables().explain(failure) else {
        panic!()
    };
    assert!(diagnostics[0].help[0].starts_with("In[1] failed"));
}

fn run_callbacks(job: u64) -> LocalEvent {
    LocalEvent::RunCallbacks { job: JobId(job) }
}

#[test]
fn callbacks_run_between_cells_one_after_the_other() {
    let mut bench = Bench::up();
    bench.check(run_callbacks(1), &["run callbacks 1 as 1"]);
    bench.check(run_callbacks(2), &["callbacks called 2"]);
    bench.check(
        ended(1, Outcome::Completed),
        &["callbacks ended 1", "run callbacks 2 as 2"],
    );
    bench.check(ended(2, Outcome::Completed), &["callbacks ended 2"]);
}

#[test]
fn a_frontend_does_not_wait_for_the_running_cell_and_the_callbacks() {
    let mut bench = Bench::up();
    bench.evaluate(1, "a");
    bench.check(compiled(), &["run 1"]);
    bench.check(run_callbacks(2), &["callbacks called 2"]);
    bench.check(
        ended(1, Outcome::Completed),
        &["ran Completed", "run callbacks 2 as 2"],
    );
    bench.check(replied(1, &[]), &["1 ok"]);
    bench.check(ended(2, Outcome::Completed), &["callbacks ended 2"]);
}

#[test]
fn a_compiled_cell_waits_for_the_callbacks() {
    let mut bench = Bench::up();
    bench.evaluate(1, "a");
    bench.check(run_callbacks(2), &["run callbacks 2 as 1"]);
    bench.check(compiled(), &[]);
    bench.check(
        ended(1, Outcome::Completed),
        &["callbacks ended 2", "run 2"],
    );
}

#[test]
fn without_a_run_there_are_no_callbacks() {
    let mut bench = Bench::new();
    bench.check(run_callbacks(1), &["callbacks ended 1"]);
}

#[test]
fn variables_that_are_dropped_for_a_cell_are_listed_before_it_runs() {
    let mut bench = Bench::up();
    bench.evaluate(1, "struct A");
    let cell = CompiledCell {
        dropped: DroppedVariables {
            names: vec!["a".into(), "b".into()],
            rebuilt: Vec::new(),
        },
        ..CompiledCell::default()
    };
    let compiled = LocalEvent::Message(EvaluatorMessage::Event(EvaluatorEvent::Run(cell)));
    bench.check(compiled, &["dropped a b", "run 1"]);
}

#[test]
fn variables_that_are_not_kept_are_listed_after_the_cell() {
    let mut bench = Bench::up();
    bench.evaluate(1, "let f");
    let cell = CompiledCell {
        unkept: vec![UnkeptVariable {
            name: "f".into(),
            reason: UnkeptReason::Closure,
        }],
        ..CompiledCell::default()
    };
    let compiled = LocalEvent::Message(EvaluatorMessage::Event(EvaluatorEvent::Run(cell)));
    bench.check(compiled, &["run 1"]);
    bench.check(
        LocalEvent::Ended {
            run: RunId(1),
            outcome: Outcome::Completed,
        },
        &["unkept 1", "ran Completed"],
    );
}
