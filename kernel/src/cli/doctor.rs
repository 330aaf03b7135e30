//! `phalanx doctor`: what is wrong on this machine, and the command that mends it.

use super::install::{KernelSpec, folder_of, sys_prefix, user_data};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What one look has found.
struct Finding {
    what: &'static str,
    found: Result<String, Trouble>,
}

/// Something that is wrong, and what mends it.
struct Trouble {
    wrong: String,
    mend: &'static str,
}

fn trouble(wrong: impl Into<String>, mend: &'static str) -> Trouble {
    Trouble {
        wrong: wrong.into(),
        mend,
    }
}

/// Looks at everything a kernel needs; fails when something it cannot do without is missing.
pub(super) fn run() -> ExitCode {
    let findings = [
        ("rustc", rustc()),
        ("cargo", cargo()),
        ("rust-src", rust_src()),
        ("linker", linker()),
        ("loopback", loopback()),
        ("engine", engine()),
        ("jupyter", jupyter()),
        ("kernelspec", kernelspec()),
    ]
    .map(|(what, found)| Finding { what, found });
    let mut code = ExitCode::SUCCESS;
    for Finding { what, found } in findings {
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

const INSTALL_RUST: &str = "install Rust with rustup: https://rustup.rs";

/// The first line a program prints, if it runs and succeeds.
fn first_line(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().next().unwrap_or_default().to_owned();
    output.status.success().then_some(line)
}

fn rustc() -> Result<String, Trouble> {
    let version = first_line("rustc", &["--version"])
        .ok_or_else(|| trouble("no rustc on the PATH", INSTALL_RUST))?;
    let wanted = env!("CARGO_PKG_RUST_VERSION");
    let number = version.split_whitespace().nth(1).unwrap_or_default();
    let part = |version: &str, at: usize| {
        let part = version.split('.').nth(at);
        part.and_then(|part| part.parse::<u32>().ok()).unwrap_or(0)
    };
    let order = |version: &str| (part(version, 0), part(version, 1));
    if order(number) < order(wanted) {
        let wrong = format!("{version}, but {wanted} is needed");
        return Err(trouble(wrong, "rustup update"));
    }
    Ok(version)
}

fn cargo() -> Result<String, Trouble> {
    first_line("cargo", &["--version"]).ok_or_else(|| trouble("no cargo on the PATH", INSTALL_RUST))
}

fn rust_src() -> Result<String, Trouble> {
    let mend = "rustup component add rust-src";
    let sysroot = first_line("rustc", &["--print", "sysroot"])
        .ok_or_else(|| trouble("there is no rustc to ask", INSTALL_RUST))?;
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
            "apt-get install gcc (or your system's equivalent)",
        )),
    }
}

fn loopback() -> Result<String, Trouble> {
    match TcpListener::bind("127.0.0.1:0") {
        Ok(_) => Ok("ports can be opened on 127.0.0.1".to_owned()),
        Err(error) => Err(trouble(
            format!("no port can be opened on 127.0.0.1: {error}"),
            "allow connections on the loopback interface",
        )),
    }
}

fn engine() -> Result<String, Trouble> {
    let this = std::env::current_exe()
        .map_err(|error| trouble(error.to_string(), "run phalanx by its path"))?;
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
        .ok_or_else(|| trouble("no jupyter on the PATH", "pip install jupyterlab"))
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
            return Err(trouble(wrong, "phalanx install"));
        }
        return Ok(folder.display().to_string());
    }
    Err(trouble(
        "not installed for this user or environment",
        "phalanx install",
    ))
}
