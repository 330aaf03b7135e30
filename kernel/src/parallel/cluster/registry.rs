//! The clusters `phalanx cluster start` runs on this machine: a file for each, in a folder of the
//! user's own.

use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A cluster, as recorded in its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// Its name.
    pub cluster_id: String,
    /// The process that owns it.
    pub pid: u32,
    /// The start time of that process, in ticks since the machine started: pids are reused.
    pub began: u64,
    /// The number of engines that were requested.
    pub engines: usize,
    /// The launcher of the engines.
    pub launcher: String,
    /// The connection file for clients.
    pub client_file: PathBuf,
}

/// The folder of the files.
#[derive(Clone, Debug)]
pub struct Registry(PathBuf);

impl Registry {
    /// The user's: `phalanx/clusters` in the folder for data.
    pub fn of_user() -> Option<Self> {
        Some(Self(dirs::data_local_dir()?.join("phalanx/clusters")))
    }

    /// Another one, for folders of clusters alone.
    pub fn in_folder(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// The folder for the connection files of a cluster; it is made, for this user alone.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, cluster_id: &str) -> io::Result<PathBuf> {
        let folder = self.0.join(cluster_id);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        Ok(folder)
    }

    /// Records a cluster for others.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&self, record: &ClusterRecord) -> io::Result<()> {
        let path = self.path(&record.cluster_id);
        let whole = path.with_extension("new");
        std::fs::write(&whole, serde_json::to_vec_pretty(record)?)?;
        std::fs::rename(whole, path)
    }

    /// Forgets a cluster, with its folder.
    pub fn remove(&self, cluster_id: &str) {
        // What is gone already needs no removing.
        let _ = std::fs::remove_file(self.path(cluster_id));
        let _ = std::fs::remove_dir_all(self.0.join(cluster_id));
    }

    /// The folder of a cluster that runs, with its owner's socket.
    pub fn folder_of(&self, cluster_id: &str) -> PathBuf {
        self.0.join(cluster_id)
    }

    /// Removes what clusters have left that ended without a word; how many there were.
    pub fn clean(&self) -> usize {
        let running = self.list();
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.path().is_dir());
        let left = folders.filter_map(|entry| entry.file_name().into_string().ok());
        // One without a record may be starting: its owner's process has the log open, and is young.
        let left = left.filter(|id| running.iter().all(|record| record.cluster_id != *id));
        let left: Vec<String> = left.filter(|id| is_old(&self.0.join(id))).collect();
        left.iter().for_each(|id| self.remove(id));
        left.len()
    }

    /// The clusters that run, by name; files of clusters that have ended without a word are removed.
    pub fn list(&self) -> Vec<ClusterRecord> {
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        let mut records: Vec<ClusterRecord> = entries
            .filter(|entry| entry.path().extension().is_some_and(|ext| ext == "json"))
            .filter_map(|entry| read(&entry.path()))
            .filter(|record| {
                let runs = record.runs();
                if !runs {
                    self.remove(&record.cluster_id);
                }
                runs
            })
            .collect();
        records.sort_by(|a, b| a.cluster_id.cmp(&b.cluster_id));
        records
    }

    fn path(&self, cluster_id: &str) -> PathBuf {
        self.0.join(format!("{cluster_id}.json"))
    }
}

impl ClusterRecord {
    /// Returns true if the process that owns it still runs.
    pub fn runs(&self) -> bool {
        let alive = i32::try_from(self.pid)
            .ok()
            .and_then(Pid::from_raw)
            .is_some_and(|pid| test_kill_process(pid).is_ok());
        alive && began(self.pid) == Some(self.began)
    }
}

/// The start time of a process, in ticks since the machine started.
pub fn began(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before may hold anything; state is the first field after it, the start the twentieth.
    let fields = &stat[stat.rfind(')')? + 1..];
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    (state != "Z").then(|| fields.nth(18)?.parse().ok())?
}

/// The time a cluster may take to start, as far as can be told.
const STARTING: Duration = Duration::from_secs(3600);

/// Returns true for a folder that was last changed before a cluster could still be starting in it.
fn is_old(folder: &Path) -> bool {
    let changed = folder.metadata().and_then(|metadata| metadata.modified());
    changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > STARTING))
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
            registry.folder(name).unwrap();
        }
        let long_ago = std::time::SystemTime::now() - 2 * STARTING;
        let ended = std::fs::File::open(folder.path().join("ended")).unwrap();
        ended.set_modified(long_ago).unwrap();
        assert_eq!(registry.clean(), 1);
        assert!(registry.folder_of("starting").exists() && !registry.folder_of("ended").exists());
    }

    #[test]
    fn clusters_that_ended_without_a_word_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry(folder.path().to_owned());
        let pid = std::process::id();
        let record = |name: &str, began| ClusterRecord {
            cluster_id: name.to_owned(),
            pid,
            began,
            engines: 4,
            launcher: "local".to_owned(),
            client_file: registry.folder(name).unwrap().join("client.json"),
        };
        let live = record("live", began(pid).unwrap());
        registry.add(&live).unwrap();
        // Another process had this pid.
        registry.add(&record("dead", 1)).unwrap();
        std::fs::write(folder.path().join("torn.json"), "{").unwrap();
        assert_eq!(registry.list(), [live]);
        assert!(!folder.path().join("dead").exists());
        registry.remove("live");
        assert!(registry.list().is_empty());
    }
}
