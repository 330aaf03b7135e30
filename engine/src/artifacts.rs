//! Artifacts by hash. Those received over the wire are stored in a cache, which all engines of a
//! user on one machine share; those of a client on this machine are used in place.

use crate::machine::{ArtifactFailure, BrokenArtifact, Shipment};
use bytes::Bytes;
use phalanx_protocol::id::ArtifactHash;
use phalanx_sys::file_identity::FileIdentity;
use phalanx_sys::segment;
use phalanx_sys::temporary::TemporaryFolder;
use std::collections::HashMap;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The environment variable that sets the cache folder.
pub(crate) const CACHE_VAR: &str = "PHALANX_CACHE_DIR";

/// The size limit of the cache, in bytes. At the start of an engine, the oldest files are removed
/// from a larger cache until half of the limit is left.
const CACHE_LIMIT: u64 = 2 << 30;

/// The largest number of artifacts an engine announces.
const MAX_LISTED: usize = 4096;

/// The artifacts available to an engine.
#[derive(Debug)]
pub(crate) struct ArtifactStore {
    folder: PathBuf,
    /// The cache folder, if it belongs to this engine alone and is removed with it.
    _own: Option<TemporaryFolder>,
    host: String,
    /// The verified file of each artifact that was used.
    known: HashMap<ArtifactHash, VerifiedFile>,
}

/// A verified file. After a client has ended, another one may write a different file at its path.
#[derive(Debug)]
struct VerifiedFile {
    path: PathBuf,
    file: Option<FileIdentity>,
}

impl VerifiedFile {
    fn new(path: PathBuf) -> Self {
        let file = FileIdentity::of(&path);
        Self { path, file }
    }

    /// Returns the path, if the file is unchanged.
    fn current(&self) -> Option<&PathBuf> {
        let is_current = self.file.is_some() && self.file == FileIdentity::of(&self.path);
        is_current.then_some(&self.path)
    }
}

impl ArtifactStore {
    /// Opens the shared cache, or a temporary one for this engine alone if that fails.
    ///
    /// # Errors
    /// Returns an error if a temporary folder cannot be created either.
    pub fn open(host: String) -> io::Result<Self> {
        let shared = shared_folder().and_then(|folder| {
            private(&folder)
                .inspect_err(|error| {
                    tracing::warn!(%error, folder = %folder.display(), "no shared cache");
                })
                .is_ok()
                .then_some(folder)
        });
        let (folder, own) = match shared {
            Some(folder) => (folder, None),
            None => {
                let own = TemporaryFolder::new("engine")?;
                (own.path().to_owned(), Some(own))
            }
        };
        if let Err(error) = trim(&folder) {
            tracing::warn!(%error, folder = %folder.display(), "the cache is not trimmed");
        }
        Ok(Self {
            folder,
            _own: own,
            host,
            known: HashMap::new(),
        })
    }

    /// Returns the artifacts in the cache, at most [`MAX_LISTED`].
    pub fn list(&self) -> Vec<ArtifactHash> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".so").map(ArtifactHash::new))
            .take(MAX_LISTED)
            .collect()
    }

    /// Returns the paths of the artifacts, in order, after storing those sent with the request.
    pub fn prepare(
        &mut self,
        shipment: &Shipment,
        buffers: &[Bytes],
    ) -> Result<Vec<PathBuf>, ArtifactFailure> {
        for (position, bytes) in shipment.buffers.iter().zip(buffers) {
            let Some(hash) = shipment.artifacts.get(*position) else {
                let broken = BrokenArtifact::Position(*position);
                return Err(ArtifactFailure::Broken(broken));
            };
            if ArtifactHash::of(bytes) != *hash {
                let broken = BrokenArtifact::Bytes(hash.clone());
                return Err(ArtifactFailure::Broken(broken));
            }
            let path = self.keep(hash, bytes).map_err(|error| {
                ArtifactFailure::Broken(BrokenArtifact::Kept {
                    hash: hash.clone(),
                    folder: self.folder.clone(),
                    error: error.to_string(),
                })
            })?;
            self.known.insert(hash.clone(), VerifiedFile::new(path));
        }
        if self.lacks(shipment) {
            // The client will send the data together with the artifacts.
            return Err(ArtifactFailure::Missing(shipment.artifacts.clone()));
        }
        let mut paths = Vec::new();
        let mut missing = Vec::new();
        for (position, hash) in shipment.artifacts.iter().enumerate() {
            let offered = shipment
                .paths
                .get(position)
                .filter(|_| shipment.host == self.host)
                .cloned();
            match self.find(hash, offered) {
                Some(path) => paths.push(path),
                None => missing.push(hash.clone()),
            }
        }
        if missing.is_empty() {
            Ok(paths)
        } else {
            Err(ArtifactFailure::Missing(missing))
        }
    }

    /// Returns the paths of the artifacts, if all were used before and are unchanged and the
    /// arguments can be opened.
    pub fn known(&self, shipment: &Shipment) -> Option<Vec<PathBuf>> {
        if self.lacks(shipment) {
            return None;
        }
        let known = |hash| self.known.get(hash)?.current().cloned();
        shipment.artifacts.iter().map(known).collect()
    }

    /// Returns true if the arguments are in the memory of another machine or container.
    fn lacks(&self, shipment: &Shipment) -> bool {
        let out_of_reach = |args| shipment.host != self.host || segment::is_out_of_reach(args);
        shipment.args.as_ref().is_some_and(out_of_reach)
    }

    fn find(&mut self, hash: &ArtifactHash, offered: Option<PathBuf>) -> Option<PathBuf> {
        if let Some(path) = self.known.get(hash).and_then(VerifiedFile::current) {
            return Some(path.clone());
        }
        let cached = self.path(hash);
        let path = [Some(cached), offered]
            .into_iter()
            .flatten()
            .find(|path| is(path, hash))?;
        self.known
            .insert(hash.clone(), VerifiedFile::new(path.clone()));
        Some(path)
    }

    /// Writes an artifact atomically, so that other engines never read a partial file.
    fn keep(&self, hash: &ArtifactHash, bytes: &[u8]) -> io::Result<PathBuf> {
        let path = self.path(hash);
        let mut file = tempfile::Builder::new()
            .permissions(std::fs::Permissions::from_mode(0o600))
            .tempfile_in(&self.folder)?;
        file.write_all(bytes)?;
        file.persist(&path).map_err(|error| error.error)?;
        Ok(path)
    }

    fn path(&self, hash: &ArtifactHash) -> PathBuf {
        self.folder.join(format!("{hash}.so"))
    }
}

fn is(path: &Path, hash: &ArtifactHash) -> bool {
    // Only a hash is a valid file name: what arrives over the wire must not be used as a path.
    let plain = hash
        .as_str()
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric());
    plain && std::fs::read(path).is_ok_and(|bytes| ArtifactHash::of(&bytes) == *hash)
}

fn shared_folder() -> Option<PathBuf> {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache = variable(CACHE_VAR)
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("phalanx")))
        .or_else(|| Some(variable("HOME")?.join(".cache/phalanx")))?;
    Some(cache.join("artifacts"))
}

/// Creates the folder with access for its owner alone.
fn private(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

/// Removes the oldest files of a cache above its limit. A removed file that is in use stays loaded.
fn trim(folder: &Path) -> io::Result<()> {
    let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        files.push((metadata.modified()?, metadata.len(), entry.path()));
    }
    let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
    if total <= CACHE_LIMIT {
        return Ok(());
    }
    files.sort();
    for (_, size, path) in files {
        if total <= CACHE_LIMIT / 2 {
            break;
        }
        std::fs::remove_file(path)?;
        total -= size;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::payload::Segment;

    fn store(folder: &Path) -> ArtifactStore {
        private(folder).unwrap();
        ArtifactStore {
            folder: folder.to_owned(),
            _own: None,
            host: "here".to_owned(),
            known: HashMap::new(),
        }
    }

    fn cell(host: &str, artifacts: &[&[u8]], paths: Vec<PathBuf>) -> Shipment {
        Shipment {
            host: host.to_owned(),
            artifacts: artifacts
                .iter()
                .map(|bytes| ArtifactHash::of(bytes))
                .collect(),
            paths,
            buffers: Vec::new(),
            args: None,
        }
    }

    #[test]
    fn data_that_is_out_of_reach_has_to_be_sent() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(&folder.path().join("cache"));
        let data = segment::create(b"data").unwrap();
        let mut call = |host, args: Option<&Segment>| {
            let mut call = cell(host, &[b"library"], Vec::new());
            call.artifacts.clear();
            call.args = args.cloned();
            store.prepare(&call, &[])
        };
        assert_eq!(call("here", Some(&data)), Ok(Vec::new()));
        assert!(call("there", Some(&data)).is_err());
        assert_eq!(call("there", None), Ok(Vec::new()));
        let copy = Segment::read(Bytes::copy_from_slice(data.frame()));
        drop(data);
        assert!(call("here", copy.as_ref()).is_err());
    }

    #[test]
    fn artifacts_come_by_wire_once_for_all_engines_of_a_machine() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        let mut first = store(&cache);
        let mut sent = cell("there", &[b"std", b"cell"], Vec::new());
        assert_eq!(
            first.prepare(&sent, &[]),
            Err(ArtifactFailure::Missing(sent.artifacts.clone()))
        );
        sent.buffers = vec![0, 1];
        let bytes = [b"std".as_slice(), b"cell"].map(Bytes::from_static);
        let paths = first.prepare(&sent, &bytes).unwrap();
        assert_eq!(std::fs::read(&paths[1]).unwrap(), b"cell");
        sent.buffers.clear();
        assert_eq!(store(&cache).prepare(&sent, &[]).unwrap(), paths);
        assert_eq!(store(&cache).list().len(), 2);
        let mode = std::fs::metadata(&cache).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn paths_are_used_on_their_own_machine_when_the_bytes_are_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cell.so");
        std::fs::write(&path, b"cell").unwrap();
        let mut store = store(&folder.path().join("cache"));
        let there = cell("there", &[b"cell"], vec![path.clone()]);
        assert!(store.prepare(&there, &[]).is_err());
        let other = cell("here", &[b"other"], vec![path.clone()]);
        assert!(store.prepare(&other, &[]).is_err());
        let here = cell("here", &[b"cell"], vec![path.clone()]);
        assert_eq!(
            store.prepare(&here, &[]).unwrap(),
            std::slice::from_ref(&path)
        );
        // Another client writes a different cell there.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"another").unwrap();
        assert!(store.prepare(&here, &[]).is_err() && store.known(&here).is_none());
    }

    #[test]
    fn other_bytes_than_announced_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(&folder.path().join("cache"));
        let mut sent = cell("there", &[b"cell"], Vec::new());
        sent.buffers = vec![0];
        let prepared = store.prepare(&sent, &[Bytes::from_static(b"evil")]);
        assert!(matches!(prepared, Err(ArtifactFailure::Broken(_))));
        sent.buffers = vec![7];
        let prepared = store.prepare(&sent, &[Bytes::from_static(b"cell")]);
        assert!(matches!(prepared, Err(ArtifactFailure::Broken(_))));
        assert!(store.list().is_empty());
    }

    #[test]
    fn a_damaged_file_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        let mut sent = cell("there", &[b"cell"], Vec::new());
        sent.buffers = vec![0];
        let bytes = [Bytes::from_static(b"cell")];
        let paths = store(&cache).prepare(&sent, &bytes).unwrap();
        std::fs::write(&paths[0], b"half").unwrap();
        sent.buffers.clear();
        assert!(store(&cache).prepare(&sent, &[]).is_err());
    }
}
