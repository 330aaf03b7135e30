//! The state of a runtime's output: the run it belongs to, output held back, and the outcome of the
//! run.

use super::scanner::{OutputToken, Scanner};
use super::text::TextDecoder;
use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::failure::Panic;
use phalanx_protocol::host::ErrorText;
use phalanx_protocol::id::RunId;
use phalanx_protocol::output::{MimeBundle, Output, StreamName};
use phalanx_protocol::runtime::Outcome;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The minimum time between two batches of streamed text: at most ten per second.
const BATCH_INTERVAL: Duration = Duration::from_millis(100);

/// The time for which the last line on stderr is held back, since it may be the text of a `?`
/// error: the text and its marker are written together, but to different pipes.
const ERROR_LINE_DELAY: Duration = Duration::from_millis(30);

/// The file name of compiled cells in the locations of panics.
const COMPILED: &str = "src/lib.rs:";

/// The beginning of Rust's message about a panic in that file.
const PANICKED: &str = "panicked at src/lib.rs:";

/// The maximum size of a batch, in bytes; larger text is sent immediately.
const BATCH_BYTES: usize = 1 << 16;

/// A captured event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CapturedOutput {
    /// An output; the run is `None` if no cell is running (a thread has outlived its cell).
    Output { run: Option<RunId>, output: Output },
    /// The running cell requests a line, which it then reads from stdin; all earlier output
    /// precedes it.
    InputRequest { prompt: String, password: bool },
    /// A run has ended; all its output precedes it.
    Ended { run: RunId, outcome: Outcome },
}

/// Converts the bytes of the two pipes into ordered outputs, each with its run.
#[derive(Default)]
pub(crate) struct Capture {
    pipes: [CapturePipe; 2],
    run: Option<CapturedRun>,
    /// The lines of the last run, whose threads may outlive it.
    last_lines: Vec<(u32, u32)>,
    /// True if the next panic of a thread is in the code of a cell that ran before.
    is_in_other_cell: bool,
    /// The text of the next batch, in the order in which it was written.
    batch: Vec<(StreamName, String)>,
    batch_bytes: usize,
    last_batch: Option<Instant>,
    /// A value that may be the cell's result, or be followed by further representations.
    bundle: Option<MimeBundle>,
    /// Outputs whose markers have not been read yet, by number.
    unmarked: BTreeMap<u64, Output>,
    next_marker: u64,
    captured: Vec<CapturedOutput>,
}

#[derive(Default)]
struct CapturePipe {
    scanner: Scanner,
    text: TextDecoder,
    ended: bool,
    closed: bool,
}

struct CapturedRun {
    id: RunId,
    has_result: bool,
    lines: Vec<(u32, u32)>,
    panicked: bool,
    errored: bool,
    returned: bool,
    lost: Vec<String>,
    panic: Option<Panic>,
    /// The last line on stderr, held back while it may be the text of a `?` error.
    last_line: String,
    last_line_at: Option<Instant>,
    /// The last error that was printed in the form of one leaving the cell.
    report: Option<ErrorText>,
}

impl CapturedRun {
    /// Translates a location in the compiled file into one in the cell.
    fn locate(&self, location: String) -> String {
        locate(&self.lines, location)
    }
}

/// Translates a location in the compiled file into one in the cell, by pairs of their lines:
/// `cell:3:5`. Locations in other code are unchanged.
fn locate(lines: &[(u32, u32)], location: String) -> String {
    let found = location
        .strip_prefix(COMPILED)
        .and_then(|position| position.split_once(':'))
        .and_then(|(line, column)| {
            let at = line.parse::<u32>().ok()?;
            let (_, line) = lines.iter().find(|(compiled, _)| *compiled == at)?;
            Some(format!("cell:{line}:{column}"))
        });
    found.unwrap_or(location)
}

impl Capture {
    /// Starts a run.
    pub(crate) fn start(&mut self, run: RunId, has_result: bool, lines: Vec<(u32, u32)>) {
        self.flush();
        for pipe in &mut self.pipes {
            pipe.ended = false;
        }
        self.run = Some(CapturedRun {
            id: run,
            has_result,
            lines,
            panicked: false,
            errored: false,
            returned: false,
            lost: Vec::new(),
            panic: None,
            last_line: String::new(),
            last_line_at: None,
            report: None,
        });
    }

    /// Holds an output until its marker is read; returns the number of the marker.
    pub(crate) fn hold_for_marker(&mut self, output: Output) -> u64 {
        self.next_marker += 1;
        self.unmarked.insert(self.next_marker, output);
        self.next_marker
    }

    /// Adds bytes of one pipe.
    pub(crate) fn push(&mut self, name: StreamName, bytes: &[u8], now: Instant) {
        let tokens = self.pipe(name).scanner.push(bytes);
        self.tokens(name, tokens);
        if let Some(run) = &mut self.run
            && name == StreamName::Stderr
            && !run.last_line.is_empty()
        {
            // For an error reported by the library, the outcome shows whether it has left the cell.
            let is_reported = run
                .report
                .as_ref()
                .is_some_and(|report| run.last_line.trim_end_matches('\n') == report.text);
            run.last_line_at = Some(now).filter(|_| !is_reported);
        }
        self.tick(now);
    }

    /// Handles the end of one pipe.
    pub(crate) fn closed(&mut self, name: StreamName) {
        let tokens = self.pipe(name).scanner.finish();
        self.tokens(name, tokens);
        let rest = self.pipe(name).text.finish();
        self.text(name, rest);
        self.pipe(name).closed = true;
        self.end_if_marked();
    }

    /// Ends the run without waiting for end markers (a cell may have closed or redirected a pipe).
    pub(crate) fn end(&mut self, run: RunId) {
        if self.run.as_ref().is_some_and(|current| current.id == run) {
            self.finish_run(None);
        }
    }

    /// Ends the run; all its output has been pushed.
    pub(crate) fn end_run(&mut self, run: RunId) {
        if self.running() == Some(run) {
            self.finish_text();
            self.finish_run(None);
        }
    }

    /// Removes a run that has not started.
    pub(crate) fn forget(&mut self, run: RunId) {
        self.run.take_if(|current| current.id == run);
    }

    /// Ends the run of a cell that could not be loaded.
    pub(crate) fn fail(&mut self, run: RunId, message: &str) {
        if self.running() == Some(run) {
            self.finish_run(Some(Outcome::Errored {
                message: message.to_owned(),
                failure: None,
                location: None,
            }));
        }
    }

    /// Ends the run, since the process has exited.
    pub(crate) fn died(&mut self, status: &RuntimeExit) {
        for name in [StreamName::Stdout, StreamName::Stderr] {
            if !self.pipe(name).closed {
                self.closed(name);
            }
        }
        if self.run.is_some() {
            self.finish_run(Some(Outcome::Died {
                status: status.clone(),
            }));
        }
        self.flush();
    }

    /// Ends the run, since a snapshot has replaced the process; all its output has been pushed.
    pub(crate) fn abandon(&mut self, status: &RuntimeExit) {
        self.finish_text();
        if self.run.is_some() {
            self.finish_run(Some(Outcome::Abandoned {
                status: status.clone(),
            }));
        }
        self.flush();
    }

    /// Drops incomplete text, which must not be joined to later text.
    fn finish_text(&mut self) {
        for name in [StreamName::Stdout, StreamName::Stderr] {
            let tokens = self.pipe(name).scanner.finish();
            self.tokens(name, tokens);
            let rest = self.pipe(name).text.finish();
            self.text(name, rest);
        }
    }

    /// Adds a notice of the owner, as text on stderr.
    pub(crate) fn notice(&mut self, text: String) {
        self.release();
        self.stream(StreamName::Stderr, text);
    }

    /// The time at which [`Self::tick`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let batch = self.last_batch.filter(|_| !self.batch.is_empty());
        let line = self.run.as_ref().and_then(|run| run.last_line_at);
        let due = [
            batch.map(|at| at + BATCH_INTERVAL),
            line.map(|at| at + ERROR_LINE_DELAY),
        ];
        due.into_iter().flatten().min()
    }

    /// Releases text that was held back for long enough.
    pub(crate) fn tick(&mut self, now: Instant) {
        if let Some(run) = &mut self.run
            && run
                .last_line_at
                .is_some_and(|at| now >= at + ERROR_LINE_DELAY)
        {
            run.last_line_at = None;
            let line = std::mem::take(&mut run.last_line);
            self.stream(StreamName::Stderr, line);
        }
        let due = self
            .last_batch
            .is_none_or(|last| now >= last + BATCH_INTERVAL);
        if !self.batch.is_empty() && (due || self.batch_bytes >= BATCH_BYTES) {
            self.last_batch = Some(now);
            self.flush_batch();
        }
    }

    /// Releases everything held back, since another output follows.
    pub(crate) fn release(&mut self) {
        if let Some(run) = &mut self.run {
            run.last_line_at = None;
            let line = std::mem::take(&mut run.last_line);
            self.stream(StreamName::Stderr, line);
        }
        self.flush();
    }

    /// Takes all events since the last call.
    pub(crate) fn take(&mut self) -> Vec<CapturedOutput> {
        std::mem::take(&mut self.captured)
    }

    /// The current run, if it has not ended.
    pub(crate) fn running(&self) -> Option<RunId> {
        self.run.as_ref().map(|run| run.id)
    }

    fn pipe(&mut self, name: StreamName) -> &mut CapturePipe {
        &mut self.pipes[name as usize]
    }

    fn tokens(&mut self, name: StreamName, tokens: Vec<OutputToken>) {
        for token in tokens {
            if let OutputToken::Text(bytes) = token {
                let text = self.pipe(name).text.push(&bytes);
                self.text(name, text);
                continue;
            }
            let rest = self.pipe(name).text.finish();
            self.text(name, rest);
            self.marker(name, token);
        }
    }

    fn marker(&mut self, name: StreamName, token: OutputToken) {
        match token {
            OutputToken::Text(_) => {}
            OutputToken::OtherCell => self.is_in_other_cell = true,
            OutputToken::Content { mime, body } => self.content(mime, &body),
            OutputToken::Position(number) => {
                if let Some(output) = self.unmarked.remove(&number) {
                    self.flush();
                    self.output(output);
                }
            }
            OutputToken::InputRequest { prompt, password } => {
                self.release();
                if self.run.is_some() {
                    let request = CapturedOutput::InputRequest { prompt, password };
                    self.captured.push(request);
                }
            }
            OutputToken::PanicReport { location, message } => {
                self.release_panic();
                match &mut self.run {
                    Some(run) => {
                        let location = Some(run.locate(location));
                        run.panic = Some(Panic { message, location });
                    }
                    None => self.text(name, panic_text(&message, &location)),
                }
            }
            OutputToken::ErrorReport(mut report) => {
                self.release_panic();
                let text = format!("{}\n", report.text);
                match &mut self.run {
                    Some(run) => {
                        let before = std::mem::replace(&mut run.last_line, text);
                        let location = report.location.take();
                        report.location = location.map(|location| run.locate(location));
                        run.report = Some(report);
                        self.stream(StreamName::Stderr, before);
                    }
                    None => self.text(name, text),
                }
            }
            OutputToken::End(id) => {
                if self.run.as_ref().is_some_and(|run| run.id == id) {
                    self.pipe(name).ended = true;
                    self.end_if_marked();
                }
            }
            OutputToken::Panicked
            | OutputToken::Errored
            | OutputToken::Returned
            | OutputToken::VariableLost(_) => {
                let Some(run) = &mut self.run else { return };
                match token {
                    OutputToken::Panicked => run.panicked = true,
                    OutputToken::Returned => run.returned = true,
                    OutputToken::VariableLost(name) => run.lost.push(name),
                    _ => run.errored = true,
                }
            }
        }
    }

    fn text(&mut self, name: StreamName, mut text: String) {
        if text.is_empty() {
            return;
        }
        if name == StreamName::Stderr {
            self.release_panic();
            let lines = self.run.as_ref().map_or(&self.last_lines, |run| &run.lines);
            text = located(lines, &text, &mut self.is_in_other_cell);
            if let Some(run) = &mut self.run {
                let mut text = std::mem::take(&mut run.last_line) + &text;
                run.last_line = text.split_off(last_line_start(&text));
                self.stream(name, text);
                return;
            }
        }
        self.release_bundle();
        self.stream(name, text);
    }

    fn stream(&mut self, name: StreamName, text: String) {
        if text.is_empty() {
            return;
        }
        self.batch_bytes += text.len();
        match self.batch.last_mut() {
            Some((last, batch)) if *last == name => batch.push_str(&text),
            _ => self.batch.push((name, text)),
        }
    }

    /// Adds a representation: consecutive blocks with different MIME types are one value; a
    /// repeated type starts the next.
    fn content(&mut self, mime: String, body: &[u8]) {
        if self
            .bundle
            .as_ref()
            .is_some_and(|bundle| bundle.0.contains_key(&mime))
        {
            self.release_bundle();
        }
        let text = String::from_utf8_lossy(body).into_owned();
        let value = if mime.contains("json") {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        } else {
            Value::String(text)
        };
        self.bundle.get_or_insert_default().0.insert(mime, value);
    }

    /// Releases a held value as a display, since output follows it, so that it is not the result.
    fn release_bundle(&mut self) {
        if let Some(data) = self.bundle.take() {
            self.flush_batch();
            self.output(Output::Display(phalanx_protocol::output::Display {
                data,
                ..Default::default()
            }));
        }
    }

    /// Releases a panic report as text, since output follows it, so that user code has caught the
    /// panic.
    fn release_panic(&mut self) {
        let panic = self.run.as_mut().and_then(|run| {
            let panicked = run.panicked;
            run.panic.take_if(|_| !panicked)
        });
        if let Some(Panic { message, location }) = panic {
            let text = panic_text(&message, location.as_deref().unwrap_or("?"));
            self.stream(StreamName::Stderr, text);
        }
    }

    fn end_if_marked(&mut self) {
        if self.pipes.iter().all(|pipe| pipe.ended || pipe.closed)
            && self.pipes.iter().any(|pipe| pipe.ended)
        {
            self.finish_run(None);
        }
    }

    fn finish_run(&mut self, outcome: Option<Outcome>) {
        let Some(mut run) = self.run.take() else {
            return;
        };
        let line = std::mem::take(&mut run.last_line);
        let outcome = outcome.unwrap_or_else(|| {
            if run.panicked {
                Outcome::Panicked(run.panic.take().unwrap_or_else(|| Panic {
                    message: "a thread panicked; its message is on stderr".to_owned(),
                    location: None,
                }))
            } else if run.errored {
                run.report.take().map_or_else(
                    || Outcome::Errored {
                        message: line.trim_end_matches('\n').to_owned(),
                        failure: None,
                        location: None,
                    },
                    |ErrorText {
                         text,
                         failure,
                         location,
                     }| Outcome::Errored {
                        message: text,
                        failure,
                        location,
                    },
                )
            } else if !run.lost.is_empty() {
                Outcome::VariablesLost(std::mem::take(&mut run.lost))
            } else if run.returned {
                Outcome::Returned
            } else {
                Outcome::Completed
            }
        });
        let id = run.id;
        let has_result = run.has_result && outcome == Outcome::Completed;
        // In an interrupted cell, calls of the library end with this error: the outcome is the
        // interrupt.
        let interrupted = run.report.as_ref().is_some_and(|report| {
            matches!(report.failure.as_deref(), Some(Failure::Interrupted { .. }))
        });
        let is_in_outcome = matches!(outcome, Outcome::Errored { .. } | Outcome::VariablesLost(_));
        if !is_in_outcome && !interrupted {
            self.stream(StreamName::Stderr, line);
        }
        // Restored, to attribute the output that is still held.
        self.run = Some(run);
        self.release_panic();
        if has_result && let Some(data) = self.bundle.take() {
            self.flush_batch();
            // evcxr's fallback to `{:?}` also prints the unit value.
            if data.0.len() != 1 || data.text() != Some("()") {
                self.output(Output::Result(data));
            }
        }
        self.flush();
        for output in std::mem::take(&mut self.unmarked).into_values() {
            self.output(output);
        }
        self.last_lines = self.run.take().map(|run| run.lines).unwrap_or_default();
        self.captured
            .push(CapturedOutput::Ended { run: id, outcome });
    }

    fn flush(&mut self) {
        self.release_bundle();
        self.flush_batch();
    }

    fn flush_batch(&mut self) {
        self.batch_bytes = 0;
        for (name, text) in std::mem::take(&mut self.batch) {
            self.output(Output::Stream { name, text });
        }
    }

    fn output(&mut self, output: Output) {
        self.captured.push(CapturedOutput::Output {
            run: self.running(),
            output,
        });
    }
}

/// The offset of the last line; a trailing newline belongs to the line.
fn last_line_start(text: &str) -> usize {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.rfind('\n').map_or(0, |at| at + 1)
}

/// Translates the locations in Rust's messages about panics in other threads into locations in the
/// cell, by pairs of lines; the first one may be in another cell, whose lines can be the same.
fn located(lines: &[(u32, u32)], text: &str, is_in_other_cell: &mut bool) -> String {
    let mut parts = text.split(PANICKED);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let is_position = |c: char| c.is_ascii_digit() || c == ':';
        let end = part.find(|c| !is_position(c)).unwrap_or(part.len());
        let position = part[..end].trim_end_matches(':');
        let location = locate(lines, format!("{COMPILED}{position}"));
        let is_elsewhere = std::mem::take(is_in_other_cell);
        let location = match is_elsewhere || location.starts_with(COMPILED) {
            true => "another cell",
            false => &location,
        };
        format!("{text}panicked at {location}{}", &part[position.len()..])
    })
}

fn panic_text(message: &str, location: &str) -> String {
    format!("thread 'main' panicked at {location}:\n{message}\n")
}

#[cfg(test)]
mod tests;
