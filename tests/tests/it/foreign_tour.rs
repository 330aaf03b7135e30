//! evcxr_jupyter's tour, unmodified, has the same results here.

use phalanx_tests::bounded;
use phalanx_tests::harness::skip;
use phalanx_tests::notebook::Executed;
use phalanx_tests::prepared::{Prepared, checkout};
use phalanx_tests::sandbox::Sandbox;
use std::time::Duration;

phalanx_tests::cases! {
    evcxrs_tour_runs_unchanged(prepared: Prepared)
}

/// Time limit of the tour, which builds image and tokio.
const LIMIT: Duration = Duration::from_secs(1500);

/// The exit code if the port required by the tour is in use.
const PORT_TAKEN: i32 = 77;

fn evcxrs_tour_runs_unchanged(prepared: Prepared) {
    let sandbox = Sandbox::new();
    let output = sandbox.path("executed.ipynb");
    let mut command = sandbox.command(&prepared, prepared.python());
    command
        .arg(checkout("tests/python/foreign_tour.py"))
        .arg(checkout("tests/samples/evcxr_jupyter_tour.json"))
        .arg(&output);
    let finished = bounded::run(&mut command, LIMIT);
    if finished.code == Some(PORT_TAKEN) {
        skip("the tour's port 6543 is taken");
    }
    let tour = Executed::read(finished.succeeded(), &output);
    let received = &tour.finished.stdout;
    assert!(received.contains("Hello, world!"), "{received}");

    let fine = [
        (1, "Hello world"),
        (1, "Hello error"),
        (1, "\"Hello world\""),
        (4, "\"Hello world!\""),
        (6, "[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]"),
        (8, "[1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144]"),
        (12, "\"AQIDBA==\""),
        (21, "TcpStream"),
        (22, ":dep"),
    ];
    for (cell, text) in fine {
        let outputs = tour.cell(&format!("cell-{cell}"));
        assert!(outputs.error().is_none(), "{outputs:#?}");
        assert!(outputs.text().contains(text), "{text}: {outputs:#?}");
    }
    let table = tour.cell("cell-14").html().concat();
    assert!(table.contains("<td>9</td>"), "{table}");
    let image = tour.cell("cell-15").all.iter();
    let mut image = image.filter(|output| !output["data"]["image/png"].is_null());
    assert!(image.next().is_some(), "{:#?}", tour.cell("cell-15"));
    for (cell, ename, message) in [
        (16, "CompileError", "mismatched types"),
        (18, "Error", "invalid port"),
    ] {
        let (is, evalue, _) = tour
            .cell(&format!("cell-{cell}"))
            .error()
            .expect("it fails");
        assert_eq!(is, ename);
        assert!(evalue.contains(message), "{evalue}");
    }
    // No other cell fails.
    let failed = (1..=22).filter(|cell| tour.cell(&format!("cell-{cell}")).error().is_some());
    assert_eq!(failed.collect::<Vec<_>>(), [16, 18]);
}
