//! `phalanx install` and `phalanx uninstall`: the kernel's registration with Jupyter.

use super::{lab_extension, trial};
use anyhow::{Context, bail, ensure};
use phalanx_evaluator::Backend;
use phalanx_toolchain::rustup;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The logos of the kernelspec, by file name.
const LOGOS: [(&str, &[u8]); 3] = [
    (
        "logo-32x32.png",
        include_bytes!("../../../kernelspec/logo-32x32.png"),
    ),
    (
        "logo-64x64.png",
        include_bytes!("../../../kernelspec/logo-64x64.png"),
    ),
    (
        "logo-svg.svg",
        include_bytes!("../../../kernelspec/logo-svg.svg"),
    ),
];

/// The template of the kernelspec; `install` sets the fields that depend on the machine.
const KERNELSPEC: &str = include_str!("../../../kernelspec/kernel.json");

/// The location of a kernelspec.
#[derive(clap::Args, Clone, Debug, Default, PartialEq)]
#[group(multiple = false)]
pub(super) struct Location {
    /// For the current user only (the default).
    #[arg(long)]
    user: bool,
    /// In the active Python environment.
    #[arg(long)]
    sys_prefix: bool,
    /// Under this prefix: DIR/share/jupyter/kernels.
    #[arg(long, value_name = "DIR")]
    prefix: Option<PathBuf>,
}

/// Options of `phalanx install`.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct InstallArgs {
    #[command(flatten)]
    location: Location,
    /// Name of the kernel in Jupyter.
    #[arg(long, default_value = "phalanx")]
    name: String,
    /// Name of the kernel shown to users.
    #[arg(long)]
    display_name: Option<String>,
    /// Replace a kernelspec of the same name that belongs to another kernel.
    #[arg(long)]
    force: bool,
    /// Only write the kernelspec into this folder; `jupyter kernelspec install DIR` installs it
    /// from there, under the folder's name.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["user", "sys_prefix", "prefix"])]
    spec: Option<PathBuf>,
    /// Do not build the library that every notebook uses; the first cell builds it then.
    #[arg(long)]
    no_build: bool,
}

impl InstallArgs {
    /// Returns true if no location, name or other detail of the kernelspec is given.
    fn is_plain(&self) -> bool {
        self.location == Location::default()
            && self.name == "phalanx"
            && self.display_name.is_none()
            && self.spec.is_none()
            && !self.force
    }

    /// Returns the options that repair an installation: those of the current user.
    pub(super) fn mending() -> Self {
        Self {
            location: Location {
                user: true,
                sys_prefix: false,
                prefix: None,
            },
            name: "phalanx".to_owned(),
            display_name: None,
            force: false,
            spec: None,
            no_build: false,
        }
    }
}

/// Options of `phalanx uninstall`.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct UninstallArgs {
    #[command(flatten)]
    location: Location,
    /// Name of the kernel in Jupyter.
    #[arg(long, default_value = "phalanx")]
    name: String,
}

/// `kernel.json`; <https://jupyter-client.readthedocs.io/en/latest/kernels.html#kernel-specs>.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KernelSpec {
    pub(super) argv: Vec<String>,
    display_name: String,
    language: String,
    interrupt_mode: String,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

impl KernelSpec {
    /// Returns true if it starts a Phalanx kernel.
    pub(super) fn is_ours(&self) -> bool {
        let program = self.argv.first().map(Path::new);
        program
            .and_then(Path::file_name)
            .is_some_and(|name| name == "phalanx")
    }

    /// Returns the program it starts, with the kernelspec's folder substituted as Jupyter does.
    pub(super) fn program(&self, folder: &Path) -> PathBuf {
        let program = self.argv.first().map_or("", String::as_str);
        let program = program.replace("{resource_dir}", &folder.display().to_string());
        let program = PathBuf::from(program);
        // Resolves `..` in a path from the kernelspec's folder.
        match program.canonicalize() {
            Ok(found) if program.is_absolute() => found,
            _ => program,
        }
    }

    /// Reads the kernelspec of a folder, if it has a valid one.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        let text = fs::read(folder.join("kernel.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

/// Installs the kernelspec, whose command is this program, and the extension for JupyterLab; prints
/// the location, and builds the library that the first cell needs. Does only the last if a package
/// has installed the kernelspec.
pub(super) fn install(args: &InstallArgs, backend: Option<Backend>) -> anyhow::Result<()> {
    if args.is_plain()
        && let Some((spec, folder)) = packaged_kernelspec()
    {
        println!(
            "The kernelspec is installed already: it came with this program, by pip or from the archive, in {}",
            folder.display()
        );
        make_ready(&spec, args, backend);
        return Ok(());
    }
    let folder = match &args.spec {
        Some(folder) => folder.clone(),
        None => args.location.folder(&args.name)?,
    };
    let theirs = folder.exists() && !KernelSpec::read(&folder).is_some_and(|spec| spec.is_ours());
    if theirs && !args.force {
        bail!(
            "{} is a kernelspec of another program; choose another --name, or replace it with --force",
            folder.display()
        );
    }
    let mut spec: KernelSpec =
        serde_json::from_str(KERNELSPEC).context("the built-in kernelspec")?;
    let program = std::env::current_exe().context("the path of this program is unknown")?;
    let Some(first) = spec.argv.first_mut() else {
        bail!("the built-in kernelspec starts nothing");
    };
    *first = program.display().to_string();
    if let Some(name) = &args.display_name {
        spec.display_name.clone_from(name);
    }
    match folder_of("cargo").or_else(rustup::programs) {
        // Jupyter expands `${PATH}`; a frontend started from a desktop lacks a login shell's PATH.
        Some(cargo) => {
            let path = format!("{}:${{PATH}}", cargo.display());
            spec.env.insert("PATH".to_owned(), path);
        }
        None => eprintln!(
            "phalanx: no cargo on the PATH; cells cannot be compiled before Rust is installed and `phalanx install` has run again"
        ),
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, bytes) in LOGOS {
        write(&folder.join(name), bytes)?;
    }
    let json = serde_json::to_string_pretty(&spec).context("the kernelspec")?;
    write(&folder.join("kernel.json"), json.as_bytes())?;
    if args.spec.is_some() {
        println!("Wrote a kernelspec to {}", folder.display());
        return Ok(());
    }
    lab_extension::install(&folder)?;
    println!(
        "Installed the kernelspec `{}` in {}",
        args.name,
        folder.display()
    );
    make_ready(&spec, args, backend);
    Ok(())
}

/// Builds the library that the first cell needs, and prints the commands to start.
fn make_ready(spec: &KernelSpec, args: &InstallArgs, backend: Option<Backend>) {
    if let (Some(backend), false) = (backend, args.no_build) {
        build_library(backend);
    }
    println!(
        "To start: `jupyter lab`, and there \"{}\"; or `jupyter console --kernel {}`.",
        spec.display_name, args.name
    );
}

/// Returns the kernelspec packaged with the running program, and its folder. It is under the same
/// prefix and names the program without an absolute path, unlike one written by `install`.
fn packaged_kernelspec() -> Option<(KernelSpec, PathBuf)> {
    let program = std::env::current_exe().ok()?;
    let prefix = program.parent()?.parent()?;
    let folder = prefix.join("share/jupyter/kernels/phalanx");
    let spec = KernelSpec::read(&folder)?;
    let starts = spec.argv.first().map(Path::new)?;
    (spec.is_ours() && starts.is_relative()).then_some((spec, folder))
}

/// Builds the library that every cell uses, and prints the progress and the time taken.
fn build_library(backend: Backend) {
    println!(
        "Building the library that every cell uses. It is kept, so this takes half a minute once and a moment later."
    );
    match trial::build_library(backend, |line| println!("  {line}")) {
        Ok(took) => println!("Ready after {:.1} s.", took.as_secs_f64()),
        Err(error) => eprintln!(
            "phalanx: the library could not be built, and the first cell will try again: {error:#}"
        ),
    }
}

/// Removes the kernelspec.
pub(super) fn uninstall(args: &UninstallArgs) -> anyhow::Result<()> {
    let folder = args.location.folder(&args.name)?;
    ensure!(
        folder.join("kernel.json").is_file(),
        "there is no kernelspec in {}",
        folder.display()
    );
    ensure!(
        KernelSpec::read(&folder).is_some_and(|spec| spec.is_ours()),
        "{} is a kernelspec of another program; remove it with `jupyter kernelspec remove {}`",
        folder.display(),
        args.name
    );
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    lab_extension::uninstall(&folder)?;
    println!("Removed kernelspec {} from {}", args.name, folder.display());
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

impl Location {
    /// Returns the folder of a kernelspec.
    fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let is_valid = !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        ensure!(
            is_valid,
            "`{name}` cannot be a kernelspec's name: letters, digits, `.`, `_` and `-` only"
        );
        let data = match (&self.prefix, self.sys_prefix) {
            (Some(prefix), _) => prefix.join("share/jupyter"),
            (None, true) => sys_prefix()?.join("share/jupyter"),
            (None, false) => user_data()?,
        };
        Ok(data.join("kernels").join(name.to_lowercase()))
    }
}

/// Returns Jupyter's data folder of the current user.
pub(super) fn user_data() -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("JUPYTER_DATA_DIR") {
        return Ok(folder.into());
    }
    let data = dirs::data_dir().context("there is no home folder; use --prefix or --sys-prefix")?;
    Ok(data.join("jupyter"))
}

/// Returns the prefix of the active Python environment.
pub(super) fn sys_prefix() -> anyhow::Result<PathBuf> {
    for variable in ["VIRTUAL_ENV", "CONDA_PREFIX"] {
        if let Some(prefix) = std::env::var_os(variable) {
            return Ok(prefix.into());
        }
    }
    let output = Command::new("python3")
        .args(["-c", "import sys; print(sys.prefix)"])
        .output()
        .context("no Python environment is active, and there is no python3; use --prefix")?;
    ensure!(
        output.status.success(),
        "python3 does not print its prefix; use --prefix"
    );
    let prefix = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(prefix.into())
}

/// Returns the first folder on the PATH that contains a program of this name.
pub(super) fn folder_of(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|folder| folder.join(program).is_file())
}
