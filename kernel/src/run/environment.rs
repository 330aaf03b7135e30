//! The session's working folder and environment variables.

use phalanx_protocol::runtime::Setting;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::process::Command;

/// The working folder and variables set by `:cd` and `:env`. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Environment(
    /// Locked for a lookup or an assignment.
    Arc<Mutex<EnvironmentChanges>>,
);

#[derive(Debug, Default)]
struct EnvironmentChanges {
    folder: Option<PathBuf>,
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// Returns the working folder.
    pub fn folder(&self) -> PathBuf {
        let changed = self.changed().folder.clone();
        changed
            .or_else(|| std::env::current_dir().ok())
            .unwrap_or_else(|| PathBuf::from("/"))
    }

    /// Resolves a path: relative to the working folder, with `~` for the user's home.
    pub fn resolve(&self, path: &str) -> PathBuf {
        resolve(path, &self.folder(), dirs::home_dir().as_deref())
    }

    /// Returns the variables that were set, by name.
    pub fn variables(&self) -> BTreeMap<String, String> {
        self.changed().variables.clone()
    }

    /// Applies a setting.
    pub fn set(&self, setting: Setting) {
        let mut changed = self.changed();
        match setting {
            Setting::Folder(folder) => changed.folder = Some(folder),
            Setting::Variable { name, value } => {
                changed.variables.insert(name, value);
            }
        }
    }

    /// Takes over the working folder of the process that runs cells, whose code may have changed it.
    pub fn follow_folder(&self, process: u32) {
        let Ok(entered) = std::fs::read_link(format!("/proc/{process}/cwd")) else {
            // The process has ended, and its successor starts in the folder known before.
            return;
        };
        if entered != self.folder() && entered.is_dir() {
            self.changed().folder = Some(entered);
        }
    }

    /// Returns the settings for a new process.
    pub fn settings(&self) -> Vec<Setting> {
        let changed = self.changed();
        let folder = changed.folder.clone().map(Setting::Folder);
        let variables = changed.variables.iter();
        let variables = variables.map(|(name, value)| Setting::Variable {
            name: name.clone(),
            value: value.clone(),
        });
        folder.into_iter().chain(variables).collect()
    }

    /// Sets the folder and variables of a command. It finds `phalanx`, wherever that is installed.
    pub fn apply_to(&self, command: &mut Command) {
        let changed = self.changed();
        if let Some(folder) = &changed.folder {
            command.current_dir(folder);
        }
        command.envs(&changed.variables);
        let path = changed.variables.get("PATH").map(OsString::from);
        let path = path.or_else(|| std::env::var_os("PATH"));
        if let Ok(program) = std::env::current_exe()
            && let Some(path) = program.parent().and_then(|own| extended(path, own))
        {
            command.env("PATH", path);
        }
    }

    fn changed(&self) -> MutexGuard<'_, EnvironmentChanges> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a search path with a folder at its end; `None` if it contains the folder, or cannot.
fn extended(path: Option<OsString>, folder: &Path) -> Option<OsString> {
    let mut folders: Vec<PathBuf> = path.iter().flat_map(std::env::split_paths).collect();
    if folders.iter().any(|known| known == folder) {
        return None;
    }
    folders.push(folder.to_owned());
    std::env::join_paths(folders).ok()
}

fn resolve(path: &str, folder: &Path, home: Option<&Path>) -> PathBuf {
    let mut parts = Path::new(path).components();
    let first = parts.next();
    match (first, home) {
        (Some(first), Some(home)) if first.as_os_str() == OsStr::new("~") => {
            home.join(parts.as_path())
        }
        _ => folder.join(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_working_folder() {
        let folder = Path::new("/a/b");
        let home = Some(Path::new("/h"));
        for (path, resolved) in [
            ("c", "/a/b/c"),
            ("../ü", "/a/b/../ü"),
            ("/x", "/x"),
            ("~", "/h"),
            ("~/y z", "/h/y z"),
            ("~a", "/a/b/~a"),
        ] {
            assert_eq!(resolve(path, folder, home), Path::new(resolved), "{path}");
        }
        assert_eq!(resolve("~", folder, None), Path::new("/a/b/~"));
    }

    #[test]
    fn a_search_path_is_extended_at_its_end_and_once() {
        let extended = |path: Option<&str>| extended(path.map(OsString::from), Path::new("/own"));
        assert_eq!(extended(Some("/a:/b")), Some("/a:/b:/own".into()));
        assert_eq!(extended(Some("/own:/b")), None);
        assert_eq!(extended(None), Some("/own".into()));
        // A folder with a colon cannot be part of a path.
        assert_eq!(super::extended(None, Path::new("/a:b")), None);
    }

    #[test]
    fn the_folder_of_a_process_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let mut process = std::process::Command::new("sleep")
            .arg("600")
            .current_dir(&folder)
            .spawn()
            .unwrap();
        let environment = Environment::default();
        environment.follow_folder(process.id());
        process.kill().unwrap();
        process.wait().unwrap();
        assert_eq!(environment.folder(), folder);
        environment.follow_folder(process.id());
        assert_eq!(environment.folder(), folder);
    }

    #[test]
    fn new_processes_receive_the_settings() {
        let environment = Environment::default();
        assert!(environment.settings().is_empty());
        let variable = |value: &str| Setting::Variable {
            name: "A".into(),
            value: value.into(),
        };
        environment.set(variable("1"));
        environment.set(variable("2"));
        environment.set(Setting::Folder("/x".into()));
        assert_eq!(
            environment.settings(),
            [Setting::Folder("/x".into()), variable("2")]
        );
        assert_eq!(environment.folder(), Path::new("/x"));
    }
}
