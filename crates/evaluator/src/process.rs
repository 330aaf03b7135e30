//! The evaluator process: one thread receives requests, and the main thread handles them in order.

use crate::evaluate::{Backend, Evaluate};
use crate::interrupt::Interrupt;
use crate::kernel_link::{self, KernelLink};
use phalanx_protocol::evaluator::{EvaluatorEvent, NamespaceKind};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::runtime::Outcome;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc;

/// The main function of an evaluator process; called by `phalanx evaluator`.
///
/// Returns successfully once the kernel closes the socket, and immediately if the kernel exits.
pub fn process_main(kind: NamespaceKind, backend: Backend) -> ExitCode {
    match serve(kind, backend) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("evaluator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(kind: NamespaceKind, backend: Backend) -> std::io::Result<()> {
    let interrupt = Interrupt::default();
    // The queue of requests; unbounded, since each is caused by an action of the user.
    let (requests_tx, requests) = mpsc::channel();
    let (outcomes_tx, outcomes) = mpsc::channel::<Outcome>();
    let (link, reader) = KernelLink::connect(outcomes)?;
    let link = Arc::new(link);
    let from_kernel = {
        let interrupt = interrupt.clone();
        move || reader.read_all(&requests_tx, &outcomes_tx, &interrupt)
    };
    std::thread::Builder::new()
        .name("kernel".into())
        .spawn(from_kernel)?;
    let mut evaluator = match start(kind, backend, &link, &interrupt) {
        Ok(evaluator) => evaluator,
        Err(failure) => return link.send(&EvaluatorEvent::StartFailed { failure }),
    };
    link.send(&EvaluatorEvent::Ready(evaluator.toolchain()))?;
    while let Ok(request) = requests.recv() {
        let Some(id) = kernel_link::id_of(&request) else {
            continue;
        };
        let interruption = || Failure::Interrupted { lost: Vec::new() };
        let result = if interrupt.interrupted() {
            Err(interruption())
        } else {
            // A cell that was compiled before the interrupt took effect has completed.
            let result = evaluator.handle(request);
            result.map_err(|failure| {
                if interrupt.interrupted() {
                    interruption()
                } else {
                    failure
                }
            })
        };
        interrupt.end();
        link.send(&EvaluatorEvent::Reply { id, result })?;
    }
    Ok(())
}

fn start(
    kind: NamespaceKind,
    backend: Backend,
    link: &Arc<KernelLink>,
    interrupt: &Interrupt,
) -> Result<Box<dyn Evaluate>, Failure> {
    match backend {
        #[cfg(feature = "evcxr")]
        Backend::Evcxr => crate::evcxr::start(kind, link, interrupt),
        #[cfg(feature = "echo")]
        Backend::Echo => {
            let _ = (kind, interrupt);
            crate::echo::start(link)
        }
    }
}
