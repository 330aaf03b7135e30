//! A wrapper of cargo that skips unnecessary calls.
//!
//! evcxr runs `cargo build` for every cell, and cargo takes 20 to 30 ms to find that only the cell
//! has changed, a quarter of the time of a small cell. So evcxr uses this program as its cargo: as
//! long as the manifest, the lock file, the arguments and the environment are those of the last
//! build, rustc is called directly, with the arguments cargo used then. The same holds if evcxr
//! only requests the errors of a cell, for which cargo would first rebuild all dependencies. All
//! other calls are passed to the real cargo.
//!
//! evcxr runs `rustup which cargo` before it searches the PATH, so rustup is wrapped as well.

use super::dependencies::{Graph, Session, read_artifacts, tokio_for};
use super::error_hints::{self, PROGRESS};
use super::generated_crate::SOURCE;
use super::locks::Lock;
use super::rustc_call::{self, RustcCall};
use super::{blind, item_macros, macros, store};
use crate::built_units::CELL_LIBRARY;
use crate::environment::{BUILD_FOLDER_VAR, CARGO_VAR, TOOLS_VAR};
use crate::folder as build_folder;
use std::collections::hash_map::DefaultHasher;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The environment variable in which evcxr specifies the file for the path of the built library.
const LIBRARY_PATH_VAR: &str = "EVCXR_EXECUTION_SO_PATH";

/// The environment variable in which evcxr passes the path of rustc to cargo.
const RUSTC_VAR: &str = "RUSTC";

/// The arguments with the name of every cell's crate.
const CELL_CRATE: &str = "--crate-name ctx ";
const CELL_COMPILING: &str = "Compiling ctx ";

const OFFLINE: &str = "--offline";

/// The subcommand with which evcxr requests the errors of a cell.
const CHECK: &str = "check";

/// The environment variable for cargo's network retries; cargo's default of 3 takes 11 s.
const RETRY_VAR: &str = "CARGO_NET_RETRY";

/// While this folder exists, cells are not built, since evcxr's calls are not going to be run.
pub(super) const DRY_RUN: &str = "target/phalanx-dry-run";

/// The file in that folder that requests building dependencies nevertheless; it contains the glob
/// imports of the namespace, one per line.
pub(super) const DEPENDENCIES: &str = "dependencies";

/// The file in that folder that exists if dependencies are new: empty until they turn out to
/// require another one.
pub(super) const ADDITION: &str = "addition";

/// The exit code of a build that waits for that dependency.
const WAITING: i32 = 3;

/// The text with which `cargo --verbose` announces a command.
const RUNNING: &str = "Running `";

/// Runs as a tool, without returning, if this process was started as one.
pub(super) fn tool_main() {
    let Some(folder) = env::var_os(TOOLS_VAR).map(PathBuf::from) else {
        return;
    };
    let mut arguments = env::args_os();
    let name = arguments.next().map(PathBuf::from);
    let name = name.as_deref().and_then(Path::file_name);
    let arguments = arguments.collect::<Vec<_>>();
    let error = match name.and_then(OsStr::to_str) {
        Some("cargo") => cargo(&folder, &arguments),
        Some("rustup") => rustup(&folder, &arguments),
        _ => return,
    };
    eprintln!("{}: {error}", name.unwrap_or_default().display());
    std::process::exit(101);
}

/// Replies to `rustup which cargo`, and to `rustup +NAME which cargo` for another toolchain; passes
/// other calls to the real rustup.
fn rustup(folder: &Path, arguments: &[OsString]) -> io::Error {
    let is_choice = |argument: &&OsString| argument.as_encoded_bytes().starts_with(b"+");
    let call = arguments.iter().skip_while(is_choice);
    if call.map(OsString::as_os_str).eq(["which", "cargo"]) {
        println!("{}", folder.join("cargo").display());
        std::process::exit(0);
    }
    match real_program(folder, "rustup") {
        Ok(mut rustup) => rustup.args(arguments).exec(),
        Err(error) => error,
    }
}

fn cargo(folder: &Path, arguments: &[OsString]) -> io::Error {
    if let Some(code) = blind::exit_code(arguments) {
        std::process::exit(code);
    }
    let library = env::var_os(LIBRARY_PATH_VAR).map(PathBuf::from);
    let is_option = |argument: &&OsString| argument.as_encoded_bytes().starts_with(b"-");
    let command = arguments.iter().find(|argument| !is_option(argument));
    let command = command.and_then(|command| command.to_str());
    match (command, library) {
        (Some("build"), Some(library)) => build_cell(folder, arguments, &library),
        (Some(CHECK), _) => check_cell(folder, arguments),
        (Some("metadata"), _) => metadata(folder, arguments),
        _ => pass_on(folder, arguments),
    }
}

/// Becomes the real cargo.
fn pass_on(folder: &Path, arguments: &[OsString]) -> io::Error {
    match real_cargo(folder) {
        Ok(mut cargo) => cargo.args(arguments).exec(),
        Err(error) => error,
    }
}

/// Fetches the data that evcxr requests about a dependency.
fn metadata(folder: &Path, arguments: &[OsString]) -> io::Error {
    let lock = Lock::restore(arguments);
    let result = cargo_or_offline(folder, arguments, lock, |_| false);
    match result.and_then(|result| result.print()) {
        Ok(code) => std::process::exit(code),
        Err(error) => error,
    }
}

/// Checks a cell, with cargo only if something besides the cell has changed.
fn check_cell(folder: &Path, arguments: &[OsString]) -> io::Error {
    if let Err(error) = reveal(Path::new(SOURCE)) {
        return error;
    }
    if let Some(call) = RustcCall::recorded(key(&as_build(arguments))) {
        call.check();
    }
    pass_on(folder, arguments)
}

/// Builds a cell, with cargo only if something besides the cell has changed; `library` is the file
/// for the path of its library.
fn build_cell(folder: &Path, arguments: &[OsString], library: &Path) -> io::Error {
    let is_dry = Path::new(DRY_RUN).is_dir();
    if is_dry && !Path::new(DRY_RUN).join(DEPENDENCIES).exists() {
        return match fake_build(library) {
            Ok(()) => std::process::exit(0),
            Err(error) => error,
        };
    }
    let source = Path::new(SOURCE);
    if let Err(error) = reveal(source).and_then(|()| store::share(source)) {
        return error;
    }
    let mut lock = Lock::restore(arguments);
    let key = key(arguments);
    let mut build_lock = None;
    let call = match RustcCall::recorded(key) {
        Some(call) => Ok(call),
        None if is_dry && needs_addition(folder, arguments, lock.as_mut()) => {
            std::process::exit(WAITING)
        }
        None => {
            // Without it, the same dependencies may be built twice.
            build_lock = lock.as_ref().and_then(|lock| lock.lock_build().ok());
            build(folder, arguments, lock, key)
        }
    };
    let updated = call.and_then(|call| Ok((update_session(folder, &call, is_dry)?, call)));
    let (session, call) = match updated {
        Ok(updated) => updated,
        Err(BuildError::Failed(code)) => std::process::exit(code),
        Err(BuildError::Io(error)) => return error,
    };
    drop(build_lock);
    if is_dry {
        return match fake_build(library) {
            Ok(()) => std::process::exit(0),
            Err(error) => error,
        };
    }
    // evcxr reads it once rustc has succeeded.
    if fs::write(library, call.library().as_os_str().as_encoded_bytes()).is_ok() {
        // Returns only if rustc does not exist, which cargo reports.
        call.compile(&session);
    }
    pass_on(folder, arguments)
}

/// Restores the parts of a crate that were hidden from evcxr.
fn reveal(source: &Path) -> io::Result<()> {
    blind::reveal(source)?;
    item_macros::reveal(source)?;
    macros::import(source)
}

/// The failure of a build.
enum BuildError {
    /// Cargo has reported the error; its exit code.
    Failed(i32),
    Io(io::Error),
}

impl From<io::Error> for BuildError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Makes the shared libraries that a call for a cell needs. `is_dry` is true if the evaluator waits
/// for the result, and no cell is compiled.
fn update_session(folder: &Path, call: &RustcCall, is_dry: bool) -> io::Result<Session> {
    let crate_folder = Path::new(".");
    let mut session = Session::read(crate_folder);
    let build = call.build();
    let is_new = !session.is_based_on(build.key);
    if is_new {
        let globs = is_dry.then(|| fs::read_to_string(Path::new(DRY_RUN).join(DEPENDENCIES)));
        let globs = globs.transpose()?;
        let globs: Option<Vec<String>> =
            globs.map(|globs| globs.lines().map(str::to_owned).collect());
        session.update(&build, || graph(folder), globs.as_deref());
    }
    if is_new | (!is_dry && session.mark_used()) {
        session.write(crate_folder)?;
    }
    Ok(session)
}

/// Returns true if new dependencies require another one, which is written to [`ADDITION`].
fn needs_addition(folder: &Path, arguments: &[OsString], lock: Option<&mut Lock>) -> bool {
    let file = Path::new(DRY_RUN).join(ADDITION);
    if !file.exists() {
        return false;
    }
    let mut query: Vec<OsString> = ["metadata", "--format-version=1"]
        .map(OsString::from)
        .into();
    for pair in arguments.windows(2).filter(|pair| pair[0] == "--target") {
        query.extend(["--filter-platform".into(), pair[1].clone()]);
    }
    if arguments.iter().any(|argument| argument == OFFLINE) {
        query.push(OFFLINE.into());
    }
    // The build reports errors of the resolution.
    let result = combined(folder, &query, lock, |_| false).ok();
    let result = result.filter(|result| result.code == 0);
    let manifest = fs::read_to_string("Cargo.toml").unwrap_or_default();
    let addition = result.and_then(|result| tokio_for(&result.output, &manifest));
    addition.is_some_and(|addition| fs::write(file, addition).is_ok())
}

/// Returns the dependency graph of all packages.
fn graph(folder: &Path) -> Graph {
    let arguments = ["metadata", "--format-version=1", OFFLINE];
    let output = real_cargo(folder).and_then(|mut cargo| cargo.args(arguments).output());
    Graph::read(&output.map(|output| output.stdout).unwrap_or_default())
}

/// Pretends that a library was built.
fn fake_build(library: &Path) -> io::Result<()> {
    let empty_library = env::current_dir()?.join(DRY_RUN).join(CELL_LIBRARY);
    fs::write(&empty_library, "")?;
    fs::write(library, empty_library.as_os_str().as_encoded_bytes())
}

/// Returns a hash of everything that a build depends on except the cell; `None` if there is a
/// dependency by path, whose files may change at any time.
fn key(arguments: &[OsString]) -> Option<u64> {
    let manifest = fs::read_to_string("Cargo.toml").ok()?;
    if depends_on_paths(&manifest) {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    (&manifest, arguments).hash(&mut hasher);
    fs::read("Cargo.lock").ok()?.hash(&mut hasher);
    fs::read(".cargo/config.toml").ok().hash(&mut hasher);
    let mut environment = env::vars_os().collect::<Vec<_>>();
    environment.retain(|(name, _)| !is_session_variable(name));
    environment.sort();
    environment.hash(&mut hasher);
    Some(hasher.finish())
}

/// Returns true for a variable that differs between sessions and does not affect builds.
fn is_session_variable(name: &OsStr) -> bool {
    const NAMES: [&str; 13] = [
        "_",
        "COLUMNS",
        "DISPLAY",
        "LINES",
        "OLDPWD",
        "PATH",
        "PWD",
        "SHLVL",
        "TERM",
        "TMPDIR",
        "WINDOWID",
        LIBRARY_PATH_VAR,
        CARGO_VAR,
    ];
    const PREFIXES: [&str; 9] = [
        "DBUS_",
        "JPY_",
        "JUPYTER_",
        "PHALANX_",
        "SSH_",
        "TERM_",
        "TMUX",
        "VSCODE_",
        "XDG_SESSION_",
    ];
    let has_prefix = |prefix: &&str| name.as_encoded_bytes().starts_with(prefix.as_bytes());
    NAMES.iter().any(|known| name == *known) || PREFIXES.iter().any(has_prefix)
}

/// Returns the arguments of the build that corresponds to a check.
fn as_build(arguments: &[OsString]) -> Vec<OsString> {
    let build = |argument: &OsString| match argument == CHECK {
        true => "build".into(),
        false => argument.clone(),
    };
    arguments.iter().map(build).collect()
}

/// Returns true if a manifest of evcxr's has dependencies that may change at any time.
pub(super) fn depends_on_paths(manifest: &str) -> bool {
    let Some((_, dependencies)) = manifest.split_once("[dependencies]") else {
        return false;
    };
    let mut lines = dependencies.lines();
    lines.any(|line| line.contains("path") && !line.starts_with("phalanx = "))
}

/// Builds the dependencies of a cell with the real cargo; returns its call of rustc for a cell. The
/// cell itself is not built, since rustc would link all dependencies into it.
fn build(
    folder: &Path,
    arguments: &[OsString],
    lock: Option<Lock>,
    key: Option<u64>,
) -> Result<RustcCall, BuildError> {
    if let Some(key) = key {
        rustc_call::forget(key);
    }
    if let Some(own_folder) = env::var_os(BUILD_FOLDER_VAR) {
        // Otherwise cargo builds what is missing.
        let _ = build_folder::take_from_others(Path::new(&own_folder));
    }
    let cell = fs::read(SOURCE)?;
    fs::write(SOURCE, "")?;
    let built = build_dependencies(folder, arguments, lock, key);
    fs::write(SOURCE, cell)?;
    built
}

fn build_dependencies(
    folder: &Path,
    arguments: &[OsString],
    lock: Option<Lock>,
    key: Option<u64>,
) -> Result<RustcCall, BuildError> {
    let mut arguments = arguments.to_vec();
    arguments.push("-vv".into());
    let mut call = None;
    let built = cargo_or_offline(folder, &arguments, lock, |line| {
        if let Some(printed) = line.strip_prefix(RUNNING) {
            if printed.contains(CELL_CRATE) {
                call = RustcCall::read(printed.trim_end().trim_end_matches('`'), key);
            }
            return true;
        }
        ["Fresh ", "Dirty "]
            .iter()
            .any(|word| line.starts_with(word))
    })?;
    if built.code != 0 {
        return Err(BuildError::Failed(built.print()?));
    }
    let call = call.ok_or_else(|| io::Error::other("cargo did not compile the cell's crate"))?;
    let target = call.target().unwrap_or_default();
    let crates = read_artifacts(&*built.output, target, io::stdout())?;
    Ok(call.record(crates))
}

/// The result of a cargo process.
struct CargoResult {
    code: i32,
    output: Vec<u8>,
    errors: Vec<u8>,
}

impl CargoResult {
    /// Prints the output of cargo; returns its exit code.
    fn print(&self) -> io::Result<i32> {
        io::stdout().write_all(&self.output)?;
        Ok(self.code)
    }
}

/// Runs the real cargo, and repeats it offline if there is no network. Prints its errors.
fn cargo_or_offline(
    folder: &Path,
    arguments: &[OsString],
    mut lock: Option<Lock>,
    mut is_consumed: impl FnMut(&str) -> bool,
) -> io::Result<CargoResult> {
    let mut result = combined(folder, arguments, lock.as_mut(), &mut is_consumed)?;
    let is_offline = arguments.iter().any(|argument| argument == OFFLINE);
    let errors = String::from_utf8_lossy(&result.errors);
    if result.code != 0 && !is_offline && error_hints::is_unreachable(&errors) {
        let mut arguments = arguments.to_vec();
        arguments.push(OFFLINE.into());
        let retried = run_cargo(folder, &arguments, &mut is_consumed)?;
        if retried.code == 0 {
            result = retried;
        }
    }
    io::stderr().write_all(&result.errors)?;
    if let Some(lock) = lock {
        lock.end(result.code == 0)?;
    }
    Ok(result)
}

/// Runs the real cargo, and repeats it without the versions of other sets of dependencies if they
/// cannot be combined.
fn combined(
    folder: &Path,
    arguments: &[OsString],
    lock: Option<&mut Lock>,
    mut is_consumed: impl FnMut(&str) -> bool,
) -> io::Result<CargoResult> {
    let result = run_cargo(folder, arguments, &mut is_consumed)?;
    if result.code != 0
        && let Some(lock) = lock
        && lock.give_way(&String::from_utf8_lossy(&result.errors))?
    {
        return run_cargo(folder, arguments, is_consumed);
    }
    Ok(result)
}

/// Runs the real cargo. Progress messages on its stderr are passed to the evaluator at once, which
/// shows them; lines for which `is_consumed` returns true are dropped.
fn run_cargo(
    folder: &Path,
    arguments: &[OsString],
    mut is_consumed: impl FnMut(&str) -> bool,
) -> io::Result<CargoResult> {
    let mut command = real_cargo(folder)?;
    if env::var_os(RETRY_VAR).is_none() {
        command.env(RETRY_VAR, "1");
    }
    command.args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut cargo = command.spawn()?;
    let mut errors = Vec::new();
    let evaluator = PathBuf::from(format!(
        "/proc/{}/fd/2",
        std::os::unix::process::parent_id()
    ));
    let mut evaluator = fs::OpenOptions::new().append(true).open(evaluator).ok();
    let stdout = cargo.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut output = Vec::new();
        let read = stdout.map(|mut stdout| stdout.read_to_end(&mut output));
        read.transpose().map(|_| output)
    });
    if let Some(stderr) = cargo.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n') {
            let mut line = line?;
            let text = String::from_utf8_lossy(&line).into_owned();
            let text = text.trim_start();
            if is_consumed(text) || text.starts_with(CELL_COMPILING) {
                continue;
            }
            let word = text.split_whitespace().next().unwrap_or_default();
            line.push(b'\n');
            match &mut evaluator {
                // Whole lines, since other processes write there too.
                Some(evaluator) if PROGRESS.contains(&word) => evaluator.write_all(&line)?,
                _ => errors.extend(line),
            }
        }
    }
    let output = reader.join();
    let output = output.map_err(|_| io::Error::other("cargo's output cannot be read"))??;
    let status = cargo.wait()?;
    let code = status.code();
    let code = code.unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Ok(CargoResult {
        code,
        output,
        errors,
    })
}

/// Returns the real cargo: that of the toolchain whose rustc evcxr calls, if it is known.
fn real_cargo(folder: &Path) -> io::Result<Command> {
    let Some(path) = cargo_beside_rustc().or_else(|| rustup_cargo(folder)) else {
        return real_program(folder, "cargo");
    };
    let mut cargo = Command::new(path);
    cargo
        .env("PATH", path_without_tools(folder)?)
        .env_remove(CARGO_VAR)
        // cargo passes its stdin to rustc, and caches the result.
        .stdin(Stdio::null());
    Ok(cargo)
}

/// Returns the cargo of the toolchain that `:toolchain` has selected.
fn cargo_beside_rustc() -> Option<PathBuf> {
    let rustc = env::var_os(RUSTC_VAR).map(PathBuf::from)?;
    let cargo = rustc.parent()?.join("cargo");
    (rustc.is_absolute() && cargo.is_file()).then_some(cargo)
}

/// Returns the cargo that rustup selects.
fn rustup_cargo(folder: &Path) -> Option<PathBuf> {
    let mut rustup = real_program(folder, "rustup").ok()?;
    let output = rustup.args(["which", "cargo"]).output().ok()?;
    let path = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| path.trim().into())
}

/// Returns a program as found on the PATH without our own tools, so that its child processes find
/// the real ones.
fn real_program(folder: &Path, program: &str) -> io::Result<Command> {
    let path = path_without_tools(folder)?;
    let found = env::split_paths(&path)
        .map(|entry| entry.join(program))
        .find(|path| path.is_file());
    let found = found.ok_or_else(|| io::Error::other(format!("{program} is not on the PATH")))?;
    let mut command = Command::new(found);
    command
        .env("PATH", path)
        .env_remove(CARGO_VAR)
        .stdin(Stdio::null());
    Ok(command)
}

fn path_without_tools(folder: &Path) -> io::Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).filter(|entry| entry != folder);
    env::join_paths(folders).map_err(io::Error::other)
}
