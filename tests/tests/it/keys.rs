//! Keys appear in connection files only.

use phalanx_tests::prepared::Prepared;
use serde_json::json;
use std::time::Duration;

phalanx_tests::cases! {
    keys_are_in_no_command_line_or_log(prepared: Prepared)
}

/// Time limit for the cluster and its cells.
const LIMIT: Duration = Duration::from_secs(300);

fn keys_are_in_no_command_line_or_log(prepared: Prepared) {
    let (output, stderr) = prepared
        .script("keys.py")
        .within(LIMIT)
        .program("phalanx")
        .folder()
        .run_json();
    assert_eq!(output["found"], json!([]), "{stderr}");
    assert_eq!(output["logged"], true);
    assert!(output["processes"].as_u64().unwrap() >= 5, "{output}");
}
