//! Frontends and tools other than JupyterLab: `docs/frontends.md`.

use phalanx_tests::bounded::run;
use phalanx_tests::environment::Environment;
use phalanx_tests::prepared::{Chromium, Prepared, Wheel, checkout};
use phalanx_tests::sandbox::Sandbox;
use serde_json::{Value, json};
use std::time::Duration;

phalanx_tests::cases! {
    frontends_and_tools_run_notebooks(prepared: Prepared, wheel: Wheel, chromium: Chromium)
}

/// Time limit of all of them.
const LIMIT: Duration = Duration::from_secs(1200);

fn frontends_and_tools_run_notebooks(
    prepared: Prepared,
    Wheel(wheel): Wheel,
    Chromium(chromium): Chromium,
) {
    let sandbox = Sandbox::new();
    let environment = Environment::new(&sandbox, &prepared);
    environment.install(&wheel);
    // Templates, themes and other extensions of these tools, which are data of their packages.
    let packages = prepared.python_program("").join("..").join("share/jupyter");
    let mut command = environment.command("python");
    command
        .env("JUPYTER_PATH", &packages)
        .env("JUPYTERLAB_DIR", packages.join("lab"))
        .arg(checkout("tests/python/frontends.py"))
        .arg("--chromium")
        .arg(chromium);
    let finished = run(&mut command, LIMIT).succeeded();
    let seen: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let text = |pointer: &str| seen.pointer(pointer).and_then(Value::as_str).unwrap_or("");

    // In the source, and from both engines.
    assert_eq!(seen["nbconvert"]["html"], 3, "{seen}");
    let program = text("/nbconvert/script");
    assert!(
        program.contains("fn main()") && program.contains("let x = 41;"),
        "{program}"
    );

    assert_eq!(
        text("/papermill/outputs"),
        "a \"ü\" 500 2.0 [\"x\"]\n",
        "{seen}"
    );
    let help = text("/papermill/help");
    assert!(help.contains("steps: usize (default 10)"), "{help}");

    assert!(text("/jupytext/text").contains("\n// %%\n%%px\n"), "{seen}");
    let outputs = &seen["jupytext"]["outputs"];
    assert_eq!(
        (&outputs[3], &outputs[4]),
        (&json!("shell\n"), &json!("42"))
    );

    assert_eq!(
        seen["console"],
        json!({"value": "42", "ended": true}),
        "{seen}"
    );

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
    assert_eq!(seen["vscode"], expected);

    let cells = &seen["notebook"]["outputs"];
    let second = cells[1].as_str().unwrap_or("");
    assert!(second.contains("bold") && second.contains('4'), "{seen}");
    assert_eq!(seen["notebook"]["directives"], json!(["%who"]), "{seen}");

    let dashboard = text("/voila/text");
    assert!(
        dashboard.contains("bold") && !dashboard.contains("use phalanx"),
        "{dashboard}"
    );
}
