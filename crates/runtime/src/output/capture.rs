//! The state of a runtime's output: which run it belongs to, what is held back, how the run ended.

use super::scanner::{OutputToken, Scanner};
use super::text::TextDecoder;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::failure::Panic;
use phalanx_protocol::host::ErrorText;
use phalanx_protocol::id::RunId;
use phalanx_protocol::output::{MimeBundle, Output, StreamName};
use phalanx_protocol::runtime::Outcome;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Least time between two batches of streamed text: ten a second, whatever the cell prints.
const BATCH_INTERVAL: Duration = Duration::from_millis(100);

/// Time for which the last line on stderr may turn out to be the text of a `?` error: the two are
/// written together, but to different pipes.
const ERROR_LINE_DELAY: Duration = Duration::from_millis(30);

/// The file in which all cells are compiled, as panics name it.
const COMPILED: &str = "src/lib.rs:";

/// The beginning of a place in what Rust prints of a panic there.
const PANICKED: &str = "panicked at src/lib.rs:";

/// Most text a batch holds, in bytes; more goes out at once.
const BATCH_BYTES: usize = 1 << 16;

/// A result of capturing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CapturedOutput {
    /// Something to show; `None` when no cell is running (a thread outlived its cell).
    Output { run: Option<RunId>, output: Output },
    /// The running cell asks for a line and then reads it from stdin; all before is shown.
    InputRequest { prompt: String, password: bool },
    /// A run is over; all its output came before.
    Ended { run: RunId, outcome: Outcome },
}

/// Turns what the two pipes bring into outputs in order, each with its run.
#[derive(Default)]
pub(crate) struct Capture {
    pipes: [CapturePipe; 2],
    run: Option<CapturedRun>,
    /// Text that waits for the next batch, in the order written.
    batch: Vec<(StreamName, String)>,
    batch_bytes: usize,
    last_batch: Option<Instant>,
    /// A value that may turn out to be the cell's result, or get more representations.
    bundle: Option<MimeBundle>,
    /// Outputs whose place in the text has not been read yet.
    places: BTreeMap<u64, Output>,
    next_place: u64,
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
    /// The last line on stderr, kept until it is known not to be the text of a `?` error.
    last_line: String,
    last_line_at: Option<Instant>,
    /// The last error that was printed as one leaving the cell is.
    report: Option<ErrorText>,
}

impl CapturedRun {
    /// A place in the file that was compiled as a place in the cell: `cell:3:5`. What is not of this
    /// cell stays as it is.
    fn locate(&self, location: String) -> String {
        let found = location
            .strip_prefix(COMPILED)
            .and_then(|place| place.split_once(':'))
            .and_then(|(line, column)| {
                let at = line.parse::<u32>().ok()?;
                let (_, line) = self.lines.iter().find(|(compiled, _)| *compiled == at)?;
                Some(format!("cell:{line}:{column}"))
            });
        found.unwrap_or(location)
    }
}

impl Capture {
    /// A cell begins.
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

    /// Keeps an output until its place in the text is read; answers the number of the place.
    pub(crate) fn place(&mut self, output: Output) -> u64 {
        self.next_place += 1;
        self.places.insert(self.next_place, output);
        self.next_place
    }

    /// Takes bytes from one pipe.
    pub(crate) fn push(&mut self, name: StreamName, bytes: &[u8], now: Instant) {
        let tokens = self.pipe(name).scanner.push(bytes);
        self.tokens(name, tokens);
        if let Some(run) = &mut self.run
            && name == StreamName::Stderr
            && !run.last_line.is_empty()
        {
            // Of an error that the library reports, the cell's end says whether it has left the cell.
            let is_reported = run
                .report
                .as_ref()
                .is_some_and(|report| run.last_line.trim_end_matches('\n') == report.text);
            run.last_line_at = Some(now).filter(|_| !is_reported);
        }
        self.tick(now);
    }

    /// One pipe has no more writers.
    pub(crate) fn closed(&mut self, name: StreamName) {
        let tokens = self.pipe(name).scanner.finish();
        self.tokens(name, tokens);
        let rest = self.pipe(name).text.finish();
        self.text(name, rest);
        self.pipe(name).closed = true;
        self.end_if_marked();
    }

    /// The run is over even if a pipe did not say so (a cell may have closed or redirected it).
    pub(crate) fn end(&mut self, run: RunId) {
        if self.run.as_ref().is_some_and(|current| current.id == run) {
            self.finish_run(None);
        }
    }

    /// The run is over, and everything it has written has been pushed.
    pub(crate) fn end_run(&mut self, run: RunId) {
        if self.running() == Some(run) {
            self.finish_text();
            self.finish_run(None);
        }
    }

    /// The run has not begun after all.
    pub(crate) fn forget(&mut self, run: RunId) {
        self.run.take_if(|current| current.id == run);
    }

    /// The cell could not be loaded, so it did not run.
    pub(crate) fn fail(&mut self, run: RunId, message: &str) {
        if self.running() == Some(run) {
            self.finish_run(Some(Outcome::Errored {
                message: message.to_owned(),
                failure: None,
                location: None,
            }));
        }
    }

    /// The process is gone.
    pub(crate) fn died(&mut self, status: &str) {
        for name in [StreamName::Stdout, StreamName::Stderr] {
            if !self.pipe(name).closed {
                self.closed(name);
            }
        }
        if self.run.is_some() {
            self.finish_run(Some(Outcome::Died {
                status: status.to_owned(),
            }));
        }
        self.flush();
    }

    /// The process is gone and a snapshot is in its place; everything it has written has been pushed.
    pub(crate) fn abandon(&mut self, status: &str) {
        self.finish_text();
        if self.run.is_some() {
            self.finish_run(Some(Outcome::Abandoned {
                status: status.to_owned(),
            }));
        }
        self.flush();
    }

    /// Drops unfinished text, which must not be joined to what follows.
    fn finish_text(&mut self) {
        for name in [StreamName::Stdout, StreamName::Stderr] {
            let tokens = self.pipe(name).scanner.finish();
            self.tokens(name, tokens);
            let rest = self.pipe(name).text.finish();
            self.text(name, rest);
        }
    }

    /// Something the cell's owner has to say, on stderr.
    pub(crate) fn notice(&mut self, text: String) {
        self.release();
        self.stream(StreamName::Stderr, text);
    }

    /// The time [`Self::tick`] is due if nothing else happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let batch = self.last_batch.filter(|_| !self.batch.is_empty());
        let line = self.run.as_ref().and_then(|run| run.last_line_at);
        let due = [
            batch.map(|at| at + BATCH_INTERVAL),
            line.map(|at| at + ERROR_LINE_DELAY),
        ];
        due.into_iter().flatten().min()
    }

    /// Lets text go that has waited long enough.
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

    /// Lets everything go that is held back, since something else is about to be shown.
    pub(crate) fn release(&mut self) {
        if let Some(run) = &mut self.run {
            run.last_line_at = None;
            let line = std::mem::take(&mut run.last_line);
            self.stream(StreamName::Stderr, line);
        }
        self.flush();
    }

    /// Takes everything captured since the last call.
    pub(crate) fn take(&mut self) -> Vec<CapturedOutput> {
        std::mem::take(&mut self.captured)
    }

    /// The run that waits only for the end markers on its pipes, if any.
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
            OutputToken::Content { mime, body } => self.content(mime, &body),
            OutputToken::Place(place) => {
                if let Some(output) = self.places.remove(&place) {
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
            text = located(self.run.as_ref(), &text);
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

    /// Blocks with different MIME types in a row are one value; a repeated type begins the next.
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

    /// The value that was held back is not the last thing of the cell, so it is no result.
    fn release_bundle(&mut self) {
        if let Some(data) = self.bundle.take() {
            self.flush_batch();
            self.output(Output::Display(phalanx_protocol::output::Display {
                data,
                ..Default::default()
            }));
        }
    }

    /// A panic that something else followed was caught by the user's code: it is text like any other.
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
        // A call of the library ends with this in a cell that is interrupted: the cell's end tells it.
        let interrupted = run.report.as_ref().is_some_and(|report| {
            matches!(report.failure.as_deref(), Some(Failure::Interrupted { .. }))
        });
        let told = matches!(outcome, Outcome::Errored { .. } | Outcome::VariablesLost(_));
        if !told && !interrupted {
            self.stream(StreamName::Stderr, line);
        }
        // Put back for the attribution of what is still held.
        self.run = Some(run);
        self.release_panic();
        if has_result && let Some(data) = self.bundle.take() {
            self.flush_batch();
            // evcxr's second way of showing a value shows the unit too.
            if data.0.len() != 1 || data.text() != Some("()") {
                self.output(Output::Result(data));
            }
        }
        self.flush();
        for output in std::mem::take(&mut self.places).into_values() {
            self.output(output);
        }
        self.run = None;
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

/// The offset of the last line; a final newline belongs to its line.
fn last_line_start(text: &str) -> usize {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.rfind('\n').map_or(0, |at| at + 1)
}

/// Text in which Rust tells of panics in other threads, with their places in the cell.
fn located(run: Option<&CapturedRun>, text: &str) -> String {
    let mut parts = text.split(PANICKED);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |told, part| {
        let is_place = |c: char| c.is_ascii_digit() || c == ':';
        let end = part.find(|c| !is_place(c)).unwrap_or(part.len());
        let place = part[..end].trim_end_matches(':');
        let location = run.map(|run| run.locate(format!("{COMPILED}{place}")));
        let location = location.filter(|location| !location.starts_with(COMPILED));
        let location = location.as_deref().unwrap_or("another cell");
        format!("{told}panicked at {location}{}", &part[place.len()..])
    })
}

fn panic_text(message: &str, location: &str) -> String {
    format!("thread 'main' panicked at {location}:\n{message}\n")
}

#[cfg(test)]
mod tests;
