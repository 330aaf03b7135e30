//! JupyterLab, used like a person does.

use phalanx_tests::bounded::run;
use phalanx_tests::notebook::write;
use phalanx_tests::prepared::{Chromium, Prepared, checkout};
use phalanx_tests::sandbox::Sandbox;
use serde_json::{Value, json};
use std::time::Duration;

phalanx_tests::cases! {
    run_all_cells_in_jupyterlab_shows_values_and_html(prepared: Prepared, chromium: Chromium)
    sliders_bars_tables_files_stop_completion_errors_and_a_page_reloaded(prepared: Prepared, chromium: Chromium)
}

/// Time limit for the server, the browser and all cells.
const LIMIT: Duration = Duration::from_secs(1200);

fn run_all_cells_in_jupyterlab_shows_values_and_html(
    prepared: Prepared,
    Chromium(chromium): Chromium,
) {
    let place = Sandbox::new();
    let cells = [
        "let x = 41;",
        "println!(\"x is {x}\");\nx + 1",
        "phalanx::html(\"<b>bold</b> <i>words</i>\")?;",
        "!echo magic\n%who\n!(x == 41)",
    ];
    let notebook = write(&place, "lab.ipynb", &cells);
    let screenshot = place.path("lab.png");
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
    assert_eq!(output(0), "");
    assert!(
        output(1).contains("x is 41") && output(1).contains("42"),
        "{seen}"
    );
    assert!(
        output(3).contains("magic") && output(3).contains("false"),
        "{seen}"
    );
    // By the extension of JupyterLab, which leaves Rust alone.
    assert_eq!(seen["directives"], json!(["!", "%who"]), "{seen}");
    // Rendered as HTML.
    assert!(output(2).contains("bold words"), "{seen}");
    let picture = std::fs::read(screenshot).expect("a screenshot");
    assert!(picture.starts_with(b"\x89PNG"));
}

fn sliders_bars_tables_files_stop_completion_errors_and_a_page_reloaded(
    prepared: Prepared,
    Chromium(chromium): Chromium,
) {
    let place = Sandbox::new();
    let mut command = place.command(&prepared, prepared.python());
    command
        .arg(checkout("tests/python/lab_hands.py"))
        .arg(place.path("hands.ipynb"))
        .arg("--chromium")
        .arg(chromium);
    let finished = run(&mut command, LIMIT).succeeded();
    let seen: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let text = |step: &str| seen[step].as_str().unwrap_or_default();
    assert!(text("slider").contains('7'), "{seen}");
    let bar: Vec<f64> = serde_json::from_value(seen["bar"].clone()).expect("numbers");
    assert!(bar.len() == 3 && bar.is_sorted(), "{seen}");
    assert!(text("error").contains("E0308"), "{seen}");
    assert!(text("completion").contains("to_uppercase"), "{seen}");
    let orders = json!([["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"]]);
    assert_eq!(seen["sorted"], orders, "{seen}");
    assert!(text("uploaded").contains("(3, 3)"), "{seen}");
    assert!(text("reloaded").contains("8 squared is 64"), "{seen}");
    assert!(text("stop").contains("Interrupted"), "{seen}");
}
