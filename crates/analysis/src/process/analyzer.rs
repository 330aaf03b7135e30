//! The handler of requests: keeps a crate loaded that has the dependencies of all evaluators.

use super::Analyze;
use crate::AnalyzedCrate;
use crate::error::AnalysisError;
use crate::manifest::DependencyTable;
use phalanx_protocol::analysis::{AnalysisReply, AnalysisRequest, AnalyzedCell};
use std::path::{Path, PathBuf};

/// A cell that uses common features, analyzed in advance to fill the caches.
const WARM_UP_CELL: &str = "let a = vec![1u64, 2].iter().map(|x| x + 1).collect::<Vec<_>>();\n\
    let b = format!(\"{a:?}\").len();\n\
    let c = std::collections::HashMap::from([(1, \"a\".to_string())]);";

/// rust-analyzer with a crate of its own, which contains the current cell.
pub struct CellAnalyzer {
    folder: PathBuf,
    dependencies: DependencyTable,
    analysis: Option<AnalyzedCrate>,
    /// True until the caches of a loaded crate are filled.
    is_cold: bool,
    /// True after a panic, until the crate is loaded anew.
    is_lost: bool,
}

impl CellAnalyzer {
    /// Loads the standard library and the dependencies of the crate in `first`; the cells' crate is
    /// written to `folder`.
    #[must_use]
    pub fn start(folder: PathBuf, first: &Path) -> Self {
        let mut analyzer = Self {
            folder,
            dependencies: DependencyTable::default(),
            analysis: None,
            is_cold: false,
            is_lost: false,
        };
        analyzer.load(first, false);
        analyzer
    }

    fn load(&mut self, added: &Path, is_forced: bool) {
        let loaded = self.dependencies.add(added).and_then(|has_changed| {
            // A starting evaluator may have added the standard library's source meanwhile.
            let has_library = self
                .analysis
                .as_ref()
                .is_some_and(AnalyzedCrate::has_library);
            if has_changed || is_forced || !has_library {
                self.dependencies.write(&self.folder, added)?;
                self.reload()?;
            }
            Ok(())
        });
        if let Err(error) = loaded {
            eprintln!("analysis: {error}");
        }
    }

    fn reload(&mut self) -> Result<(), AnalysisError> {
        self.is_cold = true;
        match &mut self.analysis {
            Some(analysis) => analysis.reload(),
            None => {
                self.analysis = Some(AnalyzedCrate::load(&self.folder)?);
                Ok(())
            }
        }
    }

    fn ask(
        &mut self,
        query: impl FnOnce(&mut AnalyzedCrate) -> Result<AnalysisReply, AnalysisError>,
    ) -> AnalysisReply {
        let Some(analysis) = &mut self.analysis else {
            return AnalysisReply::Unknown;
        };
        match query(analysis) {
            Ok(reply) => reply,
            Err(AnalysisError::TooLate) => AnalysisReply::Unknown,
            Err(error) => {
                eprintln!("analysis: {error}");
                // Its database may be inconsistent.
                self.analysis = None;
                self.is_lost = true;
                AnalysisReply::Unknown
            }
        }
    }
}

impl Analyze for CellAnalyzer {
    fn answer(&mut self, request: AnalysisRequest) -> Option<AnalysisReply> {
        Some(match request {
            AnalysisRequest::Load { folder, again } => {
                self.load(&folder, again);
                return None;
            }
            AnalysisRequest::Types { cell, .. } => {
                self.ask(|analysis| analysis.types(&cell).map(AnalysisReply::Types))
            }
            AnalysisRequest::Complete { cell, offset } => self.ask(|analysis| {
                let completions = analysis.complete(&cell, offset);
                completions.map(AnalysisReply::Completions)
            }),
            AnalysisRequest::Inspect { cell, offset } => self.ask(|analysis| {
                let documentation = analysis.inspect(&cell, offset);
                documentation.map(AnalysisReply::Inspected)
            }),
        })
    }

    fn settle(&mut self) {
        if std::mem::take(&mut self.is_lost)
            && let Err(error) = self.reload()
        {
            eprintln!("analysis: {error}");
        }
        if std::mem::take(&mut self.is_cold) {
            let cell = AnalyzedCell {
                source: WARM_UP_CELL.to_owned(),
                ..AnalyzedCell::default()
            };
            self.ask(|analysis| analysis.types(&cell).map(AnalysisReply::Types));
            // Returns the memory used for loading.
            phalanx_sys::heap::trim();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::analysis::InferredType;
    use std::time::Duration;

    /// Returns an analyzer without dependencies, and its folder.
    fn start_analyzer() -> (tempfile::TempDir, CellAnalyzer) {
        let folder = tempfile::tempdir().unwrap();
        let first = folder.path().join("first");
        std::fs::create_dir(&first).unwrap();
        std::fs::write(first.join("Cargo.toml"), "[package]\nname = \"ctx\"\n").unwrap();
        let analyzer = CellAnalyzer::start(folder.path().join("cells"), &first);
        (folder, analyzer)
    }

    #[test]
    fn panic_is_a_reply_and_the_next_request_succeeds() {
        let (_folder, mut analyzer) = start_analyzer();
        let cell = AnalyzedCell {
            source: "let a = vec![1u8].len();".to_owned(),
            ..AnalyzedCell::default()
        };
        let panicking = |analysis: &mut AnalyzedCrate| {
            analysis.ask(&cell, |_| panic!("as rust-analyzer does at times"))
        };
        assert_eq!(analyzer.ask(panicking), AnalysisReply::Unknown);
        analyzer.settle();
        let cell = cell.clone();
        let reply = analyzer.answer(AnalysisRequest::Types { cell, wait: true });
        let Some(AnalysisReply::Types(types)) = reply else {
            panic!("no types")
        };
        assert_eq!(types[0].ty, InferredType::Known("usize".to_owned()));
    }

    #[test]
    fn slow_query_is_cancelled_and_the_crate_kept() {
        let (_folder, mut analyzer) = start_analyzer();
        let cell = AnalyzedCell {
            source: "vec![1u8].le".to_owned(),
            ..AnalyzedCell::default()
        };
        let complete = AnalysisRequest::Complete {
            cell: cell.clone(),
            offset: cell.source.len(),
        };
        let completes = |analyzer: &mut CellAnalyzer| {
            // Disables the time limit, since the machine may be busy.
            let analysis = analyzer.analysis.as_mut().unwrap();
            analysis.set_query_limit(Duration::from_secs(60));
            match analyzer.answer(complete.clone()) {
                Some(AnalysisReply::Completions(completions)) => {
                    completions.items.iter().any(|item| item.code == "len")
                }
                other => panic!("{other:?}"),
            }
        };
        assert!(completes(&mut analyzer));
        let endless = |analysis: &mut AnalyzedCrate| {
            analysis.set_query_limit(Duration::from_millis(100));
            // Runs until the query is cancelled.
            analysis.look_up(&cell, |lookup| {
                while lookup.analysis.parse(lookup.file).is_ok() {}
                AnalysisReply::Unknown
            })
        };
        assert_eq!(analyzer.ask(endless), AnalysisReply::Unknown);
        assert!(!analyzer.is_lost);
        assert!(completes(&mut analyzer));
    }
}
