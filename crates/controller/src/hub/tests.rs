use super::*;
use EngineChannel::{Control, Heartbeat, Mux, Task};
use HubCommand::{Accept, Joined, Left, Refuse};
use HubEvent::{Beat, Connected, Disconnected, Pong, Published, Register, Tick, Unregister};

const CHANNELS: [EngineChannel; 4] = [Mux, Task, Control, Heartbeat];

fn uuid(name: &str) -> EngineUuid {
    EngineUuid::new(name)
}

struct Case {
    hub: Hub,
    now: Instant,
}

impl Case {
    fn new() -> Self {
        Self {
            hub: Hub::default(),
            now: Instant::now(),
        }
    }

    fn event(&mut self, event: HubEvent) -> Vec<HubCommand> {
        self.hub.handle(event, self.now)
    }

    fn events(&mut self, events: impl IntoIterator<Item = HubEvent>) -> Vec<HubCommand> {
        events
            .into_iter()
            .flat_map(|event| self.event(event))
            .collect()
    }

    fn joined(&mut self, name: &str) -> Vec<HubCommand> {
        let connected = CHANNELS.map(|channel| Connected(channel, uuid(name)));
        let mut commands = self.event(Register(uuid(name), None));
        commands.extend(self.events(connected));
        commands.extend(self.event(Published(uuid(name))));
        commands
    }
}

#[test]
fn an_engine_has_joined_once_connected_on_every_channel_and_seen_on_iopub_in_any_order() {
    let mut all: Vec<HubEvent> = CHANNELS.map(|channel| Connected(channel, uuid("a"))).into();
    all.extend([Register(uuid("a"), None), Published(uuid("a"))]);
    for first in 0..all.len() {
        all.rotate_left(1);
        let mut case = Case::new();
        let commands = case.events(all.clone());
        // A publication that precedes any other event does not count.
        let expected = if all[0] == Published(uuid("a")) {
            assert!(case.hub.listens());
            vec![Accept(uuid("a"), EngineId(0))]
        } else {
            vec![
                Accept(uuid("a"), EngineId(0)),
                Joined(EngineId(0), uuid("a")),
            ]
        };
        assert_eq!(commands, expected, "rotated by {first}");
    }
}

#[test]
fn an_engine_with_a_missing_channel_does_not_join() {
    for missing in CHANNELS {
        let mut case = Case::new();
        case.event(Register(uuid("a"), None));
        for channel in CHANNELS {
            if channel != missing {
                case.event(Connected(channel, uuid("a")));
            }
        }
        assert_eq!(case.event(Published(uuid("a"))), []);
        assert_eq!(case.hub.engines(), BTreeMap::new());
        assert_eq!(
            case.event(Connected(missing, uuid("a"))),
            [Joined(EngineId(0), uuid("a"))]
        );
    }
}

#[test]
fn an_engine_not_seen_on_iopub_joins_at_the_second_heartbeat() {
    let mut case = Case::new();
    case.event(Register(uuid("a"), None));
    case.events(CHANNELS.map(|channel| Connected(channel, uuid("a"))));
    assert_eq!(case.event(Pong(uuid("a"))), []);
    assert_eq!(
        case.event(Pong(uuid("a"))),
        [Joined(EngineId(0), uuid("a"))]
    );
}

#[test]
fn ids_count_up_and_a_requested_id_is_assigned_if_free() {
    let mut case = Case::new();
    case.joined("a");
    case.joined("b");
    assert_eq!(
        case.event(Register(uuid("c"), Some(EngineId(1))))[0],
        Accept(uuid("c"), EngineId(2))
    );
    case.event(Unregister(EngineId(1)));
    assert_eq!(
        case.event(Register(uuid("d"), Some(EngineId(1))))[0],
        Accept(uuid("d"), EngineId(1))
    );
    assert_eq!(
        case.event(Register(uuid("e"), None))[0],
        Accept(uuid("e"), EngineId(3))
    );
    assert_eq!(
        case.event(Register(uuid("f"), Some(EngineId(9))))[0],
        Accept(uuid("f"), EngineId(9))
    );
    assert_eq!(
        case.event(Register(uuid("g"), None))[0],
        Accept(uuid("g"), EngineId(10))
    );
}

#[test]
fn a_uuid_registers_once() {
    let mut case = Case::new();
    case.joined("a");
    let refused = [Refuse(uuid("a"), RefusedRegistration::UuidInUse)];
    assert_eq!(case.event(Register(uuid("a"), None)), refused);
}

#[test]
fn an_engine_whose_process_ends_leaves_at_once_and_only_once() {
    let mut case = Case::new();
    case.joined("a");
    case.joined("b");
    assert_eq!(case.event(Disconnected(Mux, uuid("a"))), []);
    let left = [Left(EngineId(0), uuid("a"), LeftReason::Disconnected)];
    assert_eq!(case.event(Disconnected(Task, uuid("a"))), left);
    let rest = [Control, Heartbeat].map(|channel| Disconnected(channel, uuid("a")));
    assert_eq!(case.events(rest), []);
    assert_eq!(case.event(Unregister(EngineId(0))), []);
    assert_eq!(case.hub.engines(), [(EngineId(1), uuid("b"))].into());
}

#[test]
fn a_lost_connection_may_be_restored() {
    for made_again in [true, false] {
        let mut case = Case::new();
        case.joined("a");
        case.event(Disconnected(Mux, uuid("a")));
        if made_again {
            case.event(Connected(Mux, uuid("a")));
        }
        case.now += RECONNECT_LIMIT;
        let left = vec![Left(EngineId(0), uuid("a"), LeftReason::NotReconnected)];
        assert_eq!(case.event(Tick), if made_again { vec![] } else { left });
    }
}

#[test]
fn an_engine_that_does_not_return_heartbeats_has_left() {
    let mut case = Case::new();
    case.joined("silent");
    case.joined("well");
    let mut left = vec![];
    for beat in 0..=MAX_MISSES + 1 {
        assert_eq!(left, [], "beat {beat}");
        left = case.event(Beat);
        case.event(Pong(uuid("well")));
    }
    assert_eq!(
        left,
        [Left(EngineId(0), uuid("silent"), LeftReason::Heartbeats)]
    );
    assert!(case.hub.id_of(&uuid("well")).is_some());
}

#[test]
fn an_engine_returns_with_its_next_heartbeat() {
    let mut case = Case::new();
    case.joined("a");
    let left = case.events((0..=MAX_MISSES + 1).map(|_| Beat));
    assert_eq!(left, [Left(EngineId(0), uuid("a"), LeftReason::Heartbeats)]);
    assert_eq!(case.hub.engines(), BTreeMap::new());
    assert_eq!(case.events([Beat, Beat, Tick]), []);
    let joined = [Joined(EngineId(0), uuid("a"))];
    assert_eq!(case.event(Pong(uuid("a"))), joined);
    assert_eq!(case.events([Beat, Pong(uuid("a")), Beat]), []);
    // Unless another engine has its id by now.
    case.events((0..=MAX_MISSES).map(|_| Beat));
    case.event(Register(uuid("b"), Some(EngineId(0))));
    let joined = [Joined(EngineId(1), uuid("a"))];
    assert_eq!(case.event(Pong(uuid("a"))), joined);
}

#[test]
fn a_missed_engine_that_ends_is_removed() {
    let mut case = Case::new();
    case.joined("a");
    case.events((0..=MAX_MISSES + 1).map(|_| Beat));
    let ends = CHANNELS.map(|channel| Disconnected(channel, uuid("a")));
    assert_eq!(case.events(ends), []);
    assert!(case.hub.peers.is_empty());
}

#[test]
fn an_engine_that_registers_again_keeps_its_id() {
    let mut case = Case::new();
    case.joined("a");
    let back = case.event(Register(uuid("a"), Some(EngineId(0))));
    let expected = [
        Left(EngineId(0), uuid("a"), LeftReason::Returned),
        Accept(uuid("a"), EngineId(0)),
    ];
    assert_eq!(back, expected);
    // A publication has to arrive on its new connections.
    let joined = [Joined(EngineId(0), uuid("a"))];
    assert_eq!(case.event(Published(uuid("a"))), joined);
    // A controller without a record of it assigns the id it requests.
    let mut other = Case::new();
    let back = other.event(Register(uuid("a"), Some(EngineId(7))));
    assert_eq!(back, [Accept(uuid("a"), EngineId(7))]);
}

#[test]
fn an_incomplete_registration_is_removed_without_a_notification() {
    let mut case = Case::new();
    case.event(Register(uuid("a"), None));
    case.now += REGISTRATION_LIMIT;
    assert_eq!(case.event(Tick), []);
    assert_eq!(
        case.event(Register(uuid("a"), None)),
        [Accept(uuid("a"), EngineId(1))]
    );
}

#[test]
fn peers_that_leave_before_they_register_leave_no_state() {
    let mut case = Case::new();
    case.events([Connected(Mux, uuid("a")), Disconnected(Mux, uuid("a"))]);
    assert!(case.hub.peers.is_empty());
}
