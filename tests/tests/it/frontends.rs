//! Frontends and tools other than JupyterLab: `docs/frontends.md`.

use phalanx_tests::bounded::run;
use phalanx_tests::environment::Environment;
use phalanx_tests::prepared::{Chromium, Prepared, Wheel, checkout};
use phalanx_tests::sandbox::Sandbox;
use serde_json::{Value, json};
use std::time::Duration;

phalanx_tests::cases! {
    nbconvert_executes_and_converts(prepared: Prepared, wheel: Wheel)
    papermill_passes_parameters(prepared: Prepared, wheel: Wheel)
    jupytext_converts_in_both_directions(prepared: Prepared, wheel: Wheel)
    console_shows_values_and_ends(prepared: Prepared, wheel: Wheel)
    vscode_finds_its_habits_served(prepared: Prepared, wheel: Wheel)
    notebook_7_runs_all_cells(prepared: Prepared, wheel: Wheel, chromium: Chromium)
    voila_shows_a_page_of_outputs(prepared: Prepared, wheel: Wheel, chromium: Chromium)
}

/// Time limit of one of them.
const LIMIT: Duration = Duration::from_secs(900);

/// Runs a frontend of the script, in an environment of its own with the wheel; returns what it has
/// seen.
fn seen(prepared: &Prepared, wheel: &Wheel, frontend: &str, chromium: Option<&Chromium>) -> Value {
    let sandbox = Sandbox::new();
    let environment = Environment::new(&sandbox, prepared);
    environment.install(&wheel.0);
    // Templates, themes and other extensions of these tools, which are data of their packages.
    let packages = prepared.python_program("").join("..").join("share/jupyter");
    let mut command = environment.command("python");
    command
        .env("JUPYTER_PATH", &packages)
        .env("JUPYTERLAB_DIR", packages.join("lab"))
        .arg(checkout("tests/python/frontends.py"))
        .arg(frontend);
    if let Some(Chromium(program)) = chromium {
        command.arg("--chromium").arg(program);
    }
    let finished = run(&mut command, LIMIT).succeeded();
    serde_json::from_str(&finished.stdout).expect("JSON")
}

fn text<'a>(seen: &'a Value, key: &str) -> &'a str {
    seen[key].as_str().unwrap_or_default()
}

fn nbconvert_executes_and_converts(prepared: Prepared, wheel: Wheel) {
    let seen = seen(&prepared, &wheel, "nbconvert", None);
    // In the source, and from both engines.
    assert_eq!(seen["html"], 3, "{seen}");
    let program = text(&seen, "script");
    assert!(
        program.contains("fn main()") && program.contains("let x = 41;"),
        "{program}"
    );
}

fn papermill_passes_parameters(prepared: Prepared, wheel: Wheel) {
    let seen = seen(&prepared, &wheel, "papermill", None);
    assert_eq!(
        text(&seen, "outputs"),
        "a \"ü\" 500 2.0 [\"x\"]\n",
        "{seen}"
    );
    let help = text(&seen, "help");
    assert!(help.contains("steps: usize (default 10)"), "{help}");
}

fn jupytext_converts_in_both_directions(prepared: Prepared, wheel: Wheel) {
    let seen = seen(&prepared, &wheel, "jupytext", None);
    assert!(text(&seen, "text").contains("\n// %%\n%%px\n"), "{seen}");
    let outputs = &seen["outputs"];
    assert_eq!(
        (&outputs[3], &outputs[4]),
        (&json!("shell\n"), &json!("42"))
    );
}

fn console_shows_values_and_ends(prepared: Prepared, wheel: Wheel) {
    let seen = seen(&prepared, &wheel, "console", None);
    let steps = ["0", "25", "50", "75", "100"];
    assert_eq!(seen, json!({"value": "42", "bar": steps, "ended": true}),);
}

fn vscode_finds_its_habits_served(prepared: Prepared, wheel: Wheel) {
    let expected = json!({
        "before": 1,
        "failed": ["error", 1],
        "followed": "ok",
        "inspected": "größe: Vec<i32>",
        "completed": "len",
        "comms": {},
        "interrupted": "Interrupted",
        "restarted": 1,
    });
    assert_eq!(seen(&prepared, &wheel, "vscode", None), expected);
}

fn notebook_7_runs_all_cells(prepared: Prepared, wheel: Wheel, chromium: Chromium) {
    let seen = seen(&prepared, &wheel, "notebook", Some(&chromium));
    let second = seen["outputs"][1].as_str().unwrap_or_default();
    assert!(second.contains("bold") && second.contains('4'), "{seen}");
    assert_eq!(seen["directives"], json!(["%who"]), "{seen}");
}

fn voila_shows_a_page_of_outputs(prepared: Prepared, wheel: Wheel, chromium: Chromium) {
    let seen = seen(&prepared, &wheel, "voila", Some(&chromium));
    let dashboard = text(&seen, "text");
    assert!(
        dashboard.contains("bold") && !dashboard.contains("use phalanx"),
        "{dashboard}"
    );
}
