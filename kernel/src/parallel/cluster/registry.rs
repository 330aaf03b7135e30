//! The clusters started by `phalanx cluster start` on this machine: a file for each, in a folder of
//! the user. Where machines share the home folder, the files of all of them are there.

use phalanx_sys::machine::host_name;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name of the connection file of clusters without an id.
const DEFAULT_FILE: &str = "ipcontroller-client.json";

/// A cluster, as recorded in its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// The cluster's id.
    pub cluster_id: String,
    /// The machine on which it was started; `None` for this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The process that owns the cluster.
    pub pid: u32,
    /// The start time of that process, in clock ticks since boot; it distinguishes reused pids.
    pub began: u64,
    /// The requested number of engines.
    pub engines: usize,
    /// The launcher of the engines.
    pub launcher: String,
    /// The connection file for clients.
    pub client_file: PathBuf,
    /// The name of the IPython profile in which its files are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

/// The folder of the records.
#[derive(Clone, Debug)]
pub struct Registry(PathBuf);

impl Registry {
    /// Returns the user's registry: `phalanx/clusters` in the data folder.
    pub fn of_user() -> Option<Self> {
        Some(Self(dirs::data_local_dir()?.join("phalanx/clusters")))
    }

    /// Returns a registry in another folder, for clusters whose files are to be there and that are not
    /// listed.
    pub fn in_folder(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// Creates the folder for a cluster's connection files, accessible to the user alone.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be created.
    pub fn create_folder(&self, cluster_id: &str) -> io::Result<PathBuf> {
        let folder = self.0.join(cluster_id);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        Ok(folder)
    }

    /// Writes the record of a cluster.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn add(&self, record: &ClusterRecord) -> io::Result<()> {
        let path = self.path(&record.cluster_id);
        let whole = path.with_extension("new");
        std::fs::write(&whole, serde_json::to_vec_pretty(record)?)?;
        std::fs::rename(whole, path)
    }

    /// Removes a cluster's record and folder.
    pub fn remove(&self, cluster_id: &str) {
        // They may have been removed before.
        let _ = std::fs::remove_file(self.path(cluster_id));
        let _ = std::fs::remove_dir_all(self.0.join(cluster_id));
    }

    /// Returns the folder of a running cluster, which contains its owner's socket.
    pub fn folder(&self, cluster_id: &str) -> PathBuf {
        self.0.join(cluster_id)
    }

    /// Removes files left by clusters of this machine that have ended without removing them; returns
    /// their number.
    pub fn clean(&self) -> usize {
        self.list();
        // The running ones, and those of other machines.
        let recorded = self.records();
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.path().is_dir());
        let left = folders.filter_map(|entry| entry.file_name().into_string().ok());
        // A recent folder without a record may be that of a cluster that is starting.
        let left = left.filter(|id| recorded.iter().all(|record| record.cluster_id != *id));
        let left: Vec<String> = left.filter(|id| is_old(&self.0.join(id))).collect();
        left.iter().for_each(|id| self.remove(id));
        left.len()
    }

    /// Returns the running clusters of this machine by name; removes the records of those that have
    /// ended.
    pub fn list(&self) -> Vec<ClusterRecord> {
        let records = self.records().into_iter();
        let mut records: Vec<ClusterRecord> = records
            .filter(ClusterRecord::is_of_this_machine)
            .filter(|record| {
                let is_running = record.is_running();
                if !is_running {
                    self.remove(&record.cluster_id);
                }
                is_running
            })
            .collect();
        records.sort_by(|a, b| a.cluster_id.cmp(&b.cluster_id));
        records
    }

    /// Returns the clusters of other machines, which may have ended.
    pub fn elsewhere(&self) -> Vec<ClusterRecord> {
        let mut records = self.records();
        records.retain(|record| !record.is_of_this_machine());
        records
    }

    /// Returns all records, those of other machines and of clusters that have ended included.
    fn records(&self) -> Vec<ClusterRecord> {
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.path().extension().is_some_and(|ext| ext == "json"))
            .filter_map(|entry| read(&entry.path()))
            .collect()
    }

    /// Returns the path of a cluster's record.
    pub fn path(&self, cluster_id: &str) -> PathBuf {
        self.0.join(format!("{cluster_id}.json"))
    }
}

impl ClusterRecord {
    /// Returns the cluster with this id, or the only one of the IPython profile with this name.
    pub fn named<'a>(records: &'a [Self], name: &str) -> Option<&'a Self> {
        let by_id = records.iter().find(|record| record.cluster_id == name);
        let mut of_profile = records
            .iter()
            .filter(|record| record.profile.as_deref() == Some(name));
        by_id.or_else(|| of_profile.next().filter(|_| of_profile.next().is_none()))
    }

    /// Returns true if its files are those of a cluster without an id in this IPython profile.
    pub fn has_default_files(&self, profile: &str) -> bool {
        self.profile.as_deref() == Some(profile)
            && self.client_file.file_name() == Some(OsStr::new(DEFAULT_FILE))
    }

    /// Returns true if its processes are those of this machine.
    fn is_of_this_machine(&self) -> bool {
        let has_host = self.host.as_ref().is_none_or(|host| *host == host_name());
        // A machine's name may change; elsewhere, a process with this number began at another time.
        has_host || self.is_running()
    }

    /// Returns true if its owner's process is running on this machine.
    pub fn is_running(&self) -> bool {
        let alive = i32::try_from(self.pid)
            .ok()
            .and_then(Pid::from_raw)
            .is_some_and(|pid| test_kill_process(pid).is_ok());
        alive && process_start(self.pid) == Some(self.began)
    }
}

/// Returns the start time of a process, in clock ticks since boot; `None` if it has ended.
pub fn process_start(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may contain any character; state is the first field after it, the start
    // time the twentieth. A process in state Z has ended, and its parent has not asked for its status.
    let fields = &stat[stat.rfind(')')? + 1..];
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    (state != "Z").then(|| fields.nth(18)?.parse().ok())?
}

/// A generous limit on the time a cluster takes to start.
const START_LIMIT: Duration = Duration::from_secs(3600);

/// Returns true if no cluster can still be starting in this folder, by its modification time.
fn is_old(folder: &Path) -> bool {
    let changed = folder.metadata().and_then(|metadata| metadata.modified());
    changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > START_LIMIT))
}

fn read(path: &Path) -> Option<ClusterRecord> {
    let text = std::fs::read(path).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_clusters_that_ended_long_ago_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry(folder.path().to_owned());
        for name in ["starting", "ended"] {
            registry.create_folder(name).unwrap();
        }
        let long_ago = std::time::SystemTime::now() - 2 * START_LIMIT;
        let ended = std::fs::File::open(folder.path().join("ended")).unwrap();
        ended.set_modified(long_ago).unwrap();
        assert_eq!(registry.clean(), 1);
        assert!(registry.folder("starting").exists() && !registry.folder("ended").exists());
    }

    #[test]
    fn records_of_clusters_that_were_killed_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry(folder.path().to_owned());
        let pid = std::process::id();
        let record = |name: &str, began| ClusterRecord {
            cluster_id: name.to_owned(),
            host: None,
            pid,
            began,
            engines: 4,
            launcher: "local".to_owned(),
            client_file: registry.create_folder(name).unwrap().join("client.json"),
            profile: None,
        };
        let live = record("live", process_start(pid).unwrap());
        registry.add(&live).unwrap();
        // Another process had this pid.
        registry.add(&record("dead", 1)).unwrap();
        std::fs::write(folder.path().join("torn.json"), "{").unwrap();
        assert_eq!(registry.list(), [live]);
        assert!(!folder.path().join("dead").exists());
        registry.remove("live");
        assert!(registry.list().is_empty());
    }

    #[test]
    fn records_of_other_machines_are_neither_listed_nor_removed() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry(folder.path().to_owned());
        // No process of this machine has the number.
        let add = |name: &str, host: String| {
            let record = ClusterRecord {
                cluster_id: name.to_owned(),
                host: Some(host),
                pid: 1,
                began: 1,
                engines: 4,
                launcher: "local".to_owned(),
                client_file: registry.create_folder(name).unwrap().join("client.json"),
                profile: None,
            };
            registry.add(&record).unwrap();
            record
        };
        let other = add("other", format!("login.{}", host_name()));
        add("ended", host_name());
        let long_ago = std::time::SystemTime::now() - 2 * START_LIMIT;
        let files = std::fs::File::open(registry.folder("other")).unwrap();
        files.set_modified(long_ago).unwrap();
        assert_eq!(registry.list(), []);
        assert_eq!(registry.clean(), 0);
        assert!(registry.folder("other").exists() && !registry.folder("ended").exists());
        assert_eq!(registry.elsewhere(), [other]);
    }
}
