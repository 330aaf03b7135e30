//! `pip install` of the wheel is a complete installation.
//!
//! The wheel is packed from the programs that all tests run, by the code that packs a release. It
//! is installed where neither the checkout nor the build folder can be found: not by the PATH,
//! another variable, or the home folder.

use phalanx_tests::bounded::run;
use phalanx_tests::notebook::{Executed, write};
use phalanx_tests::prepared::{Prepared, Wheel, checkout};
use phalanx_tests::sandbox::Sandbox;
use serde_json::Value;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

phalanx_tests::cases! {
    a_wheel_is_the_whole_installation(prepared: Prepared, wheel: Wheel)
}

/// Time limit of the notebook, which may build the notebooks' library first.
const LIMIT: Duration = Duration::from_secs(900);

/// A virtual environment without this machine's Phalanx.
struct Environment<'a> {
    place: &'a Sandbox,
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
    fn new(place: &'a Sandbox, prepared: &'a Prepared) -> Self {
        let environment = Self {
            place,
            prepared,
            folder: place.path("environment"),
        };
        let mut make = place.command(prepared, prepared.python());
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
        let theirs = packages(place.command(prepared, prepared.python()));
        let ours = packages(environment.command("python"));
        fs::write(Path::new(ours.trim()).join("jupyter.pth"), theirs).unwrap();
        environment
    }

    fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// Returns a command for a program of the environment, which is not activated, with an empty
    /// home folder.
    fn command(&self, program: &str) -> Command {
        let mut command = self.place.command(self.prepared, self.program(program));
        let build = self.prepared.binaries().parent().unwrap();
        let unwanted = [checkout(""), build.to_owned()];
        for (name, value) in env::vars_os() {
            if unwanted.iter().any(|folder| names(&value, folder)) {
                command.env_remove(name);
            }
        }
        let home = self.place.path("home");
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

/// A cell that shows the path of the program that runs it.
const PROGRAM: &str = "std::fs::read_link(\"/proc/self/exe\").unwrap()";

fn a_wheel_is_the_whole_installation(prepared: Prepared, Wheel(wheel): Wheel) {
    let place = Sandbox::new();
    let environment = Environment::new(&place, &prepared);
    let mut pip = environment.command("python");
    pip.args(["-m", "pip", "install", "--no-index", "--no-deps", "--quiet"])
        .arg(&wheel);
    let _ = run(&mut pip, LIMIT).succeeded();

    let mut list = environment.command("python");
    // The equivalent of `jupyter kernelspec list`, since the program `jupyter` is elsewhere.
    list.args(["-m", "jupyter_client.kernelspecapp", "list", "--json"]);
    let listed = run(&mut list, LIMIT).succeeded();
    let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    let phalanx = &listed["kernelspecs"]["phalanx"];
    let folder = environment.folder.join("share/jupyter/kernels/phalanx");
    assert_eq!(phalanx["resource_dir"], folder.to_str().unwrap());
    assert!(folder.join("logo-64x64.png").is_file());

    let local = format!("println!(\"{{}}\", {PROGRAM}.display());");
    let engines = format!("%%px\nprintln!(\"{{}}\", {PROGRAM}.display());");
    let cells = [local.as_str(), "%cluster start -n 2", engines.as_str()];
    let notebook = write(&place, "installed.ipynb", &cells);
    let executed = execute(&environment, &notebook);
    assert_eq!(executed.finished.code, Some(0), "{:#?}", executed.finished);
    let text = |id| executed.cell(id).text();
    let kernel = environment.program("phalanx");
    assert_eq!(text("cell-0").trim(), kernel.to_str().unwrap());
    let engine = environment.program("phalanx-engine");
    let shown = text("cell-2");
    let shown: Vec<_> = shown.split_whitespace().collect();
    for number in 0..2 {
        let label = format!("[stdout:{number}]");
        let expected = [label.as_str(), engine.to_str().unwrap()];
        assert!(shown.windows(2).any(|two| two == expected), "{shown:?}");
    }

    there_is_nothing_left_to_install(&environment, &folder);
}

/// Executes a notebook with nbclient.
fn execute(environment: &Environment<'_>, notebook: &Path) -> Executed {
    let mut jupyter = environment.command("python");
    jupyter
        .args(["-c", "from nbclient.cli import main; main()"])
        .args(["--inplace", "--timeout=600", "--startup_timeout=60"])
        .arg(notebook);
    Executed::read(run(&mut jupyter, LIMIT), notebook)
}

fn there_is_nothing_left_to_install(environment: &Environment<'_>, folder: &Path) {
    let mut install = environment.command("phalanx");
    let said = run(install.arg("install"), LIMIT).succeeded().stdout;
    assert!(said.contains("installed already"), "{said}");
    assert!(said.contains(folder.to_str().unwrap()), "{said}");
    let second = environment.place.path("jupyter/data/kernels/phalanx");
    assert!(!second.exists(), "{said}");
}
