//! A crate and its dependencies, read from cargo's metadata and from the disk.

use crate::error::AnalysisError;
use ra_ap_base_db::SourceRoot;
use ra_ap_hir::ChangeWithProcMacros;
use ra_ap_ide_db::FxHashMap;
use ra_ap_paths::{AbsPath, AbsPathBuf, Utf8PathBuf};
use ra_ap_project_model::{CargoConfig, ProjectManifest, ProjectWorkspace, RustLibSource};
use ra_ap_vfs::file_set::FileSetConfig;
use ra_ap_vfs::{Change, FileId, Vfs, VfsPath};
use std::path::Path;
use std::process::Command;

/// The path of the cells' file below the crate's folder.
const SOURCE: &str = "src/lib.rs";

/// Folders of the standard library's source that cells do not need: tests, and the intrinsics of
/// all processors, which alone take 100 MB and a fifth of the time.
const EXCLUDED: [&str; 4] = ["alloctests", "coretests", "portable-simd", "stdarch"];

/// A crate's folder and the files read for it.
pub(crate) struct Project {
    folder: AbsPathBuf,
    source: VfsPath,
    vfs: Vfs,
    /// True if the standard library's source was present at the last load.
    has_library: bool,
}

impl Project {
    /// Creates a project for a folder with a manifest, without reading it.
    pub(crate) fn new(folder: &Path) -> Result<Self, AnalysisError> {
        let folder = folder.canonicalize().map_err(AnalysisError::Folder)?;
        let folder = Utf8PathBuf::from_path_buf(folder).map_err(AnalysisError::Path)?;
        let folder = AbsPathBuf::assert(folder);
        // cargo and rust-analyzer require the file to exist.
        let source = folder.join(SOURCE);
        if let Some(parent) = source.parent() {
            std::fs::create_dir_all(parent).map_err(AnalysisError::Folder)?;
        }
        std::fs::write(&source, "").map_err(AnalysisError::Folder)?;
        Ok(Self {
            folder,
            source: source.into(),
            vfs: Vfs::default(),
            has_library: false,
        })
    }

    /// Returns true if the standard library's source was present at the last load.
    pub(crate) fn has_library(&self) -> bool {
        self.has_library
    }

    /// Reads everything that has changed since the last call; returns the change and the cells'
    /// file.
    ///
    /// Every folder but the crate's own is a library, whose results are cached between cells.
    pub(crate) fn load(&mut self) -> Result<(ChangeWithProcMacros, FileId), AnalysisError> {
        let manifest = ProjectManifest::from_manifest_file(self.folder.join("Cargo.toml"));
        let config = CargoConfig {
            // By default, rust-analyzer would have rustup install a missing source, in parallel
            // with evaluators that do the same.
            sysroot: Some(sysroot().map_or(RustLibSource::Discover, RustLibSource::Path)),
            ..CargoConfig::default()
        };
        let workspace = manifest
            .and_then(|manifest| ProjectWorkspace::load(manifest, &config, &|_| {}))
            .map_err(|error| AnalysisError::Cargo(format!("{error:#}")))?;
        self.vfs
            .set_file_contents(self.source.clone(), Some(Vec::new()));
        let mut sets = FileSetConfig::builder();
        let mut is_own = Vec::new();
        let library = workspace.sysroot.rust_lib_src_root();
        self.has_library = library.is_some();
        let excluded = library
            .into_iter()
            .flat_map(|root| EXCLUDED.map(|name| root.join(name)));
        let excluded = excluded.collect::<Vec<_>>();
        for root in workspace.to_roots() {
            let exclude = [root.exclude.as_slice(), &excluded].concat();
            for include in &root.include {
                read(include, &exclude, &mut self.vfs);
            }
            is_own.push(
                root.include
                    .iter()
                    .any(|path| path.starts_with(&self.folder)),
            );
            sets.add_file_set(root.include.into_iter().map(VfsPath::from).collect());
        }
        let mut change = ChangeWithProcMacros::default();
        for (id, file) in self.vfs.take_changes() {
            let contents = match file.change {
                Change::Create(bytes, _) | Change::Modify(bytes, _) => {
                    String::from_utf8(bytes).ok()
                }
                Change::Delete => None,
            };
            change.change_file(id, contents);
        }
        let roots = sets.build().partition(&self.vfs).into_iter().enumerate();
        let roots = roots.map(|(index, files)| match is_own.get(index) {
            Some(true) => SourceRoot::new_local(files),
            _ => SourceRoot::new_library(files),
        });
        change.set_roots(roots.collect());
        let mut file = |path: &AbsPath| {
            let (id, _) = self.vfs.file_id(&path.to_path_buf().into())?;
            Some(id)
        };
        let (graph, _) = workspace.to_crate_graph(&mut file, &FxHashMap::default());
        change.set_crate_graph(graph);
        let source = self.vfs.file_id(&self.source);
        let (source, _) = source.ok_or(AnalysisError::NoSource)?;
        Ok((change, source))
    }
}

/// Returns the toolchain's folder.
fn sysroot() -> Option<AbsPathBuf> {
    let mut rustc = Command::new("rustc");
    let output = rustc.args(["--print", "sysroot"]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    AbsPathBuf::try_from(Utf8PathBuf::from(path.trim())).ok()
}

/// Reads the Rust files below a folder, except excluded ones.
fn read(folder: &AbsPath, exclude: &[AbsPathBuf], vfs: &mut Vfs) {
    if exclude.iter().any(|excluded| folder.starts_with(excluded)) {
        return;
    }
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(path) = Utf8PathBuf::from_path_buf(entry.path()) else {
            continue;
        };
        let path = AbsPathBuf::assert(path);
        let is_folder = entry.file_type().is_ok_and(|kind| match kind.is_symlink() {
            true => std::fs::metadata(&path).is_ok_and(|target| target.is_dir()),
            false => kind.is_dir(),
        });
        if is_folder {
            read(&path, exclude, vfs);
        } else if path.extension() == Some("rs")
            && let Ok(contents) = std::fs::read(&path)
        {
            vfs.set_file_contents(path.into(), Some(contents));
        }
    }
}
