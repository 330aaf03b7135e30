//! Both ways to install the kernelspec.

use phalanx_tests::bounded::run;
use phalanx_tests::prepared::{Prepared, checkout};
use phalanx_tests::sandbox::Sandbox;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

phalanx_tests::cases! {
    jupyter_installs_the_kernelspec_folder(prepared: Prepared)
    phalanx_installs_itself_into_the_python_environment(prepared: Prepared)
}

/// Time limit of a command.
const LIMIT: Duration = Duration::from_secs(120);

/// Returns the kernelspecs listed by this Python's Jupyter, by name.
fn listed(mut jupyter: Command) -> Value {
    let list = run(jupyter.args(["kernelspec", "list", "--json"]), LIMIT).succeeded();
    let list: Value = serde_json::from_str(&list.stdout).expect("JSON");
    list["kernelspecs"].clone()
}

fn jupyter_installs_the_kernelspec_folder(prepared: Prepared) {
    let sandbox = Sandbox::new();
    let jupyter = || {
        let mut jupyter = sandbox.command(&prepared, prepared.python_program("jupyter"));
        // The environment has a kernelspec of the same name.
        jupyter.env("JUPYTER_PREFER_ENV_PATH", "0");
        jupyter
    };
    let install = run(
        jupyter()
            .args(["kernelspec", "install", "--user", "--name", "phalanx"])
            .arg(checkout("kernelspec/")),
        LIMIT,
    );
    let _ = install.succeeded();
    let phalanx = &listed(jupyter())["phalanx"];
    let folder = phalanx["resource_dir"].as_str().expect("it is listed");
    assert!(
        folder.starts_with(sandbox.path("").to_str().unwrap()),
        "{folder}"
    );
    assert_eq!(phalanx["spec"]["argv"][0], "phalanx");
    assert_eq!(phalanx["spec"]["language"], "rust");
    for logo in ["logo-32x32.png", "logo-64x64.png", "logo-svg.svg"] {
        let installed = fs::metadata(Path::new(folder).join(logo));
        assert!(installed.is_ok_and(|logo| logo.len() > 0), "{logo}");
    }
}

fn phalanx_installs_itself_into_the_python_environment(prepared: Prepared) {
    let sandbox = Sandbox::new();
    let environment = sandbox.path("environment");
    let venv = ["-m", "venv", "--without-pip"];
    let mut make = sandbox.command(&prepared, prepared.python());
    let _ = run(make.args(venv).arg(&environment), LIMIT).succeeded();
    // `--sys-prefix` refers to the activated environment; Jupyter belongs to another one.
    let in_it = |program| {
        let mut command = sandbox.command(&prepared, program);
        command
            .env("VIRTUAL_ENV", &environment)
            .env("JUPYTER_PATH", environment.join("share/jupyter"));
        command
    };
    let mut install = in_it(prepared.binary("phalanx"));
    let _ = run(install.args(["install", "--sys-prefix"]), LIMIT).succeeded();

    let phalanx = &listed(in_it(prepared.python_program("jupyter")))["phalanx"];
    let folder = environment.join("share/jupyter/kernels/phalanx");
    assert_eq!(phalanx["resource_dir"], folder.to_str().unwrap());
    assert_eq!(phalanx["spec"]["interrupt_mode"], "message");
    let logo = fs::read(folder.join("logo-64x64.png")).expect("its logo");
    assert_eq!(
        logo,
        fs::read(checkout("kernelspec/logo-64x64.png")).unwrap()
    );
    let extension = environment.join("share/jupyter/labextensions/phalanx");
    let package = fs::read_to_string(extension.join("package.json")).expect("its extension");
    let package: Value = serde_json::from_str(&package).expect("JSON");
    let load = package["jupyterlab"]["_build"]["load"].as_str().unwrap();
    assert!(extension.join(load).is_file(), "{load}");

    let mut second = in_it(prepared.binary("phalanx"));
    let second = second.args(["install", "--sys-prefix", "--name", "second", "--no-build"]);
    let _ = run(second, LIMIT).succeeded();
    for (name, is_left) in [("phalanx", true), ("second", false)] {
        let mut uninstall = in_it(prepared.binary("phalanx"));
        let uninstall = uninstall.args(["uninstall", "--sys-prefix", "--name", name]);
        let _ = run(uninstall, LIMIT).succeeded();
        assert_eq!(extension.exists(), is_left, "after {name}");
    }
}
