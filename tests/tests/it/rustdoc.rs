//! Every example in the library's documentation runs as a cell.

use phalanx_tests::notebook::{Executed, execute, write};
use phalanx_tests::prepared::{Prepared, checkout};
use phalanx_tests::sandbox::Sandbox;
use std::fs;
use std::path::Path;

phalanx_tests::cases! {
    every_exported_item_has_an_example()
    every_example_runs_as_a_cell(prepared: Prepared)
}

/// The start of an example. rustdoc compiles it but cannot run it without a kernel.
const EXAMPLE: &str = "```no_run";

/// The exported items without an example: hidden ones, those defined by the protocol, and those
/// that show a file of the reader.
const WITHOUT: [&str; 10] = [
    "Spread",
    "WithCaptures",
    "MimeBundle",
    "TaskMetadata",
    "QueueStatus",
    "EngineQueue",
    "ResultStatus",
    "Parameters",
    "png",
    "jpeg",
];

/// An example in a doc comment.
struct Example {
    /// Its file and first line.
    position: String,
    /// The documented item; empty for a module.
    item: String,
    /// The visible lines.
    source: String,
}

/// Returns the library's examples, by file.
fn examples() -> Vec<Example> {
    let mut files = Vec::new();
    collect(&checkout("crates/phalanx/src"), &mut files);
    files.sort();
    files.iter().flat_map(|file| of_file(file)).collect()
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).expect("the library's source") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn of_file(file: &Path) -> Vec<Example> {
    let text = fs::read_to_string(file).expect("a source file");
    let lines: Vec<&str> = text.lines().collect();
    let mut examples = Vec::new();
    let mut open: Option<Example> = None;
    for (index, line) in lines.iter().enumerate() {
        let Some(comment) = comment(line) else {
            continue;
        };
        match &mut open {
            None if comment == EXAMPLE => {
                open = Some(Example {
                    position: format!("{}:{}", file.display(), index + 1),
                    item: item(&lines[index..]),
                    source: String::new(),
                });
            }
            None => {}
            Some(_) if comment == "```" => examples.extend(open.take()),
            // Hidden by rustdoc.
            Some(_) if comment == "#" || comment.starts_with("# ") => {}
            Some(example) => {
                example.source.push_str(comment);
                example.source.push('\n');
            }
        }
    }
    examples
}

/// Returns the text of a line of documentation.
fn comment(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let text = ["///", "//!"]
        .into_iter()
        .find_map(|kind| line.strip_prefix(kind))?;
    Some(text.strip_prefix(' ').unwrap_or(text))
}

/// Returns the name of the item below a doc comment.
fn item(lines: &[&str]) -> String {
    let is_code = |line: &&str| comment(line).is_none();
    let mut below = lines.iter().copied().skip_while(|line| !is_code(line));
    let declared = below.find_map(|line| {
        let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        let mut words = words.filter(|word| !word.is_empty());
        match words.next()? {
            "pub" => words.find(|word| {
                !matches!(
                    *word,
                    "unsafe" | "struct" | "enum" | "trait" | "type" | "fn"
                )
            }),
            "macro_rules" => words.next(),
            // `IntSlider, WidgetKind::control(…)`, in the macro that declares widgets.
            name if line.contains(", WidgetKind") => Some(name),
            _ => None,
        }
    });
    declared.unwrap_or_default().to_owned()
}

/// Returns the names exported by the library's root and by its widgets.
fn exported() -> Vec<String> {
    let mut names = Vec::new();
    for file in [
        "crates/phalanx/src/lib.rs",
        "crates/phalanx/src/widgets/mod.rs",
    ] {
        let text = fs::read_to_string(checkout(file)).expect("a source file");
        for export in text.split("pub use ").skip(1) {
            let export = export.split(';').next().unwrap_or_default();
            if export.starts_with("phalanx_protocol") || !export.contains("::") {
                continue;
            }
            let (_, list) = export.rsplit_once("::").unwrap_or_default();
            let names_of = list.split(|c: char| !c.is_alphanumeric() && c != '_');
            names.extend(names_of.filter(|name| !name.is_empty()).map(str::to_owned));
        }
    }
    names
}

fn every_exported_item_has_an_example() {
    let examples = examples();
    let is_missing = |name: &String| {
        !WITHOUT.contains(&name.as_str()) && !examples.iter().any(|example| example.item == *name)
    };
    let missing: Vec<String> = exported().into_iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "without an example: {missing:?}");
}

fn every_example_runs_as_a_cell(prepared: Prepared) {
    let examples = examples();
    assert!(examples.len() > 50, "{} examples", examples.len());
    let mut sources = vec!["%cluster start -n 2"];
    sources.extend(examples.iter().map(|example| example.source.as_str()));
    let sandbox = Sandbox::new();
    let notebook = write(&sandbox, "examples.ipynb", &sources);
    let executed: Executed = execute(&sandbox, &prepared, &notebook);
    for (number, example) in (1..).zip(&examples) {
        let outputs = executed.cell(&format!("cell-{number}"));
        let position = &example.position;
        assert!(
            outputs.executed && outputs.error().is_none(),
            "the example of {position} fails: {:#?}\n{}",
            outputs.error(),
            example.source
        );
    }
    assert_eq!(executed.finished.code, Some(0), "{:#?}", executed.finished);
}
