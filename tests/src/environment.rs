//! A Python environment into which the wheel is installed, where neither the checkout nor the build
//! folder can be found: not by the PATH, another variable, or the home folder.

use crate::bounded::run;
use crate::prepared::{Prepared, checkout};
use crate::sandbox::Sandbox;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Time limit of a command.
const LIMIT: Duration = Duration::from_secs(120);

/// A virtual environment without this machine's Phalanx.
#[derive(Debug)]
pub struct Environment<'a> {
    sandbox: &'a Sandbox,
    prepared: &'a Prepared,
    folder: PathBuf,
}

impl<'a> Environment<'a> {
    /// Creates an empty environment in which the private environment's Jupyter can be imported.
    ///
    /// `--system-site-packages` would add the packages of the Python from which the private
    /// environment was created, which lacks Jupyter. To avoid downloads, a `.pth` file adds the
    /// private environment's packages; its programs and its kernelspecs, which Jupyter searches
    /// below `sys.prefix`, are not visible.
    ///
    /// # Panics
    /// Panics if Python fails.
    #[must_use]
    pub fn new(sandbox: &'a Sandbox, prepared: &'a Prepared) -> Self {
        let environment = Self {
            sandbox,
            prepared,
            folder: sandbox.path("environment"),
        };
        let mut make = sandbox.command(prepared, prepared.python());
        make.args(["-m", "venv", "--without-pip"])
            .arg(&environment.folder);
        let _ = run(&mut make, LIMIT).succeeded();
        let packages = |python: Command| {
            let mut python = python;
            python.args([
                "-c",
                "import sysconfig; print(sysconfig.get_path('purelib'))",
            ]);
            run(&mut python, LIMIT).succeeded().stdout
        };
        let private_packages = packages(sandbox.command(prepared, prepared.python()));
        let own_packages = packages(environment.command("python"));
        fs::write(
            Path::new(own_packages.trim()).join("jupyter.pth"),
            private_packages,
        )
        .unwrap();
        environment
    }

    /// Installs a wheel.
    ///
    /// # Panics
    /// Panics if pip fails.
    pub fn install(&self, wheel: &Path) {
        let mut pip = self.command("python");
        pip.args(["-m", "pip", "install", "--no-index", "--no-deps", "--quiet"])
            .arg(wheel);
        let _ = run(&mut pip, LIMIT).succeeded();
    }

    /// Returns the environment's folder, its `sys.prefix`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the path of a program of the environment.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// Returns a command for a program of the environment, which is not activated, with an empty
    /// home folder.
    ///
    /// # Panics
    /// Panics if the home folder cannot be created.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.sandbox.command(self.prepared, self.program(program));
        let build = self.prepared.binaries().parent().unwrap();
        let unwanted = [checkout(""), build.to_owned()];
        for (name, value) in env::vars_os() {
            if unwanted.iter().any(|folder| names(&value, folder)) {
                command.env_remove(name);
            }
        }
        let home = self.sandbox.path("home");
        fs::create_dir_all(&home).unwrap();
        command
            .env("PATH", self.path(&unwanted))
            .env_remove("VIRTUAL_ENV")
            .env("HOME", &home)
            // The defaults of the toolchain and of the libraries built for notebooks.
            .env("CARGO_HOME", variable_or_home("CARGO_HOME", ".cargo"))
            .env("RUSTUP_HOME", variable_or_home("RUSTUP_HOME", ".rustup"))
            .env("PHALANX_CACHE_DIR", cache());
        command
    }

    fn path(&self, unwanted: &[PathBuf]) -> OsString {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = env::split_paths(&path)
            .filter(|folder| !unwanted.iter().any(|root| folder.starts_with(root)))
            // Phalanx may be installed on this machine.
            .filter(|folder| !folder.join("phalanx").exists());
        env::join_paths(folders).unwrap()
    }
}

/// Returns true if a variable's value contains this folder.
fn names(value: &OsStr, folder: &Path) -> bool {
    let folder = folder.as_os_str().as_encoded_bytes();
    let value = value.as_encoded_bytes();
    value.windows(folder.len()).any(|part| part == folder)
}

fn variable_or_home(variable: &str, folder: &str) -> PathBuf {
    let named = env::var_os(variable).filter(|value| !value.is_empty());
    named.map_or_else(|| home().join(folder), PathBuf::from)
}

fn cache() -> PathBuf {
    let named = |variable| env::var_os(variable).filter(|value| !value.is_empty());
    named("PHALANX_CACHE_DIR")
        .map(PathBuf::from)
        .unwrap_or_else(|| {
            let caches = named("XDG_CACHE_HOME").map(PathBuf::from);
            let caches = caches.unwrap_or_else(|| home().join(".cache"));
            caches.join("phalanx")
        })
}

fn home() -> PathBuf {
    env::var_os("HOME").expect("a home folder").into()
}
