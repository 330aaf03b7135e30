use super::*;
use phalanx_launcher::{LauncherKind, StartRequest};

fn parse(line: &str) -> Result<Magic, MagicError> {
    super::parse(line, &[]).map(|typed| typed.magic)
}

fn options(line: &str) -> PxOptions {
    match parse(line) {
        Ok(Magic::Px { options, .. }) => options,
        other => panic!("{line}: {other:?}"),
    }
}

fn code(line: &str) -> &str {
    match parse(line) {
        Ok(Magic::Px { code, .. }) => &line[code],
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn px_takes_options_and_then_code() {
    assert_eq!(code("%px 1 + 1"), "1 + 1");
    assert_eq!(code("%px  -x * 2 "), "-x * 2");
    assert_eq!(code("%px -1"), "-1");
    assert_eq!(code("%px --targets 0 -- --x"), "--x");
    assert_eq!(code("%px -t [0, 1] f(1)"), "f(1)");
    assert_eq!(code("%px -t -1 f(-1)"), "f(-1)");
    assert_eq!(options("%px -t0 1").targets, Some((Targets::Id(0), 6..7)));
    assert_eq!(
        options("%px --targets=::2 1")
            .targets
            .unwrap()
            .0
            .to_string(),
        "::2"
    );
    assert_eq!(options("%px -a -o ar 1").out.as_deref(), Some("ar"));
}

#[test]
fn every_option_of_the_cell_magic_is_parsed() {
    let given = options(
        "%%px --targets 1:3 --noblock --out=ar --group-outputs engine --no-stream --local --progress-after 0.5 --verbose",
    );
    assert_eq!(given.blocking, Some(Blocking::Return));
    assert_eq!(given.streaming, Some(Streaming::AtTheEnd));
    assert_eq!(given.group_by, Some(GroupBy::Engine));
    assert_eq!(given.out.as_deref(), Some("ar"));
    assert!(given.local);
    assert_eq!(given.progress_after, Some(0.5));
    assert_eq!(given.verbose, Some(true));
    assert_eq!(
        options("%%px -b --stream -r").group_by,
        Some(GroupBy::Order)
    );
    assert_eq!(options("%%px -e").group_by, Some(GroupBy::Engine));
}

#[test]
fn the_other_magics_are_parsed() {
    for (line, expected) in [
        ("%cluster start -n 4", started(Some(4))),
        ("%cluster start --n=4", started(Some(4))),
        ("%cluster  start", started(None)),
        ("%cluster stop", Magic::Cluster(ClusterCommand::Stop)),
        ("%cluster status ", Magic::Cluster(ClusterCommand::Status)),
        ("%autopx", Magic::AutoPx),
        ("%engines", Magic::Engines),
        (
            "%result",
            Magic::PxResult {
                out: None,
                group_by: None,
            },
        ),
        ("%px?", Magic::Help(MagicName::Px)),
        ("%%px?", Magic::Help(MagicName::Px)),
        ("%cluster ?", Magic::Help(MagicName::Cluster)),
        ("%pxresult --help", Magic::Help(MagicName::PxResult)),
        (
            "%pxresult -o r -e",
            Magic::PxResult {
                out: Some("r".into()),
                group_by: Some(GroupBy::Engine),
            },
        ),
    ] {
        assert_eq!(parse(line), Ok(expected), "{line}");
    }
}

#[test]
fn errors_have_a_span_and_a_hint() {
    for (line, span, message, hint) in [
        (
            "%pxx 1",
            "%pxx",
            "unknown magic `%pxx`",
            "did you mean `%px`?",
        ),
        (
            "%%zebra",
            "%%zebra",
            "unknown magic `%%zebra`",
            "the magics are %px,",
        ),
        ("%px", "%px", "needs Rust code", "%%px"),
        (
            "%px --bogus 1",
            "--bogus",
            "unknown option `--bogus`",
            "goes after ` -- `",
        ),
        (
            "%px --target 0 1",
            "--target",
            "unknown option `--target`",
            "did you mean `--targets`?",
        ),
        ("%%px -z", "-z", "unknown option `-z`", "--targets"),
        (
            "%%px let x = 1;",
            "let",
            "`let` is not an option",
            "the code goes below",
        ),
        (
            "%%px --targets",
            "--targets",
            "needs a value",
            "engines to run on",
        ),
        ("%%px --block=1", "--block=1", "takes no value", ""),
        (
            "%%px --targets 0:x",
            "0:x",
            "malformed targets `0:x`",
            "a slice such as",
        ),
        ("%%px -o 1x", "1x", "cannot be the name", "such as `_1x`"),
        ("%%px -o gen", "gen", "Rust reserves it", "such as `gen_`"),
        ("%pxresult -o 'a", "'a", "Rust identifier", "such as `a`"),
        (
            "%%px --group-outputs colour",
            "colour",
            "grouped by `colour`",
            "`engine`",
        ),
        (
            "%%px --progress-after soon",
            "soon",
            "number of seconds",
            "0.5",
        ),
        (
            "%cluster",
            "%cluster",
            "needs a command",
            "start [PROFILE] [-n N]",
        ),
        (
            "%cluster strat -n 2",
            "strat",
            "no command `strat`",
            "%cluster start",
        ),
        (
            "%cluster start -n 0",
            "0",
            "not a number of engines",
            "from 1",
        ),
        (
            "%cluster start -n many",
            "many",
            "not a number of engines",
            "from 1",
        ),
        (
            "%cluster stop now",
            "now",
            "`now` is not an option",
            "no options",
        ),
        (
            "%%cluster start",
            "%%cluster",
            "not a cell magic",
            "%cluster",
        ),
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!(&line[error.span.clone()], span, "{line}");
        assert!(error.to_string().contains(message), "{line}: {error}");
        let given = error.problem.hint().unwrap_or_default();
        assert!(given.contains(hint), "{line}: {given}");
    }
}

#[test]
fn help_names_every_option() {
    for name in MagicName::ALL {
        let page = crate::magic::help::help(name);
        let text = page.text().unwrap();
        assert!(text.contains(&format!("%{name}")), "{text}");
        for spec in crate::magic::help::options(name) {
            assert!(text.contains(&format!("--{}", spec.long)), "{text}");
        }
    }
}

/// Returns `%cluster start` with this number of engines.
fn started(engines: Option<usize>) -> Magic {
    let request = StartRequest {
        engines,
        ..StartRequest::default()
    };
    Magic::Cluster(ClusterCommand::Start(Box::new(request)))
}

#[test]
fn cluster_start_takes_a_profile_or_a_launcher() {
    let request = |line: &str| match parse(line) {
        Ok(Magic::Cluster(ClusterCommand::Start(request))) => *request,
        other => panic!("{line}: {other:?}"),
    };
    for line in [
        "%cluster start lab -n 8 --launcher ssh",
        "%cluster start -n 8 --launcher=ssh lab",
    ] {
        let request = request(line);
        assert_eq!(request.profile.as_deref(), Some("lab"));
        let launcher = Some(LauncherKind::Ssh);
        assert_eq!((request.engines, request.launcher), (Some(8), launcher));
    }
    let hosts = request("%cluster start --hosts node1,me@node2:4").hosts;
    let hosts: Vec<_> = hosts
        .iter()
        .map(|host| (host.name.as_str(), host.engines))
        .collect();
    assert_eq!(hosts, [("node1", 1), ("me@node2", 4)]);
    for (line, message) in [
        ("%cluster start lab other", "`other` is not an option"),
        ("%cluster start --launcher slrum", "no launcher `slrum`"),
        ("%cluster start --hosts node1:x", "`node1:x` is not a host"),
        ("%cluster start -x", "unknown option `-x`"),
    ] {
        let error = parse(line).unwrap_err();
        assert!(error.to_string().contains(message), "{line}: {error}");
    }
}

#[test]
fn cluster_scale_restart_connect_and_sync_are_parsed() {
    let cluster = |line: &str| match parse(line) {
        Ok(Magic::Cluster(command)) => command,
        other => panic!("{line}: {other:?}"),
    };
    for line in [
        "%cluster scale 8",
        "%cluster scale -n 8",
        "%cluster scale --n=8",
    ] {
        assert_eq!(cluster(line), ClusterCommand::Scale { engines: 8 });
    }
    assert_eq!(
        cluster("%cluster connect \"/a b/c.json\""),
        ClusterCommand::Connect {
            to: Some("/a b/c.json".into())
        }
    );
    assert_eq!(
        cluster("%cluster connect"),
        ClusterCommand::Connect { to: None }
    );
    assert_eq!(
        cluster("%cluster restart -t 1"),
        ClusterCommand::Restart {
            targets: Some((Targets::Id(1), 20..21))
        }
    );
    assert_eq!(
        cluster("%cluster sync"),
        ClusterCommand::Sync { targets: None }
    );
    for line in [
        "%cluster scale",
        "%cluster scale 0",
        "%cluster scale 1 2",
        "%cluster scale -n 1 2",
        "%cluster connect a b",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn activated_suffixes_make_magics() {
    let Ok(Magic::PxActivate { suffix, options }) = parse("%pxactivate -t ::2 --noblock _even")
    else {
        panic!("not activated")
    };
    assert_eq!(options.blocking, Some(Blocking::Return));
    let typed = super::parse("%px_even -t 0 x()", std::slice::from_ref(&suffix)).unwrap();
    assert_eq!(typed.suffix, suffix);
    assert!(matches!(typed.magic, Magic::Px { .. }));
    let error = parse("%px_even x()").unwrap_err();
    assert_eq!(error.to_string(), "unknown magic `%px_even`");
    for line in [
        "%pxactivate",
        "%pxactivate result",
        "%pxactivate a b",
        "%pxactivate -",
        "%pxactivate é-",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn the_options_of_activate_may_follow_the_suffix() {
    for line in [
        "%pxactivate evens --targets ::2 --noblock",
        "%pxactivate --noblock evens -t ::2",
        "%pxactivate -t '::2' 'evens' --noblock",
    ] {
        let Ok(Magic::PxActivate { suffix, options }) = parse(line) else {
            panic!("{line}")
        };
        assert_eq!(suffix.as_str(), "evens", "{line}");
        assert_eq!(options.targets.unwrap().0.to_string(), "::2", "{line}");
        assert_eq!(options.blocking, Some(Blocking::Return), "{line}");
    }
}

#[test]
fn quotes_around_values_are_removed() {
    for line in [
        r#"%px --targets "0,1" x('a')"#,
        r"%px --targets '0, 1' x('a')",
        r#"%px --targets="0, 1" x('a')"#,
        r#"%px -t"0,1" x('a')"#,
    ] {
        let targets = options(line).targets.unwrap();
        assert_eq!(targets.0.to_string(), "[0, 1]", "{line}");
        assert!(line[targets.1].starts_with("0,"), "{line}");
        assert_eq!(code(line), "x('a')");
    }
    assert_eq!(options("%px --out 'q' 1").out.as_deref(), Some("q"));
    assert_eq!(options("%px -o \"q\" 1").out.as_deref(), Some("q"));
    for line in ["%px --out '' 1", "%px --out 'q 1", "%px --out 'q'r 1"] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn signals_are_named_or_numbered() {
    for (text, number) in [("SIGTERM", 15), ("KILL", 9), ("0", 0), ("10", 10)] {
        let given = options(&format!("%px --signal-on-interrupt {text} 1"));
        assert_eq!(given.signal.unwrap().number(), Some(number));
    }
    let error = parse("%px --signal-on-interrupt SIGNO 1").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`SIGNO` is not a signal that can be sent"
    );
    assert!(parse("%px --signal-on-interrupt 99 1").is_err());
}
