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
            streamer: Streamer::new(labels, "bar".to_owned()),
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
                Output::Display(display) => {
                    let text = display.data.text().unwrap();
                    let text = text.replace("\x1b[0;34m", "").replace("\x1b[0m", "");
                    match (display.display_id, display.update) {
                        (None, _) => text,
                        (Some(id), false) => format!("new {id}: {text}"),
                        (Some(id), true) => format!("update {id}: {text}"),
                    }
                }
                Output::ClearOutput { wait } => format!("clear (wait {wait})"),
                Output::Result(_) => panic!("a bare result"),
                Output::Data(_) => panic!("data are not shown"),
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
    cell.out(0, 0, "10 ");
    cell.tick(30);
    cell.out(200, 1, "a1\nhalf");
    cell.out(210, 0, "20 ");
    cell.out(220, 1, " whole\nrest");
    cell.tick(300);
    // The line begun at 200 is complete; the one begun since is not shown yet.
    let text = |cell: &Cell| cell.shown.concat().replace("stdout|", "");
    let shown = "[stdout:0] \n10 \n[stdout:1] \na1\nhalf whole\n".to_owned();
    cell.tick(400);
    cell.tick(700);
    assert_eq!(text(&cell), shown);
    cell.tick(800);
    let shown = shown + "[stdout:0] \n20 \n[stdout:1] \nrest";
    assert_eq!(text(&cell), shown);
    cell.finish();
    assert_eq!(text(&cell), shown);
}

#[test]
fn bars_of_engines_are_updated_in_place() {
    let mut cell = Cell::new(Labels::Engines);
    for engine in 0..2 {
        cell.put(0, engine, StreamName::Stderr, "start\n\r  0%");
    }
    cell.tick(30);
    for percent in 1..100 {
        for engine in 0..2 {
            let bar = format!("\r{percent:3}%");
            cell.put(30 + percent, engine, StreamName::Stderr, &bar);
        }
    }
    cell.out(140, 0, "a line\n");
    cell.tick(240);
    cell.put(250, 0, StreamName::Stderr, "\r100% é\nend\n");
    cell.put(260, 1, StreamName::Stderr, "\r");
    cell.finish();
    assert_eq!(
        cell.shown,
        [
            "stderr|[stderr:0] \nstart\n",
            "new bar-1: [stderr:0]   0%",
            "stderr|[stderr:1] \nstart\n",
            "new bar-2: [stderr:1]   0%",
            "update bar-1: [stderr:0]  99%",
            "stdout|[stdout:0] \na line\n",
            "update bar-2: [stderr:1]  99%",
            "update bar-1: [stderr:0] 100% é",
            "stderr|[stderr:0] \nend\n",
        ]
    );
}

#[test]
fn a_bar_that_is_done_at_once_and_windows_lines_are_text() {
    let mut cell = Cell::new(Labels::Engines);
    cell.out(0, 0, "1%\r2%\r3%\na\r\n");
    cell.finish();
    assert_eq!(cell.shown, ["stdout|[stdout:0] \n3%\na\r\n"]);
}

#[test]
fn one_engine_clears_what_it_showed_and_no_more() {
    let clear = |wait| TaskEventKind::Output(Output::ClearOutput { wait });
    let mut cell = Cell::new(Labels::Engines);
    cell.out(0, 0, "frame 1\n");
    cell.out(1, 1, "stays\n");
    cell.tick(40);
    cell.shown.clear();
    cell.event(50, 0, clear(true));
    cell.tick(139);
    // Clears only when the next output arrives.
    assert!(cell.shown.is_empty(), "{:?}", cell.shown);
    cell.out(139, 0, "frame 2\n");
    cell.event(139, 0, clear(true));
    cell.out(139, 0, "frame 3\n");
    cell.tick(140);
    assert_eq!(
        cell.shown,
        [
            "clear (wait true)",
            "stdout|[stdout:1] \nstays\n[stdout:0] \nframe 3\n"
        ]
    );
    cell.shown.clear();
    cell.event(200, 0, clear(false));
    cell.event(201, 1, clear(false));
    cell.tick(500);
    assert_eq!(cell.shown, ["clear (wait false)"]);
    cell.finish();
    assert_eq!(cell.shown.len(), 1);
}

#[test]
fn what_is_shown_again_after_a_clear_has_a_limit() {
    let clear = TaskEventKind::Output(Output::ClearOutput { wait: false });
    let mut cell = Cell::new(Labels::Engines);
    for _ in 0..100 {
        cell.out(0, 1, &format!("{}\n", "x".repeat(10_000)));
    }
    cell.out(1, 0, "old\n");
    cell.tick(40);
    cell.shown.clear();
    cell.event(200, 0, clear);
    cell.tick(300);
    let text = cell.shown.concat();
    assert!(text.contains("bytes of earlier output not kept"));
    assert!(text.len() < 2_000_000, "{}", text.len());
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
        [
            "stdout|10%",
            "stdout|\r20%",
            "clear (wait false)",
            "stderr|e"
        ]
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
