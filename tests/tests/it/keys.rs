//! Keys stand in connection files and nowhere else.

use phalanx_tests::bounded::run;
use phalanx_tests::place::Place;
use phalanx_tests::prepared::{Prepared, checkout};
use serde_json::{Value, json};
use std::time::Duration;

/// Longest time for the cluster and its cells.
const LIMIT: Duration = Duration::from_secs(300);

#[test]
fn keys_are_on_no_command_line_and_in_no_log() {
    let Some(prepared) = Prepared::get() else {
        return;
    };
    let place = Place::new();
    let mut command = place.command(&prepared, prepared.python());
    command
        .arg(checkout("tests/python/keys.py"))
        .arg(prepared.binary("phalanx"))
        .arg(place.path(""));
    let finished = run(&mut command, LIMIT).succeeded();
    let seen: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!(seen["found"], json!([]), "{}", finished.stderr);
    assert_eq!(seen["logged"], true);
    assert!(seen["processes"].as_u64().unwrap() >= 5, "{seen}");
}
