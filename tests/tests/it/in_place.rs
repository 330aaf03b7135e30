//! Our programs as replacements for ipyparallel's.

use phalanx_tests::prepared::Prepared;
use serde_json::json;
use std::time::Duration;

phalanx_tests::cases! {
    ipyparallel_starts_our_programs_and_finds_our_clusters(prepared: Prepared)
}

/// Time limit.
const LIMIT: Duration = Duration::from_secs(300);

fn ipyparallel_starts_our_programs_and_finds_our_clusters(prepared: Prepared) {
    let (output, stderr) = prepared
        .script("in_place.py")
        .within(LIMIT)
        .program("phalanx")
        .program("phalanx-engine")
        .run_json();
    let expected = json!({
        "started": [[0, 1], [0, 1]],
        "found": {"listed": ["x"], "ids": [0, 1], "revived": [0, 1], "left": []},
    });
    assert_eq!(output, expected, "{stderr}");
}
