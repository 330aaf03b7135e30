//! An evaluator and a runtime for its cells, without a kernel.

#![allow(dead_code, reason = "each test uses its part")]

use phalanx_analysis::handle::AnalysisProcess;
use phalanx_evaluator::{Backend, Evaluator, EvaluatorConfig, EvaluatorMessage, analysis_config};
use phalanx_protocol::evaluator::{
    Compiled, CompiledCell, Evaluated, EvaluatorEvent, EvaluatorReply, EvaluatorRequest,
    NamespaceKind, RequestId, Toolchain, UnkeptVariable,
};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::host::HostReply;
use phalanx_protocol::id::{RunId, StateId};
use phalanx_protocol::output::{Output, StreamName};
use phalanx_protocol::runtime::Outcome;
use phalanx_runtime::{Runtime, RuntimeConfig, RuntimeEvent, StdinSource};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// rustc may have to build the library first.
pub const PATIENCE: Duration = Duration::from_secs(300);

pub fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples/evaluator_program")
}

pub struct Machine {
    pub runtime: Runtime,
    pub events: mpsc::Receiver<RuntimeEvent>,
    pub runs: u64,
    /// All artifacts that were run.
    pub artifacts: Vec<PathBuf>,
    /// The variables that the last cell did not keep.
    pub unkept: Vec<UnkeptVariable>,
}

impl Machine {
    pub async fn start(toolchain: &Toolchain) -> Self {
        let config = RuntimeConfig {
            program: program(),
            args: vec!["runtime".into()],
            env: Vec::new(),
            input: StdinSource::Nothing,
        };
        let (runtime, events) = Runtime::start(config).await.expect("a runtime");
        runtime.load(toolchain.libstd.clone());
        Self {
            runtime,
            events,
            runs: 0,
            artifacts: Vec::new(),
            unkept: Vec::new(),
        }
    }

    pub async fn run(&mut self, cell: CompiledCell) -> (String, Outcome) {
        self.runs += 1;
        self.artifacts.push(cell.artifact.clone());
        self.unkept.clone_from(&cell.unkept);
        self.runtime.run(RunId(self.runs), cell);
        let mut shown = String::new();
        loop {
            let event = timeout(PATIENCE, self.events.recv())
                .await
                .expect("in time")
                .expect("an event");
            match event {
                RuntimeEvent::Output { output, .. } => match output {
                    Output::Stream {
                        name: StreamName::Stdout,
                        text,
                    } => shown += &text,
                    Output::Stream { text, .. } => shown += &format!("[{text}]"),
                    Output::Result(data) => shown += &format!("={}", data.text().unwrap_or("?")),
                    Output::Display(display) => {
                        shown += &format!("<{}>", display.data.text().unwrap_or("?"))
                    }
                    Output::ClearOutput { .. } => shown += "clear",
                    Output::Data(_) => shown += "data",
                },
                RuntimeEvent::Ended { outcome, .. } => return (shown, outcome),
                RuntimeEvent::HostCall(call) => {
                    call.reply.send(HostReply::Failed(Failure::NoEngines))
                }
                other => panic!("unexpected {other:?}"),
            }
        }
    }
}

pub struct Session {
    pub analysis: Option<AnalysisProcess>,
    pub evaluator: Evaluator,
    pub messages: mpsc::UnboundedReceiver<EvaluatorMessage>,
    pub toolchain: Toolchain,
    pub requests: u64,
}

impl Session {
    pub async fn start(kind: NamespaceKind) -> Self {
        let config = analysis_config(program(), Backend::Evcxr);
        let (analysis, _) = AnalysisProcess::start(config).expect("an analysis process");
        let mut session = Self::asking(kind, Some(analysis.socket().to_owned())).await;
        session.analysis = Some(analysis);
        session
    }

    /// A session that requests types from the server of a socket.
    pub async fn asking(kind: NamespaceKind, analysis: Option<PathBuf>) -> Self {
        let config = EvaluatorConfig {
            program: program(),
            kind,
            backend: Backend::Evcxr,
            analysis,
        };
        let (evaluator, mut messages) = Evaluator::start(config).await.expect("an evaluator");
        let toolchain = loop {
            match timeout(PATIENCE, messages.recv())
                .await
                .expect("in time")
                .expect("a message")
            {
                EvaluatorMessage::Event(EvaluatorEvent::Ready(toolchain)) => break toolchain,
                EvaluatorMessage::Progress(_) => {}
                other => panic!("not ready: {other:?}"),
            }
        };
        Self {
            analysis: None,
            evaluator,
            messages,
            toolchain,
            requests: 0,
        }
    }

    pub fn id(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    pub async fn event(&mut self) -> EvaluatorEvent {
        loop {
            match timeout(PATIENCE, self.messages.recv())
                .await
                .expect("in time")
                .expect("a message")
            {
                EvaluatorMessage::Event(event) => return event,
                EvaluatorMessage::Progress(_) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    /// Evaluates a local cell; returns its output, its outcome, and the evaluator's reply.
    pub async fn cell(
        &mut self,
        machine: &mut Machine,
        source: &str,
    ) -> (String, Option<Outcome>, Result<Evaluated, Failure>) {
        let id = self.id();
        let started = Instant::now();
        self.evaluator.send(EvaluatorRequest::Evaluate {
            id,
            source: source.to_owned(),
        });
        let (mut shown, mut last) = (String::new(), None);
        loop {
            match self.event().await {
                EvaluatorEvent::Run(cell) => {
                    let (text, outcome) = machine.run(cell).await;
                    shown = text;
                    last = Some(outcome.clone());
                    self.evaluator.send(EvaluatorRequest::Ran { outcome });
                }
                EvaluatorEvent::Reply { result, .. } => {
                    println!(
                        "{:>6.0?} ms  {source:?}",
                        started.elapsed().as_secs_f64() * 1e3
                    );
                    let evaluated = result.map(|answer| match answer {
                        EvaluatorReply::Evaluated(evaluated) => evaluated,
                        other => panic!("unexpected {other:?}"),
                    });
                    return (shown, last, evaluated);
                }
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    pub async fn shown(&mut self, machine: &mut Machine, source: &str) -> String {
        let (shown, outcome, result) = self.cell(machine, source).await;
        assert!(result.is_ok(), "{source}: {result:?}");
        assert_eq!(outcome, Some(Outcome::Completed), "{source}");
        shown
    }

    /// Evaluates a local cell that must complete; returns the time in milliseconds as well.
    pub async fn timed(&mut self, machine: &mut Machine, source: &str) -> (String, f64) {
        let started = Instant::now();
        let shown = self.shown(machine, source).await;
        (shown, started.elapsed().as_secs_f64() * 1e3)
    }

    pub async fn compile(
        &mut self,
        source: &str,
        base: &StateId,
        next: &StateId,
        outcome: Outcome,
    ) -> Result<Compiled, Failure> {
        let id = self.id();
        let (source, base, next) = (source.to_owned(), base.clone(), next.clone());
        self.evaluator.send(EvaluatorRequest::Compile {
            replaced: Vec::new(),
            types: None,
            id,
            source,
            base,
            next,
            outcome,
        });
        match self.event().await {
            EvaluatorEvent::Reply {
                result: Ok(EvaluatorReply::Compiled(compiled)),
                ..
            } => Ok(*compiled),
            EvaluatorEvent::Reply {
                result: Err(failure),
                ..
            } => Err(failure),
            other => panic!("unexpected {other:?}"),
        }
    }
}
