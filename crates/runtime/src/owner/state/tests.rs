//! The owner of a runtime, tested as lists of events: a step of the process, of the user or of the
//! clock, and the commands that follow.

mod calls;
mod ends;
mod failover;
mod interrupts;
mod stdin;

use super::*;
use crate::output::end_marker;
use crate::owner::FunctionCall;
use crate::owner::host::{HostReplier, ReceivedCall};
use crate::{IDLE, RUN_WORD, RUNNING, STOP_WORD};
use StreamName::{Stderr, Stdout};
use phalanx_protocol::evaluator::CompiledCell;
use phalanx_protocol::host::{HostReply, HostRequest};
use phalanx_protocol::output::Output;
use phalanx_protocol::payload::Payload;
use phalanx_protocol::runtime::NoSnapshot;
use phalanx_sys::page::WORDS;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The first process that runs cells.
const PID: u32 = 100;

/// The wait status of a process that has aborted.
const ABORTED: i32 = 6;
/// The wait status of a process that was killed.
const KILLED: i32 = 9;

const NOTHING: [&str; 0] = [];

/// A message on the control socket.
enum Message {
    Reply(RuntimeReply),
    Value(Payload),
}

/// A process that writes and sends as a test requests.
struct FakeProcess {
    pipes: [Vec<u8>; 2],
    /// True if no process has a pipe open any more.
    closed: [bool; 2],
    /// The number of bytes written to the pipes.
    written: [u32; 2],
    sent: VecDeque<Message>,
    received: VecDeque<Message>,
    words: [AtomicU32; WORDS],
}

impl ProcessPort for FakeProcess {
    fn read_pipe(&mut self, name: StreamName, bytes: &mut Vec<u8>) -> Option<usize> {
        let pipe = &mut self.pipes[name as usize];
        if pipe.is_empty() && !self.closed[name as usize] {
            return None;
        }
        let count = pipe.len();
        bytes.append(pipe);
        Some(count)
    }

    fn drain_pipe(&mut self, name: StreamName, bytes: &mut Vec<u8>) {
        bytes.append(&mut self.pipes[name as usize]);
    }

    fn receive(&mut self) {
        self.received.append(&mut self.sent);
    }

    fn take_reply(&mut self) -> Option<RuntimeReply> {
        match self.received.pop_front()? {
            Message::Reply(reply) => Some(reply),
            Message::Value(value) => panic!("{value:?} is not a reply"),
        }
    }

    fn take_value(&mut self) -> Option<Payload> {
        match self.received.pop_front()? {
            Message::Value(value) => Some(value),
            Message::Reply(reply) => panic!("{reply:?} is not a value"),
        }
    }

    fn words(&self) -> &[AtomicU32; WORDS] {
        &self.words
    }
}

/// A runtime's owner, its process, and the time.
struct Owner {
    state: OwnerState,
    process: FakeProcess,
    now: Instant,
}

/// Steps of the user and of the loop; each returns the commands that follow.
impl Owner {
    /// An owner whose process has just started.
    fn new() -> Self {
        let now = Instant::now();
        let process = FakeProcess {
            pipes: Default::default(),
            closed: [false; 2],
            written: [0; 2],
            sent: VecDeque::new(),
            received: VecDeque::new(),
            words: [const { AtomicU32::new(0) }; WORDS],
        };
        Self {
            state: OwnerState::new(PID, now),
            process,
            now,
        }
    }

    /// An owner whose process has a snapshot of the state before the first cell.
    fn protected() -> Self {
        let mut owner = Self::new();
        assert_eq!(owner.handle(standby(1, None)), NOTHING);
        owner
    }

    fn handle(&mut self, event: OwnerEvent) -> Vec<String> {
        self.state.handle(event, self.now, &mut self.process);
        std::iter::from_fn(|| self.state.next_command())
            .map(|command| describe(&command))
            .collect()
    }

    fn command(&mut self, command: RuntimeCommand) -> Vec<String> {
        self.handle(OwnerEvent::Command(command))
    }

    fn run(&mut self, run: u64) -> Vec<String> {
        let cell = CompiledCell::default();
        self.command(RuntimeCommand::Run(RunId(run), cell))
    }

    fn call(&mut self, run: u64) -> Vec<String> {
        let call = FunctionCall {
            artifact: "/library".into(),
            offset: 0,
            args: Payload::default(),
        };
        self.command(RuntimeCommand::Call(RunId(run), call))
    }

    fn interrupt(&mut self) -> Vec<String> {
        self.command(RuntimeCommand::Interrupt)
    }

    /// Handles that a pipe is readable.
    fn reads(&mut self, name: StreamName) -> Vec<String> {
        assert!(self.state.reads(name));
        self.handle(OwnerEvent::PipeReadable(name))
    }

    /// Handles the next message of the process.
    fn receives(&mut self) -> Vec<String> {
        assert!(self.state.receives());
        if self.process.received.is_empty() {
            self.process.receive();
        }
        let message = self.process.received.pop_front();
        let event = match message.expect("a message") {
            Message::Reply(reply) => OwnerEvent::Reply(reply),
            Message::Value(value) => OwnerEvent::Value(value),
        };
        let is_value = matches!(event, OwnerEvent::Value(_));
        assert_eq!(self.state.expects_value(), is_value);
        self.handle(event)
    }

    /// Waits until the next deadline.
    fn waits(&mut self) -> Vec<String> {
        self.now = self.state.deadline().expect("a deadline");
        self.handle(OwnerEvent::Tick)
    }

    /// The supervisor reports the exit of a process.
    fn reports(&mut self, pid: u32, status: i32) -> Vec<String> {
        assert!(self.state.receives_supervisor());
        let reply = SupervisorReply::Ended { pid, status };
        self.handle(OwnerEvent::Supervisor(reply))
    }

    /// Has the snapshot `pid` take over, once the processes of the cell have exited.
    fn fails_over(&mut self, pid: u32) -> Vec<String> {
        let settled = OwnerEvent::Supervisor(SupervisorReply::Settled);
        assert_eq!(self.handle(settled), [format!("wake {pid}")]);
        assert_eq!(
            self.state.deadline(),
            Some(self.now + Duration::from_secs(5))
        );
        let adopt = self.handle(OwnerEvent::Woken(Ok(pid)));
        assert!(adopt[0].starts_with(&format!("adopt {pid}")), "{adopt:?}");
        self.handle(OwnerEvent::Adopted(Ok(())))
    }

    /// Ends the runtime, whose processes have closed their pipes.
    fn drains(&mut self) -> Vec<String> {
        self.process.closed = [true; 2];
        let mut all = self.handle(OwnerEvent::ProcessesEnded);
        while let Some(name) = [Stdout, Stderr]
            .into_iter()
            .find(|name| self.state.reads(*name))
        {
            all.extend(self.reads(name));
        }
        assert!(self.state.has_ended());
        all
    }
}

/// Steps of the process.
impl Owner {
    /// Begins to run code.
    fn starts(&mut self) {
        self.process.words[RUN_WORD].store(RUNNING, Ordering::SeqCst);
    }

    fn prints(&mut self, name: StreamName, text: &str) {
        self.process.pipes[name as usize].extend_from_slice(text.as_bytes());
        self.process.written[name as usize] += text.len() as u32;
    }

    fn sends(&mut self, reply: RuntimeReply) {
        self.process.sent.push_back(Message::Reply(reply));
    }

    /// Has run a cell; its markers are in the pipes and its reply on the control socket.
    fn ends(&mut self, run: u64) {
        self.marks(run);
        self.sends(RuntimeReply::Ended { run: RunId(run) });
    }

    /// Has run a cell, but has not replied.
    fn marks(&mut self, run: u64) {
        self.process.words[RUN_WORD].store(IDLE, Ordering::SeqCst);
        for name in [Stdout, Stderr] {
            self.prints(name, &end_marker(RunId(run)));
        }
    }

    /// Has called a function; its reply and its value are on the control socket.
    fn returns(&mut self, run: u64, changed: bool) {
        self.process.words[RUN_WORD].store(IDLE, Ordering::SeqCst);
        self.sends(RuntimeReply::Called {
            run: RunId(run),
            changed,
            written: self.process.written,
        });
        let value = Payload::Inline(format!("v{run}").into_bytes().into());
        self.process.sent.push_back(Message::Value(value));
    }

    fn cannot_be_copied(&mut self, after: Option<u64>) {
        self.sends(RuntimeReply::Unprotected {
            after: after.map(RunId),
            why: NoSnapshot::Threads(vec!["pool".to_owned()]),
        });
    }
}

/// The arrival of the snapshot with this number, in process `100 + number`.
fn standby(number: u32, after: Option<u64>) -> OwnerEvent {
    OwnerEvent::StandbyArrived(StandbySnapshot {
        pid: PID + number,
        number,
        after: after.map(RunId),
        children: vec![7],
        threads: Vec::new(),
    })
}

fn describe(command: &OwnerCommand) -> String {
    match command {
        OwnerCommand::Report(event) => describe_event(event),
        OwnerCommand::Send(RuntimeRequest::Run { run, .. }) => format!("run {run}"),
        OwnerCommand::Send(RuntimeRequest::Load { library }) => {
            format!("load {}", library.display())
        }
        OwnerCommand::Send(request) => format!("{request:?}"),
        OwnerCommand::Call(run, _) => format!("call {run}"),
        OwnerCommand::Answer(_, reply) => format!("answer {reply:?}"),
        OwnerCommand::AskForLine { run, request } => {
            format!("{} requests {request:?}", of(*run))
        }
        OwnerCommand::ResetStdin => "reset stdin".to_owned(),
        OwnerCommand::CheckStdin { pid } => format!("check stdin of {pid}"),
        OwnerCommand::WriteStdin(line) => format!("write {line}"),
        OwnerCommand::CloseStdin => "close stdin".to_owned(),
        OwnerCommand::EndStdin => "end stdin".to_owned(),
        OwnerCommand::Kill { pid } => format!("kill {pid}"),
        OwnerCommand::Settle { snapshot, spared } => format!("settle {snapshot}, spare {spared:?}"),
        OwnerCommand::Release { pid } => format!("release {pid}"),
        OwnerCommand::Wake { pid } => format!("wake {pid}"),
        OwnerCommand::Adopt { pid, libraries } => format!("adopt {pid}, load {libraries:?}"),
        OwnerCommand::EndProcesses => "end processes".to_owned(),
    }
}

fn describe_event(event: &RuntimeEvent) -> String {
    match event {
        RuntimeEvent::Output {
            run,
            output: Output::Stream { name, text },
        } => format!("{} {}: {text}", of(*run), name.as_str()),
        RuntimeEvent::Output { run, output } => format!("{} {output:?}", of(*run)),
        RuntimeEvent::HostCall(call) => format!("{} calls {:?}", of(call.run), call.request),
        RuntimeEvent::Value { run, value } => {
            format!("{run} value {}", String::from_utf8_lossy(value.frame()))
        }
        RuntimeEvent::Recalled { run } => format!("{run} recalled"),
        RuntimeEvent::Ended { run, outcome } => match outcome {
            Outcome::Abandoned { status } => format!("{run} abandoned: {status}"),
            Outcome::Died { status } => format!("{run} died: {status}"),
            Outcome::Errored { message, .. } => format!("{run} errored: {message}"),
            outcome => format!("{run} {outcome:?}"),
        },
        RuntimeEvent::Exited { status } => format!("exited: {status}"),
    }
}

fn of(run: Option<RunId>) -> String {
    run.map_or("-".to_owned(), |run| run.to_string())
}
