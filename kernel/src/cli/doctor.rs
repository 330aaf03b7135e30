//! `phalanx doctor`: checks this machine and repairs what it can.

use super::install::{InstallArgs, KernelSpec, folder_of, install, sys_prefix, user_data};
use super::trial;
use anyhow::{Context, bail, ensure};
use phalanx_evaluator::{Backend, FolderError, cache_folder, check_folders};
use phalanx_toolchain::{ActiveToolchain, Remedy, ToolchainError, ToolchainRelease, linker};
use std::fmt;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// A failed check and its repair.
struct Finding {
    wrong: String,
    repair: Repair,
}

/// A repair.
#[derive(Clone)]
enum Repair {
    /// A command, or advice for a repair by hand.
    Remedy(Remedy),
    /// `phalanx install`.
    Install,
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remedy(remedy) => remedy.fmt(f),
            Self::Install => f.write_str("phalanx install"),
        }
    }
}

impl Repair {
    fn advice(text: impl Into<String>) -> Self {
        Self::Remedy(Remedy::Advice(text.into()))
    }

    /// Carries out the repair, if it is a command.
    fn carry_out(&self, backend: Option<Backend>) -> anyhow::Result<()> {
        match self {
            Self::Remedy(Remedy::Command(words)) => {
                let (program, arguments) = words.split_first().context("an empty command")?;
                let status = Command::new(program).args(arguments).status();
                let status = status.with_context(|| format!("`{program}` could not be run"))?;
                ensure!(status.success(), "`{}` failed: {status}", words.join(" "));
                Ok(())
            }
            Self::Remedy(Remedy::Advice(advice)) => {
                bail!("this has to be done by hand: {advice}")
            }
            Self::Install => install(&InstallArgs::mending(), backend),
        }
    }
}

impl From<ToolchainError> for Finding {
    fn from(error: ToolchainError) -> Self {
        finding(error.to_string(), Repair::Remedy(error.remedy()))
    }
}

impl From<FolderError> for Finding {
    fn from(error: FolderError) -> Self {
        finding(error.to_string(), Repair::advice(error.remedy()))
    }
}

fn finding(wrong: impl Into<String>, repair: Repair) -> Finding {
    Finding {
        wrong: wrong.into(),
        repair,
    }
}

/// A check: returns a description of the component, or a finding.
type Check = fn() -> Result<String, Finding>;

/// All checks, in an order in which they can be repaired.
const CHECKS: [(&str, Check); 9] = [
    ("rustc", rustc),
    ("cargo", cargo),
    ("rust-src", rust_src),
    ("linker", c_compiler),
    ("folders", folders),
    ("loopback", loopback),
    ("engine", engine),
    ("jupyter", jupyter),
    ("kernelspec", kernelspec),
];

/// The checks that a cell depends on.
const NEEDED_BY_CELLS: [&str; 5] = ["rustc", "cargo", "rust-src", "linker", "folders"];

/// Runs all checks, and repairs findings if `fix` is set; returns failure if a finding remains.
pub(super) fn run(fix: bool, backend: Option<Backend>) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    let mut can_compile = true;
    for (name, check) in CHECKS {
        let mut found = check();
        if let (Err(Finding { wrong, repair }), true) = (&found, fix) {
            println!("wrong  {name}: {wrong}\n       repairing it: {repair}");
            found = match repair.carry_out(backend) {
                Ok(()) => check(),
                Err(error) => Err(finding(
                    format!("the repair failed: {error:#}"),
                    repair.clone(),
                )),
            };
        }
        match found {
            Ok(found) => println!("ok     {name}: {found}"),
            Err(Finding { wrong, repair }) => {
                println!("wrong  {name}: {wrong}\n       to repair it: {repair}");
                code = ExitCode::FAILURE;
                can_compile &= !NEEDED_BY_CELLS.contains(&name);
            }
        }
    }
    if !can_compile {
        println!("-      a cell: not tried");
    } else if let Some(backend) = backend
        && let Err(error) = try_cell(backend)
    {
        println!("wrong  a cell: {error:#}");
        code = ExitCode::FAILURE;
    }
    code
}

/// Compiles a cell with an inferred type; prints a note first if this rustc is untested.
fn try_cell(backend: Backend) -> anyhow::Result<()> {
    if let Ok(toolchain) = ActiveToolchain::find(Path::new("."))
        && let Some(release) = toolchain.untested()
    {
        println!(
            "note   rustc: Rust {release} is newer than {}, the newest that this version of Phalanx was tested with; \
             if cells fail or completion is empty, `rustup override set {}` in the notebooks' folder helps",
            ToolchainRelease::NEWEST_TESTED,
            ToolchainRelease::NEWEST_TESTED,
        );
    }
    let took = trial::compile_cell(backend, |line| println!("       {line}"))?;
    println!(
        "ok     a cell: compiled and its type inferred, {:.1} s after the evaluator was started",
        took.as_secs_f64()
    );
    Ok(())
}

/// Returns the first line a program prints, if it succeeds.
fn first_line(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().next().unwrap_or_default().to_owned();
    output.status.success().then_some(line)
}

fn rustc() -> Result<String, Finding> {
    let toolchain = ActiveToolchain::find(Path::new("."))?;
    toolchain.check_release()?;
    toolchain.shared_library()?;
    Ok(match &toolchain.rustup {
        Some(choice) => format!("{}, {} ({})", toolchain.version, choice.name, choice.reason),
        None => format!("{}, {}", toolchain.version, toolchain.sysroot.display()),
    })
}

fn cargo() -> Result<String, Finding> {
    first_line("cargo", &["--version"]).ok_or_else(|| {
        let error = ToolchainError::NoRustc {
            rustup_bin: phalanx_toolchain::rustup::programs(),
        };
        finding("no cargo on the PATH", Repair::Remedy(error.remedy()))
    })
}

fn rust_src() -> Result<String, Finding> {
    let source = ActiveToolchain::find(Path::new("."))?.library_source()?;
    Ok(source.display().to_string())
}

fn c_compiler() -> Result<String, Finding> {
    Ok(linker()?.display().to_string())
}

fn folders() -> Result<String, Finding> {
    check_folders()?;
    Ok(format!(
        "{} (kept), {} (temporary)",
        cache_folder()?.display(),
        std::env::temp_dir().display()
    ))
}

fn loopback() -> Result<String, Finding> {
    match TcpListener::bind("127.0.0.1:0") {
        Ok(_) => Ok("ports can be opened on 127.0.0.1".to_owned()),
        Err(error) => Err(finding(
            format!("no port can be opened on 127.0.0.1: {error}"),
            Repair::advice("allow connections on the loopback interface"),
        )),
    }
}

fn engine() -> Result<String, Finding> {
    let this = std::env::current_exe()
        .map_err(|error| finding(error.to_string(), Repair::advice("run phalanx by its path")))?;
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

fn jupyter() -> Result<String, Finding> {
    let words = ["python3", "-m", "pip", "install", "jupyterlab"];
    first_line("jupyter", &["--version"])
        .map(|_| {
            folder_of("jupyter").map_or_else(String::new, |folder| folder.display().to_string())
        })
        .ok_or_else(|| {
            finding(
                "no jupyter on the PATH",
                Repair::Remedy(Remedy::Command(words.map(str::to_owned).to_vec())),
            )
        })
}

fn kernelspec() -> Result<String, Finding> {
    let user = user_data().ok();
    let prefix = sys_prefix().ok().map(|prefix| prefix.join("share/jupyter"));
    let data: Vec<PathBuf> = user.into_iter().chain(prefix).collect();
    let folders = data.iter().map(|data| data.join("kernels/phalanx"));
    let mut found = folders.filter_map(|folder| Some((KernelSpec::read(&folder)?, folder)));
    if let Some((spec, folder)) = found.next() {
        let program = spec.program(&folder);
        let shown = program.display();
        let name = program.to_string_lossy();
        if !program.is_file() && folder_of(&name).is_none() {
            let wrong = format!("{} starts {shown}, which does not exist", folder.display());
            return Err(finding(wrong, Repair::Install));
        }
        let this = std::env::current_exe().ok();
        if program.is_absolute() && this.as_ref() != Some(&program) {
            let wrong = format!("{} starts another phalanx: {shown}", folder.display());
            return Err(finding(wrong, Repair::Install));
        }
        // A kernelspec without PATH, as packaged, finds cargo by Jupyter's own PATH.
        if !spec.env.contains_key("PATH") && folder_of("cargo").is_some() {
            return Ok(folder.display().to_string());
        }
        // A frontend started from a desktop lacks a login shell's PATH.
        let path = spec.env.get("PATH").cloned().unwrap_or_default();
        let path = path.replace("${PATH}", "/usr/local/bin:/usr/bin:/bin");
        if !std::env::split_paths(&path).any(|folder| folder.join("cargo").is_file()) {
            let wrong = format!("{} has no PATH on which cargo is found", folder.display());
            return Err(finding(wrong, Repair::Install));
        }
        return Ok(folder.display().to_string());
    }
    Err(finding(
        "not installed for this user or environment",
        Repair::Install,
    ))
}
