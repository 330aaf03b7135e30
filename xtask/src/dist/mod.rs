//! `cargo xtask dist`: the files of a release, in the build folder's `dist`.
//!
//! | module | contents |
//! |---|---|
//! | [`programs`] | both programs, linked for every Linux with glibc 2.28 or newer |
//! | [`stage`] | the files of an installation, relative to its prefix |
//! | [`wheel`] | a wheel for pip |
//! | [`third_party`] | the licences of the programs' dependencies |
//! | [`archive`] | a compressed archive, for everything else |
//! | [`crates`] | the library's packages, checked as by a registry |
//!
//! maturin would build and pack in one step, but it packs the programs of a single cargo package,
//! and always builds them itself. Hence zig links, as it does for maturin, through cargo-zigbuild,
//! and hatchling packs: the tests install a wheel of their own build, packed by the same code.

mod archive;
pub mod crates;
mod programs;
mod stage;
mod third_party;
pub mod wheel;

use crate::{exec, python::Python, workspace::Workspace};
use anyhow::{Context, Result};
use stage::Stage;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The version of everything in the workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The file with the checksums, in the format of `sha256sum --check`.
const SUMS: &str = "SHA256SUMS";

/// Builds the release, and prints the purpose of each file.
///
/// # Errors
/// Returns an error if a tool is missing or fails.
pub fn dist(workspace: &Workspace) -> Result<ExitCode> {
    let python = Python::prepare(workspace)?;
    let tools = Python::prepare_release_tools(workspace)?;
    crates::check(workspace, crates::Depth::Build)?;
    let built = programs::build(workspace, &tools)?;

    let folder = workspace.build("dist");
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let stage = Stage::make(workspace, &built, &workspace.build("dist-stage"))?;
    let wheel = wheel::pack(&python, &stage, wheel::Platform::Manylinux, &folder)?;
    programs::audit(&tools, &wheel)?;
    let archive = archive::pack(&stage, &folder)?;
    let sums = write_sums(&folder, &[&wheel, &archive])?;
    report(&wheel, &archive, &sums)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the SHA-256 checksums of files in this folder.
fn write_sums(folder: &Path, files: &[&Path]) -> Result<PathBuf> {
    let sums = folder.join(SUMS);
    let list = File::create(&sums).with_context(|| format!("cannot write {}", sums.display()))?;
    exec::run(
        exec::command("sha256sum")
            .current_dir(folder)
            .args(files.iter().filter_map(|file| file.file_name()))
            .stdout(list),
    )?;
    Ok(sums)
}

fn report(wheel: &Path, archive: &Path, sums: &Path) -> Result<()> {
    let name = archive::root_name();
    for (file, usage) in [
        (
            wheel,
            "pip install FILE, in the environment of Jupyter".to_owned(),
        ),
        (
            archive,
            format!(
                "tar --extract --file FILE --directory ~/.local --strip-components 1 {name}/bin {name}/share"
            ),
        ),
        (sums, format!("sha256sum --check {SUMS}, beside the files")),
    ] {
        let size = fs::metadata(file)
            .with_context(|| format!("cannot read {}", file.display()))?
            .len();
        println!("{} ({})\n    {usage}", file.display(), format_size(size));
    }
    Ok(())
}

/// Formats a size in a readable unit.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn format_size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_formatted_with_units() {
        assert_eq!(format_size(999), "999 bytes");
        assert_eq!(format_size(1_500), "1.5 kB");
        assert_eq!(format_size(42_440_000), "42.4 MB");
    }

    #[test]
    fn sums_can_be_checked_by_sha256sum() {
        let folder = std::env::temp_dir().join(format!("xtask-sums-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("a.whl");
        fs::write(&file, "a").unwrap();
        let sums = write_sums(&folder, &[&file]).unwrap();
        let text = fs::read_to_string(&sums).unwrap();
        let check = |folder: &Path| {
            exec::command("sha256sum")
                .current_dir(folder)
                .args(["--check", "--quiet", SUMS])
                .status()
                .unwrap()
                .success()
        };
        let unchanged_passes = check(&folder);
        fs::write(&file, "b").unwrap();
        let changed_passes = check(&folder);
        fs::remove_dir_all(&folder).unwrap();
        assert!(text.ends_with("  a.whl\n"), "{text}");
        assert!(unchanged_passes && !changed_passes);
    }
}
