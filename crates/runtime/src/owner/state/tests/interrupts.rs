//! Interrupts, at each moment of a run.

use super::*;

fn stop_word(owner: &Owner) -> u32 {
    owner.process.words[STOP_WORD].load(Ordering::SeqCst)
}

#[test]
fn an_interrupt_between_runs_does_nothing() {
    let mut owner = Owner::protected();
    assert_eq!(owner.interrupt(), NOTHING);
    owner.run(1);
    assert_eq!(stop_word(&owner), 0);
    assert_eq!(owner.state.deadline(), None);
}

#[test]
fn an_interrupt_before_the_start_of_a_run_is_retried_until_it_runs() {
    let mut owner = Owner::protected();
    owner.run(1);
    for _ in 0..3 {
        let before = owner.now;
        assert_eq!(owner.interrupt(), NOTHING);
        assert_eq!(owner.waits(), NOTHING);
        assert_eq!(owner.now, before + Duration::from_millis(10));
    }
    owner.starts();
    assert_eq!(owner.waits(), ["kill 100"]);
    assert_eq!(owner.reports(PID, KILLED), ["settle 101, spare [7]"]);
    assert_eq!(owner.fails_over(101), ["1 abandoned: signal 9 (SIGKILL)"]);
}

#[test]
fn an_interrupt_of_a_running_cell_with_a_snapshot_kills_its_process() {
    let mut owner = Owner::protected();
    owner.run(1);
    owner.starts();
    owner.prints(Stdout, "a");
    assert_eq!(owner.interrupt(), ["kill 100"]);
    assert_eq!(owner.reports(PID, KILLED), ["settle 101, spare [7]"]);
    let ended = owner.fails_over(101);
    assert_eq!(ended, ["1 stdout: a", "1 abandoned: signal 9 (SIGKILL)"]);
    assert_eq!(owner.run(2), ["reset stdin", "run 2"]);
    assert_eq!(stop_word(&owner), 0);
}

#[test]
fn a_cell_that_polls_or_has_no_snapshot_is_given_time_to_end() {
    for is_protected in [true, false] {
        let mut owner = if is_protected {
            Owner::protected()
        } else {
            Owner::new()
        };
        owner.run(1);
        owner.starts();
        owner.process.words[crate::POLLED_WORD].store(u32::from(is_protected), Ordering::SeqCst);
        assert_eq!(owner.interrupt(), NOTHING);
        assert_eq!(stop_word(&owner), 1);
        let before = owner.now;
        assert_eq!(owner.waits(), ["kill 100"]);
        assert_eq!(owner.now, before + Duration::from_secs(2));
    }
}

#[test]
fn a_second_interrupt_kills_the_process() {
    let mut owner = Owner::new();
    owner.run(1);
    owner.starts();
    assert_eq!(owner.interrupt(), NOTHING);
    assert_eq!(owner.interrupt(), ["kill 100"]);
}

#[test]
fn an_interrupt_after_the_end_of_a_cell_that_is_in_transit_loses_nothing() {
    let mut owner = Owner::protected();
    owner.run(1);
    owner.starts();
    owner.ends(1);
    assert_eq!(owner.interrupt(), NOTHING, "no code is running");
    owner.reads(Stdout);
    assert_eq!(owner.reads(Stderr), ["1 Completed"]);
    // The end of run 1 has ended its stop as well.
    owner.run(2);
    owner.starts();
    assert_eq!(owner.waits(), NOTHING);
    assert_eq!(stop_word(&owner), 0);
}

#[test]
fn a_process_that_is_killed_while_it_is_condemned_does_not_report_an_end() {
    let mut owner = Owner::protected();
    owner.run(1);
    owner.starts();
    assert_eq!(owner.interrupt(), ["kill 100"]);
    let word = owner.process.words[RUN_WORD].load(Ordering::SeqCst);
    assert_eq!(word, crate::CONDEMNED);
    owner.reports(PID, KILLED);
    owner.fails_over(101);
    let word = owner.process.words[RUN_WORD].load(Ordering::SeqCst);
    assert_eq!(word, IDLE, "the snapshot runs no code yet");
}

#[test]
fn an_interrupt_of_a_call_does_not_stop_the_next_one() {
    let mut owner = Owner::new();
    owner.call(1);
    owner.call(2);
    owner.starts();
    assert_eq!(owner.interrupt(), NOTHING);
    owner.returns(1, false);
    assert_eq!(owner.receives(), ["1 value v1", "1 Completed"]);
    assert_eq!(stop_word(&owner), 0);
    assert_eq!(owner.state.deadline(), None);
}
