//! Variables from before a cell survive everything it does to its process.

use phalanx_tests::prepared::Prepared;
use serde_json::{Value, json};
use std::time::Duration;

phalanx_tests::cases! {
    a_crash_costs_one_cell(prepared: Prepared)
}

/// Time limit; two dependencies are built.
const LIMIT: Duration = Duration::from_secs(1200);

fn texts(answer: &Value) -> String {
    let outputs = answer.as_array().into_iter().flatten();
    outputs.filter_map(Value::as_str).collect()
}

fn a_crash_costs_one_cell(prepared: Prepared) {
    let (answers, _) = prepared.script("crashes.py").within(LIMIT).seen();
    let kept = json!(["[1, 2, 3]"]);
    for (crash, status) in [
        ("segfault", "signal 11 (SIGSEGV)"),
        ("abort", "signal 6 (SIGABRT)"),
        ("stack overflow", "signal 6 (SIGABRT)"),
        ("exit", "exit status 3"),
        ("kill -9", "signal 9 (SIGKILL)"),
        ("with pools", "signal 6 (SIGABRT)"),
    ] {
        let told = texts(&answers[crash]["outputs"]);
        let expected = format!(
            "RuntimeDied: the cell ended its process ({status}); every variable from before it is kept"
        );
        assert!(told.ends_with(&expected), "{crash}: {told}");
        assert_eq!(answers[crash]["kept"], kept, "{crash}");
    }
    for interrupted in ["busy loop", "sleep", "lost threads"] {
        let answer = &answers[interrupted];
        println!(
            "{interrupted}: {:.0} ms from interrupt to idle",
            answer["milliseconds"].as_f64().unwrap()
        );
        let told = texts(&answer["outputs"]);
        assert!(told.starts_with("begun\n"), "{answer}");
        // Notices about restarted threads of a pool may precede it.
        assert!(told.contains("\nInterrupted: "), "{answer}");
        assert_eq!(answer["kept"], kept, "{interrupted}");
    }
    match answers["memory"]["skipped"].as_str() {
        Some(reason) => println!("memory: not tried: {reason}"),
        None => {
            let told = texts(&answers["memory"]["outputs"]);
            assert!(told.contains("signal 9"), "{told}");
            assert_eq!(answers["memory"]["kept"], kept);
        }
    }

    let redefined = answers["redefined"].as_array().unwrap();
    assert!(texts(&redefined[1]).contains("`a`"), "{redefined:?}");
    assert!(
        texts(&redefined[2]).contains("cannot find value `a`"),
        "{redefined:?}"
    );

    assert!(texts(&answers["pools"]).ends_with("499500"), "{answers}");
    let told = texts(&answers["with pools"]["outputs"]);
    assert!(told.contains("has no threads of earlier cells"), "{told}");
}
