//! The libraries of functions, by content.

use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::ArtifactHash;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The hashes of files that do not change. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Libraries(
    /// Held for one look-up.
    Arc<Mutex<HashMap<PathBuf, ArtifactHash>>>,
);

impl Libraries {
    /// What a function needs, in load order: the standard library, then its own.
    pub(super) async fn of(
        &self,
        libstd: &Path,
        library: &Path,
    ) -> Result<Vec<(ArtifactHash, PathBuf)>, Failure> {
        let libstd = (self.hash(libstd).await?, libstd.to_owned());
        Ok(vec![
            libstd,
            (self.hash(library).await?, library.to_owned()),
        ])
    }

    async fn hash(&self, path: &Path) -> Result<ArtifactHash, Failure> {
        let known = |hashes: &Mutex<HashMap<PathBuf, ArtifactHash>>| {
            let hashes = hashes.lock().unwrap_or_else(PoisonError::into_inner);
            hashes.get(path).cloned()
        };
        if let Some(hash) = known(&self.0) {
            return Ok(hash);
        }
        let bytes = tokio::fs::read(path)
            .await
            .map_err(|error| Failure::Environment {
                message: format!("cannot read {}: {error}", path.display()),
                hint: None,
            })?;
        // Some megabytes are no work for the threads that serve.
        let hash = tokio::task::spawn_blocking(move || ArtifactHash::of(&bytes));
        let hash = hash.await.map_err(|error| Failure::Internal {
            message: format!("hashing {}: {error}", path.display()),
        })?;
        let mut hashes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hashes.insert(path.to_owned(), hash.clone());
        Ok(hash)
    }
}
