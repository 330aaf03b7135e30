//! The conformance tests of jupyter_kernel_test.

use phalanx_tests::prepared::Prepared;
use std::time::Duration;

phalanx_tests::cases! {
    kernel_conforms_to_the_protocol(prepared: Prepared)
}

/// Time limit for all of them.
const LIMIT: Duration = Duration::from_secs(1200);

fn kernel_conforms_to_the_protocol(prepared: Prepared) {
    let finished = prepared
        .script("kernel_test.py")
        .within(LIMIT)
        .run()
        .succeeded();
    // unittest reports on stderr.
    let skipped: Vec<_> = finished
        .stderr
        .lines()
        .filter(|line| line.contains("... skipped"))
        .collect();
    assert!(skipped.is_empty(), "{skipped:#?}");
    assert!(
        finished.stderr.contains("Ran 13 tests"),
        "{}",
        finished.stderr
    );
}
