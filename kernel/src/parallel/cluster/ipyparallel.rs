//! Clusters of ipyparallel, such as `ipcluster start` starts: they leave their connection files in
//! IPython's profiles.

use super::registry::ClusterRecord;
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use phalanx_controller::ipython::IpythonProfile;
use phalanx_transport::{ClientConnectionFile, Endpoint};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// Time limit for a controller to accept a connection: long enough for one in the same network, and
/// short enough for completion.
const PROBE_LIMIT: Duration = Duration::from_millis(300);

/// A running cluster that is in no record of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpyparallelCluster {
    /// Its id; without one, the name of its profile. Of several with one name, the path of the file.
    pub name: String,
    /// The connection file for clients.
    pub client_file: PathBuf,
}

/// Returns the running clusters of these profiles that are none of `known`. A connection file may
/// outlive its controller, so one whose registration port is not served is left out.
pub async fn list(
    profiles: Vec<IpythonProfile>,
    known: &[ClusterRecord],
) -> Vec<IpyparallelCluster> {
    let is_known = |path: &PathBuf| known.iter().any(|record| record.client_file == *path);
    let mut probes = FuturesOrdered::new();
    for profile in profiles {
        for (id, client_file) in profile.client_files() {
            if is_known(&client_file) {
                continue;
            }
            let name = match &*id {
                "" => profile.name(),
                _ => id,
            };
            probes.push_back(async move {
                let is_served = is_served(&client_file).await;
                is_served.then_some(IpyparallelCluster { name, client_file })
            });
        }
    }
    let mut found = Vec::new();
    while let Some(cluster) = probes.next().await {
        found.extend(cluster);
    }
    let names: Vec<String> = found.iter().map(|cluster| cluster.name.clone()).collect();
    let is_taken = |name: &String| {
        let mut ids = known.iter().map(|record| &record.cluster_id);
        names.iter().filter(|other| *other == name).count() > 1 || ids.any(|id| id == name)
    };
    for cluster in &mut found {
        if is_taken(&cluster.name) {
            cluster.name = cluster.client_file.display().to_string();
        }
    }
    found
}

/// Returns true if a controller accepts connections at the registration port of a file.
async fn is_served(client_file: &std::path::Path) -> bool {
    let Ok(file) = ClientConnectionFile::read(client_file) else {
        return false;
    };
    // One behind an SSH server can only be reached through a tunnel.
    if !file.ssh.is_empty() {
        return true;
    }
    let Ok(endpoint) = file.endpoint(file.registration) else {
        return false;
    };
    let connected = async {
        match endpoint {
            Endpoint::Tcp { host, port } => TcpStream::connect((host, port)).await.is_ok(),
            Endpoint::Ipc(path) => UnixStream::connect(path).await.is_ok(),
            Endpoint::Memory { .. } => false,
        }
    };
    timeout(PROBE_LIMIT, connected).await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::path::Path;

    /// Writes a connection file as ipcontroller does.
    fn write(folder: &Path, profile: &str, file: &str, port: u16) -> PathBuf {
        let security = folder.join(profile).join("security");
        std::fs::create_dir_all(&security).unwrap();
        let path = security.join(file);
        let text = json!({
            "ssh": "", "interface": "tcp://127.0.0.1", "registration": port, "control": 1, "mux": 2,
            "task": 3, "task_scheme": "leastload", "iopub": 4, "notification": 5, "broadcast": 6,
            "key": "k", "location": "elsewhere", "pack": "json", "unpack": "json",
            "signature_scheme": "hmac-sha256",
        });
        std::fs::write(&path, text.to_string()).unwrap();
        path
    }

    #[tokio::test]
    async fn running_clusters_of_profiles_are_found_by_their_connection_files() {
        let folder = tempfile::tempdir().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let served = listener.local_addr().unwrap().port();
        let unserved = {
            let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            gone.local_addr().unwrap().port()
        };
        let own = write(
            folder.path(),
            "profile_own",
            "ipcontroller-client.json",
            served,
        );
        let default = write(
            folder.path(),
            "profile_default",
            "ipcontroller-client.json",
            served,
        );
        let named = write(
            folder.path(),
            "profile_hpc",
            "ipcontroller-night-client.json",
            served,
        );
        let same = write(
            folder.path(),
            "profile_hpc",
            "ipcontroller-default-client.json",
            served,
        );
        write(
            folder.path(),
            "profile_old",
            "ipcontroller-client.json",
            unserved,
        );
        write(
            folder.path(),
            "profile_old",
            "ipcontroller-engine.json",
            served,
        );
        write(folder.path(), "profile_old", "cluster-.json", served);
        let record = ClusterRecord {
            cluster_id: "own".to_owned(),
            host: None,
            pid: 1,
            began: 1,
            engines: 1,
            launcher: "local".to_owned(),
            client_file: own,
            profile: Some("own".to_owned()),
        };
        let profiles = IpythonProfile::all_in(folder.path());
        let found = list(profiles, &[record]).await;
        let found: Vec<_> = found
            .iter()
            .map(|cluster| (cluster.name.as_str(), &cluster.client_file))
            .collect();
        let path = |path: &PathBuf| path.display().to_string();
        let (default_path, same_path) = (path(&default), path(&same));
        assert_eq!(
            found,
            [
                (default_path.as_str(), &default),
                (same_path.as_str(), &same),
                ("night", &named),
            ]
        );
        std::fs::remove_file(&same).unwrap();
        let found = list(IpythonProfile::all_in(folder.path()), &[]).await;
        let names: Vec<&str> = found.iter().map(|cluster| cluster.name.as_str()).collect();
        assert_eq!(names, ["default", "night", "own"]);
    }
}
