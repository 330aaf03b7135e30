//! The programs of the kernel's own processes.

use phalanx_analysis::handle::AnalysisConfig;
use phalanx_evaluator::{Backend, EvaluatorConfig, analysis_config};
use phalanx_protocol::evaluator::NamespaceKind;
use phalanx_runtime::{RuntimeConfig, StdinSource};
use std::io;
use std::path::PathBuf;

/// The program all processes are made of, and what they evaluate with.
#[derive(Clone, Debug)]
pub struct Programs {
    phalanx: PathBuf,
    backend: Backend,
    /// The socket of the analysis process, once it is started.
    analysis: Option<PathBuf>,
}

impl Programs {
    /// Processes of the program that is running.
    ///
    /// # Errors
    /// When the system does not say which that is.
    pub fn current(backend: Backend) -> io::Result<Self> {
        Ok(Self {
            phalanx: std::env::current_exe()?,
            backend,
            analysis: None,
        })
    }

    /// Processes of another program, with the twin.
    #[cfg(all(test, feature = "echo"))]
    pub fn of(phalanx: PathBuf) -> Self {
        Self {
            phalanx,
            backend: Backend::Echo,
            analysis: None,
        }
    }

    /// The analysis process.
    pub fn analysis(&self) -> AnalysisConfig {
        analysis_config(self.phalanx.clone(), self.backend)
    }

    /// The same, with the analysis process that evaluators ask.
    #[must_use]
    pub fn asking(self, analysis: PathBuf) -> Self {
        Self {
            analysis: Some(analysis),
            ..self
        }
    }

    /// An evaluator process.
    pub fn evaluator(&self, kind: NamespaceKind) -> EvaluatorConfig {
        EvaluatorConfig {
            program: self.phalanx.clone(),
            kind,
            backend: self.backend,
            analysis: self.analysis.clone(),
        }
    }

    /// An engine process: the small program beside this one where there is one, else this program.
    pub fn engine(&self) -> (PathBuf, &'static [&'static str]) {
        let small = self.phalanx.with_file_name("phalanx-engine");
        // The small program beside a kernel under test may have been built without the twin.
        if is_twin(self.backend) || !small.is_file() {
            (self.phalanx.clone(), &["engine"])
        } else {
            (small, &[])
        }
    }

    /// A runtime process.
    pub fn runtime(&self) -> RuntimeConfig {
        RuntimeConfig {
            program: self.phalanx.clone(),
            args: vec!["runtime".into()],
            env: Vec::new(),
            input: StdinSource::Asks,
        }
    }
}

fn is_twin(backend: Backend) -> bool {
    match backend {
        #[cfg(feature = "echo")]
        Backend::Echo => true,
        #[allow(
            unreachable_patterns,
            reason = "which backends there are is a matter of features"
        )]
        _ => false,
    }
}
