//! The notebooks on functions and AsyncResults do what they say.

use phalanx_tests::notebook::{Executed, execute, write};
use phalanx_tests::place::Place;
use phalanx_tests::prepared::{Prepared, checkout};

phalanx_tests::cases! {
    the_asyncresult_notebook_agrees_with_ipyparallel(prepared: Prepared)
    the_progress_notebook_has_every_square_and_its_bars_finish(prepared: Prepared)
    every_error_of_a_task_comes_back(prepared: Prepared)
    what_is_pushed_before_all_else_is_a_variable_of_the_first_cell(prepared: Prepared)
}

fn executed(prepared: &Prepared, name: &str) -> (Place, Executed) {
    let place = Place::new();
    let notebook = execute(&place, &prepared, &checkout("notebooks").join(name));
    assert_eq!(notebook.finished.code, Some(0), "{:#?}", notebook.finished);
    (place, notebook)
}

/// The text of a cell without empty lines: pieces of a stream come one after the other.
fn lines(notebook: &Executed, cell: &str) -> String {
    let text = notebook.cell(cell).text();
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

fn says(notebook: &Executed, cell: &str, what: &str) {
    let text = lines(notebook, cell);
    assert!(text.contains(what), "{cell}: {text}");
}

fn the_asyncresult_notebook_agrees_with_ipyparallel(prepared: Prepared) {
    let (_place, notebook) = executed(&prepared, "asyncresult.ipynb");
    says(&notebook, "pids", "4");
    let known = notebook.cell("pid-map").text();
    assert_eq!(
        known.matches("as the others know: true").count(),
        4,
        "{known}"
    );
    says(&notebook, "timing", "4 of 4 done");
    let records = notebook.cell("timing").text();
    let record = "Ok, \"hi\\n\", began after it was submitted: true";
    assert_eq!(records.matches(record).count(), 4, "{records}");
    says(&notebook, "scatter", "Engine IDs: [0.0, 1.0, 2.0, 3.0]");
    says(&notebook, "scatter", "0: 0\n1: 1\n2: 2\n3: 3");
    says(
        &notebook,
        "map-chunks",
        "chunks of 1: in order true\nchunks of 4: in order true",
    );
    says(&notebook, "map-unordered", "20 items, all there: true");
    // ipyparallel's documentation has the same digits.
    let rms = "58.028845747399714 locally, 58.028845747399714 on engines";
    says(&notebook, "rms", rms);
    // Their type is the notebook's own, and was not written anywhere.
    for word in [("alpha", 5), ("be", 3), ("gamma", 5)] {
        let word = format!("Word {{ text: {:?}, letters: {} }}", word.0, word.1);
        says(&notebook, "join", &word);
    }
    says(&notebook, "join", "3 tasks: [");
    says(
        &notebook,
        "split",
        "[0, 1, 4, 9], 4 items\n[16, 25, 36, 49], 4 items\n[64, 81], 2 items\n3 of 3 tasks\nof nothing: []",
    );
    says(
        &notebook,
        "failures",
        "false\none or more exceptions raised in",
    );
    says(&notebook, "failures", "[3:apply]Panic: no luck");
}

fn the_progress_notebook_has_every_square_and_its_bars_finish(prepared: Prepared) {
    let (_place, notebook) = executed(&prepared, "progress.ipynb");
    says(&notebook, "submit", "submitted: true");
    let squares: String = (0..100u64).map(|x| format!("{}, ", x * x)).collect();
    says(&notebook, "iterate", &squares);
    says(&notebook, "bar", "100/100");
    says(&notebook, "bar", "100 of 100");
    let shown = notebook.cell("own-bar");
    let widget = |output: &serde_json::Value| {
        !output["data"]["application/vnd.jupyter.widget-view+json"].is_null()
    };
    assert!(shown.all.iter().any(widget), "{shown:?}");
    says(&notebook, "own-bar", "100 of 100");
    let mut bars = notebook.cell("px-bar").html();
    // The magic's own is there if the cell took long.
    bars.retain(|bar| !bar.contains("%px"));
    let is_full = |bar: &&str| bar.contains("busy:") && bar.contains("20/20");
    assert_eq!(
        bars.iter().map(String::as_str).filter(is_full).count(),
        4,
        "{bars:?}"
    );
}

fn every_error_of_a_task_comes_back(prepared: Prepared) {
    let (_place, notebook) = executed(&prepared, "errors.ipynb");
    says(&notebook, "crash", "[1:apply]RuntimeDied: the call ended");
    says(&notebook, "crash", "SIGABRT");
    says(
        &notebook,
        "crash",
        "[7, 7, 7]\n[750000.0, 750000.0, 750000.0]",
    );
    says(&notebook, "panics", ".... 6 more exceptions ...");
    says(&notebook, "panics", "0\n1\nPanic\n3");
    says(&notebook, "timeout", "Result not ready.");
    says(
        &notebook,
        "timeout",
        "Interrupted: the call was interrupted",
    );
    let unmet = "requires: the function's condition does not hold on this engine";
    for error in ["ImpossibleDependency", "TaskTimeout", unmet] {
        says(&notebook, "dependencies", error);
    }
    says(&notebook, "abort", "TaskAborted");
    says(&notebook, "abort", "\n3");
    let unread = "DeserializeError: argument 1 cannot be read as";
    says(&notebook, "values", unread);
    let other = "'table' is of type Shared<[f64]> on this engine, and Shared<[f32]> is wanted";
    says(&notebook, "values", other);
    says(&notebook, "task", "[3.0, 6.0]");
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
    says(&notebook, "borrows", "[5.0, 13.0]\n[10.0, 26.0]\n[1, 2]");
    says(
        &notebook,
        "killed",
        "EngineError\n[0, 1, 2, 3, 4, 5, 6, 7, 8]",
    );
    says(&notebook, "killed", "Panic: always");
}

fn what_is_pushed_before_all_else_is_a_variable_of_the_first_cell(prepared: Prepared) {
    let place = Place::new();
    let begin = "use phalanx::prelude::*;
let rc = Cluster::builder().n(2).start_and_connect()?;
rc.all().push(\"a\", &5)?;";
    let sources = [begin, "%px a", "rc.all().pull::<i32>(\"a + 1\")?"];
    let notebook = write(&place, "push.ipynb", &sources);
    let notebook = execute(&place, &prepared, &notebook);
    let finished = &notebook.finished;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    says(&notebook, "cell-1", "Out[1:2]: 5");
    says(&notebook, "cell-2", "[6, 6]");
}
