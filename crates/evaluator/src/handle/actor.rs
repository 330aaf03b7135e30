//! The actor of an evaluator process: forwards requests and events.

use super::{EvaluatorHandleRequest, EvaluatorMessage};
use crate::folder::BuildFolder;
use phalanx_protocol::evaluator::EvaluatorRequest;
use phalanx_protocol::frame::{self, Decoder};
use phalanx_sys::temporary::TemporaryFolder;
use rustix::process::{Pid, Signal};
use std::collections::VecDeque;
use std::io;
use std::process::ExitStatus;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::{Child, ChildStderr};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};

/// The number of output lines kept in case the process exits.
const MAX_LAST_LINES: usize = 20;

/// The time an evaluator has to respond after an interrupt: one that is stopped, or busy with a
/// step that cannot be interrupted, is killed then. Its successor restores its state.
const INTERRUPT_LIMIT: Duration = Duration::from_secs(10);

enum Event {
    Request(Option<EvaluatorHandleRequest>),
    Connected(io::Result<UnixStream>),
    Bytes(io::Result<usize>),
    Line(Option<String>),
    /// No response since an interrupt.
    Overdue,
    Gone(io::Result<ExitStatus>),
}

struct Actor {
    child: Child,
    listener: UnixListener,
    socket: Option<(OwnedReadHalf, OwnedWriteHalf)>,
    decoder: Decoder,
    buffer: Vec<u8>,
    /// Requests received before the process connected.
    early: Vec<EvaluatorRequest>,
    lines: Option<Lines<BufReader<ChildStderr>>>,
    last_output: VecDeque<String>,
    messages: mpsc::UnboundedSender<EvaluatorMessage>,
    /// The deadline for the response to an interrupt.
    deadline: Option<Instant>,
}

pub(super) async fn run(
    _folders: (TemporaryFolder, Option<BuildFolder>),
    listener: UnixListener,
    mut child: Child,
    mut requests: mpsc::UnboundedReceiver<EvaluatorHandleRequest>,
    messages: mpsc::UnboundedSender<EvaluatorMessage>,
) {
    let lines = child
        .stderr
        .take()
        .map(|stderr| BufReader::new(stderr).lines());
    let pid = child.id();
    let mut actor = Actor {
        child,
        listener,
        socket: None,
        decoder: Decoder::default(),
        buffer: vec![0; 1 << 16],
        early: Vec::new(),
        lines,
        last_output: VecDeque::new(),
        messages,
        deadline: None,
    };
    loop {
        match actor.next(&mut requests).await {
            Event::Request(None) => {
                kill(pid);
                let _ = actor.child.wait().await;
                return;
            }
            Event::Request(Some(EvaluatorHandleRequest::Kill)) | Event::Overdue => kill(pid),
            Event::Gone(status) => {
                kill(pid);
                actor.read_rest().await;
                actor.process_ended(status).await;
                return;
            }
            event => {
                if let Err(error) = actor.handle(event).await {
                    tracing::warn!(%error, "the evaluator's socket failed");
                    // Only its exit is still expected.
                    actor.socket = None;
                    kill(pid);
                }
            }
        }
    }
}

/// Kills the process and all processes it has started: cargo, rustc, the relay.
fn kill(pid: Option<u32>) {
    if let Some(pid) = pid.and_then(|pid| Pid::from_raw(pid as i32)) {
        // The group may not exist any more.
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    }
}

impl Actor {
    async fn next(
        &mut self,
        requests: &mut mpsc::UnboundedReceiver<EvaluatorHandleRequest>,
    ) -> Event {
        let connected = self.socket.is_some();
        let deadline = self.deadline;
        let overdue = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let reading = async {
            match &mut self.socket {
                Some((read, _)) => read.read(&mut self.buffer).await,
                None => std::future::pending().await,
            }
        };
        let line = async {
            match &mut self.lines {
                Some(lines) => lines.next_line().await.ok().flatten(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            request = requests.recv() => Event::Request(request),
            accepted = self.listener.accept(), if !connected => Event::Connected(accepted.map(|(stream, _)| stream)),
            read = reading => Event::Bytes(read),
            line = line => Event::Line(line),
            () = overdue => {
                self.deadline = None;
                Event::Overdue
            }
            status = self.child.wait() => Event::Gone(status),
        }
    }

    async fn handle(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::Request(Some(EvaluatorHandleRequest::Request(request))) => {
                if matches!(request, EvaluatorRequest::Interrupt) {
                    let limit = Instant::now() + INTERRUPT_LIMIT;
                    self.deadline.get_or_insert(limit);
                }
                match &mut self.socket {
                    Some((_, write)) => write_request(write, &request).await?,
                    None => self.early.push(request),
                }
            }
            Event::Connected(stream) => {
                let (read, mut write) = stream?.into_split();
                for request in std::mem::take(&mut self.early) {
                    write_request(&mut write, &request).await?;
                }
                self.socket = Some((read, write));
            }
            Event::Bytes(read) => {
                let count = read?;
                self.deadline = None;
                if count == 0 {
                    // The process is exiting; its exit is handled as an event.
                    self.socket = None;
                    kill(self.child.id());
                    return Ok(());
                }
                self.decoder.push(&self.buffer[..count]);
                while let Some(event) = self.decoder.decode().map_err(io::Error::other)? {
                    self.notify(EvaluatorMessage::Event(event));
                }
            }
            Event::Line(Some(line)) => {
                if self.last_output.len() == MAX_LAST_LINES {
                    self.last_output.pop_front();
                }
                self.last_output.push_back(line.clone());
                self.notify(EvaluatorMessage::Progress(line));
            }
            Event::Line(None) => self.lines = None,
            Event::Request(_) | Event::Overdue | Event::Gone(_) => {}
        }
        Ok(())
    }

    /// Reads the messages sent before the process exited, such as why it could not start.
    async fn read_rest(&mut self) {
        if self.socket.is_none() {
            let accepted = tokio::select! {
                biased;
                accepted = self.listener.accept() => accepted.ok(),
                () = std::future::ready(()) => None,
            };
            self.socket = accepted.map(|(stream, _)| stream.into_split());
        }
        // No process holds the other end any more, so it is closed.
        while let Some((read, _)) = &mut self.socket {
            let read = read.read(&mut self.buffer).await;
            if let Err(error) = self.handle(Event::Bytes(read)).await {
                tracing::debug!(%error, "the socket of an evaluator that has ended");
                self.socket = None;
            }
        }
    }

    async fn process_ended(mut self, status: io::Result<ExitStatus>) {
        if let Some(lines) = &mut self.lines {
            // The process and its group have exited, so the pipe is closed.
            while let Ok(Some(line)) = lines.next_line().await {
                self.last_output.push_back(line);
            }
        }
        let skip = self.last_output.len().saturating_sub(MAX_LAST_LINES);
        let last_output = self.last_output.iter().skip(skip).map(String::as_str);
        let last_output = without_backtrace(last_output);
        self.notify(EvaluatorMessage::Exited {
            status: status.map_or_else(|error| error.to_string(), |status| status.to_string()),
            last_output: last_output.join("\n"),
        });
    }

    fn notify(&self, message: EvaluatorMessage) {
        // The receiver is dropped when the kernel is shutting down.
        let _ = self.messages.send(message);
    }
}

/// Returns the last lines of a process without those after a panic's message: the backtrace, and
/// evcxr's notes for its authors.
fn without_backtrace<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let is_internal =
        |line: &&str| line.starts_with("stack backtrace:") || line.starts_with("=====");
    lines.take_while(|line| !is_internal(line)).collect()
}

async fn write_request(write: &mut OwnedWriteHalf, request: &EvaluatorRequest) -> io::Result<()> {
    let bytes = frame::encode(request).map_err(io::Error::other)?;
    write.write_all(&bytes).await
}

#[cfg(test)]
mod tests {
    use super::without_backtrace;

    #[test]
    fn backtrace_is_removed_from_a_panics_message() {
        let lines = [
            "thread 'main' panicked at src/x.rs:1:2:",
            "index out of bounds",
            "stack backtrace:",
            "   0: rust_begin_unwind",
            "==========",
            "Panic detected. Here's some useful information",
        ];
        assert_eq!(without_backtrace(lines.into_iter()), lines[..2]);
        assert_eq!(without_backtrace(["error: x"].into_iter()), ["error: x"]);
    }
}
