//! The wrapper around cargo, between a program that takes it for cargo and a cargo that notes its calls.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const MANIFEST: &str = "[package]\nname = \"ctx\"\n\n[dependencies]\n\
                        phalanx = { path = \"/library\" }\n";

/// The programs called for a build that is not known: cargo for the dependencies, rustc for the cell.
const BOTH: &str = "cargo build rustc";

/// A crate as evcxr makes it, with a cargo and a rustc that write down that they were called.
struct Crate {
    folder: TempDir,
}

impl Crate {
    fn new() -> Self {
        let made = Self {
            folder: TempDir::new().unwrap(),
        };
        for folder in ["tools", "real", "crate/.cargo", "crate/src", "crate/target"] {
            fs::create_dir_all(made.path(folder)).unwrap();
        }
        let tests = std::env::current_exe().unwrap();
        let program = tests
            .ancestors()
            .nth(2)
            .unwrap()
            .join("examples/evaluator_program");
        symlink(program, made.path("tools/cargo")).unwrap();
        let (log, rustc) = (made.path("log"), made.path("real/rustc"));
        made.script(
            "real/cargo",
            &format!(
                "echo cargo $1 >> {log:?}\n\
                 [ $1 = metadata ] && exit\n\
                 echo '     Running `A=1 {} --crate-name ctx --emit=dep-info,link --out-dir /out -C metadata=1`' >&2\n\
                 echo 'warning: something' >&2",
                rustc.display()
            ),
        );
        made.script(
            "real/rustc",
            &format!(
                "echo rustc >> {log:?}\n\
                 case $* in *--emit=metadata*) echo looks >> {log:?};; esac"
            ),
        );
        made.write("crate/Cargo.toml", MANIFEST);
        made.write("crate/src/lib.rs", "fn größe() {}\n");
        made.write("crate/Cargo.lock", "version = 4\n");
        made.write("crate/.cargo/config.toml", "[net]\n");
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn script(&self, name: &str, lines: &str) {
        self.write(name, &format!("#!/bin/sh\n{lines}\n"));
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path(name), mode).unwrap();
    }

    /// Has a cell built; who was called, and what was said on stderr.
    fn build(&self, arguments: &[&str]) -> (String, String) {
        self.cargo("build", arguments)
    }

    fn cargo(&self, command: &str, arguments: &[&str]) -> (String, String) {
        let tools = self.path("tools");
        let path = [tools.as_path(), &self.path("real"), Path::new("/bin")];
        let mut cargo = Command::new(tools.join("cargo"));
        if command == "build" {
            cargo.env("EVCXR_EXECUTION_SO_PATH", self.path("crate/so"));
        }
        let output = cargo
            .args([command, "--message-format=json"])
            .args(arguments)
            .current_dir(self.path("crate"))
            .env("PATH", std::env::join_paths(path).unwrap())
            .env("PHALANX_TOOLS", &tools)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let log = self.path("log");
        let called = fs::read_to_string(&log).unwrap_or_default();
        fs::remove_file(log).unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (called.replace('\n', " ").trim().to_owned(), said)
    }

    fn check(&self, expected: &str, why: &str) {
        assert_eq!(self.build(&[]).0, expected, "{why}");
    }
}

#[test]
fn cargo_is_called_only_when_something_besides_the_cell_has_changed() {
    let made = Crate::new();
    let (called, said) = made.build(&[]);
    assert_eq!(called, BOTH);
    assert_eq!(said, "warning: something\n", "rustc's call is not shown");
    made.check("rustc", "nothing has changed");
    let library = fs::read_to_string(made.path("crate/so")).unwrap();
    assert_eq!(library, "/out/libctx.so");
    made.check("rustc", "nothing has changed again");

    made.write("crate/Cargo.toml", &format!("{MANIFEST}serde = \"1\"\n"));
    made.check(BOTH, "the manifest has changed");
    made.check("rustc", "the new manifest is known");
    made.write("crate/Cargo.lock", "version = 4\n# other\n");
    made.check(BOTH, "the lock file has changed");
    made.check("rustc", "the new lock file is known");
    made.write("crate/.cargo/config.toml", "[net]\noffline = true\n");
    made.check(BOTH, "cargo's options have changed");
    made.check("rustc", "the new options are known");
    assert_eq!(made.build(&["--offline"]).0, BOTH);

    let path = format!("{MANIFEST}mine = {{ path = \"/mine\" }}\n");
    made.write("crate/Cargo.toml", &path);
    made.check(BOTH, "there is a path dependency");
    made.check(BOTH, "a path dependency may change at any time");
    made.write("crate/Cargo.toml", MANIFEST);
    made.check(BOTH, "the path dependency is gone");
    made.check("rustc", "the old manifest is known again");
}

#[test]
fn what_is_wrong_with_a_cell_is_asked_of_rustc_alone() {
    let made = Crate::new();
    assert_eq!(
        made.cargo("check", &[]).0,
        "cargo check",
        "nothing was built"
    );
    made.check(BOTH, "the first build");
    assert_eq!(made.cargo("check", &[]).0, "rustc looks");
    made.check("rustc", "a check changes nothing");
    made.write("crate/Cargo.lock", "version = 4\n# other\n");
    assert_eq!(
        made.cargo("check", &[]).0,
        "cargo check",
        "something has changed"
    );
}

#[test]
fn a_rustc_that_is_gone_is_cargos_business() {
    let made = Crate::new();
    made.check(BOTH, "the first build");
    fs::remove_file(made.path("real/rustc")).unwrap();
    let twice = "cargo build cargo build";
    made.check(
        twice,
        "the recorded rustc is not there, nor is the one cargo names",
    );
}
