//! The evaluator process started by the tests, which evcxr also starts as its child process.

use phalanx_evaluator::{Backend, analysis_main, hook, process_main};
use phalanx_protocol::evaluator::NamespaceKind;
use std::process::ExitCode;

fn main() -> ExitCode {
    hook();
    if std::env::args().any(|arg| arg == "runtime") {
        return phalanx_runtime::process_main();
    }
    if std::env::args().any(|arg| arg == "analysis") {
        return analysis_main(Backend::Evcxr);
    }
    let engines = std::env::args().any(|arg| arg == "engines");
    let kind = if engines {
        NamespaceKind::Engines
    } else {
        NamespaceKind::Local
    };
    process_main(kind, Backend::Evcxr)
}
