//! An engine needs only its program.

use phalanx_tests::bounded::run;
use phalanx_tests::prepared::{Prepared, UserNamespaces, checkout};
use phalanx_tests::sandbox::Sandbox;
use serde_json::Value;
use std::time::Duration;

phalanx_tests::cases! {
    engine_without_rust_runs_a_cell_that_uses_a_crate(prepared: Prepared, namespaces: UserNamespaces)
}

/// Time limit for the cluster, the registration and the cells.
const LIMIT: Duration = Duration::from_secs(1200);

fn engine_without_rust_runs_a_cell_that_uses_a_crate(prepared: Prepared, _: UserNamespaces) {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("far");
    std::fs::create_dir(&folder).unwrap();
    let mut command = sandbox.command(&prepared, prepared.python());
    command
        .arg(checkout("tests/python/lone_engine.py"))
        .arg(prepared.binary("phalanx-engine"))
        .arg(&folder)
        .args(["--mark", &sandbox.mark_variable()]);
    let finished = run(&mut command, LIMIT).succeeded();
    let seen: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let outputs = seen["outputs"].to_string();
    assert!(outputs.contains("42"), "{outputs}");
    assert!(outputs.contains("variables 0"), "{outputs}");
    // The standard library was sent as well, so nothing is loaded from a toolchain.
    assert!(outputs.contains("loaded "), "{outputs}");
    assert!(
        !outputs.contains("rustlib") && !outputs.contains(".rustup"),
        "{outputs}"
    );
    // Only the expected files are left in the engine's folder.
    assert_eq!(
        seen["kept"],
        serde_json::json!(["engine.json", "phalanx-engine"])
    );
}
