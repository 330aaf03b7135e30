//! Clients that send more than the controller keeps cost it a limited amount of memory, and nobody else anything.

use phalanx_tests::prepared::Prepared;
use std::time::Duration;

phalanx_tests::cases! {
    a_client_that_floods_waits_alone(prepared: Prepared)
}

/// Longest time for all of it.
const LIMIT: Duration = Duration::from_secs(400);

/// MiB that the controller takes at most: 256 MiB of tasks of one client, messages of 50 MB on their way, records.
const MOST: u64 = 800;

/// Seconds that the tasks of others may take meanwhile.
const PATIENCE: f64 = 30.0;

fn a_client_that_floods_waits_alone(prepared: Prepared) {
    let (seen, said) = prepared
        .script("floods.py")
        .within(LIMIT)
        .program("phalanx")
        .folder()
        .seen();
    for (case, works) in [
        ("large", &["tasks", "stopped", "killed"][..]),
        ("many", &["tasks", "killed"]),
        ("hostile", &["tasks"]),
    ] {
        let row = &seen[case];
        assert!(
            row["MiB"].as_u64().unwrap() < MOST,
            "{case}: {seen}\n{said}"
        );
        for work in works {
            assert!(
                row[work].as_f64().unwrap() < PATIENCE,
                "{case}: {seen}\n{said}"
            );
        }
    }
}
