//! What a compiled cell needs, by content.

use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::ArtifactHash;
use std::path::{Path, PathBuf};

/// Hashes files, the standard library once.
#[derive(Debug, Default)]
pub(super) struct Hashes {
    libstd: Option<(PathBuf, ArtifactHash)>,
}

impl Hashes {
    /// What a cell needs, in load order: the standard library, then itself.
    pub(super) async fn of(
        &mut self,
        libstd: &Path,
        cell: &Path,
    ) -> Result<Vec<(ArtifactHash, PathBuf)>, Failure> {
        let known = self.libstd.as_ref().filter(|(path, _)| path == libstd);
        let libstd_hash = match known {
            Some((_, hash)) => hash.clone(),
            None => {
                let hash = hash_file(libstd).await?;
                self.libstd = Some((libstd.to_owned(), hash.clone()));
                hash
            }
        };
        Ok(vec![
            (libstd_hash, libstd.to_owned()),
            (hash_file(cell).await?, cell.to_owned()),
        ])
    }
}

async fn hash_file(path: &Path) -> Result<ArtifactHash, Failure> {
    let read = {
        let path = path.to_owned();
        // Reading and hashing some megabytes is no work for the threads that serve.
        tokio::task::spawn_blocking(move || {
            std::fs::read(path).map(|bytes| ArtifactHash::of(&bytes))
        })
    };
    match read.await {
        Ok(Ok(hash)) => Ok(hash),
        Ok(Err(error)) => Err(Failure::Environment {
            message: format!("cannot read {}: {error}", path.display()),
            hint: None,
        }),
        Err(error) => Err(Failure::Internal {
            message: format!("hashing {}: {error}", path.display()),
        }),
    }
}
