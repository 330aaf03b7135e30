//! Unusable folders: the kernel starts, and its cell reports the folder, the cause, and the
//! variable that changes it. `phalanx doctor` reports the same.

use phalanx_tests::bounded;
use phalanx_tests::notebook::{Executed, write};
use phalanx_tests::prepared::{Mounts, Prepared, checkout};
use phalanx_tests::sandbox::Sandbox;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

phalanx_tests::cases! {
    unusable_folder_is_named_with_its_variable(prepared: Prepared, mounts: Mounts)
}

/// Time limit of a cell; none of them builds anything.
const LIMIT: Duration = Duration::from_secs(120);

/// Mounts a file system in a mount namespace and runs a program there.
const MOUNTED: &str = "mount -t tmpfs -o \"$1\" none \"$2\" && shift 2 && exec \"$@\"";

/// An unusable folder.
struct Case<'a> {
    /// Mount options of the file system.
    options: &'a str,
    /// The variable that sets the folder.
    variable: &'a str,
    /// Parts of the messages of the cell and of `phalanx doctor`.
    expected: &'a [&'a str],
}

fn unusable_folder_is_named_with_its_variable(prepared: Prepared, _: Mounts) {
    let cases = [
        Case {
            options: "size=900m,noexec",
            variable: "PHALANX_CACHE_DIR",
            expected: &["mounted `noexec`", "set PHALANX_CACHE_DIR"],
        },
        Case {
            options: "size=1m",
            variable: "PHALANX_CACHE_DIR",
            expected: &[
                "MiB are needed",
                "make room there, or set PHALANX_CACHE_DIR",
            ],
        },
        Case {
            options: "size=900m,ro",
            variable: "PHALANX_CACHE_DIR",
            expected: &["Read-only file system", "set PHALANX_CACHE_DIR"],
        },
        Case {
            options: "size=900m,ro",
            variable: "HOME",
            expected: &["cache folder", "set PHALANX_CACHE_DIR"],
        },
        Case {
            options: "size=64k",
            variable: "TMPDIR",
            expected: &[
                "folder of temporary files",
                "make room there, or set TMPDIR",
            ],
        },
    ];
    for case in cases {
        let sandbox = Sandbox::new();
        let folder = sandbox.path("mounted");
        std::fs::create_dir(&folder).unwrap();
        let command = |program: &Path| {
            let mut command = sandbox.command(&prepared, "unshare");
            command
                .args(["--mount", "sh", "-c", MOUNTED, "sh", case.options])
                .arg(&folder)
                .arg(program)
                .env_remove("PHALANX_CACHE_DIR")
                .env_remove("XDG_CACHE_HOME")
                .envs(rust_folders())
                .env(case.variable, &folder);
            command
        };
        let doctor = bounded::run(command(&prepared.binary("phalanx")).arg("doctor"), LIMIT);
        let line = doctor.stdout.split_once("wrong  folders: ");
        let (_, line) = line.unwrap_or_else(|| panic!("{}: {doctor:#?}", case.variable));
        let notebook = write(&sandbox, "folder.ipynb", &["1 + 1"]);
        let output = sandbox.path("executed.ipynb");
        let mut execute = command(prepared.python());
        execute
            .arg(checkout("xtask/python/run_notebook.py"))
            .arg(notebook)
            .arg("--output")
            .arg(&output);
        let executed = Executed::read(bounded::run(&mut execute, LIMIT), &output);
        let (ename, evalue, traceback) = executed.cell("cell-0").error().expect("an error");
        assert_eq!(ename, "EnvironmentError", "{evalue}");
        assert!(evalue.contains(folder.to_str().unwrap()), "{evalue}");
        for part in case.expected {
            assert!(traceback.contains(part), "{part} in {traceback}");
            assert!(line.contains(part), "{part} in {line}");
        }
    }
}

/// Returns Rust's own folders, for programs with another home folder.
fn rust_folders() -> Vec<(&'static str, OsString)> {
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    let folder = |name, default: &str| {
        let value = std::env::var_os(name);
        (name, value.unwrap_or_else(|| home.join(default).into()))
    };
    vec![
        folder("RUSTUP_HOME", ".rustup"),
        folder("CARGO_HOME", ".cargo"),
    ]
}
