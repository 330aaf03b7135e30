//! The analysis process: one thread per connection, and one that handles all requests in turn.

#[cfg(feature = "rust-analyzer")]
mod analyzer;

#[cfg(feature = "rust-analyzer")]
pub use analyzer::CellAnalyzer;

use phalanx_protocol::analysis::{AnalysisReply, AnalysisRequest};
use phalanx_protocol::frame::{self, Decoder};
use rustix::process::Signal;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

/// The stack size of the worker, in bytes: rust-analyzer recurses with the nesting of code.
const STACK: usize = 64 << 20;

/// Delay after which loading starts, to leave the processor to the start of the first evaluator.
const START_DELAY: Duration = Duration::from_secs(1);

/// A handler of requests: rust-analyzer, or the echo backend.
pub trait Analyze {
    /// Handles a request; returns the reply, if the request has one.
    fn answer(&mut self, request: AnalysisRequest) -> Option<AnalysisReply>;

    /// Finishes pending work after a reply was sent.
    fn settle(&mut self) {}
}

/// A request, and the sender of its reply.
struct PendingRequest {
    request: AnalysisRequest,
    reply: mpsc::Sender<Option<AnalysisReply>>,
}

/// Serves the socket on stdin until the parent process ends.
///
/// `start` may block: requests are queued meanwhile.
pub fn process_main<A: Analyze>(start: impl FnOnce() -> A + Send + 'static) -> ExitCode {
    match serve(start) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("analysis: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve<A: Analyze>(start: impl FnOnce() -> A + Send + 'static) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let listener = UnixListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    listener.set_nonblocking(false)?;
    // The queue of requests; each connection has at most one in it.
    let (requests_tx, requests) = mpsc::channel::<PendingRequest>();
    std::thread::Builder::new()
        .name("analysis".into())
        .stack_size(STACK)
        .spawn(move || {
            let first = requests.recv_timeout(START_DELAY).ok();
            let mut analyzer = start();
            analyzer.settle();
            for PendingRequest { request, reply } in first.into_iter().chain(requests) {
                // The receiver may have been dropped.
                let _ = reply.send(analyzer.answer(request));
                analyzer.settle();
            }
        })?;
    for stream in listener.incoming() {
        let stream = stream?;
        let requests_tx = requests_tx.clone();
        // Ends with the connection.
        std::thread::Builder::new()
            .name("connection".into())
            .spawn(move || {
                // A broken connection is handled by its other end.
                let _ = serve_connection(stream, &requests_tx);
            })?;
    }
    Ok(())
}

fn serve_connection(
    mut stream: UnixStream,
    requests_tx: &mpsc::Sender<PendingRequest>,
) -> io::Result<()> {
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let request = match decoder
            .decode::<AnalysisRequest>()
            .map_err(io::Error::other)?
        {
            Some(request) => request,
            None => match stream.read(&mut buffer)? {
                0 => return Ok(()),
                count => {
                    decoder.push(&buffer[..count]);
                    continue;
                }
            },
        };
        let (reply, replies) = mpsc::channel();
        let is_queued = requests_tx.send(PendingRequest { request, reply });
        is_queued.map_err(|_| io::ErrorKind::BrokenPipe)?;
        // Without a reply, the next request follows.
        if let Ok(Some(reply)) = replies.recv() {
            stream.write_all(&frame::encode(&reply).map_err(io::Error::other)?)?;
        }
    }
}
