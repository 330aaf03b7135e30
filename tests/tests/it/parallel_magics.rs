//! The counterpart of ipyparallel's notebook on magics shows the same outputs.

use phalanx_tests::notebook::{Executed, execute};
use phalanx_tests::prepared::{Prepared, checkout};
use phalanx_tests::sandbox::Sandbox;

phalanx_tests::cases! {
    every_section_of_the_parallel_magics_works(prepared: Prepared)
}

fn every_section_of_the_parallel_magics_works(prepared: Prepared) {
    let place = Sandbox::new();
    let notebook = checkout("notebooks/parallel_magics.ipynb");
    let ran = execute(&place, &prepared, &notebook);
    assert_eq!(ran.finished.code, Some(0), "{:#?}", ran.finished);
    single_lines(&ran);
    grouped_outputs(&ran);
    single_engines_and_suffixes(&ran);
    failures(&ran);
    autopx_and_late_engines(&ran);
}

fn single_lines(ran: &Executed) {
    assert_eq!(ran.cell("assign").text(), "");
    for engine in 0..4 {
        let printed = format!("[stdout:{engine}] \n5\n");
        assert!(ran.cell("print").text().contains(&printed));
        let value = format!("Out[{engine}:3]: 5");
        assert!(ran.cell("value").text().contains(&value));
        let error = format!("[stderr:{engine}] \nERROR\n");
        assert!(ran.cell("stderr").text().contains(&error));
        let seconds = format!("Out[{engine}:7]: ");
        assert!(ran.cell("recalled").text().contains(&seconds));
    }
    assert_eq!(ran.cell("config-noblock").text(), "");
    let handle = ran.cell("not-waited").text();
    assert!(handle.contains("<AsyncResult(%px): pending>"), "{handle}");
}

fn grouped_outputs(ran: &Executed) {
    let plots = ran.cell("plots-shown").text();
    assert!(
        plots.starts_with("[stdout:0] \n0\n4\n8\n[stdout:1] \n1\n5\n9\n[stdout:2] \n"),
        "{plots}"
    );
    assert!(plots.contains("[output:3]\nPlot 3"), "{plots}");

    let by_type = ran.cell("by-type").text();
    let order = |text: &str, parts: &[&str]| {
        let mut at = 0;
        for part in parts {
            let found = text[at..].find(part);
            at += found.unwrap_or_else(|| panic!("no {part} in its place: {text}"));
        }
    };
    let stdout = "\nstdout\nstdout2\n";
    order(
        &by_type,
        &[
            "[stdout:0]",
            stdout,
            "[stdout:3]",
            "[stderr:0]",
            "[stderr:3]",
            "[output:0]",
            "Plot 0",
            "[output:3]",
            "Plot 3",
        ],
    );
    let by_engine = ran.cell("by-engine").text();
    order(
        &by_engine,
        &[
            "[stdout:0]",
            stdout,
            "[stderr:0]",
            "[output:0]",
            "Plot 0",
            "[stdout:1]",
            "[stderr:3]",
            "Plot 3",
        ],
    );
    let rows = ran.cell("by-order").html();
    assert_eq!(rows.len(), 2, "{rows:#?}");
    assert_eq!(rows[0].matches("<b>html</b>").count(), 4, "{rows:#?}");
    assert_eq!(
        rows[1].matches("data:image/svg+xml").count(),
        4,
        "{rows:#?}"
    );
}

fn single_engines_and_suffixes(ran: &Executed) {
    for cell in ["one", "px0"] {
        let text = ran.cell(cell).text();
        assert!(
            text.contains("stdout\n") && text.contains("stderr\n"),
            "{text}"
        );
        assert!(!text.contains('['), "{text}");
    }
    let even = ran.cell("even").text();
    for engine in 0..4 {
        let told = even.contains(&format!("Out[{engine}:"));
        assert_eq!(told, engine % 2 == 0, "{even}");
    }
}

fn failures(ran: &Executed) {
    let fails = ran.cell("fails");
    let (ename, _, traceback) = fails.error().expect("the cell fails");
    assert_eq!(ename, "CompositeError");
    // A failure while others run is shown at once, and only once.
    let traceback = fails.text() + &traceback;
    for engine in 0..4 {
        let failed = traceback.contains(&format!("engine {engine} is odd"));
        assert_eq!(failed, engine % 2 == 1, "{traceback}");
        let shown = fails.text().contains(&format!("Out[{engine}:"));
        assert_eq!(shown, engine % 2 == 0, "{fails:#?}");
    }
    assert!(traceback.contains("line 2: assert!"), "{traceback}");
    let (_, evalue, _) = ran.cell("all-fail").error().expect("the cell fails");
    assert!(
        evalue.contains("[engines 0–3:execute]Error: invalid digit"),
        "{evalue}"
    );
    let (ename, _, traceback) = ran.cell("does-not-compile").error().expect("it fails");
    assert_eq!(ename, "CompileError");
    assert_eq!(traceback.matches("E0425").count(), 1, "{traceback}");

    let timed = ran.cell("timeit").text();
    assert_eq!(timed.matches("59628256 in ").count(), 4, "{timed}");
    let local = ran.cell("locally").text();
    assert!(local.starts_with("hello from None\n"), "{local}");
    assert!(
        local.contains("\n[stdout:0] \nhello from Some(0)\n"),
        "{local}"
    );
}

fn autopx_and_late_engines(ran: &Executed) {
    assert!(ran.cell("engines-table").text().contains("id, "));
    assert_eq!(ran.cell("autopx-on").text(), "%autopx enabled\n");
    let auto = ran.cell("auto-cell").text();
    for engine in 0..4 {
        let squares = format!("[stdout:{engine}] \n[{}, {}, ", engine, engine + 1);
        assert!(auto.contains(&squares), "{auto}");
    }
    assert_eq!(ran.cell("autopx-off").text(), "%autopx disabled\n");
    assert_eq!(ran.cell("here").text(), "here again: None\n");
    let sync = ran.cell("sync").text();
    assert!(sync.starts_with("Engine 4: replayed "), "{sync}");
    assert!(sync.contains("fn plot, fn generate_output"), "{sync}");
    assert!(
        sync.contains("run the cells that define ") && sync.contains("stride"),
        "{sync}"
    );
    assert!(ran.cell("late").text().contains("late"));
}
