//! A runtime process under test, running scripts instead of compiled cells.

#![allow(dead_code, reason = "not every test file needs all of it")]

use phalanx_protocol::evaluator::CompiledCell;
use phalanx_protocol::id::RunId;
use phalanx_protocol::output::{Output, StreamName};
use phalanx_protocol::payload::Payload;
use phalanx_protocol::runtime::Outcome;
use phalanx_runtime::{FunctionCall, Runtime, RuntimeConfig, RuntimeEvent, StdinSource};
use rustix::process::{Pid, Signal};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// The timeout of the tests for one event.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Session {
    pub runtime: Runtime,
    pub events: mpsc::Receiver<RuntimeEvent>,
    pub folder: TempDir,
    runs: u64,
}

pub fn program() -> RuntimeConfig {
    RuntimeConfig {
        program: PathBuf::from(env!("CARGO_BIN_EXE_phalanx-echo-runtime")),
        args: Vec::new(),
        env: Vec::new(),
        input: StdinSource::Nothing,
    }
}

impl Session {
    pub async fn start() -> Self {
        let (runtime, events) = Runtime::start(program()).await.expect("a runtime");
        Self {
            runtime,
            events,
            folder: TempDir::new().expect("a folder"),
            runs: 0,
        }
    }

    fn artifact(&mut self, script: &str) -> PathBuf {
        self.runs += 1;
        let artifact = self.folder.path().join(format!("cell{}", self.runs));
        std::fs::write(&artifact, format!("#!echo\n{script}")).expect("a script");
        artifact
    }

    pub fn submit(&mut self, script: &str) -> RunId {
        let artifact = self.artifact(script);
        let cell = CompiledCell {
            artifact,
            entry: "run".into(),
            has_result: script.contains("result"),
            ..CompiledCell::default()
        };
        self.runtime.run(RunId(self.runs), cell);
        RunId(self.runs)
    }

    /// Calls a script as a function.
    pub fn submit_call(&mut self, script: &str, args: Vec<u8>) -> RunId {
        let call = FunctionCall {
            artifact: self.artifact(script),
            offset: 0,
            args: Payload::read(args.into()),
        };
        self.runtime.call(RunId(self.runs), call);
        RunId(self.runs)
    }

    /// Calls a script; returns its value, if any, and its outcome, without its output.
    pub async fn call(&mut self, script: &str, args: Vec<u8>) -> (Option<Vec<u8>>, Outcome) {
        let id = self.submit_call(script, args);
        self.collect_call(id).await
    }

    pub async fn collect_call(&mut self, id: RunId) -> (Option<Vec<u8>>, Outcome) {
        let mut given = None;
        loop {
            match self.next().await {
                RuntimeEvent::Value { run, value } if run == id => {
                    given = Some(value.frame().to_vec());
                }
                RuntimeEvent::Ended { run, outcome } if run == id => return (given, outcome),
                RuntimeEvent::Output { run, .. } if run == Some(id) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    pub async fn next(&mut self) -> RuntimeEvent {
        timeout(PATIENCE, self.events.recv())
            .await
            .expect("an event in time")
            .expect("an event")
    }

    /// Runs a script; returns its output in the order of arrival, with streams merged, and its
    /// outcome.
    pub async fn run(&mut self, script: &str) -> (Vec<Output>, Outcome) {
        let id = self.submit(script);
        self.collect(id).await
    }

    pub async fn collect(&mut self, id: RunId) -> (Vec<Output>, Outcome) {
        let mut outputs = Vec::<Output>::new();
        loop {
            match self.next().await {
                RuntimeEvent::Output { run, output } => {
                    assert_eq!(run, Some(id));
                    match (outputs.last_mut(), output) {
                        (
                            Some(Output::Stream { name: last, text }),
                            Output::Stream { name, text: more },
                        ) if *last == name => text.push_str(&more),
                        (_, output) => outputs.push(output),
                    }
                }
                RuntimeEvent::Ended { run, outcome } => {
                    assert_eq!(run, id);
                    return (outputs, outcome);
                }
                other => panic!("unexpected {other:?}"),
            }
        }
    }
}

pub fn stdout(text: &str) -> Output {
    Output::Stream {
        name: StreamName::Stdout,
        text: text.into(),
    }
}

/// Polls a condition that no event reports.
pub async fn until(mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("it comes in time");
}

impl Session {
    /// A file for scripts to write to.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The process whose id a script has written to a file.
    pub async fn pid_in(&self, name: &str) -> u32 {
        let path = self.file(name);
        let read = || std::fs::read_to_string(&path).unwrap_or_default();
        until(|| read().ends_with('\n')).await;
        read().trim().parse().expect("a process id")
    }
}

pub fn kill(pid: u32) {
    let pid = Pid::from_raw(pid as i32).expect("a process id");
    rustix::process::kill_process(pid, Signal::KILL).expect("the process is there");
}

/// Returns true if a process exists and has not exited.
pub fn lives(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields[0] != "Z" && fields[0] != "X")
}

pub fn parent_of(pid: u32) -> u32 {
    stat(pid).expect("the process is there")[1]
        .parse()
        .expect("a process id")
}

pub fn children_of(pid: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let listed = listed.expect("the process is there");
    listed
        .split_whitespace()
        .map(|pid| pid.parse().expect("a process id"))
        .collect()
}

/// The fields of `/proc/…/stat`, starting with the state.
fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}
