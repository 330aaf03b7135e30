//! `phalanx export`: a notebook as a cargo project with the same output.
//!
//! | file | contents |
//! |---|---|
//! | `program.rs` | the cells as a `main.rs` |
//! | `statement.rs` | the names that statements bind, and what they do with their values |
//! | `item_macros.rs` | the calls of macros that make items |
//! | `definition.rs` | the definitions in items, and the names that code refers to |
//! | `layout.rs` | the places of items, in blocks of `main` if cells redefine others |
//! | `plan.rs` | the effects of redefinitions on earlier items |
//! | `unknown.rs` | the names that a missing file of `%run` may define |
//! | `manifest.rs` | the `:dep` lines as a `Cargo.toml` |

mod definition;
mod item_macros;
mod layout;
mod manifest;
mod plan;
mod program;
mod statement;
mod unknown;

use anyhow::{Context, bail};
use manifest::Manifest;
use program::{CodeCell, Program};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The tag of cells that are expected to fail, as nbclient knows it.
const FAILS: &str = "raises-exception";

/// Arguments of `phalanx export`.
#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// Notebook, or a Rust file that `jupyter run` would run.
    notebook: PathBuf,
    /// Folder of the project; by default the notebook's name without its extension.
    #[arg(long, short)]
    output: Option<PathBuf>,
}

/// Writes the project.
pub(super) fn run(args: &ExportArgs) -> anyhow::Result<()> {
    let ExportArgs { notebook, output } = args;
    let text = fs::read_to_string(notebook)
        .with_context(|| format!("{} cannot be read", notebook.display()))?;
    let cells = match notebook.extension() {
        Some(ending) if ending == "ipynb" => {
            cells(&text).with_context(|| format!("{} is not a notebook", notebook.display()))?
        }
        _ => vec![CodeCell {
            source: text,
            fails: false,
        }],
    };
    let folder = output
        .clone()
        .unwrap_or_else(|| notebook.with_extension(""));
    if folder
        .read_dir()
        .is_ok_and(|mut files| files.next().is_some())
    {
        bail!(
            "{} is not empty: name another folder with `-o`, or remove it",
            folder.display()
        );
    }
    let beside = notebook.parent().unwrap_or(Path::new(""));
    let program = Program::of(&cells, beside);
    let manifest = Manifest::of(&folder, beside, &program)?;
    fs::create_dir_all(folder.join("src"))
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    let main = folder.join("src/main.rs");
    write(&folder.join("Cargo.toml"), &manifest.text())?;
    write(&main, &program.text())?;
    write(&folder.join(".gitignore"), "/target\n")?;
    if manifest.needs_library() {
        library(&folder)?;
    }
    format(&main);
    println!("Wrote {}.", folder.display());
    for line in &program.left_out {
        println!("Left out, as a comment: {line}");
    }
    for note in program.notes() {
        eprintln!("Differs from the notebook: {note}.");
    }
    println!(
        "`cargo run --manifest-path {}` builds and runs it.",
        folder.join("Cargo.toml").display()
    );
    Ok(())
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
}

/// Writes the notebooks' library, which is embedded in this program.
fn library(folder: &Path) -> anyhow::Result<()> {
    #[cfg(feature = "evcxr")]
    phalanx_evaluator::export_library(folder)
        .with_context(|| format!("the library cannot be written to {}", folder.display()))?;
    #[cfg(not(feature = "evcxr"))]
    let _ = folder;
    Ok(())
}

/// Formats a file with rustfmt, if installed.
fn format(file: &Path) {
    let formatted = Command::new("rustfmt")
        .args(["--edition", "2024"])
        .arg(file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if let Err(error) = formatted {
        tracing::debug!(%error, "no rustfmt");
    }
}

/// Returns a notebook's code cells.
fn cells(text: &str) -> anyhow::Result<Vec<CodeCell>> {
    let notebook: Value = serde_json::from_str(text)?;
    let cells = notebook.get("cells").and_then(Value::as_array);
    let cells = cells.context("there is no list of cells")?;
    let code = cells.iter().filter(|cell| cell["cell_type"] == "code");
    let source = |cell: &Value| match &cell["source"] {
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        source => source.as_str().unwrap_or_default().to_owned(),
    };
    let fails = |cell: &Value| {
        let tags = cell["metadata"]["tags"].as_array();
        tags.is_some_and(|tags| tags.iter().any(|tag| tag == FAILS))
    };
    let code = code.map(|cell| CodeCell {
        source: source(cell),
        fails: fails(cell),
    });
    Ok(code.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_cells_are_read_as_string_or_list_of_lines() {
        let notebook = r##"{"cells": [
            {"cell_type": "code", "source": ["a\n", "b"]},
            {"cell_type": "markdown", "source": "# no"},
            {"cell_type": "code", "metadata": {"tags": ["x", "raises-exception"]}, "source": "c"}
        ]}"##;
        let found = cells(notebook).unwrap();
        let found: Vec<_> = found.iter().map(|it| (&*it.source, it.fails)).collect();
        assert_eq!(found, [("a\nb", false), ("c", true)]);
        assert!(cells("{}").is_err());
    }
}
