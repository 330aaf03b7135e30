use super::*;
use phalanx_protocol::failure::Failure;

const RUN: RunId = RunId(1);

struct Cell {
    capture: Capture,
    now: Instant,
}

impl Cell {
    fn new(has_result: bool) -> Self {
        let mut capture = Capture::default();
        capture.start(RUN, has_result, vec![(30, 3)]);
        Self {
            capture,
            now: Instant::now(),
        }
    }

    fn out(mut self, text: &str) -> Self {
        self.capture
            .push(StreamName::Stdout, text.as_bytes(), self.now);
        self
    }

    fn err(mut self, text: &str) -> Self {
        self.capture
            .push(StreamName::Stderr, text.as_bytes(), self.now);
        self
    }

    fn end(mut self) -> Vec<String> {
        let marker = super::super::end_marker(RUN);
        self = self.out(&marker).err(&marker);
        shown(self.capture.take())
    }
}

fn shown(captured: Vec<CapturedOutput>) -> Vec<String> {
    captured
        .into_iter()
        .map(|captured| match captured {
            CapturedOutput::Output { run, output } => {
                let output = match output {
                    Output::Stream { name, text } => format!("{}: {text:?}", name.as_str()),
                    Output::Display(display) => {
                        format!("display: {}", display.data.text().unwrap_or("-"))
                    }
                    Output::Result(data) => format!("result: {}", data.text().unwrap_or("-")),
                    Output::ClearOutput { .. } => "clear".to_owned(),
                    Output::Data(values) => format!("data: {values:?}"),
                };
                if run == Some(RUN) {
                    output
                } else {
                    format!("stray {output}")
                }
            }
            CapturedOutput::InputRequest { prompt, password } => {
                format!("requests {prompt:?}, password: {password}")
            }
            CapturedOutput::Ended { outcome, .. } => format!("{outcome:?}"),
        })
        .collect()
}

fn plain(text: &str) -> String {
    format!("EVCXR_BEGIN_CONTENT text/plain\n{text}\nEVCXR_END_CONTENT\n")
}

#[test]
fn the_last_value_is_the_result_and_earlier_ones_are_displays() {
    let cell = Cell::new(true)
        .out(&plain("1"))
        .out("between\n")
        .out(&plain("2"));
    assert_eq!(
        cell.end(),
        [
            "display: 1",
            "stdout: \"between\\n\"",
            "result: 2",
            "Completed"
        ]
    );
}

#[test]
fn without_a_final_expression_values_are_displays() {
    assert_eq!(
        Cell::new(false).out(&plain("1")).end(),
        ["display: 1", "Completed"]
    );
}

#[test]
fn consecutive_representations_are_one_value() {
    let html = "EVCXR_BEGIN_CONTENT text/html\n<b>\nEVCXR_END_CONTENT\n";
    let cell = Cell::new(true).out(html).out(&plain("b")).out(&plain("c"));
    assert_eq!(cell.end(), ["display: b", "result: c", "Completed"]);
}

#[test]
fn a_panic_takes_its_message_from_the_hook_and_not_from_stderr() {
    let cell = Cell::new(false)
        .err("before\n")
        .err("\x1b]phalanx;panic;src/lib.rs:30:5\x07boom\x1b]phalanx;end-panic\x07")
        .out("EVCXR_PANIC_NOTIFICATION\n");
    let shown = cell.end();
    assert_eq!(shown[0], "stderr: \"before\\n\"");
    assert!(
        shown[1].contains("boom") && shown[1].contains("cell:3:5"),
        "{shown:?}"
    );
    assert_eq!(shown.len(), 2);
}

#[test]
fn a_panic_of_another_thread_has_its_location_in_the_cell() {
    let cell = Cell::new(false)
        .err("\nthread 'größe' (7) panicked at src/lib.rs:30:5:\nboom\n")
        .err("\nthread '<unnamed>' (8) panicked at src/lib.rs:3:5:\n")
        .err("at src/lib.rs:30:5\n");
    let shown = cell.end().concat();
    for part in [
        "thread 'größe' (7) panicked at cell:3:5:\\n",
        "thread '<unnamed>' (8) panicked at another cell:\\n",
        "at src/lib.rs:30:5\\n",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn a_panic_of_a_thread_that_outlives_its_cell_has_its_location_in_it() {
    let mut cell = Cell::new(false);
    let marker = super::super::end_marker(RUN);
    cell = cell.out(&marker).err(&marker);
    assert_eq!(shown(cell.capture.take()), ["Completed"]);
    cell = cell.err("\nthread '<unnamed>' (8) panicked at src/lib.rs:30:5:\nboom\n");
    cell.capture.flush();
    let late = shown(cell.capture.take()).concat();
    assert!(late.contains("(8) panicked at cell:3:5:"), "{late}");
}

#[test]
fn a_panic_of_a_thread_of_an_earlier_cell_has_no_location_in_this_one() {
    let panicked = "thread '<unnamed>' (8) panicked at src/lib.rs:30:5:\nboom\n";
    let other = "\x1b]phalanx;other-cell\x07";
    let shown = Cell::new(false)
        .err(&format!("{other}\n{panicked}"))
        .err(panicked)
        .end()
        .concat();
    let (first, second) = shown.split_once("boom").unwrap();
    assert!(first.contains("panicked at another cell:"), "{shown}");
    assert!(second.contains("panicked at cell:3:5:"), "{shown}");
    assert!(!shown.contains("other-cell"), "{shown}");
}

#[test]
fn a_caught_panic_is_text() {
    let cell = Cell::new(false)
        .err("\x1b]phalanx;panic;src/lib.rs:3:5\x07boom\x1b]phalanx;end-panic\x07")
        .out("went on\n");
    let shown = cell.end().join("|");
    assert!(
        shown.contains("stderr: \"thread 'main' panicked at src/lib.rs:3:5:\\nboom\\n\""),
        "{shown}"
    );
    assert!(shown.ends_with("Completed"), "{shown}");
}

#[test]
fn the_text_of_a_question_mark_error_is_not_stderr() {
    let cell = Cell::new(false)
        .err("earlier\nfile not found\n")
        .out("EVCXR_ERROR_OCCURRED\n");
    assert_eq!(
        cell.end(),
        [
            "stderr: \"earlier\\n\"",
            "Errored { message: \"file not found\", failure: None, location: None }"
        ]
    );
}

#[test]
fn an_error_keeps_its_whole_text_and_its_kind() {
    let error = ErrorText {
        text: "two\nlines".to_owned(),
        failure: Some(Box::new(Failure::NoEngines)),
        location: None,
    };
    let report = serde_json::to_string(&error).unwrap();
    let report = format!("\x1b]phalanx;error\x07{report}\x1b]phalanx;end-error\x07");
    let cell = Cell::new(false).err("earlier\n").err(&report);
    assert_eq!(
        cell.out("EVCXR_ERROR_OCCURRED\n").end(),
        [
            "stderr: \"earlier\\n\"",
            "Errored { message: \"two\\nlines\", failure: Some(NoEngines), location: None }"
        ]
    );
    // However long the cell takes to report that it was left.
    let mut cell = Cell::new(false).err(&report);
    cell.now += ERROR_LINE_DELAY * 2;
    cell.capture.tick(cell.now);
    let ended = cell.out("EVCXR_ERROR_OCCURRED\n").end();
    assert!(ended[0].starts_with("Errored"), "{ended:?}");
    // An error that did not leave the cell is text.
    let cell = Cell::new(false).err(&report).err("later\n");
    assert_eq!(
        cell.end(),
        [
            "stderr: \"two\\nlines\\n\"",
            "stderr: \"later\\n\"",
            "Completed"
        ]
    );
}

#[test]
fn the_interrupt_of_a_library_call_prints_no_text() {
    let error = ErrorText {
        text: "the cell was interrupted".to_owned(),
        failure: Some(Box::new(Failure::Interrupted { lost: Vec::new() })),
        location: None,
    };
    let report = serde_json::to_string(&error).unwrap();
    let report = format!("\x1b]phalanx;error\x07{report}\x1b]phalanx;end-error\x07");
    let mut cell = Cell::new(false).err("earlier\n").err(&report);
    cell.capture.abandon(&RuntimeExit::Signal(9));
    assert_eq!(
        shown(cell.capture.take()),
        ["stderr: \"earlier\\n\"", "Abandoned { status: Signal(9) }"]
    );
}

#[test]
fn lost_variables_are_listed() {
    let cell = Cell::new(false)
        .err("The type of the variable a was redefined, so was lost.\n")
        .out("EVCXR_VARIABLE_CHANGED_TYPE:a\n");
    assert_eq!(cell.end(), ["VariablesLost([\"a\"])"]);
}

#[test]
fn a_display_keeps_its_position() {
    let mut cell = Cell::new(false);
    let number = cell
        .capture
        .hold_for_marker(Output::ClearOutput { wait: false });
    let marker = phalanx_protocol::host::place_marker(number);
    let cell = cell.out(&format!("before{marker}after"));
    assert_eq!(
        cell.end(),
        [
            "stdout: \"before\"",
            "clear",
            "stdout: \"after\"",
            "Completed"
        ]
    );
}

#[test]
fn a_display_whose_marker_is_missing_is_not_lost() {
    let mut cell = Cell::new(false);
    cell.capture
        .hold_for_marker(Output::ClearOutput { wait: true });
    assert_eq!(cell.end(), ["clear", "Completed"]);
}

#[test]
fn much_output_is_sent_in_ten_batches_a_second_without_loss() {
    let mut cell = Cell::new(false);
    let mut messages = Vec::new();
    for line in 0..1000 {
        cell.now += Duration::from_millis(1);
        cell = cell.out(&format!("{line}\n"));
        messages.extend(cell.capture.take());
    }
    assert!(
        (9..=12).contains(&messages.len()),
        "{} messages",
        messages.len()
    );
    assert!(cell.capture.deadline().is_some());
    let mut text = String::new();
    let marker = super::super::end_marker(RUN);
    cell = cell.out(&marker).err(&marker);
    messages.extend(cell.capture.take());
    for message in messages {
        if let CapturedOutput::Output {
            output: Output::Stream { text: more, .. },
            ..
        } = message
        {
            text += &more;
        }
    }
    assert_eq!(text.lines().count(), 1000);
    assert!(text.ends_with("999\n"));
}

#[test]
fn output_after_the_end_belongs_to_no_run() {
    let mut cell = Cell::new(false);
    let marker = super::super::end_marker(RUN);
    cell = cell.out(&marker).err(&marker);
    cell.capture.take();
    cell = cell.out("late\n");
    cell.now += BATCH_INTERVAL;
    let now = cell.now;
    cell.capture.tick(now);
    assert_eq!(shown(cell.capture.take()), ["stray stdout: \"late\\n\""]);
}

#[test]
fn death_ends_the_run_with_all_its_output() {
    let mut cell = Cell::new(true).out("half").err("why");
    cell.capture.died(&RuntimeExit::Signal(11));
    let shown = shown(cell.capture.take());
    assert!(shown.contains(&"stdout: \"half\"".to_owned()), "{shown:?}");
    assert!(shown.contains(&"stderr: \"why\"".to_owned()), "{shown:?}");
    assert_eq!(shown.last().unwrap(), "Died { status: Signal(11) }");
}

#[test]
fn a_single_line_on_stderr_is_sent_before_the_end() {
    let mut cell = Cell::new(false).err("starting\n");
    let due = cell.capture.deadline().unwrap();
    assert!(due <= cell.now + BATCH_INTERVAL);
    cell.capture.tick(due);
    assert_eq!(shown(cell.capture.take()), ["stderr: \"starting\\n\""]);
}

#[test]
fn text_before_an_input_request_precedes_it() {
    let cell = Cell::new(false)
        .out("name? EVCXR_INPUT_REQUEST:first: name\nEVCXR_INPUT_")
        .out("REQUEST_PASSWORD:secret\nafter\n");
    assert_eq!(
        cell.end(),
        [
            "stdout: \"name? \"",
            "requests \"first: name\", password: false",
            "requests \"secret\", password: true",
            "stdout: \"after\\n\"",
            "Completed",
        ]
    );
}

#[test]
fn incomplete_bytes_of_a_run_belong_to_that_run() {
    let mut cell = Cell::new(false).out("é\x1b]phal").err("\u{e9}");
    cell.capture.end_run(RUN);
    let shown_outputs = shown(cell.capture.take());
    assert_eq!(
        shown_outputs,
        [
            r#"stdout: "é""#,
            r#"stdout: "\u{1b}]phal""#,
            r#"stderr: "é""#,
            "Completed"
        ]
    );
    // It ends only once.
    cell.capture.end_run(RUN);
    assert_eq!(shown(cell.capture.take()), [""; 0]);
    cell.capture.start(RUN, false, vec![]);
    assert_eq!(cell.out("anx\n").end(), [r#"stdout: "anx\n""#, "Completed"]);
}
