//! Engines keep all variables when other processes are stopped, or killed and restarted.

use phalanx_tests::prepared::Prepared;
use serde_json::json;
use std::time::Duration;

phalanx_tests::cases! {
    engines_keep_their_variables_when_processes_stop_or_the_controller_is_killed(prepared: Prepared)
}

/// Time limit.
const LIMIT: Duration = Duration::from_secs(900);

fn engines_keep_their_variables_when_processes_stop_or_the_controller_is_killed(
    prepared: Prepared,
) {
    let (seen, said) = prepared
        .script("recovery.py")
        .within(LIMIT)
        .program("phalanx")
        .program("phalanx-engine")
        .folder()
        .seen();
    let kept = json!(["[stdout:0] \nkept 42\n"]);
    let expected = json!({
        "engine stopped": {"failed": ["true\n"], "same": true, "kept": kept},
        "controller stopped": {"kept": kept},
        "controller killed": {"ids": [0], "kept": kept},
    });
    assert_eq!(seen, expected, "{said}");
}
