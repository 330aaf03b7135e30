//! The example notebooks have the effects that their text describes.

use phalanx_tests::notebook::{Executed, example};
use phalanx_tests::prepared::Prepared;

phalanx_tests::cases! {
    the_course_begins_on_one_core(prepared: Prepared)
    tasks_depend_on_engines_and_on_each_other(prepared: Prepared)
    ndarrays_travel_by_every_road(prepared: Prepared)
    results_are_had_as_they_arrive(prepared: Prepared)
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

fn says(notebook: &Executed, cell: &str, what: &[&str]) {
    for what in what {
        notebook.says(cell, what);
    }
}

fn draws(notebook: &Executed, cell: &str) {
    let outputs = notebook.cell(cell).all;
    let drawn = |output: &serde_json::Value| !output["data"]["image/svg+xml"].is_null();
    assert!(outputs.iter().any(drawn), "{cell}: {outputs:#?}");
}

/// Returns the words of the line with this prefix.
fn line<'a>(text: &'a str, begin: &str) -> Vec<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(begin));
    let line = line.unwrap_or_else(|| panic!("no line `{begin}`: {text}"));
    line.split_whitespace().collect()
}

fn the_course_begins_on_one_core(prepared: Prepared) {
    check(&prepared, "firststeps.ipynb", |notebook| {
        says(notebook, "items", &["687 of our days", "name: \"Mars\""]);
        says(notebook, "tables", &["Jupiter"]);
        says(notebook, "use-crates", &["(\"the\", 3)"]);
        says(notebook, "kept", &["5"]);
        says(notebook, "who", &["planets"]);
        says(notebook, "timeit", &["per loop"]);
    });
    check(&prepared, "plots.ipynb", |notebook| {
        for cell in ["lines", "points", "histogram", "boxes"] {
            draws(notebook, cell);
        }
        says(notebook, "pixels", &["of 288000 points never leave"]);
    });
    check(&prepared, "linalg.ipynb", |notebook| {
        says(notebook, "solve", &["determinant -1.000"]);
        says(notebook, "eigen", &["all as known: true"]);
        draws(notebook, "fit-plot");
        says(
            notebook,
            "ndarray",
            &["sum after the means are taken off: 0"],
        );
    });
    check(&prepared, "widgets.ipynb", |notebook| {
        says(notebook, "set", &["(37.0, \"98.6 °F\")"]);
        let values = r#"(["Earth", "Mars"], "Verlet", 2.0..=8.0)"#;
        says(notebook, "values", &[values]);
        says(notebook, "progress", &["e is about 2.7183"]);
    });
}

fn tasks_depend_on_engines_and_on_each_other(prepared: Prepared) {
    check(&prepared, "dependencies.ipynb", |notebook| {
        says(notebook, "depend", &["all on engine 0: true"]);
        says(notebook, "depend", &["engines: [0, 0, 0, 0, 0, 0]"]);
        says(notebook, "require", &["sums: [14.0, 14.0, 14.0, 14.0]"]);
        says(notebook, "require", &["engines: [2, 2, 2, 2]"]);
        says(notebook, "impossible", &["'nowhere' is not defined"]);
        let graph = notebook.cell("graph").text();
        let never = "ImpossibleDependency";
        for (what, ends) in [
            ("any of both succeeded", &["runs", "runs", "on", "0"][..]),
            ("any of both failed", &["runs", "runs", "on", "1"]),
            ("all of both ended", &["runs", never]),
            ("all of both succeeded", &[never, never]),
            ("all of both failed", &[never, never]),
            ("the good one succeeded", &["runs", "runs", "on", "0"]),
            ("the good one failed", &[never, never]),
            ("the bad one failed", &["runs", "runs", "on", "1"]),
        ] {
            assert_eq!(line(&graph, what), ends, "{what}");
        }
        // Any engine: the order in which the tasks end is not determined.
        let either = line(&graph, "any of both ended");
        assert_eq!(either[..3], ["runs", "runs", "on"]);
        says(notebook, "timeout", &["TaskTimeout"]);
    });
    check(&prepared, "dagdeps.ipynb", |notebook| {
        says(notebook, "random", &["32 tasks, 96 edges"]);
        says(notebook, "submit", &["32 of 32 done"]);
        let bars = notebook.cell("submit").html();
        assert_eq!(bars.len(), 1, "one bar over all that was joined: {bars:?}");
        assert!(
            bars[0].contains("aria-valuenow=\"100\"") && bars[0].contains("32/32"),
            "{bars:?}"
        );
        says(notebook, "check", &["96 of 96 edges kept"]);
        draws(notebook, "plot");
    });
}

fn ndarrays_travel_by_every_road(prepared: Prepared) {
    check(&prepared, "arrays.ipynb", |notebook| {
        says(notebook, "functions", &["[[7, 10],\n [15, 22]]"]);
        says(notebook, "functions", &["[3, 7]\n", "[3.0, 7.0]"]);
        says(notebook, "px", &["[10, 22] [0.0, 0.25, 0.5]"]);
        says(notebook, "px", &["[10, 22] [0.75, 1.0]"]);
        says(notebook, "pull", &["[10, 22]"]);
        says(notebook, "pull", &["[0.0, 0.25, 0.5, 0.75, 1.0]"]);
        says(notebook, "shared", &["[999000.0, 999000.0]"]);
    });
}

fn results_are_had_as_they_arrive(prepared: Prepared) {
    check(&prepared, "itermapresult.ipynb", |notebook| {
        let engines = notebook.lines("direct");
        let here = |engine: usize| format!("engine {engine} is here");
        assert_eq!(engines[..4], (0..4).map(here).collect::<Vec<_>>());
        says(notebook, "ordered", &["100 tasks of 1, in order: true"]);
        says(notebook, "ordered", &["25 tasks of 4, in order: true"]);
        says(notebook, "unordered", &["all 100 are there: true"]);
        says(notebook, "get", &["[10000, 98, 97] … [2, 1, 0]"]);
        says(notebook, "imap", &["the first square above 500 is 529"]);
    });
    check(&prepared, "customresults.ipynb", |notebook| {
        says(notebook, "submit", &["100 items in 50 tasks"]);
        says(notebook, "loop", &["100 items, 100 greetings"]);
        assert_eq!(notebook.lines("check"), ["true", "550 ms slept"]);
    });
}

fn counts_add_up_over_engines(prepared: Prepared) {
    check(&prepared, "wordcount.ipynb", |notebook| {
        let begin = r#"[(19, "the"), (17, "of"), (13, "was"), (12, "it"), (8, "a")]"#;
        says(notebook, "count", &[begin]);
        let top = ["   19 the", "   17 of", "   13 was", "   12 it"];
        assert_eq!(notebook.lines("parallel")[..4], top);
        says(notebook, "parallel", &["as without engines: true"]);
        draws(notebook, "plot");
    });
    check(&prepared, "histogram.ipynb", |notebook| {
        says(notebook, "phistogram", &["39999 of 40000 counted"]);
        says(notebook, "check", &["40000 numbers, the same counts: true"]);
        says(notebook, "check", &["68 % within one standard deviation"]);
        draws(notebook, "plot");
    });
    check(&prepared, "pidigits.ipynb", |notebook| {
        let digits = "3.141592653589793238462643383279…5256375678";
        says(notebook, "digits", &[digits]);
        says(notebook, "one", &["2500 pairs"]);
        let pairs = "most often 65: 124 times; least often 88: 80 times";
        says(notebook, "all", &["9999 pairs", pairs, "9999998372"]);
        draws(notebook, "plot");
    });
}

fn simulations_agree_with_theory(prepared: Prepared) {
    check(&prepared, "montecarlo.ipynb", |notebook| {
        says(notebook, "submit", &["all there: true", "30 prices"]);
        says(notebook, "check", &["less than 1 away: true"]);
        says(notebook, "check", &["dearer with volatility: true"]);
        says(notebook, "check", &["Asian ones cheaper: true"]);
        draws(notebook, "plot");
    });
    check(&prepared, "randommatrices.ipynb", |notebook| {
        says(notebook, "known", &["[-1.6180, -0.6180, 0.6180, 1.6180]"]);
        says(notebook, "ensemble", &["4000 distances"]);
        says(notebook, "wigner", &["less than 0.1 away: true"]);
        draws(notebook, "wigner");
    });
    check(&prepared, "wave.ipynb", |notebook| {
        says(notebook, "connect", &["engine 0 has rows 0 to 9"]);
        says(notebook, "connect", &["engine 3 has rows 30 to 39"]);
        says(notebook, "compare", &["of 1600 points"]);
        says(notebook, "compare", &["as on one processor: true"]);
        draws(notebook, "plot");
    });
}

fn tasks_are_profiled_and_counted(prepared: Prepared) {
    check(&prepared, "profiler.ipynb", |notebook| {
        says(notebook, "run", &["64/64", "64 tasks, 2.11 s of naps"]);
        says(notebook, "figures", &["no nap was too short: true"]);
        let bars = "64 bars on 4 engines, one at a time: true";
        says(notebook, "gantt", &[bars]);
        draws(notebook, "gantt");
    });
    check(&prepared, "throughput.ipynb", |notebook| {
        let tasks = notebook.cell("tasks").text();
        let rows = tasks
            .lines()
            .filter_map(|row| row.split_whitespace().next());
        assert_eq!(rows.collect::<Vec<_>>(), ["tasks", "4", "16", "64", "256"]);
        says(notebook, "map", &["404 tasks echoed"]);
        let halves = [
            "2000000 of 4000000 numbers, their sum is 1999999000000",
            "2000000 of 4000000 numbers, their sum is 5999999000000",
        ];
        says(notebook, "shared-px", &halves);
        let found = "table[1999²] is 3996001, 4000000 halves end with 1999999.5";
        says(notebook, "shared-task", &[found]);
    });
}

fn engines_talk_to_each_other_and_to_servers(prepared: Prepared) {
    check(&prepared, "interengine.ipynb", |notebook| {
        says(
            notebook,
            "all-to-all",
            &["4 engines have the addresses of 4"],
        );
        says(notebook, "connect", &["engine 0 is connected to [1, 2, 3]"]);
        says(notebook, "send", &["engine 0 got 103", "engine 3 got 102"]);
        assert_eq!(notebook.lines("tree"), ["0", "  1", "    3", "  2"]);
        says(notebook, "allreduce", &["engine 0 has 499500"]);
        says(notebook, "total", &["[499500, 499500, 499500, 499500]"]);
    });
    check(&prepared, "merge.ipynb", |notebook| {
        says(notebook, "remote", &["the same: true"]);
        says(
            notebook,
            "merge",
            &["[0, 3, 5, 6, 6, 7, 8, 9, 9, 10, 10, 11,"],
        );
        says(notebook, "left", &["[[], [], []]"]);
    });
    check(&prepared, "spider.ipynb", |notebook| {
        let links = r#"This is page 0: ["/page0", "/page1", "/page2"]"#;
        says(notebook, "fetch", &[links]);
        says(
            notebook,
            "spider",
            &["25 pages seen", "the last: This is page 24"],
        );
    });
}

fn clusters_grow_and_outlive_the_notebook(prepared: Prepared) {
    check(&prepared, "clusters.ipynb", |notebook| {
        says(notebook, "px", &["Out[0:1]: 500000", "Out[1:1]: 500000"]);
        says(notebook, "scaled", &["250000500000", "250000000000"]);
        let (_, _, lost) = notebook.cell("lost").error().expect("an error");
        assert!(lost.contains("RuntimeDied"), "{lost}");
        says(notebook, "connect", &["2 engines"]);
        says(notebook, "work", &["(0, 5050)", "(1, 5050)"]);
        says(notebook, "end", &["stopped cluster"]);
    });
}
