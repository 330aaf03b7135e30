//! IPython profiles: the folders in which ipyparallel looks for connection and cluster files.

use serde_json::{Value, json};
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The environment variable with the profile's folder, set by ipyparallel's launchers.
pub const PROFILE_DIR_ENVIRONMENT: &str = "IPP_PROFILE_DIR";

/// The environment variable with the cluster's id, set by ipyparallel's launchers.
pub const CLUSTER_ID_ENVIRONMENT: &str = "IPP_CLUSTER_ID";

/// The beginning of the names of profiles' folders.
const PREFIX: &str = "profile_";

/// The options that select a profile; the names are ipyparallel's.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct ProfileArgs {
    /// An IPython profile, in which `ipp.Client(profile=…)` and `ipcluster list` find the files.
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// The folder of an IPython profile.
    #[arg(long, value_name = "DIR", conflicts_with = "profile")]
    pub profile_dir: Option<PathBuf>,
}

/// The folder of an IPython profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpythonProfile(pub PathBuf);

/// An engine process, as listed in a cluster file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedEngine {
    /// The engine's id.
    pub id: u32,
    /// The process id.
    pub pid: u32,
}

impl ProfileArgs {
    /// The selected profile, if any.
    pub fn named(&self) -> Option<IpythonProfile> {
        self.of(|variable| std::env::var_os(variable))
    }

    /// The selected profile, or the one set by ipyparallel's launchers.
    pub fn named_or_launched(&self) -> Option<IpythonProfile> {
        let launched = || std::env::var_os(PROFILE_DIR_ENVIRONMENT).map(PathBuf::from);
        self.named().or_else(|| {
            Some(IpythonProfile(
                launched().filter(|path| path.is_absolute())?,
            ))
        })
    }

    fn of(&self, variable: impl Fn(&str) -> Option<OsString>) -> Option<IpythonProfile> {
        if let Some(folder) = &self.profile_dir {
            return Some(IpythonProfile(folder.clone()));
        }
        let name = self.profile.as_ref()?;
        let ipython = ipython_folder(variable)?;
        Some(IpythonProfile(ipython.join(format!("{PREFIX}{name}"))))
    }
}

/// IPython's folder: `$IPYTHONDIR`, else `.ipython` in the user's home folder.
fn ipython_folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let own = || Some(PathBuf::from(variable("HOME")?).join(".ipython"));
    variable("IPYTHONDIR").map(PathBuf::from).or_else(own)
}

impl IpythonProfile {
    /// The user's profiles, by name.
    pub fn all() -> Vec<Self> {
        let folder = ipython_folder(|variable| std::env::var_os(variable));
        folder.map_or_else(Vec::new, |folder| Self::all_in(&folder))
    }

    /// The profiles in a folder of IPython, by name.
    pub fn all_in(ipython: &Path) -> Vec<Self> {
        let mut profiles: Vec<Self> = names_in(ipython)
            .filter(|name| name.starts_with(PREFIX))
            .map(|name| Self(ipython.join(name)))
            .collect();
        profiles.sort_by(|a, b| a.0.cmp(&b.0));
        profiles
    }

    /// The profile's name.
    pub fn name(&self) -> String {
        let folder = self.0.file_name().unwrap_or_default().to_string_lossy();
        folder.strip_prefix(PREFIX).unwrap_or(&folder).to_owned()
    }

    /// The connection files for clients, with the ids of their clusters; the id of the first one is
    /// empty.
    pub fn client_files(&self) -> Vec<(String, PathBuf)> {
        let security = self.security();
        let mut files: Vec<(String, PathBuf)> = names_in(&security)
            .filter_map(|name| {
                let id = name
                    .strip_prefix("ipcontroller")?
                    .strip_suffix("-client.json")?;
                let id = id.strip_prefix('-').unwrap_or(id).to_owned();
                Some((id, security.join(name)))
            })
            .collect();
        files.sort();
        files
    }

    /// The folder for connection and cluster files.
    pub fn security(&self) -> PathBuf {
        self.0.join("security")
    }

    /// The folder for logs.
    pub fn logs(&self) -> PathBuf {
        self.0.join("log")
    }

    /// The database of tasks, at ipcontroller's path.
    pub fn database(&self) -> PathBuf {
        self.0.join("tasks.db")
    }

    /// The file that `ipp.Cluster.from_file` and `ipcluster list` read.
    pub fn cluster_file(&self, cluster_id: &str) -> PathBuf {
        self.security().join(format!("cluster-{cluster_id}.json"))
    }

    /// Writes the cluster file: the process that owns the controller, and the engines on this
    /// machine.
    ///
    /// # Errors
    /// Returns an error if it cannot be written.
    pub fn write_cluster_file(
        &self,
        cluster_id: &str,
        pid: u32,
        engines: &[ListedEngine],
    ) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(&self.cluster(cluster_id, pid, engines))?;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.security())?;
        let path = self.cluster_file(cluster_id);
        let whole = path.with_extension("new");
        std::fs::write(&whole, text)?;
        std::fs::rename(whole, path)
    }

    /// Removes the cluster file.
    pub fn remove_cluster_file(&self, cluster_id: &str) {
        // It may not exist any more.
        let _ = std::fs::remove_file(self.cluster_file(cluster_id));
    }

    /// The format of ipyparallel's `Cluster.to_dict`. All engines form one set, identified by the
    /// name of its local process launcher.
    fn cluster(&self, cluster_id: &str, pid: u32, engines: &[ListedEngine]) -> Value {
        let process = |pid: u32| {
            json!({
                "profile_dir": self.0, "cluster_id": cluster_id, "state": "running", "pid": pid,
                "output_file": Path::new("/dev/null"), "n": 1,
            })
        };
        let listed = engines.iter();
        let listed: serde_json::Map<String, Value> = listed
            .map(|engine| (engine.id.to_string(), process(engine.pid)))
            .collect();
        let mut sets = serde_json::Map::new();
        if !engines.is_empty() {
            let set = json!({
                "profile_dir": self.0, "cluster_id": cluster_id, "state": "running", "pid": -1,
                "output_file": "", "n": engines.len(), "engines": listed,
            });
            sets.insert("phalanx".to_owned(), set);
        }
        json!({
            "cluster": {
                "class": "ipyparallel.cluster.cluster.Cluster", "cluster_id": cluster_id,
                "profile_dir": self.0, "n": engines.len(),
            },
            "controller": {"class": "local", "state": process(pid)},
            "engines": {"class": "local", "sets": sets},
        })
    }
}

/// The names of the files in a folder; none if it cannot be read.
fn names_in(folder: &Path) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_given_by_name_or_by_folder() {
        let variables = |name: &str| (name == "HOME").then(|| OsString::from("/me"));
        let profile = |profile: Option<&str>, folder: Option<&str>| {
            let args = ProfileArgs {
                profile: profile.map(str::to_owned),
                profile_dir: folder.map(PathBuf::from),
            };
            args.of(variables).map(|profile| profile.security())
        };
        assert_eq!(profile(None, None), None);
        let expected = Some(PathBuf::from("/me/.ipython/profile_hpc/security"));
        assert_eq!(profile(Some("hpc"), None), expected);
        assert_eq!(profile(None, Some("/p")), Some("/p/security".into()));
    }

    #[test]
    fn a_cluster_file_has_the_keys_that_ipyparallel_reads() {
        let folder = tempfile::tempdir().unwrap();
        let profile = IpythonProfile(folder.path().to_owned());
        profile
            .write_cluster_file("", 7, &[ListedEngine { id: 0, pid: 8 }])
            .unwrap();
        let text = std::fs::read(folder.path().join("security/cluster-.json")).unwrap();
        let written: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(written["controller"]["state"]["pid"], 7);
        assert_eq!(
            written["engines"]["sets"]["phalanx"]["engines"]["0"]["pid"],
            8
        );
        profile.remove_cluster_file("");
        assert!(!folder.path().join("security/cluster-.json").exists());
    }
}
