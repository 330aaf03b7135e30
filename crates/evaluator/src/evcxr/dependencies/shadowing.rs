//! The names of the standard prelude that glob imports of crates shadow.
//!
//! After `use rayon::prelude::*`, `Vec` is the standard type; after `use anyhow::*`, `Result` is
//! not. Only rustc can determine this; when such a crate is rebuilt, it decides which variables
//! may hold its types.

use super::session::{Build, Session};
use crate::evcxr::generated_crate::build_folder;
use crate::evcxr::rustc_call::RustcCall;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// The names that each glob import shadows.
pub(crate) type Shadowed = BTreeMap<String, BTreeSet<String>>;

/// The source to be checked, relative to the crate's folder.
const SOURCE: &str = "target/phalanx-shared/shadowing.rs";

/// The number of types among [`NAMES`], which are the first.
const TYPES: usize = 5;

/// The names, with code that compiles only if each has its meaning in the standard prelude.
pub(crate) const NAMES: [(&str, &str); 22] = [
    ("Box", "fn f(x: Box<()>) -> ::std::boxed::Box<()> { x }"),
    (
        "Option",
        "fn f(x: Option<()>) -> ::std::option::Option<()> { x }",
    ),
    (
        "Result",
        "fn f(x: Result<(), ()>) -> ::std::result::Result<(), ()> { x }",
    ),
    ("String", "fn f(x: String) -> ::std::string::String { x }"),
    ("Vec", "fn f(x: Vec<()>) -> ::std::vec::Vec<()> { x }"),
    (
        "Clone",
        "fn f<T: Clone>() { fn f<T: ::std::clone::Clone>() {} f::<T>() }",
    ),
    (
        "Copy",
        "fn f<T: Copy>() { fn f<T: ::std::marker::Copy>() {} f::<T>() }",
    ),
    (
        "Default",
        "fn f<T: Default>() { fn f<T: ::std::default::Default>() {} f::<T>() }",
    ),
    (
        "DoubleEndedIterator",
        "fn f<T: DoubleEndedIterator>() { fn f<T: ::std::iter::DoubleEndedIterator>() {} f::<T>() }",
    ),
    (
        "Drop",
        "fn f<T: Drop>() { fn f<T: ::std::ops::Drop>() {} f::<T>() }",
    ),
    (
        "Eq",
        "fn f<T: Eq>() { fn f<T: ::std::cmp::Eq>() {} f::<T>() }",
    ),
    (
        "ExactSizeIterator",
        "fn f<T: ExactSizeIterator>() { fn f<T: ::std::iter::ExactSizeIterator>() {} f::<T>() }",
    ),
    (
        "Fn",
        "fn f<T: Fn()>() { fn f<T: ::std::ops::Fn()>() {} f::<T>() }",
    ),
    (
        "FnMut",
        "fn f<T: FnMut()>() { fn f<T: ::std::ops::FnMut()>() {} f::<T>() }",
    ),
    (
        "FnOnce",
        "fn f<T: FnOnce()>() { fn f<T: ::std::ops::FnOnce()>() {} f::<T>() }",
    ),
    (
        "Iterator",
        "fn f<T: Iterator>() { fn f<T: ::std::iter::Iterator>() {} f::<T>() }",
    ),
    (
        "Ord",
        "fn f<T: Ord>() { fn f<T: ::std::cmp::Ord>() {} f::<T>() }",
    ),
    (
        "PartialEq",
        "fn f<T: PartialEq>() { fn f<T: ::std::cmp::PartialEq>() {} f::<T>() }",
    ),
    (
        "PartialOrd",
        "fn f<T: PartialOrd>() { fn f<T: ::std::cmp::PartialOrd>() {} f::<T>() }",
    ),
    (
        "Send",
        "fn f<T: Send>() { fn f<T: ::std::marker::Send>() {} f::<T>() }",
    ),
    (
        "Sync",
        "fn f<T: Sync>() { fn f<T: ::std::marker::Sync>() {} f::<T>() }",
    ),
    (
        "ToString",
        "fn f<T: ToString>() { fn f<T: ::std::string::ToString>() {} f::<T>() }",
    ),
];

/// Determines the names that each of `globs` shadows, with the compiler and the options of a call
/// for a cell; all names if that is not possible.
pub(super) fn find(build: &Build<'_>, globs: &[String]) -> Shadowed {
    let check = ShadowCheck {
        program: build.program,
        arguments: build.arguments,
        folder: Path::new("."),
    };
    check.shadowed(globs, &NAMES)
}

/// Determines the types among [`NAMES`] that each of `globs` shadows, with what cells currently
/// depend on; all types if that is not possible.
pub(crate) fn shadowed_types(globs: &[String]) -> Shadowed {
    let folder = build_folder().unwrap_or_default();
    let session = Session::read(&folder);
    let call = RustcCall::recorded_in(&folder, session.key());
    let build = call.as_ref().map(RustcCall::build);
    let built = || arguments(&session, &folder);
    let check = ShadowCheck {
        program: build.as_ref().map_or("rustc", |build| build.program),
        // No call is recorded if there is a dependency by path.
        arguments: &build.map_or_else(built, |build| build.arguments.to_vec()),
        folder: &folder,
    };
    check.shadowed(globs, &NAMES[..TYPES])
}

/// Returns the arguments with which a session's crates are found.
fn arguments(session: &Session, folder: &Path) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut add = |option: &str, value: String| arguments.extend([option.to_owned(), value]);
    // Procedural macros.
    let hosts = folder.join("target/debug/deps");
    add("-L", format!("dependency={}", hosts.display()));
    for (name, library) in session.externs() {
        let others = library.path.parent().unwrap_or(folder);
        add("-L", format!("dependency={}", others.display()));
        add("--extern", format!("{name}={}", library.path.display()));
    }
    arguments
}

/// A call of rustc that checks code.
struct ShadowCheck<'a> {
    program: &'a str,
    arguments: &'a [String],
    /// The crate's folder.
    folder: &'a Path,
}

impl ShadowCheck<'_> {
    /// Determines the names, among some, that each of `globs` shadows.
    fn shadowed(&self, globs: &[String], names: &[(&str, &str)]) -> Shadowed {
        let mut shadowed = Shadowed::new();
        for glob in globs {
            let checks = |names: &[(&str, &str)]| self.check(glob, names).unwrap_or(false);
            if checks(names) {
                continue;
            }
            let others = names.iter().filter(|name| !checks(&[**name]));
            let others = others.map(|(name, _)| (*name).to_owned()).collect();
            shadowed.insert(glob.clone(), others);
        }
        shadowed
    }

    /// Returns true if code for some names compiles with a glob import.
    fn check(&self, glob: &str, names: &[(&str, &str)]) -> io::Result<bool> {
        let source = Path::new(SOURCE);
        // If every library was copied from another session, nothing has been linked here.
        fs::create_dir_all(self.folder.join(source).with_file_name(""))?;
        fs::write(self.folder.join(source), code(glob, names))?;
        let mut command = Command::new(self.program);
        command
            .args(["--edition=2024", "--crate-type=lib", "--emit=metadata"])
            .args(["--crate-name=shadowing", "--out-dir"])
            .arg(source.with_file_name(""));
        for pair in self.arguments.windows(2) {
            if matches!(pair[0].as_str(), "-L" | "--target" | "--extern") {
                command.args(pair);
            }
        }
        let command = command.arg(source).current_dir(self.folder);
        Ok(command.stdin(Stdio::null()).output()?.status.success())
    }
}

fn code(glob: &str, names: &[(&str, &str)]) -> String {
    let mut code = "#![allow(warnings)]\n".to_owned();
    for (name, check) in names {
        code += &format!("mod check_{name} {{ use ::{glob}::*; {check} }}\n");
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shadowed_names_do_not_compile() {
        let folder = tempfile::tempdir().unwrap();
        let compiles = |glob: &str, names: &[(&str, &str)]| {
            let source = folder.path().join("code.rs");
            std::fs::write(&source, code(glob, names)).unwrap();
            let rustc = Command::new("rustc")
                .args([
                    "--edition=2024",
                    "--crate-type=lib",
                    "--emit=metadata",
                    "--out-dir",
                ])
                .arg(folder.path())
                .arg(source)
                .output();
            rustc.unwrap().status.success()
        };
        assert!(compiles("std::collections", &NAMES));
        // It defines a `Result` with one parameter.
        assert!(!compiles("std::io", &NAMES));
        let others: Vec<_> = NAMES
            .iter()
            .filter(|(name, _)| *name != "Result")
            .copied()
            .collect();
        assert!(compiles("std::io", &others));
    }
}
