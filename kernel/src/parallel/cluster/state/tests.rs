use super::*;
use std::time::Duration;

fn elsewhere(has_owner: bool) -> ClusterState {
    let mut state = ClusterState::default();
    let to = Some("alpha".to_owned());
    check(
        &mut state,
        ClusterStateEvent::Connect {
            to: to.clone(),
            registered: 0,
        },
        &[ClusterStateCommand::Connect(to)],
    );
    check(
        &mut state,
        ClusterStateEvent::Connected {
            name: "alpha".to_owned(),
            has_owner,
            engines: 2,
        },
        &[ok(ClusterResult::Connected("alpha".to_owned(), 2))],
    );
    state
}

fn own() -> ClusterState {
    let mut state = ClusterState::default();
    let request = start(Some(2));
    check(
        &mut state,
        ClusterStateEvent::Start {
            request: request.clone(),
            registered: 0,
        },
        &[ClusterStateCommand::Start(request)],
    );
    let cluster = started(2, None);
    check(
        &mut state,
        ClusterStateEvent::Started(cluster.clone()),
        &[ok(ClusterResult::Started(cluster))],
    );
    state
}

fn start(engines: Option<usize>) -> StartRequest {
    StartRequest {
        engines,
        ..StartRequest::default()
    }
}

fn started(engines: usize, before: Option<usize>) -> StartedCluster {
    StartedCluster {
        engines,
        before,
        took: Duration::ZERO,
        is_open: false,
    }
}

fn ids(ids: &[u32]) -> Vec<EngineId> {
    ids.iter().copied().map(EngineId).collect()
}

fn ok(result: ClusterResult) -> ClusterStateCommand {
    ClusterStateCommand::Reply(Ok(result))
}

fn failed(error: ClusterError) -> ClusterStateCommand {
    ClusterStateCommand::Reply(Err(error.into()))
}

/// Checks the commands that follow an event.
fn check(state: &mut ClusterState, event: ClusterStateEvent, expected: &[ClusterStateCommand]) {
    let now = Instant::now();
    let mut commands = state.handle(event, now);
    for command in &mut commands {
        if let ClusterStateCommand::Reply(Ok(ClusterResult::Started(started))) = command {
            started.took = Duration::ZERO;
        }
    }
    assert_eq!(commands, expected);
    let is_reply = |command: &ClusterStateCommand| matches!(command, ClusterStateCommand::Reply(_));
    assert_eq!(
        state.request.is_none(),
        commands.is_empty()
            || commands.iter().any(is_reply)
            || commands == [ClusterStateCommand::Drop],
        "a request is open until its reply"
    );
}

fn scale(engines: usize) -> ClusterStateCommand {
    ClusterStateCommand::AskOwner(OwnerRequest::Scale { engines })
}

fn scaled(before: usize, now: usize) -> ClusterStateEvent {
    ClusterStateEvent::OwnerReplied(OwnerReply::Scaled { before, now })
}

#[test]
fn requests_without_a_cluster_fail() {
    let mut state = ClusterState::default();
    let restart = ClusterStateEvent::Restart {
        targets: Some(Targets::Id(7)),
        engines: Vec::new(),
    };
    for event in [
        ClusterStateEvent::Stop,
        ClusterStateEvent::Scale { engines: 2 },
        restart,
    ] {
        check(&mut state, event, &[failed(ClusterError::NotRunning)]);
    }
}

#[test]
fn a_start_that_fails_leaves_no_cluster() {
    let mut state = ClusterState::default();
    let request = start(None);
    let event = || ClusterStateEvent::Start {
        request: start(None),
        registered: 0,
    };
    let command = ClusterStateCommand::Start(request);
    check(&mut state, event(), std::slice::from_ref(&command));
    check(
        &mut state,
        ClusterStateEvent::Failed(ClusterError::Interrupted.into()),
        &[failed(ClusterError::Interrupted)],
    );
    assert!(state.running.is_none());
    check(&mut state, event(), &[command]);
}

#[test]
fn a_second_start_adds_the_missing_engines() {
    let mut state = own();
    let start = |engines| ClusterStateEvent::Start {
        request: start(engines),
        registered: 2,
    };
    for enough in [None, Some(1), Some(2)] {
        let reply = ok(ClusterResult::Started(started(2, Some(2))));
        check(&mut state, start(enough), &[reply]);
    }
    check(&mut state, start(Some(3)), &[scale(3)]);
    let reply = ok(ClusterResult::Started(started(3, Some(2))));
    check(&mut state, scaled(2, 3), &[reply]);
    let error = ClusterError::NotOwned {
        cluster: "alpha".to_owned(),
        request: OwnerRequest::Scale { engines: 3 },
    };
    check(&mut elsewhere(false), start(Some(3)), &[failed(error)]);
}

#[test]
fn new_engines_of_another_owner_are_awaited() {
    let scales = || ClusterStateEvent::Scale { engines: 4 };
    let reply = || ok(ClusterResult::Scaled { before: 2, now: 4 });
    let mut state = own();
    check(&mut state, scales(), &[scale(4)]);
    check(&mut state, scaled(2, 4), &[reply()]);
    let mut state = elsewhere(true);
    check(&mut state, scales(), &[scale(4)]);
    check(
        &mut state,
        scaled(2, 4),
        &[ClusterStateCommand::WaitForNew(2)],
    );
    check(&mut state, ClusterStateEvent::Registered, &[reply()]);
}

#[test]
fn engines_of_an_unknown_owner_are_cleared_instead_of_restarted() {
    let restarts = |targets| ClusterStateEvent::Restart {
        targets,
        engines: ids(&[3, 1]),
    };
    let asks = |engines| ClusterStateCommand::AskOwner(OwnerRequest::Restart { engines });
    let restarted = |engines| ClusterStateEvent::OwnerReplied(OwnerReply::Restarted { engines });
    let reply = |engines| ok(ClusterResult::Restarted(engines));

    let mut state = elsewhere(false);
    let clear = ClusterStateCommand::Clear(ids(&[1, 3]));
    check(&mut state, restarts(None), &[clear]);
    check(&mut state, ClusterStateEvent::Cleared, &[reply(2)]);

    let mut state = own();
    check(&mut state, restarts(None), &[asks(None)]);
    check(&mut state, restarted(2), &[reply(2)]);

    let mut state = elsewhere(true);
    let last = Some(Targets::Id(-1));
    check(&mut state, restarts(last), &[asks(Some(ids(&[3])))]);
    let wait = ClusterStateCommand::WaitForNew(1);
    check(&mut state, restarted(1), &[wait]);
    check(&mut state, ClusterStateEvent::Registered, &[reply(1)]);

    let unknown = Targets::Id(2).resolve(&ids(&[1, 3])).unwrap_err();
    let commands = [failed(ClusterError::from(unknown))];
    check(&mut state, restarts(Some(Targets::Id(2))), &commands);
}

#[test]
fn a_cluster_without_rust_engines_has_none_to_restart() {
    let restarts = |targets| ClusterStateEvent::Restart {
        targets,
        engines: Vec::new(),
    };
    let none = [failed(ClusterError::NoneToRestart)];
    for mut state in [own(), elsewhere(false)] {
        check(&mut state, restarts(None), &none);
    }
    let mut state = elsewhere(true);
    check(&mut state, restarts(Some(Targets::Id(0))), &none);
    // Its owner also knows those that have ended.
    let asks = ClusterStateCommand::AskOwner(OwnerRequest::Restart { engines: None });
    check(&mut state, restarts(None), &[asks]);
}

#[test]
fn a_cluster_of_another_owner_continues_to_run() {
    let mut state = own();
    check(
        &mut state,
        ClusterStateEvent::Stop,
        &[ClusterStateCommand::Stop],
    );
    let ended = StoppedCluster::Ended { engines: 2 };
    check(
        &mut state,
        ClusterStateEvent::Stopped { engines: 2 },
        &[ok(ClusterResult::Stopped(ended))],
    );
    let left = StoppedCluster::Left {
        cluster: "alpha".to_owned(),
    };
    check(
        &mut elsewhere(true),
        ClusterStateEvent::Stop,
        &[ClusterStateCommand::Drop, ok(ClusterResult::Stopped(left))],
    );
}

#[test]
fn one_cluster_is_connected_at_a_time() {
    let mut state = elsewhere(true);
    let connect = ClusterStateEvent::Connect {
        to: None,
        registered: 2,
    };
    let error = ClusterError::Running { engines: 2 };
    check(&mut state, connect, &[failed(error)]);
    assert!(state.running.is_some());
}

#[test]
fn a_cluster_stopped_elsewhere_is_reported_once() {
    let mut state = elsewhere(true);
    check(
        &mut state,
        ClusterStateEvent::Ended,
        &[ClusterStateCommand::Drop],
    );
    check(&mut state, ClusterStateEvent::Ended, &[]);
    let stopped = ClusterError::Stopped("alpha".to_owned());
    check(&mut state, ClusterStateEvent::Stop, &[failed(stopped)]);
    check(
        &mut state,
        ClusterStateEvent::Stop,
        &[failed(ClusterError::NotRunning)],
    );

    // The start of another cluster makes the report obsolete.
    let mut state = own();
    check(
        &mut state,
        ClusterStateEvent::Ended,
        &[ClusterStateCommand::Drop],
    );
    let connect = ClusterStateEvent::Connect {
        to: None,
        registered: 0,
    };
    let command = ClusterStateCommand::Connect(None);
    check(&mut state, connect, &[command]);
    assert!(state.take_stopped().is_none());
}
