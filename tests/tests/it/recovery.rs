//! Engines keep every variable when processes are stopped, or killed and started again.

use phalanx_tests::bounded::run;
use phalanx_tests::place::Place;
use phalanx_tests::prepared::{Prepared, checkout};
use serde_json::{Value, json};
use std::time::Duration;

/// Longest time for all of it.
const LIMIT: Duration = Duration::from_secs(900);

#[test]
fn engines_keep_their_variables_when_processes_stop_or_the_controller_is_killed() {
    let Some(prepared) = Prepared::get() else {
        return;
    };
    let place = Place::new();
    let mut command = place.command(&prepared, prepared.python());
    command
        .arg(checkout("tests/python/recovery.py"))
        .arg(prepared.binary("phalanx"))
        .arg(prepared.binary("phalanx-engine"))
        .arg(place.path(""));
    let finished = run(&mut command, LIMIT).succeeded();
    let seen: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let kept = json!(["[stdout:0] \nkept 42\n"]);
    let expected = json!({
        "engine stopped": {"failed": ["true\n"], "same": true, "kept": kept},
        "controller stopped": {"kept": kept},
        "controller killed": {"ids": [0], "kept": kept},
    });
    assert_eq!(seen, expected, "{}", finished.stderr);
}
