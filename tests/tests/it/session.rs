//! Actions of a user other than running cells: input, long outputs, requests during a cell.

use phalanx_tests::prepared::Prepared;
use serde_json::json;
use std::time::Duration;

phalanx_tests::cases! {
    session_executes_reads_input_and_completes(prepared: Prepared)
}

/// Time limit.
const LIMIT: Duration = Duration::from_secs(900);

fn session_executes_reads_input_and_completes(prepared: Prepared) {
    let (answers, _) = prepared.script("session.py").within(LIMIT).run_json();
    let plain = json!(["", false]);
    assert_eq!(
        answers["reads"],
        json!([
            "who?\n\"Ada\\n\" \"größe\" \"line\\n\"\n",
            [plain, plain, plain]
        ])
    );
    assert_eq!(
        answers["asks"],
        json!(["name word\n", [["name? ", false], ["secret? ", true]]])
    );
    for (what, most) in [("lines", 1_000), ("pieces", 200)] {
        assert_eq!(answers[what][0], true, "{what} are complete and in order");
        let messages = answers[what][1].as_u64().unwrap();
        assert!(messages <= most, "{what}: {messages} messages");
    }
    assert_eq!(answers["bytes"], "a\u{fffd}\u{fffd}b\n");
    let thread = answers["thread"].as_str().unwrap();
    assert!(
        thread.contains("thread 0\nthread 1\nthread 2\n"),
        "{thread}"
    );
    assert_eq!(answers["released"], "31457280 true\n");
    let version = &answers["version"];
    assert!(version[0] == version[1], "{version}");
    assert_eq!(answers["moved"], json!(["300\n", true]));
    assert_eq!(answers["busy"], json!([["is_empty"], "Interrupted"]));
}
