//! The parts that a toolchain may lack, and the remedies.

use crate::release::ToolchainRelease;
use std::fmt;
use std::path::PathBuf;

/// The error of a toolchain that cannot compile cells.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToolchainError {
    /// rustc was not found.
    #[error("no rustc on the PATH")]
    NoRustc {
        /// The folder of rustup's programs, if it contains cargo.
        rustup_bin: Option<PathBuf>,
    },
    /// rustc failed.
    #[error("rustc failed: {message}")]
    RustcFailed {
        /// The output of rustc, or of rustup's proxy.
        message: String,
    },
    /// rustup has no toolchain of this name, or is not installed.
    #[error("there is no toolchain `{name}`: {message}")]
    NotFound {
        /// The name.
        name: String,
        /// The end of rustup's output.
        message: String,
    },
    /// The release is too old for the language of cells.
    #[error("{found}{} is too old; Rust {needed} is needed", origin(chosen_by.as_deref()))]
    TooOld {
        /// The version, such as `rustc 1.70.0 (…)`.
        found: String,
        /// The oldest release that compiles cells.
        needed: ToolchainRelease,
        /// The reason of rustup's choice, such as a toolchain file.
        chosen_by: Option<String>,
        /// True if rustup can update it.
        has_rustup: bool,
    },
    /// The standard library's source is missing, on which types and completions depend.
    #[error("the source of Rust's standard library is not installed: {} is missing", path.display())]
    NoSource {
        /// The path of a missing file.
        path: PathBuf,
        /// The toolchain's name, if rustup manages it.
        rustup: Option<String>,
    },
    /// The shared standard library is missing, to which cells are linked.
    #[error("the shared standard library (libstd-….so) is not in {}", folder.display())]
    NoSharedLibrary {
        /// The folder of the target's libraries.
        folder: PathBuf,
    },
    /// The linker that rustc uses is missing.
    #[error("no C compiler `cc` on the PATH, which rustc links with")]
    NoLinker,
    /// rustup could not install a component.
    #[error("rustup could not install {component} for {toolchain}: {message}")]
    NotInstalled {
        /// The component.
        component: &'static str,
        /// The toolchain.
        toolchain: String,
        /// The end of rustup's output.
        message: String,
    },
}

fn origin(chosen_by: Option<&str>) -> String {
    chosen_by.map_or_else(String::new, |reason| format!(" ({reason})"))
}

/// The remedy for a missing part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// A command that changes only the toolchain.
    Command(Vec<String>),
    /// Advice for a repair by hand.
    Advice(String),
}

impl Remedy {
    fn command(words: &[&str]) -> Self {
        Self::Command(words.iter().map(|word| (*word).to_owned()).collect())
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(words) => f.write_str(&words.join(" ")),
            Self::Advice(advice) => f.write_str(advice),
        }
    }
}

/// The advice for installing the source if rustup does not manage Rust.
const SOURCE_PACKAGES: &str = "install your distribution's package of it (Debian and Ubuntu: apt-get install rust-src; \
     Fedora: dnf install rust-src; Arch: pacman -S rust-src), or install Rust with rustup: https://rustup.rs";

impl ToolchainError {
    /// Returns the remedy.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::NoRustc {
                rustup_bin: Some(folder),
            } => Remedy::Advice(format!(
                "Rust is there, in {}; a new terminal has it on the PATH, and notebooks once `phalanx install` has run",
                folder.display()
            )),
            Self::NoRustc { rustup_bin: None } => {
                Remedy::Advice("install Rust with rustup: https://rustup.rs".to_owned())
            }
            Self::RustcFailed { .. } => Remedy::Advice(
                "see that `rustc --version` runs in this folder; `rustup show` names the toolchain that is chosen here, and why".to_owned(),
            ),
            Self::NotFound { .. } => Remedy::Advice(
                "`rustup toolchain list` shows those that are installed, and `rustup toolchain install` adds one".to_owned(),
            ),
            Self::TooOld {
                has_rustup: true,
                chosen_by: Some(reason),
                needed,
                ..
            } if reason.contains("overridden") => Remedy::Advice(format!(
                "name Rust {needed} or a newer one there, or start Jupyter in another folder"
            )),
            Self::TooOld {
                has_rustup: true, ..
            } => Remedy::command(&["rustup", "update", "stable"]),
            Self::TooOld { .. } => Remedy::Advice(
                "install a newer Rust, with rustup: https://rustup.rs".to_owned(),
            ),
            Self::NoSource {
                rustup: Some(toolchain),
                ..
            } => Remedy::command(&["rustup", "component", "add", "rust-src", "--toolchain", toolchain]),
            Self::NoSource { rustup: None, .. } => Remedy::Advice(SOURCE_PACKAGES.to_owned()),
            Self::NoSharedLibrary { .. } => {
                Remedy::Advice("install the toolchain with rustup: https://rustup.rs".to_owned())
            }
            Self::NoLinker => Remedy::Advice(
                "install one (Debian and Ubuntu: apt-get install gcc; Fedora: dnf install gcc)".to_owned(),
            ),
            Self::NotInstalled {
                component,
                toolchain,
                ..
            } => Remedy::Advice(format!(
                "with a network, run `rustup component add {component} --toolchain {toolchain}` and then the cell again"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_name_the_command_or_package() {
        let no_source = |rustup: Option<&str>| ToolchainError::NoSource {
            path: "/rust/lib.rs".into(),
            rustup: rustup.map(str::to_owned),
        };
        assert_eq!(
            no_source(Some("stable-x")).remedy().to_string(),
            "rustup component add rust-src --toolchain stable-x"
        );
        let packages = no_source(None).remedy().to_string();
        assert!(packages.contains("apt-get install rust-src"), "{packages}");
        let old = |reason: Option<&str>| ToolchainError::TooOld {
            found: "rustc 1.70.0".to_owned(),
            needed: ToolchainRelease::new(1, 95),
            chosen_by: reason.map(str::to_owned),
            has_rustup: true,
        };
        assert_eq!(
            old(Some("default")).remedy().to_string(),
            "rustup update stable"
        );
        let by_file = old(Some("overridden by '/n/rust-toolchain.toml'"));
        assert_eq!(
            by_file.to_string(),
            "rustc 1.70.0 (overridden by '/n/rust-toolchain.toml') is too old; Rust 1.95 is needed"
        );
        assert!(by_file.remedy().to_string().starts_with("name Rust 1.95"));
    }
}
