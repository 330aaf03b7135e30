//! Faults of a cluster: the messages in a notebook, and the variables that survive.

use phalanx_tests::harness::{part, skip};
use phalanx_tests::prepared::{Networks, Prepared};
use serde_json::Value;
use std::time::Duration;

phalanx_tests::cases! {
    fault_is_detected_and_affects_only_its_tasks(prepared: Prepared)
    short_network_failure_loses_nothing(prepared: Prepared, networks: Networks)
}

/// Time limit.
const LIMIT: Duration = Duration::from_secs(600);

/// The table of `tests/python/faults.py`, without the cases of its `--long`, which take minutes.
fn fault_is_detected_and_affects_only_its_tasks(prepared: Prepared) {
    let (seen, _) = prepared
        .script("faults.py")
        .within(LIMIT)
        .program("phalanx")
        .folder()
        .arg("--json")
        .arg("--ping")
        .arg("250")
        .run_json();
    for (fault, row) in seen.as_object().unwrap() {
        part(fault, || check(fault, row));
    }
}

fn check(fault: &str, row: &Value) {
    if let Some(reason) = row["skipped"].as_str() {
        skip(reason);
    }
    assert!(row["failed"].is_null(), "{row}");
    // No fault takes one of our time limits: ten heartbeats are 2.5 s.
    let seconds = row["seconds"].as_f64().unwrap();
    assert!(seconds < 30.0, "{row}");
    // `…; 2 of 2 engines have their variables`: all remaining engines.
    let lost = row["lost"].as_str().unwrap();
    let Some((before, _)) = lost.rsplit_once(" engines have their variables") else {
        assert!(fault.contains("SIGSTOP of the evaluator"), "{row}");
        return;
    };
    let numbers: Vec<&str> = before.rsplit(' ').take(3).collect();
    assert_eq!(numbers[0], numbers[2], "{row}");
}

/// One of those that take minutes: an engine on another host of a network, which cannot be reached for 20 s.
fn short_network_failure_loses_nothing(prepared: Prepared, _: Networks) {
    let (seen, stderr) = prepared
        .script("faults.py")
        .within(LIMIT)
        .program("phalanx")
        .folder()
        .arg("--json")
        .arg("--long")
        .arg("--only")
        .arg("cut for 20 s")
        .run_json();
    let row = &seen["a link that is cut for 20 s"];
    if let Some(reason) = row["skipped"].as_str() {
        skip(reason);
    }
    assert_eq!(row["seen"], "on", "{row}\n{stderr}");
    let lost = row["lost"].as_str().unwrap();
    assert!(
        lost.contains("1 of 1 engines have their variables"),
        "{row}"
    );
}
