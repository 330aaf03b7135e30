//! rustup's minimal profile, which lacks the standard library's source: cells report it, it is
//! installed, and they run.

use phalanx_tests::bounded::{self, Finished};
use phalanx_tests::harness::skip;
use phalanx_tests::notebook::{Executed, write};
use phalanx_tests::prepared::{Prepared, checkout};
use phalanx_tests::sandbox::Sandbox;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

phalanx_tests::cases! {
    missing_library_source_is_installed(prepared: Prepared)
}

/// Time limit for copying a toolchain and for a notebook, whose first cell builds the library.
const LIMIT: Duration = Duration::from_secs(600);

/// A server on which nothing listens, as without a network.
const NO_SERVER: &str = "http://127.0.0.1:9";

/// A simulated machine: rustup with one minimal toolchain, an empty cache folder, our program not
/// on the PATH.
struct Machine<'a> {
    sandbox: &'a Sandbox,
    prepared: &'a Prepared,
}

impl<'a> Machine<'a> {
    /// Copies the user's default toolchain; skips the case without rustup.
    fn new(sandbox: &'a Sandbox, prepared: &'a Prepared) -> Self {
        let machine = Self { sandbox, prepared };
        let Some(toolchain) = default_toolchain(sandbox) else {
            skip("no rustup on this machine: https://rustup.rs");
        };
        let name = toolchain.file_name().expect("a toolchain has a name");
        let copy = sandbox.path("rustup/toolchains").join(name);
        fs::create_dir_all(&copy).unwrap();
        let rustup = toolchain.ancestors().nth(2).expect("rustup's folder");
        fs::copy(
            rustup.join("settings.toml"),
            sandbox.path("rustup/settings.toml"),
        )
        .unwrap();
        for entry in fs::read_dir(&toolchain).unwrap().flatten() {
            // Documentation is half of the toolchain, and not needed.
            if entry.file_name() != "share" {
                let mut copying = Command::new("cp");
                copying.args(["--archive", "--reflink=auto"]);
                copying.arg(entry.path()).arg(&copy);
                let _ = bounded::run(&mut copying, LIMIT).succeeded();
            }
        }
        if copy.join("lib/rustlib/manifest-rust-src").is_file() {
            let remove = ["component", "remove", "rust-src", "--toolchain"];
            let mut rustup = machine.command("rustup");
            let _ = bounded::run(rustup.args(remove).arg(name), LIMIT).succeeded();
        }
        assert!(!copy.join("lib/rustlib/src/rust/library").exists());
        machine
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = self.sandbox.command(self.prepared, program);
        command
            .env("RUSTUP_HOME", self.sandbox.path("rustup"))
            .env("PHALANX_CACHE_DIR", self.sandbox.path("a cache für alle"))
            .env("VIRTUAL_ENV", self.sandbox.path("environment"))
            .env("PATH", path_without(self.prepared));
        command
    }

    fn phalanx(&self, args: &[&str]) -> Finished {
        let mut command = self.command(self.prepared.binary("phalanx"));
        bounded::run(command.args(args), LIMIT)
    }

    fn execute(&self, cells: &[&str], variables: &[(&str, &str)]) -> Executed {
        let notebook = write(self.sandbox, "bare.ipynb", cells);
        let output = self.sandbox.path("executed.ipynb");
        let mut command = self.command(self.prepared.python());
        command
            .arg(checkout("xtask/python/run_notebook.py"))
            .arg(notebook)
            .arg("--output")
            .arg(&output)
            .envs(variables.iter().copied());
        Executed::read(bounded::run(&mut command, LIMIT), &output)
    }
}

/// Returns the folder of the toolchain that rustup selects outside of the checkout.
fn default_toolchain(sandbox: &Sandbox) -> Option<PathBuf> {
    let mut rustup = Command::new("rustup");
    rustup
        .args(["which", "rustc"])
        .env_remove("RUSTUP_TOOLCHAIN")
        .current_dir(sandbox.path(""));
    let output = rustup
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let rustc = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    rustc.ancestors().nth(2).map(Path::to_path_buf)
}

/// Returns the PATH without our programs.
fn path_without(prepared: &Prepared) -> OsString {
    let own = prepared.binary("");
    let path = prepared.path();
    let folders = std::env::split_paths(&path).filter(|folder| folder != own.as_path());
    std::env::join_paths(folders).unwrap()
}

fn missing_library_source_is_installed(prepared: Prepared) {
    let sandbox = Sandbox::new();
    let machine = Machine::new(&sandbox, &prepared);
    let installed = machine
        .phalanx(&["install", "--no-build", "--user"])
        .succeeded();
    let start = "To start: `jupyter lab`, and there \"Rust (Phalanx)\"";
    assert!(installed.stdout.contains(start), "{installed:#?}");

    let doctor = machine.phalanx(&["doctor"]);
    assert_ne!(doctor.code, Some(0));
    assert!(doctor.stdout.contains("wrong  rust-src"), "{doctor:#?}");
    let remedy = "rustup component add rust-src --toolchain ";
    assert!(doctor.stdout.contains(remedy), "{doctor:#?}");

    let cells = ["let numbers = vec![1, 2, 3];", "numbers.len() + 39"];
    let offline = machine.execute(&cells, &[("RUSTUP_DIST_SERVER", NO_SERVER)]);
    let (ename, evalue, traceback) = offline.cell("cell-0").error().expect("an error");
    assert_eq!(ename, "EnvironmentError");
    assert!(evalue.contains("could not install rust-src"), "{evalue}");
    assert!(traceback.contains(remedy), "{traceback}");

    let executed = machine.execute(&cells, &[]);
    if let Some((_, evalue, _)) = executed.cell("cell-0").error()
        && evalue.contains("could not install rust-src")
    {
        skip("rustup has no network here");
    }
    assert_eq!(executed.finished.code, Some(0), "{:#?}", executed.finished);
    assert_eq!(executed.cell("cell-1").text(), "42");
    let doctor = machine.phalanx(&["doctor"]);
    assert!(doctor.stdout.contains("ok     rust-src"), "{doctor:#?}");
    assert!(doctor.stdout.contains("ok     a cell"), "{doctor:#?}");
}
