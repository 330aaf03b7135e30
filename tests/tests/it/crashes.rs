//! Variables from before a cell survive everything it does to its process.

use phalanx_tests::prepared::Prepared;
use serde_json::{Value, json};
use std::time::Duration;

phalanx_tests::cases! {
    crash_ends_only_its_cell(prepared: Prepared)
}

/// Time limit; two dependencies are built.
const LIMIT: Duration = Duration::from_secs(1200);

fn texts(answer: &Value) -> String {
    let outputs = answer.as_array().into_iter().flatten();
    outputs.filter_map(Value::as_str).collect()
}

fn crash_ends_only_its_cell(prepared: Prepared) {
    let (answers, _) = prepared.script("crashes.py").within(LIMIT).run_json();
    let variables = json!(["[1, 2, 3]"]);
    for (crash, status) in [
        ("segfault", "signal 11 (SIGSEGV)"),
        ("abort", "signal 6 (SIGABRT)"),
        ("stack overflow", "signal 6 (SIGABRT)"),
        ("exit", "exit status 3"),
        ("kill -9", "signal 9 (SIGKILL)"),
        ("with pools", "signal 6 (SIGABRT)"),
    ] {
        let text = texts(&answers[crash]["outputs"]);
        let expected = format!(
            "RuntimeDied: the cell ended its process ({status}); every variable from before it is kept"
        );
        assert!(text.ends_with(&expected), "{crash}: {text}");
        assert_eq!(answers[crash]["kept"], variables, "{crash}");
    }
    for interrupted in ["busy loop", "sleep", "lost threads"] {
        let answer = &answers[interrupted];
        println!(
            "{interrupted}: {:.0} ms from interrupt to idle",
            answer["milliseconds"].as_f64().unwrap()
        );
        let text = texts(&answer["outputs"]);
        assert!(text.starts_with("begun\n"), "{answer}");
        // Notices about restarted threads of a pool may precede it.
        assert!(text.contains("\nInterrupted: "), "{answer}");
        assert_eq!(answer["kept"], variables, "{interrupted}");
    }
    match answers["memory"]["skipped"].as_str() {
        Some(reason) => println!("memory: not tried: {reason}"),
        None => {
            let text = texts(&answers["memory"]["outputs"]);
            assert!(text.contains("signal 9"), "{text}");
            assert_eq!(answers["memory"]["kept"], variables);
        }
    }

    let redefined = answers["redefined"].as_array().unwrap();
    assert!(texts(&redefined[1]).contains("`a`"), "{redefined:?}");
    assert!(
        texts(&redefined[2]).contains("cannot find value `a`"),
        "{redefined:?}"
    );

    assert!(texts(&answers["pools"]).ends_with("499500"), "{answers}");
    let text = texts(&answers["with pools"]["outputs"]);
    assert!(text.contains("has no threads of earlier cells"), "{text}");
}
