//! Faults of a cluster: what a notebook shows, and what it still has afterwards.

use phalanx_tests::bounded::run;
use phalanx_tests::place::Place;
use phalanx_tests::prepared::{Prepared, checkout};
use serde_json::Value;
use std::time::Duration;

/// Longest time for all of it.
const LIMIT: Duration = Duration::from_secs(600);

/// The table of `tests/python/faults.py`, without those that take minutes: `--long` there.
#[test]
fn a_fault_is_noticed_and_costs_what_it_has_to() {
    let Some(prepared) = Prepared::get() else {
        return;
    };
    let place = Place::new();
    let mut command = place.command(&prepared, prepared.python());
    command
        .arg(checkout("tests/python/faults.py"))
        .arg(prepared.binary("phalanx"))
        .arg(place.path(""))
        .args(["--json", "--ping", "250"]);
    let finished = run(&mut command, LIMIT);
    let seen: Value = serde_json::from_str(&finished.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", finished.stderr));
    for (fault, row) in seen.as_object().unwrap() {
        if let Some(reason) = row["skipped"].as_str() {
            phalanx_tests::prepared::skip(&format!("{fault}: {reason}"));
            continue;
        }
        assert!(row["failed"].is_null(), "{fault}: {row}");
        // Nothing waits for a limit of ours: ten heartbeats are 2.5 s.
        let seconds = row["seconds"].as_f64().unwrap();
        assert!(seconds < 30.0, "{fault}: {row}");
        let kept = row["lost"].as_str().unwrap();
        let loses_all = fault.ends_with("of an engine's runtime") || fault.contains("evaluator");
        assert!(
            loses_all || kept.contains("have their variables") && !kept.contains("0 of"),
            "{fault}: {row}"
        );
    }
}
