//! An hour of work of two notebooks and a Python client on one cluster, in about a minute.

use phalanx_tests::prepared::Prepared;
use serde_json::json;
use std::time::Duration;

phalanx_tests::cases! {
    an_hour_of_two_notebooks_and_a_python_client_has_no_error_that_is_not_meant(prepared: Prepared)
}

/// Longest time for it, on a machine that has to build the notebooks' library first.
const LIMIT: Duration = Duration::from_secs(900);

fn an_hour_of_two_notebooks_and_a_python_client_has_no_error_that_is_not_meant(prepared: Prepared) {
    let (seen, said) = prepared
        .script("hour.py")
        .within(LIMIT)
        .program("phalanx")
        .folder()
        .seen();
    assert_eq!(seen["wrong"], json!([]), "{seen:#}\n{said}");
}
