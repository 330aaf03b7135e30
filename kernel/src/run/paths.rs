//! Completion of paths.

use super::Environment;
use crate::completion::PathKind;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The largest number of paths offered.
const MAX_PATHS: usize = 500;

/// Returns the paths that start with the typed text, relative if it is; folders end with `/`.
pub fn beginning_with(environment: &Environment, typed: &str, kind: PathKind) -> Vec<String> {
    let (folder, name) = match typed.rfind('/') {
        Some(at) => typed.split_at(at + 1),
        None => ("", typed),
    };
    let looked = if folder.is_empty() { "." } else { folder };
    let Ok(entries) = std::fs::read_dir(environment.resolve(looked)) else {
        return Vec::new();
    };
    let mut paths: Vec<String> = entries
        .flatten()
        .filter_map(|entry| {
            let is_folder = entry.path().is_dir();
            let entry = entry.file_name().into_string().ok()?;
            let hidden = entry.starts_with('.') && !name.starts_with('.');
            let wanted = entry.starts_with(name) && !hidden;
            let fits = is_folder || kind == PathKind::Any;
            let end = if is_folder { "/" } else { "" };
            (wanted && fits).then(|| format!("{folder}{entry}{end}"))
        })
        .collect();
    paths.sort();
    paths.truncate(MAX_PATHS);
    paths
}

/// Returns the names of the programs on the PATH of cells that start with the typed text, which is
/// not empty.
pub fn programs(environment: &Environment, typed: &str) -> Vec<String> {
    if typed.is_empty() {
        return Vec::new();
    }
    let folders = environment.variables().remove("PATH");
    let folders = folders.or_else(|| std::env::var("PATH").ok());
    let mut names = BTreeSet::new();
    for folder in std::env::split_paths(&folders.unwrap_or_default()) {
        let entries = std::fs::read_dir(environment.resolve(&folder.to_string_lossy()));
        for entry in entries.into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let is_program = |path: &Path| {
                let metadata = path.metadata();
                metadata.is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
            };
            if name.starts_with(typed) && is_program(&entry.path()) {
                names.insert(name);
            }
        }
    }
    names.into_iter().take(MAX_PATHS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::runtime::Setting;

    #[test]
    fn paths_are_completed_relative_to_the_working_folder() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["größe/in", "grau", ".git"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        std::fs::write(root.path().join("gruen.txt"), "").unwrap();
        let at = Environment::default();
        at.set(Setting::Folder(root.path().to_owned()));
        let found = |typed, kind| beginning_with(&at, typed, kind).join(" ");
        assert_eq!(found("gr", PathKind::Any), "grau/ gruen.txt größe/");
        assert_eq!(found("gr", PathKind::Folder), "grau/ größe/");
        assert_eq!(found("./größe/", PathKind::Folder), "./größe/in/");
        assert_eq!(found("", PathKind::Folder), "grau/ größe/");
        assert_eq!(found(".g", PathKind::Folder), ".git/");
        assert_eq!(found("nowhere/x", PathKind::Any), "");
    }

    #[test]
    fn programs_are_found_on_the_path_of_cells() {
        let root = tempfile::tempdir().unwrap();
        for (name, mode) in [("grün", 0o755), ("grau", 0o644), ("blau", 0o755)] {
            let path = root.path().join(name);
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        }
        let environment = Environment::default();
        environment.set(Setting::Variable {
            name: "PATH".to_owned(),
            value: root.path().display().to_string(),
        });
        assert_eq!(programs(&environment, "gr"), ["grün"]);
        assert_eq!(programs(&environment, ""), [""; 0]);
    }
}
