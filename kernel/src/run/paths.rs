//! Completion of paths.

use super::Environment;
use crate::completion::PathKind;

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
}
