//! The analysis process: a thread for each connection, and one that works on all requests in turn.

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

/// The stack of the thread that works: rust-analyzer follows the nesting of code by recursion.
const STACK: usize = 64 << 20;

/// The time that the first evaluator has for its start before this process takes a processor to itself.
const HEAD_START: Duration = Duration::from_secs(1);

/// Something that answers requests: rust-analyzer, or a twin for tests.
pub trait Analyze {
    /// Answers one request, if it is one that has a reply.
    fn answer(&mut self, request: AnalysisRequest) -> Option<AnalysisReply>;

    /// Does what is left to do once the answer is sent.
    fn settle(&mut self) {}
}

/// A request, and where its reply goes.
struct PendingRequest {
    request: AnalysisRequest,
    reply: mpsc::Sender<Option<AnalysisReply>>,
}

/// Serves the socket on stdin, for the life of the process that started this one.
///
/// `start` may take its time: requests wait for it.
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
    // Requests wait here for their turn; each connection has one at a time.
    let (jobs, work) = mpsc::channel::<PendingRequest>();
    std::thread::Builder::new()
        .name("analysis".into())
        .stack_size(STACK)
        .spawn(move || {
            let first = work.recv_timeout(HEAD_START).ok();
            let mut analyzer = start();
            analyzer.settle();
            for PendingRequest { request, reply } in first.into_iter().chain(work) {
                // Who asked may be gone.
                let _ = reply.send(analyzer.answer(request));
                analyzer.settle();
            }
        })?;
    for stream in listener.incoming() {
        let stream = stream?;
        let jobs = jobs.clone();
        // Ends with the connection.
        std::thread::Builder::new()
            .name("asked".into())
            .spawn(move || {
                // A connection that breaks off is its owner's business.
                let _ = answer_all(stream, &jobs);
            })?;
    }
    Ok(())
}

fn answer_all(mut stream: UnixStream, jobs: &mpsc::Sender<PendingRequest>) -> io::Result<()> {
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
        let (reply, answer) = mpsc::channel();
        let is_heard = jobs.send(PendingRequest { request, reply });
        is_heard.map_err(|_| io::ErrorKind::BrokenPipe)?;
        // Without one, the next request may come.
        if let Ok(Some(answer)) = answer.recv() {
            stream.write_all(&frame::encode(&answer).map_err(io::Error::other)?)?;
        }
    }
}
