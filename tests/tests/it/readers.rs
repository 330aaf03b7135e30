//! Clients that do not read cost the controller a limited amount of memory, and nobody else anything.

use phalanx_tests::prepared::Prepared;
use std::time::Duration;

phalanx_tests::cases! {
    client_that_does_not_read_affects_only_itself(prepared: Prepared)
}

/// Longest time for all of it.
const LIMIT: Duration = Duration::from_secs(300);

/// MiB that the controller takes at most: 1 GiB of results for each client, records, and what it has freed.
const MAX_MEBIBYTES: u64 = 2048;

/// Seconds that the work of others may take meanwhile.
const TIME_LIMIT: f64 = 60.0;

fn client_that_does_not_read_affects_only_itself(prepared: Prepared) {
    let (output, stderr) = prepared
        .script("readers.py")
        .within(LIMIT)
        .program("phalanx")
        .folder()
        .run_json();
    for (case, work) in [("results", "tasks"), ("output", "output")] {
        let row = &output[case];
        // Output may fit into the buffers of sockets, so that nothing is dropped or logged.
        assert!(
            row["logged"] == true || case == "output",
            "{case}: {output}\n{stderr}"
        );
        assert!(
            row["MiB"].as_u64().unwrap() < MAX_MEBIBYTES,
            "{case}: {output}"
        );
        assert!(row[work].as_f64().unwrap() < TIME_LIMIT, "{case}: {output}");
    }
}
