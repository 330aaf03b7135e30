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
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
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

/// The number of loads that have not finished: the first one, and those requested.
#[derive(Clone, Debug)]
struct PendingLoads(Arc<AtomicUsize>);

impl PendingLoads {
    /// Counts the load with which the process starts.
    fn at_start() -> Self {
        Self(Arc::new(AtomicUsize::new(1)))
    }

    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn finish(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn is_any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
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
    match inherited_listener().and_then(|listener| serve(listener, start)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("analysis: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the socket on stdin, with this process set to end with its parent.
fn inherited_listener() -> io::Result<UnixListener> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let listener = UnixListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    listener.set_nonblocking(false)?;
    Ok(listener)
}

fn serve<A: Analyze>(
    listener: UnixListener,
    start: impl FnOnce() -> A + Send + 'static,
) -> io::Result<()> {
    let loads = PendingLoads::at_start();
    // The queue of requests; each connection has at most one in it beside loads.
    let (requests_tx, requests) = mpsc::channel::<PendingRequest>();
    let worker_loads = loads.clone();
    std::thread::Builder::new()
        .name("analysis".into())
        .stack_size(STACK)
        .spawn(move || {
            let first = requests.recv_timeout(START_DELAY).ok();
            let mut analyzer = start();
            analyzer.settle();
            worker_loads.finish();
            for PendingRequest { request, reply } in first.into_iter().chain(requests) {
                let is_load = matches!(request, AnalysisRequest::Load { .. });
                // The receiver may have been dropped.
                let _ = reply.send(analyzer.answer(request));
                analyzer.settle();
                if is_load {
                    worker_loads.finish();
                }
            }
        })?;
    for stream in listener.incoming() {
        let stream = stream?;
        let requests_tx = requests_tx.clone();
        let loads = loads.clone();
        // Ends with the connection.
        std::thread::Builder::new()
            .name("connection".into())
            .spawn(move || {
                // A broken connection is handled by its other end.
                let _ = serve_connection(stream, &requests_tx, &loads);
            })?;
    }
    Ok(())
}

fn serve_connection(
    mut stream: UnixStream,
    requests_tx: &mpsc::Sender<PendingRequest>,
    loads: &PendingLoads,
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
        let is_load = match request {
            AnalysisRequest::Types { wait: false, .. } if loads.is_any() => {
                send(&mut stream, &AnalysisReply::Loading)?;
                continue;
            }
            AnalysisRequest::Load { .. } => true,
            _ => false,
        };
        if is_load {
            loads.add();
        }
        let (reply, replies) = mpsc::channel();
        let is_queued = requests_tx.send(PendingRequest { request, reply });
        is_queued.map_err(|_| io::ErrorKind::BrokenPipe)?;
        // A load has no reply, and takes long: types can be asked for meanwhile.
        if !is_load && let Ok(Some(reply)) = replies.recv() {
            send(&mut stream, &reply)?;
        }
    }
}

fn send(stream: &mut UnixStream, reply: &AnalysisReply) -> io::Result<()> {
    stream.write_all(&frame::encode(reply).map_err(io::Error::other)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::AnalysisClient;
    use phalanx_protocol::analysis::AnalyzedCell;

    /// Time limit of a reply.
    const LIMIT: Duration = Duration::from_secs(30);

    /// An analyzer whose loads take until a message is sent.
    struct Gated(mpsc::Receiver<()>);

    impl Analyze for Gated {
        fn answer(&mut self, request: AnalysisRequest) -> Option<AnalysisReply> {
            match request {
                AnalysisRequest::Load { .. } => {
                    self.0.recv().unwrap();
                    None
                }
                _ => Some(AnalysisReply::Types(Vec::new())),
            }
        }
    }

    #[test]
    fn types_are_loading_until_all_loads_have_finished() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let (open, gate) = mpsc::channel();
        // Both threads end with the test program: the listener accepts until then.
        std::thread::spawn(move || {
            serve(listener, move || {
                gate.recv().unwrap();
                Gated(gate)
            })
        });
        let mut client = AnalysisClient::new(socket.clone());
        fn types(client: &mut AnalysisClient, wait: bool) -> Option<AnalysisReply> {
            let cell = AnalyzedCell::default();
            client.ask(&AnalysisRequest::Types { cell, wait }, LIMIT, || true)
        }
        let found = Some(AnalysisReply::Types(Vec::new()));
        assert_eq!(types(&mut client, false), Some(AnalysisReply::Loading));
        open.send(()).unwrap();
        assert_eq!(types(&mut client, true), found);
        assert_eq!(types(&mut client, false), found);

        // The client that asks for a load is answered during it.
        let folder = folder.path().to_owned();
        let load = |again| AnalysisRequest::Load {
            folder: folder.clone(),
            again,
        };
        for again in [false, true] {
            assert!(client.notify(&load(again)));
            assert_eq!(types(&mut client, false), Some(AnalysisReply::Loading));
        }
        open.send(()).unwrap();
        assert_eq!(types(&mut client, false), Some(AnalysisReply::Loading));
        open.send(()).unwrap();
        assert_eq!(types(&mut client, true), found);

        // Another client is, too.
        let mut other = AnalysisClient::new(socket);
        assert!(other.notify(&load(false)));
        // The request to load is read by another thread.
        let deadline = std::time::Instant::now() + LIMIT;
        while types(&mut client, false) == found {
            assert!(std::time::Instant::now() < deadline);
        }
        assert_eq!(types(&mut client, false), Some(AnalysisReply::Loading));
        open.send(()).unwrap();
        assert_eq!(types(&mut client, true), found);
    }
}
