//! Outputs as they arrive, each sent once.
//!
//! Text of several engines is gathered for [`BATCH_INTERVAL`] and shown engine by engine, so that
//! a label stands for many lines; a line is not torn apart by another engine's unless its engine
//! leaves it unfinished for that long. Nothing waits when nothing was shown recently, but for the
//! very first text of several engines: it is gathered for [`FIRST_INTERVAL`], so that a cell that is
//! done by then is shown in the order of engines.

use super::label::{self, Labels};
use crate::result::{TaskEvent, TaskEventKind};
use phalanx_protocol::id::EngineId;
use phalanx_protocol::output::{Output, StreamName};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Shortest time between two batches.
pub const BATCH_INTERVAL: Duration = Duration::from_millis(100);

/// How long the first text of several engines is gathered.
pub const FIRST_INTERVAL: Duration = Duration::from_millis(30);

/// Text beyond this many bytes is shown without waiting for the interval to pass.
const BATCH_BYTES: usize = 1 << 20;

/// Turns the events of one AsyncResult into what the cell shows.
#[derive(Debug)]
pub struct Streamer {
    labels: Labels,
    lanes: BTreeMap<(EngineId, usize), Lane>,
    last: Option<Source>,
    /// The text shown last did not end its line.
    open_line: bool,
    quiet_until: Option<Instant>,
    waiting_bytes: usize,
}

/// What one task has put out and is not yet shown.
#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Output>,
    execution_count: u32,
    /// An unfinished line was held back once.
    held: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Stream(EngineId, StreamName),
    Display(EngineId),
    Result,
}

impl Streamer {
    /// Shows nothing yet.
    pub fn new(labels: Labels) -> Self {
        Self {
            labels,
            lanes: BTreeMap::new(),
            last: None,
            open_line: false,
            quiet_until: None,
            waiting_bytes: 0,
        }
    }

    /// Takes an event; what is to be shown now.
    pub fn event(&mut self, event: TaskEvent, now: Instant) -> Vec<Output> {
        let lane = self.lanes.entry((event.engine, event.task)).or_default();
        match event.kind {
            TaskEventKind::Started { execution_count } => lane.execution_count = execution_count,
            TaskEventKind::Output(Output::ClearOutput { wait }) => {
                // Where several engines share the cell, clearing it would take what is others'.
                if self.labels == Labels::None {
                    lane.push(Output::ClearOutput { wait });
                }
            }
            TaskEventKind::Output(output) => {
                if let Output::Stream { text, .. } = &output {
                    self.waiting_bytes += text.len();
                }
                lane.push(output);
            }
            TaskEventKind::Done { .. } | TaskEventKind::OutputDone => return Vec::new(),
        }
        if self.waiting_bytes > BATCH_BYTES {
            return self.flush(now);
        }
        if self.labels == Labels::Engines && self.lanes.values().any(|l| !l.waiting.is_empty()) {
            self.quiet_until.get_or_insert(now + FIRST_INTERVAL);
        }
        self.tick(now)
    }

    /// When [`tick`](Self::tick) is due; `None` while nothing waits.
    pub fn deadline(&self) -> Option<Instant> {
        let waits = self.lanes.values().any(|lane| !lane.waiting.is_empty());
        self.quiet_until.filter(|_| waits)
    }

    /// Time has passed; what is to be shown now.
    pub fn tick(&mut self, now: Instant) -> Vec<Output> {
        if self.quiet_until.is_some_and(|until| now < until) {
            return Vec::new();
        }
        self.flush(now)
    }

    /// All events have been taken; what is left to show.
    pub fn finish(&mut self) -> Vec<Output> {
        for lane in self.lanes.values_mut() {
            lane.held = true;
        }
        self.show(None)
    }

    fn flush(&mut self, now: Instant) -> Vec<Output> {
        let shown = self.show(Some(now));
        if !shown.is_empty() || self.lanes.values().any(|lane| !lane.waiting.is_empty()) {
            self.quiet_until = Some(now + BATCH_INTERVAL);
        }
        shown
    }

    fn show(&mut self, now: Option<Instant>) -> Vec<Output> {
        self.waiting_bytes = 0;
        let mut page = Vec::new();
        let mut lanes = std::mem::take(&mut self.lanes);
        let busy = lanes.values().filter(|l| !l.waiting.is_empty()).count();
        for ((engine, _), lane) in &mut lanes {
            let mut waiting = std::mem::take(&mut lane.waiting);
            if now.is_some()
                && let Some(rest) = self.unfinished(*engine, lane, &mut waiting, busy)
            {
                self.waiting_bytes += rest.len();
                lane.held = true;
                lane.waiting.push_back(rest.into());
            } else {
                lane.held = false;
            }
            for output in waiting {
                self.output(&mut page, *engine, lane.execution_count, output);
            }
        }
        self.lanes = lanes;
        page
    }

    /// Takes the unfinished last line off `waiting`, where showing it now could tear it.
    fn unfinished(
        &self,
        engine: EngineId,
        lane: &Lane,
        waiting: &mut VecDeque<Output>,
        busy: usize,
    ) -> Option<Unfinished> {
        if self.labels == Labels::None {
            return None;
        }
        let Some(Output::Stream { name, text }) = waiting.back_mut() else {
            return None;
        };
        let name = *name;
        let alone = busy == 1
            && self
                .last
                .is_none_or(|last| last == Source::Stream(engine, name));
        let start = text.rfind('\n').map_or(0, |at| at + 1);
        let held_before = lane.held && start == 0;
        if alone || held_before || start == text.len() {
            return None;
        }
        let line = text.split_off(start);
        if text.is_empty() {
            waiting.pop_back();
        }
        Some(Unfinished { name, line })
    }

    fn output(&mut self, page: &mut Vec<Output>, engine: EngineId, count: u32, output: Output) {
        match output {
            Output::Stream { name, text } => self.text(page, engine, name, text),
            Output::Display(display) => {
                let source = Source::Display(engine);
                if !display.update && self.last.replace(source) != Some(source) {
                    page.extend(self.labels.display(engine));
                }
                page.push(label::republished(&display, engine));
            }
            Output::Result(data) => {
                self.last = Some(Source::Result);
                page.push(label::result(&data, engine, count));
            }
            clear @ Output::ClearOutput { .. } => {
                self.last = None;
                page.push(clear);
            }
        }
    }

    fn text(&mut self, page: &mut Vec<Output>, engine: EngineId, name: StreamName, text: String) {
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
        append(page, name, &text);
    }
}

struct Unfinished {
    name: StreamName,
    line: String,
}

impl Unfinished {
    fn len(&self) -> usize {
        self.line.len()
    }
}

impl From<Unfinished> for Output {
    fn from(unfinished: Unfinished) -> Self {
        Self::Stream {
            name: unfinished.name,
            text: unfinished.line,
        }
    }
}

impl Lane {
    fn push(&mut self, output: Output) {
        match output {
            Output::Stream { name, text } => {
                if let Some(Output::Stream {
                    name: last,
                    text: piece,
                }) = self.waiting.back_mut()
                    && *last == name
                {
                    piece.push_str(&text);
                } else {
                    self.waiting.push_back(Output::Stream { name, text });
                }
            }
            output => self.waiting.push_back(output),
        }
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
mod tests {
    use super::*;
    use phalanx_protocol::output::{Display, MimeBundle};

    struct Cell {
        streamer: Streamer,
        start: Instant,
        shown: Vec<String>,
    }

    impl Cell {
        fn new(labels: Labels) -> Self {
            Self {
                streamer: Streamer::new(labels),
                start: Instant::now(),
                shown: Vec::new(),
            }
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        fn event(&mut self, millis: u64, engine: u32, kind: TaskEventKind) {
            let event = TaskEvent {
                task: engine as usize,
                engine: EngineId(engine),
                kind,
            };
            let outputs = self.streamer.event(event, self.at(millis));
            self.show(outputs);
        }

        fn out(&mut self, millis: u64, engine: u32, text: &str) {
            self.put(millis, engine, StreamName::Stdout, text);
        }

        fn put(&mut self, millis: u64, engine: u32, name: StreamName, text: &str) {
            let text = text.to_owned();
            self.event(
                millis,
                engine,
                TaskEventKind::Output(Output::Stream { name, text }),
            );
        }

        fn tick(&mut self, millis: u64) {
            let outputs = self.streamer.tick(self.at(millis));
            self.show(outputs);
        }

        fn finish(&mut self) {
            let outputs = self.streamer.finish();
            self.show(outputs);
        }

        fn show(&mut self, outputs: Vec<Output>) {
            for output in outputs {
                self.shown.push(match output {
                    Output::Stream { name, text } => format!("{}|{text}", name.as_str()),
                    Output::Display(display) => display
                        .data
                        .text()
                        .unwrap()
                        .replace("\x1b[0;31m", "")
                        .replace("\x1b[0m", ""),
                    Output::ClearOutput { .. } => "clear".to_owned(),
                    Output::Result(_) => panic!("a bare result"),
                });
            }
        }
    }

    #[test]
    fn the_first_text_is_shown_soon_and_the_rest_in_batches_by_engine() {
        let mut cell = Cell::new(Labels::Engines);
        cell.out(0, 1, "b1\n");
        assert_eq!(cell.streamer.deadline(), Some(cell.at(30)));
        cell.tick(30);
        assert_eq!(cell.shown, ["stdout|[stdout:1] \nb1\n"]);
        cell.out(40, 1, "b2\n");
        cell.out(50, 0, "a1\n");
        cell.out(60, 1, "b3\n");
        assert_eq!(cell.shown.len(), 1);
        assert_eq!(cell.streamer.deadline(), Some(cell.at(130)));
        cell.tick(130);
        assert_eq!(
            cell.shown[1..],
            ["stdout|[stdout:0] \na1\n[stdout:1] \nb2\nb3\n"]
        );
        assert_eq!(cell.streamer.deadline(), None);
    }

    #[test]
    fn a_cell_that_is_done_at_once_is_shown_in_the_order_of_engines() {
        let mut cell = Cell::new(Labels::Engines);
        for engine in [2, 0, 1] {
            let millis = u64::from(engine);
            cell.out(millis, engine, "hi\n");
            let result = TaskEventKind::Output(Output::Result(MimeBundle::plain("1")));
            cell.event(millis, engine, result);
        }
        cell.finish();
        let expected = [0, 1, 2].map(|engine| {
            [
                format!("stdout|[stdout:{engine}] \nhi\n"),
                format!("Out[{engine}:0]: 1"),
            ]
        });
        assert_eq!(cell.shown, expected.concat());
    }

    #[test]
    fn a_label_is_repeated_only_when_the_source_changes() {
        let mut cell = Cell::new(Labels::Engines);
        cell.out(0, 0, "1\n");
        cell.tick(30);
        cell.out(200, 0, "2\n");
        cell.put(400, 0, StreamName::Stderr, "e\n");
        cell.out(600, 0, "3\n");
        assert_eq!(
            cell.shown,
            [
                "stdout|[stdout:0] \n1\n",
                "stdout|2\n",
                "stderr|[stderr:0] \ne\n",
                "stdout|[stdout:0] \n3\n"
            ]
        );
    }

    #[test]
    fn lines_are_not_torn_unless_left_unfinished() {
        let mut cell = Cell::new(Labels::Engines);
        cell.out(0, 0, "10%");
        cell.tick(30);
        cell.out(200, 1, "a1\nhalf");
        cell.out(210, 0, "\r20%");
        cell.out(220, 1, " whole\nrest");
        cell.tick(300);
        // What was begun at 200 is complete now; what was begun since is held back once.
        cell.tick(400);
        cell.finish();
        let text = cell.shown.concat().replace("stdout|", "");
        assert_eq!(
            text,
            "[stdout:0] \n10%\n[stdout:1] \na1\nhalf whole\n[stdout:0] \n\r20%\n[stdout:1] \nrest"
        );
    }

    #[test]
    fn every_byte_is_shown_once() {
        let mut cell = Cell::new(Labels::Engines);
        for line in 0..10_000 {
            for engine in 0..4 {
                cell.out(line / 100, engine, &format!("line {line} of {engine} é\n"));
            }
        }
        cell.finish();
        let text: String = cell.shown.iter().map(|s| &s["stdout|".len()..]).collect();
        let lines = text.lines().filter(|l| !l.starts_with('[')).count();
        assert_eq!(lines, 40_000);
        let payload: usize = text
            .lines()
            .filter(|l| !l.starts_with('['))
            .map(|l| l.len() + 1)
            .sum();
        assert!((text.len() as f64) < 1.2 * payload as f64);
        let mut next = [0; 4];
        for line in text.lines().filter(|l| !l.starts_with('[')) {
            let words: Vec<_> = line.split(' ').collect();
            let engine: usize = words[3].parse().unwrap();
            assert_eq!(words[1].parse::<usize>().unwrap(), next[engine]);
            next[engine] += 1;
        }
    }

    #[test]
    fn displays_and_results_keep_their_place() {
        let mut cell = Cell::new(Labels::Engines);
        let display = |text: &str, update| {
            TaskEventKind::Output(Output::Display(Display {
                data: MimeBundle::plain(text),
                update,
                ..Display::default()
            }))
        };
        cell.out(0, 0, "before\n");
        cell.event(1, 0, TaskEventKind::Started { execution_count: 3 });
        cell.event(2, 0, display("x", false));
        cell.event(3, 0, display("y", false));
        cell.event(4, 0, display("y again", true));
        cell.out(5, 0, "after");
        let result = TaskEventKind::Output(Output::Result(MimeBundle::plain("42")));
        cell.event(6, 0, result);
        cell.finish();
        assert_eq!(
            cell.shown,
            [
                "stdout|[stdout:0] \nbefore\n",
                "[output:0]",
                "x",
                "y",
                "y again",
                "stdout|[stdout:0] \nafter",
                "Out[0:3]: 42"
            ]
        );
    }

    #[test]
    fn a_single_target_is_passed_through() {
        let mut cell = Cell::new(Labels::None);
        cell.out(0, 2, "10%");
        cell.out(1, 2, "\r20%");
        cell.event(
            2,
            2,
            TaskEventKind::Output(Output::ClearOutput { wait: false }),
        );
        cell.put(3, 2, StreamName::Stderr, "e");
        cell.finish();
        assert_eq!(
            cell.shown,
            ["stdout|10%", "stdout|\r20%", "clear", "stderr|e"]
        );
    }

    #[test]
    fn a_flood_does_not_wait_for_the_interval() {
        let mut cell = Cell::new(Labels::Engines);
        cell.out(0, 0, "x\n");
        cell.tick(30);
        cell.out(31, 0, &"y".repeat(BATCH_BYTES + 1));
        assert_eq!(cell.shown.len(), 2);
    }
}
