//! Failures of engines, formatted as the `ename`, `evalue` and `traceback` of one error message.
//!
//! The formats are those of ipyparallel's `error.py`, which users and their tools know.

use phalanx_protocol::failure::{RemoteFailure, TRACEBACK_LIMIT};
use phalanx_protocol::id::EngineId;
use std::collections::BTreeSet;

/// The name of errors in the code itself, which do not depend on the engine.
const COMPILE_ERROR: &str = "CompileError";

/// The parts of a Jupyter `error` message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedError {
    /// The error's stable name.
    pub ename: &'static str,
    /// The short message.
    pub evalue: String,
    /// The detailed message, as lines.
    pub traceback: Vec<String>,
}

/// Formats the failure of one engine: `RemoteError`.
pub fn remote_text(failure: &RemoteFailure) -> RenderedError {
    let label = label(failure);
    let mut traceback = vec![label.clone()];
    traceback.extend(traceback_lines(failure));
    RenderedError {
        ename: "RemoteError",
        evalue: format!("{label} {}: {}", failure.ename, failure.evalue),
        traceback,
    }
}

/// Formats failures of several engines: `CompositeError`, with the first [`TRACEBACK_LIMIT`]
/// distinct ones in full.
pub fn composite_text(name: &str, failures: &[RemoteFailure]) -> RenderedError {
    if let Some(text) = same_everywhere(failures) {
        return text;
    }
    let groups = groups(failures);
    let shown = &groups[..groups.len().min(TRACEBACK_LIMIT)];
    let more = failures.len() - shown.iter().map(|group| group.engines.len()).sum::<usize>();
    let mut evalue = format!("one or more exceptions raised in: {name}");
    let mut traceback = Vec::new();
    for group in shown {
        let (label, first) = (group.label(), group.first);
        evalue.push_str(&format!("\n{label}{}: {}", first.ename, first.evalue));
        traceback.push(format!("{label}:"));
        traceback.extend(traceback_lines(first));
        traceback.push(String::new());
    }
    if more > 0 {
        evalue.push_str(&format!("\n.... {more} more exceptions ..."));
        traceback.push(format!("... {more} more exceptions ..."));
    }
    RenderedError {
        ename: "CompositeError",
        evalue,
        traceback,
    }
}

/// Formats failures that have been shown as they occurred: the same error, with one line for each
/// distinct failure.
pub fn summary_text(name: &str, failures: &[RemoteFailure]) -> RenderedError {
    let text = match failures {
        [one] => remote_text(one),
        _ => composite_text(name, failures),
    };
    let lines = groups(failures).into_iter().map(|group| {
        let evalue = group.first.evalue.lines().next().unwrap_or_default();
        format!("{} {}: {evalue}", group.label(), group.first.ename)
    });
    RenderedError {
        traceback: lines.collect(),
        ..text
    }
}

/// Failures with the same message.
struct Group<'a> {
    first: &'a RemoteFailure,
    engines: Vec<Option<EngineId>>,
}

/// Groups failures by message, in the order of first occurrence.
fn groups(failures: &[RemoteFailure]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for failure in failures {
        let same = |group: &&mut Group<'_>| {
            let first = group.first;
            (&first.ename, &first.evalue, &first.traceback, &first.method)
                == (
                    &failure.ename,
                    &failure.evalue,
                    &failure.traceback,
                    &failure.method,
                )
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.engines.push(failure.engine),
            None => groups.push(Group {
                first: failure,
                engines: vec![failure.engine],
            }),
        }
    }
    groups
}

impl Group<'_> {
    /// `[0:execute]`, or `[engines 0–3:execute]` for several engines.
    fn label(&self) -> String {
        let engines: BTreeSet<EngineId> = self.engines.iter().copied().flatten().collect();
        match engines.len() {
            0 | 1 => label(self.first),
            _ => format!("[engines {}:{}]", ranges(&engines), self.first.method),
        }
    }
}

/// Formats ids as ranges: `0–3, 5`.
fn ranges(engines: &BTreeSet<EngineId>) -> String {
    let ids: Vec<u32> = engines.iter().map(|id| id.0).collect();
    let runs = ids.chunk_by(|one, next| one + 1 == *next);
    let runs = runs.filter_map(|run| match (run.first()?, run.last()?) {
        (first, last) if first == last => Some(first.to_string()),
        (first, last) => Some(format!("{first}–{last}")),
    });
    runs.collect::<Vec<_>>().join(", ")
}

/// Formats a compile error that all engines of the same state report; it is shown once.
fn same_everywhere(failures: &[RemoteFailure]) -> Option<RenderedError> {
    let first = failures.first()?;
    let same = |failure: &RemoteFailure| {
        failure.ename == COMPILE_ERROR
            && failure.evalue == first.evalue
            && failure.traceback == first.traceback
    };
    let engines: Vec<String> = failures
        .iter()
        .filter_map(|failure| failure.engine)
        .map(|engine| engine.to_string())
        .collect();
    failures.iter().all(same).then(|| RenderedError {
        ename: COMPILE_ERROR,
        evalue: format!("[{}:{}] {}", engines.join(","), first.method, first.evalue),
        traceback: traceback_lines(first),
    })
}

/// `[0:execute]`, or `[Engine Exception]` if the engine is unknown.
fn label(failure: &RemoteFailure) -> String {
    match failure.engine {
        Some(engine) => format!("[{engine}:{}]", failure.method),
        None => "[Engine Exception]".to_owned(),
    }
}

/// The lines of the traceback, or the error's own line if there is none.
fn traceback_lines(failure: &RemoteFailure) -> Vec<String> {
    if failure.traceback.is_empty() {
        vec![format!("{}: {}", failure.ename, failure.evalue)]
    } else {
        failure.traceback.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::failure::Failure;

    fn failure(engine: Option<u32>) -> RemoteFailure {
        RemoteFailure {
            ename: "Panic".to_owned(),
            evalue: "böse".to_owned(),
            traceback: vec!["Panic: böse".to_owned(), "  at cell:1:2".to_owned()],
            engine: engine.map(EngineId),
            msg_id: None,
            method: "execute".to_owned(),
        }
    }

    #[test]
    fn one_failure_is_a_remote_error() {
        let Some(Failure::Remote(one)) = Failure::composite("%px", vec![failure(Some(1))]) else {
            panic!("not a remote error");
        };
        let text = remote_text(&one);
        assert_eq!(text.evalue, "[1:execute] Panic: böse");
        assert_eq!(
            text.traceback,
            ["[1:execute]", "Panic: böse", "  at cell:1:2"]
        );
        assert_eq!(Failure::composite("%px", Vec::new()), None);
    }

    #[test]
    fn several_failures_are_a_composite_error_with_four_in_full() {
        let mut failures: Vec<_> = (0..6).map(|id| failure(Some(id))).collect();
        for (n, failure) in failures.iter_mut().enumerate() {
            failure.evalue = format!("böse {n}");
        }
        let text = composite_text("%px", &failures);
        assert_eq!(
            text.evalue,
            "one or more exceptions raised in: %px\
             \n[0:execute]Panic: böse 0\n[1:execute]Panic: böse 1\
             \n[2:execute]Panic: böse 2\n[3:execute]Panic: böse 3\
             \n.... 2 more exceptions ..."
        );
        assert_eq!(
            text.traceback[..4],
            ["[0:execute]:", "Panic: böse", "  at cell:1:2", ""]
        );
        assert_eq!(text.traceback.len(), 17);
        assert_eq!(text.traceback[16], "... 2 more exceptions ...");
    }

    #[test]
    fn failures_that_say_the_same_are_shown_together() {
        let mut failures: Vec<_> = [0, 1, 2, 5, 7].map(|id| failure(Some(id))).into();
        failures[3].evalue = "other".to_owned();
        let text = composite_text("%px", &failures);
        assert_eq!(
            text.evalue,
            "one or more exceptions raised in: %px\
             \n[engines 0–2, 7:execute]Panic: böse\n[5:execute]Panic: other"
        );
        assert_eq!(text.traceback.len(), 8);
        // Failures that have been shown are repeated as one line.
        let summary = summary_text("%px", &failures);
        assert_eq!((summary.ename, &summary.evalue), (text.ename, &text.evalue));
        assert_eq!(
            summary.traceback,
            [
                "[engines 0–2, 7:execute] Panic: böse",
                "[5:execute] Panic: other"
            ]
        );
        let one = summary_text("%px", &failures[..1]);
        assert_eq!(one.ename, "RemoteError");
        assert_eq!(one.traceback, ["[0:execute] Panic: böse"]);
    }

    #[test]
    fn a_compile_error_is_shown_once() {
        let mut failures: Vec<_> = [1, 3].map(|id| failure(Some(id))).into();
        for failure in &mut failures {
            failure.ename = "CompileError".to_owned();
        }
        let text = composite_text("%px", &failures);
        assert_eq!(text.ename, "CompileError");
        assert_eq!(text.evalue, "[1,3:execute] böse");
        assert_eq!(text.traceback.len(), 2);
    }

    #[test]
    fn a_failure_without_engine_or_traceback_is_shown() {
        let mut bare = failure(None);
        bare.traceback.clear();
        assert_eq!(
            remote_text(&bare).traceback,
            ["[Engine Exception]", "Panic: böse"]
        );
    }
}
