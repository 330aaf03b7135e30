//! The analysis process, whose initial crate has the dependencies of every namespace.

use crate::evaluate::Backend;
use phalanx_analysis::handle::AnalysisConfig;
use phalanx_analysis::process::process_main;
#[cfg(feature = "evcxr")]
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Returns the configuration of a kernel's analysis process: a program whose `main` calls
/// [`analysis_main`] for the arguments `analysis [--echo]`.
#[must_use]
pub fn analysis_config(program: PathBuf, backend: Backend) -> AnalysisConfig {
    let args = match backend {
        #[cfg(feature = "evcxr")]
        Backend::Evcxr => vec!["analysis"],
        #[cfg(feature = "echo")]
        Backend::Echo => vec!["analysis", "--echo"],
    };
    AnalysisConfig {
        program,
        args: args.into_iter().map(Into::into).collect(),
        env: match backend {
            #[cfg(feature = "evcxr")]
            Backend::Evcxr => toolchain,
            #[cfg(feature = "echo")]
            Backend::Echo => Vec::new,
        },
    }
}

/// Returns the toolchain of the folder the kernel was started in, which evaluators use as well.
#[cfg(feature = "evcxr")]
fn toolchain() -> Vec<(OsString, OsString)> {
    use phalanx_toolchain::rustup::TOOLCHAIN_VAR;
    let variable = crate::handle::toolchain_name().map(|name| (TOOLCHAIN_VAR.into(), name.into()));
    variable.into_iter().collect()
}

/// The main function of the analysis process; called by `phalanx analysis`.
pub fn analysis_main(backend: Backend) -> ExitCode {
    match backend {
        #[cfg(feature = "evcxr")]
        Backend::Evcxr => process_main(crate::evcxr::analyzer),
        #[cfg(feature = "echo")]
        Backend::Echo => process_main(|| crate::echo::Analyst),
    }
}
