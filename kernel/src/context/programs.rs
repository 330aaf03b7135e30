//! The programs of the kernel's child processes.

use phalanx_analysis::handle::AnalysisConfig;
use phalanx_evaluator::{Backend, EvaluatorConfig, analysis_config};
use phalanx_protocol::evaluator::NamespaceKind;
use phalanx_runtime::{RuntimeConfig, StdinSource};
use std::io;
use std::path::PathBuf;

/// The program of the child processes, and the evaluators' backend.
#[derive(Clone, Debug)]
pub struct Programs {
    phalanx: PathBuf,
    backend: Backend,
    /// The socket of the analysis process, once it has started.
    analysis: Option<PathBuf>,
}

impl Programs {
    /// Uses the running program.
    ///
    /// # Errors
    /// Returns an error if the path of the running program cannot be determined.
    pub fn current(backend: Backend) -> io::Result<Self> {
        Ok(Self {
            phalanx: std::env::current_exe()?,
            backend,
            analysis: None,
        })
    }

    /// Uses another program, with the echo backend.
    #[cfg(all(test, feature = "echo"))]
    pub fn of(phalanx: PathBuf) -> Self {
        Self {
            phalanx,
            backend: Backend::Echo,
            analysis: None,
        }
    }

    /// Returns the configuration of the analysis process.
    pub fn analysis(&self) -> AnalysisConfig {
        analysis_config(self.phalanx.clone(), self.backend)
    }

    /// Sets the analysis process that evaluators use.
    #[must_use]
    pub fn asking(self, analysis: PathBuf) -> Self {
        Self {
            analysis: Some(analysis),
            ..self
        }
    }

    /// Returns the configuration of an evaluator process.
    pub fn evaluator(&self, kind: NamespaceKind) -> EvaluatorConfig {
        EvaluatorConfig {
            program: self.phalanx.clone(),
            kind,
            backend: self.backend,
            analysis: self.analysis.clone(),
        }
    }

    /// Returns the program and arguments of an engine: `phalanx-engine` beside this program if it
    /// exists, else this program.
    pub fn engine(&self) -> (PathBuf, &'static [&'static str]) {
        let small = self.phalanx.with_file_name("phalanx-engine");
        // A `phalanx-engine` beside a kernel under test may lack the echo backend.
        if is_twin(self.backend) || !small.is_file() {
            (self.phalanx.clone(), &["engine"])
        } else {
            (small, &[])
        }
    }

    /// Returns the configuration of a runtime process.
    pub fn runtime(&self) -> RuntimeConfig {
        RuntimeConfig {
            program: self.phalanx.clone(),
            args: vec!["runtime".into()],
            env: Vec::new(),
            input: StdinSource::Owner,
        }
    }
}

fn is_twin(backend: Backend) -> bool {
    match backend {
        #[cfg(feature = "echo")]
        Backend::Echo => true,
        #[allow(unreachable_patterns, reason = "the backends depend on the features")]
        _ => false,
    }
}
