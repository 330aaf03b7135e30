//! The effects of `phalanx install`, `uninstall` and `doctor`.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn phalanx(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_phalanx"))
        .args(args)
        .output()
        .unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_kernelspec_is_installed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().to_str().unwrap();
    let installed = phalanx(&["install", "--prefix", prefix, "--display-name", "My Rust"]);
    assert!(installed.status.success(), "{}", printed(&installed));
    let spec = folder.path().join("share/jupyter/kernels/phalanx");
    let json: Value =
        serde_json::from_slice(&std::fs::read(spec.join("kernel.json")).unwrap()).unwrap();
    let argv: Vec<&str> = json["argv"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a.as_str().unwrap())
        .collect();
    assert_eq!(
        Path::new(argv[0]).canonicalize().unwrap(),
        Path::new(env!("CARGO_BIN_EXE_phalanx"))
            .canonicalize()
            .unwrap()
    );
    assert_eq!(
        argv[1..],
        ["kernel", "--connection-file", "{connection_file}"]
    );
    assert_eq!(json["display_name"], "My Rust");
    assert_eq!(json["language"], "rust");
    assert_eq!(json["interrupt_mode"], "message");
    assert!(
        json["env"]["PATH"].as_str().unwrap().ends_with(":${PATH}"),
        "{json}"
    );
    for logo in ["logo-32x32.png", "logo-64x64.png", "logo-svg.svg"] {
        assert!(
            std::fs::metadata(spec.join(logo)).unwrap().len() > 100,
            "{logo}"
        );
    }
    // A second installation, as after an update.
    assert!(phalanx(&["install", "--prefix", prefix]).status.success());
    let removed = phalanx(&["uninstall", "--prefix", prefix]);
    assert!(removed.status.success(), "{}", printed(&removed));
    assert!(!spec.exists());
    let again = phalanx(&["uninstall", "--prefix", prefix]);
    assert!(
        !again.status.success() && printed(&again).contains("there is no kernelspec"),
        "{}",
        printed(&again)
    );
}

#[test]
fn the_default_folder_is_the_users_jupyter_folder() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_phalanx"))
        .args(["install", "--name", "mine"])
        .env("JUPYTER_DATA_DIR", folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", printed(&output));
    assert!(folder.path().join("kernels/mine/kernel.json").is_file());
}

#[test]
fn kernelspecs_of_other_kernels_are_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().to_str().unwrap();
    let spec = folder.path().join("share/jupyter/kernels/rust");
    std::fs::create_dir_all(&spec).unwrap();
    std::fs::write(
        spec.join("kernel.json"),
        r#"{"argv": ["evcxr_jupyter"], "display_name": "Rust", "language": "rust"}"#,
    )
    .unwrap();
    for command in ["install", "uninstall"] {
        let output = phalanx(&[command, "--prefix", prefix, "--name", "rust"]);
        assert!(!output.status.success());
        assert!(
            printed(&output).contains("of another program"),
            "{}",
            printed(&output)
        );
    }
    let forced = phalanx(&["install", "--prefix", prefix, "--name", "rust", "--force"]);
    assert!(forced.status.success(), "{}", printed(&forced));
    let named = phalanx(&["install", "--prefix", prefix, "--name", "no/name"]);
    assert!(!named.status.success() && printed(&named).contains("cannot be a kernelspec's name"));
}

#[test]
fn the_doctor_reports_missing_parts_and_remedies() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_phalanx"))
        .arg("doctor")
        .env("PATH", "")
        .env("CARGO_HOME", folder.path())
        .env("JUPYTER_DATA_DIR", folder.path())
        .env("VIRTUAL_ENV", folder.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = printed(&output);
    for part in [
        "wrong  rustc",
        "https://rustup.rs",
        "wrong  kernelspec",
        "phalanx install",
        "ok     loopback",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_cargo_that_is_not_on_the_path_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let cargo = folder.path().join("bin");
    std::fs::create_dir(&cargo).unwrap();
    std::fs::write(cargo.join("cargo"), "").unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_phalanx"));
        command.args(args).env("PATH", "");
        command.env("CARGO_HOME", folder.path());
        command.env("JUPYTER_DATA_DIR", folder.path());
        printed(&command.output().unwrap())
    };
    let text = run(&["doctor"]);
    assert!(text.contains("Rust is there"), "{text}");
    run(&["install", "--no-build"]);
    let spec = folder.path().join("kernels/phalanx/kernel.json");
    let json: Value = serde_json::from_slice(&std::fs::read(spec).unwrap()).unwrap();
    let path = format!("{}:${{PATH}}", cargo.display());
    assert_eq!(json["env"]["PATH"], path);
}

#[test]
fn the_version_is_printed() {
    let output = phalanx(&["--version"]);
    assert_eq!(
        printed(&output).trim(),
        concat!("phalanx ", env!("CARGO_PKG_VERSION"))
    );
}

/// A cluster's process writes to its log alone when it fails.
#[test]
fn a_cluster_that_does_not_start_reports_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_phalanx"))
        .args(["cluster", "start", "-n", "1", "--daemonize", "--echo"])
        .env("XDG_DATA_HOME", folder.path())
        // Its sockets cannot be created.
        .env("TMPDIR", folder.path().join("nowhere"))
        .output()
        .unwrap();
    let text = printed(&output);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("the cluster did not start"), "{text}");
    assert!(
        text.contains("the controller could not be started"),
        "{text}"
    );
    let left = folder.path().join("phalanx/clusters");
    assert_eq!(std::fs::read_dir(left).unwrap().count(), 0);
}
