//! Engines on other machines, in a batch system and under MPI.

use phalanx_tests::prepared::{Mpi, Openssh, Prepared, Slurm};
use serde_json::json;

phalanx_tests::cases! {
    engines_are_started_through_ssh(prepared: Prepared, ssh: Openssh)
    connection_file_with_a_server_opens_a_tunnel(prepared: Prepared, ssh: Openssh)
    engines_are_started_by_slurm(prepared: Prepared, slurm: Slurm)
    engines_are_started_by_mpi(prepared: Prepared, mpi: Mpi)
    engines_are_started_by_pbs(prepared: Prepared)
    engines_are_started_by_grid_engine(prepared: Prepared)
    engines_are_started_by_lsf(prepared: Prepared)
    engines_are_started_by_htcondor(prepared: Prepared)
}

/// Starts, uses, changes and stops clusters with a launcher; `held` is true where its jobs can be made to wait.
fn check(prepared: &Prepared, launcher: &str, held: bool) {
    let script = prepared.script("launchers.py").arg(launcher);
    let (output, stderr) = script.program("phalanx").folder().mark().run_json();
    let mut expected = json!({
        "notebook": {
            "started": "Started 2 engines",
            "hello": [0, 1],
            "map": "[0, 1, 4, 9, 16, 25, 36, 49]",
            "scaled": [0, 1, 2],
            "restarted": [0, 1, 2],
            "stopped": "Stopped 3 engines.",
        },
        "daemon": {
            "listed": [launcher, 2],
            "hello": [0, 1],
            "status": true,
            "stopped": "stopped cluster daemon",
        },
    });
    if held {
        expected["held"] = json!(true);
    }
    assert_eq!(output, expected, "{stderr}");
}

fn engines_are_started_through_ssh(prepared: Prepared, _: Openssh) {
    check(&prepared, "ssh", false);
}

fn connection_file_with_a_server_opens_a_tunnel(prepared: Prepared, _: Openssh) {
    let script = prepared.script("tunnels.py").program("phalanx");
    let (output, stderr) = script.program("phalanx-engine").folder().mark().run_json();
    let expected =
        json!({"shown": ["[stdout:0] \nthrough the tunnel\n"], "tunnels": 2, "left": []});
    assert_eq!(output, expected, "{stderr}");
}

fn engines_are_started_by_slurm(prepared: Prepared, _: Slurm) {
    check(&prepared, "slurm", false);
}

fn engines_are_started_by_mpi(prepared: Prepared, _: Mpi) {
    check(&prepared, "mpi", false);
}

/// The programs of a batch system that is nowhere to be had: `tests/python/batch_systems.py`.
fn engines_are_started_by_pbs(prepared: Prepared) {
    check(&prepared, "pbs", true);
}

fn engines_are_started_by_grid_engine(prepared: Prepared) {
    check(&prepared, "sge", true);
}

fn engines_are_started_by_lsf(prepared: Prepared) {
    check(&prepared, "lsf", true);
}

fn engines_are_started_by_htcondor(prepared: Prepared) {
    check(&prepared, "htcondor", true);
}
