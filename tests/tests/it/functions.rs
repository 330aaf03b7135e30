//! The notebooks on functions and AsyncResults have the effects that their text describes.

use phalanx_tests::notebook::{example, execute, write};
use phalanx_tests::prepared::Prepared;
use phalanx_tests::sandbox::Sandbox;

phalanx_tests::cases! {
    the_asyncresult_notebook_agrees_with_ipyparallel(prepared: Prepared)
    the_progress_notebook_has_every_square_and_its_bars_finish(prepared: Prepared)
    every_error_of_a_task_comes_back(prepared: Prepared)
    what_is_pushed_before_all_else_is_a_variable_of_the_first_cell(prepared: Prepared)
}

fn the_asyncresult_notebook_agrees_with_ipyparallel(prepared: Prepared) {
    let notebook = example(&prepared, "asyncresult.ipynb");
    notebook.says("pids", "4");
    let known = notebook.cell("pid-map").text();
    assert_eq!(
        known.matches("as the others know: true").count(),
        4,
        "{known}"
    );
    notebook.says("timing", "4 of 4 done");
    let records = notebook.cell("timing").text();
    let record = "Ok, \"hi\\n\", began after it was submitted: true";
    assert_eq!(records.matches(record).count(), 4, "{records}");
    notebook.says("scatter", "Engine IDs: [0.0, 1.0, 2.0, 3.0]");
    notebook.says("scatter", "0: 0\n1: 1\n2: 2\n3: 3");
    notebook.says(
        "map-chunks",
        "chunks of 1: in order true\nchunks of 4: in order true",
    );
    notebook.says("map-unordered", "20 items, all there: true");
    // The same digits as in ipyparallel's documentation.
    let rms = "58.028845747399714 locally, 58.028845747399714 on engines";
    notebook.says("rms", rms);
    // Their type is defined in the notebook and not annotated anywhere.
    for word in [("alpha", 5), ("be", 3), ("gamma", 5)] {
        let word = format!("Word {{ text: {:?}, letters: {} }}", word.0, word.1);
        notebook.says("join", &word);
    }
    notebook.says("join", "3 tasks: [");
    notebook.says("split",
        "[0, 1, 4, 9], 4 items\n[16, 25, 36, 49], 4 items\n[64, 81], 2 items\n3 of 3 tasks\nof nothing: []",
    );
    notebook.says("failures", "false\none or more exceptions raised in");
    notebook.says("failures", "[3:apply]Panic: no luck");
}

fn the_progress_notebook_has_every_square_and_its_bars_finish(prepared: Prepared) {
    let notebook = example(&prepared, "progress.ipynb");
    notebook.says("submit", "submitted: true");
    let squares: String = (0..100u64).map(|x| format!("{}, ", x * x)).collect();
    notebook.says("iterate", &squares);
    notebook.says("bar", "100/100");
    notebook.says("bar", "100 of 100");
    let shown = notebook.cell("own-bar");
    let widget = |output: &serde_json::Value| {
        !output["data"]["application/vnd.jupyter.widget-view+json"].is_null()
    };
    assert!(shown.all.iter().any(widget), "{shown:?}");
    notebook.says("own-bar", "100 of 100");
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

fn every_error_of_a_task_comes_back(prepared: Prepared) {
    let notebook = example(&prepared, "errors.ipynb");
    notebook.says("crash", "[1:apply]RuntimeDied: the call ended");
    notebook.says("crash", "SIGABRT");
    notebook.says("crash", "[7, 7, 7]\n[750000.0, 750000.0, 750000.0]");
    notebook.says("panics", ".... 6 more exceptions ...");
    notebook.says("panics", "0\n1\nPanic\n3");
    notebook.says("timeout", "Result not ready.");
    notebook.says("timeout", "Interrupted: the call was interrupted");
    let unmet = "requires: the function's condition does not hold on this engine";
    for error in ["ImpossibleDependency", "TaskTimeout", unmet] {
        notebook.says("dependencies", error);
    }
    notebook.says("abort", "TaskAborted");
    notebook.says("abort", "\n3");
    let unread = "DeserializeError: argument 1 cannot be read as";
    notebook.says("values", unread);
    let other = "'table' is of type Shared<[f64]> on this engine, and Shared<[f32]> is wanted";
    notebook.says("values", other);
    notebook.says("task", "[3.0, 6.0]");
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
        for words in [words, marked] {
            assert!(traceback.contains(words), "{cell}: {traceback}");
        }
        assert_eq!(traceback.matches("error").count(), 1, "{cell}: {traceback}");
    }
    notebook.says("borrows", "[5.0, 13.0]\n[10.0, 26.0]\n[1, 2]");
    notebook.says("killed", "EngineError\n[0, 1, 2, 3, 4, 5, 6, 7, 8]");
    notebook.says("killed", "Panic: always");
}

fn what_is_pushed_before_all_else_is_a_variable_of_the_first_cell(prepared: Prepared) {
    let place = Sandbox::new();
    let begin = "use phalanx::prelude::*;
let rc = Cluster::builder().n(2).start_and_connect()?;
rc.all().push(\"a\", &5)?;";
    let sources = [begin, "%px a", "rc.all().pull::<i32>(\"a + 1\")?"];
    let notebook = write(&place, "push.ipynb", &sources);
    let notebook = execute(&place, &prepared, &notebook);
    let finished = &notebook.finished;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    notebook.says("cell-1", "Out[1:2]: 5");
    notebook.says("cell-2", "[6, 6]");
}
