//! Engines keep all variables when other processes are stopped, or killed and restarted.

use phalanx_tests::prepared::Prepared;
use serde_json::json;
use std::time::Duration;

phalanx_tests::cases! {
    engines_keep_variables_when_other_processes_end(prepared: Prepared)
}

/// Time limit.
const LIMIT: Duration = Duration::from_secs(900);

fn engines_keep_variables_when_other_processes_end(prepared: Prepared) {
    let (output, stderr) = prepared
        .script("recovery.py")
        .within(LIMIT)
        .program("phalanx")
        .program("phalanx-engine")
        .folder()
        .run_json();
    let outputs = json!(["[stdout:0] \nkept 42\n"]);
    let expected = json!({
        "engine stopped": {"failed": ["true\n"], "same": true, "kept": outputs},
        "controller stopped": {"kept": outputs},
        "controller killed": {"ids": [0], "kept": outputs},
    });
    assert_eq!(output, expected, "{stderr}");
}
