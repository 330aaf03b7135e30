//! Rust and Python engines in one cluster: each task runs on an engine that supports it.

use phalanx_tests::prepared::Prepared;
use serde_json::json;
use std::time::Duration;

phalanx_tests::cases! {
    rust_and_python_engines_work_side_by_side(prepared: Prepared)
}

/// Time limit for two controllers and two kernels.
const LIMIT: Duration = Duration::from_secs(900);

fn rust_and_python_engines_work_side_by_side(prepared: Prepared) {
    let (output, stderr) = prepared
        .script("mixed.py")
        .within(LIMIT)
        .program("phalanx")
        .program("phalanx-engine")
        .folder()
        .run_json();
    let squares: Vec<u64> = (0..20).map(|x| x * x).collect();
    let used = json!({
        "notebook": ["[0]", format!("{squares:?}"), "[42]"],
        "px": "Out[0:1]: 2",
        "balanced": true,
        "direct": [42],
    });
    let mut expected = used.clone();
    expected["alone"] = json!(["ImpossibleDependency", true]);
    assert_eq!(output, json!({"ours": expected, "stock": used}), "{stderr}");
}
