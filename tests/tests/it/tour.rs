//! The tour has the effects that its text describes.

use phalanx_tests::notebook::{Executed, example};
use phalanx_tests::prepared::Prepared;

phalanx_tests::cases! {
    tour_shows_its_results(prepared: Prepared)
}

fn tour_shows_its_results(prepared: Prepared) {
    let tour = example(&prepared, "tour.ipynb");

    let points = tour.cell("kept").text();
    assert!(points.contains("1000000 points"), "{points}");
    assert!(tour.cell("convergence").html()[0].contains("<table"));

    engines_answer_under_their_labels(&tour);
    async_result_is_displayed_again(&tour);

    let bar = tour.cell("slow");
    assert!(bar.html()[0].contains("4/4"), "{bar:#?}");
    assert!(tour.finished.stdout.contains("updates in place"));

    panic_affects_one_engine(&tour);
    engines_may_differ(&tour);
}

/// Joins the text into one line, independent of line breaks.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn engines_answer_under_their_labels(tour: &Executed) {
    let hello = words(&tour.cell("hello").text());
    for engine in 0..4 {
        let label = format!("[stdout:{engine}] engine {engine} is process");
        assert!(hello.contains(&label), "{hello}");
        let result = format!("Out[{engine}:1]: {}", engine * engine);
        assert!(hello.contains(&result), "{hello}");
    }
    let tables = tour.cell("tables").html();
    for engine in 0..4 {
        let name = format!("sum on engine {engine}");
        assert!(
            tables.iter().any(|table| table.contains(&name)),
            "{tables:?}"
        );
    }
}

fn async_result_is_displayed_again(tour: &Executed) {
    let metadata = tour.cell("metadata-of").text();
    for engine in 0..4 {
        assert!(
            metadata.contains(&format!("engine {engine}: Ok")),
            "{metadata}"
        );
    }
    assert!(metadata.contains("one after another"), "{metadata}");

    for id in ["by-type", "by-engine", "by-order"] {
        let shown = tour.cell(id);
        for engine in 0..4 {
            let result = format!("Out[{engine}:");
            assert!(shown.text().contains(&result), "{id}: {shown:#?}");
        }
        // In order, the outputs of all engines are one row.
        let shown_at_once = if id == "by-order" { 2 } else { 8 };
        assert_eq!(shown.html().len(), shown_at_once, "{id}: {shown:#?}");
    }
    let has_table = |id: &str| -> Vec<bool> {
        let html = tour.cell(id).html();
        html.iter().map(|html| html.contains("<table")).collect()
    };
    // Two displays per engine: grouped by engine, or the first ones of all engines first.
    assert_eq!(has_table("by-engine"), [true, false].repeat(4));
    assert_eq!(has_table("by-order"), [true, false]);
    let row = &tour.cell("by-order").html()[0];
    assert_eq!(row.matches("<figure").count(), 4, "{row}");
}

fn panic_affects_one_engine(tour: &Executed) {
    let panic = tour.cell("panic");
    let (_, evalue, traceback) = panic.error().expect("the cell fails");
    let output = format!("{}\n{evalue}\n{traceback}", panic.text());
    assert!(
        output.contains("the matrix on engine 2 is singular"),
        "{output}"
    );
    for engine in [0, 1, 3] {
        let result = format!("Out[{engine}:");
        assert!(panic.text().contains(&result), "{panic:#?}");
        assert!(
            !output.contains(&format!("matrix on engine {engine}")),
            "{output}"
        );
    }
}

fn engines_may_differ(tour: &Executed) {
    let either = words(&tour.cell("either").text());
    assert!(either.contains("[stdout:0] 42 is 8 bytes"), "{either}");
    for engine in 1..4 {
        let label = format!("[stdout:{engine}] \"forty-two\" is 24 bytes");
        assert!(either.contains(&label), "{either}");
    }
}
