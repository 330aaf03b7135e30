//! The input of a cell: checks for blocked readers, requests for lines, and their replies.

use super::*;

fn check(is_wanted: bool) -> OwnerEvent {
    let took = Duration::from_millis(1);
    OwnerEvent::StdinChecked { is_wanted, took }
}

fn line(text: &str) -> OwnerEvent {
    let line = Some(text.to_owned());
    OwnerEvent::StdinAnswered(Some(HostReply::Input(line)))
}

/// Starts a cell that reads stdin.
fn reading(mut owner: Owner) -> Owner {
    owner.run(1);
    owner.starts();
    assert_eq!(owner.handle(OwnerEvent::StdinReady), NOTHING);
    assert_eq!(owner.waits(), ["check stdin of 100"]);
    owner
}

#[test]
fn a_cell_that_reads_is_given_lines_until_it_ends() {
    let mut owner = reading(Owner::new());
    assert_eq!(owner.handle(check(false)), NOTHING);
    let before = owner.now;
    assert_eq!(owner.waits(), ["check stdin of 100"]);
    assert_eq!(owner.now, before + Duration::from_millis(25));
    // The prompt is in the pipe.
    owner.prints(Stdout, "name? ");
    assert_eq!(
        owner.handle(check(true)),
        ["1 stdout: name? ", "1 requests ReadLine"]
    );
    assert_eq!(owner.state.deadline(), None, "no checks meanwhile");
    assert_eq!(owner.handle(line("Ada")), ["write Ada"]);
    assert_eq!(owner.waits(), ["check stdin of 100"]);
    owner.handle(check(false));
    owner.ends(1);
    owner.reads(Stdout);
    assert_eq!(owner.reads(Stderr), ["end stdin", "1 Completed"]);
}

#[test]
fn checks_take_a_limited_share_of_the_time() {
    let mut owner = reading(Owner::new());
    let (is_wanted, took) = (false, Duration::from_millis(10));
    owner.handle(OwnerEvent::StdinChecked { is_wanted, took });
    let before = owner.now;
    owner.waits();
    assert_eq!(owner.now, before + Duration::from_millis(200));
}

#[test]
fn without_input_there_are_no_checks() {
    let mut owner = Owner::new();
    assert_eq!(owner.run(1), ["reset stdin", "run 1"]);
    assert_eq!(owner.state.deadline(), None);
    owner.ends(1);
    owner.reads(Stdout);
    assert_eq!(owner.reads(Stderr), ["1 Completed"]);
}

#[test]
fn the_end_of_the_input_closes_stdin() {
    let mut owner = reading(Owner::new());
    owner.handle(check(true));
    let answer = OwnerEvent::StdinAnswered(Some(HostReply::Input(None)));
    assert_eq!(owner.handle(answer), ["close stdin"]);
    assert_eq!(owner.state.deadline(), None);
}

#[test]
fn a_line_requested_by_an_interrupted_cell_is_not_sent() {
    // With a snapshot the process is killed while the user is asked.
    let mut owner = reading(Owner::protected());
    assert_eq!(owner.handle(check(true)), ["1 requests ReadLine"]);
    assert_eq!(owner.interrupt(), ["kill 100"]);
    assert_eq!(owner.handle(OwnerEvent::StdinAnswered(None)), NOTHING);
    assert_eq!(owner.reports(PID, KILLED), ["settle 101, spare [7]"]);
    let ended = owner.fails_over(101);
    assert_eq!(ended, ["end stdin", "1 abandoned: signal 9 (SIGKILL)"]);

    // Without one, the cell must not continue with an empty line meanwhile.
    let mut owner = reading(Owner::new());
    owner.handle(check(true));
    assert_eq!(owner.interrupt(), NOTHING);
    assert_eq!(owner.handle(OwnerEvent::StdinAnswered(None)), NOTHING);
    let before = owner.now;
    assert_eq!(owner.waits(), ["kill 100"]);
    assert_eq!(owner.now, before + Duration::from_secs(2));
}

#[test]
fn a_cell_that_starts_to_read_after_an_interrupt_requests_input() {
    let mut owner = reading(Owner::new());
    assert_eq!(owner.interrupt(), NOTHING);
    assert_eq!(owner.handle(check(true)), ["1 requests ReadLine"]);
    assert_eq!(owner.handle(line("stop")), ["write stop"]);
}

#[test]
fn a_check_that_ends_after_its_cell_requests_no_input() {
    let mut owner = reading(Owner::new());
    owner.ends(1);
    owner.reads(Stdout);
    assert_eq!(owner.reads(Stderr), ["end stdin", "1 Completed"]);
    assert_eq!(owner.handle(check(true)), NOTHING);
    assert_eq!(owner.waits(), NOTHING, "the deadline of the markers");
    assert_eq!(owner.state.deadline(), None);
}

#[test]
fn a_request_with_a_prompt_is_made_once() {
    let mut owner = reading(Owner::new());
    owner.prints(Stdout, "EVCXR_INPUT_REQUEST:name?\n");
    // The reader is noticed before its request is read.
    let request = r#"1 requests Input { prompt: "name?", password: false }"#;
    assert_eq!(owner.handle(check(true)), [request]);
}

#[test]
fn output_before_a_request_with_a_prompt_precedes_it_in_order() {
    let mut owner = Owner::new();
    owner.run(1);
    owner.starts();
    owner.prints(Stdout, "a");
    owner.prints(Stdout, "EVCXR_INPUT_REQUEST:name?\n");
    // Another thread writes on.
    owner.prints(Stdout, "\x1b]phalanx;place;1\x07");
    owner.prints(Stderr, "c");
    let (reply, _answer) = HostReplier::new();
    owner.handle(OwnerEvent::HostCall(ReceivedCall {
        request: HostRequest::Output(Output::ClearOutput { wait: false }),
        raw: Vec::new(),
        reply,
    }));
    let request = r#"1 requests Input { prompt: "name?", password: false }"#;
    assert_eq!(
        owner.reads(Stdout),
        [
            "1 stdout: a",
            "1 ClearOutput { wait: false }",
            "1 stderr: c",
            request
        ]
    );
}
