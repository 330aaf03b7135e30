//! An engine needs only its program.

use phalanx_tests::bounded::run;
use phalanx_tests::prepared::{Prepared, UserNamespaces, checkout};
use phalanx_tests::sandbox::Sandbox;
use serde_json::Value;
use std::time::Duration;

phalanx_tests::cases! {
    an_engine_in_an_empty_folder_runs_a_cell_that_uses_a_crate(prepared: Prepared, namespaces: UserNamespaces)
}

/// Time limit for the cluster, the registration and the cells.
const LIMIT: Duration = Duration::from_secs(1200);

fn an_engine_in_an_empty_folder_runs_a_cell_that_uses_a_crate(
    prepared: Prepared,
    _: UserNamespaces,
) {
    let place = Sandbox::new();
    let folder = place.path("far");
    std::fs::create_dir(&folder).unwrap();
    let mut command = place.command(&prepared, prepared.python());
    command
        .arg(checkout("tests/python/lone_engine.py"))
        .arg(prepared.binary("phalanx-engine"))
        .arg(&folder)
        .args(["--mark", &place.marking()]);
    let finished = run(&mut command, LIMIT).succeeded();
    let seen: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let said = seen["outputs"].to_string();
    assert!(said.contains("42"), "{said}");
    assert!(said.contains("variables 0"), "{said}");
    // The standard library was sent as well, so nothing is loaded from a toolchain.
    assert!(said.contains("loaded "), "{said}");
    assert!(
        !said.contains("rustlib") && !said.contains(".rustup"),
        "{said}"
    );
    // Only the expected files are left in the engine's folder.
    assert_eq!(
        seen["kept"],
        serde_json::json!(["engine.json", "phalanx-engine"])
    );
}
