//! Dates in our messages are parsed as dates by ipyparallel's clients and hub.

use phalanx_tests::prepared::Prepared;
use serde_json::json;
use std::time::Duration;

phalanx_tests::cases! {
    stock_clients_and_hub_can_use_our_dates(prepared: Prepared)
}

/// Time limit for both controllers and a kernel.
const LIMIT: Duration = Duration::from_secs(900);

fn stock_clients_and_hub_can_use_our_dates(prepared: Prepared) {
    let (output, stderr) = prepared
        .script("dates.py")
        .within(LIMIT)
        .program("phalanx")
        .program("phalanx-engine")
        .folder()
        .run_json();
    let expected = json!({
        "ours": {"durations": true, "records": [true]},
        "stock": {"kernel": [true], "stock": [true], "complaints": []},
    });
    assert_eq!(output, expected, "{stderr}");
}
