//! jupyter_kernel_test's conformance tests.

use phalanx_tests::bounded::run;
use phalanx_tests::place::Place;
use phalanx_tests::prepared::{Prepared, checkout};
use std::time::Duration;

/// Longest time for all of them.
const LIMIT: Duration = Duration::from_secs(1200);

#[test]
fn the_kernel_conforms() {
    let Some(prepared) = Prepared::get() else {
        return;
    };
    let place = Place::new();
    let mut command = place.command(&prepared, prepared.python());
    command.arg(checkout("tests/python/kernel_test.py"));
    let finished = run(&mut command, LIMIT).succeeded();
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
