//! A Python script that acts as a client, and its observations.

use crate::bounded::{self, Finished};
use crate::prepared::{Prepared, checkout};
use crate::sandbox::Sandbox;
use serde_json::Value;
use std::ffi::OsStr;
use std::process::Command;
use std::time::Duration;

/// Default time limit of a script.
const LIMIT: Duration = Duration::from_secs(900);

/// A script of `tests/python` with a sandbox of its own.
#[derive(Debug)]
pub struct Script<'a> {
    prepared: &'a Prepared,
    command: Command,
    limit: Duration,
    /// Checked on drop, after the script has ended.
    sandbox: Sandbox,
}

impl Prepared {
    /// Returns a script of `tests/python` with a sandbox of its own.
    #[must_use]
    pub fn script(&self, name: &str) -> Script<'_> {
        Script::new(self, Sandbox::new(), name)
    }
}

impl<'a> Script<'a> {
    fn new(prepared: &'a Prepared, sandbox: Sandbox, name: &str) -> Self {
        let mut command = sandbox.command(prepared, prepared.python());
        command.arg(checkout("tests/python").join(name));
        Self {
            prepared,
            command,
            limit: LIMIT,
            sandbox,
        }
    }

    /// Returns the sandbox.
    #[must_use]
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
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

    /// Adds the path of the sandbox.
    #[must_use]
    pub fn folder(self) -> Self {
        let folder = self.sandbox.path("");
        self.arg(folder)
    }

    /// Adds the sandbox's mark, for processes with a cleared environment.
    #[must_use]
    pub fn mark(self) -> Self {
        let mark = self.sandbox.mark_variable();
        self.arg("--mark").arg(mark)
    }

    /// Sets the time limit.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs the script.
    ///
    /// # Panics
    /// Panics if it exceeds the time limit or leaves processes or files behind.
    #[must_use]
    pub fn run(mut self) -> Finished {
        bounded::run(&mut self.command, self.limit)
    }

    /// Runs the script; returns the JSON it prints and its output on stderr.
    ///
    /// # Panics
    /// Panics if it fails, exceeds the time limit, leaves processes or files behind, or prints
    /// something else.
    #[must_use]
    pub fn run_json(self) -> (Value, String) {
        let finished = self.run().succeeded();
        let output = serde_json::from_str(finished.stdout.trim());
        let output = output.unwrap_or_else(|error| panic!("{error}: {finished:#?}"));
        (output, finished.stderr)
    }
}
