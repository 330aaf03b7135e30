//! The connection files of an earlier controller, for one that replaces it.

use crate::error::StartError;
use phalanx_transport::{ClientConnectionFile, EngineConnectionFile};
use std::path::Path;

/// The connection files of an earlier controller.
pub(crate) struct EarlierFiles {
    pub client: ClientConnectionFile,
    pub engine: EngineConnectionFile,
}

impl EarlierFiles {
    /// Reads both files; `None` if they do not exist.
    pub(crate) fn read(client: &Path, engine: &Path) -> Result<Option<Self>, StartError> {
        if !client.exists() || !engine.exists() {
            return Ok(None);
        }
        Ok(Some(Self {
            client: ClientConnectionFile::read(client)?,
            engine: EngineConnectionFile::read(engine)?,
        }))
    }
}
