//! The licences of the programs' dependencies, which require their inclusion.

use super::programs::TARGET;
use crate::{exec, workspace::Workspace};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The packages of the programs.
const PACKAGES: [&str; 2] = ["phalanx-kernel", "phalanx-engine"];

/// The prefixes of the names of licence files, in lower case.
const FILES: [&str; 5] = ["licen", "copying", "copyright", "notice", "unlicense"];

const INTRODUCTION: &str = "\
The programs contain the Rust standard library (MIT OR Apache-2.0) and these crates. After each licence
text stand the crates that come with it.
";

/// Returns the texts of all licences, each with its crates.
///
/// # Errors
/// Returns an error if cargo does not list the dependencies or a file cannot be read.
pub fn licences(workspace: &Workspace) -> Result<String> {
    let output = exec::cargo(workspace)
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", TARGET])
        .output()
        .context("cannot start cargo metadata")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo metadata failed: {stderr}");
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let dependencies = reachable(&metadata);
    let (mut texts, mut others) = (BTreeMap::<_, BTreeSet<_>>::new(), BTreeSet::new());
    for package in array(&metadata["packages"]) {
        // Packages of the workspace have no source.
        if package["source"].is_null() || !dependencies.contains(text(&package["id"])) {
            continue;
        }
        let name = format!("{} {}", text(&package["name"]), text(&package["version"]));
        let files = licence_files(Path::new(text(&package["manifest_path"])))?;
        if files.is_empty() {
            others.insert(format!("{name}: {}", text(&package["license"])));
        }
        for licence in files {
            texts.entry(licence).or_default().insert(name.clone());
        }
    }
    let mut all = INTRODUCTION.to_owned();
    for (licence, crates) in texts {
        let crates: Vec<_> = crates.into_iter().collect();
        all += &format!(
            "\n{}\n\n{licence}\n\n{}\n",
            "-".repeat(78),
            crates.join(", ")
        );
    }
    if !others.is_empty() {
        let others: Vec<_> = others.into_iter().collect();
        let rule = "-".repeat(78);
        all += &format!(
            "\n{rule}\n\nWithout a file of their own:\n{}\n",
            others.join("\n")
        );
    }
    Ok(all)
}

/// Returns the ids of the programs' dependencies, without those of tests and build scripts.
fn reachable(metadata: &Value) -> BTreeSet<&str> {
    let nodes: BTreeMap<&str, &Value> = array(&metadata["resolve"]["nodes"])
        .map(|node| (text(&node["id"]), node))
        .collect();
    let programs = array(&metadata["packages"])
        .filter(|package| PACKAGES.contains(&text(&package["name"])))
        .map(|package| text(&package["id"]));
    let (mut reached, mut pending) = (BTreeSet::new(), programs.collect::<Vec<_>>());
    while let Some(id) = pending.pop() {
        if !reached.insert(id) {
            continue;
        }
        let dependencies = nodes.get(id).map(|node| array(&node["deps"]));
        for dependency in dependencies.into_iter().flatten() {
            // A normal dependency has no kind.
            if array(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null()) {
                pending.push(text(&dependency["pkg"]));
            }
        }
    }
    reached
}

/// Returns the texts of the licence files beside a manifest.
fn licence_files(manifest: &Path) -> Result<Vec<String>> {
    let folder = manifest.parent().unwrap_or(manifest);
    let cannot = || format!("cannot read {}", folder.display());
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        if path.is_file() && FILES.iter().any(|start| name.starts_with(start)) {
            let bytes = fs::read(&path).with_context(cannot)?;
            texts.push(String::from_utf8_lossy(&bytes).trim().replace("\r\n", "\n"));
        }
    }
    Ok(texts)
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_name_the_crates_of_the_programs() {
        let licences = licences(&Workspace::find().unwrap()).unwrap();
        for name in ["evcxr 0.", "zeromq 0.", "tokio 1.", "serde_json 1."] {
            assert!(licences.contains(name), "{name}");
        }
        assert!(licences.contains("Permission is hereby granted"));
        assert!(!licences.contains("phalanx-kernel"), "our own have theirs");
    }
}
