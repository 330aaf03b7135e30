//! `phalanx doctor`: what is wrong on this machine, and the command that mends it.

use super::install::{
    InstallArgs, KernelSpec, folder_of, install, rustups_folder, sys_prefix, user_data,
};
use anyhow::{Context, bail, ensure};
use phalanx_evaluator::Backend;
use std::fmt;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Something that is wrong, and what mends it.
struct Trouble {
    wrong: String,
    mend: Mend,
}

/// What mends something.
#[derive(Clone, Copy)]
enum Mend {
    /// A command, which can be run from here.
    Command(&'static [&'static str]),
    /// `phalanx install`.
    Install,
    /// Something only a person can do.
    Advice(&'static str),
}

impl fmt::Display for Mend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(words) => f.write_str(&words.join(" ")),
            Self::Install => f.write_str("phalanx install"),
            Self::Advice(advice) => f.write_str(advice),
        }
    }
}

impl Mend {
    /// Mends, if that can be done from here.
    fn carry_out(self, backend: Option<Backend>) -> anyhow::Result<()> {
        match self {
            Self::Command(words) => {
                let (program, arguments) = words.split_first().context("an empty command")?;
                let status = Command::new(program).args(arguments).status();
                let status = status.with_context(|| format!("`{program}` could not be run"))?;
                ensure!(status.success(), "`{}` failed: {status}", words.join(" "));
                Ok(())
            }
            Self::Install => install(&InstallArgs::mending(), backend),
            Self::Advice(advice) => bail!("this has to be done by hand: {advice}"),
        }
    }
}

fn trouble(wrong: impl Into<String>, mend: Mend) -> Trouble {
    Trouble {
        wrong: wrong.into(),
        mend,
    }
}

/// Looks at one thing, and says what it is or what is wrong.
type Check = fn() -> Result<String, Trouble>;

/// Everything a kernel needs, in an order in which it can be mended.
const CHECKS: [(&str, Check); 8] = [
    ("rustc", rustc),
    ("cargo", cargo),
    ("rust-src", rust_src),
    ("linker", linker),
    ("loopback", loopback),
    ("engine", engine),
    ("jupyter", jupyter),
    ("kernelspec", kernelspec),
];

/// Looks at everything a kernel needs, and mends what is wrong if `fix` is set; fails when something
/// is wrong in the end.
pub(super) fn run(fix: bool, backend: Option<Backend>) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (what, check) in CHECKS {
        let mut found = check();
        if let (Err(Trouble { wrong, mend }), true) = (&found, fix) {
            println!("wrong  {what}: {wrong}\n       mending it: {mend}");
            found = match mend.carry_out(backend) {
                Ok(()) => check(),
                Err(error) => Err(trouble(format!("it was not mended: {error:#}"), *mend)),
            };
        }
        match found {
            Ok(found) => println!("ok     {what}: {found}"),
            Err(Trouble { wrong, mend }) => {
                println!("wrong  {what}: {wrong}\n       to mend it: {mend}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// How there comes to be a Rust.
fn get_rust() -> Mend {
    Mend::Advice(match rustups_folder() {
        Some(_) => {
            "Rust is there, in ~/.cargo/bin; a new terminal has it on the PATH, and notebooks once `phalanx install` has run"
        }
        None => "install Rust with rustup: https://rustup.rs",
    })
}

/// The first line a program prints, if it runs and succeeds.
fn first_line(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().next().unwrap_or_default().to_owned();
    output.status.success().then_some(line)
}

fn rustc() -> Result<String, Trouble> {
    let version = first_line("rustc", &["--version"])
        .ok_or_else(|| trouble("no rustc on the PATH", get_rust()))?;
    let wanted = env!("CARGO_PKG_RUST_VERSION");
    let number = version.split_whitespace().nth(1).unwrap_or_default();
    let part = |version: &str, at: usize| {
        let part = version.split('.').nth(at);
        part.and_then(|part| part.parse::<u32>().ok()).unwrap_or(0)
    };
    let order = |version: &str| (part(version, 0), part(version, 1));
    if order(number) < order(wanted) {
        let wrong = format!("{version}, but {wanted} is needed");
        return Err(trouble(
            wrong,
            Mend::Command(&["rustup", "update", "stable"]),
        ));
    }
    Ok(version)
}

fn cargo() -> Result<String, Trouble> {
    first_line("cargo", &["--version"]).ok_or_else(|| trouble("no cargo on the PATH", get_rust()))
}

fn rust_src() -> Result<String, Trouble> {
    let mend = Mend::Command(&["rustup", "component", "add", "rust-src"]);
    let sysroot = first_line("rustc", &["--print", "sysroot"])
        .ok_or_else(|| trouble("there is no rustc to ask", get_rust()))?;
    let library = Path::new(&sysroot).join("lib/rustlib/src/rust/library");
    if library.is_dir() {
        Ok(library.display().to_string())
    } else {
        Err(trouble(
            "completion and types need the library's source",
            mend,
        ))
    }
}

fn linker() -> Result<String, Trouble> {
    match folder_of("cc") {
        Some(folder) => Ok(folder.join("cc").display().to_string()),
        None => Err(trouble(
            "no C compiler `cc` on the PATH, which Rust links with",
            Mend::Advice("apt-get install gcc (or your system's equivalent)"),
        )),
    }
}

fn loopback() -> Result<String, Trouble> {
    match TcpListener::bind("127.0.0.1:0") {
        Ok(_) => Ok("ports can be opened on 127.0.0.1".to_owned()),
        Err(error) => Err(trouble(
            format!("no port can be opened on 127.0.0.1: {error}"),
            Mend::Advice("allow connections on the loopback interface"),
        )),
    }
}

fn engine() -> Result<String, Trouble> {
    let this = std::env::current_exe()
        .map_err(|error| trouble(error.to_string(), Mend::Advice("run phalanx by its path")))?;
    let small = this.with_file_name("phalanx-engine");
    Ok(if small.is_file() {
        small.display().to_string()
    } else {
        format!(
            "`{} engine` (there is no phalanx-engine beside it)",
            this.display()
        )
    })
}

fn jupyter() -> Result<String, Trouble> {
    first_line("jupyter", &["--version"])
        .map(|_| {
            folder_of("jupyter").map_or_else(String::new, |folder| folder.display().to_string())
        })
        .ok_or_else(|| {
            trouble(
                "no jupyter on the PATH",
                Mend::Command(&["python3", "-m", "pip", "install", "jupyterlab"]),
            )
        })
}

fn kernelspec() -> Result<String, Trouble> {
    let user = user_data().ok();
    let prefix = sys_prefix().ok().map(|prefix| prefix.join("share/jupyter"));
    let data: Vec<PathBuf> = user.into_iter().chain(prefix).collect();
    let folders = data.iter().map(|data| data.join("kernels/phalanx"));
    let mut found = folders.filter_map(|folder| Some((KernelSpec::read(&folder)?, folder)));
    if let Some((spec, folder)) = found.next() {
        let program = spec.argv.first().cloned().unwrap_or_default();
        let runs = Path::new(&program).is_file() || folder_of(&program).is_some();
        if !runs {
            let wrong = format!("{} starts {program}, which is not there", folder.display());
            return Err(trouble(wrong, Mend::Install));
        }
        let this = std::env::current_exe().ok();
        if Path::new(&program).is_absolute() && this.as_deref() != Some(Path::new(&program)) {
            let wrong = format!("{} starts another phalanx: {program}", folder.display());
            return Err(trouble(wrong, Mend::Install));
        }
        // One that is found on the PATH finds cargo there too.
        if Path::new(&program).is_relative() && folder_of("cargo").is_some() {
            return Ok(folder.display().to_string());
        }
        // A frontend started from a desktop has no login shell's PATH.
        let path = spec.env.get("PATH").cloned().unwrap_or_default();
        let path = path.replace("${PATH}", "/usr/local/bin:/usr/bin:/bin");
        if !std::env::split_paths(&path).any(|folder| folder.join("cargo").is_file()) {
            let wrong = format!("{} does not say where cargo is", folder.display());
            return Err(trouble(wrong, Mend::Install));
        }
        return Ok(folder.display().to_string());
    }
    Err(trouble(
        "not installed for this user or environment",
        Mend::Install,
    ))
}
