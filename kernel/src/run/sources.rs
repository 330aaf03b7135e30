//! Locations in the notebook of code outside the running cell: in functions of earlier cells, and
//! in functions sent to engines.
//!
//! A cell's library contains the items of all cells before it. The source it was compiled from is
//! stored beside it, and a line of that source is searched in the cells.

use crate::cell::{CellItem, items};
use crate::context::CellName;
use crate::parallel::artifacts::Artifacts;
use crate::report::{Fault, Notice, line_of};
use phalanx_protocol::failure::{
    Diagnostic, EARLIER_ITEM, EarlierItem, Failure, Panic, RemoteFailure,
};
use phalanx_protocol::id::ArtifactHash;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The size limit of stored cells, in bytes; the oldest are dropped.
const MAX_BYTES: usize = 1 << 22;

/// The number of preceding lines compared if a line occurs several times.
const MAX_PRECEDING: usize = 20;

/// The cells that have run. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct CellSources {
    artifacts: Artifacts,
    /// Locked for a lookup or a change.
    cells: Arc<Mutex<SourceTexts>>,
}

/// Names and sources of cells, oldest first.
#[derive(Debug, Default)]
struct SourceTexts {
    list: VecDeque<(CellName, Arc<str>)>,
    bytes: usize,
}

impl CellSources {
    pub(super) fn new(artifacts: Artifacts) -> Self {
        Self {
            artifacts,
            cells: Arc::default(),
        }
    }

    /// Records a cell that is about to run.
    pub(super) fn add(&self, count: usize, source: &str) {
        self.cells
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(CellName::Own(count), source.into());
    }

    /// Replaces the locations of panics, and of errors in items of earlier cells, by locations in
    /// the notebook. `count` is the execution count of the cell that failed.
    pub(super) fn locate(&self, count: usize, fault: &mut Fault) {
        self.locate_failure(count, &mut fault.failure);
    }

    fn locate_failure(&self, count: usize, failure: &mut Failure) {
        match failure {
            Failure::Raised { failure, .. } => self.locate_failure(count, failure),
            Failure::Compile { diagnostics } => {
                let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
                // Its definitions are in no library, and other cells do not see them.
                let failed = cells.remove(CellName::Own(count));
                for error in diagnostics {
                    cells.explain(error, failed.as_ref());
                }
            }
            Failure::Panic(panic) => {
                if let Some(line) = panic.location.as_deref().and_then(|at| self.find(at)) {
                    panic.location = Some(line);
                }
            }
            Failure::Remote(failure) => self.locate_remote(failure),
            Failure::Composite { failures, .. } => {
                failures.iter_mut().for_each(|one| self.locate_remote(one));
            }
            _ => {}
        }
    }

    /// Returns the notices about items that a cell's definitions have made fail to compile.
    pub(super) fn misfits(&self, count: usize, found: &[EarlierItem]) -> Vec<Notice> {
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sources = cells.list.iter().rev();
        let source = sources.find(|(cell, _)| *cell == CellName::Own(count));
        let own = source.map(|(_, source)| items_of(source));
        let own = own.unwrap_or_default();
        let notices = found.iter().filter_map(|item| {
            let (at, _) = cells.position(&item.lines, 1)?;
            let mut own = own.iter().filter_map(|own| own.defined());
            Some(Notice::Misfit {
                item: item.lines.clone(),
                cell: cells.list.get(at)?.0.to_string(),
                redefined: own.find(|name| item.names.contains(*name))?.to_owned(),
            })
        });
        notices.collect()
    }

    fn locate_remote(&self, failure: &mut RemoteFailure) {
        for line in &mut failure.traceback {
            let at = line.trim_start().strip_prefix("at ");
            let found = at.and_then(|at| self.find(at).or_else(|| self.line_in_cell(at)));
            if let Some(found) = found {
                *line = format!("  at {found}");
            }
        }
    }

    /// Describes the line of a location in a cell that has run on engines, `In[7]:3:5`.
    fn line_in_cell(&self, location: &str) -> Option<String> {
        let (name, position) = location.split_once(':')?;
        let line = position.split(':').next()?.parse().ok()?;
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let mut newest_first = cells.list.iter().rev();
        let (_, source) = newest_first.find(|(cell, _)| cell.to_string() == name)?;
        let text = source.lines().nth(usize::checked_sub(line, 1)?)?;
        Some(line_of(name, line, text))
    }

    fn find(&self, location: &str) -> Option<String> {
        let (line, library) = Panic::in_library(location)?;
        let library = match library.starts_with('/') {
            true => PathBuf::from(library),
            false => self.artifacts.library(&ArtifactHash::new(library))?,
        };
        let compiled = std::fs::read_to_string(library.with_extension("rs")).ok()?;
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let found = cells.find(&compiled, line);
        found.or_else(|| {
            let mut foreign = SourceTexts::default();
            for (count, source) in self.artifacts.foreign_cells() {
                foreign.add(CellName::Foreign(count), source);
            }
            foreign.find(&compiled, line)
        })
    }
}

impl SourceTexts {
    fn add(&mut self, cell: CellName, source: Arc<str>) {
        self.bytes += source.len();
        self.list.push_back((cell, source));
        while self.bytes > MAX_BYTES && self.list.len() > 1 {
            if let Some((_, oldest)) = self.list.pop_front() {
                self.bytes -= oldest.len();
            }
        }
    }

    fn remove(&mut self, cell: CellName) -> Option<(CellName, Arc<str>)> {
        let at = self.list.iter().rposition(|(name, _)| *name == cell)?;
        let removed = self.list.remove(at)?;
        self.bytes -= removed.1.len();
        Some(removed)
    }

    /// Adds the cell of the item that an error is in, the cell that has redefined what the item
    /// uses, which may be the one that failed, and the remedy.
    fn explain(&self, error: &mut Diagnostic, failed: Option<&(CellName, Arc<str>)>) {
        let (Some(item), Some(rendered)) = (&error.earlier, &mut error.rendered) else {
            return;
        };
        let lines = item.lines.lines().count();
        let Some((at, line)) = self.position(&item.lines, lines) else {
            return;
        };
        let Some((cell, _)) = self.list.get(at) else {
            return;
        };
        *rendered = rendered.replace(EARLIER_ITEM, &format!("{cell}:{line}"));
        let later = self.list.iter().skip(at + 1).rev();
        let mut causes = failed
            .into_iter()
            .chain(later)
            .filter_map(|(cause, source)| {
                let mut defined = items_of(source).into_iter();
                let name = defined.find_map(|defined| item.names.get(defined.defined()?))?;
                Some((cause, name))
            });
        let help = match causes.next() {
            Some((cause, name)) => format!(
                "{cell} does not fit `{name}` any more, which {cause} defines anew: change this and run {cell} again"
            ),
            None => format!("change this and run {cell} again"),
        };
        *rendered = format!("{}\nhelp: {help}", rendered.trim_end());
    }

    /// Finds a line of a compiled file in the cells, and describes it.
    fn find(&self, compiled: &str, line: usize) -> Option<String> {
        let (at, found) = self.position(compiled, line)?;
        let (cell, source) = self.list.get(at)?;
        let text = source.lines().nth(found - 1)?;
        Some(line_of(&cell.to_string(), found, text))
    }

    /// Finds a line of a compiled file in the cells: the index of the cell, and its line, from 1.
    /// Among several matches, returns the one with the most equal preceding lines, and the newest
    /// of those.
    fn position(&self, compiled: &str, line: usize) -> Option<(usize, usize)> {
        let compiled: Vec<&str> = compiled.lines().take(line).map(str::trim).collect();
        let wanted = compiled.get(line.checked_sub(1)?)?;
        if !wanted.chars().any(char::is_alphanumeric) {
            return None;
        }
        let mut best: Option<(usize, (usize, usize))> = None;
        for (cell, (_, source)) in self.list.iter().enumerate().rev() {
            let lines: Vec<&str> = source.lines().map(str::trim).collect();
            for (at, _) in (0..).zip(&lines).filter(|(_, line)| *line == wanted) {
                let both = compiled.iter().rev().zip(lines[..=at].iter().rev());
                let same = both.take(MAX_PRECEDING).take_while(|(a, b)| a == b).count();
                if best.as_ref().is_none_or(|(most, _)| same > *most) {
                    best = Some((same, (cell, at + 1)));
                }
            }
        }
        best.map(|(_, position)| position)
    }
}

/// The items of a cell, which may have magics and commands in lines of their own.
fn items_of(source: &str) -> Vec<CellItem> {
    let is_rust = |line: &&str| !line.starts_with(['%', ':', '!']);
    let lines: Vec<&str> = source.lines().filter(is_rust).collect();
    items(&lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cells: &[&str], compiled: &str, line: usize, found: Option<&str>) {
        let mut all = SourceTexts::default();
        for (count, cell) in (1..).zip(cells) {
            all.add(CellName::Own(count), (*cell).into());
        }
        assert_eq!(all.find(compiled, line).as_deref(), found, "{compiled:?}");
    }

    #[test]
    fn a_compiled_line_is_found_in_its_cell() {
        let cells = [
            "fn f(x: u8) -> u8 {\n    assert!(x > 1);\n    x\n}",
            "fn g() {}\nfn h(x: u8) -> u8 {\n    assert!(x > 1);\n    x\n}",
            "f(0)",
        ];
        let compiled = "use a::*;\nfn f(x: u8) -> u8 {\nassert!(x > 1);\nx\n}\nfn h(x: u8) -> u8 {\nassert!(x > 1);\nx\n}";
        check(&cells, compiled, 3, Some("In[1], line 2: assert!(x > 1);"));
        check(&cells, compiled, 7, Some("In[2], line 3: assert!(x > 1);"));
        check(&cells, compiled, 1, None);
        check(&cells, compiled, 5, None);
        check(&cells, compiled, 99, None);
        check(&cells, compiled, 0, None);
    }

    #[test]
    fn of_equal_lines_the_newest_cell_is_chosen() {
        check(&["f();", "f();"], "f();", 1, Some("In[2], line 1: f();"));
    }

    #[test]
    fn panics_in_functions_of_other_cells_are_located() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("libcode_1.so");
        std::fs::write(folder.path().join("libcode_1.rs"), "generated\nv[i]\n").unwrap();
        let sources = CellSources::new(Artifacts::default());
        sources.add(4, "fn f(v: &[u8], i: usize) -> u8 {\n    v[i]\n}");
        let panic = Panic {
            message: "out of bounds".to_owned(),
            location: Some("src/lib.rs:2:5".to_owned()),
        };
        let panic = panic.of_library(&library.display().to_string());
        let mut fault = Fault::from(Failure::Panic(panic.clone()));
        sources.locate(5, &mut fault);
        let report = crate::report::report(&fault);
        assert_eq!(report.traceback[1], "  at In[4], line 2: v[i]");
        // A function of another notebook.
        let artifacts = Artifacts::default();
        artifacts.record_foreign_cell(7, "fn f(v: &[u8], i: usize) -> u8 {\n    v[i]\n}".into());
        let mut fault = Fault::from(Failure::Panic(panic.clone()));
        CellSources::new(artifacts).locate(5, &mut fault);
        let report = crate::report::report(&fault);
        let location = "  at In[7] of another notebook, line 2: v[i]";
        assert_eq!(report.traceback[1], location);
        // The location is omitted if the source is not found, since it is not in the user's code.
        let gone = panic.location.unwrap().replace("libcode_1", "libcode_2");
        let mut fault = Fault::from(Failure::Panic(Panic {
            message: "out of bounds".to_owned(),
            location: Some(gone),
        }));
        sources.locate(5, &mut fault);
        assert_eq!(crate::report::report(&fault).traceback.len(), 1);
    }

    #[test]
    fn a_failure_of_another_cell_is_located_there() {
        let sources = CellSources::new(Artifacts::default());
        sources.add(3, "%%px --noblock -o ar\nlet größe = 1;\npanic!()");
        sources.add(4, "// one\n// two\nar.get()?");
        let mut failure = RemoteFailure {
            ename: "Panic".to_owned(),
            evalue: "explicit panic".to_owned(),
            traceback: vec!["Panic".to_owned(), "  at In[3]:3:1".to_owned()],
            engine: None,
            msg_id: None,
            method: "execute".to_owned(),
        };
        sources.locate_remote(&mut failure);
        assert_eq!(failure.traceback[1], "  at In[3], line 3: panic!()");
        failure.traceback[1] = "  at In[9]:3:1".to_owned();
        sources.locate_remote(&mut failure);
        assert_eq!(failure.traceback[1], "  at In[9]:3:1");
    }

    #[test]
    fn an_item_that_no_longer_compiles_is_reported_with_its_cell_and_the_cause() {
        let sources = CellSources::new(Artifacts::default());
        sources.add(1, "struct M { value: Option<f64> }");
        sources.add(
            2,
            "let a = 1;\nfn f(m: &M) -> bool {\n    m.value.is_none()\n}",
        );
        sources.add(3, "%%px\nstruct M { value: f64 }");
        sources.add(4, "struct M { value: u8 }\nerror");
        let item = EarlierItem {
            lines: "fn f(m: &M) -> bool {".to_owned(),
            names: ["M", "f"].map(str::to_owned).into(),
        };
        let expected = Notice::Misfit {
            item: item.lines.clone(),
            cell: "In[2]".to_owned(),
            redefined: "M".to_owned(),
        };
        assert_eq!(sources.misfits(3, &[item]), [expected]);
        let error = |count| {
            let mut fault = Fault::from(Failure::Compile {
                diagnostics: vec![Diagnostic {
                    message: "no method named `is_none`".to_owned(),
                    code: None,
                    spans: Vec::new(),
                    help: Vec::new(),
                    rendered: Some(format!("error\n --> {EARLIER_ITEM}\n")),
                    earlier: Some(EarlierItem {
                        lines: "fn f(m: &M) -> bool {\n    m.value.is_none()".to_owned(),
                        names: ["M", "f", "is_none"].map(str::to_owned).into(),
                    }),
                }],
            });
            sources.locate(count, &mut fault);
            match fault.failure {
                Failure::Compile { mut diagnostics } => diagnostics.remove(0).rendered,
                other => panic!("{other:?}"),
            }
        };
        error(4);
        let rendered = error(5).unwrap_or_default();
        assert!(rendered.contains("--> In[2]:3"), "{rendered}");
        assert!(
            rendered.contains("`M` any more, which In[3] defines anew"),
            "{rendered}"
        );
    }
}
