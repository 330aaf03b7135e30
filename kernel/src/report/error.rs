//! Conversion of failures to text.
//!
//! The values of `ename` are stable: users and tools match on them.

use super::colours::{ERROR, HELP};
use super::fault::{Fault, FaultSource};
use super::snippet;
use super::wrap::wrap_message;
use phalanx_client::render::{composite_text, remote_text, summary_text};
use phalanx_protocol::failure::{Diagnostic, Failure, RemoteFailure, TRACEBACK_LIMIT};
use phalanx_protocol::id::EngineId;
use phalanx_protocol::release::ReleaseMismatch;

/// The parts of a Jupyter `error` message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReport {
    /// The stable name of the error.
    pub ename: String,
    /// The short message, without colours.
    pub evalue: String,
    /// The full message, with colours; the elements are joined by newlines.
    pub traceback: Vec<String>,
}

/// The file that evcxr generates; a panic's position in it has no meaning for the user.
const GENERATED: &str = "src/lib.rs";

/// The error of a task that was aborted before it began.
const TASK_ABORTED: &str = "TaskAborted";

/// The reasons for which an engine may not answer.
pub const SILENT_HINT: &str = "it has not replied since this notebook connected: its process may be stopped, its machine unreachable, or it is a Python engine that runs a long task";

/// Describes a failure: its cause, its location, and the remedy.
pub fn report(fault: &Fault) -> ErrorReport {
    let mut report = report_failure(fault);
    report
        .traceback
        .extend(fault.help.as_deref().map(hint_line));
    report
}

fn report_failure(fault: &Fault) -> ErrorReport {
    let location = fault.location.as_ref();
    match &fault.failure {
        Failure::Raised {
            failure,
            location: at,
        } => raised(failure, at, fault),
        Failure::Compile { diagnostics } => compile(diagnostics, location),
        Failure::Panic(panic) => {
            located_error("Panic", &panic.message, panic.location.as_deref(), location)
        }
        Failure::Error {
            message,
            location: at,
        } => located_error("Error", message, at.as_deref(), location),
        Failure::VariablesLost { names } => plain(
            "VariablesLost",
            &format!(
                "the types of {} have changed, so the cell did not run",
                list(names)
            ),
            Some("run the cells again that define these variables"),
        ),
        Failure::RuntimeDied { status, lost } => plain(
            "RuntimeDied",
            &format!("the cell ended its process ({status}); {}", losses(lost)),
            hint_for(lost).or(status.is_kill().then_some(
                "unless it was killed on purpose, memory has run out: the system kills processes that use too much",
            )),
        ),
        Failure::Interrupted { lost } => plain(
            "Interrupted",
            &format!("the cell was interrupted; {}", losses(lost)),
            hint_for(lost),
        ),
        Failure::EnginesInterrupted {
            stopped,
            finished,
            running,
        } => engines_interrupted(stopped, finished, running),
        Failure::Usage { message, hint } => usage(message, hint.as_deref(), location),
        Failure::NoEngines => plain(
            "NoEngines",
            "connected to a controller, but there are no engines",
            Some("start some with `%cluster start -n 4`, or see `%cluster status`"),
        ),
        Failure::OtherRelease(mismatch) => plain(
            "EnvironmentError",
            &mismatch.to_string(),
            Some(ReleaseMismatch::REMEDY),
        ),
        Failure::Remote(failure) if fault.shown => summary("", std::slice::from_ref(&**failure)),
        Failure::Composite { message, failures } if fault.shown => summary(message, failures),
        Failure::Remote(failure) => remote(failure, location),
        Failure::Composite { message, failures } => composite(message, failures, location),
        Failure::Timeout { message } => plain(
            "TimeoutError",
            message,
            Some("wait longer, or check again later; tasks that were sent continue"),
        ),
        Failure::Environment { message, hint } => {
            plain("EnvironmentError", message, hint.as_deref())
        }
        Failure::Internal { message } => plain(
            "InternalError",
            message,
            Some("this is a fault of Phalanx, not of your code; please report it"),
        ),
    }
}

/// Reports an error of the library with the line of the `?`, which precedes the remedies.
fn raised(failure: &Failure, at: &str, fault: &Fault) -> ErrorReport {
    let mut report = report_failure(&Fault {
        failure: failure.clone(),
        help: None,
        ..fault.clone()
    });
    let label = format!("{HELP}help{HELP:#}: ");
    let lines = &mut report.traceback;
    let remedy = lines.iter().position(|line| line.starts_with(&label));
    let end = remedy.unwrap_or(lines.len());
    lines.splice(end..end, location_line(at, fault.location.as_ref()));
    report
}

/// Adds the lines of a text to the errors in it; for a text that is not the cell's, such as a string
/// passed to `execute`. `name` stands for the file.
pub fn with_rendered_text(failure: Failure, name: &str, text: &str) -> Failure {
    let Failure::Compile { diagnostics } = failure else {
        return failure;
    };
    let location = FaultSource {
        name: name.to_owned(),
        text: text.into(),
        map: crate::source_map::SourceMap::default(),
        span: None,
    };
    let rendered = |diagnostic: Diagnostic| Diagnostic {
        rendered: Some(snippet::without_colours(&diagnostic, &location)),
        spans: Vec::new(),
        ..diagnostic
    };
    Failure::Compile {
        diagnostics: diagnostics.into_iter().map(rendered).collect(),
    }
}

/// Reports a failure by a message of ours.
fn plain(ename: &str, message: &str, hint: Option<&str>) -> ErrorReport {
    let title = ename.chars().count() + ": ".len();
    let mut report = unwrapped(ename, &wrap_message(message, title, 0));
    report.evalue = message.to_owned();
    report.traceback.extend(hint.map(hint_line));
    report
}

/// Reports a failure by a message that is shown unchanged, as it may be the user's.
fn unwrapped(ename: &str, message: &str) -> ErrorReport {
    ErrorReport {
        ename: ename.to_owned(),
        evalue: message.to_owned(),
        traceback: vec![format!("{ERROR}{ename}{ERROR:#}: {message}")],
    }
}

fn engines_interrupted(
    stopped: &[RemoteFailure],
    finished: &[EngineId],
    running: &[EngineId],
) -> ErrorReport {
    let was = |engines: &[EngineId]| if engines.len() == 1 { "was" } else { "were" };
    let (waiting, stopped): (Vec<_>, Vec<_>) = stopped
        .iter()
        .partition(|failure| failure.ename == TASK_ABORTED);
    let ids = |failures: &[&RemoteFailure]| {
        let ids = failures.iter().filter_map(|failure| failure.engine);
        ids.collect::<Vec<EngineId>>()
    };
    let (waiting, ids) = (ids(&waiting), ids(&stopped));
    let mut parts = Vec::new();
    if !ids.is_empty() {
        parts.push(format!("{} {} stopped", engines(&ids), was(&ids)));
    }
    if !waiting.is_empty() {
        parts.push(format!("{} had not begun", engines(&waiting)));
    }
    if !finished.is_empty() {
        parts.push(format!("{} had finished", engines(finished)));
    }
    if !running.is_empty() {
        let verb = if running.len() == 1 { "runs" } else { "run" };
        parts.push(format!("{} still {verb} it", engines(running)));
    }
    let message = format!("the cell was interrupted; {}", parts.join("; "));
    let hint = (!running.is_empty()).then_some(
        "`%cluster restart -t N` replaces an engine that does not stop; its variables are lost",
    );
    let mut report = plain("Interrupted", &message, hint);
    let listed = stopped.iter().take(TRACEBACK_LIMIT);
    report.traceback.extend(listed.map(ToString::to_string));
    let more = stopped.len().saturating_sub(TRACEBACK_LIMIT);
    if more > 0 {
        report.traceback.push(format!("... {more} more ..."));
    }
    report
}

/// Formats engine ids: `engine 1`, `engines 0, 2`.
fn engines(ids: &[EngineId]) -> String {
    let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let noun = if ids.len() == 1 { "engine" } else { "engines" };
    format!("{noun} {}", names.join(", "))
}

fn hint_line(hint: &str) -> String {
    let label = "help: ".len();
    let hint = wrap_message(hint, label, label);
    format!("{HELP}help{HELP:#}: {hint}")
}

fn compile(diagnostics: &[Diagnostic], location: Option<&FaultSource>) -> ErrorReport {
    let first = diagnostics.first();
    let mut evalue = first.map_or_else(
        || "the cell does not compile".to_owned(),
        |first| match &first.code {
            Some(code) => format!("[{code}] {}", first.message),
            None => first.message.clone(),
        },
    );
    match diagnostics.len().saturating_sub(1) {
        0 => {}
        1 => evalue.push_str(" (and 1 more error)"),
        more => evalue.push_str(&format!(" (and {more} more errors)")),
    }
    let nowhere = FaultSource {
        name: String::new(),
        text: "".into(),
        map: crate::source_map::SourceMap::default(),
        span: None,
    };
    let mut traceback = Vec::new();
    for diagnostic in diagnostics {
        if !traceback.is_empty() {
            traceback.push(String::new());
        }
        let shown = match location {
            Some(location) => snippet::diagnostic(diagnostic, location),
            None => {
                let without_spans = Diagnostic {
                    spans: Vec::new(),
                    ..diagnostic.clone()
                };
                snippet::diagnostic(&without_spans, &nowhere)
            }
        };
        traceback.extend(shown.lines().map(str::to_owned));
    }
    if traceback.is_empty() {
        traceback.push(format!("{ERROR}CompileError{ERROR:#}: {evalue}"));
    }
    ErrorReport {
        ename: "CompileError".to_owned(),
        evalue,
        traceback,
    }
}

fn located_error(
    ename: &str,
    message: &str,
    at: Option<&str>,
    location: Option<&FaultSource>,
) -> ErrorReport {
    let mut report = unwrapped(ename, message);
    if let Some(at) = at.and_then(|at| location_line(at, location)) {
        report.traceback.push(at);
    }
    report
}

/// Returns the line of the cell, with its text, of a panic or the `?` of an error, if known.
fn location_line(at: &str, location: Option<&FaultSource>) -> Option<String> {
    if at.starts_with("In[") {
        return Some(format!("  at {at}"));
    }
    let (rest, _column) = at.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    if file != "cell" {
        return (file != GENERATED).then(|| format!("  at {at}"));
    }
    let location = location?;
    let line = location.map.line(line.parse().ok()?);
    let text = location.text.lines().nth(line.checked_sub(1)?)?;
    Some(format!("  at {}", line_of(&location.name, line, text)))
}

/// Returns the line, with its text, of a location that names the cell: `In[7]:3:5`.
fn named_line(at: &str, location: Option<&FaultSource>) -> Option<String> {
    let location = location?;
    let line: usize = at.split(':').nth(1)?.parse().ok()?;
    let text = location.text.lines().nth(line.checked_sub(1)?)?;
    Some(format!("  at {}", line_of(&location.name, line, text)))
}

/// The last lines of a process that has ended, for the end of a message; nothing if it printed none.
pub fn last_lines(printed: &str) -> String {
    match printed {
        "" => String::new(),
        printed => format!(":\n{printed}"),
    }
}

/// Formats a line of a cell as in tracebacks.
pub fn line_of(cell: &str, line: usize, text: &str) -> String {
    format!("{cell}, line {line}: {}", text.trim())
}

fn usage(message: &str, hint: Option<&str>, location: Option<&FaultSource>) -> ErrorReport {
    let mut report = plain("UsageError", message, hint);
    if let Some(location) = location
        && let Some(span) = &location.span
    {
        let shown = snippet::marked(message, location, span.clone());
        report.traceback = shown.lines().map(str::to_owned).collect();
        report.traceback.extend(hint.map(hint_line));
    }
    report
}

fn remote(failure: &RemoteFailure, location: Option<&FaultSource>) -> ErrorReport {
    let text = remote_text(failure);
    let mut traceback = located(coloured(text.traceback, 1), location);
    traceback.extend(remote_hint(failure).map(hint_line));
    ErrorReport {
        ename: text.ename.to_owned(),
        evalue: text.evalue,
        traceback,
    }
}

fn composite(
    message: &str,
    failures: &[RemoteFailure],
    location: Option<&FaultSource>,
) -> ErrorReport {
    let text = composite_text(message, failures);
    let mut traceback = located(text.traceback, location);
    let mut hints: Vec<&str> = failures.iter().filter_map(remote_hint).collect();
    hints.dedup();
    traceback.extend(hints.into_iter().map(hint_line));
    ErrorReport {
        ename: text.ename.to_owned(),
        evalue: text.evalue,
        traceback,
    }
}

/// Summarizes failures that were shown as they happened.
fn summary(message: &str, failures: &[RemoteFailure]) -> ErrorReport {
    let text = summary_text(message, failures);
    ErrorReport {
        ename: text.ename.to_owned(),
        evalue: text.evalue,
        traceback: text.traceback,
    }
}

/// Adds the cell's line to lines of an engine's traceback that refer to the cell.
fn located(lines: Vec<String>, location: Option<&FaultSource>) -> Vec<String> {
    let with_location = |line: String| {
        let Some(at) = line.trim_start().strip_prefix("at ") else {
            return Some(line);
        };
        let (file, _) = at.split_once(':').unwrap_or_default();
        match file {
            "cell" => location_line(at, location).or(Some(line)),
            GENERATED => None,
            cell if location.is_some_and(|location| location.name == cell) => {
                named_line(at, location).or(Some(line))
            }
            _ => Some(line),
        }
    };
    lines.into_iter().filter_map(with_location).collect()
}

/// Colours the first lines as errors.
fn coloured(mut lines: Vec<String>, count: usize) -> Vec<String> {
    for line in lines.iter_mut().take(count) {
        *line = format!("{ERROR}{line}{ERROR:#}");
    }
    lines
}

/// Returns the remedy for a failure reported by an engine or the controller.
fn remote_hint(failure: &RemoteFailure) -> Option<&'static str> {
    match failure.ename.as_str() {
        "EngineError" => engine_hint(&failure.evalue),
        "VariablesLost" => Some("run the cells again that define these variables"),
        TASK_ABORTED => Some("the task had not begun; run the cell again"),
        "TaskTimeout" => Some(
            "the task is dropped; `.timeout(…)` of the view sets how long it waits for an engine and for its dependencies",
        ),
        "ImpossibleDependency" => Some(
            "`Dependency` selects the endings of a task that count, success or failure; what functions require is pushed, or defined by a `%%px` cell",
        ),
        "UnmetDependency" | "NameError" => {
            Some("`push` gives the engines a value, and a `%%px` cell defines a variable there")
        }
        _ => None,
    }
}

/// Returns the remedy for an `EngineError`: ipyparallel has one name for all that the client and the
/// controller report in place of an engine.
fn engine_hint(message: &str) -> Option<&'static str> {
    let is_gone = message.contains(" died")
        || message.starts_with("the engine ended")
        || message.starts_with("there is no engine");
    if is_gone {
        return Some(
            "the engine is gone with its variables; `%engines` shows the engines that are left, `%cluster restart` restarts all; with `.retries(2)`, a load-balanced view has other engines take over",
        );
    }
    if message.starts_with("the connection to the controller is lost") {
        return Some(
            "the task is lost with it; `%cluster status` shows what has become of the cluster, `%cluster start` starts another one",
        );
    }
    if message.ends_with("does not answer") {
        return Some(SILENT_HINT);
    }
    message
        .ends_with("registered")
        .then_some("`%engines` shows the engines that are there")
}

fn losses(lost: &[String]) -> String {
    match lost {
        [] => "every variable from before it is kept".to_owned(),
        [one] => format!("the variable `{one}` is lost"),
        _ => format!("the variables {} are lost", list(lost)),
    }
}

fn hint_for(lost: &[String]) -> Option<&'static str> {
    (!lost.is_empty())
        .then_some("run the cells again that define them; functions and types are kept")
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
