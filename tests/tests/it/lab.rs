//! JupyterLab, used like a person does.

use phalanx_tests::bounded::run;
use phalanx_tests::notebook::write;
use phalanx_tests::prepared::{Chromium, Prepared, checkout};
use phalanx_tests::sandbox::Sandbox;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

phalanx_tests::cases! {
    run_all_cells_in_jupyterlab_shows_values_and_html(prepared: Prepared, chromium: Chromium)
    plots_of_engines_and_their_bars_are_shown_in_jupyterlab(prepared: Prepared, chromium: Chromium)
    interactive_features_work_in_jupyterlab(prepared: Prepared, chromium: Chromium)
}

/// Time limit for the server, the browser and all cells.
const LIMIT: Duration = Duration::from_secs(1200);

fn run_all_cells_in_jupyterlab_shows_values_and_html(
    prepared: Prepared,
    Chromium(chromium): Chromium,
) {
    let cells = [
        "let x = 41;",
        "println!(\"x is {x}\");\nx + 1",
        "phalanx::html(\"<b>bold</b> <i>words</i>\")?;",
        "!echo magic\n%who\nx == 42",
    ];
    let (outputs, directives) = run_all_cells(&prepared, &chromium, &cells);
    assert_eq!(outputs[0], "");
    assert!(
        outputs[1].contains("x is 41") && outputs[1].contains("42"),
        "{outputs:?}"
    );
    assert!(
        outputs[3].contains("magic") && outputs[3].contains("false"),
        "{outputs:?}"
    );
    // By the extension of JupyterLab, which leaves Rust alone.
    assert_eq!(directives, json!(["!", "%who"]));
    // Rendered as HTML.
    assert!(outputs[2].contains("bold words"), "{outputs:?}");
}

fn plots_of_engines_and_their_bars_are_shown_in_jupyterlab(
    prepared: Prepared,
    Chromium(chromium): Chromium,
) {
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
    let (outputs, _) = run_all_cells(&prepared, &chromium, &cells);
    for engine in 0..4 {
        let label = format!("[output:{engine}]");
        assert!(outputs[1].contains(&label), "{outputs:?}");
        // Each bar appears once, in its final state.
        let bar = format!("[stderr:{engine}] 100%");
        assert_eq!(outputs[3].matches(&bar).count(), 1, "{outputs:?}");
    }
    assert!(outputs[2].contains("4/4"), "{outputs:?}");
}

fn interactive_features_work_in_jupyterlab(prepared: Prepared, Chromium(chromium): Chromium) {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&prepared, prepared.python());
    command
        .arg(checkout("tests/python/lab_hands.py"))
        .arg(sandbox.path("hands.ipynb"))
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
    let saved = json!([format!("100%|{}| 2/2", "█".repeat(20))]);
    assert_eq!(seen["kept"], saved, "{seen}");
    assert!(text("reloaded").contains("8 squared is 64"), "{seen}");
    assert!(text("stop").contains("Interrupted"), "{seen}");
}

/// Runs a notebook of these cells in JupyterLab; returns the text of their outputs, and the
/// directives that are highlighted.
fn run_all_cells(prepared: &Prepared, chromium: &Path, cells: &[&str]) -> (Vec<String>, Value) {
    let sandbox = Sandbox::new();
    let notebook = write(&sandbox, "lab.ipynb", cells);
    let screenshot = sandbox.path("lab.png");
    let mut command = sandbox.command(prepared, prepared.python());
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
    let picture = std::fs::read(screenshot).expect("a screenshot");
    assert!(picture.starts_with(b"\x89PNG"));
    let outputs = seen["outputs"].as_array().expect("a list").iter();
    let outputs = outputs.map(|output| output.as_str().unwrap_or_default().to_owned());
    (outputs.collect(), seen["directives"].clone())
}
