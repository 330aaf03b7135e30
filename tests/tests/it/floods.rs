//! Clients that send more than the controller keeps cost it a limited amount of memory, and nobody else anything.

use phalanx_tests::prepared::Prepared;
use std::time::Duration;

phalanx_tests::cases! {
    flooding_client_delays_only_itself(prepared: Prepared)
}

/// Longest time for all of it.
const LIMIT: Duration = Duration::from_secs(400);

/// MiB that the controller takes at most: 256 MiB of tasks of one client, messages of 50 MB on their way, records.
const MAX_MEBIBYTES: u64 = 800;

/// Seconds that the tasks of others may take meanwhile.
const TIME_LIMIT: f64 = 30.0;

fn flooding_client_delays_only_itself(prepared: Prepared) {
    let (output, stderr) = prepared
        .script("floods.py")
        .within(LIMIT)
        .program("phalanx")
        .folder()
        .run_json();
    for (case, works) in [
        ("large", &["tasks", "stopped", "killed"][..]),
        ("many", &["tasks", "killed"]),
        ("hostile", &["tasks"]),
    ] {
        let row = &output[case];
        assert!(
            row["MiB"].as_u64().unwrap() < MAX_MEBIBYTES,
            "{case}: {output}\n{stderr}"
        );
        for work in works {
            assert!(
                row[work].as_f64().unwrap() < TIME_LIMIT,
                "{case}: {output}\n{stderr}"
            );
        }
    }
}
