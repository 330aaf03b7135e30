//! Rust and Python engines side by side: each kind of task runs where it can.

use phalanx_tests::bounded::run;
use phalanx_tests::place::Place;
use phalanx_tests::prepared::{Prepared, checkout};
use serde_json::{Value, json};
use std::time::Duration;

/// Longest time for two controllers and two kernels.
const LIMIT: Duration = Duration::from_secs(900);

#[test]
fn rust_and_python_engines_work_side_by_side() {
    let Some(prepared) = Prepared::get() else {
        return;
    };
    let place = Place::new();
    let mut command = place.command(&prepared, prepared.python());
    command
        .arg(checkout("tests/python/mixed.py"))
        .arg(prepared.binary("phalanx"))
        .arg(prepared.binary("phalanx-engine"))
        .arg(place.path(""));
    let finished = run(&mut command, LIMIT).succeeded();
    let seen: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let squares: Vec<u64> = (0..20).map(|x| x * x).collect();
    let used = json!({
        "notebook": ["[0]", format!("{squares:?}"), "[42]"],
        "px": "Out[0:1]: 2",
        "balanced": true,
        "direct": [42],
    });
    let mut ours = used.clone();
    ours["alone"] = json!(["ImpossibleDependency", true]);
    assert_eq!(
        seen,
        json!({"ours": ours, "stock": used}),
        "{}",
        finished.stderr
    );
}
