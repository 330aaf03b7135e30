//! Checks that notebooks are committed without outputs, counts and traces of a machine.

use super::tree::File;
use super::{Finding, Tree};
use serde_json::Value;
use std::collections::BTreeSet;

/// The metadata allowed in a notebook; frontends add more, such as folders and window states.
const METADATA: [&str; 2] = ["kernelspec", "language_info"];

/// Reports notebooks with additions by a frontend.
pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.files
        .iter()
        .filter(|file| file.path.ends_with(".ipynb"))
        .flat_map(|file| {
            let messages = match serde_json::from_str(&file.text) {
                Ok(notebook) => faults(&notebook),
                Err(error) => vec![format!("not a notebook: {error}")],
            };
            messages
                .into_iter()
                .map(|message| file_finding(file, message))
        })
        .collect()
}

fn file_finding(file: &File, message: String) -> Finding {
    file.finding(0, message)
}

fn faults(notebook: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let kernel = &notebook["metadata"]["kernelspec"]["name"];
    if kernel != "phalanx" {
        faults.push(format!("its kernelspec is {kernel}, not \"phalanx\""));
    }
    let extra = notebook["metadata"].as_object().into_iter().flatten();
    for (key, _) in extra.filter(|(key, _)| !METADATA.contains(&key.as_str())) {
        faults.push(format!("metadata `{key}` is a frontend's own: remove it"));
    }
    let mut ids = BTreeSet::new();
    for (index, cell) in notebook["cells"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let id = cell["id"].as_str().unwrap_or_default();
        if id.is_empty() || !ids.insert(id.to_owned()) {
            faults.push(format!("cell {index} has no id of its own"));
        }
        let outputs = cell["outputs"]
            .as_array()
            .is_some_and(|outputs| !outputs.is_empty());
        if outputs || !cell["execution_count"].is_null() {
            faults.push(format!(
                "cell {index} has outputs: clear them before committing"
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(notebook: &str) -> Vec<String> {
        let findings = check(&Tree::of(&[("notebooks/a.ipynb", notebook)]));
        findings
            .into_iter()
            .map(|finding| finding.message)
            .collect()
    }

    #[test]
    fn clean_notebook_passes() {
        let clean = r#"{"metadata": {"kernelspec": {"name": "phalanx"}}, "cells": [
            {"cell_type": "code", "id": "a", "source": "1", "outputs": [], "execution_count": null},
            {"cell_type": "markdown", "id": "b", "source": "text"}]}"#;
        assert_eq!(messages(clean), [""; 0]);
    }

    #[test]
    fn additions_by_a_frontend_are_reported() {
        let saved = r#"{"metadata": {"kernelspec": {"name": "rust"}, "path": "x"}, "cells": [
            {"id": "a", "outputs": [{}]}, {"id": "a"}, {"id": "c", "execution_count": 3}]}"#;
        let found = messages(saved);
        for part in [
            "\"rust\"",
            "`path`",
            "cell 0 has outputs",
            "cell 1 has no id",
            "cell 2 has outputs",
        ] {
            assert!(
                found.iter().any(|message| message.contains(part)),
                "{part}: {found:?}"
            );
        }
        assert!(messages("{")[0].contains("not a notebook"));
    }
}
