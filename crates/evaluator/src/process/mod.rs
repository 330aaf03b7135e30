//! The evaluator process: one thread reads requests, the main thread works on them in order.

mod interrupt;
mod link;

pub(crate) use interrupt::Interrupt;
pub(crate) use link::KernelLink;

use phalanx_protocol::evaluator::{
    EvaluatorEvent, EvaluatorReply, EvaluatorRequest, NamespaceKind, Toolchain,
};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::runtime::Outcome;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc;

/// The evaluator that a process is built around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// rustc, through evcxr.
    #[cfg(feature = "evcxr")]
    Evcxr,
    /// The twin for tests.
    #[cfg(feature = "echo")]
    Echo,
}

impl Backend {
    /// The arguments that select it in `phalanx evaluator`.
    pub(crate) fn args(self, kind: NamespaceKind) -> Vec<&'static str> {
        let kind = match kind {
            NamespaceKind::Local => "local",
            NamespaceKind::Engines => "engines",
        };
        let words = ["evaluator", "--kind", kind];
        let echo = match self {
            #[cfg(feature = "evcxr")]
            Self::Evcxr => None,
            #[cfg(feature = "echo")]
            Self::Echo => Some("--echo"),
        };
        words.into_iter().chain(echo).collect()
    }

    /// Returns true if it needs a build folder.
    pub(crate) fn builds(self) -> bool {
        match self {
            #[cfg(feature = "evcxr")]
            Self::Evcxr => true,
            #[cfg(feature = "echo")]
            Self::Echo => false,
        }
    }
}

/// Something that evaluates: evcxr, or its twin.
pub(crate) trait Evaluate {
    /// The toolchain that compiled cells need on the machine that runs them.
    fn toolchain(&self) -> Toolchain;

    /// Works on one request; what has to be run meanwhile goes over the link.
    fn answer(&mut self, work: SlowRequest) -> Result<EvaluatorReply, Failure>;
}

/// A request that takes its time, without its id.
pub(crate) type SlowRequest = EvaluatorRequest;

/// Runs an evaluator process from start to end; called by `phalanx evaluator`.
///
/// Ends with success once the kernel closes the socket, and at once when the kernel dies.
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
    // Requests wait here for their turn; a user's actions, so few.
    let (work_tx, work) = mpsc::channel();
    let (ran_tx, ran) = mpsc::channel::<Outcome>();
    let (link, reader) = KernelLink::connect(ran)?;
    let link = Arc::new(link);
    let from_kernel = {
        let interrupt = interrupt.clone();
        move || reader.read_all(&work_tx, &ran_tx, &interrupt)
    };
    std::thread::Builder::new()
        .name("kernel".into())
        .spawn(from_kernel)?;
    let mut evaluator = match start(kind, backend, &link, &interrupt) {
        Ok(evaluator) => evaluator,
        Err(failure) => return link.send(&EvaluatorEvent::StartFailed { failure }),
    };
    link.send(&EvaluatorEvent::Ready(evaluator.toolchain()))?;
    while let Ok(request) = work.recv() {
        let Some(id) = link::id_of(&request) else {
            continue;
        };
        let stopped = || Failure::Interrupted { lost: Vec::new() };
        let result = if interrupt.interrupted() {
            Err(stopped())
        } else {
            // A cell that was compiled before the interrupt could stop it is done all the same.
            let result = evaluator.answer(request);
            result.map_err(|failure| {
                if interrupt.interrupted() {
                    stopped()
                } else {
                    failure
                }
            })
        };
        interrupt.end();
        link.send(&EvaluatorEvent::Answer { id, result })?;
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
