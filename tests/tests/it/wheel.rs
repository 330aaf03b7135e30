//! `pip install` of the wheel is a complete installation.
//!
//! The wheel is packed from the programs that all tests run, by the code that packs a release.

use phalanx_tests::bounded::run;
use phalanx_tests::environment::Environment;
use phalanx_tests::notebook::{Executed, write};
use phalanx_tests::prepared::{Prepared, Wheel};
use phalanx_tests::sandbox::Sandbox;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

phalanx_tests::cases! {
    wheel_is_a_complete_installation(prepared: Prepared, wheel: Wheel)
}

/// Time limit of the notebook, which may build the notebooks' library first.
const LIMIT: Duration = Duration::from_secs(900);

/// A cell that shows the path of the program that runs it.
const PROGRAM: &str = "std::fs::read_link(\"/proc/self/exe\").unwrap()";

fn wheel_is_a_complete_installation(prepared: Prepared, Wheel(wheel): Wheel) {
    let sandbox = Sandbox::new();
    let environment = Environment::new(&sandbox, &prepared);
    environment.install(&wheel);

    let mut list = environment.command("python");
    // The equivalent of `jupyter kernelspec list`, since the program `jupyter` is elsewhere.
    list.args(["-m", "jupyter_client.kernelspecapp", "list", "--json"]);
    let listed = run(&mut list, LIMIT).succeeded();
    let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    let phalanx = &listed["kernelspecs"]["phalanx"];
    let folder = environment.folder().join("share/jupyter/kernels/phalanx");
    assert_eq!(phalanx["resource_dir"], folder.to_str().unwrap());
    assert!(folder.join("logo-64x64.png").is_file());

    let local = format!("println!(\"{{}}\", {PROGRAM}.display());");
    let engines = format!("%%px\nprintln!(\"{{}}\", {PROGRAM}.display());");
    let cells = [local.as_str(), "%cluster start -n 2", engines.as_str()];
    let notebook = write(&sandbox, "installed.ipynb", &cells);
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

    check_install_is_complete(&sandbox, &environment, &folder);
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

fn check_install_is_complete(sandbox: &Sandbox, environment: &Environment<'_>, folder: &Path) {
    let mut install = environment.command("phalanx");
    let output = run(install.arg("install"), LIMIT).succeeded().stdout;
    assert!(output.contains("installed already"), "{output}");
    assert!(output.contains(folder.to_str().unwrap()), "{output}");
    let second = sandbox.path("jupyter/data/kernels/phalanx");
    assert!(!second.exists(), "{output}");
}
