//! However a kernel ends, its processes end with it.
//!
//! The check is made by [`Sandbox`] on drop, for processes and files.

use phalanx_tests::bounded::run;
use phalanx_tests::prepared::{Prepared, checkout};
use phalanx_tests::sandbox::Sandbox;
use serde_json::json;
use std::fs;
use std::time::Duration;

phalanx_tests::cases! {
    nothing_outlives_a_kernel_that_is_shut_down(prepared: Prepared)
    nothing_outlives_a_kernel_that_is_terminated(prepared: Prepared)
    nothing_outlives_a_kernel_that_is_killed(prepared: Prepared)
    nothing_outlives_a_kernel_whose_server_is_gone(prepared: Prepared)
}

/// Time limit for starting engines and ending everything.
const LIMIT: Duration = Duration::from_secs(120);

fn check_that_nothing_outlives_a_kernel(prepared: &Prepared, signal: &str) {
    let sandbox = Sandbox::new();
    let spec = json!({
        "argv": [prepared.binary("phalanx"), "kernel", "--echo", "--connection-file", "{connection_file}"],
        "display_name": "Phalanx without rustc",
        "language": "rust",
        "interrupt_mode": "message",
    });
    let folder = sandbox.path("jupyter/data/kernels/phalanx-echo");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("kernel.json"), spec.to_string()).unwrap();
    let end_by = |signal: &str| {
        let mut command = sandbox.command(prepared, prepared.python());
        command.arg(checkout("tests/python/leaks.py")).arg(signal);
        let _ = run(&mut command, LIMIT).succeeded();
    };
    end_by(signal);
    if signal == "kill" {
        // Its temporary files are removed by the next kernel.
        sandbox.wait_for_processes();
        end_by("shutdown");
    }
}

fn nothing_outlives_a_kernel_that_is_shut_down(prepared: Prepared) {
    check_that_nothing_outlives_a_kernel(&prepared, "shutdown");
}

fn nothing_outlives_a_kernel_that_is_terminated(prepared: Prepared) {
    check_that_nothing_outlives_a_kernel(&prepared, "terminate");
}

fn nothing_outlives_a_kernel_that_is_killed(prepared: Prepared) {
    check_that_nothing_outlives_a_kernel(&prepared, "kill");
}

fn nothing_outlives_a_kernel_whose_server_is_gone(prepared: Prepared) {
    check_that_nothing_outlives_a_kernel(&prepared, "abandon");
}
