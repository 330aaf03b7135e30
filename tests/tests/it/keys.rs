//! Keys appear in connection files only.

use phalanx_tests::prepared::Prepared;
use serde_json::json;
use std::time::Duration;

phalanx_tests::cases! {
    keys_are_on_no_command_line_and_in_no_log(prepared: Prepared)
}

/// Time limit for the cluster and its cells.
const LIMIT: Duration = Duration::from_secs(300);

fn keys_are_on_no_command_line_and_in_no_log(prepared: Prepared) {
    let (seen, said) = prepared
        .script("keys.py")
        .within(LIMIT)
        .program("phalanx")
        .folder()
        .seen();
    assert_eq!(seen["found"], json!([]), "{said}");
    assert_eq!(seen["logged"], true);
    assert!(seen["processes"].as_u64().unwrap() >= 5, "{seen}");
}
