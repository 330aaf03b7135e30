//! The parser of `%cluster`.

use super::options::{self, AfterOptions, MagicOption, OptionSpec, ParsedOption};
use super::{MagicError, MagicProblem, Targets};
use crate::completion::nearest;
use phalanx_launcher::StartRequest;
use phalanx_launcher::ssh::Host;
use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

/// A subcommand of `%cluster`.
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterCommand {
    /// `start [PROFILE] -n N --launcher L --hosts H`.
    Start(Box<StartRequest>),
    /// `stop`.
    Stop,
    /// `status`.
    Status,
    /// `watch`.
    Watch,
    /// `scale -n N`.
    Scale {
        /// The number of engines afterwards.
        engines: usize,
    },
    /// `restart`.
    Restart {
        /// The targets, and their range in bytes of the line.
        targets: Option<(Targets, Range<usize>)>,
    },
    /// `connect [FILE|ID]`.
    Connect {
        /// A connection file or the id of a cluster; `None` for the only cluster.
        to: Option<String>,
    },
    /// `sync`.
    Sync {
        /// The targets, and their range in bytes of the line.
        targets: Option<(Targets, Range<usize>)>,
    },
}

/// The largest number of engines that one command may start on this machine.
pub(crate) const MAX_ENGINES: usize = 1024;

/// A subcommand: its name, usage, options and description.
pub(super) struct ClusterCommandSpec {
    pub(super) name: &'static str,
    pub(super) options: &'static [OptionSpec],
    pub(super) usage: &'static str,
    pub(super) about: &'static str,
}

/// All subcommands.
pub(super) const COMMANDS: [ClusterCommandSpec; 8] = [
    ClusterCommandSpec {
        name: "start",
        options: options::CLUSTER_START,
        usage: "start [PROFILE] [-n N]",
        about: "starts a controller here, and engines on this machine or as PROFILE or --launcher specifies",
    },
    ClusterCommandSpec {
        name: "stop",
        options: &[],
        usage: "stop",
        about: "stops controller and engines; a cluster that was connected to keeps running",
    },
    ClusterCommandSpec {
        name: "status",
        options: &[],
        usage: "status",
        about: "shows the state of the cluster",
    },
    ClusterCommandSpec {
        name: "watch",
        options: &[],
        usage: "watch",
        about: "shows load, tasks, memory and last error of each engine, and keeps that up to date under the cell",
    },
    ClusterCommandSpec {
        name: "scale",
        options: options::CLUSTER_SCALE,
        usage: "scale N",
        about: "starts or ends engines until there are N",
    },
    ClusterCommandSpec {
        name: "restart",
        options: options::TARGETED,
        usage: "restart [-t SPEC]",
        about: "restarts engines with empty namespaces under the same ids",
    },
    ClusterCommandSpec {
        name: "connect",
        options: &[],
        usage: "connect [FILE|ID]",
        about: "uses a cluster started elsewhere: by `phalanx cluster start`, `phalanx controller`, ipcontroller or `ipcluster start` (its ID, else the name of its profile, such as `default`; Tab lists those that run)",
    },
    ClusterCommandSpec {
        name: "sync",
        options: options::TARGETED,
        usage: "sync [-t SPEC]",
        about: "runs definitions (not variables) on engines that lack those of the others",
    },
];

/// Parses the rest of a line, from byte `at` on.
pub(super) fn parse(line: &str, at: usize) -> Result<ClusterCommand, MagicError> {
    let rest = &line[at..];
    let start = at + rest.len() - rest.trim_start().len();
    let word = line[start..].split_whitespace().next().unwrap_or("");
    let span = start..start + word.len();
    let Some(command) = COMMANDS.iter().find(|command| command.name == word) else {
        return Err(unknown(word, span, at));
    };
    let read = |after| options::read(line, span.end, command.options, after);
    match command.name {
        "start" => start_request(line, span.end, command.options)
            .map(Box::new)
            .map(ClusterCommand::Start),
        "stop" => read(AfterOptions::Nothing).map(|_| ClusterCommand::Stop),
        "status" => read(AfterOptions::Nothing).map(|_| ClusterCommand::Status),
        "watch" => read(AfterOptions::Nothing).map(|_| ClusterCommand::Watch),
        "scale" => {
            let (given, end) = read(AfterOptions::Code)?;
            let positional = argument(line, end)?;
            let (value, span) = match (given.last(), &positional) {
                (Some(given), None) => (given.value, given.span.clone()),
                (None, Some((value, span))) => (*value, span.clone()),
                _ => {
                    return Err(MagicError::new(span, MagicProblem::Scale));
                }
            };
            let engines = engine_count(value, &span)?;
            Ok(ClusterCommand::Scale { engines })
        }
        "connect" => {
            let to = argument(line, span.end)?.map(|(value, _)| value.to_owned());
            Ok(ClusterCommand::Connect { to })
        }
        name => {
            let (given, _) = read(AfterOptions::Nothing)?;
            let targets = targets(&given)?;
            Ok(if name == "restart" {
                ClusterCommand::Restart { targets }
            } else {
                ClusterCommand::Sync { targets }
            })
        }
    }
}

/// Parses the options of `start`, and the name of a profile before or between them.
fn start_request(
    line: &str,
    at: usize,
    options: &'static [OptionSpec],
) -> Result<StartRequest, MagicError> {
    let (mut given, at) = options::read(line, at, options, AfterOptions::Word)?;
    let name = line[at..].split_whitespace().next();
    let rest = at + name.map_or(0, str::len);
    given.extend(options::read(line, rest, options, AfterOptions::Nothing)?.0);
    let mut request = StartRequest {
        profile: name.map(str::to_owned),
        ..StartRequest::default()
    };
    for given in &given {
        match given.option {
            MagicOption::Engines => request.engines = Some(engine_count(given.value, &given.span)?),
            MagicOption::Launcher => request.launcher = Some(parsed(given)?),
            MagicOption::Queue => request.queue = Some(given.value.to_owned()),
            MagicOption::Ip => request.ip = Some(given.value.to_owned()),
            MagicOption::Hosts => {
                let hosts = given.value.split(',').map(str::parse::<Host>);
                let hosts: Result<Vec<Host>, _> = hosts.collect();
                request.hosts = hosts.map_err(|error| malformed(given, &error))?;
            }
            _ => {}
        }
    }
    Ok(request)
}

fn parsed<T: FromStr<Err: Display>>(given: &ParsedOption<'_>) -> Result<T, MagicError> {
    let value = given.value.parse();
    value.map_err(|error: T::Err| malformed(given, &error))
}

fn malformed(given: &ParsedOption<'_>, error: &dyn Display) -> MagicError {
    MagicError::new(given.span.clone(), MagicProblem::Value(error.to_string()))
}

/// Returns the error of a line whose subcommand is missing or unknown; the name of the magic ends at
/// byte `at`.
fn unknown(word: &str, span: Range<usize>, at: usize) -> MagicError {
    let usages: Vec<&str> = COMMANDS.iter().map(|command| command.usage).collect();
    let usages = usages.join(", ");
    if word.is_empty() {
        return MagicError::new(0..at, MagicProblem::NoCommand { usages });
    }
    let problem = MagicProblem::UnknownCommand {
        command: word.to_owned(),
        near: nearest(word, COMMANDS.iter().map(|command| command.name)),
        usages,
    };
    MagicError::new(span, problem)
}

/// Returns the single argument of a line after byte `at`, if there is one, with its range; it may
/// contain spaces within quotes.
pub(super) fn argument(line: &str, at: usize) -> Result<Option<(&str, Range<usize>)>, MagicError> {
    let start = at + line[at..].len() - line[at..].trim_start().len();
    let text = line[start..].trim_end();
    if text.is_empty() {
        return Ok(None);
    }
    for quote in ['"', '\''] {
        let inner = text
            .strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote));
        if let Some(inner) = inner {
            return Ok(Some((inner, start + 1..start + 1 + inner.len())));
        }
    }
    let word = text.split_whitespace().next().unwrap_or(text);
    if word.len() < text.len() {
        let rest = start + word.len()..start + text.len();
        return Err(MagicError::new(rest, MagicProblem::SeveralArguments));
    }
    Ok(Some((text, start..start + text.len())))
}

fn targets(given: &[ParsedOption<'_>]) -> Result<Option<(Targets, Range<usize>)>, MagicError> {
    given
        .iter()
        .rfind(|given| given.option == MagicOption::Targets)
        .map(|given| {
            let targets = Targets::parse(given.value, given.span.clone())?;
            Ok((targets, given.span.clone()))
        })
        .transpose()
}

fn engine_count(value: &str, span: &Range<usize>) -> Result<usize, MagicError> {
    match value.parse::<usize>() {
        Ok(count) if (1..=MAX_ENGINES).contains(&count) => Ok(count),
        _ => {
            let problem = MagicProblem::EngineCount {
                value: value.to_owned(),
                most: MAX_ENGINES,
            };
            Err(MagicError::new(span.clone(), problem))
        }
    }
}
