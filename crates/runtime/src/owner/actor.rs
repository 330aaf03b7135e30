//! The actor of a runtime process: waits for the next event, lets [`OwnerState`] decide, and
//! performs its commands.

use super::exit_status;
use super::host::{self, HostReplier, ReceivedCall};
use super::process::open_value;
use super::start::StartedRuntime;
use super::state::{OwnerCommand, OwnerEvent, OwnerState, StandbySnapshot};
use super::stdin::StdinEvent;
use super::wire::Wire;
use super::{HostCall, RuntimeCommand, RuntimeEvent};
use phalanx_protocol::host::KernelRequest;
use phalanx_protocol::output::StreamName;
use phalanx_protocol::runtime::{RuntimeReply, RuntimeRequest, SnapshotRequest, SupervisorRequest};
use rustix::process::{Pid, Signal};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

/// The number of events in the channel to the reader; beyond it, and [`BACKLOG`], the cell is
/// blocked.
pub(super) const EVENTS: usize = 256;

/// The maximum number of events held here before the pipes are no longer read.
const BACKLOG: usize = 64;

/// The time the runtime's processes have to exit on request.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// The next step of the loop.
enum NextStep {
    Event(OwnerEvent),
    Nothing,
    /// The handle was dropped, so events have no receiver.
    Dropped,
}

struct Actor {
    state: OwnerState,
    process: StartedRuntime,
    /// The id of the process, shared with the handle.
    pid: Arc<AtomicU32>,
    /// Connections that have not identified themselves as snapshots yet.
    arriving: JoinSet<Option<(StandbySnapshot, Wire)>>,
    /// The connections to snapshots, by their processes.
    standbys: HashMap<u32, Wire>,
    /// The connection to the snapshot that is taking over.
    waking: Option<Wire>,
    supervisor_open: bool,
    /// The process group of the runtime's processes and their children, except those that have left
    /// it.
    group: Option<Pid>,
    backlog: VecDeque<RuntimeEvent>,
    events: mpsc::Sender<RuntimeEvent>,
    host_tx: mpsc::Sender<ReceivedCall>,
    host_calls: mpsc::Receiver<ReceivedCall>,
    connections: JoinSet<()>,
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
        state: OwnerState::new(pid.load(Ordering::SeqCst), Instant::now()),
        process,
        pid,
        arriving: JoinSet::new(),
        standbys: HashMap::new(),
        waking: None,
        supervisor_open: true,
        group,
        backlog: VecDeque::new(),
        events,
        host_tx,
        host_calls,
        connections: JoinSet::new(),
    };
    loop {
        match actor.next(&mut commands).await {
            NextStep::Event(event) => actor.handle(event).await,
            NextStep::Nothing => {}
            NextStep::Dropped => {
                actor.end().await;
                return;
            }
        }
        if actor.state.has_ended() {
            actor.pass_on_all().await;
            return;
        }
        // Calls that were requested together are sent together.
        if commands.is_empty() {
            // An error is reported by the next use of the connection.
            let _ = actor.process.control.flush();
        }
        actor.pass_on();
    }
}

impl Actor {
    async fn next(&mut self, commands: &mut mpsc::UnboundedReceiver<RuntimeCommand>) -> NextStep {
        let state = &self.state;
        let is_running = state.is_running();
        let room = self.backlog.len() < BACKLOG || state.is_draining();
        let reads = |name| room && state.reads(name);
        let (reads_stdout, reads_stderr) = (reads(StreamName::Stdout), reads(StreamName::Stderr));
        let (receives, expects_value) = (state.receives(), state.expects_value());
        let receives_supervisor = self.supervisor_open && state.receives_supervisor();
        let has_processes = state.has_processes();
        let due = state.deadline();
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
        NextStep::Event(tokio::select! {
            command = commands.recv(), if is_running => match command {
                Some(command) => OwnerEvent::Command(command),
                None => return NextStep::Dropped,
            },
            permit = self.events.reserve(), if !self.backlog.is_empty() => {
                let (Ok(permit), Some(event)) = (permit, self.backlog.pop_front()) else {
                    return NextStep::Dropped;
                };
                permit.send(event);
                return NextStep::Nothing;
            }
            _ = stdout.readable(), if reads_stdout => OwnerEvent::PipeReadable(StreamName::Stdout),
            _ = stderr.readable(), if reads_stderr => OwnerEvent::PipeReadable(StreamName::Stderr),
            event = receive(control, expects_value), if receives => event,
            reply = supervisor.next(), if receives_supervisor => match reply {
                Ok(reply) => OwnerEvent::Supervisor(reply),
                Err(_) => {
                    self.supervisor_open = false;
                    OwnerEvent::SupervisorLost
                }
            },
            connected = snapshots.accept() => match connected {
                Ok((stream, _)) => {
                    self.arriving.spawn(arrival(Wire::new(stream)));
                    return NextStep::Nothing;
                }
                Err(error) => {
                    tracing::warn!(%error, "the control socket failed");
                    OwnerEvent::StandbysLost
                }
            },
            Some(Ok(arrived)) = self.arriving.join_next() => {
                let Some((standby, wire)) = arrived else {
                    return NextStep::Nothing;
                };
                self.standbys.insert(standby.pid, wire);
                OwnerEvent::StandbyArrived(standby)
            }
            woken = woken(&mut self.waking), if has_processes => OwnerEvent::Woken(woken),
            connected = host.accept() => {
                match connected {
                    Ok((stream, _)) => {
                        self.connections.spawn(serve(stream, self.host_tx.clone()));
                    }
                    Err(error) => tracing::warn!(%error, "the host socket failed"),
                }
                return NextStep::Nothing;
            }
            Some(call) = self.host_calls.recv(), if is_running => OwnerEvent::HostCall(call),
            event = stdin.next(), if is_running => match event {
                StdinEvent::Answered(answer) => OwnerEvent::StdinAnswered(answer),
                StdinEvent::Written => return NextStep::Nothing,
            },
            status = child.wait(), if has_processes => OwnerEvent::SupervisorExited {
                status: exit_status::of_wait(status),
            },
            () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {
                OwnerEvent::Tick
            }
            Some(_) = self.connections.join_next() => return NextStep::Nothing,
        })
    }

    /// Handles an event, and the events that its commands lead to.
    async fn handle(&mut self, event: OwnerEvent) {
        let mut events = VecDeque::new();
        let mut next = Some(event);
        while let Some(event) = next {
            self.state.handle(event, Instant::now(), &mut self.process);
            while let Some(command) = self.state.next_command() {
                events.extend(self.perform(command).await);
            }
            next = events.pop_front();
        }
    }

    async fn perform(&mut self, command: OwnerCommand) -> Option<OwnerEvent> {
        match command {
            OwnerCommand::Report(event) => self.backlog.push_back(event),
            OwnerCommand::Send(request) => self.request(&request).await,
            OwnerCommand::Call(run, call) => {
                let request = RuntimeRequest::Call {
                    run,
                    artifact: call.artifact,
                    offset: call.offset,
                };
                let args = call.args.into_frame();
                if let Err(error) = self.process.control.queue_with(&request, args) {
                    let message = error.to_string();
                    return Some(OwnerEvent::CallRefused { run, message });
                }
            }
            OwnerCommand::Answer(replier, reply) => replier.send(reply),
            OwnerCommand::AskForLine { run, request } => {
                let (reply, answer) = HostReplier::new();
                self.process.stdin.ask(answer);
                self.backlog.push_back(RuntimeEvent::HostCall(HostCall {
                    run,
                    request: KernelRequest::Cell(request),
                    raw: Vec::new(),
                    reply,
                }));
            }
            OwnerCommand::ResetStdin => {
                return self.process.stdin.reset().then_some(OwnerEvent::StdinReady);
            }
            OwnerCommand::CheckStdin { pid } => {
                let started = Instant::now();
                let is_wanted = self.process.stdin.is_wanted(pid);
                let took = started.elapsed();
                return Some(OwnerEvent::StdinChecked { is_wanted, took });
            }
            OwnerCommand::WriteStdin(line) => self.process.stdin.write(&line),
            OwnerCommand::CloseStdin => self.process.stdin.close(),
            OwnerCommand::EndStdin => self.process.stdin.end(),
            OwnerCommand::Kill { pid } => {
                // A supervisor that takes no request is exiting, which is an event.
                self.request_supervisor(&SupervisorRequest::Kill { pid })
                    .await;
            }
            OwnerCommand::Settle { snapshot, spared } => {
                let request = SupervisorRequest::Settle { snapshot, spared };
                if !self.request_supervisor(&request).await {
                    return Some(OwnerEvent::SupervisorLost);
                }
            }
            OwnerCommand::Release { pid } => drop(self.standbys.remove(&pid)),
            OwnerCommand::Wake { pid } => {
                let mut wire = self.standbys.remove(&pid)?;
                let sent = wire.send(&SnapshotRequest::Wake).await;
                self.waking = Some(wire);
                return sent.err().map(|error| OwnerEvent::Woken(Err(error)));
            }
            OwnerCommand::Adopt { pid, libraries } => {
                return Some(OwnerEvent::Adopted(self.adopt(pid, libraries).await));
            }
            OwnerCommand::EndProcesses => {
                self.end().await;
                return Some(OwnerEvent::ProcessesEnded);
            }
        }
        None
    }

    async fn adopt(&mut self, pid: u32, libraries: Vec<PathBuf>) -> io::Result<()> {
        if let Some(wire) = self.waking.take() {
            self.process.control = wire;
        }
        self.pid.store(pid, Ordering::SeqCst);
        for library in libraries {
            let request = RuntimeRequest::Load { library };
            self.process.control.send(&request).await?;
        }
        Ok(())
    }

    async fn request(&mut self, request: &RuntimeRequest) {
        if let Err(error) = self.process.control.send(request).await {
            // The process is exiting; its exit is handled as an event.
            tracing::warn!(%error, "the runtime takes no more requests");
        }
    }

    /// Sends a request to the supervisor; returns false if that is impossible.
    async fn request_supervisor(&mut self, request: &SupervisorRequest) -> bool {
        let sent = self.process.supervisor.send(request).await;
        if let Err(error) = &sent {
            tracing::warn!(%error, "the runtime's supervisor takes no more requests");
        }
        sent.is_ok()
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

    /// Sends all events, unless their receiver is gone.
    async fn pass_on_all(self) {
        for event in self.backlog {
            if self.events.send(event).await.is_err() {
                return;
            }
        }
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
}

/// Waits for the runtime's next message: a reply, or the value announced by one. Cancel safe.
async fn receive(control: &mut Wire, expects_value: bool) -> OwnerEvent {
    let received = match expects_value {
        true => control.raw().await.map(|frame| {
            let value = open_value(frame, control);
            OwnerEvent::Value(value)
        }),
        false => control.next().await.map(OwnerEvent::Reply),
    };
    received.unwrap_or_else(|error| {
        let is_malformed = error.kind() != io::ErrorKind::UnexpectedEof;
        if is_malformed {
            tracing::error!(%error, "the runtime sent a malformed reply");
        }
        OwnerEvent::ControlLost { is_malformed }
    })
}

/// Waits for the first message of a snapshot; `None` if its process exited before.
async fn arrival(mut wire: Wire) -> Option<(StandbySnapshot, Wire)> {
    match wire.next().await {
        Ok(RuntimeReply::Asleep {
            pid,
            number,
            after,
            children,
            threads,
        }) => {
            let standby = StandbySnapshot {
                pid,
                number,
                after,
                children,
                threads,
            };
            Some((standby, wire))
        }
        _ => None,
    }
}

/// Waits until the snapshot that takes over is awake; returns the id of its process. Cancel safe.
async fn woken(waking: &mut Option<Wire>) -> io::Result<u32> {
    let Some(wire) = waking else {
        return std::future::pending().await;
    };
    match wire.next().await? {
        RuntimeReply::Ready { pid } => Ok(pid),
        _ => Err(io::Error::other("it sent an unexpected reply")),
    }
}

async fn serve(stream: UnixStream, calls: mpsc::Sender<ReceivedCall>) {
    if let Err(error) = host::serve(stream, calls).await {
        tracing::debug!(%error, "a host call failed");
    }
}
