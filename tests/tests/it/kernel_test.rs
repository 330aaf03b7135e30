//! The conformance tests of jupyter_kernel_test.

use phalanx_tests::prepared::Prepared;
use std::time::Duration;

phalanx_tests::cases! {
    the_kernel_conforms(prepared: Prepared)
}

/// Time limit for all of them.
const LIMIT: Duration = Duration::from_secs(1200);

fn the_kernel_conforms(prepared: Prepared) {
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
