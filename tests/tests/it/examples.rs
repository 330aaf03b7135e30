//! The example notebooks have the effects that their text describes.

use phalanx_tests::notebook::{Executed, example};
use phalanx_tests::prepared::{Prepared, checkout};
use std::fs;
use std::path::PathBuf;

/// The notebooks that no test executes, since their dependencies take longer than a minute to build:
/// axum and reqwest, and polars. `cargo xtask gallery` executes them.
const EXEMPT: [&str; 2] = ["async", "dataframes"];

phalanx_tests::cases! {
    every_notebook_is_executed_by_a_test_or_exempt()
    first_lesson_runs_on_one_core(prepared: Prepared)
    tasks_depend_on_engines_and_on_each_other(prepared: Prepared)
    ndarrays_can_be_sent_in_every_way(prepared: Prepared)
    results_can_be_read_as_they_arrive(prepared: Prepared)
    counts_add_up_over_engines(prepared: Prepared)
    simulations_agree_with_theory(prepared: Prepared)
    tasks_are_profiled_and_counted(prepared: Prepared)
    engines_talk_to_each_other_and_to_servers(prepared: Prepared)
    clusters_grow_and_outlive_the_notebook(prepared: Prepared)
}

/// Executes a notebook and passes it to `check`.
fn check(prepared: &Prepared, name: &str, check: impl FnOnce(&Executed)) {
    check(&example(prepared, name));
}

fn assert_contains(notebook: &Executed, cell: &str, parts: &[&str]) {
    for part in parts {
        notebook.assert_contains(cell, part);
    }
}

fn draws(notebook: &Executed, cell: &str) {
    let outputs = notebook.cell(cell).all;
    let drawn = |output: &serde_json::Value| !output["data"]["image/svg+xml"].is_null();
    assert!(outputs.iter().any(drawn), "{cell}: {outputs:#?}");
}

/// Returns the words of the line with this prefix.
fn line<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(prefix));
    let line = line.unwrap_or_else(|| panic!("no line `{prefix}`: {text}"));
    line.split_whitespace().collect()
}

fn first_lesson_runs_on_one_core(prepared: Prepared) {
    check(&prepared, "firststeps.ipynb", |notebook| {
        assert_contains(notebook, "items", &["687 of our days", "name: \"Mars\""]);
        assert_contains(notebook, "tables", &["Jupiter"]);
        assert_contains(notebook, "use-crates", &["(\"the\", 3)"]);
        assert_contains(notebook, "kept", &["5"]);
        assert_contains(notebook, "who", &["planets"]);
        assert_contains(notebook, "timeit", &["per loop"]);
    });
    check(&prepared, "plots.ipynb", |notebook| {
        for cell in ["lines", "points", "histogram", "boxes"] {
            draws(notebook, cell);
        }
        assert_contains(notebook, "pixels", &["of 288000 points never leave"]);
    });
    check(&prepared, "linalg.ipynb", |notebook| {
        assert_contains(notebook, "solve", &["determinant -1.000"]);
        assert_contains(notebook, "eigen", &["all as known: true"]);
        draws(notebook, "fit-plot");
        assert_contains(
            notebook,
            "ndarray",
            &["sum after the means are taken off: 0"],
        );
    });
    check(&prepared, "widgets.ipynb", |notebook| {
        assert_contains(notebook, "set", &["(37.0, \"98.6 °F\")"]);
        let values = r#"(["Earth", "Mars"], "Verlet", 2.0..=8.0)"#;
        assert_contains(notebook, "values", &[values]);
        assert_contains(notebook, "progress", &["e is about 2.7183"]);
    });
}

fn tasks_depend_on_engines_and_on_each_other(prepared: Prepared) {
    check(&prepared, "dependencies.ipynb", |notebook| {
        assert_contains(notebook, "depend", &["all on engine 0: true"]);
        assert_contains(notebook, "depend", &["engines: [0, 0, 0, 0, 0, 0]"]);
        assert_contains(notebook, "require", &["sums: [14.0, 14.0, 14.0, 14.0]"]);
        assert_contains(notebook, "require", &["engines: [2, 2, 2, 2]"]);
        assert_contains(notebook, "impossible", &["'nowhere' is not defined"]);
        let graph = notebook.cell("graph").text();
        let never = "ImpossibleDependency";
        for (condition, expected) in [
            ("any of both succeeded", &["runs", "runs", "on", "0"][..]),
            ("any of both failed", &["runs", "runs", "on", "1"]),
            ("all of both ended", &["runs", never]),
            ("all of both succeeded", &[never, never]),
            ("all of both failed", &[never, never]),
            ("the good one succeeded", &["runs", "runs", "on", "0"]),
            ("the good one failed", &[never, never]),
            ("the bad one failed", &["runs", "runs", "on", "1"]),
        ] {
            assert_eq!(line(&graph, condition), expected, "{condition}");
        }
        // Any engine: the order in which the tasks end is not determined.
        let either = line(&graph, "any of both ended");
        assert_eq!(either[..3], ["runs", "runs", "on"]);
        assert_contains(notebook, "timeout", &["TaskTimeout"]);
    });
    check(&prepared, "dagdeps.ipynb", |notebook| {
        assert_contains(notebook, "random", &["32 tasks, 96 edges"]);
        assert_contains(notebook, "submit", &["32 of 32 done"]);
        let bars = notebook.cell("submit").html();
        assert_eq!(bars.len(), 1, "one bar over all that was joined: {bars:?}");
        assert!(
            bars[0].contains("aria-valuenow=\"100\"") && bars[0].contains("32/32"),
            "{bars:?}"
        );
        assert_contains(notebook, "check", &["96 of 96 edges kept"]);
        draws(notebook, "plot");
    });
}

fn ndarrays_can_be_sent_in_every_way(prepared: Prepared) {
    check(&prepared, "arrays.ipynb", |notebook| {
        assert_contains(notebook, "functions", &["[[7, 10],\n [15, 22]]"]);
        assert_contains(notebook, "functions", &["[3, 7]\n", "[3.0, 7.0]"]);
        assert_contains(notebook, "px", &["[10, 22] [0.0, 0.25, 0.5]"]);
        assert_contains(notebook, "px", &["[10, 22] [0.75, 1.0]"]);
        assert_contains(notebook, "pull", &["[10, 22]"]);
        assert_contains(notebook, "pull", &["[0.0, 0.25, 0.5, 0.75, 1.0]"]);
        assert_contains(notebook, "shared", &["[999000.0, 999000.0]"]);
    });
}

fn results_can_be_read_as_they_arrive(prepared: Prepared) {
    check(&prepared, "itermapresult.ipynb", |notebook| {
        let engines = notebook.lines("direct");
        let greeting = |engine: usize| format!("engine {engine} is here");
        assert_eq!(engines[..4], (0..4).map(greeting).collect::<Vec<_>>());
        assert_contains(notebook, "ordered", &["100 tasks of 1, in order: true"]);
        assert_contains(notebook, "ordered", &["25 tasks of 4, in order: true"]);
        assert_contains(notebook, "unordered", &["all 100 are there: true"]);
        assert_contains(notebook, "get", &["[10000, 98, 97] … [2, 1, 0]"]);
        assert_contains(notebook, "imap", &["the first square above 500 is 529"]);
    });
    check(&prepared, "customresults.ipynb", |notebook| {
        assert_contains(notebook, "submit", &["100 items in 50 tasks"]);
        assert_contains(notebook, "loop", &["100 items, 100 greetings"]);
        assert_eq!(notebook.lines("check"), ["true", "550 ms slept"]);
    });
}

fn counts_add_up_over_engines(prepared: Prepared) {
    check(&prepared, "wordcount.ipynb", |notebook| {
        let most_frequent = r#"[(19, "the"), (17, "of"), (13, "was"), (12, "it"), (8, "a")]"#;
        assert_contains(notebook, "count", &[most_frequent]);
        let top = ["   19 the", "   17 of", "   13 was", "   12 it"];
        assert_eq!(notebook.lines("parallel")[..4], top);
        assert_contains(notebook, "parallel", &["as without engines: true"]);
        draws(notebook, "plot");
    });
    check(&prepared, "histogram.ipynb", |notebook| {
        assert_contains(notebook, "phistogram", &["39999 of 40000 counted"]);
        assert_contains(notebook, "check", &["40000 numbers, the same counts: true"]);
        assert_contains(notebook, "check", &["68 % within one standard deviation"]);
        draws(notebook, "plot");
    });
    check(&prepared, "pidigits.ipynb", |notebook| {
        let digits = "3.141592653589793238462643383279…5256375678";
        assert_contains(notebook, "digits", &[digits]);
        assert_contains(notebook, "one", &["2500 pairs"]);
        let pairs = "most often 65: 124 times; least often 88: 80 times";
        assert_contains(notebook, "all", &["9999 pairs", pairs, "9999998372"]);
        draws(notebook, "plot");
    });
}

fn simulations_agree_with_theory(prepared: Prepared) {
    check(&prepared, "montecarlo.ipynb", |notebook| {
        assert_contains(notebook, "submit", &["all there: true", "30 prices"]);
        assert_contains(notebook, "check", &["less than 1 away: true"]);
        assert_contains(notebook, "check", &["dearer with volatility: true"]);
        assert_contains(notebook, "check", &["Asian ones cheaper: true"]);
        draws(notebook, "plot");
    });
    check(&prepared, "randommatrices.ipynb", |notebook| {
        assert_contains(notebook, "known", &["[-1.6180, -0.6180, 0.6180, 1.6180]"]);
        assert_contains(notebook, "ensemble", &["4000 distances"]);
        assert_contains(notebook, "wigner", &["less than 0.1 away: true"]);
        draws(notebook, "wigner");
    });
    check(&prepared, "wave.ipynb", |notebook| {
        assert_contains(notebook, "connect", &["engine 0 has rows 0 to 9"]);
        assert_contains(notebook, "connect", &["engine 3 has rows 30 to 39"]);
        assert_contains(notebook, "compare", &["of 1600 points"]);
        assert_contains(notebook, "compare", &["as on one processor: true"]);
        draws(notebook, "plot");
    });
}

fn tasks_are_profiled_and_counted(prepared: Prepared) {
    check(&prepared, "profiler.ipynb", |notebook| {
        assert_contains(notebook, "run", &["64/64", "64 tasks, 2.11 s of naps"]);
        assert_contains(notebook, "figures", &["no nap was too short: true"]);
        let bars = "64 bars on 4 engines, one at a time: true";
        assert_contains(notebook, "gantt", &[bars]);
        draws(notebook, "gantt");
    });
    check(&prepared, "throughput.ipynb", |notebook| {
        let tasks = notebook.cell("tasks").text();
        let rows = tasks
            .lines()
            .filter_map(|row| row.split_whitespace().next());
        assert_eq!(rows.collect::<Vec<_>>(), ["tasks", "4", "16", "64", "256"]);
        assert_contains(notebook, "map", &["404 tasks echoed"]);
        let halves = [
            "2000000 of 4000000 numbers, their sum is 1999999000000",
            "2000000 of 4000000 numbers, their sum is 5999999000000",
        ];
        assert_contains(notebook, "shared-px", &halves);
        let values = "table[1999²] is 3996001, 4000000 halves end with 1999999.5";
        assert_contains(notebook, "shared-task", &[values]);
    });
}

fn engines_talk_to_each_other_and_to_servers(prepared: Prepared) {
    check(&prepared, "interengine.ipynb", |notebook| {
        assert_contains(
            notebook,
            "all-to-all",
            &["4 engines have the addresses of 4"],
        );
        assert_contains(notebook, "connect", &["engine 0 is connected to [1, 2, 3]"]);
        assert_contains(notebook, "send", &["engine 0 got 103", "engine 3 got 102"]);
        assert_eq!(notebook.lines("tree"), ["0", "  1", "    3", "  2"]);
        assert_contains(notebook, "allreduce", &["engine 0 has 499500"]);
        assert_contains(notebook, "total", &["[499500, 499500, 499500, 499500]"]);
    });
    check(&prepared, "merge.ipynb", |notebook| {
        assert_contains(notebook, "remote", &["the same: true"]);
        assert_contains(
            notebook,
            "merge",
            &["[0, 3, 5, 6, 6, 7, 8, 9, 9, 10, 10, 11,"],
        );
        assert_contains(notebook, "left", &["[[], [], []]"]);
    });
    check(&prepared, "spider.ipynb", |notebook| {
        let links = r#"This is page 0: ["/page0", "/page1", "/page2"]"#;
        assert_contains(notebook, "fetch", &[links]);
        assert_contains(
            notebook,
            "spider",
            &["25 pages seen", "the last: This is page 24"],
        );
    });
}

fn clusters_grow_and_outlive_the_notebook(prepared: Prepared) {
    check(&prepared, "clusters.ipynb", |notebook| {
        assert_contains(notebook, "px", &["Out[0:1]: 500000", "Out[1:1]: 500000"]);
        assert_contains(notebook, "scaled", &["250000500000", "250000000000"]);
        let (_, _, lost) = notebook.cell("lost").error().expect("an error");
        assert!(lost.contains("RuntimeDied"), "{lost}");
        assert_contains(notebook, "connect", &["2 engines"]);
        assert_contains(notebook, "work", &["(0, 5050)", "(1, 5050)"]);
        assert_contains(notebook, "end", &["stopped cluster"]);
    });
}

fn every_notebook_is_executed_by_a_test_or_exempt() {
    let files = |folder: &str, extension: &str| -> Vec<PathBuf> {
        let entries = fs::read_dir(checkout(folder)).expect("a folder of the checkout");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths
            .filter(|path| path.extension().is_some_and(|own| own == extension))
            .collect()
    };
    let read = |path: &PathBuf| fs::read_to_string(path).expect("a test's source");
    let tests: String = files("tests/tests/it", "rs").iter().map(read).collect();
    let is_executed = |name: &str| {
        let named = [format!("\"{name}.ipynb\""), format!("/{name}.ipynb\"")];
        named.iter().any(|named| tests.contains(named))
    };
    let names: Vec<String> = files("notebooks", "ipynb")
        .iter()
        .filter_map(|path| path.file_stem()?.to_str().map(str::to_owned))
        .collect();
    for name in &names {
        let is_exempt = EXEMPT.contains(&name.as_str());
        assert_ne!(is_executed(name), is_exempt, "{name}.ipynb");
    }
    for name in EXEMPT {
        assert!(names.iter().any(|known| known == name), "no {name}.ipynb");
    }
}
