//! One task per runtime process: waits for the next thing to happen, lets [`Capture`] decide what it
//! means, and performs it.

use super::host::{self, Arrived, HostReplier};
use super::start::{Started, describe};
use super::stdin::StdinEvent;
use super::{Command, HostCall, RuntimeEvent};
use crate::output::{Capture, Captured};
use phalanx_protocol::frame;
use phalanx_protocol::host::{HostReply, HostRequest};
use phalanx_protocol::id::RunId;
use phalanx_protocol::output::StreamName;
use phalanx_protocol::runtime::{RuntimeReply, RuntimeRequest};
use rustix::process::{Pid, Signal};
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

/// Events the reader may be behind by before the cell has to wait.
pub(super) const EVENTS: usize = 256;

/// Events kept here before the pipes are left unread.
const BACKLOG: usize = 64;

/// Most bytes taken from a pipe at once.
const READ: usize = 1 << 16;

/// How long the pipes of a dead process are read: a child it left behind may hold them open.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// How long after the runtime's word the end markers may take on pipes that a cell redirected.
const MARKER_TIMEOUT: Duration = Duration::from_millis(500);

enum Event {
    Command(Option<Command>),
    Control(io::Result<usize>),
    Pipe(StreamName, io::Result<usize>),
    Connected(io::Result<UnixStream>),
    Called(Arrived),
    Stdin(StdinEvent),
    Tick,
    Sendable,
    Gone(String),
}

struct Actor {
    process: Started,
    capture: Capture,
    backlog: VecDeque<RuntimeEvent>,
    events: mpsc::Sender<RuntimeEvent>,
    calls_tx: mpsc::Sender<Arrived>,
    calls: mpsc::Receiver<Arrived>,
    connections: JoinSet<()>,
    open: [bool; 2],
    buffers: [Vec<u8>; 3],
    /// A run the runtime says is over while its markers are still to come.
    overdue: Option<(RunId, Instant)>,
}

pub(super) async fn run(
    process: Started,
    mut commands: mpsc::UnboundedReceiver<Command>,
    events: mpsc::Sender<RuntimeEvent>,
) {
    // Calls of one process at a time; each waits for its answer, so few are ever queued.
    let (calls_tx, calls) = mpsc::channel(16);
    let mut actor = Actor {
        process,
        capture: Capture::default(),
        backlog: VecDeque::new(),
        events,
        calls_tx,
        calls,
        connections: JoinSet::new(),
        open: [true; 2],
        buffers: [vec![0; READ], vec![0; READ], vec![0; 4096]],
        overdue: None,
    };
    loop {
        let event = actor.next(&mut commands).await;
        match event {
            Event::Command(None) => {
                // The handle is gone: nobody wants to know more.
                actor.kill();
                let _ = actor.process.child.wait().await;
                return;
            }
            Event::Gone(status) => {
                actor.died(&status).await;
                return;
            }
            event => actor.handle(event).await,
        }
        actor.collect();
    }
}

impl Actor {
    async fn next(&mut self, commands: &mut mpsc::UnboundedReceiver<Command>) -> Event {
        let room = self.backlog.len() < BACKLOG;
        let due = match (self.capture.deadline(), self.overdue) {
            (Some(tick), Some((_, overdue))) => Some(tick.min(overdue)),
            (tick, overdue) => tick.or(overdue.map(|(_, at)| at)),
        };
        let Started {
            child,
            control,
            host,
            stdin,
            stdout,
            stderr,
            ..
        } = &mut self.process;
        let [out, err, word] = &mut self.buffers;
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
            read = stdout.read(out), if room && self.open[0] => Event::Pipe(StreamName::Stdout, read),
            read = stderr.read(err), if room && self.open[1] => Event::Pipe(StreamName::Stderr, read),
            read = control.read(word) => Event::Control(read),
            connected = host.accept() => Event::Connected(connected.map(|(stream, _)| stream)),
            Some(call) = self.calls.recv() => Event::Called(call),
            event = stdin.next() => Event::Stdin(event),
            status = child.wait() => Event::Gone(status.map_or_else(|e| e.to_string(), describe)),
            () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => Event::Tick,
            Some(_) = self.connections.join_next() => Event::Sendable,
        }
    }

    async fn handle(&mut self, event: Event) {
        match event {
            Event::Command(Some(Command::Load(library))) => {
                self.request(&RuntimeRequest::Load { library }).await;
            }
            Event::Command(Some(Command::Run(run, cell))) => {
                self.capture.start(run, cell.has_result, cell.lines);
                self.process.stdin.begin(Instant::now());
                let (artifact, entry) = (cell.artifact, cell.entry);
                self.request(&RuntimeRequest::Run {
                    run,
                    artifact,
                    entry,
                })
                .await;
            }
            Event::Command(Some(Command::Hear(run))) => {
                self.capture.start(run, false, Vec::new());
                self.request(&RuntimeRequest::Hear { run }).await;
            }
            Event::Command(Some(Command::Kill)) => self.kill(),
            Event::Pipe(name, Ok(count)) if count > 0 => {
                let bytes = &self.buffers[name as usize][..count];
                self.capture.push(name, bytes, Instant::now());
            }
            Event::Pipe(name, _) => {
                self.open[name as usize] = false;
                self.capture.closed(name);
            }
            Event::Control(Ok(count)) if count > 0 => {
                let bytes = &self.buffers[2][..count];
                self.process.decoder.push(bytes);
                self.replies();
            }
            // The process is ending; its exit is the event that counts.
            Event::Control(_) => self.kill(),
            Event::Connected(Ok(stream)) => {
                let calls = self.calls_tx.clone();
                self.connections.spawn(async move {
                    if let Err(error) = host::serve(stream, calls).await {
                        tracing::debug!(%error, "a host call broke off");
                    }
                });
            }
            Event::Stdin(StdinEvent::Look) => {
                if self.process.stdin.is_wanted(self.process.pid) {
                    // A prompt may be on its way.
                    self.catch_up();
                    self.ask(HostRequest::ReadLine);
                }
            }
            Event::Stdin(StdinEvent::Answered(answer)) => self.answered(answer),
            Event::Connected(Err(error)) => tracing::warn!(%error, "the host socket failed"),
            Event::Called(call) => self.called(call),
            Event::Tick => {
                let now = Instant::now();
                self.capture.tick(now);
                if let Some((run, _)) = self.overdue.take_if(|(_, at)| now >= *at) {
                    self.capture.end(run);
                }
            }
            Event::Sendable | Event::Gone(_) | Event::Command(None) => {}
        }
    }

    fn replies(&mut self) {
        loop {
            match self.process.decoder.decode::<RuntimeReply>() {
                Ok(Some(RuntimeReply::Ended { run })) => {
                    if self.capture.running() == Some(run) {
                        self.overdue = Some((run, Instant::now() + MARKER_TIMEOUT));
                    }
                }
                Ok(Some(RuntimeReply::LoadFailed { run, message })) => {
                    self.load_failed(run, &message)
                }
                Ok(Some(RuntimeReply::Ready | RuntimeReply::Loaded)) => {}
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(%error, "the runtime sent something that is no reply");
                    self.kill();
                    return;
                }
            }
        }
    }

    /// A cell that cannot be loaded did not run; it fails as the loader says.
    fn load_failed(&mut self, run: Option<RunId>, message: &str) {
        tracing::error!(message, "a library could not be loaded");
        if let Some(run) = run {
            self.capture.fail(run, message);
        }
    }

    fn called(&mut self, call: Arrived) {
        match call.request {
            HostRequest::Output(output) => {
                let place = self.capture.place(output);
                call.reply.send(HostReply::Place(place));
            }
            request => {
                self.catch_up();
                self.backlog.push_back(RuntimeEvent::HostCall(HostCall {
                    run: self.capture.running(),
                    request,
                    reply: call.reply,
                }));
            }
        }
    }

    /// Asks the kernel for a line on the cell's behalf.
    fn ask(&mut self, request: HostRequest) {
        if self.process.stdin.is_asking() {
            return;
        }
        let (reply, answer) = HostReplier::new();
        self.process.stdin.ask(answer);
        self.called(Arrived { request, reply });
    }

    fn answered(&mut self, answer: Option<HostReply>) {
        match answer {
            Some(HostReply::Input(Some(line))) => self.process.stdin.answer(&line, Instant::now()),
            // It is not to go on.
            None => {}
            Some(_) => self.process.stdin.close(),
        }
    }

    /// Passes on what has been captured.
    fn collect(&mut self) {
        for captured in self.capture.take() {
            match captured {
                Captured::Output { run, output } => {
                    self.backlog.push_back(RuntimeEvent::Output { run, output });
                }
                Captured::InputRequest { prompt, password } => {
                    self.ask(HostRequest::Input { prompt, password });
                }
                Captured::Ended { run, outcome } => {
                    self.process.stdin.end();
                    self.backlog.push_back(RuntimeEvent::Ended { run, outcome });
                }
            }
        }
    }

    /// What the cell printed before it called is shown before the call is answered.
    fn catch_up(&mut self) {
        let Started { stdout, stderr, .. } = &mut self.process;
        for (name, pipe) in [(StreamName::Stdout, stdout), (StreamName::Stderr, stderr)] {
            let buffer = &mut self.buffers[name as usize];
            while let Ok(count) = pipe.try_read(buffer)
                && count > 0
            {
                self.capture.push(name, &buffer[..count], Instant::now());
            }
        }
        self.capture.release();
        self.collect();
    }

    async fn request(&mut self, request: &RuntimeRequest) {
        let sent = match frame::encode(request) {
            Ok(bytes) => self.process.control.write_all(&bytes).await,
            Err(error) => Err(io::Error::other(error)),
        };
        if let Err(error) = sent {
            tracing::error!(%error, "the runtime takes no more requests");
            self.kill();
        }
    }

    fn kill(&mut self) {
        if let Some(pid) = Pid::from_raw(self.process.pid as i32) {
            // A group that is already gone needs no ending.
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
    }

    async fn died(mut self, status: &str) {
        // What it started must not outlive it.
        self.kill();
        let Started { stdout, stderr, .. } = &mut self.process;
        let capture = &mut self.capture;
        if self.open[0] {
            drain(StreamName::Stdout, stdout, capture).await;
        }
        if self.open[1] {
            drain(StreamName::Stderr, stderr, capture).await;
        }
        self.capture.died(status);
        self.collect();
        self.backlog.push_back(RuntimeEvent::Exited {
            status: status.to_owned(),
        });
        for event in self.backlog {
            if self.events.send(event).await.is_err() {
                return;
            }
        }
    }
}

async fn drain(name: StreamName, pipe: &mut (impl AsyncRead + Unpin), capture: &mut Capture) {
    let mut buffer = vec![0; READ];
    let reading = async {
        while let Ok(count) = pipe.read(&mut buffer).await
            && count > 0
        {
            capture.push(name, &buffer[..count], Instant::now());
        }
    };
    let _ = timeout(DRAIN_TIMEOUT, reading).await;
}
