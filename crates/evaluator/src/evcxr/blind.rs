//! The minimal input of evcxr's own rust-analyzer.
//!
//! It would read the standard library and all dependencies for seconds, and analyze all of it again
//! for every cell. Since it is only asked about types that are written in the cell (see
//! [`super::types`]), it needs no context: it has no rustc, hence no standard library; its cargo,
//! which is our wrapper, reports a crate without dependencies; and that crate is configured out by
//! an attribute that rustc does not see.

use serde_json::json;
use std::ffi::OsString;
use std::io;
use std::path::Path;

/// The attribute, which evcxr adds to each crate that it writes.
pub(super) const ATTRIBUTE: &str = "#![cfg(phalanx_analysis)]";

/// The option with which rust-analyzer specifies a crate; evcxr uses that of the current folder.
const MANIFEST: &str = "--manifest-path";

/// Other subcommands of cargo that rust-analyzer calls but does not need.
const OTHERS: [&str; 4] = ["--version", "config", "locate-project", "rustc"];

/// Handles a call of cargo by rust-analyzer; returns the exit code, or `None` for other calls.
pub(super) fn exit_code(arguments: &[OsString]) -> Option<i32> {
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let index = arguments.iter().position(|argument| argument == MANIFEST);
    let manifest = index
        .and_then(|index| arguments.get(index + 1))
        .map(Path::new);
    match manifest {
        Some(manifest) if has("metadata") => {
            println!("{}", metadata(manifest));
            Some(0)
        }
        _ => OTHERS.iter().any(|word| has(word)).then_some(1),
    }
}

/// Removes the attribute from a crate's source, without moving other text.
///
/// # Errors
/// Returns an error if the file cannot be written.
pub(super) fn reveal(source: &Path) -> io::Result<()> {
    // rustc reports a file that cannot be read.
    let text = std::fs::read_to_string(source).unwrap_or_default();
    match text.contains(ATTRIBUTE) {
        true => {
            let blank = " ".repeat(ATTRIBUTE.len());
            std::fs::write(source, text.replacen(ATTRIBUTE, &blank, 1))
        }
        false => Ok(()),
    }
}

/// Returns the output of `cargo metadata` for a crate without dependencies.
fn metadata(manifest: &Path) -> serde_json::Value {
    let folder = manifest.parent().unwrap_or(manifest);
    let id = format!("path+file://{}#ctx@1.0.0", folder.display());
    json!({
        "version": 1,
        "packages": [{
            "name": "ctx",
            "version": "1.0.0",
            "id": id,
            "source": null,
            "dependencies": [],
            "targets": [{
                "name": "ctx",
                "kind": ["lib"],
                "crate_types": ["lib"],
                "src_path": folder.join(super::generated_crate::SOURCE),
                "edition": "2024",
            }],
            "features": {},
            "manifest_path": manifest,
            "edition": "2024",
        }],
        "workspace_members": [id],
        "resolve": {
            "nodes": [{ "id": id, "dependencies": [], "deps": [], "features": [] }],
            "root": id,
        },
        "workspace_root": folder,
        "target_directory": folder.join("target"),
        "metadata": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit_code(line: &str) -> Option<i32> {
        let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
        super::exit_code(&words)
    }

    #[test]
    fn only_calls_by_rust_analyzer_are_answered() {
        for line in [
            "--version",
            "locate-project --workspace --manifest-path /x/Cargo.toml",
            "-Z unstable-options config get --format toml",
            "rustc -Z unstable-options --print cfg --target x -- -O",
        ] {
            assert_eq!(exit_code(line), Some(1), "{line}");
        }
        let metadata = "metadata --format-version 1 --manifest-path /x/Cargo.toml";
        assert_eq!(exit_code(metadata), Some(0));
        for line in [
            "metadata --format-version=1",
            "build --target x --message-format=json",
            "--offline check --target x --message-format=json",
        ] {
            assert_eq!(exit_code(line), None, "{line}");
        }
    }
}
