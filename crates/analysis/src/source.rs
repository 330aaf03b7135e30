//! A cell in its file, as queries receive it.

use crate::scaffold::Scaffold;
use ra_ap_ide::{Analysis as Snapshot, AnalysisHost, RootDatabase};
use ra_ap_vfs::FileId;

/// A cell in its file.
pub(crate) struct AnalyzedSource<'a> {
    pub(crate) host: &'a AnalysisHost,
    pub(crate) file: FileId,
    pub(crate) scaffold: &'a Scaffold,
}

/// A cell in its file, for a query about a position.
pub(crate) struct Lookup<'a> {
    pub(crate) analysis: Snapshot,
    /// The database of `analysis`.
    pub(crate) db: RootDatabase,
    pub(crate) file: FileId,
    pub(crate) scaffold: &'a Scaffold,
}
