//! Engines' outputs in JupyterLab.

use phalanx_tests::bounded::run;
use phalanx_tests::notebook::write;
use phalanx_tests::prepared::{Chromium, Prepared, checkout};
use phalanx_tests::sandbox::Sandbox;
use serde_json::{Value, json};
use std::time::Duration;

phalanx_tests::cases! {
    plots_of_engines_and_their_bars_are_shown_in_jupyterlab(prepared: Prepared, chromium: Chromium)
}

/// Time limit for the server, the browser and all cells.
const LIMIT: Duration = Duration::from_secs(1200);

fn plots_of_engines_and_their_bars_are_shown_in_jupyterlab(
    prepared: Prepared,
    Chromium(chromium): Chromium,
) {
    let place = Sandbox::new();
    let cells = [
        "%cluster start -n 4",
        "%%px --no-stream -r\n\
         let id = phalanx::engine_id().unwrap_or(0);\n\
         phalanx::svg(format!(\"<svg xmlns='http://www.w3.org/2000/svg' width='150' height='90'>\
         <circle cx='75' cy='45' r='{}' fill='hsl({},70%,45%)'/></svg>\", 15 + 8 * id, 90 * id))?;",
        "%%px --progress-after 0\nstd::thread::sleep(std::time::Duration::from_millis(300));",
        "%%px\nfor percent in (0..=100).step_by(20) {\n\
         eprint!(\"\\r{percent:3}%\");\n\
         std::thread::sleep(std::time::Duration::from_millis(60));\n}\neprintln!();",
        "%cluster stop",
    ];
    let notebook = write(&place, "engines.ipynb", &cells);
    let screenshot = place.path("engines.png");
    let mut command = place.command(&prepared, prepared.python());
    command
        .arg(checkout("tests/python/lab.py"))
        .arg(notebook)
        .arg("--chromium")
        .arg(chromium)
        .arg("--screenshot")
        .arg(&screenshot);
    let finished = run(&mut command, LIMIT).succeeded();
    let seen: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!(seen["dialogs"], json!([]), "{seen}");
    let outputs: Vec<_> = seen["outputs"].as_array().unwrap().iter().collect();
    let output = |cell: usize| outputs[cell].as_str().unwrap_or_default();
    for engine in 0..4 {
        let label = format!("[output:{engine}]");
        assert!(output(1).contains(&label), "{seen}");
        // Each bar appears once, in its final state.
        let bar = format!("[stderr:{engine}] 100%");
        assert_eq!(output(3).matches(&bar).count(), 1, "{seen}");
    }
    assert!(output(2).contains("4/4"), "{seen}");
    let picture = std::fs::read(screenshot).expect("a screenshot");
    assert!(picture.starts_with(b"\x89PNG"));
}
