//! Connections to clusters that were started elsewhere.

use super::ClusterError;
use super::registry::{ClusterRecord, Registry};
use phalanx_client::{Client, UNREACHABLE};
use phalanx_transport::ClientConnectionFile;
use phalanx_transport::connection::UNREACHABLE_ENVIRONMENT;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time limit for engines to reply: longer than the heartbeat period of ipyparallel's controller,
/// which determines the delay.
pub(super) const ENGINES_LIMIT: Duration = Duration::from_secs(10);

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
        let is_gone = |record: &ClusterRecord| !record.runs();
        self.client.has_ended() || self.record.as_ref().is_some_and(is_gone)
    }
}

/// Connects to the cluster with this id or connection file, or to the only running one.
pub(super) async fn connect(to: Option<String>) -> Result<ConnectedCluster, ClusterError> {
    let registry = Registry::of_user();
    let known = registry.as_ref().map_or_else(Vec::new, Registry::list);
    let (name, path) = find(to.as_deref(), known.clone())?;
    let is_known = known.iter().any(|record| record.cluster_id == name);
    let mut records = known.into_iter();
    let record = records.find(|record| record.cluster_id == name || record.client_file == path);
    let owner = registry.filter(|_| is_known);
    let owner = owner.map(|registry| registry.folder_of(&name));
    let file = ClientConnectionFile::read(&path).map_err(ClusterError::ConnectionFile)?;
    let client = Client::connect_for(&file, unreachable()?)
        .await
        .map_err(|error| ClusterError::NotConnected {
            cluster: name.clone(),
            error: Box::new(error),
        })?;
    // An engine that has died since does not reply.
    let _ = client
        .wait_for_engines(client.announced(), ENGINES_LIMIT)
        .await;
    Ok(ConnectedCluster {
        name,
        client,
        owner,
        record,
    })
}

/// Returns the user's time limit for reaching a lost controller.
fn unreachable() -> Result<Duration, ClusterError> {
    let Ok(text) = std::env::var(UNREACHABLE_ENVIRONMENT) else {
        return Ok(UNREACHABLE);
    };
    let seconds = text.parse().ok();
    let wanted = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    wanted.ok_or(ClusterError::BadLimit(text))
}

type FoundCluster = (String, PathBuf);

fn find(to: Option<&str>, known: Vec<ClusterRecord>) -> Result<FoundCluster, ClusterError> {
    let found = |record: ClusterRecord| (record.cluster_id, record.client_file);
    let ids: Vec<String> = known.iter().map(|known| known.cluster_id.clone()).collect();
    let Some(to) = to else {
        let mut known = known.into_iter();
        return match (known.next(), known.next()) {
            (Some(one), None) => Ok(found(one)),
            (None, _) => Err(ClusterError::NoneKnown),
            _ => Err(ClusterError::Several { ids }),
        };
    };
    if let Some(record) = ClusterRecord::named(&known, to) {
        return Ok(found(record.clone()));
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
        assert_eq!(find(None, one()).unwrap(), expected);
        assert_eq!(find(Some("alpha"), one()).unwrap(), expected);
        assert_eq!(find(Some("profile_of_alpha"), one()).unwrap(), expected);
        let same = vec![record("alpha"), record("alpha")];
        assert!(find(Some("profile_of_alpha"), same).is_err());
        for (to, known, expected) in [
            (None, vec![], "no cluster runs"),
            (None, vec![record("a"), record("b")], "several clusters"),
            (
                Some("/no/such.json"),
                one(),
                "no connection file `/no/such.json`",
            ),
        ] {
            let Err(Failure::Usage { message, hint }) = find(to, known).map_err(Failure::from)
            else {
                panic!("{to:?}")
            };
            assert!(message.contains(expected), "{message}");
            assert!(hint.is_some());
        }
    }
}
