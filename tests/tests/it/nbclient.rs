//! A failing cell stops the execution of a notebook, on which nbclient, papermill and Run All rely.

use phalanx_tests::notebook::{execute, write};
use phalanx_tests::prepared::Prepared;
use phalanx_tests::sandbox::Sandbox;

phalanx_tests::cases! {
    nbclient_stops_at_a_cell_that_panics(prepared: Prepared)
}

fn nbclient_stops_at_a_cell_that_panics(prepared: Prepared) {
    let sandbox = Sandbox::new();
    let cells = [
        "let x = 41;",
        "let y = x + 1;\nprintln!(\"y is {y}\");\npanic!(\"stop at {y}\");",
        "println!(\"never reached\");",
    ];
    let notebook = write(&sandbox, "fails.ipynb", &cells);
    let executed = execute(&sandbox, &prepared, &notebook);
    assert_eq!(executed.finished.code, Some(1), "{:#?}", executed.finished);
    let (ename, evalue, traceback) = executed.cell("cell-1").error().expect("an error");
    assert_eq!(ename, "Panic");
    assert!(evalue.contains("stop at 42"), "{evalue}");
    assert!(traceback.contains("stop at 42"), "{traceback}");
    assert!(executed.cell("cell-1").text().contains("y is 42"));
    assert!(!executed.cell("cell-2").executed);
}
