//! Our programs in ipyparallel's place.

use phalanx_tests::bounded::run;
use phalanx_tests::place::Place;
use phalanx_tests::prepared::{Prepared, checkout};
use serde_json::{Value, json};
use std::time::Duration;

/// Longest time for all of it.
const LIMIT: Duration = Duration::from_secs(300);

#[test]
fn ipyparallel_starts_our_programs_and_finds_our_clusters() {
    let Some(prepared) = Prepared::get() else {
        return;
    };
    let place = Place::new();
    let mut command = place.command(&prepared, prepared.python());
    command
        .arg(checkout("tests/python/in_place.py"))
        .arg(prepared.binary("phalanx"))
        .arg(prepared.binary("phalanx-engine"));
    let finished = run(&mut command, LIMIT).succeeded();
    let seen: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let expected = json!({
        "started": [[0, 1], [0, 1]],
        "found": {"listed": ["x"], "ids": [0, 1], "revived": [0, 1], "left": []},
    });
    assert_eq!(seen, expected, "{}", finished.stderr);
}
