//! `jupyter run` on a file, whose name it appends to the kernel's arguments.

use phalanx_tests::bounded::run;
use phalanx_tests::prepared::Prepared;
use phalanx_tests::sandbox::Sandbox;
use serde_json::json;
use std::fs;
use std::time::Duration;

phalanx_tests::cases! {
    file_is_run_and_unknown_arguments_are_ignored(prepared: Prepared)
}

/// Time limit of a file.
const LIMIT: Duration = Duration::from_secs(120);

fn file_is_run_and_unknown_arguments_are_ignored(prepared: Prepared) {
    let sandbox = Sandbox::new();
    // The echo backend, since Jupyter waits for output for ten seconds only.
    let spec = json!({
        "argv": [prepared.binary("phalanx"), "kernel", "--echo", "--connection-file", "{connection_file}"],
        "display_name": "Phalanx without rustc",
        "language": "rust",
    });
    let folder = sandbox.path("jupyter/data/kernels/phalanx-echo");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("kernel.json"), spec.to_string()).unwrap();
    let file = sandbox.path("größe.rs");
    fs::write(&file, "print first\nprint größe\n").unwrap();
    let mut command = sandbox.command(&prepared, prepared.python_program("jupyter"));
    command.args(["run", "--kernel=phalanx-echo"]).arg(&file);
    let finished = run(&mut command, LIMIT).succeeded();
    assert!(finished.stdout.contains("first\ngröße\n"), "{finished:#?}");
    let warned = finished.stderr.contains("unknown arguments are ignored");
    assert!(warned, "{finished:#?}");
}
