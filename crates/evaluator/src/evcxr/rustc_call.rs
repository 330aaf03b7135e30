//! The call of rustc that compiles a cell: cargo's last call, but for a lean crate if one compiles,
//! with an identity that does not depend on dependencies, and linked only to loaded libraries if
//! that is sufficient.

use super::dependencies::{self, Build, BuiltCrate, Session};
use super::generated_crate::SOURCE;
use super::lean::{self, LeanCrate, Report};
use super::linker::{self, Linker};
use super::misfits::Misfits;
use super::source::PreparedSource;
use super::statics::Statics;
use super::unkept::UnkeptVariables;
use super::{causes, codegen_units, macros, running_line, rustc_messages, unit_tests};
use crate::built_units::CELL_LIBRARY;
use phalanx_protocol::cell_crate::CELL_CRATE;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

/// The folder of recorded calls, each in a file named by its key; relative to the crate's folder.
///
/// evcxr starts a session with a crate without dependencies, adds those that every cell has, and
/// those of `:dep` lines: cargo is called only once for each of these.
const RECORDS: &str = "target/phalanx-calls";

/// The maximum number of calls recorded.
const MAX_RECORDS: usize = 16;

/// The file with the next cell to be compiled, as written by the user; relative to the crate's
/// folder.
const CELL: &str = "target/phalanx-cell.rs";

/// The file of a cell that has failed: evcxr then tries it again for its error messages.
const FAILED: &str = "target/phalanx-failed-cell.rs";

/// The option before the name of a crate; evcxr's is `ctx`.
const CRATE_NAME: &str = "--crate-name";

/// The products that rustc generates; for a check, only metadata.
const EMIT: &str = "--emit=";
const METADATA: &str = "--emit=metadata";

/// The errors after which evcxr compiles a cell again in another form: a variable was moved, or `?`
/// or `.await` occurs.
const RETRIED: [&str; 3] = ["E0382", "E0277", "E0728"];

/// A cell is independent of other crates, so that cross-crate optimization has no benefit.
const NO_LTO: &str = "-Clto=off";

/// The option that determines the symbol names in a crate. Cargo derives it from the dependencies,
/// so that an additional one would change all types of the notebook.
const IDENTITY: &str = "metadata=";

/// A call of rustc that compiles a cell.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RustcCall {
    /// A hash of everything that the build depended on; `None` if it depends on files that may
    /// change at any time.
    key: Option<u64>,
    environment: Vec<(String, String)>,
    program: String,
    arguments: Vec<String>,
    /// The crates that cargo has built for it.
    crates: Vec<BuiltCrate>,
    /// The linker for linking cells directly to loaded libraries, if there is one.
    linker: Option<Linker>,
    /// The time at which this program was installed, since an update keeps its path.
    installed: Option<SystemTime>,
}

/// Removes the record of a build that is about to be repeated.
pub(super) fn forget(key: u64) {
    let _ = fs::remove_file(record_of(key));
}

fn record_of(key: u64) -> PathBuf {
    record_in(Path::new("."), key)
}

fn record_in(folder: &Path, key: u64) -> PathBuf {
    folder.join(RECORDS).join(format!("{key:016x}.json"))
}

fn installed(program: &str) -> Option<SystemTime> {
    fs::metadata(program).and_then(|file| file.modified()).ok()
}

/// Removes all but the newest files in a folder.
fn remove_oldest(folder: &Path, limit: usize) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort();
    let count = files.len().saturating_sub(limit);
    files
        .iter()
        .take(count)
        .try_for_each(|(_, path)| fs::remove_file(path))
}

/// Records the next cell to be compiled in a crate's folder.
pub(super) fn begin_cell(folder: &Path, cell: &PreparedSource) {
    UnkeptVariables::known(&cell.unkept).write(folder);
    cell.statics.write(folder);
    let _ = fs::remove_file(folder.join(FAILED));
    // Otherwise the cell is compiled whole.
    let path = folder.join(CELL);
    if fs::write(&path, &cell.text).is_err() {
        let _ = fs::remove_file(path);
    }
}

impl RustcCall {
    /// Parses a call printed by cargo: variables, program and arguments, quoted for a shell.
    pub(super) fn read(printed: &str, key: Option<u64>) -> Option<Self> {
        let call = Self::parse(shell_words::split(printed).ok()?, key)?;
        Some(Self {
            linker: Linker::find(&call.program, &call.arguments),
            installed: installed(&call.program),
            ..call
        })
    }

    /// Adds the crates that cargo has built for it, and records the call for the next cells.
    #[must_use]
    pub(super) fn record(self, crates: Vec<BuiltCrate>) -> Self {
        let call = Self { crates, ..self };
        if let (Some(key), Ok(json)) = (call.key, serde_json::to_vec(&call)) {
            // Without a record, cargo is called again for the next cell.
            let _ = fs::create_dir_all(RECORDS).and_then(|()| fs::write(record_of(key), json));
            let _ = remove_oldest(Path::new(RECORDS), MAX_RECORDS);
        }
        call
    }

    /// Returns the compilation target.
    pub(super) fn target(&self) -> Option<&str> {
        let index = self.arguments.iter().position(|word| word == "--target")?;
        self.arguments.get(index + 1).map(String::as_str)
    }

    /// Returns the build of all dependencies of cells.
    pub(super) fn build(&self) -> Build<'_> {
        Build {
            key: self.key,
            program: &self.program,
            arguments: &self.arguments,
            folder: Path::new(self.folder().unwrap_or_default()),
            crates: &self.crates,
        }
    }

    fn parse(words: Vec<String>, key: Option<u64>) -> Option<Self> {
        let mut words = words.into_iter().peekable();
        let mut environment = Vec::new();
        while let Some((name, value)) = words.peek()?.split_once('=') {
            environment.push((name.to_owned(), value.to_owned()));
            words.next();
        }
        let call = Self {
            key,
            environment,
            program: words.next()?,
            arguments: named(words),
            crates: Vec::new(),
            linker: None,
            installed: None,
        };
        call.folder().is_some().then_some(call)
    }

    /// Reads the record of a build with the same key.
    pub(super) fn recorded(key: Option<u64>) -> Option<Self> {
        Self::recorded_in(Path::new("."), key)
    }

    /// Reads the record of a build with the same key, of evcxr's crate in another folder.
    pub(super) fn recorded_in(folder: &Path, key: Option<u64>) -> Option<Self> {
        let key = key?;
        let call: Self = serde_json::from_slice(&fs::read(record_in(folder, key)).ok()?).ok()?;
        let is_current = call.key == Some(key)
            && call.installed == installed(&call.program)
            // A record of before has another name.
            && call.crate_name() == Some(CELL_CRATE);
        is_current.then_some(call)
    }

    fn crate_name(&self) -> Option<&str> {
        let at = self.arguments.iter().position(|word| word == CRATE_NAME)?;
        self.arguments.get(at + 1).map(String::as_str)
    }

    fn folder(&self) -> Option<&str> {
        let index = self.arguments.iter().position(|word| word == "--out-dir")?;
        self.arguments.get(index + 1).map(String::as_str)
    }

    pub(super) fn library(&self) -> PathBuf {
        Path::new(self.folder().unwrap_or_default()).join(CELL_LIBRARY)
    }

    /// Compiles the cell and exits the process; returns only if rustc cannot be run.
    pub(super) fn compile(&self, session: &Session) {
        let source = fs::read_to_string(SOURCE).unwrap_or_default();
        let reason = match lean_crate(&source) {
            Ok(lean) => {
                match self.attempt(&source, &lean, session) {
                    Ok(Some(report)) => {
                        report.write();
                        std::process::exit(0);
                    }
                    Ok(None) => {}
                    Err(_) => return,
                }
                "without the rest it does not compile"
            }
            Err(reason) => reason,
        };
        self.compile_whole(&source, reason, session);
    }

    /// Compiles a lean crate; `None` if rustc reports errors, which are not shown.
    fn attempt(
        &self,
        whole: &str,
        lean: &LeanCrate,
        session: &Session,
    ) -> io::Result<Option<Report>> {
        let (output, direct) = self.compile_without_unkept(whole, &lean.source, session)?;
        if !output.status.success() {
            return Ok(None);
        }
        io::stderr().write_all(&output.stderr)?;
        Ok(Some(Report {
            whole: None,
            items: lean.items.clone(),
            variables: lean.variables.clone(),
            omitted: lean.omitted,
            direct,
        }))
    }

    /// Compiles the whole crate; returns only if rustc cannot be run.
    fn compile_whole(&self, source: &str, reason: &str, session: &Session) {
        if let Ok((output, direct)) = self.compile_without_unkept(source, source, session) {
            let report = Report::whole(reason);
            Report { direct, ..report }.write();
            let awaits = cell().is_some_and(|cell| dependencies::may_await(&cell));
            let messages = rustc_messages::for_evcxr(&output.stderr, awaits);
            let _ = io::stderr().write_all(&messages);
            if !output.status.success() && !may_be_retried(&output.stderr) {
                let _ = fs::rename(CELL, FAILED);
            }
            let code = output.status.code();
            let code = code.unwrap_or_else(|| 128 + output.status.signal().unwrap_or_default());
            std::process::exit(code);
        }
    }

    /// Compiles a source without storing the variables that rustc does not allow to be stored, and
    /// without items of earlier cells that no longer compile, unless the cell needs them.
    fn compile_without_unkept(
        &self,
        whole: &str,
        plain: &str,
        session: &Session,
    ) -> io::Result<(Output, bool)> {
        let folder = Path::new(".");
        let mut unkept = UnkeptVariables::read(folder);
        let mut misfits = Misfits::known(whole, cell());
        // An item of a lean crate may only lack another one.
        let is_whole = plain == whole;
        let with_causes = causes::with_causes(plain);
        let mut source = with_causes.as_deref().unwrap_or(plain);
        loop {
            let stored = unkept.without(source);
            let text = misfits.without(&stored);
            let compiled = self.compiled(&text, session);
            let (output, direct) = self.compile_source(whole, &text, &compiled, session)?;
            let errors = &output.stderr;
            if output.status.success() {
                unkept.write(folder);
                misfits.write(whole);
            } else if unkept.add_errors(errors) || is_whole && misfits.learn(&compiled, errors) {
                continue;
            } else if source != plain && causes::is_conversion_error(errors) {
                source = plain;
                continue;
            } else if is_whole && misfits.admit(errors) {
                continue;
            }
            return Ok((output, direct));
        }
    }

    /// Returns the text that rustc is given for a source.
    fn compiled(&self, source: &str, session: &Session) -> String {
        let called = unit_tests::with_callable_tests(source);
        let source = called.as_deref().unwrap_or(source);
        let exported = Statics::read(Path::new(".")).exported(source);
        let source = exported.as_deref().unwrap_or(source);
        let noting = cell().and_then(|cell| running_line::noting(source, &cell));
        session.with_reference(noting.as_deref().unwrap_or(source))
    }

    /// Runs rustc for the text `compiled` of a source, linking directly if that is sufficient;
    /// returns its output, and whether it was. Afterwards the crate is `whole` again, for the
    /// evaluator and for further attempts.
    fn compile_source(
        &self,
        whole: &str,
        source: &str,
        compiled: &str,
        session: &Session,
    ) -> io::Result<(Output, bool)> {
        fs::write(SOURCE, compiled)?;
        let output = self.run(source, session);
        fs::write(SOURCE, whole)?;
        output
    }

    fn run(&self, source: &str, session: &Session) -> io::Result<(Output, bool)> {
        if let Some(linker) = &self.linker
            && session.library().is_some()
        {
            let mut command = self.command(source, session);
            let output = command.args(linker.arguments()).output()?;
            if output.status.success() || !Linker::is_link_error(&output.stderr) {
                return Ok((output, true));
            }
        }
        let mut command = self.command(source, session);
        command.arg(linker::OWN_FUNCTIONS);
        if session.library().is_some() {
            command.args(dependencies::link_arguments());
        }
        Ok((command.output()?, false))
    }

    fn command(&self, source: &str, session: &Session) -> Command {
        let mut command = Command::new(&self.program);
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        command.envs(environment).stdin(Stdio::null());
        let arguments = match codegen_units::is_small(source) {
            true => codegen_units::arguments(&self.arguments),
            false => self.arguments.clone(),
        };
        let generation = session.generation();
        command.args(
            arguments
                .iter()
                .map(|argument| match argument.starts_with(IDENTITY) {
                    true => format!("{IDENTITY}phalanx{generation}"),
                    false => argument.clone(),
                }),
        );
        command.arg(NO_LTO);
        if let Some(library) = session.library() {
            command.args(library.arguments());
        }
        command
    }

    /// Returns the call for a crate other than the cell's, in the file `source`, with one product.
    pub(super) fn command_for(
        &self,
        source: &Path,
        product: &str,
        output: &Path,
        session: &Session,
    ) -> Command {
        let mut command = Command::new(&self.program);
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        command.envs(environment).stdin(Stdio::null());
        for argument in codegen_units::arguments(&self.arguments) {
            match argument.as_str() {
                SOURCE => command.arg(source),
                emit if emit.starts_with(EMIT) => {
                    command.arg(format!("{EMIT}{product}={}", output.display()))
                }
                other => command.arg(other),
            };
        }
        if let Some(library) = session.library() {
            command.args(library.arguments());
        }
        command
    }

    /// Replaces this process by a rustc that only checks; returns only on failure.
    pub(super) fn check(&self) {
        let mut command = Command::new(&self.program);
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        command.envs(environment);
        let arguments = codegen_units::arguments(&self.arguments);
        // Errors are reported by cargo.
        let _ = command
            .args(
                arguments
                    .iter()
                    .map(|argument| match argument.starts_with(EMIT) {
                        true => METADATA,
                        false => argument,
                    }),
            )
            .exec();
    }
}

/// Returns the arguments for a cell's crate under its own name, and without the colours in rustc's
/// rendering, which cargo would remove.
fn named(words: impl Iterator<Item = String>) -> Vec<String> {
    let words = words.map(|word| word.replace("--json=diagnostic-rendered-ansi,", "--json="));
    let mut arguments: Vec<String> = words.collect();
    let at = arguments.iter().position(|word| word == CRATE_NAME);
    if let Some(name) = at.and_then(|at| arguments.get_mut(at + 1)) {
        CELL_CRATE.clone_into(name);
    }
    arguments
}

/// Returns the cell being compiled, if it is known.
fn cell() -> Option<String> {
    let cell = fs::read_to_string(CELL).or_else(|_| fs::read_to_string(FAILED));
    cell.ok()
}

/// Returns true if evcxr may retry a cell because of rustc's errors.
fn may_be_retried(messages: &[u8]) -> bool {
    let messages = String::from_utf8_lossy(messages);
    let code = |code: &&str| messages.contains(&format!("\"code\":\"{code}\""));
    RETRIED.iter().any(code)
}

/// Returns the lean crate of the cell being compiled, or the reason for compiling the whole crate.
fn lean_crate(source: &str) -> Result<LeanCrate, &'static str> {
    if lean::is_off() {
        return Err("lean cells are turned off");
    }
    let cell = fs::read_to_string(CELL).map_err(|_| "the cell is not known")?;
    let lean = lean::lean(source, &cell).ok_or("the cell has syntax errors")?;
    if lean.omitted == 0 {
        return Err("the cell uses all there is");
    }
    Ok(LeanCrate {
        source: macros::importable(&lean.source).unwrap_or(lean.source),
        ..lean
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_records_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        for age in 0..5 {
            let path = folder.path().join(format!("{age}.json"));
            let file = fs::File::create(path).unwrap();
            let modified = now - std::time::Duration::from_secs(age);
            file.set_modified(modified).unwrap();
        }
        remove_oldest(folder.path(), 2).unwrap();
        let names = fs::read_dir(folder.path()).unwrap().flatten();
        let mut names: Vec<_> = names.map(|entry| entry.file_name()).collect();
        names.sort();
        assert_eq!(names, ["0.json", "1.json"]);
    }

    #[test]
    fn printed_calls_are_parsed() {
        let printed = "CARGO_PKG_AUTHORS='' LD_LIBRARY_PATH='/a b:/c' /bin/rustc --crate-name ctx \
                       --json=diagnostic-rendered-ansi,artifacts --check-cfg 'cfg(docsrs,test)' --out-dir /x/deps";
        let call = RustcCall::read(printed, Some(7)).unwrap();
        assert_eq!(call.program, "/bin/rustc");
        assert_eq!(
            call.environment[1],
            ("LD_LIBRARY_PATH".into(), "/a b:/c".into())
        );
        assert_eq!(call.arguments[..2], ["--crate-name", "notebook"]);
        assert_eq!(call.arguments[2..4], ["--json=artifacts", "--check-cfg"]);
        assert_eq!(call.library(), Path::new("/x/deps/libnotebook.so"));
        assert!(RustcCall::read("/bin/rustc --crate-name", Some(7)).is_none());
    }
}
