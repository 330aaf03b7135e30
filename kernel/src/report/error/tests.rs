use super::*;
use crate::cell::{DirectiveKind, split};
use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::failure::{DiagnosticSpan, Panic};
use phalanx_protocol::id::EngineId;

fn location(cell: &str) -> FaultSource {
    FaultSource {
        name: "In[3]".into(),
        text: cell.into(),
        map: crate::source_map::SourceMap::default(),
        span: None,
    }
}

fn diagnostic(message: &str, line: usize, columns: (usize, usize)) -> Diagnostic {
    Diagnostic {
        message: message.into(),
        code: Some("E0425".into()),
        spans: vec![DiagnosticSpan {
            start_line: line,
            start_column: columns.0,
            end_line: line,
            end_column: columns.1,
            label: "not found".into(),
            primary: true,
        }],
        help: vec!["define it".into()],
        rendered: None,
        earlier: None,
    }
}

/// Returns the traceback without its colours.
fn text(report: &ErrorReport) -> String {
    let mut plain = String::new();
    let mut rest = report.traceback.join("\n");
    while let Some(at) = rest.find('\x1b') {
        plain.push_str(&rest[..at]);
        let end = rest[at..].find('m').unwrap();
        rest = rest[at + end + 1..].to_owned();
    }
    plain + &rest
}

#[test]
fn compile_errors_show_lines_with_non_ascii_text() {
    let cell = "let grüße = \"日本\"; žluť\n1";
    let diagnostics = vec![
        diagnostic("cannot find `žluť`", 1, (19, 23)),
        diagnostic("another", 2, (1, 2)),
    ];
    let report = report(&Fault::at(Failure::Compile { diagnostics }, location(cell)));
    assert_eq!(report.ename, "CompileError");
    assert_eq!(
        report.evalue,
        "[E0425] cannot find `žluť` (and 1 more error)"
    );
    let text = text(&report);
    for part in [
        "error[E0425]: cannot find `žluť`",
        "In[3]:1:19",
        "^^^^ not found",
        "help: define it",
        "In[3]:2:1",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    // Each double-width character before the caret takes two columns.
    let source = text
        .lines()
        .find(|line| line.contains("žluť") && line.contains("| let"))
        .unwrap();
    let caret = text.lines().find(|line| line.contains("^^^^")).unwrap();
    let before = |line: &str, at: usize| {
        line[..at]
            .chars()
            .map(|c| if c > '\u{3000}' { 2 } else { 1 })
            .sum::<usize>()
    };
    assert_eq!(
        before(source, source.find("žluť").unwrap()),
        before(caret, caret.find("^^^^").unwrap()),
        "{text}"
    );
    assert!(report.traceback.join("\n").contains('\x1b'));
}

#[test]
fn errors_in_a_part_of_the_cell_have_the_cells_line_numbers() {
    let cell = ":dep a\n\nlet b = 1;\nlet ar = %px --noblock 1;\nc";
    let DirectiveKind::Rust(rust) = split(cell, &[]).remove(1).kind else {
        panic!()
    };
    let location = FaultSource {
        map: rust.map,
        ..location(cell)
    };
    let diagnostics = vec![
        diagnostic("cannot find `c`", 3, (1, 2)),
        diagnostic("x", 2, (10, 40)),
    ];
    let text = text(&report(&Fault::at(
        Failure::Compile { diagnostics },
        location,
    )));
    assert!(text.contains("In[3]:5:1"), "{text}");
    assert!(text.contains("In[3]:4:10"), "{text}");
    assert!(text.contains("let ar = %px --noblock 1;"), "{text}");
}

#[test]
fn a_span_outside_the_text_is_shown_at_its_end() {
    let diagnostics = vec![
        diagnostic("odd", 99, (7, 9)),
        diagnostic("odder", 1, (50, 3)),
    ];
    let text = text(&report(&Fault::at(
        Failure::Compile { diagnostics },
        location("a"),
    )));
    assert!(text.contains("odd") && text.contains("odder"), "{text}");
}

#[test]
fn panics_name_the_line_of_the_cell() {
    let panic = |location: &str| {
        Failure::Panic(Panic {
            message: "böse".into(),
            location: Some(location.into()),
        })
    };
    let panicked = report(&Fault::at(
        panic("cell:2:5"),
        location("let a = 1;\n    f(a);"),
    ));
    assert_eq!(
        (panicked.ename.as_str(), panicked.evalue.as_str()),
        ("Panic", "böse")
    );
    assert_eq!(text(&panicked), "Panic: böse\n  at In[3], line 2: f(a);");
    let panicked = report(&Fault::at(panic("src/lib.rs:97:1"), location("f()")));
    assert_eq!(text(&panicked), "Panic: böse");
    let panicked = report(&panic("/x/rayon/src/a.rs:9:1").into());
    assert_eq!(text(&panicked), "Panic: böse\n  at /x/rayon/src/a.rs:9:1");
    // The same holds for an engine's traceback.
    let lines = [
        "Panic: böse",
        "  at cell:2:5",
        "  at src/lib.rs:97:1",
        "  at noon",
    ];
    let lines = located(
        lines.map(str::to_owned).to_vec(),
        Some(&location("let a = 1;\nf(a);")),
    );
    assert_eq!(
        lines,
        ["Panic: böse", "  at In[3], line 2: f(a);", "  at noon"]
    );
}

#[test]
fn usage_errors_mark_the_faulty_text_and_show_a_hint() {
    let mut location = location("1;\n%px --bogus 1");
    location.span = Some(7..14);
    let failure = Failure::Usage {
        message: "unknown option `--bogus`".into(),
        hint: Some("did you mean `--block`?".into()),
    };
    let report = report(&Fault::at(failure, location));
    assert_eq!(report.ename, "UsageError");
    let text = text(&report);
    for part in [
        "unknown option `--bogus`",
        "In[3]:2:5",
        "^^^^^^^",
        "help: did you mean `--block`?",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn lost_variables_are_listed() {
    let lost = vec!["a".to_owned(), "b".to_owned()];
    let died = report(
        &Failure::RuntimeDied {
            status: RuntimeExit::Signal(11),
            lost: lost.clone(),
        }
        .into(),
    );
    assert_eq!(died.ename, "RuntimeDied");
    assert_eq!(
        died.evalue,
        "the cell ended its process (signal 11 (SIGSEGV)); the variables `a`, `b` are lost"
    );
    let stopped = report(&Failure::Interrupted { lost: vec![] }.into());
    assert_eq!(
        stopped.evalue,
        "the cell was interrupted; every variable from before it is kept"
    );
}

#[test]
fn an_interrupt_names_the_engines_that_had_not_begun() {
    let failure = |engine: u32, ename: &str| RemoteFailure {
        ename: ename.to_owned(),
        evalue: "why".to_owned(),
        traceback: Vec::new(),
        engine: Some(EngineId(engine)),
        msg_id: None,
        method: "execute".to_owned(),
    };
    let interrupted = |stopped: Vec<RemoteFailure>| {
        report(
            &Failure::EnginesInterrupted {
                stopped,
                finished: Vec::new(),
                running: Vec::new(),
            }
            .into(),
        )
    };
    let stopped = [failure(0, "Interrupted"), failure(1, "TaskAborted")];
    let one = interrupted(stopped.to_vec());
    assert_eq!(
        one.evalue,
        "the cell was interrupted; engine 0 was stopped; engine 1 had not begun"
    );
    assert!(!text(&one).contains("TaskAborted"), "{}", text(&one));
    let none = interrupted(vec![failure(1, "TaskAborted")]);
    assert_eq!(
        none.evalue,
        "the cell was interrupted; engine 1 had not begun"
    );
}

#[test]
fn compile_errors_in_a_string_show_the_lines_of_the_string() {
    let diagnostics = vec![diagnostic("expected expression", 2, (9, 10))];
    let failure = Failure::Compile { diagnostics };
    let failure = with_rendered_text(failure, "execute", "1\nlet y = ;");
    let report = report(&Fault::at(failure, location("dv.execute(source)?")));
    assert_eq!(report.ename, "CompileError");
    let text = text(&report);
    for part in ["execute:2:9", "let y = ;", "^ not found"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains("dv.execute"), "{text}");
}

#[test]
fn additional_help_comes_last() {
    let fault = Fault {
        shown: false,
        help: Some("stop them".into()),
        ..Failure::Interrupted { lost: Vec::new() }.into()
    };
    assert!(text(&report(&fault)).ends_with("help: stop them"));
}

#[test]
fn engines_failures_have_their_engine_and_a_hint() {
    let failure = |engine| RemoteFailure {
        ename: "EngineError".into(),
        evalue: "engine 1 died".into(),
        traceback: vec![],
        engine: Some(EngineId(engine)),
        msg_id: None,
        method: "execute".into(),
    };
    let one = report(&Failure::Remote(Box::new(failure(1))).into());
    assert_eq!(one.ename, "RemoteError");
    assert_eq!(one.evalue, "[1:execute] EngineError: engine 1 died");
    assert!(text(&one).contains("%engines"));
    let failures = (0..6).map(|engine| RemoteFailure {
        evalue: format!("engine {engine} died"),
        ..failure(engine)
    });
    let failures = failures.collect();
    let all = report(
        &Failure::Composite {
            message: "%px".into(),
            failures,
        }
        .into(),
    );
    assert_eq!(all.ename, "CompositeError");
    assert!(
        all.evalue.ends_with("\n.... 2 more exceptions ..."),
        "{}",
        all.evalue
    );
    assert_eq!(text(&all).matches("%engines").count(), 1);
}

#[test]
fn only_the_death_of_an_engine_is_said_to_cost_its_variables() {
    let help = |message: &str| {
        let failure = RemoteFailure {
            ename: "EngineError".into(),
            evalue: message.to_owned(),
            traceback: vec![],
            engine: Some(EngineId(1)),
            msg_id: None,
            method: "execute".into(),
        };
        let text = text(&report(&Failure::Remote(Box::new(failure)).into()));
        let (_, help) = text.split_once("help: ").unwrap_or_default();
        help.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for (message, expected) in [
        (
            "Engine 1 died while running task 'a_1'",
            "the engine is gone with its variables; ",
        ),
        (
            "the connection to the controller is lost: the cluster has stopped",
            "the task is lost with it; `%cluster status` ",
        ),
        ("engine 1 does not answer", "it has not replied since "),
        ("Engine 7 is not registered", "`%engines` "),
    ] {
        let help = help(message);
        assert!(help.starts_with(expected), "{message}: {help}");
    }
    let foreign = "engine 1 is not a Rust engine, which alone runs Rust code";
    assert_eq!(help(foreign), "");
}

#[test]
fn an_engines_panic_names_the_line_of_the_cell() {
    let failure = RemoteFailure {
        ename: "Panic".into(),
        evalue: "böse".into(),
        traceback: vec!["Panic: böse".into(), "  at cell:1:7".into()],
        engine: Some(EngineId(2)),
        msg_id: None,
        method: "execute".into(),
    };
    let cell = "%%px\nlet a = f();";
    let location = FaultSource {
        map: crate::source_map::SourceMap::starting_at(cell, 5),
        ..location(cell)
    };
    let panicked = report(&Fault::at(Failure::Remote(Box::new(failure)), location));
    assert_eq!(
        text(&panicked),
        "[2:execute]\nPanic: böse\n  at In[3], line 2: let a = f();"
    );
}

#[test]
fn an_error_of_the_library_names_its_line_before_the_remedy() {
    let failure = Failure::Raised {
        failure: Box::new(Failure::Usage {
            message: "No such engine: 77".to_owned(),
            hint: Some("there are [0, 1]".to_owned()),
        }),
        location: "cell:2:9".to_owned(),
    };
    let cell = "let a = 1;\nlet z = rc.try_view(77)?;";
    let report = report(&Fault::at(failure, location(cell)));
    assert_eq!(report.ename, "UsageError");
    assert_eq!(report.evalue, "No such engine: 77");
    assert_eq!(
        text(&report),
        "UsageError: No such engine: 77\n  \
         at In[3], line 2: let z = rc.try_view(77)?;\n\
         help: there are [0, 1]"
    );
}
