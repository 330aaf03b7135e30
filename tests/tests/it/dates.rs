//! Dates of ours are dates to ipyparallel's clients and hub.

use phalanx_tests::bounded::run;
use phalanx_tests::place::Place;
use phalanx_tests::prepared::{Prepared, checkout};
use serde_json::{Value, json};
use std::time::Duration;

/// Longest time for both controllers and a kernel.
const LIMIT: Duration = Duration::from_secs(900);

#[test]
fn stock_clients_and_a_stock_hub_compute_with_our_dates() {
    let Some(prepared) = Prepared::get() else {
        return;
    };
    let place = Place::new();
    let mut command = place.command(&prepared, prepared.python());
    command
        .arg(checkout("tests/python/dates.py"))
        .arg(prepared.binary("phalanx"))
        .arg(prepared.binary("phalanx-engine"))
        .arg(place.path(""));
    let finished = run(&mut command, LIMIT).succeeded();
    let seen: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let expected = json!({
        "ours": {"durations": true, "records": [true]},
        "stock": {"kernel": [true], "stock": [true], "complaints": []},
    });
    assert_eq!(seen, expected, "{}", finished.stderr);
}
