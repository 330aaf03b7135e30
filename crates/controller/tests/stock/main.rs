//! A controller with ipyparallel's own Client and engines.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use phalanx_controller::{Controller, ControllerConfig};
use phalanx_tests::bounded::run;
use phalanx_tests::prepared::Prepared;
use std::process::{Command, ExitCode};
use std::time::Duration;

phalanx_tests::cases! {
    stock_client_and_engines_work_and_their_end_is_noticed(prepared: Prepared)
}

/// Python peers start slowly.
const LIMIT: Duration = Duration::from_secs(120);

const SCRIPT: &str = include_str!("stock.py");

fn main() -> ExitCode {
    phalanx_tests::harness::main(&[CASES])
}

fn stock_client_and_engines_work_and_their_end_is_noticed(prepared: Prepared) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = ControllerConfig {
        interface: "tcp://127.0.0.1".to_owned(),
        // Too rare to affect the test.
        heartbeat: Duration::from_secs(600),
        ..ControllerConfig::default()
    };
    let controller = runtime.block_on(Controller::start(config)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut script = Command::new(prepared.python());
    script
        .args(["-c", SCRIPT])
        .arg(controller.client_path())
        .arg(controller.engine_path())
        .arg(folder.path());
    let finished = run(&mut script, LIMIT).succeeded();
    let printed = &finished.stdout;
    // Stock clients create replies for an exited engine themselves; ours must not arrive as unknown
    // ones.
    assert!(
        !printed.contains("stale result") && !printed.contains("unknown result"),
        "{printed}"
    );
    assert!(printed.ends_with("all done\n"), "{printed}");
    let ended = async { tokio::time::timeout(LIMIT, controller.ended()).await };
    runtime.block_on(ended).unwrap();
}
