use super::*;
use crate::channel::status;
use phalanx_protocol::jupyter::Payload;
use phalanx_protocol::jupyter::connection_info::Transport;

fn session() -> Session {
    Session::new(ConnectionInfo {
        ip: "127.0.0.1".into(),
        transport: Transport::TCP,
        shell_port: 1,
        iopub_port: 2,
        stdin_port: 3,
        control_port: 4,
        hb_port: 5,
        key: String::new(),
        signature_scheme: "hmac-sha256".into(),
        kernel_name: None,
    })
}

fn request_from(from: &str, content: RequestContent) -> SessionEvent {
    SessionEvent::Request(Request {
        from: Requester::nobody(from),
        content,
    })
}

fn executes(from: &str) -> SessionEvent {
    request_from(
        from,
        RequestContent::Execute(ExecuteRequest::new(format!("source of {from}"))),
    )
}

fn ended(cell: u64, failure: Option<Failure>) -> SessionEvent {
    SessionEvent::CellEnded {
        cell: CellId(cell),
        extras: Extras::default(),
        result: failure.map_or(Ok(()), |failure| Err(report(&failure.into()))),
        value: None,
    }
}

fn boom() -> Option<Failure> {
    Some(Failure::Error {
        message: "boom".into(),
        location: None,
    })
}

/// Checks the commands that follow an event, one line each.
fn check(session: &mut Session, event: SessionEvent, expected: &[&str]) {
    let seen: Vec<String> = session.handle(event).iter().map(describe).collect();
    assert_eq!(seen, expected);
}

fn describe(command: &SessionCommand) -> String {
    let content = |content: &JupyterMessageContent| match content {
        JupyterMessageContent::Status(status) => status.execution_state.as_str().to_owned(),
        JupyterMessageContent::ExecuteReply(reply) => {
            format!("{:?} {}", reply.status, reply.execution_count.0).to_lowercase()
        }
        other => other.message_type().to_owned(),
    };
    match command {
        SessionCommand::Publish(from, message) => {
            format!("{}: {}", from.msg_id(), content(message))
        }
        SessionCommand::Reply(from, message) => {
            format!("{} <- {}", from.msg_id(), content(message))
        }
        SessionCommand::Run(cell) => format!("run {} [{}]", cell.source, cell.count),
        SessionCommand::InterruptCell(cell) => format!("interrupt {}", cell.0),
        SessionCommand::InterruptCallbacks => "interrupt callbacks".into(),
        SessionCommand::Complete(from, _) => format!("complete {}", from.msg_id()),
        SessionCommand::Inspect(from, _) => format!("inspect {}", from.msg_id()),
        SessionCommand::Remember { count, source } => format!("remember {source} [{count}]"),
        SessionCommand::RememberValue { count, value } => {
            format!("remember value {value} [{count}]")
        }
        SessionCommand::History(from, _) => format!("history {}", from.msg_id()),
        SessionCommand::Usage(from) => format!("usage {}", from.msg_id()),
        SessionCommand::CommInfo(from, _) => format!("comms {}", from.msg_id()),
        SessionCommand::Comm(from, _) => format!("comm {}", from.msg_id()),
        SessionCommand::Quit => "quit".into(),
        SessionCommand::Exit => "exit".into(),
    }
}

#[test]
fn a_cell_is_busy_input_run_reply_idle_and_counts_from_one() {
    let mut session = session();
    check(
        &mut session,
        executes("a"),
        &[
            "a: busy",
            "a: execute_input",
            "remember source of a [1]",
            "run source of a [1]",
        ],
    );
    check(&mut session, executes("b"), &[]);
    check(
        &mut session,
        ended(1, None),
        &[
            "a <- ok 1",
            "a: idle",
            "b: busy",
            "b: execute_input",
            "remember source of b [2]",
            "run source of b [2]",
        ],
    );
    check(&mut session, ended(2, None), &["b <- ok 2", "b: idle"]);
}

#[test]
fn a_failed_cell_aborts_the_waiting_ones() {
    let mut session = session();
    session.handle(executes("a"));
    session.handle(executes("b"));
    session.handle(executes("c"));
    check(
        &mut session,
        ended(1, boom()),
        &[
            "a: error",
            "a <- error 1",
            "a: idle",
            "b: busy",
            "b <- aborted 2",
            "b: idle",
            "c: busy",
            "c <- aborted 2",
            "c: idle",
        ],
    );
    check(
        &mut session,
        executes("d"),
        &[
            "d: busy",
            "d: execute_input",
            "remember source of d [2]",
            "run source of d [2]",
        ],
    );
}

#[test]
fn with_stop_on_error_off_the_waiting_cells_run() {
    let mut session = session();
    let request = ExecuteRequest {
        stop_on_error: false,
        ..ExecuteRequest::new("a".into())
    };
    session.handle(request_from("a", RequestContent::Execute(request)));
    session.handle(executes("b"));
    check(
        &mut session,
        ended(1, boom()),
        &[
            "a: error",
            "a <- error 1",
            "a: idle",
            "b: busy",
            "b: execute_input",
            "remember source of b [2]",
            "run source of b [2]",
        ],
    );
}

#[test]
fn silent_cells_publish_nothing_and_do_not_count() {
    let mut session = session();
    let request = ExecuteRequest {
        silent: true,
        ..ExecuteRequest::new("quiet".into())
    };
    check(
        &mut session,
        request_from("a", RequestContent::Execute(request)),
        &["a: busy", "run quiet [1]"],
    );
    check(&mut session, ended(1, boom()), &["a <- error 1", "a: idle"]);
    let request = ExecuteRequest {
        store_history: false,
        ..ExecuteRequest::new("passing".into())
    };
    check(
        &mut session,
        request_from("b", RequestContent::Execute(request)),
        &["b: busy", "b: execute_input", "run passing [1]"],
    );
    check(&mut session, ended(2, None), &["b <- ok 1", "b: idle"]);
    check(
        &mut session,
        executes("c"),
        &[
            "c: busy",
            "c: execute_input",
            "remember source of c [1]",
            "run source of c [1]",
        ],
    );
}

#[test]
fn requests_are_served_while_a_cell_runs_and_busy_is_sent_again() {
    let mut session = session();
    check(
        &mut session,
        request_from("i", RequestContent::Interrupt),
        &[
            "i: busy",
            "interrupt callbacks",
            "i <- interrupt_reply",
            "i: idle",
        ],
    );
    session.handle(executes("a"));
    check(
        &mut session,
        request_from("k", RequestContent::KernelInfo),
        &["k: busy", "k <- kernel_info_reply", "k: idle", "a: busy"],
    );
    check(
        &mut session,
        request_from("c", RequestContent::Complete(CompleteRequest::default())),
        &["c: busy", "complete c"],
    );
    check(
        &mut session,
        request_from("i", RequestContent::Interrupt),
        &[
            "i: busy",
            "interrupt 1",
            "i <- interrupt_reply",
            "i: idle",
            "a: busy",
        ],
    );
    check(
        &mut session,
        SessionEvent::Replied {
            from: Requester::nobody("c"),
            reply: Some(status(ExecutionState::Unknown)),
        },
        &["c <- unknown", "c: idle", "a: busy"],
    );
    check(
        &mut session,
        SessionEvent::Failed {
            from: Requester::asking("d", "complete_request"),
            failure: Failure::Internal {
                message: "panicked".into(),
            },
        },
        &["d <- complete_reply", "d: idle", "a: busy"],
    );
    check(&mut session, ended(1, None), &["a <- ok 1", "a: idle"]);
}

#[test]
fn an_interrupt_reaches_the_cells_that_run_at_that_moment() {
    let mut session = session();
    let interrupts = |session: &mut Session| {
        let commands = session.handle(request_from("i", RequestContent::Interrupt));
        let lines = commands.iter().map(describe);
        lines
            .filter(|line| line.starts_with("interrupt"))
            .collect::<Vec<_>>()
    };
    assert_eq!(interrupts(&mut session), ["interrupt callbacks"]);
    session.handle(executes("a"));
    session.handle(executes("b"));
    assert_eq!(interrupts(&mut session), ["interrupt 1"]);
    assert_eq!(interrupts(&mut session), ["interrupt 1"]);
    // The next cell has started in the turn in which the first ended.
    session.handle(ended(1, None));
    assert_eq!(interrupts(&mut session), ["interrupt 2"]);
    session.handle(ended(2, None));
    assert_eq!(interrupts(&mut session), ["interrupt callbacks"]);
}

#[test]
fn kernel_info_has_the_version_of_the_compiler_once_it_is_known() {
    let mut session = session();
    let version = |session: &mut Session| {
        let commands = session.handle(request_from("k", RequestContent::KernelInfo));
        let reply = commands.into_iter().find_map(|command| match command {
            SessionCommand::Reply(_, JupyterMessageContent::UnknownMessage(reply)) => Some(reply),
            _ => None,
        });
        reply.unwrap().content["language_info"]["version"].clone()
    };
    let oldest = env!("CARGO_PKG_RUST_VERSION");
    assert_eq!(version(&mut session), oldest);
    for (known, expected) in [(Some("1.99.1"), "1.99.1"), (None, oldest)] {
        let known = known.map(str::to_owned);
        let toolchain = SessionEvent::Toolchain { version: known };
        assert!(session.handle(toolchain).is_empty());
        assert_eq!(version(&mut session), expected);
    }
}

#[test]
fn every_request_ends_in_idle() {
    for (content, reply) in [
        (RequestContent::KernelInfo, Some("kernel_info_reply")),
        (RequestContent::Connect, Some("connect_reply")),
        (
            RequestContent::IsComplete(Default::default()),
            Some("is_complete_reply"),
        ),
        (
            RequestContent::Unknown {
                msg_type: "odd_request".into(),
            },
            Some("odd_reply"),
        ),
        (
            RequestContent::Unknown {
                msg_type: "odd".into(),
            },
            None,
        ),
        (
            RequestContent::Malformed {
                msg_type: "inspect_request".into(),
                reason: "x".into(),
            },
            Some("inspect_reply"),
        ),
        (
            RequestContent::Malformed {
                msg_type: "execute_request".into(),
                reason: "x".into(),
            },
            Some("error 1"),
        ),
    ] {
        let mut session = session();
        let msg_type = match &content {
            RequestContent::Unknown { msg_type } | RequestContent::Malformed { msg_type, .. } => {
                msg_type
            }
            _ => "test_request",
        };
        let from = Requester::asking("a", msg_type);
        let mut expected = vec!["a: busy".to_owned()];
        expected.extend(reply.map(|reply| format!("a <- {reply}")));
        expected.push("a: idle".to_owned());
        let event = SessionEvent::Request(Request { from, content });
        let seen: Vec<String> = session.handle(event).iter().map(describe).collect();
        assert_eq!(seen, expected);
    }
}

#[test]
fn shutdown_replies_to_all_requests_first() {
    let mut session = session();
    session.handle(executes("a"));
    session.handle(executes("b"));
    check(
        &mut session,
        request_from("s", RequestContent::Shutdown { restart: true }),
        &[
            "s: busy",
            "a <- error 1",
            "a: idle",
            "b: busy",
            "b <- aborted 2",
            "b: idle",
            "s <- shutdown_reply",
            "s: idle",
            "exit",
        ],
    );
    check(&mut session, ended(1, None), &[]);
}

fn executes_within(subshell: &SubshellId, from: &str) -> SessionEvent {
    SessionEvent::Request(Request {
        from: Requester::nobody(from).within(subshell),
        content: RequestContent::Execute(ExecuteRequest::new(format!("source of {from}"))),
    })
}

/// Returns a session with one subshell.
fn with_subshell() -> (Session, SubshellId) {
    let mut session = session();
    check(
        &mut session,
        request_from("s", RequestContent::CreateSubshell),
        &["s: busy", "s <- create_subshell_reply", "s: idle"],
    );
    let id = session.open_subshells().next().unwrap().clone();
    (session, id)
}

#[test]
fn a_subshell_runs_its_cells_concurrently() {
    let (mut session, sub) = with_subshell();
    session.handle(executes("a"));
    session.handle(executes("b"));
    check(
        &mut session,
        executes_within(&sub, "x"),
        &[
            "x: busy",
            "x: execute_input",
            "remember source of x [2]",
            "run source of x [2]",
        ],
    );
    check(&mut session, executes_within(&sub, "y"), &[]);
    check(
        &mut session,
        request_from("i", RequestContent::Interrupt),
        &[
            "i: busy",
            "interrupt 1",
            "interrupt 2",
            "i <- interrupt_reply",
            "i: idle",
            "a: busy",
        ],
    );
    // A failure in one queue does not abort the cells of another.
    check(
        &mut session,
        ended(2, boom()),
        &[
            "x: error",
            "x <- error 2",
            "x: idle",
            "a: busy",
            "y: busy",
            "y <- aborted 3",
            "y: idle",
            "a: busy",
        ],
    );
    check(
        &mut session,
        ended(1, None),
        &[
            "a <- ok 1",
            "a: idle",
            "b: busy",
            "b: execute_input",
            "remember source of b [3]",
            "run source of b [3]",
        ],
    );
}

#[test]
fn a_deleted_subshell_finishes_its_cell_and_accepts_no_other() {
    let (mut session, sub) = with_subshell();
    session.handle(executes_within(&sub, "x"));
    session.handle(executes_within(&sub, "y"));
    let delete =
        |from: &str| request_from(from, RequestContent::DeleteSubshell { id: sub.clone() });
    check(
        &mut session,
        delete("d"),
        &[
            "d: busy",
            "y: busy",
            "y <- aborted 2",
            "y: idle",
            "x: busy",
            "d <- delete_subshell_reply",
            "d: idle",
            "x: busy",
        ],
    );
    check(
        &mut session,
        executes_within(&sub, "z"),
        &["z: busy", "z <- test_reply", "z: idle", "x: busy"],
    );
    check(
        &mut session,
        delete("e"),
        &["e: busy", "e <- test_reply", "e: idle", "x: busy"],
    );
    check(&mut session, ended(1, None), &["x <- ok 1", "x: idle"]);
    assert!(session.subshells.is_empty());
    check(
        &mut session,
        request_from("l", RequestContent::ListSubshells),
        &["l: busy", "l <- list_subshell_reply", "l: idle"],
    );
}

#[test]
fn a_cell_that_quits_ends_the_kernel_after_its_reply_can_be_read() {
    let mut session = session();
    session.handle(executes("a"));
    session.handle(executes("b"));
    let payload = vec![Payload::AskExit { keepkernel: false }];
    let quits = SessionEvent::CellEnded {
        cell: CellId(1),
        result: Ok(()),
        value: None,
        extras: Extras {
            payload,
            ..Extras::default()
        },
    };
    check(
        &mut session,
        quits,
        &[
            "a <- ok 1",
            "a: idle",
            "b: busy",
            "b <- aborted 2",
            "b: idle",
            "quit",
        ],
    );
    check(&mut session, SessionEvent::QuitDue, &["exit"]);
}
