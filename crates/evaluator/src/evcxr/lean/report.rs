//! The report on the compilation of the last cell, which `:lean` shows, and the switch.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

/// The file of the report, relative to the crate's folder.
const RECORD: &str = "target/phalanx-lean.json";

/// While this file exists, cells are compiled whole.
const OFF: &str = "target/phalanx-whole";

/// The environment variable that disables lean crates with the value `0`.
const LEAN_VAR: &str = "PHALANX_LEAN";

/// The report on the compilation of a cell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The reason for compiling the whole crate; `None` for a lean one.
    pub(crate) whole: Option<String>,
    pub(crate) items: BTreeSet<String>,
    pub(crate) variables: BTreeSet<String>,
    /// The number of omitted items and variables.
    pub(crate) omitted: usize,
    /// True if the cell was linked directly, only to libraries that a runtime has loaded.
    pub(crate) direct: bool,
}

impl Report {
    /// Creates the report of a cell that was compiled whole.
    pub(crate) fn whole(reason: impl Into<String>) -> Self {
        Self {
            whole: Some(reason.into()),
            ..Self::default()
        }
    }

    /// Writes the report to the crate's folder, which is the current one.
    pub(crate) fn write(&self) {
        // Only `:lean` reads it.
        let json = serde_json::to_vec(self).unwrap_or_default();
        let _ = fs::write(RECORD, json);
    }

    /// Reads the report on the last cell that was compiled in a folder.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(RECORD)).ok()?).ok()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list(names: &BTreeSet<String>) -> String {
            let shown = names
                .iter()
                .filter(|name| !super::super::prelude::is_hidden(name));
            let shown = shown.map(String::as_str).collect::<Vec<_>>().join(", ");
            if shown.is_empty() {
                "none".to_owned()
            } else {
                shown
            }
        }
        match &self.whole {
            Some(reason) => write!(f, "compiled with every item and variable: {reason}")?,
            None => write!(
                f,
                "compiled lean\nvariables: {}\nitems: {}\nleft out: {} items and variables",
                list(&self.variables),
                list(&self.items),
                self.omitted
            )?,
        }
        let to = match self.direct {
            true => "the loaded libraries alone",
            false => "its dependencies, by rustc",
        };
        write!(f, "\nlinked to {to}")
    }
}

/// Returns true if lean crates are disabled for the crate's folder, which is the current one.
pub(crate) fn is_off() -> bool {
    std::env::var_os(LEAN_VAR).is_some_and(|value| value == "0") || Path::new(OFF).exists()
}

/// Enables or disables lean crates for a folder.
///
/// # Errors
/// Returns an error if the folder cannot be written to.
pub(crate) fn turn(folder: &Path, on: bool) -> io::Result<()> {
    let switch = folder.join(OFF);
    match on {
        false => fs::write(switch, ""),
        true => match fs::remove_file(switch) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
    }
}
