//! An hour of work of two notebooks and a Python client on one cluster, in about a minute.

use phalanx_tests::prepared::Prepared;
use serde_json::json;
use std::time::Duration;

phalanx_tests::cases! {
    two_notebooks_and_a_python_client_run_without_unexpected_errors(prepared: Prepared)
}

/// Longest time for it, on a machine that has to build the notebooks' library first.
const LIMIT: Duration = Duration::from_secs(900);

fn two_notebooks_and_a_python_client_run_without_unexpected_errors(prepared: Prepared) {
    let (output, stderr) = prepared
        .script("hour.py")
        .within(LIMIT)
        .program("phalanx")
        .folder()
        .run_json();
    assert_eq!(output["wrong"], json!([]), "{output:#}\n{stderr}");
}
