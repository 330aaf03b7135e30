//! Connections to clusters that were started elsewhere.

use super::ClusterError;
use super::ipyparallel::{self, IpyparallelCluster};
use super::registry::{ClusterRecord, Registry};
use phalanx_client::{Client, ClientCloser, ClientEvent, UNREACHABLE};
use phalanx_controller::ipython::IpythonProfile;
use phalanx_transport::ClientConnectionFile;
use phalanx_transport::connection::UNREACHABLE_ENVIRONMENT;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// Time limit for engines to reply: longer than the heartbeat period of ipyparallel's controller,
/// which determines the delay.
pub(super) const ENGINES_LIMIT: Duration = Duration::from_secs(10);

/// The interval at which the owner of a cluster is checked while its controller is lost.
const OWNER_CHECK: Duration = Duration::from_millis(500);

/// The reason with which a connection is closed whose cluster has stopped.
pub(super) const STOPPED: &str = "the cluster has stopped";

/// A cluster that was started elsewhere.
pub(super) struct ConnectedCluster {
    /// Its id or connection file.
    pub(super) name: String,
    /// The connection.
    pub(super) client: Client,
    /// The folder of its owner's socket, if it runs on this machine.
    pub(super) owner: Option<PathBuf>,
    /// Its record, if `phalanx cluster start` has started it on this machine.
    record: Option<ClusterRecord>,
}

impl ConnectedCluster {
    /// Returns true if it was stopped, or its controller is lost for good.
    pub(super) fn has_ended(&self) -> bool {
        let is_gone = |record: &ClusterRecord| !record.is_running();
        self.client.has_ended() || self.record.as_ref().is_some_and(is_gone)
    }
}

/// Connects to the cluster with this id or connection file, or to the only running one. One that
/// `phalanx cluster start` has started comes before those of ipyparallel.
pub(super) async fn connect(to: Option<String>) -> Result<ConnectedCluster, ClusterError> {
    let registry = Registry::of_user();
    let known = registry.as_ref().map_or_else(Vec::new, Registry::list);
    let others = ipyparallel::list(IpythonProfile::all(), &known).await;
    let (name, path) = find(to.as_deref(), known.clone(), others)?;
    let is_known = known.iter().any(|record| record.cluster_id == name);
    let mut records = known.into_iter();
    let record = records.find(|record| record.cluster_id == name || record.client_file == path);
    let owner = registry.filter(|_| is_known);
    let owner = owner.map(|registry| registry.folder(&name));
    let file = ClientConnectionFile::read(&path).map_err(ClusterError::ConnectionFile)?;
    let client = Client::connect_for(&file, reconnection_limit()?)
        .await
        .map_err(|error| ClusterError::NotConnected {
            cluster: name.clone(),
            error: Box::new(error),
        })?;
    // An engine that has died since does not reply.
    let _ = client
        .wait_for_engines(client.announced(), ENGINES_LIMIT)
        .await;
    if let Some(record) = &record {
        let watch = close_with_owner(client.events(), client.closer(), record.clone());
        // Ends with the connection.
        tokio::spawn(watch);
    }
    Ok(ConnectedCluster {
        name,
        client,
        owner,
        record,
    })
}

/// Closes a connection whose controller is lost once the cluster's owner has ended: a cluster of
/// `phalanx cluster start` does not come back.
async fn close_with_owner(
    mut events: mpsc::UnboundedReceiver<ClientEvent>,
    closer: ClientCloser,
    record: ClusterRecord,
) {
    let mut is_lost = false;
    loop {
        if is_lost && !record.is_running() {
            return closer.close(STOPPED);
        }
        tokio::select! {
            event = events.recv() => match event {
                None | Some(ClientEvent::Disconnected { .. }) => return,
                Some(ClientEvent::ConnectionLost(_)) => is_lost = true,
                Some(ClientEvent::ConnectionBack) => is_lost = false,
                Some(_) => {}
            },
            () = tokio::time::sleep(OWNER_CHECK), if is_lost => {}
        }
    }
}

/// Returns the time after which a lost controller is given up: the user's, from the environment, or
/// the default.
fn reconnection_limit() -> Result<Duration, ClusterError> {
    let Ok(text) = std::env::var(UNREACHABLE_ENVIRONMENT) else {
        return Ok(UNREACHABLE);
    };
    let seconds = text.parse().ok();
    let wanted = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    wanted.ok_or(ClusterError::BadLimit(text))
}

/// The name of a cluster, and its connection file for clients.
type FoundCluster = (String, PathBuf);

/// Returns the cluster with this id, IPython profile or connection file, or the only running one;
/// `known` are those that `phalanx cluster start` has started, `others` those of ipyparallel.
fn find(
    to: Option<&str>,
    known: Vec<ClusterRecord>,
    others: Vec<IpyparallelCluster>,
) -> Result<FoundCluster, ClusterError> {
    let found = |record: ClusterRecord| (record.cluster_id, record.client_file);
    let others = others.into_iter();
    let others: Vec<FoundCluster> = others
        .map(|cluster| (cluster.name, cluster.client_file))
        .collect();
    let ids = known.iter().map(|known| &known.cluster_id);
    let ids = ids.chain(others.iter().map(|(name, _)| name));
    let ids: Vec<String> = ids.cloned().collect();
    let Some(to) = to else {
        let mut clusters: Vec<FoundCluster> = match known.is_empty() {
            true => others,
            false => known.into_iter().map(found).collect(),
        };
        return match (clusters.len(), clusters.pop()) {
            (1, Some(one)) => Ok(one),
            (_, None) => Err(ClusterError::NoneKnown),
            _ => Err(ClusterError::Several { ids }),
        };
    };
    if let Some(record) = ClusterRecord::named(&known, to) {
        return Ok(found(record.clone()));
    }
    if let Some(other) = others.into_iter().find(|(name, _)| name == to) {
        return Ok(other);
    }
    let path = Path::new(to);
    if path.is_file() {
        return Ok((to.to_owned(), path.to_owned()));
    }
    Err(ClusterError::Unknown {
        name: to.to_owned(),
        ids,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::failure::Failure;

    fn record(id: &str) -> ClusterRecord {
        ClusterRecord {
            cluster_id: id.to_owned(),
            host: None,
            pid: 1,
            began: 1,
            engines: 4,
            launcher: "local".to_owned(),
            client_file: format!("/{id}/client.json").into(),
            profile: Some(format!("profile_of_{id}")),
        }
    }

    #[test]
    fn a_cluster_is_found_by_id_by_file_or_as_the_only_one() {
        let one = || vec![record("alpha")];
        let expected = ("alpha".to_owned(), PathBuf::from("/alpha/client.json"));
        let other = || IpyparallelCluster {
            name: "default".to_owned(),
            client_file: "/d/client.json".into(),
        };
        for others in [vec![], vec![other()]] {
            let find = |to| find(to, one(), others.clone()).unwrap();
            assert_eq!(find(None), expected);
            assert_eq!(find(Some("alpha")), expected);
            assert_eq!(find(Some("profile_of_alpha")), expected);
        }
        let of_ipyparallel = ("default".to_owned(), PathBuf::from("/d/client.json"));
        for (to, known) in [(None, vec![]), (Some("default"), one())] {
            assert_eq!(find(to, known, vec![other()]).unwrap(), of_ipyparallel);
        }
        let same = vec![record("alpha"), record("alpha")];
        assert!(find(Some("profile_of_alpha"), same, vec![]).is_err());
        let Err(error) = find(Some("beta"), one(), vec![other()]) else {
            panic!()
        };
        let Failure::Usage { hint, .. } = Failure::from(error) else {
            panic!()
        };
        assert_eq!(
            hint.as_deref(),
            Some("the running clusters are alpha, default")
        );
        for (to, known, expected) in [
            (None, vec![], "no cluster runs"),
            (None, vec![record("a"), record("b")], "several clusters"),
            (
                Some("/no/such.json"),
                one(),
                "no connection file `/no/such.json`",
            ),
        ] {
            let Err(Failure::Usage { message, hint }) =
                find(to, known, vec![]).map_err(Failure::from)
            else {
                panic!("{to:?}")
            };
            assert!(message.contains(expected), "{message}");
            assert!(hint.is_some());
        }
    }
}
