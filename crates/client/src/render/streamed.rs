//! Outputs in the order in which they arrive, each shown once.
//!
//! Text of several engines is collected for [`BATCH_INTERVAL`] and shown engine by engine, so that
//! one label covers many lines. A line is not interrupted by another engine's output unless it
//! stays unfinished for [`UNFINISHED_LIMIT`]. Output is shown immediately if nothing was shown recently,
//! except for the very first text of several engines: it is collected for [`FIRST_INTERVAL`], so
//! that the output of a short cell is in the order of engines.
//!
//! A line that an engine rewrites with carriage returns is shown as a display that is updated in
//! place. When one of several engines clears its output, the cell is cleared and the output of the
//! others is shown again.

mod line;
mod queue;

use super::label::{self, Labels};
use crate::result::{TaskEvent, TaskEventKind};
use line::{LiveLine, is_rewritten, rewritten};
use phalanx_protocol::id::EngineId;
use phalanx_protocol::output::{Output, StreamName};
use queue::OutputQueue;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The minimum time between two batches.
pub const BATCH_INTERVAL: Duration = Duration::from_millis(100);

/// The time for which the first text of several engines is collected.
pub const FIRST_INTERVAL: Duration = Duration::from_millis(30);

/// The time for which an unfinished line is not shown if showing it would split it: engines send
/// their output in batches, which may end anywhere in a line.
pub const UNFINISHED_LIMIT: Duration = Duration::from_millis(500);

/// The number of bytes of text from which it is shown without waiting for the interval.
const BATCH_BYTES: usize = 1 << 20;

/// Converts the events of one AsyncResult into the outputs of the cell.
#[derive(Debug)]
pub struct Streamer {
    labels: Labels,
    queues: BTreeMap<(EngineId, usize), OutputQueue>,
    last: Option<Source>,
    /// True if the text shown last did not end with a line feed.
    open_line: bool,
    quiet_until: Option<Instant>,
    waiting_bytes: usize,
    /// The prefix of the ids of its displays.
    name: String,
    /// The number of lines that became displays.
    live_lines: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Stream(EngineId, StreamName),
    Display(EngineId),
    Line,
    Result,
}

impl Streamer {
    /// Creates a streamer. `name` is unique to it, and a prefix of the ids of its displays.
    pub fn new(labels: Labels, name: String) -> Self {
        Self {
            labels,
            queues: BTreeMap::new(),
            last: None,
            open_line: false,
            quiet_until: None,
            waiting_bytes: 0,
            name,
            live_lines: 0,
        }
    }

    /// Handles an event; returns the outputs to show now.
    pub fn event(&mut self, event: TaskEvent, now: Instant) -> Vec<Output> {
        let queue = self.queues.entry((event.engine, event.task)).or_default();
        match event.kind {
            TaskEventKind::Started { execution_count } => queue.execution_count = execution_count,
            TaskEventKind::Output(output) => {
                if let Output::Stream { text, .. } = &output {
                    self.waiting_bytes += text.len();
                }
                queue.push(output, self.labels);
            }
            TaskEventKind::Done { .. } | TaskEventKind::OutputDone => return Vec::new(),
        }
        if self.waiting_bytes > BATCH_BYTES {
            return self.flush(now);
        }
        if self.labels == Labels::Engines && self.queues.values().any(OutputQueue::waits) {
            self.quiet_until.get_or_insert(now + FIRST_INTERVAL);
        }
        self.tick(now)
    }

    /// The time at which [`tick`](Self::tick) is due; `None` if no output is pending.
    pub fn deadline(&self) -> Option<Instant> {
        let waits = self.queues.values().any(OutputQueue::waits);
        self.quiet_until.filter(|_| waits)
    }

    /// Handles the passing of time; returns the outputs to show now.
    pub fn tick(&mut self, now: Instant) -> Vec<Output> {
        if self.quiet_until.is_some_and(|until| now < until) {
            return Vec::new();
        }
        self.flush(now)
    }

    /// Handles the end of the events; returns the remaining outputs.
    pub fn finish(&mut self) -> Vec<Output> {
        self.show(None)
    }

    fn flush(&mut self, now: Instant) -> Vec<Output> {
        let shown = self.show(Some(now));
        if !shown.is_empty() || self.queues.values().any(OutputQueue::waits) {
            self.quiet_until = Some(now + BATCH_INTERVAL);
        }
        shown
    }

    fn show(&mut self, now: Option<Instant>) -> Vec<Output> {
        let mut page = Vec::new();
        let mut queues = std::mem::take(&mut self.queues);
        let cleared = queues.values().any(|queue| queue.cleared);
        if cleared {
            self.again(&mut page, &mut queues);
        }
        let busy = queues.values().filter(|queue| queue.waits()).count();
        for ((engine, _), queue) in &mut queues {
            let rest = match (queue.waiting.back(), now) {
                (Some(Output::Stream { name, .. }), Some(now)) => {
                    let alone = busy == 1
                        && self
                            .last
                            .is_none_or(|last| last == Source::Stream(*engine, *name));
                    let labelled = self.labels == Labels::Engines;
                    (labelled && !alone)
                        .then(|| queue.unfinished(now))
                        .flatten()
                }
                _ => None,
            };
            if rest.is_none() {
                queue.unfinished_since = None;
            }
            let waiting: Vec<Output> = queue.waiting.drain(..).collect();
            queue.waiting.extend(rest);
            for output in waiting {
                if self.labels == Labels::Engines {
                    queue.log.push(output.clone());
                }
                self.output(&mut page, *engine, queue, output);
            }
        }
        self.waiting_bytes = queues.values().map(OutputQueue::waiting_bytes).sum();
        self.queues = queues;
        if cleared && page.len() > 1 {
            // The frontend clears only when the next output arrives, which avoids flicker.
            page[0] = Output::ClearOutput { wait: true };
        }
        page
    }

    /// Clears the cell and shows the output of the engines that have not cleared theirs again.
    fn again(
        &mut self,
        page: &mut Vec<Output>,
        queues: &mut BTreeMap<(EngineId, usize), OutputQueue>,
    ) {
        page.push(Output::ClearOutput { wait: false });
        self.last = None;
        self.open_line = false;
        for ((engine, _), queue) in queues {
            queue.lines.clear();
            if std::mem::take(&mut queue.cleared) {
                queue.log.clear();
                continue;
            }
            if let Some(note) = queue.log.note() {
                self.text(page, *engine, StreamName::Stdout, &note);
            }
            let shown: Vec<Output> = queue.log.entries().cloned().collect();
            for output in shown {
                self.output(page, *engine, queue, output);
            }
        }
    }

    fn output(
        &mut self,
        page: &mut Vec<Output>,
        engine: EngineId,
        queue: &mut OutputQueue,
        output: Output,
    ) {
        match output {
            Output::Stream { name, text } => self.stream(page, engine, queue, name, &text),
            Output::Display(display) => {
                let source = Source::Display(engine);
                if !display.update && self.last.replace(source) != Some(source) {
                    page.extend(self.labels.display(engine));
                }
                page.push(label::republished(&display, engine));
            }
            Output::Result(data) => {
                self.last = Some(Source::Result);
                page.push(label::result(&data, engine, queue.execution_count));
            }
            Output::Data(_) => {}
            clear @ Output::ClearOutput { .. } => {
                self.last = None;
                page.push(clear);
            }
        }
    }

    /// Handles text of a stream: rewritten lines are displays, other lines are text.
    fn stream(
        &mut self,
        page: &mut Vec<Output>,
        engine: EngineId,
        queue: &mut OutputQueue,
        name: StreamName,
        text: &str,
    ) {
        let is_plain = queue.line(name).is_none() && !text.contains('\r');
        if self.labels == Labels::None || is_plain {
            self.text(page, engine, name, text);
            return;
        }
        for line in text.split_inclusive('\n') {
            let (content, ended) = match line.strip_suffix('\n') {
                Some(content) => (content, true),
                None => (line, false),
            };
            if let Some(live) = queue.line(name) {
                page.extend(live.write(content));
                if ended {
                    queue.lines.retain(|line| line.name != name);
                }
            } else if !is_rewritten(line) {
                self.text(page, engine, name, line);
            } else if ended {
                self.text(page, engine, name, &(rewritten(content) + "\n"));
            } else {
                self.live_lines += 1;
                let id = format!("{}-{}", self.name, self.live_lines);
                let mut live = LiveLine::new(name, engine, id);
                page.extend(live.write(content));
                queue.lines.push(live);
                self.last = Some(Source::Line);
            }
        }
    }

    fn text(&mut self, page: &mut Vec<Output>, engine: EngineId, name: StreamName, text: &str) {
        let source = Source::Stream(engine, name);
        let before = self.last.replace(source);
        if before != Some(source) && self.labels == Labels::Engines {
            if let Some(Source::Stream(_, open)) = before
                && self.open_line
            {
                append(page, open, "\n");
            }
            append(page, name, &self.labels.stream(name, engine));
        }
        self.open_line = !text.ends_with('\n');
        append(page, name, text);
    }
}

fn append(page: &mut Vec<Output>, name: StreamName, text: &str) {
    if text.is_empty() {
        return;
    }
    if let Some(Output::Stream {
        name: last,
        text: piece,
    }) = page.last_mut()
        && *last == name
    {
        piece.push_str(text);
    } else {
        page.push(Output::Stream {
            name,
            text: text.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests;
