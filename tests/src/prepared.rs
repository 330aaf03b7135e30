//! The requirements of cases: preparations of `cargo xtask test`, passed in the environment, and
//! other programs.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A requirement of a case, an argument of its function.
pub trait Need: Sized {
    /// The reason for skipping cases without it, and the remedy.
    const WITHOUT: &'static str;

    /// Finds the requirement.
    fn find() -> Option<Self>;
}

/// Our programs, and the Python environment with clients.
#[derive(Clone, Debug)]
pub struct Prepared {
    binaries: PathBuf,
    python: PathBuf,
}

impl Need for Prepared {
    const WITHOUT: &'static str =
        "our programs and Python's clients are prepared by `cargo xtask test`";

    fn find() -> Option<Self> {
        let paths = path("PHALANX_TEST_BIN").zip(path("PHALANX_TEST_PYTHON"));
        paths.map(|(binaries, python)| Self { binaries, python })
    }
}

impl Prepared {
    /// Returns the path of one of our programs, such as `phalanx-engine`.
    #[must_use]
    pub fn binary(&self, name: &str) -> PathBuf {
        self.binaries.join(name)
    }

    /// Returns the folder of our programs.
    #[must_use]
    pub fn binaries(&self) -> &Path {
        &self.binaries
    }

    /// Returns the Python of the environment.
    #[must_use]
    pub fn python(&self) -> &Path {
        &self.python
    }

    /// Returns another program of the Python environment, such as `jupyter`.
    #[must_use]
    pub fn python_program(&self, name: &str) -> PathBuf {
        self.python.with_file_name(name)
    }

    /// Returns a PATH that starts with the folders of our programs and of the environment.
    ///
    /// # Panics
    /// Panics if a folder contains a colon in its name.
    #[must_use]
    pub fn path(&self) -> OsString {
        let path = env::var_os("PATH").unwrap_or_default();
        let first = [self.binaries.clone(), self.python_program("")];
        env::join_paths(first.into_iter().chain(env::split_paths(&path))).expect("a PATH")
    }
}

/// A browser, for cases that use JupyterLab like a person.
#[derive(Clone, Debug)]
pub struct Chromium(pub PathBuf);

impl Need for Chromium {
    const WITHOUT: &'static str = "no Chromium on this machine: apt-get install chromium";

    fn find() -> Option<Self> {
        path("PHALANX_TEST_CHROMIUM").map(Self)
    }
}

/// The wheel packed from our programs.
#[derive(Clone, Debug)]
pub struct Wheel(pub PathBuf);

impl Need for Wheel {
    const WITHOUT: &'static str = "the wheel of our programs is packed by `cargo xtask test`";

    fn find() -> Option<Self> {
        path("PHALANX_TEST_WHEEL").map(Self)
    }
}

/// The programs of OpenSSH.
#[derive(Clone, Copy, Debug)]
pub struct Openssh;

impl Need for Openssh {
    const WITHOUT: &'static str =
        "no OpenSSH on this machine: apt-get install openssh-server openssh-client";

    fn find() -> Option<Self> {
        are_installed(&["ssh", "sshd", "ssh-keygen"]).then_some(Self)
    }
}

/// Slurm, with daemons that this user may start.
#[derive(Clone, Copy, Debug)]
pub struct Slurm;

impl Need for Slurm {
    const WITHOUT: &'static str =
        "no Slurm that can be started here: as root, apt-get install slurm-wlm munge";

    fn find() -> Option<Self> {
        let programs = ["sbatch", "slurmctld", "slurmd", "munged", "runuser"];
        let is_root = rustix::process::geteuid().is_root();
        (is_root && are_installed(&programs)).then_some(Self)
    }
}

/// `mpiexec`.
#[derive(Clone, Copy, Debug)]
pub struct Mpi;

impl Need for Mpi {
    const WITHOUT: &'static str = "no mpiexec on this machine: apt-get install openmpi-bin";

    fn find() -> Option<Self> {
        are_installed(&["mpiexec"]).then_some(Self)
    }
}

/// The permission to mount file systems in a mount namespace.
#[derive(Clone, Copy, Debug)]
pub struct Mounts;

impl Need for Mounts {
    const WITHOUT: &'static str = "file systems are mounted by root alone";

    fn find() -> Option<Self> {
        can_unshare(&["--mount"]).then_some(Self)
    }
}

/// The permission to create network namespaces as hosts, and the program that links them.
#[derive(Clone, Copy, Debug)]
pub struct Networks;

impl Need for Networks {
    const WITHOUT: &'static str =
        "no network namespaces for this user: as root, apt-get install iproute2";

    fn find() -> Option<Self> {
        let is_root = rustix::process::geteuid().is_root();
        (is_root && are_installed(&["ip"]) && can_unshare(&["--net", "--uts"])).then_some(Self)
    }
}

/// A toolchain of rustup with another rustc than the usual one: a nightly or a beta.
#[derive(Clone, Debug)]
pub struct OtherToolchain(pub String);

impl Need for OtherToolchain {
    const WITHOUT: &'static str = "no other toolchain: rustup toolchain install nightly";

    fn find() -> Option<Self> {
        let output = Command::new("rustup").args(["toolchain", "list"]).output();
        let output = String::from_utf8(output.ok()?.stdout).ok()?;
        let mut names = output
            .lines()
            .filter_map(|line| line.split_whitespace().next());
        let other = names.find(|name| name.starts_with("nightly") || name.starts_with("beta"))?;
        Some(Self(other.to_owned()))
    }
}

/// User namespaces, in which a program can have another host name.
#[derive(Clone, Copy, Debug)]
pub struct UserNamespaces;

impl Need for UserNamespaces {
    const WITHOUT: &'static str = "this machine allows no user namespaces";

    fn find() -> Option<Self> {
        can_unshare(&["--user", "--uts"]).then_some(Self)
    }
}

fn are_installed(programs: &[&str]) -> bool {
    let folders = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];
    let exists = |program: &&str| {
        let mut paths = folders.iter().map(|folder| Path::new(folder).join(program));
        paths.any(|path| path.exists())
    };
    programs.iter().all(exists)
}

fn can_unshare(options: &[&str]) -> bool {
    let mut probe = Command::new("unshare");
    probe.args(options).arg("true").stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

/// Returns the path of a file in the checkout.
#[must_use]
pub fn checkout(relative: impl AsRef<Path>) -> PathBuf {
    // Set by cargo at run time; the value at compile time may refer to another checkout.
    let package = env::var_os("CARGO_MANIFEST_DIR");
    let package = package.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&package).join("..");
    root.canonicalize().unwrap_or(root).join(relative)
}

fn path(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from)
}
