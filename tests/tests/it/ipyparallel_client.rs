//! Our controller serves ipyparallel's own client and engines.

use phalanx_tests::bounded::run;
use phalanx_tests::place::Place;
use phalanx_tests::prepared::{Prepared, checkout};
use serde_json::{Value, json};
use std::time::Duration;

/// Longest time for starting and all requests.
const LIMIT: Duration = Duration::from_secs(300);

#[test]
fn a_stock_client_and_stock_engines_work_on_our_controller() {
    let Some(prepared) = Prepared::get() else {
        return;
    };
    let place = Place::new();
    let mut command = place.command(&prepared, prepared.python());
    command
        .arg(checkout("tests/python/ipyparallel_client.py"))
        .arg(prepared.binary("phalanx"))
        .arg(place.path(""));
    let finished = run(&mut command, LIMIT).succeeded();
    let seen: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let squares: Vec<_> = (0..20).map(|x| x * x).collect();
    let expected = json!({
        "ids": [0, 1],
        "processes": 3,
        "map": squares,
        "pull": [20, 20],
        "gather": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        "sum": 42,
        "stdout": ["said\n", "said\n"],
        "status": ["ok", "ok"],
        "results": ["21", "21"],
        "errors": ["ZeroDivisionError", "ZeroDivisionError"],
        "after": 2,
        "queues": 0,
        "records": ["labelled"],
        "resubmitted": [42],
        "history": [],
    });
    assert_eq!(seen, expected);
}
