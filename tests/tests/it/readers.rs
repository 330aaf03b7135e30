//! Clients that do not read cost the controller a limited amount of memory, and nobody else anything.

use phalanx_tests::prepared::Prepared;
use std::time::Duration;

phalanx_tests::cases! {
    a_client_that_does_not_read_costs_only_itself(prepared: Prepared)
}

/// Longest time for all of it.
const LIMIT: Duration = Duration::from_secs(300);

/// MiB that the controller takes at most: 1 GiB of results for each client, records, and what it has freed.
const MOST: u64 = 2048;

/// Seconds that the work of others may take meanwhile.
const PATIENCE: f64 = 60.0;

fn a_client_that_does_not_read_costs_only_itself(prepared: Prepared) {
    let (seen, said) = prepared
        .script("readers.py")
        .within(LIMIT)
        .program("phalanx")
        .folder()
        .seen();
    for (case, work) in [("results", "tasks"), ("output", "output")] {
        let row = &seen[case];
        assert_eq!(row["said"], true, "{case}: {seen}\n{said}");
        assert!(row["MiB"].as_u64().unwrap() < MOST, "{case}: {seen}");
        assert!(row[work].as_f64().unwrap() < PATIENCE, "{case}: {seen}");
    }
}
