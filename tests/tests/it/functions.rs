//! The notebooks on functions and AsyncResults have the effects that their text describes.

use phalanx_tests::notebook::{example, execute, write};
use phalanx_tests::prepared::Prepared;
use phalanx_tests::sandbox::Sandbox;

phalanx_tests::cases! {
    asyncresult_notebook_agrees_with_ipyparallel(prepared: Prepared)
    progress_notebook_has_all_values_and_full_bars(prepared: Prepared)
    all_errors_of_tasks_are_reported(prepared: Prepared)
    value_pushed_first_is_a_variable_of_the_first_cell(prepared: Prepared)
}

fn asyncresult_notebook_agrees_with_ipyparallel(prepared: Prepared) {
    let notebook = example(&prepared, "asyncresult.ipynb");
    notebook.assert_contains("pids", "4");
    let known = notebook.cell("pid-map").text();
    assert_eq!(
        known.matches("as the others know: true").count(),
        4,
        "{known}"
    );
    notebook.assert_contains("timing", "4 of 4 done");
    let records = notebook.cell("timing").text();
    let record = "Ok, \"hi\\n\", began after it was submitted: true";
    assert_eq!(records.matches(record).count(), 4, "{records}");
    notebook.assert_contains("scatter", "Engine IDs: [0.0, 1.0, 2.0, 3.0]");
    notebook.assert_contains("scatter", "0: 0\n1: 1\n2: 2\n3: 3");
    notebook.assert_contains(
        "map-chunks",
        "chunks of 1: in order true\nchunks of 4: in order true",
    );
    notebook.assert_contains("map-unordered", "20 items, all there: true");
    // The same digits as in ipyparallel's documentation.
    let rms = "58.028845747399714 locally, 58.028845747399714 on engines";
    notebook.assert_contains("rms", rms);
    // Their type is defined in the notebook and not annotated anywhere.
    for word in [("alpha", 5), ("be", 3), ("gamma", 5)] {
        let word = format!("Word {{ text: {:?}, letters: {} }}", word.0, word.1);
        notebook.assert_contains("join", &word);
    }
    notebook.assert_contains("join", "3 tasks: [");
    notebook.assert_contains("split",
        "[0, 1, 4, 9], 4 items\n[16, 25, 36, 49], 4 items\n[64, 81], 2 items\n3 of 3 tasks\nof nothing: []",
    );
    notebook.assert_contains("failures", "false\none or more exceptions raised in");
    notebook.assert_contains("failures", "[3:apply]Panic: no luck");
}

fn progress_notebook_has_all_values_and_full_bars(prepared: Prepared) {
    let notebook = example(&prepared, "progress.ipynb");
    notebook.assert_contains("submit", "submitted: true");
    let squares: String = (0..100u64).map(|x| format!("{}, ", x * x)).collect();
    notebook.assert_contains("iterate", &squares);
    notebook.assert_contains("bar", "100/100");
    notebook.assert_contains("bar", "100 of 100");
    let shown = notebook.cell("own-bar");
    let widget = |output: &serde_json::Value| {
        !output["data"]["application/vnd.jupyter.widget-view+json"].is_null()
    };
    assert!(shown.all.iter().any(widget), "{shown:?}");
    notebook.assert_contains("own-bar", "100 of 100");
    // What pages and reports show of it.
    let saved = shown.html();
    assert!(saved.iter().any(|bar| bar.contains("100/100")), "{saved:?}");
    let mut bars = notebook.cell("px-bar").html();
    // The magic's own bar is shown if the cell takes long.
    bars.retain(|bar| !bar.contains("%px"));
    let is_full = |bar: &&str| bar.contains("busy:") && bar.contains("20/20");
    assert_eq!(
        bars.iter().map(String::as_str).filter(is_full).count(),
        4,
        "{bars:?}"
    );
}

fn all_errors_of_tasks_are_reported(prepared: Prepared) {
    let notebook = example(&prepared, "errors.ipynb");
    notebook.assert_contains("crash", "[1:apply]RuntimeDied: the call ended");
    notebook.assert_contains("crash", "SIGABRT");
    notebook.assert_contains("crash", "[7, 7, 7]\n[750000.0, 750000.0, 750000.0]");
    notebook.assert_contains("panics", ".... 6 more exceptions ...");
    notebook.assert_contains("panics", "0\n1\nPanic\n3");
    notebook.assert_contains("timeout", "Result not ready.");
    notebook.assert_contains("timeout", "Interrupted: the call was interrupted");
    let unmet = "requires: the function's condition does not hold on this engine";
    for error in ["ImpossibleDependency", "TaskTimeout", unmet] {
        notebook.assert_contains("dependencies", error);
    }
    notebook.assert_contains("abort", "TaskAborted");
    notebook.assert_contains("abort", "\n3");
    let unread = "DeserializeError: argument 1 cannot be read as";
    notebook.assert_contains("values", unread);
    let other = "'table' is of type Shared<[f64]> on this engine, and Shared<[f32]> is wanted";
    notebook.assert_contains("values", other);
    notebook.assert_contains("task", "[3.0, 6.0]");
    for (cell, words, marked) in [
        ("captures", "name them with task!", "^^^^^^^^ this closure"),
        ("no-serde", "derive(Serialize, Deserialize)", "^^^^"),
        ("push-no-serde", "derive(Serialize, Deserialize)", "^^^^^^"),
        ("task-no-serde", "derive(Serialize, Deserialize)", "^^^^^"),
        ("task-unnamed", "add them to the list in brackets", "^^^^^"),
        ("text", "|s: String| count(&s)", "^^^^^^^^"),
    ] {
        let (ename, _, traceback) = notebook.cell(cell).error().expect("an error");
        assert_eq!(ename, "CompileError");
        let on_one_line = traceback.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(on_one_line.contains(words), "{cell}: {traceback}");
        assert!(traceback.contains(marked), "{cell}: {traceback}");
        assert_eq!(traceback.matches("error").count(), 1, "{cell}: {traceback}");
    }
    notebook.assert_contains("borrows", "[5.0, 13.0]\n[10.0, 26.0]\n[1, 2]");
    notebook.assert_contains("killed", "EngineError\n[0, 1, 2, 3, 4, 5, 6, 7, 8]");
    notebook.assert_contains("killed", "Panic: always");
}

fn value_pushed_first_is_a_variable_of_the_first_cell(prepared: Prepared) {
    let sandbox = Sandbox::new();
    let start = "use phalanx::prelude::*;
let rc = Cluster::builder().n(2).start_and_connect()?;
rc.all().push(\"a\", &5)?;";
    let sources = [start, "%px a", "rc.all().pull::<i32>(\"a + 1\")?"];
    let notebook = write(&sandbox, "push.ipynb", &sources);
    let notebook = execute(&sandbox, &prepared, &notebook);
    let finished = &notebook.finished;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    notebook.assert_contains("cell-1", "Out[1:2]: 5");
    notebook.assert_contains("cell-2", "[6, 6]");
}
