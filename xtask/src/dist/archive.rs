//! A compressed archive of an installation, for users without pip and for cargo-binstall.

use super::stage::Stage;
use super::{VERSION, programs};
use crate::exec;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Returns the name of the archive's only folder, which is also its own name without extension.
pub fn root_name() -> String {
    format!("phalanx-{VERSION}-{}", programs::TARGET)
}

/// Packs the archive of a stage into a folder; returns its path.
///
/// # Errors
/// Returns an error if tar fails.
pub fn pack(stage: &Stage, to: &Path) -> Result<PathBuf> {
    let archive = to.join(format!("{}.tar.gz", root_name()));
    exec::run(
        exec::command("tar")
            // Makes the archive reproducible.
            .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
            .args(["--mtime=@0", "--mode=u=rwX,go=rX"])
            .args(["--transform", &format!("s,^,{}/,", root_name())])
            .args(["--create", "--gzip", "--file"])
            .arg(&archive)
            .arg("--directory")
            .arg(stage.folder())
            .args(["bin", "share"])
            .args(Stage::documents()),
    )?;
    Ok(archive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::stage::PROGRAMS;
    use crate::workspace::Workspace;
    use std::fs;

    /// Returns the value of a key in the manifest's `[package.metadata.binstall]`.
    fn binstall<'a>(manifest: &'a str, key: &str) -> &'a str {
        let (_, table) = manifest.split_once("[package.metadata.binstall]").unwrap();
        let (table, _) = table.split_once("\n[").unwrap_or((table, ""));
        let line = table.lines().find(|line| line.starts_with(key)).unwrap();
        line.split('"').nth(1).unwrap()
    }

    #[test]
    fn binstall_finds_the_programs_in_the_archive() {
        let workspace = Workspace::find().unwrap();
        let scratch = std::env::temp_dir().join(format!("xtask-archive-{}", std::process::id()));
        let programs = scratch.join("programs");
        fs::create_dir_all(&programs).unwrap();
        for program in PROGRAMS {
            fs::write(programs.join(program), program).unwrap();
        }
        let stage = Stage::make(&workspace, &programs, &scratch.join("stage")).unwrap();
        let archive = pack(&stage, &scratch).unwrap();
        let listed = exec::command("tar")
            .args(["--list", "--file"])
            .arg(&archive)
            .output()
            .unwrap();
        fs::remove_dir_all(&scratch).unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let listed: Vec<_> = listed.lines().collect();

        for (manifest, program) in [("kernel", "phalanx"), ("engine", "phalanx-engine")] {
            let manifest = workspace.path(manifest).join("Cargo.toml");
            let manifest = fs::read_to_string(manifest).unwrap();
            let expanded = |key| {
                binstall(&manifest, key)
                    .replace("{ version }", VERSION)
                    .replace("{ target }", programs::TARGET)
                    .replace("{ bin }", program)
                    .replace("{ archive-suffix }", ".tar.gz")
            };
            let file = archive.file_name().unwrap().to_str().unwrap();
            let url = expanded("pkg-url");
            assert_eq!(url.rsplit('/').next(), Some(file));
            assert!(listed.contains(&expanded("bin-dir").as_str()), "{listed:?}");
        }
        let kernelspec = format!("{}/share/jupyter/kernels/phalanx/kernel.json", root_name());
        assert!(listed.contains(&kernelspec.as_str()), "{listed:?}");
        let licence = format!("{}/LICENSE-MIT", root_name());
        assert!(listed.contains(&licence.as_str()), "{listed:?}");
        assert!(
            !listed.iter().any(|file| file.ends_with(".py")),
            "{listed:?}"
        );
    }
}
