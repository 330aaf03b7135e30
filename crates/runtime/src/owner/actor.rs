//! The actor of a runtime process: waits for the next event, passes it to [`Capture`] and the other
//! states, and performs the result.

use super::calls::{Calls, ReturnedCall};
use super::failover::{ActiveSnapshot, StandbySnapshot};
use super::host::{self, HostReplier, ReceivedCall};
use super::start::{StartedRuntime, describe};
use super::stdin::StdinEvent;
use super::stop::{Due, Interrupted, RunStop};
use super::text::PendingText;
use super::wire::Wire;
use super::{HostCall, RuntimeCommand, RuntimeEvent};
use crate::output::{Capture, CapturedOutput};
use crate::{ASKED_WORD, CONDEMNED, RUN_WORD, RUNNING, STOP_WORD};
use phalanx_protocol::host::{CellRequest, HostReply, HostRequest, KernelRequest};
use phalanx_protocol::id::RunId;
use phalanx_protocol::output::StreamName;
use phalanx_protocol::payload::Payload;
use phalanx_protocol::runtime::{
    Outcome, RuntimeReply, RuntimeRequest, SupervisorReply, SupervisorRequest,
};
use rustix::process::{Pid, Signal};
use std::collections::VecDeque;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

/// The number of events in the channel to the reader; beyond it, and [`BACKLOG`], the cell is
/// blocked.
pub(super) const EVENTS: usize = 256;

/// The maximum number of events held here before the pipes are no longer read.
const BACKLOG: usize = 64;

/// The time for which the pipes of a dead process are read: a child process may keep them open.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// The time the runtime's processes have to exit on request.
const END_TIMEOUT: Duration = Duration::from_secs(5);

enum Event {
    Command(Option<RuntimeCommand>),
    Control(io::Result<RuntimeReply>),
    Value(io::Result<Vec<u8>>),
    Supervisor(io::Result<SupervisorReply>),
    Snapshot(io::Result<UnixStream>),
    Arrived(Option<StandbySnapshot>),
    /// A pipe is readable.
    Pipe(StreamName),
    Connected(io::Result<UnixStream>),
    Called(ReceivedCall),
    Stdin(StdinEvent),
    Tick,
    Sendable,
    Gone(String),
}

pub(super) struct Actor {
    pub(super) process: StartedRuntime,
    pub(super) pid: Arc<AtomicU32>,
    pub(super) capture: Capture,
    pub(super) calls: Calls,
    pub(super) text: PendingText,
    pub(super) snapshot: ActiveSnapshot,
    /// Connections that have not identified themselves as snapshots yet.
    pub(super) arriving: JoinSet<Option<StandbySnapshot>>,
    pub(super) control_open: bool,
    supervisor_open: bool,
    /// The process group of the runtime's processes and their children, except those that have left
    /// it.
    group: Option<Pid>,
    /// Libraries that every process must load.
    pub(super) loaded: Vec<PathBuf>,
    /// True once the user has been notified of cells that run without a snapshot.
    pub(super) is_notified: bool,
    stop: RunStop,
    pub(super) backlog: VecDeque<RuntimeEvent>,
    events: mpsc::Sender<RuntimeEvent>,
    host_tx: mpsc::Sender<ReceivedCall>,
    host_calls: mpsc::Receiver<ReceivedCall>,
    connections: JoinSet<()>,
    open: [bool; 2],
}

pub(super) async fn run(
    process: StartedRuntime,
    pid: Arc<AtomicU32>,
    mut commands: mpsc::UnboundedReceiver<RuntimeCommand>,
    events: mpsc::Sender<RuntimeEvent>,
) {
    // Calls of one process, each of which waits for its reply, so that few are queued at a time.
    let (host_tx, host_calls) = mpsc::channel(16);
    let group = process.child.id().and_then(|id| Pid::from_raw(id as i32));
    let mut actor = Actor {
        process,
        pid,
        capture: Capture::default(),
        calls: Calls::default(),
        text: PendingText::default(),
        snapshot: ActiveSnapshot::default(),
        arriving: JoinSet::new(),
        control_open: true,
        supervisor_open: true,
        group,
        loaded: Vec::new(),
        is_notified: false,
        stop: RunStop::default(),
        backlog: VecDeque::new(),
        events,
        host_tx,
        host_calls,
        connections: JoinSet::new(),
        open: [true; 2],
    };
    loop {
        let event = actor.next(&mut commands).await;
        match event {
            Event::Command(None) => {
                // The handle was dropped, so events have no receiver.
                actor.end().await;
                return;
            }
            Event::Gone(status) => {
                actor.died(&status).await;
                return;
            }
            Event::Supervisor(Ok(SupervisorReply::Ended { pid, status }))
                if pid == actor.process.pid =>
            {
                let status = describe(ExitStatus::from_raw(status));
                actor.drain_control();
                actor.end_unmarked();
                if actor.stop.is_final() || !actor.fail_over(&status).await {
                    actor.died(&status).await;
                    return;
                }
            }
            event => actor.handle(event).await,
        }
        // Calls that were requested together are sent together.
        if commands.is_empty() {
            // An error is reported by the next use of the connection.
            let _ = actor.process.control.flush();
        }
        actor.collect();
        actor.pass_on();
    }
}

impl Actor {
    async fn next(&mut self, commands: &mut mpsc::UnboundedReceiver<RuntimeCommand>) -> Event {
        let room = self.backlog.len() < BACKLOG;
        let due = [self.capture.deadline(), self.stop.deadline()];
        let due = due.into_iter().flatten().min();
        let StartedRuntime {
            child,
            supervisor,
            control,
            snapshots,
            host,
            stdin,
            stdout,
            stderr,
            ..
        } = &mut self.process;
        let announced = self.calls.announced().is_some();
        tokio::select! {
            command = commands.recv()=> Event::Command(command),
            permit = self.events.reserve(), if !self.backlog.is_empty() => {
                if let (Ok(permit), Some(event)) = (permit, self.backlog.pop_front()) {
                    permit.send(event);
                    Event::Sendable
                } else {
                    Event::Command(None)
                }
            }
            _ = stdout.readable(), if room && self.open[0] => Event::Pipe(StreamName::Stdout),
            _ = stderr.readable(), if room && self.open[1] => Event::Pipe(StreamName::Stderr),
            event = receive(control, announced), if self.control_open => event,
            reply = supervisor.next(), if self.supervisor_open => Event::Supervisor(reply),
            connected = snapshots.accept() => Event::Snapshot(connected.map(|(stream, _)| stream)),
            Some(Ok(standby)) = self.arriving.join_next() => Event::Arrived(standby),
            connected = host.accept() => Event::Connected(connected.map(|(stream, _)| stream)),
            Some(call) = self.host_calls.recv() => Event::Called(call),
            event = stdin.next() => Event::Stdin(event),
            status = child.wait() => Event::Gone(status.map_or_else(|e| e.to_string(), describe)),
            () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => Event::Tick,
            Some(_) = self.connections.join_next() => Event::Sendable,
        }
    }

    async fn handle(&mut self, event: Event) {
        match event {
            Event::Command(Some(RuntimeCommand::Set(setting))) => {
                self.request(&RuntimeRequest::Set(setting)).await;
            }
            Event::Command(Some(RuntimeCommand::Load(library))) => {
                self.loaded.push(library.clone());
                self.request(&RuntimeRequest::Load { library }).await;
            }
            Event::Command(Some(RuntimeCommand::Run(run, cell))) => {
                self.capture.start(run, cell.has_result, cell.lines);
                self.process.stdin.begin(Instant::now());
                self.begin();
                let (artifact, entry) = (cell.artifact, cell.entry);
                self.request(&RuntimeRequest::Run {
                    run,
                    artifact,
                    entry,
                })
                .await;
            }
            Event::Command(Some(RuntimeCommand::RunCallbacks(run))) => {
                self.capture.start(run, false, Vec::new());
                self.begin();
                self.request(&RuntimeRequest::RunCallbacks { run }).await;
            }
            Event::Command(Some(RuntimeCommand::Call(run, call))) => self.call(run, call),
            Event::Command(Some(RuntimeCommand::Recall)) => self.recall(),
            Event::Command(Some(RuntimeCommand::Interrupt)) => self.interrupt().await,
            Event::Command(Some(RuntimeCommand::Snapshots(on))) => {
                self.request(&RuntimeRequest::Snapshots { on }).await;
            }
            Event::Command(Some(RuntimeCommand::Kill)) => self.kill().await,
            Event::Pipe(name) => match self.read_pipe(name) {
                None => {}
                Some(0) => {
                    self.open[name as usize] = false;
                    self.capture.closed(name);
                }
                // The notice that a cell runs without a snapshot has been given; the cell may have
                // ended with these bytes.
                Some(_) if !self.is_notified || self.calls.running().is_some() => {
                    self.drain_control()
                }
                Some(_) => self.attribute_pending(),
            },
            Event::Control(Ok(reply)) => {
                self.reply(reply);
                self.drain_after_message();
            }
            Event::Value(Ok(value)) => {
                self.returned(value);
                self.drain_after_message();
            }
            Event::Control(Err(error)) | Event::Value(Err(error)) => {
                self.control_open = false;
                if error.kind() != io::ErrorKind::UnexpectedEof {
                    tracing::error!(%error, "the runtime sent something that is no reply");
                    self.kill().await;
                }
                // Otherwise the process is exiting; its exit is handled as an event.
            }
            Event::Snapshot(Ok(stream)) => self.await_standby(stream),
            Event::Snapshot(Err(error)) => tracing::warn!(%error, "the control socket failed"),
            Event::Arrived(Some(standby)) => self.snapshot.arrived(standby),
            // The exit of a child that runs no cells; the supervisor's own is reported by `Gone`.
            Event::Supervisor(reply) => self.supervisor_open &= reply.is_ok(),
            Event::Arrived(None) => {}
            Event::Connected(Ok(stream)) => {
                let calls = self.host_tx.clone();
                self.connections.spawn(async move {
                    if let Err(error) = host::serve(stream, calls).await {
                        tracing::debug!(%error, "a host call broke off");
                    }
                });
            }
            Event::Stdin(StdinEvent::Look) => {
                if self.process.stdin.is_wanted(self.process.pid) {
                    // A prompt may be in transit.
                    self.flush_output();
                    self.ask(CellRequest::ReadLine);
                }
            }
            Event::Stdin(StdinEvent::Answered(answer)) => self.answered(answer),
            Event::Connected(Err(error)) => tracing::warn!(%error, "the host socket failed"),
            Event::Called(call) => self.called(call),
            Event::Tick => {
                let now = Instant::now();
                self.capture.tick(now);
                let Due { end, kill } = self.stop.due(now);
                if let Some(run) = end {
                    self.capture.end(run);
                }
                if kill {
                    self.stop_runner().await;
                }
            }
            Event::Sendable | Event::Gone(_) | Event::Command(None) => {}
        }
    }

    pub(super) fn reply(&mut self, reply: RuntimeReply) {
        match reply {
            RuntimeReply::Ended { run } => {
                if self.capture.running() == Some(run) {
                    self.stop.replied(run, Instant::now());
                }
            }
            // A process that has called a function reports the end after all output of the
            // function; markers for each of many short calls would take longer than most of the
            // calls.
            RuntimeReply::Called {
                run,
                changed,
                written,
            } => self.calls.announce(ReturnedCall {
                run,
                changed,
                written,
            }),
            RuntimeReply::Recalled { run } => self.recalled(run),
            RuntimeReply::LoadFailed { run, message } => self.load_failed(run, &message),
            RuntimeReply::Unprotected { after, why } => {
                self.unprotected(&why);
                self.snapshot.missing(after, why);
            }
            RuntimeReply::Ready { .. } | RuntimeReply::Loaded | RuntimeReply::Asleep { .. } => {}
        }
    }

    pub(super) fn await_standby(&mut self, stream: UnixStream) {
        self.arriving
            .spawn(StandbySnapshot::arrived(Wire::new(stream)));
    }

    /// Passes on the captured events.
    pub(super) fn collect(&mut self) {
        for captured in self.capture.take() {
            match captured {
                CapturedOutput::Output { run, output } => {
                    self.backlog.push_back(RuntimeEvent::Output { run, output });
                }
                CapturedOutput::InputRequest { prompt, password } => {
                    self.ask(CellRequest::Input { prompt, password });
                }
                CapturedOutput::Ended { run, outcome } => {
                    self.process.stdin.end();
                    self.stop.reset();
                    self.ended(run, outcome);
                }
            }
        }
    }

    /// Sends as many events as the channel has room for.
    fn pass_on(&mut self) {
        while !self.backlog.is_empty()
            && let Ok(permit) = self.events.try_reserve()
            && let Some(event) = self.backlog.pop_front()
        {
            permit.send(event);
        }
    }

    fn ended(&mut self, run: RunId, outcome: Outcome) {
        // Cells change the namespace.
        let changed = self.calls.end_run(run).unwrap_or(true);
        if changed && !matches!(outcome, Outcome::Abandoned { .. }) {
            self.snapshot.record_run(run);
        }
        self.backlog.push_back(RuntimeEvent::Ended { run, outcome });
        self.start_next();
    }

    /// Handles all messages received after the current one.
    fn drain_after_message(&mut self) {
        if self.drain_received() || self.is_text_pending() {
            self.drain_control();
        }
    }

    /// Starts a run without a stop request.
    pub(super) fn begin(&mut self) {
        self.stop.reset();
        for word in [STOP_WORD, ASKED_WORD] {
            self.process.page.words()[word].store(0, Ordering::SeqCst);
        }
    }

    /// Ends a run that has ended according to the runtime's reply, although its process has exited
    /// since.
    fn end_unmarked(&mut self) {
        if let Some(run) = self.stop.take_unmarked() {
            self.read_pipes();
            self.attribute_pending();
            self.capture.end(run);
            self.collect();
        }
    }

    /// Stops the running cell, or requests it to stop.
    async fn interrupt(&mut self) {
        if self.capture.running().is_none() {
            return;
        }
        let words = self.process.page.words();
        words[STOP_WORD].store(1, Ordering::SeqCst);
        let circumstances = Interrupted {
            is_protected: self.snapshot.is_ready(),
            polls: words[ASKED_WORD].load(Ordering::SeqCst) != 0,
        };
        if self.stop.interrupt(circumstances, Instant::now()) {
            self.stop_runner().await;
        }
    }

    /// Kills the process if it is running code. A completed run must not be stopped, since its
    /// effects are not in the snapshot yet.
    async fn stop_runner(&mut self) {
        let word = &self.process.page.words()[RUN_WORD];
        let order = Ordering::SeqCst;
        if word
            .compare_exchange(RUNNING, CONDEMNED, order, order)
            .is_ok()
        {
            self.kill_runner().await;
        } else if self.capture.running().is_some() {
            // It has not started, or its end is in transit.
            self.stop.not_running(Instant::now());
        }
    }

    async fn kill_runner(&mut self) {
        let pid = self.process.pid;
        self.request_supervisor(&SupervisorRequest::Kill { pid })
            .await;
    }

    /// Ends the run of a cell that could not be loaded, with the loader's message.
    fn load_failed(&mut self, run: Option<RunId>, message: &str) {
        tracing::error!(message, "a library could not be loaded");
        if let Some(run) = run {
            self.capture.fail(run, message);
        }
    }

    fn called(&mut self, call: ReceivedCall) {
        match call.request {
            HostRequest::Output(output) => {
                if self.calls.running().is_some() {
                    // Attributed to the call that is running by now.
                    self.drain_control();
                }
                let place = self.capture.place(output);
                call.reply.send(HostReply::Place(place));
            }
            HostRequest::Kernel(request) => self.call_kernel(request, call.raw, call.reply),
        }
    }

    /// Passes a request on to the kernel, or to whoever stands in for it.
    fn call_kernel(&mut self, request: KernelRequest, raw: Vec<Payload>, reply: HostReplier) {
        self.flush_output();
        self.backlog.push_back(RuntimeEvent::HostCall(HostCall {
            run: self.capture.running(),
            request,
            raw,
            reply,
        }));
    }

    /// Requests a line from the kernel on behalf of the cell.
    fn ask(&mut self, request: CellRequest) {
        if self.process.stdin.is_asking() {
            return;
        }
        let (reply, answer) = HostReplier::new();
        self.process.stdin.ask(answer);
        self.call_kernel(KernelRequest::Cell(request), Vec::new(), reply);
    }

    fn answered(&mut self, answer: Option<HostReply>) {
        match answer {
            Some(HostReply::Input(Some(line))) => self.process.stdin.answer(&line, Instant::now()),
            // The cell is being stopped, and must not continue.
            None => {}
            Some(_) => self.process.stdin.close(),
        }
    }

    /// Captures the output of the cell before a host call is handled.
    fn flush_output(&mut self) {
        self.read_pipes();
        match self.calls.running() {
            Some(_) => self.drain_control(),
            None => self.attribute_pending(),
        }
        self.capture.release();
        self.collect();
    }

    async fn request(&mut self, request: &RuntimeRequest) {
        if let Err(error) = self.process.control.send(request).await {
            // The process is exiting; its exit is handled as an event.
            tracing::warn!(%error, "the runtime takes no more requests");
        }
    }

    /// Kills the process that runs cells, without a successor.
    async fn kill(&mut self) {
        self.stop.shut_down();
        self.kill_runner().await;
    }

    /// Ends every process of the runtime, and the processes started by cells.
    async fn end(&mut self) {
        // The supervisor exits when its connection is closed.
        self.process.supervisor.close().await;
        let ended = timeout(END_TIMEOUT, self.process.child.wait()).await;
        if ended.is_err() {
            tracing::error!("the runtime's processes do not end");
        }
        // If the supervisor was killed, other processes of its group may remain.
        if let Some(group) = self.group {
            // The group may not exist any more.
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }

    async fn died(mut self, status: &str) {
        // The processes it started must not outlive it.
        self.end().await;
        let lost = self.take_unstarted_calls();
        let StartedRuntime { stdout, stderr, .. } = &mut self.process;
        let capture = &mut self.capture;
        if self.open[0] {
            drain(StreamName::Stdout, stdout, capture).await;
        }
        if self.open[1] {
            drain(StreamName::Stderr, stderr, capture).await;
        }
        self.capture.died(status);
        self.collect();
        let recalled = lost.into_iter().map(|run| RuntimeEvent::Recalled { run });
        self.backlog.extend(recalled);
        let status = status.to_owned();
        self.backlog.push_back(RuntimeEvent::Exited { status });
        for event in self.backlog {
            if self.events.send(event).await.is_err() {
                return;
            }
        }
    }
}

/// Waits for the runtime's next message: a reply, or the value announced by one. Cancel safe.
async fn receive(control: &mut Wire, announced: bool) -> Event {
    match announced {
        true => Event::Value(control.raw().await),
        false => Event::Control(control.next().await),
    }
}

async fn drain(name: StreamName, pipe: &mut (impl AsyncRead + Unpin), capture: &mut Capture) {
    let mut buffer = [0; 1 << 12];
    let reading = async {
        while let Ok(count) = pipe.read(&mut buffer).await
            && count > 0
        {
            capture.push(name, &buffer[..count], Instant::now());
        }
    };
    let _ = timeout(DRAIN_TIMEOUT, reading).await;
}
