//! A cargo that knows when it is not needed.
//!
//! evcxr runs `cargo build` for every cell, and cargo takes 20 to 30 ms to find that nothing but the
//! cell has changed, a quarter of a small cell's time. So evcxr is given this program for its cargo:
//! as long as the manifest, the lock file, the arguments and the environment are those of the last
//! build, rustc is called the way cargo called it then. So it is when evcxr only wants to know what is
//! wrong with a cell, for which cargo would first build all dependencies once more. Everything else
//! goes to the real cargo.
//!
//! evcxr asks `rustup which cargo` before it looks at the PATH, so that answer is given too.

use super::emitted::SOURCE;
use super::limits::{self, PROGRESS};
use super::locks::Lock;
use super::rustc_call::{self, RustcCall};
use super::{blind, macros, store};
use crate::handle::{CARGO_VAR, TOOLS_VAR};
use std::collections::hash_map::DefaultHasher;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// By which evcxr says where it wants to read which library was built.
const LIBRARY_PATH_VAR: &str = "EVCXR_EXECUTION_SO_PATH";

/// The name of every cell's crate.
const CELL_CRATE: &str = "--crate-name ctx ";
const CELL_COMPILING: &str = "Compiling ctx ";

const OFFLINE: &str = "--offline";

/// How evcxr asks what is wrong with a cell.
const CHECK: &str = "check";

/// How often cargo asks again before it takes the network for gone; cargo's own 3 take 11 s.
const RETRY_VAR: &str = "CARGO_NET_RETRY";

/// While this folder is there, nothing is built: what evcxr asks for will not be run.
pub(super) const PRETENCE: &str = "target/phalanx-pretence";

/// How cargo announces, told to be verbose, what it runs.
const RUNNING: &str = "Running `";

/// If this process was started as one of the tools, works as it; does not return then.
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

/// Answers where cargo is; everything else is the real rustup's.
fn rustup(folder: &Path, arguments: &[OsString]) -> io::Error {
    if arguments
        .iter()
        .map(OsString::as_os_str)
        .eq(["which", "cargo"])
    {
        println!("{}", folder.join("cargo").display());
        std::process::exit(0);
    }
    match without(folder, "rustup") {
        Ok(mut rustup) => rustup.args(arguments).exec(),
        Err(error) => error,
    }
}

fn cargo(folder: &Path, arguments: &[OsString]) -> io::Error {
    if let Some(code) = blind::answer(arguments) {
        std::process::exit(code);
    }
    let library = env::var_os(LIBRARY_PATH_VAR).map(PathBuf::from);
    let is_option = |argument: &&OsString| argument.as_encoded_bytes().starts_with(b"-");
    let command = arguments.iter().find(|argument| !is_option(argument));
    let command = command.and_then(|command| command.to_str());
    let library = match (command, library) {
        (Some("build"), Some(library)) => library,
        (Some(CHECK), _) => {
            if let Some(call) = RustcCall::recorded(key(&as_build(arguments))) {
                call.check();
            }
            return match real_cargo(folder) {
                Ok(mut cargo) => cargo.args(arguments).exec(),
                Err(error) => error,
            };
        }
        // It fetches what evcxr wants to know of a dependency.
        (Some("metadata"), _) => {
            let lock = Lock::restore(arguments);
            match resolved(folder, arguments, lock, |_| false) {
                Ok(code) => std::process::exit(code),
                Err(error) => return error,
            }
        }
        _ => {
            return match real_cargo(folder) {
                Ok(mut cargo) => cargo.args(arguments).exec(),
                Err(error) => error,
            };
        }
    };
    if Path::new(PRETENCE).is_dir() {
        match pretend(&library) {
            Ok(()) => std::process::exit(0),
            Err(error) => return error,
        }
    }
    let source = Path::new(SOURCE);
    if let Err(error) = store::share(source).and_then(|()| macros::import(source)) {
        return error;
    }
    let lock = Lock::restore(arguments);
    let key = key(arguments);
    if let Some(call) = RustcCall::recorded(key) {
        // evcxr reads it once rustc has succeeded.
        if fs::write(&library, call.library().as_os_str().as_encoded_bytes()).is_ok() {
            // Returns only if rustc is gone, which cargo reports.
            call.compile();
        }
    }
    match build(folder, arguments, lock, key) {
        Ok(code) => std::process::exit(code),
        Err(error) => error,
    }
}

/// Answers as if something had been built.
fn pretend(library: &Path) -> io::Result<()> {
    let nothing = env::current_dir()?
        .join(PRETENCE)
        .join(rustc_call::CELL_LIBRARY);
    fs::write(&nothing, "")?;
    fs::write(library, nothing.as_os_str().as_encoded_bytes())
}

/// Everything a build depends on but the cell; `None` when that cannot be said in a few files, since
/// a dependency by path may change at any time.
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
    environment.retain(|(name, _)| !is_of_session(name));
    environment.sort();
    environment.hash(&mut hasher);
    Some(hasher.finish())
}

/// Returns true for a variable that is new in every session and means nothing to a build.
fn is_of_session(name: &OsStr) -> bool {
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
    const FAMILIES: [&str; 9] = [
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
    let is_of = |family: &&str| name.as_encoded_bytes().starts_with(family.as_bytes());
    NAMES.iter().any(|known| name == *known) || FAMILIES.iter().any(is_of)
}

/// The arguments of the build that a check is about.
fn as_build(arguments: &[OsString]) -> Vec<OsString> {
    let build = |argument: &OsString| match argument == CHECK {
        true => "build".into(),
        false => argument.clone(),
    };
    arguments.iter().map(build).collect()
}

/// Whether a manifest of evcxr's names dependencies that may change at any time.
pub(super) fn depends_on_paths(manifest: &str) -> bool {
    let Some((_, dependencies)) = manifest.split_once("[dependencies]") else {
        return false;
    };
    let mut lines = dependencies.lines();
    lines.any(|line| line.contains("path") && !line.starts_with("phalanx = "))
}

/// Runs the real cargo and remembers how it calls rustc.
fn build(
    folder: &Path,
    arguments: &[OsString],
    lock: Option<Lock>,
    key: Option<u64>,
) -> io::Result<i32> {
    if let Some(key) = key {
        rustc_call::forget(key);
    }
    let mut arguments = arguments.to_vec();
    arguments.push("-vv".into());
    resolved(folder, &arguments, lock, |line| {
        if let Some(call) = line.strip_prefix(RUNNING) {
            if let (Some(key), true) = (key, call.contains(CELL_CRATE)) {
                rustc_call::record(call.trim_end().trim_end_matches('`'), key);
            }
            return true;
        }
        ["Fresh ", "Dirty "]
            .iter()
            .any(|word| line.starts_with(word))
    })
}

/// Runs the real cargo, and once more with what this machine has if there is no network.
fn resolved(
    folder: &Path,
    arguments: &[OsString],
    lock: Option<Lock>,
    mut taken: impl FnMut(&str) -> bool,
) -> io::Result<i32> {
    let (mut code, mut errors) = observed(folder, arguments, &mut taken)?;
    let is_offline = arguments.iter().any(|argument| argument == OFFLINE);
    if code != 0 && !is_offline && limits::is_unreachable(&String::from_utf8_lossy(&errors)) {
        let mut arguments = arguments.to_vec();
        arguments.push(OFFLINE.into());
        let (again, others) = observed(folder, &arguments, &mut taken)?;
        if again == 0 {
            (code, errors) = (again, others);
        }
    }
    io::stderr().write_all(&errors)?;
    if let Some(lock) = lock {
        lock.end(code == 0)?;
    }
    Ok(code)
}

/// Runs the real cargo; its exit code, and what it says. Of that, what tells of its progress goes to
/// the evaluator at once, which shows it; `taken` says which other lines nobody needs.
fn observed(
    folder: &Path,
    arguments: &[OsString],
    mut taken: impl FnMut(&str) -> bool,
) -> io::Result<(i32, Vec<u8>)> {
    let mut command = real_cargo(folder)?;
    if env::var_os(RETRY_VAR).is_none() {
        command.env(RETRY_VAR, "1");
    }
    let mut cargo = command.args(arguments).stderr(Stdio::piped()).spawn()?;
    let mut errors = Vec::new();
    let evaluator = PathBuf::from(format!(
        "/proc/{}/fd/2",
        std::os::unix::process::parent_id()
    ));
    let mut evaluator = fs::OpenOptions::new().append(true).open(evaluator).ok();
    if let Some(stderr) = cargo.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n') {
            let mut line = line?;
            let text = String::from_utf8_lossy(&line).into_owned();
            let text = text.trim_start();
            if taken(text) || text.starts_with(CELL_COMPILING) {
                continue;
            }
            let word = text.split_whitespace().next().unwrap_or_default();
            line.push(b'\n');
            match &mut evaluator {
                // Whole lines: others write there too.
                Some(evaluator) if PROGRESS.contains(&word) => evaluator.write_all(&line)?,
                _ => errors.extend(line),
            }
        }
    }
    let status = cargo.wait()?;
    let code = status.code();
    let code = code.unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Ok((code, errors))
}

/// The real cargo: the toolchain's own where rustup says which that is.
fn real_cargo(folder: &Path) -> io::Result<Command> {
    let asked =
        without(folder, "rustup").and_then(|mut rustup| rustup.args(["which", "cargo"]).output());
    match asked {
        Ok(output) if output.status.success() => {
            let path = String::from_utf8_lossy(&output.stdout);
            let mut cargo = Command::new(path.trim());
            cargo
                .env("PATH", path_without(folder)?)
                .env_remove(CARGO_VAR);
            Ok(cargo)
        }
        _ => without(folder, "cargo"),
    }
}

/// A program as it is found where our own tools do not stand. What cargo starts finds the real one.
fn without(folder: &Path, program: &str) -> io::Result<Command> {
    let path = path_without(folder)?;
    let found = env::split_paths(&path)
        .map(|entry| entry.join(program))
        .find(|path| path.is_file());
    let found = found.ok_or_else(|| io::Error::other(format!("{program} is not on the PATH")))?;
    let mut command = Command::new(found);
    command.env("PATH", path).env_remove(CARGO_VAR);
    Ok(command)
}

fn path_without(folder: &Path) -> io::Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).filter(|entry| entry != folder);
    env::join_paths(folders).map_err(io::Error::other)
}
