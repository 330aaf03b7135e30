//! Tables, tools, help, and the export of a notebook: the first hour of a newcomer.

use phalanx_tests::bounded::run;
use phalanx_tests::harness::part;
use phalanx_tests::notebook::{Executed, execute, write};
use phalanx_tests::prepared::Prepared;
use phalanx_tests::sandbox::Sandbox;
use serde_json::json;
use std::process::Command;
use std::time::Duration;

phalanx_tests::cases! {
    tools_for_cells_behave_as_in_ipython(prepared: Prepared)
    notebook_is_converted_to_an_equivalent_program(prepared: Prepared)
}

/// Time limit for building and running an exported program.
const LIMIT: Duration = Duration::from_secs(600);

const ROWS: &str = "use phalanx::prelude::*;
#[derive(Serialize)]
struct Row { name: String, n: u32 }
let rows: Vec<Row> = (0..100_000).map(|n| Row { name: format!(\"row {n}\"), n }).collect();
phalanx::table(&rows)?;
phalanx::table(&rows[..2])?;";

/// Messages of both crates, of several levels.
const LOGS: &str =
    "log::warn!(\"of log\"); log::info!(\"unseen\"); log::warn!(target: \"disk\", \"full\");
tracing::error!(n = 3, \"of tracing\"); tracing::info!(\"unseen\");";
const DETAILS: &str = "log::debug!(\"more\"); tracing::debug!(of = \"tracing\", \"more\");
log::trace!(\"unseen\"); tracing::trace!(\"unseen\");";

/// An AsyncResult with every kind of output.
const OUTPUTS: &str = "use phalanx::prelude::*;
let rc = Client::connect()?;
let code = r#\"println!(\"out\"); eprintln!(\"err\"); phalanx::html(\"<b>html</b>\")?; 7\"#;
let ar = rc.all().execute(code)?;
ar.wait_for_output(None)?;";

/// The number of cells before those about logs and engines.
const FIRST_PART: usize = 16;

fn tools_for_cells_behave_as_in_ipython(prepared: Prepared) {
    let sandbox = Sandbox::new();
    let (logs, details) = (format!("%%px\n{LOGS}"), format!("%%px\n{DETAILS}"));
    let cells = [
        ROWS,
        "%%writefile made.rs\nfn made(x: u32) -> u32 { x + 1 }\nlet one = made(0);",
        "%run made.rs",
        "one",
        "%who",
        "%timeit -n 10 -r 3 made(one)",
        "%%timeit -n 10 -r 2 let text = \"ab\".repeat(9);\n// how long is it?\ntext.len()",
        "%%bash\necho from bash; echo $((1 + 1))",
        "let done = false;",
        "!done",
        "std::env::set_current_dir(\"/\")?;",
        "!pwd",
        ":env RUST_BACKTRACE=1",
        "#[inline(never)]\nfn spin() -> u64 { (0..600_000_000u64).fold(1, |a, b| std::hint::black_box(a ^ b)) }",
        "%prof spin()",
        "%%prof\nlet spun = spin();",
        ":dep log = \"0.4\"\n:dep tracing = \"0.1\"",
        LOGS,
        "%cluster start -n 2",
        &logs,
        ":log debug",
        DETAILS,
        &details,
        "%timeit -t 0 -n 10 -r 2 vec![1; 9].len()",
        "%prof -t 1 (0..600_000_000u64).fold(1, |a, b| std::hint::black_box(a ^ b))",
        OUTPUTS,
        "ar.display_outputs(\"engine\")?;",
        "ar.display_outputs(\"type\")?;",
        "ar.display_outputs(\"order\")?;",
        "println!(\"{}\", ar.display_outputs(\"kind\").unwrap_err());",
        // A notebook ends at an error.
        "#[inline(never)]\nfn inner() { panic!(\"no luck\") }\n#[inline(never)]\nfn outer() { inner() }\nouter();",
    ];
    let notebook = write(&sandbox, "tools.ipynb", &cells);
    let executed = execute(&sandbox, &prepared, &notebook);
    part("tools", || check_tools(&executed));
    part("logs", || check_logs(&executed));
    part("tools on engines", || check_tools_on_engines(&executed));
    part("groups by name", || check_groups(&executed));
    part("backtrace", || {
        let frames = executed.cell(&format!("cell-{}", cells.len() - 1)).text();
        assert!(frames.contains("0: inner\n   1: outer\n"), "{frames}");
        assert!(!frames.contains("core::"), "{frames}");
    });
}

fn check_tools(executed: &Executed) {
    let text = |cell: usize| executed.cell(&format!("cell-{cell}")).text();
    assert!(
        text(0).contains("[100,000 rows × 2 columns]"),
        "{}",
        text(0)
    );
    assert!(text(0).contains("row 99999  99999"), "{}", text(0));
    let small = &executed.cell("cell-0").all[1]["data"];
    // A notebook's file stores text as a list of lines.
    assert_eq!(
        small["text/csv"],
        json!(["name,n\r\n", "row 0,0\r\n", "row 1,1\r\n"])
    );
    let fields = &small["application/vnd.dataresource+json"]["schema"]["fields"];
    assert_eq!(fields[1]["type"], "integer", "{small}");
    assert!(text(1).contains("Writing made.rs"), "{}", text(1));
    assert_eq!(text(3).trim(), "1");
    assert!(
        text(4).contains("one") && text(4).contains("Vec<"),
        "{}",
        text(4)
    );
    assert!(
        text(5).contains("per loop: median of 3 runs, 10 loops"),
        "{}",
        text(5)
    );
    assert!(text(6).contains("median of 2 runs"), "{}", text(6));
    assert_eq!(text(7), "from bash\n2\n");
    assert_eq!(text(9).trim(), "true");
    assert_eq!(text(11).trim(), "/");
    // The second one profiles a library that was loaded after the first profile.
    for profile in [14, 15] {
        let shown = text(profile);
        assert!(
            shown.contains("samples") && shown.contains("spin"),
            "{shown}"
        );
        let graphs = executed.cell(&format!("cell-{profile}")).html();
        assert!(graphs[0].contains("<title>spin"), "{graphs:?}");
    }
}

/// Messages are shown from `warn` on by default, and from the level of `:log` on afterwards.
fn check_logs(executed: &Executed) {
    let (warn, error, debug) = (
        "\x1b[33mWARN\x1b[0m",
        "\x1b[31mERROR\x1b[0m",
        "\x1b[34mDEBUG\x1b[0m",
    );
    let logs = format!("{warn}: of log\n{warn} disk: full\n{error}: of tracing n=3\n");
    let details = format!("{debug}: more\n{debug}: more of=\"tracing\"\n");
    for (local, engines, expected) in [(1, 3, logs), (5, 6, details)] {
        let stderr = |cell| {
            let cell = format!("cell-{}", FIRST_PART + cell);
            executed.cell(&cell).stderr()
        };
        assert_eq!(stderr(local), expected);
        let stderr = stderr(engines);
        assert_eq!(stderr.matches(&expected).count(), 2, "{stderr:?}");
        assert!(!stderr.contains("unseen"), "{stderr:?}");
    }
}

fn check_tools_on_engines(executed: &Executed) {
    let text = |cell| executed.cell(&format!("cell-{}", FIRST_PART + cell)).text();
    let measured = text(7);
    assert!(
        measured.contains("per loop: median of 2 runs, 10 loops"),
        "{measured}"
    );
    let profile = text(8);
    assert!(profile.contains("samples"), "{profile}");
    let graphs = executed.cell(&format!("cell-{}", FIRST_PART + 8)).html();
    assert!(
        graphs.iter().any(|graph| graph.contains("<title>")),
        "{graphs:?}"
    );
}

/// `display_outputs` takes the names of ipyparallel's groupings.
fn check_groups(executed: &Executed) {
    let cell = |cell| executed.cell(&format!("cell-{}", FIRST_PART + cell));
    let by_engine = cell(10).text();
    let of_one = |engine: u32| {
        format!(
            "[stdout:{engine}] \nout\n\n[stderr:{engine}] \nerr\n\n[output:{engine}]\n<b>html</b>\n"
        )
    };
    assert!(by_engine.contains(&of_one(0)), "{by_engine:?}");
    assert!(by_engine.contains(&of_one(1)), "{by_engine:?}");
    let by_type = cell(11).text();
    let streams = "[stdout:0] \nout\n[stdout:1] \nout\n\n[stderr:0] \nerr\n[stderr:1] \nerr\n";
    assert!(by_type.contains(streams), "{by_type:?}");
    let rows = cell(12).html();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0].matches("<b>html</b>").count(), 2, "{rows:?}");
    for number in 10..=12 {
        let text = cell(number).text();
        assert_eq!(text.matches("]: 7").count(), 2, "{text}");
    }
    assert!(cell(13).text().contains("`kind`"), "{}", cell(13).text());
}

fn notebook_is_converted_to_an_equivalent_program(prepared: Prepared) {
    let sandbox = Sandbox::new();
    let cells = [
        "fn square(x: u32) -> u32 { x * x }\nlet a = square(3);",
        "println!(\"a is {a}\");\na + 1",
        "%%px\nlet here = 1;",
        "(1..=a).map(square).filter(|x| x % 2 == 0).collect::<Vec<_>>()",
        "struct Größe(u32);\nimpl Größe { fn value(&self) -> u32 { square(self.0) } }",
        "Größe(a).value()",
        "fn square(x: u32) -> u32 { x }\nGröße(a).value()",
        "struct Größe(u32, u32);\nimpl Größe { fn value(&self) -> u32 { square(self.1) } }",
        "Größe(a, 1).value() + square(a)",
    ];
    let notebook = write(&sandbox, "my notebook.ipynb", &cells);
    let folder = sandbox.path("program");
    let mut export = sandbox.command(&prepared, prepared.binary("phalanx"));
    export.arg("export").arg(&notebook).arg("-o").arg(&folder);
    let output = run(&mut export, LIMIT).succeeded().stdout;
    assert!(output.contains("Left out, as a comment: %%px"), "{output}");
    let mut program = Command::new("cargo");
    program.args(["run", "--quiet"]).current_dir(&folder);
    let printed = run(&mut program, LIMIT).succeeded().stdout;
    assert_eq!(printed, "a is 9\n10\n[4, 16, 36, 64]\n81\n9\n10\n");
    // No file is overwritten.
    let refused = run(&mut export, LIMIT);
    assert!(refused.stderr.contains("is not empty"), "{refused:?}");
}
