//! Engines on other machines, in a batch system and under MPI.

use phalanx_tests::bounded::run;
use phalanx_tests::place::Place;
use phalanx_tests::prepared::{Prepared, checkout, skip};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Longest time for one launcher.
const LIMIT: Duration = Duration::from_secs(900);

/// The preparations, if these programs are here too.
fn prepared_with(programs: &[&str], packages: &str) -> Option<Prepared> {
    let prepared = Prepared::get()?;
    let folders = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];
    let is_here = |program: &&&str| {
        let mut paths = folders.iter().map(|folder| Path::new(folder).join(program));
        paths.any(|path| path.exists())
    };
    if let Some(missing) = programs.iter().find(|program| !is_here(program)) {
        skip(&format!(
            "no {missing} on this machine: apt-get install {packages}"
        ));
        return None;
    }
    Some(prepared)
}

/// Starts, uses, changes and stops clusters with a launcher, if its programs are here.
fn check(launcher: &str, programs: &[&str], packages: &str) {
    let Some(prepared) = prepared_with(programs, packages) else {
        return;
    };
    if launcher == "slurm" && !rustix::process::geteuid().is_root() {
        skip("Slurm's daemons are started by root alone");
        return;
    }
    let place = Place::new();
    let mut command = place.command(&prepared, prepared.python());
    command
        .arg(checkout("tests/python/launchers.py"))
        .arg(launcher)
        .arg(prepared.binary("phalanx"))
        .arg(place.path(""))
        .args(["--mark", &place.marking()]);
    let finished = run(&mut command, LIMIT).succeeded();
    let seen: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let expected = json!({
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
    assert_eq!(seen, expected, "{}", finished.stderr);
}

/// The programs of OpenSSH, and Debian's packages of them.
const OPENSSH: (&[&str], &str) = (
    &["ssh", "sshd", "ssh-keygen"],
    "openssh-server openssh-client",
);

#[test]
fn engines_are_started_through_ssh() {
    check("ssh", OPENSSH.0, OPENSSH.1);
}

#[test]
fn a_connection_file_with_a_server_opens_a_tunnel() {
    let Some(prepared) = prepared_with(OPENSSH.0, OPENSSH.1) else {
        return;
    };
    let place = Place::new();
    let mut command = place.command(&prepared, prepared.python());
    command
        .arg(checkout("tests/python/tunnels.py"))
        .arg(prepared.binary("phalanx"))
        .arg(prepared.binary("phalanx-engine"))
        .arg(place.path(""))
        .args(["--mark", &place.marking()]);
    let finished = run(&mut command, LIMIT).succeeded();
    let seen: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let expected =
        json!({"shown": ["[stdout:0] \nthrough the tunnel\n"], "tunnels": 2, "left": []});
    assert_eq!(seen, expected, "{}", finished.stderr);
}

#[test]
fn engines_are_started_by_slurm() {
    let programs = ["sbatch", "slurmctld", "slurmd", "munged", "runuser"];
    check("slurm", &programs, "slurm-wlm munge");
}

#[test]
fn engines_are_started_by_mpi() {
    check("mpi", &["mpiexec"], "openmpi-bin");
}
