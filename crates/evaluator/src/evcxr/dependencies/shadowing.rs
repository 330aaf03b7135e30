//! The names of the standard prelude that glob imports of crates bring something else for.
//!
//! After `use rayon::prelude::*` a `Vec` is the standard one, after `use anyhow::*` a `Result` is not.
//! Only rustc knows; and once such a crate is built anew, it matters which variables may hold its types.

use super::session::Build;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// For each glob import, the names that it shadows.
pub(crate) type Shadowed = BTreeMap<String, BTreeSet<String>>;

/// The source that is checked, below the crate's folder.
const SOURCE: &str = "target/phalanx-shared/shadowing.rs";

/// The names, and code that compiles only if each is what it is in the standard prelude.
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

/// Finds the names that each of `globs` shadows, with the compiler and the options of a call for a
/// cell; all of them where that cannot be told.
pub(super) fn find(build: &Build<'_>, globs: &[String]) -> Shadowed {
    let mut shadowed = Shadowed::new();
    for glob in globs {
        let checks = |names: &[(&str, &str)]| check(build, glob, names).unwrap_or(false);
        if checks(&NAMES) {
            continue;
        }
        let others = NAMES.iter().filter(|name| !checks(&[**name]));
        let others = others.map(|(name, _)| (*name).to_owned()).collect();
        shadowed.insert(glob.clone(), others);
    }
    shadowed
}

/// Returns true if code for some names compiles under a glob import.
fn check(build: &Build<'_>, glob: &str, names: &[(&str, &str)]) -> io::Result<bool> {
    let source = Path::new(SOURCE);
    // Where every library was taken over from another session, nothing has been linked here.
    fs::create_dir_all(source.with_file_name(""))?;
    fs::write(source, code(glob, names))?;
    let mut command = Command::new(build.program);
    command
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata"])
        .args(["--crate-name=shadowing", "--out-dir"])
        .arg(source.with_file_name(""));
    for pair in build.arguments.windows(2) {
        if matches!(pair[0].as_str(), "-L" | "--target" | "--extern") {
            command.args(pair);
        }
    }
    let output = command.arg(source).stdin(Stdio::null()).output()?;
    Ok(output.status.success())
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
    fn the_standard_names_are_told_from_others() {
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
        // It has a `Result` with one parameter.
        assert!(!compiles("std::io", &NAMES));
        let others: Vec<_> = NAMES
            .iter()
            .filter(|(name, _)| *name != "Result")
            .copied()
            .collect();
        assert!(compiles("std::io", &others));
    }
}
