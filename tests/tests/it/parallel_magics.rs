//! The counterpart of ipyparallel's notebook on magics shows the same outputs.

use phalanx_tests::notebook::{Executed, execute};
use phalanx_tests::prepared::{Prepared, checkout};
use phalanx_tests::sandbox::Sandbox;

phalanx_tests::cases! {
    parallel_magics_notebook_runs(prepared: Prepared)
}

fn parallel_magics_notebook_runs(prepared: Prepared) {
    let sandbox = Sandbox::new();
    let notebook = checkout("notebooks/parallel_magics.ipynb");
    let executed = execute(&sandbox, &prepared, &notebook);
    assert_eq!(executed.finished.code, Some(0), "{:#?}", executed.finished);
    single_lines(&executed);
    grouped_outputs(&executed);
    single_engines_and_suffixes(&executed);
    failures(&executed);
    autopx_and_late_engines(&executed);
}

fn single_lines(executed: &Executed) {
    assert_eq!(executed.cell("assign").text(), "");
    for engine in 0..4 {
        let printed = format!("[stdout:{engine}] \n5\n");
        assert!(executed.cell("print").text().contains(&printed));
        let value = format!("Out[{engine}:3]: 5");
        assert!(executed.cell("value").text().contains(&value));
        let error = format!("[stderr:{engine}] \nERROR\n");
        assert!(executed.cell("stderr").text().contains(&error));
        let seconds = format!("Out[{engine}:7]: ");
        assert!(executed.cell("recalled").text().contains(&seconds));
    }
    assert_eq!(executed.cell("config-noblock").text(), "");
    let handle = executed.cell("not-waited").text();
    assert!(handle.contains("<AsyncResult(%px): pending>"), "{handle}");
}

fn grouped_outputs(executed: &Executed) {
    let plots = executed.cell("plots-shown").text();
    assert!(
        plots.starts_with("[stdout:0] \n0\n4\n8\n[stdout:1] \n1\n5\n9\n[stdout:2] \n"),
        "{plots}"
    );
    assert!(plots.contains("[output:3]\nPlot 3"), "{plots}");

    let by_type = executed.cell("by-type").text();
    let check_order = |text: &str, parts: &[&str]| {
        let mut offset = 0;
        for part in parts {
            let index = text[offset..].find(part);
            offset += index.unwrap_or_else(|| panic!("no {part} in order: {text}"));
        }
    };
    let stdout = "\nstdout\nstdout2\n";
    check_order(
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
    let by_engine = executed.cell("by-engine").text();
    check_order(
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
    let rows = executed.cell("by-order").html();
    assert_eq!(rows.len(), 2, "{rows:#?}");
    assert_eq!(rows[0].matches("<b>html</b>").count(), 4, "{rows:#?}");
    assert_eq!(
        rows[1].matches("data:image/svg+xml").count(),
        4,
        "{rows:#?}"
    );
}

fn single_engines_and_suffixes(executed: &Executed) {
    for cell in ["one", "px0"] {
        let text = executed.cell(cell).text();
        assert!(
            text.contains("stdout\n") && text.contains("stderr\n"),
            "{text}"
        );
        assert!(!text.contains('['), "{text}");
    }
    let even = executed.cell("even").text();
    for engine in 0..4 {
        let is_shown = even.contains(&format!("Out[{engine}:"));
        assert_eq!(is_shown, engine % 2 == 0, "{even}");
    }
}

fn failures(executed: &Executed) {
    let fails = executed.cell("fails");
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
    let (_, evalue, _) = executed.cell("all-fail").error().expect("the cell fails");
    assert!(
        evalue.contains("[engines 0–3:execute]Error: invalid digit"),
        "{evalue}"
    );
    let (ename, _, traceback) = executed.cell("does-not-compile").error().expect("it fails");
    assert_eq!(ename, "CompileError");
    assert_eq!(traceback.matches("E0425").count(), 1, "{traceback}");

    let timed = executed.cell("timeit").text();
    assert_eq!(timed.matches("59628256 in ").count(), 4, "{timed}");
    let local = executed.cell("locally").text();
    assert!(local.starts_with("hello from None\n"), "{local}");
    assert!(
        local.contains("\n[stdout:0] \nhello from Some(0)\n"),
        "{local}"
    );
}

fn autopx_and_late_engines(executed: &Executed) {
    assert!(executed.cell("engines-table").text().contains("id, "));
    assert_eq!(executed.cell("autopx-on").text(), "%autopx enabled\n");
    let auto = executed.cell("auto-cell").text();
    for engine in 0..4 {
        let squares = format!("[stdout:{engine}] \n[{}, {}, ", engine, engine + 1);
        assert!(auto.contains(&squares), "{auto}");
    }
    assert_eq!(executed.cell("autopx-off").text(), "%autopx disabled\n");
    assert_eq!(executed.cell("here").text(), "here again: None\n");
    let sync = executed.cell("sync").text();
    assert!(sync.starts_with("Engine 4: replayed "), "{sync}");
    assert!(sync.contains("fn plot, fn generate_output"), "{sync}");
    assert!(
        sync.contains("run the cells that define ") && sync.contains("stride"),
        "{sync}"
    );
    assert!(executed.cell("late").text().contains("late"));
}
