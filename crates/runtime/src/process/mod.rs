//! The runtime process: one thread that takes requests from its owner and performs them.

mod library;
mod listeners;

#[cfg(feature = "echo")]
mod echo;

use crate::CONTROL_SOCKET_VAR;
use crate::output::end_marker;
use library::Cells;
use phalanx_protocol::frame::{self, Decoder};
use phalanx_protocol::id::RunId;
use phalanx_protocol::runtime::{RuntimeReply, RuntimeRequest};
use rustix::process::Signal;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

/// What a runtime process does from start to end; called by `phalanx runtime` and
/// `phalanx-engine runtime`.
///
/// Ends with success once the owner closes the control socket, and at once when the owner dies.
pub fn process_main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("runtime: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum ProcessError {
    #[error("{CONTROL_SOCKET_VAR} is not set: a runtime is started by a kernel or an engine")]
    NoOwner,
    #[error("the control socket failed: {0}")]
    Control(#[from] io::Error),
    #[error("the owner sent something that is no request: {0}")]
    Frame(#[from] frame::FrameError),
}

fn serve() -> Result<(), ProcessError> {
    // A busy cell never looks at the control socket, so the kernel has to see to this.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(io::Error::from)?;
    let path = std::env::var_os(CONTROL_SOCKET_VAR).ok_or(ProcessError::NoOwner)?;
    let mut control = Control {
        stream: UnixStream::connect(path)?,
        decoder: Decoder::default(),
    };
    let mut cells = Cells::default();
    control.send(&RuntimeReply::Ready)?;
    while let Some(request) = control.receive()? {
        let reply = match request {
            RuntimeRequest::Load { library } => match cells.load(&library) {
                Ok(()) => RuntimeReply::Loaded,
                Err(message) => RuntimeReply::LoadFailed { run: None, message },
            },
            RuntimeRequest::Run {
                run,
                artifact,
                entry,
            } => match cells.run(&artifact, &entry) {
                Ok(()) => {
                    mark_end(run);
                    RuntimeReply::Ended { run }
                }
                Err(message) => RuntimeReply::LoadFailed {
                    run: Some(run),
                    message,
                },
            },
            RuntimeRequest::Hear { run } => {
                cells.hear();
                mark_end(run);
                RuntimeReply::Ended { run }
            }
        };
        control.send(&reply)?;
    }
    Ok(())
}

/// Writes the end marker to both pipes, behind everything the cell has written.
fn mark_end(run: RunId) {
    let marker = end_marker(run);
    // Straight to the descriptors: our own buffered stdout is not the cells'. A cell that closed
    // them has no output left to order, and the owner hears of the end on the control socket too.
    for fd in [rustix::stdio::stdout(), rustix::stdio::stderr()] {
        let mut rest = marker.as_bytes();
        while !rest.is_empty() {
            match rustix::io::retry_on_intr(|| rustix::io::write(fd, rest)) {
                Ok(written) => rest = &rest[written..],
                Err(_) => break,
            }
        }
    }
}

struct Control {
    stream: UnixStream,
    decoder: Decoder,
}

impl Control {
    fn send(&mut self, reply: &RuntimeReply) -> Result<(), ProcessError> {
        self.stream.write_all(&frame::encode(reply)?)?;
        Ok(())
    }

    fn receive(&mut self) -> Result<Option<RuntimeRequest>, ProcessError> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(request) = self.decoder.decode()? {
                return Ok(Some(request));
            }
            let count = self.stream.read(&mut buffer)?;
            if count == 0 {
                return Ok(None);
            }
            self.decoder.push(&buffer[..count]);
        }
    }
}
