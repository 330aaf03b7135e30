//! Debian's OpenSSH server, Slurm and Open MPI, for the tests of launchers.

use crate::{debian, exec};

/// A program, and the packages that provide it with the rest.
const SITES: [(&str, &[&str]); 3] = [
    ("sshd", &["openssh-server", "openssh-client"]),
    ("slurmd", &["slurm-wlm", "munge"]),
    ("mpiexec", &["openmpi-bin"]),
];

/// Installs what is missing on a disposable machine; otherwise the tests that need it print the
/// command.
pub fn install() {
    let missing = SITES.iter().filter(|(program, _)| !is_installed(program));
    let packages: Vec<&str> = missing
        .flat_map(|(_, packages)| packages.iter().copied())
        .collect();
    if packages.is_empty() {
        return;
    }
    if let Err(error) = debian::install(&packages) {
        eprintln!("Not every launcher can be tested here: {error:#}");
    }
}

/// Returns true for a program on the PATH or in `sbin`, which the PATH of ordinary users lacks.
fn is_installed(program: &str) -> bool {
    let daemon = std::path::Path::new("/usr/sbin").join(program);
    daemon.exists() || exec::which(&[program]).is_some()
}
