//! The crate that evcxr generates for a cell, and the files read to compile it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The source file of the crate that evcxr compiles, relative to the build folder.
pub(super) const SOURCE: &str = "src/lib.rs";
/// The manifest of that crate, relative to the build folder.
const MANIFEST: &str = "Cargo.toml";

/// The list of the files that rustc read for a cell, in the folder of the library.
const DEP_INFO: &str = "notebook.d";

/// The line at which evcxr's function for a cell starts.
pub(super) const ENTRY: &str = "\npub extern \"C\" fn run_user_code_";
/// The attribute before that function.
const EXPORTED: &str = "#[unsafe(no_mangle)]";
/// The beginning of evcxr's own definitions, which are between the items and the function.
pub(super) const RUNTIME: &str = "mod evcxr_internal_runtime {\n";
/// The beginning of evcxr's definitions for a cell that contains `?`.
const QUESTION_MARK: &str = "struct EvcxrUserCodeError {}";
/// The beginning of the parameters of evcxr's function for a cell without code.
const NO_CODE: &str = "mut x: *mut std::os::raw::c_void)";
/// The beginning of the code of a cell that contains `.await`.
const ASYNC: &str = "\n.block_on(async {\n";

/// The crate of one cell.
#[derive(Clone, Debug, Default)]
pub(super) struct GeneratedCrate {
    pub(super) source: String,
    pub(super) manifest: String,
    /// True if the compilation read more than its source: files, or environment variables.
    pub(super) reads_outside: bool,
}

/// The parts of a crate's source that describe its namespace.
#[derive(Debug, PartialEq)]
pub(super) struct NamespaceParts<'a> {
    /// The items, with imports that are repeated at every evaluation.
    pub(super) items: &'a str,
    /// The wrapper code; `None` if the cell consists of items, which are not wrapped.
    pub(super) wrapper: Option<WrapperCode>,
    /// The variables at the start, and whether each is mutable.
    pub(super) variables: BTreeMap<&'a str, bool>,
}

/// The code that evcxr adds around a cell's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct WrapperCode {
    /// True if the cell may contain `?`.
    pub(super) question_mark: bool,
    /// True if the cell runs in an asynchronous block.
    pub(super) is_async: bool,
}

/// Returns the source of the crate that evcxr compiled last; empty if it cannot be read.
pub(super) fn source() -> String {
    let folder = build_folder().unwrap_or_default();
    std::fs::read_to_string(folder.join(SOURCE)).unwrap_or_default()
}

/// Returns the part of a crate that contains the notebook's items.
pub(super) fn items_of(source: &str) -> &str {
    let before = source.rfind(ENTRY).map_or("", |at| &source[..at]);
    let mut items = before.strip_suffix(EXPORTED).unwrap_or(before);
    for marker in [RUNTIME, QUESTION_MARK] {
        if let Some(at) = items.rfind(marker) {
            items = &items[..at];
        }
    }
    items
}

impl GeneratedCrate {
    /// Reads the crate that evcxr has just compiled to `library`.
    pub(super) fn read(library: &Path) -> Self {
        let folder = build_folder().unwrap_or_default();
        let read = |name| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        let dep_info = library.with_file_name(DEP_INFO);
        // Without the list, the files read are unknown.
        let dep_info = std::fs::read_to_string(dep_info);
        Self {
            source: read(SOURCE),
            manifest: read(MANIFEST),
            reads_outside: dep_info.map_or(true, |dep_info| reads_outside(&dep_info)),
        }
    }

    /// Splits the source; `None` if it is not evcxr's for a cell.
    pub(super) fn parts(&self) -> Option<NamespaceParts<'_>> {
        let (before, function) = self.source.split_at(self.source.rfind(ENTRY)?);
        let mut items = before.strip_suffix(EXPORTED)?;
        if let Some(at) = items.rfind(RUNTIME) {
            items = &items[..at];
        }
        let mut question_mark = false;
        if let Some(at) = items.rfind(QUESTION_MARK) {
            question_mark = true;
            items = items[..at].trim_end();
        }
        let (_, code) = function.split_once('(')?;
        let has_code = !code.trim_start().starts_with(NO_CODE);
        Some(NamespaceParts {
            items,
            wrapper: has_code.then(|| WrapperCode {
                question_mark,
                is_async: code.contains(ASYNC),
            }),
            variables: function.lines().filter_map(loaded_variable).collect(),
        })
    }
}

/// Returns true if the crate that evcxr wrote last depends on a package with this name.
pub(super) fn depends_on(name: &str) -> bool {
    let manifest = manifest();
    let mut dependencies = dependencies(&manifest).lines();
    dependencies.any(|line| line.split('=').next().map(str::trim) == Some(name))
}

/// Returns true if the crate that evcxr wrote last has dependencies that may change at any time.
pub(super) fn depends_on_paths() -> bool {
    super::cargo_wrapper::depends_on_paths(&manifest())
}

/// Returns the manifest of the crate that evcxr wrote last; empty if it cannot be read.
fn manifest() -> String {
    let folder = build_folder().unwrap_or_default();
    std::fs::read_to_string(folder.join(MANIFEST)).unwrap_or_default()
}

/// Returns the part of a manifest after the head of its dependencies.
fn dependencies(manifest: &str) -> &str {
    let dependencies = manifest.split_once("[dependencies]");
    dependencies.map_or("", |(_, dependencies)| dependencies)
}

/// evcxr's build folder.
pub(super) fn build_folder() -> Option<PathBuf> {
    std::env::var_os(crate::environment::BUILD_FOLDER_VAR).map(PathBuf::from)
}

/// Returns the variable that a line of evcxr's function takes from the store, and true if it is
/// mutable.
pub(super) fn loaded_variable(line: &str) -> Option<(&str, bool)> {
    let (name, rest) = line.strip_prefix("let ")?.split_once(" = ")?;
    rest.starts_with("evcxr_variable_store.take_variable::<")
        .then(|| match name.strip_prefix("mut ") {
            Some(name) => (name, true),
            None => (name, false),
        })
}

/// Returns true if rustc's list of files contains more than the cell's source.
fn reads_outside(dep_info: &str) -> bool {
    dep_info.lines().any(|line| {
        line.starts_with("# env-dep:")
            || line
                .split_once(": ")
                .is_some_and(|(_, files)| files.split_whitespace().any(|file| file != SOURCE))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dep_info_lists_other_files_and_variables() {
        assert!(!reads_outside(
            "/x/notebook.d: src/lib.rs\n\n/x/libnotebook.so: src/lib.rs\n\nsrc/lib.rs:\n"
        ));
        assert!(reads_outside("/x/libnotebook.so: src/lib.rs /etc/hosts\n"));
        assert!(reads_outside(
            "/x/libnotebook.so: src/lib.rs\n\n# env-dep:HOME=/root\n"
        ));
    }

    #[test]
    fn source_is_split_into_parts() {
        let generated = |source: &str| GeneratedCrate {
            source: source.to_owned(),
            ..GeneratedCrate::default()
        };
        let with_code = generated(
            "fn f() {}\nuse a::*;\n            struct EvcxrUserCodeError {}\nimpl\nmod evcxr_internal_runtime {\nx\n}\n\
             #[unsafe(no_mangle)]\npub extern \"C\" fn run_user_code_7(\nmut evcxr_variable_store: X\n\
             let mut a = evcxr_variable_store.take_variable::<u8>(stringify!(a));\n\
             let b = evcxr_variable_store.take_variable::<u8>(stringify!(b));\nlet c = 1;\n}\n",
        );
        let parts = with_code.parts().unwrap();
        assert_eq!(parts.items, "fn f() {}\nuse a::*;");
        assert_eq!(parts.variables, BTreeMap::from([("a", true), ("b", false)]));
        assert!(parts.wrapper.unwrap().question_mark);
        let items = generated(
            "fn f() {}\nuse a::*;\n#[unsafe(no_mangle)]\npub extern \"C\" fn run_user_code_7(\n\
             mut x: *mut std::os::raw::c_void) -> *mut std::os::raw::c_void {x}\n}\n",
        );
        assert_eq!(items.parts().unwrap().wrapper, None);
        assert_eq!(items.parts().unwrap().items.trim_end(), parts.items);
    }
}
