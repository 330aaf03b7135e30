//! Variables from before a cell survive everything it does to its process.

use phalanx_tests::harness::{part, skip};
use phalanx_tests::prepared::Prepared;
use serde_json::Value;
use std::time::Duration;

phalanx_tests::cases! {
    crash_ends_only_its_cell(prepared: Prepared)
}

/// The variable from before all of them, as the cell after each shows it.
const KEPT: &str = "[1, 2, 3]";

/// Time limit; two dependencies are built.
const LIMIT: Duration = Duration::from_secs(1200);

fn texts(answer: &Value) -> String {
    let outputs = answer.as_array().into_iter().flatten();
    outputs.filter_map(Value::as_str).collect()
}

fn crash_ends_only_its_cell(prepared: Prepared) {
    let (answers, _) = prepared.script("crashes.py").within(LIMIT).run_json();
    for (crash, status) in [
        ("segfault", "signal 11 (SIGSEGV)"),
        ("abort", "signal 6 (SIGABRT)"),
        ("stack overflow", "signal 6 (SIGABRT)"),
        ("exit", "exit status 3"),
        ("kill -9", "signal 9 (SIGKILL)"),
        ("with pools", "signal 6 (SIGABRT)"),
    ] {
        part(crash, || check_crash(&answers[crash], status));
    }
    for interrupted in ["busy loop", "sleep", "lost threads"] {
        part(interrupted, || check_interrupt(&answers[interrupted]));
    }
    part("memory", || check_exhaustion(&answers["memory"]));
    part("redefined type", || {
        let redefined = answers["redefined"].as_array().unwrap();
        assert!(texts(&redefined[1]).contains("`a`"), "{redefined:?}");
        let text = texts(&redefined[2]);
        assert!(text.contains("cannot find value `a`"), "{redefined:?}");
    });
    part("pools", || {
        assert!(texts(&answers["pools"]).ends_with("499500"), "{answers}");
        let text = texts(&answers["with pools"]["outputs"]);
        assert!(text.contains("has no threads of earlier cells"), "{text}");
    });
}

fn check_crash(answer: &Value, status: &str) {
    let text = texts(&answer["outputs"]);
    let expected = format!(
        "RuntimeDied: the cell ended its process ({status}); every variable from before it is kept"
    );
    assert!(text.ends_with(&expected), "{text}");
    assert_eq!(texts(&answer["kept"]), KEPT);
}

fn check_interrupt(answer: &Value) {
    let milliseconds = answer["milliseconds"].as_f64().unwrap();
    println!("{milliseconds:.0} ms from interrupt to idle");
    let text = texts(&answer["outputs"]);
    assert!(text.starts_with("begun\n"), "{answer}");
    // Notices about restarted threads of a pool may precede it.
    assert!(text.contains("\nInterrupted: "), "{answer}");
    assert_eq!(texts(&answer["kept"]), KEPT);
}

fn check_exhaustion(answer: &Value) {
    if let Some(reason) = answer["skipped"].as_str() {
        skip(reason);
    }
    let text = texts(&answer["outputs"]);
    assert!(text.contains("signal 9"), "{text}");
    assert_eq!(texts(&answer["kept"]), KEPT);
}
