//! The options of magics, and their parser.

use super::{MagicError, MagicProblem};
use crate::completion::nearest;
use std::ops::Range;

/// An option of a magic.
#[derive(Debug)]
pub struct OptionSpec {
    /// Its id.
    pub option: MagicOption,
    /// The name after `--`.
    pub long: &'static str,
    /// The letter after `-`.
    pub short: Option<char>,
    /// The placeholder of its value in help; `None` if it takes no value.
    pub value: Option<&'static str>,
    /// A line of help.
    pub help: &'static str,
}

/// The id of an option; shared by all magics that have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MagicOption {
    Targets,
    Block,
    NoBlock,
    Out,
    GroupOutputs,
    Order,
    Engine,
    Stream,
    NoStream,
    Local,
    ProgressAfter,
    SignalOnInterrupt,
    Verbose,
    NoVerbose,
    Engines,
    Launcher,
    Hosts,
    Queue,
    Ip,
    Loops,
    Runs,
    Append,
}

macro_rules! spec {
    ($option:ident, $long:literal, $short:expr, $value:expr, $help:literal) => {
        OptionSpec {
            option: MagicOption::$option,
            long: $long,
            short: $short,
            value: $value,
            help: $help,
        }
    };
}

const TARGETS: OptionSpec = spec!(
    Targets,
    "targets",
    Some('t'),
    Some("SPEC"),
    "engines to run on: `all`, `0`, `0,2`, `[0, 2]`, `-1`, `1:3`, `::2`"
);
const BLOCK: OptionSpec = spec!(
    Block,
    "block",
    Some('b'),
    None,
    "wait for the engines (the default)"
);
const NOBLOCK: OptionSpec = spec!(
    NoBlock,
    "noblock",
    Some('a'),
    None,
    "return at once, with an AsyncResult"
);
const STREAM: OptionSpec = spec!(
    Stream,
    "stream",
    None,
    None,
    "show outputs as they arrive (the default)"
);
const NOSTREAM: OptionSpec = spec!(
    NoStream,
    "no-stream",
    None,
    None,
    "show outputs at the end, grouped"
);
const PROGRESS: OptionSpec = spec!(
    ProgressAfter,
    "progress-after",
    None,
    Some("SECONDS"),
    "show a bar after this number of seconds; 0 at once, -1 never (default 2)"
);
const SIGNAL: OptionSpec = spec!(
    SignalOnInterrupt,
    "signal-on-interrupt",
    None,
    Some("SIGNAL"),
    "signal sent to engines when a blocking cell is interrupted: a name or a number, 0 for none (default SIGINT)"
);
const OUT: OptionSpec = spec!(
    Out,
    "out",
    Some('o'),
    Some("NAME"),
    "store the AsyncResult in this local variable"
);
const GROUP: OptionSpec = spec!(
    GroupOutputs,
    "group-outputs",
    None,
    Some("type|engine|order"),
    "how outputs shown at the end are grouped"
);
const ORDER: OptionSpec = spec!(
    Order,
    "collate",
    Some('r'),
    None,
    "same as --group-outputs=order"
);
const ENGINE: OptionSpec = spec!(
    Engine,
    "by-engine",
    Some('e'),
    None,
    "same as --group-outputs=engine"
);
const VERBOSE: OptionSpec = spec!(
    Verbose,
    "verbose",
    None,
    None,
    "print the engines that a cell runs on"
);
const NOVERBOSE: OptionSpec = spec!(
    NoVerbose,
    "no-verbose",
    None,
    None,
    "do not print the engines (the default)"
);
const LOCAL: OptionSpec = spec!(
    Local,
    "local",
    None,
    None,
    "run the cell locally too, while the engines run it"
);
const ENGINES: OptionSpec = spec!(
    Engines,
    "n",
    Some('n'),
    Some("N"),
    "number of engines (default: one per core)"
);

const LAUNCHER: OptionSpec = spec!(
    Launcher,
    "launcher",
    None,
    Some("LAUNCHER"),
    "launcher of the engines (default: `local`, processes on this machine)"
);
const HOSTS: OptionSpec = spec!(
    Hosts,
    "hosts",
    None,
    Some("HOSTS"),
    "machines for `ssh`, such as `node1,me@node2:4` (4 engines on the second)"
);
const QUEUE: OptionSpec = spec!(
    Queue,
    "queue",
    None,
    Some("QUEUE"),
    "the queue or partition of a batch system"
);
const IP: OptionSpec = spec!(
    Ip,
    "ip",
    None,
    Some("ADDRESS"),
    "the address the controller listens on (default: loopback; all for mpi and batch systems)"
);
const ENGINES_WANTED: OptionSpec = spec!(
    Engines,
    "n",
    Some('n'),
    Some("N"),
    "number of engines afterwards"
);
const TARGETS_ACTED: OptionSpec = spec!(
    Targets,
    "targets",
    Some('t'),
    Some("SPEC"),
    "engines to act on (default: all)"
);

const LOOPS: OptionSpec = spec!(
    Loops,
    "loops",
    Some('n'),
    Some("N"),
    "loops of one run (default: as many as take a fortieth of a second)"
);
const RUNS: OptionSpec = spec!(
    Runs,
    "repeat",
    Some('r'),
    Some("N"),
    "number of runs (default 20)"
);
const TARGETS_TIMED: OptionSpec = spec!(
    Targets,
    "targets",
    Some('t'),
    Some("SPEC"),
    "time the code on these engines instead"
);
const TARGETS_PROFILED: OptionSpec = spec!(
    Targets,
    "targets",
    Some('t'),
    Some("SPEC"),
    "run the code on these engines instead, with a graph for each"
);
const APPEND: OptionSpec = spec!(
    Append,
    "append",
    Some('a'),
    None,
    "append to the file instead of replacing it"
);

/// Options of `%timeit`.
pub const TIMEIT: &[OptionSpec] = &[LOOPS, RUNS, TARGETS_TIMED];
/// Options of `%prof`.
pub const PROF: &[OptionSpec] = &[TARGETS_PROFILED];
/// Options of `%%writefile`.
pub const WRITEFILE: &[OptionSpec] = &[APPEND];

/// Options of `%px` and `%%px`.
pub const PX: &[OptionSpec] = &[
    TARGETS, BLOCK, NOBLOCK, OUT, GROUP, ORDER, ENGINE, STREAM, NOSTREAM, LOCAL, PROGRESS, SIGNAL,
    VERBOSE, NOVERBOSE,
];
/// Options of `%pxresult`.
pub const PXRESULT: &[OptionSpec] = &[OUT, GROUP, ORDER, ENGINE];
/// Options of `%pxconfig` and `%pxactivate`.
pub const PXCONFIG: &[OptionSpec] = &[
    TARGETS, BLOCK, NOBLOCK, STREAM, NOSTREAM, PROGRESS, SIGNAL, VERBOSE, NOVERBOSE,
];
/// Options of `%cluster start`.
pub const CLUSTER_START: &[OptionSpec] = &[ENGINES, LAUNCHER, HOSTS, QUEUE, IP];
/// Options of `%cluster scale`.
pub const CLUSTER_SCALE: &[OptionSpec] = &[ENGINES_WANTED];
/// Options of subcommands that act on some of the engines.
pub const TARGETED: &[OptionSpec] = &[TARGETS_ACTED];

/// A parsed option.
#[derive(Debug, PartialEq)]
pub struct ParsedOption<'a> {
    /// The option.
    pub option: MagicOption,
    /// The value; empty if the option takes none.
    pub value: &'a str,
    /// The range of the value, or of the option, in bytes of the line.
    pub span: Range<usize>,
}

/// The text that may follow the options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterOptions {
    /// Rust code; a word such as `-x` that is not an option starts it, and so does `--`.
    Code,
    /// A word.
    Word,
    /// Nothing.
    Nothing,
    /// Nothing may follow, since the code goes below.
    CodeBelow,
}

const CODE_BELOW: &str =
    "the first line of a `%%px` cell holds options only; the code goes below it";

/// Parses options from byte `at` of a line on.
///
/// Returns the options and the offset of the rest of the line.
///
/// # Errors
/// Returns an error for an unknown option, a missing or superfluous value, and text after the
/// options if none may follow.
pub fn read<'a>(
    line: &'a str,
    mut at: usize,
    specs: &'static [OptionSpec],
    after: AfterOptions,
) -> Result<(Vec<ParsedOption<'a>>, usize), MagicError> {
    let mut given = Vec::new();
    loop {
        at += line[at..].len() - line[at..].trim_start().len();
        let word = word(&line[at..]);
        let span = at..at + word.len();
        if word == "--" && after == AfterOptions::Code {
            return Ok((given, span.end));
        }
        let option = if let Some(name) = word.strip_prefix("--") {
            let name = name.split('=').next().unwrap_or(name);
            match specs.iter().find(|spec| spec.long == name) {
                Some(spec) => Some((spec, 2 + name.len())),
                None => return Err(unknown(name, span, specs, after)),
            }
        } else if let Some(letter) = word.strip_prefix('-').and_then(|w| w.chars().next()) {
            let spec = specs.iter().find(|spec| spec.short == Some(letter));
            let whole = word.len() == 2 || spec.is_some_and(|spec| spec.value.is_some());
            match spec {
                Some(spec) if whole => Some((spec, 2)),
                _ if after == AfterOptions::Code => None,
                _ => return Err(unknown_letter(letter, span, specs)),
            }
        } else {
            None
        };
        let Some((spec, name_end)) = option else {
            let allowed = match after {
                AfterOptions::Nothing => list(specs),
                AfterOptions::CodeBelow => CODE_BELOW.to_owned(),
                AfterOptions::Code | AfterOptions::Word => return Ok((given, at)),
            };
            if !word.is_empty() {
                let problem = MagicProblem::NotAnOption {
                    word: word.to_owned(),
                    allowed,
                };
                return Err(MagicError::new(span, problem));
            }
            return Ok((given, at));
        };
        let rest = &word[name_end..];
        let attached = rest.strip_prefix('=').unwrap_or(rest);
        if spec.value.is_none() {
            if !rest.is_empty() {
                let problem = MagicProblem::SuperfluousValue(spec.long);
                return Err(MagicError::new(span, problem));
            }
            given.push(ParsedOption {
                option: spec.option,
                value: "",
                span: span.clone(),
            });
            at = span.end;
        } else {
            let from = if attached.is_empty() {
                line.len() - line[span.end..].trim_start().len()
            } else {
                span.end - attached.len()
            };
            let (value, end) = value(line, from);
            if value.is_empty() {
                return Err(missing_value(spec, span));
            }
            at = end;
            given.push(ParsedOption {
                option: spec.option,
                value: &line[value.clone()],
                span: value,
            });
        }
    }
}

/// Returns the range of the value at byte `from` of a line, without its quotes, and its end with
/// them.
fn value(line: &str, from: usize) -> (Range<usize>, usize) {
    let text = &line[from..];
    for quote in ['"', '\''] {
        let Some(inner) = text.strip_prefix(quote) else {
            continue;
        };
        let Some(len) = inner.find(quote) else {
            continue;
        };
        let behind = &inner[len + 1..];
        if behind.is_empty() || behind.starts_with(char::is_whitespace) {
            return (from + 1..from + 1 + len, from + len + 2);
        }
    }
    let end = from + word(text).len();
    (from..end, end)
}

/// Returns the first word of a text, which may contain spaces within square brackets.
fn word(text: &str) -> &str {
    let mut depth = 0_usize;
    let end = text.find(|c: char| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c.is_whitespace() && depth == 0
    });
    match end {
        Some(end) => &text[..end],
        // An unclosed bracket does not extend to the end of the line.
        None if depth > 0 => text.split_whitespace().next().unwrap_or(""),
        None => text,
    }
}

fn missing_value(spec: &OptionSpec, span: Range<usize>) -> MagicError {
    let problem = MagicProblem::MissingValue {
        option: spec.long,
        placeholder: spec.value.unwrap_or("VALUE"),
        help: spec.help,
    };
    MagicError::new(span, problem)
}

fn unknown(
    name: &str,
    span: Range<usize>,
    specs: &'static [OptionSpec],
    after: AfterOptions,
) -> MagicError {
    let problem = MagicProblem::UnknownOption {
        option: format!("--{name}"),
        near: nearest(name, specs.iter().map(|spec| spec.long)),
        allowed: list(specs),
        before_code: after == AfterOptions::Code,
    };
    MagicError::new(span, problem)
}

fn unknown_letter(letter: char, span: Range<usize>, specs: &'static [OptionSpec]) -> MagicError {
    let problem = MagicProblem::UnknownOption {
        option: format!("-{letter}"),
        near: None,
        allowed: list(specs),
        before_code: false,
    };
    MagicError::new(span, problem)
}

fn list(specs: &'static [OptionSpec]) -> String {
    if specs.is_empty() {
        return "it takes no options".to_owned();
    }
    let names: Vec<String> = specs
        .iter()
        .map(|spec| format!("--{}", spec.long))
        .collect();
    format!("its options are {}", names.join(", "))
}
