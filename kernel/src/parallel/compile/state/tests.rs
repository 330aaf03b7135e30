use super::*;
use crate::report::report;
use phalanx_protocol::evaluator::{CompiledCell, EvaluatorReply};
use phalanx_protocol::failure::{Diagnostic, FailureKind};
use phalanx_protocol::id::DependenciesId;
use phalanx_protocol::parallel::{Dependencies, Lineage, StateRecord};

/// A compiler under test.
struct Bench {
    state: CompilerState,
    jobs: u64,
    /// The last compiled cell.
    compilation: Option<Compilation>,
}

impl Bench {
    fn new() -> Self {
        Self {
            state: CompilerState::new(),
            jobs: 0,
            compilation: None,
        }
    }

    /// Checks the commands that follow an event, one line each.
    #[track_caller]
    fn check(&mut self, event: CompilerEvent, expected: &[&str]) {
        let commands = self.state.handle(event);
        let seen: Vec<String> = commands.iter().map(describe).collect();
        assert_eq!(seen, expected);
        for command in commands {
            if let CompilerCommand::Finish {
                result: Ok(CompileJobResult::Compiled(compilation)),
                ..
            } = command
            {
                self.compilation = Some(*compilation);
            }
        }
    }

    #[track_caller]
    fn job(&mut self, job: CompileJob, expected: &[&str]) {
        self.jobs += 1;
        let event = CompilerEvent::Job {
            id: CompileJobId(self.jobs),
            job,
            has_cell: true,
        };
        self.check(event, expected);
    }

    #[track_caller]
    fn ready(&mut self, expected: &[&str]) {
        let toolchain = Toolchain {
            rustc: "rustc 1".to_owned(),
            ..Toolchain::default()
        };
        let event = CompilerEvent::Evaluator(EvaluatorEvent::Ready(toolchain));
        self.check(event, expected);
    }

    #[track_caller]
    fn compiled(&mut self, id: u64, expected: &[&str]) {
        let compiled = Compiled {
            cell: Some(CompiledCell::default()),
            ..Compiled::default()
        };
        let reply = EvaluatorReply::Compiled(Box::new(compiled));
        self.check(replied(id, Ok(reply)), expected);
    }

    #[track_caller]
    fn added(&mut self, id: u64, expected: &[&str]) {
        self.check(replied(id, Ok(EvaluatorReply::Added)), expected);
    }

    #[track_caller]
    fn exits(&mut self, expected: &[&str]) {
        let event = CompilerEvent::Exited {
            status: "signal 9".to_owned(),
            last_output: String::new(),
        };
        self.check(event, expected);
    }

    /// Adopts a lineage with an evaluator that has compiled nothing but the kernel's dependency
    /// `own`, up to the first dependency of the lineage.
    fn adopting(lineage: Lineage) -> Self {
        let mut bench = Self::new();
        let own = CompileJob::AddDependency("own".to_owned());
        bench.job(own, &["begin 1", "finish 1: done"]);
        bench.job(CompileJob::Warm, &["begin 2", "start evaluator"]);
        bench.ready(&["1: add own"]);
        bench.added(1, &["finish 2: done"]);
        let adopt = CompileJob::Adopt(Box::new(lineage));
        bench.job(adopt, &["begin 3", "kill evaluator", "start evaluator"]);
        bench.ready(&["2: add theirs"]);
        bench
    }
}

fn describe(command: &CompilerCommand) -> String {
    match command {
        CompilerCommand::Begin(job) => format!("begin {}", job.0),
        CompilerCommand::StartEvaluator => "start evaluator".to_owned(),
        CompilerCommand::KillEvaluator => "kill evaluator".to_owned(),
        CompilerCommand::InterruptEvaluator => "interrupt evaluator".to_owned(),
        CompilerCommand::Send(EvaluatorRequest::Compile {
            id, source, base, ..
        }) => {
            let base = if *base == StateId::empty() {
                "empty"
            } else {
                "there"
            };
            format!("{}: compile {source} from {base}", id.0)
        }
        CompilerCommand::Send(EvaluatorRequest::AddDependency { id, spec }) => {
            format!("{}: add {spec}", id.0)
        }
        CompilerCommand::Send(other) => format!("{other:?}"),
        CompilerCommand::ReadArtifacts { .. } => "read artifacts".to_owned(),
        CompilerCommand::RecordForeignCell(count, source) => format!("record {source} [{count}]"),
        CompilerCommand::Finish {
            job,
            result,
            notices,
        } => {
            let result = match result {
                Ok(CompileJobResult::Compiled(_)) => "compiled".to_owned(),
                Ok(CompileJobResult::Done) => "done".to_owned(),
                Err(failure) => report(&failure.clone().into()).ename,
            };
            let notices = match notices.len() {
                0 => String::new(),
                count => format!(", {count} notices"),
            };
            format!("finish {}: {result}{notices}", job.0)
        }
    }
}

fn cell(source: &str, base: &StateId) -> CompileJob {
    CompileJob::Compile(CompileTask {
        base: base.clone(),
        source: source.into(),
        lost: Vec::new(),
        execution_count: 1,
    })
}

fn replied(id: u64, result: Result<EvaluatorReply, Failure>) -> CompilerEvent {
    let id = RequestId(id);
    CompilerEvent::Evaluator(EvaluatorEvent::Reply { id, result })
}

fn read() -> CompilerEvent {
    CompilerEvent::ArtifactsRead(Ok(Vec::new()))
}

fn broken() -> Failure {
    Failure::new(FailureKind::Environment, "broken", None)
}

fn compile_error(message: &str) -> Failure {
    Failure::Compile {
        diagnostics: vec![Diagnostic {
            message: message.to_owned(),
            code: None,
            spans: Vec::new(),
            help: Vec::new(),
            rendered: None,
            earlier: None,
        }],
    }
}

/// Returns a lineage of one cell, `let w = 1;`, compiled with the dependency `theirs`.
fn lineage() -> Lineage {
    let dependencies = Dependencies {
        specs: vec!["theirs".to_owned()],
        packages: Vec::new(),
    };
    let id = DependenciesId::new("d");
    let record = StateRecord {
        state: StateId::new("w"),
        base: StateId::empty(),
        source: "let w = 1;".to_owned(),
        cell: 4,
        types: Vec::new(),
        binds: None,
        outcome: Outcome::Completed,
        abi: "rustc 1".to_owned(),
        dependencies: id.clone(),
    };
    Lineage {
        state: record.state.clone(),
        records: vec![record],
        dependencies: [(id, dependencies)].into(),
        pushed: Vec::new(),
    }
}

/// Returns a compiler that has compiled the cell A, and the state to which A leads.
fn after_a() -> (Bench, StateId) {
    let mut bench = Bench::new();
    let job = cell("A", &StateId::empty());
    bench.job(job, &["begin 1", "start evaluator"]);
    bench.ready(&["1: compile A from empty"]);
    bench.compiled(1, &["read artifacts"]);
    bench.check(read(), &["finish 1: compiled"]);
    let next = bench.compilation.take().unwrap().next;
    (bench, next)
}

#[test]
fn jobs_are_done_one_after_the_other() {
    let (mut bench, a) = after_a();
    bench.job(cell("B", &a), &["begin 2", "2: compile B from there"]);
    bench.job(cell("C", &a), &[]);
    bench.check(replied(1, Err(broken())), &[]);
    bench.compiled(2, &["read artifacts"]);
    bench.check(
        read(),
        &["finish 2: compiled", "begin 3", "3: compile C from there"],
    );
    let failure = replied(3, Err(compile_error("wrong")));
    bench.check(failure, &["finish 3: CompileError"]);
}

#[test]
fn an_interrupt_reaches_an_evaluator_that_is_working() {
    let interrupted = &["interrupt evaluator"];
    let mut bench = Bench::new();
    bench.check(CompilerEvent::Interrupt, &[]);
    bench.job(CompileJob::Warm, &["begin 1", "start evaluator"]);
    bench.check(CompilerEvent::Interrupt, interrupted);
    bench.ready(&["finish 1: done"]);
    bench.check(CompilerEvent::Interrupt, &[]);
    let job = cell("A", &StateId::empty());
    bench.job(job, &["begin 2", "1: compile A from empty"]);
    bench.check(CompilerEvent::Interrupt, interrupted);
    bench.compiled(1, &["read artifacts"]);
    bench.check(CompilerEvent::Interrupt, &[]);
}

#[test]
fn a_second_evaluator_compiles_all_that_led_to_a_state() {
    let (mut bench, a) = after_a();
    bench.job(cell("B", &a), &["begin 2", "2: compile B from there"]);
    bench.exits(&["start evaluator"]);
    bench.ready(&["3: compile A from empty"]);
    bench.compiled(3, &["4: compile B from there"]);
    // A third evaluator would not help.
    bench.exits(&["finish 2: EnvironmentError"]);
}

#[test]
fn an_evaluator_that_ends_at_rest_is_replaced_by_the_next_job() {
    let (mut bench, a) = after_a();
    bench.exits(&[]);
    bench.job(cell("B", &a), &["begin 2", "start evaluator"]);
    bench.ready(&["2: compile A from empty"]);
    bench.exits(&["start evaluator"]);
}

#[test]
fn an_evaluator_that_ends_before_it_is_ready_fails_the_job() {
    let mut bench = Bench::new();
    let job = || cell("A", &StateId::empty());
    bench.job(job(), &["begin 1", "start evaluator"]);
    bench.exits(&["finish 1: EnvironmentError"]);
    bench.job(job(), &["begin 2", "start evaluator"]);
    let not_started = CompilerEvent::NotStarted(broken());
    bench.check(not_started, &["finish 2: EnvironmentError"]);
    bench.job(job(), &["begin 3", "start evaluator"]);
    let failed = EvaluatorEvent::StartFailed { failure: broken() };
    bench.check(
        CompilerEvent::Evaluator(failed),
        &["kill evaluator", "finish 3: EnvironmentError"],
    );
}

#[test]
fn a_new_evaluator_first_adds_the_dependencies() {
    let mut bench = Bench::new();
    for (job, spec) in [(1, "a"), (2, "b"), (3, "a")] {
        let lines = [format!("begin {job}"), format!("finish {job}: done")];
        let job = CompileJob::AddDependency(spec.to_owned());
        bench.job(job, &[&lines[0], &lines[1]]);
    }
    let job = || cell("A", &StateId::empty());
    bench.job(job(), &["begin 4", "start evaluator"]);
    bench.ready(&["1: add a"]);
    bench.added(1, &["2: add b"]);
    // It is not ready, so that another one would fare no better.
    let failed = &["kill evaluator", "finish 4: EnvironmentError"];
    bench.check(replied(2, Err(broken())), failed);
    bench.job(job(), &["begin 5", "start evaluator"]);
    bench.ready(&["3: add a"]);
    bench.exits(&["finish 5: EnvironmentError"]);
}

#[test]
fn a_dependency_that_cannot_be_added_is_not_added_later() {
    let (mut bench, a) = after_a();
    let add = |spec: &str| CompileJob::AddDependency(spec.to_owned());
    bench.job(add("good"), &["begin 2", "2: add good"]);
    bench.added(2, &["finish 2: done"]);
    bench.job(add("bad"), &["begin 3", "3: add bad"]);
    bench.check(replied(3, Err(broken())), &["finish 3: EnvironmentError"]);
    bench.exits(&[]);
    bench.job(cell("B", &a), &["begin 4", "start evaluator"]);
    bench.ready(&["4: add good"]);
    bench.added(4, &["5: compile A from empty"]);
}

#[test]
fn cells_of_another_rustc_are_not_adopted() {
    let mut bench = Bench::new();
    let mut lineage = lineage();
    lineage.records[0].abi = "rustc 2".to_owned();
    let adopt = CompileJob::Adopt(Box::new(lineage));
    bench.job(adopt, &["begin 1", "start evaluator"]);
    bench.ready(&["finish 1: EnvironmentError"]);
    let unknown = bench.state.lineages().uncompiled(&StateId::new("w"));
    assert!(unknown.is_err());
}

#[test]
fn dependencies_of_adopted_cells_are_added_before_those_of_this_kernel() {
    let mut bench = Bench::adopting(lineage());
    bench.added(2, &["3: compile (); from empty"]);
    bench.compiled(3, &["4: compile let w = 1; from empty"]);
    bench.compiled(4, &["record let w = 1; [4]", "5: add own"]);
    bench.added(5, &["finish 3: done"]);
    let job = cell("A", &StateId::new("w"));
    bench.job(job, &["begin 4", "6: compile A from there"]);
}

#[test]
fn a_dependency_that_cannot_be_built_here_is_left_out() {
    let mut bench = Bench::adopting(lineage());
    bench.added(2, &["3: compile (); from empty"]);
    let failure = replied(3, Err(compile_error("no `theirs`")));
    bench.check(failure, &["kill evaluator", "start evaluator"]);
    bench.ready(&["4: compile let w = 1; from empty"]);
    // Its statements that need the dependency are left out, too.
    let failure = replied(4, Err(compile_error("no `theirs`")));
    bench.check(failure, &["5: compile (); from empty"]);
    bench.compiled(5, &["record let w = 1; [4]", "6: add own"]);
    bench.added(6, &["finish 3: done, 2 notices"]);
}

#[test]
fn a_failed_adoption_leaves_the_dependencies_of_this_kernel() {
    let mut bench = Bench::adopting(lineage());
    bench.check(replied(2, Err(broken())), &["3: add own"]);
    bench.added(3, &["finish 3: EnvironmentError"]);
    let unknown = bench.state.lineages().uncompiled(&StateId::new("w"));
    assert!(unknown.is_err());

    let mut bench = Bench::adopting(lineage());
    bench.check(replied(2, Err(broken())), &["3: add own"]);
    bench.exits(&["finish 3: EnvironmentError"]);
    bench.job(CompileJob::Warm, &["begin 4", "start evaluator"]);
    bench.ready(&["4: add own"]);
}

#[test]
fn a_second_evaluator_goes_on_with_an_adoption() {
    let mut bench = Bench::adopting(lineage());
    bench.exits(&["start evaluator"]);
    // The order of dependencies is established anew.
    bench.ready(&["3: add own"]);
    bench.added(3, &["kill evaluator", "start evaluator"]);
    bench.ready(&["4: add theirs"]);
    bench.added(4, &["5: compile (); from empty"]);
    bench.compiled(5, &["6: compile let w = 1; from empty"]);
    bench.exits(&["finish 3: EnvironmentError"]);
    bench.job(CompileJob::Warm, &["begin 4", "start evaluator"]);
    bench.ready(&["7: add theirs"]);
    bench.added(7, &["8: add own"]);
}
