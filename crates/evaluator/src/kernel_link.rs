//! The evaluator's end of the kernel's socket.

use crate::environment::SOCKET_VAR;
use crate::interrupt::Interrupt;
use phalanx_protocol::evaluator::{CompiledCell, EvaluatorEvent, EvaluatorRequest, RequestId};
use phalanx_protocol::frame::{self, Decoder};
use phalanx_protocol::runtime::Outcome;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Mutex, PoisonError};

/// Sends events to the kernel; shared by the main thread and the relay's.
pub(crate) struct KernelLink {
    /// Locked for single writes only.
    stream: Mutex<UnixStream>,
    /// Locked while a cell runs, since cells run one at a time.
    outcomes: Mutex<Receiver<Outcome>>,
}

/// Receives the kernel's messages.
pub(crate) struct RequestReader {
    stream: UnixStream,
}

impl KernelLink {
    /// Connects to the kernel that started this process.
    pub(crate) fn connect(outcomes: Receiver<Outcome>) -> io::Result<(Self, RequestReader)> {
        let path = std::env::var_os(SOCKET_VAR)
            .ok_or_else(|| io::Error::other("an evaluator is started by a kernel, not by hand"))?;
        let stream = UnixStream::connect(path)?;
        let reader = RequestReader {
            stream: stream.try_clone()?,
        };
        let link = Self {
            stream: Mutex::new(stream),
            outcomes: Mutex::new(outcomes),
        };
        Ok((link, reader))
    }

    /// Sends an event to the kernel.
    ///
    /// # Errors
    /// Returns an error if the connection is closed.
    pub(crate) fn send(&self, event: &EvaluatorEvent) -> io::Result<()> {
        let bytes = frame::encode(event).map_err(io::Error::other)?;
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(&bytes)
    }

    /// Makes the kernel run a local cell; returns its outcome.
    ///
    /// # Errors
    /// Returns an error if the connection is closed.
    pub(crate) fn run(&self, cell: CompiledCell) -> io::Result<Outcome> {
        let outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        self.send(&EvaluatorEvent::Run(cell))?;
        outcomes
            .recv()
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl RequestReader {
    /// Reads messages until the kernel closes the socket or exits, then exits with all child
    /// processes.
    pub(crate) fn read_all(
        mut self,
        requests: &Sender<EvaluatorRequest>,
        outcomes: &Sender<Outcome>,
        interrupt: &Interrupt,
    ) {
        let mut decoder = Decoder::default();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let request = match decoder.decode::<EvaluatorRequest>() {
                Ok(Some(request)) => request,
                Ok(None) => match self.stream.read(&mut buffer) {
                    Ok(count) if count > 0 => {
                        decoder.push(&buffer[..count]);
                        continue;
                    }
                    _ => exit_with_group(),
                },
                Err(error) => {
                    eprintln!("evaluator: the kernel sent a malformed request: {error}");
                    std::process::exit(1);
                }
            };
            let is_delivered = match request {
                EvaluatorRequest::Ran { outcome } => outcomes.send(outcome).is_ok(),
                EvaluatorRequest::Interrupt => {
                    interrupt.kill_children();
                    true
                }
                request => {
                    interrupt.begin();
                    requests.send(request).is_ok()
                }
            };
            if !is_delivered {
                return;
            }
        }
    }
}

/// Kills this process and all processes it has started, including cargo and rustc: it leads a
/// process group.
fn exit_with_group() -> ! {
    let own = rustix::process::getpid();
    if rustix::process::getpgrp() == own {
        // This also kills the calling process.
        let _ = rustix::process::kill_process_group(own, rustix::process::Signal::KILL);
    }
    std::process::exit(0)
}

/// Returns the id for the reply to a request.
pub(crate) fn id_of(request: &EvaluatorRequest) -> Option<RequestId> {
    match request {
        EvaluatorRequest::Evaluate { id, .. }
        | EvaluatorRequest::Compile { id, .. }
        | EvaluatorRequest::AddDependency { id, .. } => Some(*id),
        EvaluatorRequest::Ran { .. } | EvaluatorRequest::Interrupt => None,
    }
}
