//! Our controller with ipyparallel's client and engines.

use phalanx_tests::prepared::Prepared;
use serde_json::json;
use std::time::Duration;

phalanx_tests::cases! {
    stock_client_and_engines_work_with_our_controller(prepared: Prepared)
}

/// Time limit for the start and all requests.
const LIMIT: Duration = Duration::from_secs(300);

fn stock_client_and_engines_work_with_our_controller(prepared: Prepared) {
    let (output, _) = prepared
        .script("ipyparallel_client.py")
        .within(LIMIT)
        .program("phalanx")
        .folder()
        .run_json();
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
    assert_eq!(output, expected);
}
