//! A Python script that plays a client, and what it saw.

use crate::bounded::{self, Finished};
use crate::prepared::{Prepared, checkout};
use crate::sandbox::Sandbox;
use serde_json::Value;
use std::ffi::OsStr;
use std::process::Command;
use std::time::Duration;

/// Longest time for a script, unless it is given another.
const LIMIT: Duration = Duration::from_secs(900);

/// A script of `tests/python` to be run in a place of its own.
#[derive(Debug)]
pub struct Script<'a> {
    prepared: &'a Prepared,
    command: Command,
    limit: Duration,
    /// Checked as it is dropped, after the script has ended.
    place: Sandbox,
}

impl<'a> Script<'a> {
    pub(crate) fn new(prepared: &'a Prepared, place: Sandbox, name: &str) -> Self {
        let mut command = place.command(prepared, prepared.python());
        command.arg(checkout("tests/python").join(name));
        Self {
            prepared,
            command,
            limit: LIMIT,
            place,
        }
    }

    /// The place in which it runs.
    #[must_use]
    pub fn place(&self) -> &Sandbox {
        &self.place
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds the path of one of our programs.
    #[must_use]
    pub fn program(self, name: &str) -> Self {
        let program = self.prepared.binary(name);
        self.arg(program)
    }

    /// Adds the place's own folder.
    #[must_use]
    pub fn folder(self) -> Self {
        let folder = self.place.path("");
        self.arg(folder)
    }

    /// Adds the place's mark, for processes whose environment is cleared.
    #[must_use]
    pub fn mark(self) -> Self {
        let mark = self.place.marking();
        self.arg("--mark").arg(mark)
    }

    /// Sets the longest time that it may take.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it.
    ///
    /// # Panics
    /// When it takes too long or leaves something behind.
    #[must_use]
    pub fn run(mut self) -> Finished {
        bounded::run(&mut self.command, self.limit)
    }

    /// Runs it; the JSON that it prints, and what it says on stderr.
    ///
    /// # Panics
    /// When it fails, takes too long, leaves something behind, or prints something else.
    #[must_use]
    pub fn seen(self) -> (Value, String) {
        let finished = self.run().succeeded();
        let seen = serde_json::from_str(finished.stdout.trim());
        let seen = seen.unwrap_or_else(|error| panic!("{error}: {finished:#?}"));
        (seen, finished.stderr)
    }
}
