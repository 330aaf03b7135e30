//! Notebooks: written for a test, executed like `cargo xtask run` does, and read afterwards.

use crate::bounded::{self, Finished};
use crate::prepared::{Prepared, checkout};
use crate::sandbox::Sandbox;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time limit of a notebook; the first one on a machine builds the notebooks' library.
const LIMIT: Duration = Duration::from_secs(900);

/// An executed notebook.
#[derive(Debug)]
pub struct Executed {
    /// The output of the program that executed it.
    pub finished: Finished,
    cells: Vec<Value>,
}

/// Writes a notebook of these code cells for the kernel.
///
/// # Panics
/// Panics if the file cannot be written.
#[must_use]
pub fn write(sandbox: &Sandbox, name: &str, sources: &[&str]) -> PathBuf {
    let cells: Vec<_> = sources
        .iter()
        .enumerate()
        .map(|(index, source)| {
            json!({
                "cell_type": "code", "id": format!("cell-{index}"), "metadata": {},
                "execution_count": null, "outputs": [], "source": source,
            })
        })
        .collect();
    let notebook = json!({
        "cells": cells,
        "metadata": {"kernelspec": {"name": "phalanx", "display_name": "Rust (Phalanx)"}},
        "nbformat": 4, "nbformat_minor": 5,
    });
    let path = sandbox.path(name);
    fs::write(&path, notebook.to_string()).expect("the notebook can be written");
    path
}

/// Executes a notebook with the installed kernelspec.
///
/// # Panics
/// Panics if the time limit is exceeded or no executed notebook is written.
#[must_use]
pub fn execute(sandbox: &Sandbox, prepared: &Prepared, notebook: &Path) -> Executed {
    let output = sandbox.path("executed.ipynb");
    let mut command = sandbox.command(prepared, prepared.python());
    command
        .arg(checkout("xtask/python/run_notebook.py"))
        .arg(notebook)
        .arg("--output")
        .arg(&output);
    Executed::read(bounded::run(&mut command, LIMIT), &output)
}

/// Executes a notebook of the repository in a sandbox of its own.
///
/// # Panics
/// Panics if it fails, exceeds the time limit, or leaves processes or files behind.
#[must_use]
pub fn example(prepared: &Prepared, name: &str) -> Executed {
    let sandbox = Sandbox::new();
    let executed = execute(&sandbox, prepared, &checkout("notebooks").join(name));
    let finished = &executed.finished;
    assert_eq!(finished.code, Some(0), "{name}: {finished:#?}");
    executed
}

impl Executed {
    /// Reads a notebook that a program has executed and written.
    ///
    /// # Panics
    /// Panics if the file does not exist.
    #[must_use]
    pub fn read(finished: Finished, output: &Path) -> Self {
        let text = fs::read_to_string(output)
            .unwrap_or_else(|error| panic!("no executed notebook: {error}\n{finished:#?}"));
        let notebook: Value = serde_json::from_str(&text).expect("an executed notebook is JSON");
        let cells = notebook["cells"].as_array().cloned().unwrap_or_default();
        Self { finished, cells }
    }

    /// Returns the lines of a cell's text, without empty ones, since printed text is split into
    /// outputs arbitrarily.
    ///
    /// # Panics
    /// Panics if the cell does not exist.
    #[must_use]
    pub fn lines(&self, cell: &str) -> Vec<String> {
        let text = self.cell(cell).text();
        let lines = text.lines().filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect()
    }

    /// Checks that a cell's lines contain a text.
    ///
    /// # Panics
    /// Panics if they do not.
    pub fn assert_contains(&self, cell: &str, part: &str) {
        let text = self.lines(cell).join("\n");
        assert!(
            text.contains(part),
            "{cell} does not contain `{part}`: {text}"
        );
    }

    /// Returns the outputs of the cell with this id.
    ///
    /// # Panics
    /// Panics if the cell does not exist.
    #[must_use]
    pub fn cell(&self, id: &str) -> Outputs<'_> {
        let cell = self.cells.iter().find(|cell| cell["id"] == id);
        let cell = cell.unwrap_or_else(|| panic!("no cell `{id}`"));
        Outputs {
            executed: !cell["execution_count"].is_null(),
            all: cell["outputs"].as_array().map_or(&[], Vec::as_slice),
        }
    }
}

/// The outputs of a cell.
#[derive(Clone, Copy, Debug)]
pub struct Outputs<'a> {
    /// True if the cell was executed.
    pub executed: bool,
    /// The outputs in the notebook format.
    pub all: &'a [Value],
}

impl Outputs<'_> {
    /// Returns the text of all outputs: streams, and `text/plain` of displays and results.
    /// Consecutive streams are joined. Progress bars of magics are omitted, since they depend on
    /// timing.
    #[must_use]
    pub fn text(&self) -> String {
        let mut all = String::new();
        let mut last = None;
        for output in self.all {
            let text = join_text(output.get("text").unwrap_or(&output["data"]["text/plain"]));
            if text.starts_with("%px: ") && text.ends_with(']') {
                continue;
            }
            let stream = output.get("name");
            if last.is_some_and(|last| last != stream || stream.is_none()) {
                all.push('\n');
            }
            all.push_str(&text);
            last = Some(stream);
        }
        without_colours(&all)
    }

    /// Returns the text on stderr, with its colours.
    #[must_use]
    pub fn stderr(&self) -> String {
        let pieces = self.all.iter().filter(|output| output["name"] == "stderr");
        pieces.map(|output| join_text(&output["text"])).collect()
    }

    /// Returns the `text/html` of all outputs, in order.
    #[must_use]
    pub fn html(&self) -> Vec<String> {
        let html = self.all.iter().map(|output| &output["data"]["text/html"]);
        html.filter(|html| !html.is_null()).map(join_text).collect()
    }

    /// Returns `ename`, `evalue` and the traceback of the cell's error.
    #[must_use]
    pub fn error(&self) -> Option<(String, String, String)> {
        let error = self
            .all
            .iter()
            .find(|output| output["output_type"] == "error")?;
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        let traceback = error["traceback"].as_array()?;
        let lines: Vec<_> = traceback.iter().filter_map(Value::as_str).collect();
        Some((
            text("ename"),
            text("evalue"),
            without_colours(&lines.join("\n")),
        ))
    }
}

/// Joins text, which the notebook format stores as a string or as a list of lines.
fn join_text(text: &Value) -> String {
    match text {
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().unwrap_or_default().to_owned(),
    }
}

/// Removes the escape sequences of colours.
fn without_colours(text: &str) -> String {
    let mut rest = text;
    let mut plain = String::new();
    while let Some((before, after)) = rest.split_once("\x1b[") {
        plain += before;
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_removed_from_outputs() {
        let all = [
            json!({"output_type": "stream", "name": "stdout", "text": ["a\n", "b\n"]}),
            json!({"output_type": "stream", "name": "stderr", "text": ["\u{1b}[33mc\u{1b}[0m\n"]}),
            json!({"output_type": "display_data", "data": {"text/html": "<b>x</b>", "text/plain": "\u{1b}[0;34mOut[0:1]: \u{1b}[0m4"}}),
            json!({"output_type": "error", "ename": "Panic", "evalue": "no", "traceback": ["\u{1b}[31mno\u{1b}[0m", "here"]}),
        ];
        let outputs = Outputs {
            executed: true,
            all: &all,
        };
        assert_eq!(outputs.text(), "a\nb\n\nc\n\nOut[0:1]: 4\n");
        assert_eq!(outputs.stderr(), "\u{1b}[33mc\u{1b}[0m\n");
        assert_eq!(outputs.html(), ["<b>x</b>"]);
        let error = ("Panic".to_owned(), "no".to_owned(), "no\nhere".to_owned());
        assert_eq!(outputs.error(), Some(error));
    }
}
