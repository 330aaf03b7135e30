//! Magics as they were typed: validated, but not yet filled with defaults or matched to engines.

use super::options::{self, After, Given, Opt, nearest};
use super::{Blocking, MagicError, Streaming, Targets};
use phalanx_protocol::host::GroupBy;
use std::ops::Range;

/// Names of all magics.
pub const NAMES: &[&str] = &["px", "pxresult", "pxconfig", "cluster"];

/// A line magic, or the first line of a cell magic.
#[derive(Clone, Debug, PartialEq)]
pub enum Low {
    /// `%px CODE` or `%%px`.
    Px {
        /// Its options.
        options: PxOptions,
        /// The code, in bytes of the line; empty for `%%px`, whose code is the cell's body.
        code: Range<usize>,
    },
    /// `%pxresult`.
    PxResult {
        /// `--out`.
        out: Option<String>,
        /// `--group-outputs`.
        group_by: Option<GroupBy>,
    },
    /// `%pxconfig`.
    PxConfig(PxOptions),
    /// `%cluster`.
    Cluster(ClusterCommand),
    /// A magic followed by `?`.
    Help(&'static str),
}

/// What follows `%cluster`.
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterCommand {
    /// `start -n N`.
    Start {
        /// Number of engines; `None` for one a core.
        engines: Option<usize>,
    },
    /// `stop`.
    Stop,
    /// `status`.
    Status,
}

/// Options of `%px`, `%%px` and `%pxconfig`, each `None` when it was not given.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(
    missing_docs,
    reason = "named as they are typed; `options` says what they do"
)]
pub struct PxOptions {
    pub targets: Option<(Targets, Range<usize>)>,
    pub blocking: Option<Blocking>,
    pub streaming: Option<Streaming>,
    pub group_by: Option<GroupBy>,
    pub out: Option<String>,
    pub local: bool,
    /// Seconds.
    pub progress_after: Option<f64>,
    pub verbose: Option<bool>,
}

/// Most engines one command may start on this machine.
const MOST_ENGINES: usize = 1024;

/// Parses a magic's line, from its `%` or `%%` on.
///
/// # Errors
/// For unknown magics and options, malformed values and missing code; the span is in the line.
pub fn parse(line: &str) -> Result<Low, MagicError> {
    let prefix = if line.starts_with("%%") { 2 } else { 1 };
    let is_cell = prefix == 2;
    let name_end = line[prefix..]
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .map_or(line.len(), |at| prefix + at);
    let typed = &line[prefix..name_end];
    let Some(name) = NAMES.iter().copied().find(|name| *name == typed) else {
        return Err(unknown_magic(typed, 0..name_end, is_cell));
    };
    let rest = line[name_end..].trim();
    if matches!(rest, "?" | "??" | "-h" | "--help") {
        return Ok(Low::Help(name));
    }
    if is_cell && name != "px" {
        return Err(
            MagicError::new(0..name_end, format!("`{name}` is not a cell magic"))
                .hint(format!("type `%{name}` on a line of its own")),
        );
    }
    match name {
        "px" => px(line, name_end, is_cell),
        "pxresult" => {
            let (given, _) = options::read(line, name_end, options::PXRESULT, After::Nothing)?;
            let options = px_options(&given)?;
            Ok(Low::PxResult {
                out: options.out,
                group_by: options.group_by,
            })
        }
        "pxconfig" => {
            let (given, _) = options::read(line, name_end, options::PXCONFIG, After::Nothing)?;
            px_options(&given).map(Low::PxConfig)
        }
        _ => cluster(line, name_end).map(Low::Cluster),
    }
}

fn unknown_magic(name: &str, span: Range<usize>, is_cell: bool) -> MagicError {
    let sign = if is_cell { "%%" } else { "%" };
    let names: Vec<String> = NAMES.iter().map(|name| format!("%{name}")).collect();
    let hint = match nearest(name, NAMES.iter().copied()) {
        Some(near) => format!("did you mean `{sign}{near}`?"),
        None => format!("the magics are {} and %%px", names.join(", ")),
    };
    MagicError::new(span, format!("unknown magic `{sign}{name}`")).hint(hint)
}

fn px(line: &str, at: usize, is_cell: bool) -> Result<Low, MagicError> {
    if is_cell {
        let (given, end) = options::read(line, at, options::PX, After::Nothing)
            .map_err(|error| if error.message.ends_with("is not an option") {
                MagicError {
                    hint: Some("the first line of a `%%px` cell holds options only; the code goes below it".into()),
                    ..error
                }
            } else {
                error
            })?;
        let options = px_options(&given)?;
        return Ok(Low::Px {
            options,
            code: end..end,
        });
    }
    let (given, start) = options::read(line, at, options::PX, After::Code)?;
    let options = px_options(&given)?;
    let code = line[start..].trim();
    if code.is_empty() {
        return Err(MagicError::new(0..at, "`%px` needs Rust code to run")
            .hint("type it after `%px`, or use `%%px` for a whole cell"));
    }
    let start = line.len() - line[start..].trim_start().len();
    Ok(Low::Px {
        options,
        code: start..start + code.len(),
    })
}

fn px_options(given: &[Given<'_>]) -> Result<PxOptions, MagicError> {
    let mut options = PxOptions::default();
    for Given {
        option,
        value,
        span,
    } in given
    {
        match option {
            Opt::Targets => {
                options.targets = Some((Targets::parse(value, span.clone())?, span.clone()));
            }
            Opt::Block => options.blocking = Some(Blocking::Wait),
            Opt::NoBlock => options.blocking = Some(Blocking::Return),
            Opt::Stream => options.streaming = Some(Streaming::AsTheyArrive),
            Opt::NoStream => options.streaming = Some(Streaming::AtTheEnd),
            Opt::Out => options.out = Some(variable(value, span)?),
            Opt::GroupOutputs => options.group_by = Some(group_by(value, span)?),
            Opt::Order => options.group_by = Some(GroupBy::Order),
            Opt::Engine => options.group_by = Some(GroupBy::Engine),
            Opt::Local => options.local = true,
            Opt::ProgressAfter => options.progress_after = Some(seconds(value, span)?),
            Opt::Verbose => options.verbose = Some(true),
            Opt::NoVerbose => options.verbose = Some(false),
            Opt::Engines => {}
        }
    }
    Ok(options)
}

fn group_by(value: &str, span: &Range<usize>) -> Result<GroupBy, MagicError> {
    match value {
        "type" => Ok(GroupBy::Type),
        "engine" => Ok(GroupBy::Engine),
        "order" => Ok(GroupBy::Order),
        _ => Err(MagicError::new(
            span.clone(),
            format!("outputs cannot be grouped by `{value}`"),
        )
        .hint("group them by `type`, `engine` or `order`")),
    }
}

fn seconds(value: &str, span: &Range<usize>) -> Result<f64, MagicError> {
    match value.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() => Ok(seconds),
        _ => Err(MagicError::new(
            span.clone(),
            format!("`{value}` is not a number of seconds"),
        )
        .hint("such as 0.5; 0 at once, -1 never")),
    }
}

fn variable(value: &str, span: &Range<usize>) -> Result<String, MagicError> {
    let keyword = [
        "let", "mut", "fn", "self", "_", "if", "in", "for", "match", "use",
    ];
    if ra_ap_rustc_lexer::is_ident(value) && !keyword.contains(&value) {
        return Ok(value.to_owned());
    }
    Err(MagicError::new(
        span.clone(),
        format!("`{value}` cannot be the name of a variable"),
    ))
}

fn cluster(line: &str, at: usize) -> Result<ClusterCommand, MagicError> {
    let rest = &line[at..];
    let start = at + rest.len() - rest.trim_start().len();
    let word = line[start..].split_whitespace().next().unwrap_or("");
    let span = start..start + word.len();
    let nothing_follows = || options::read(line, span.end, &[], After::Nothing).map(|_| ());
    match word {
        "start" => {
            let (given, _) = options::read(line, span.end, options::CLUSTER_START, After::Nothing)?;
            let engines = given.last().map(engine_count).transpose()?;
            Ok(ClusterCommand::Start { engines })
        }
        "stop" => nothing_follows().map(|()| ClusterCommand::Stop),
        "status" => nothing_follows().map(|()| ClusterCommand::Status),
        "" => {
            Err(MagicError::new(0..at, "`%cluster` needs a command")
                .hint("start -n N, stop or status"))
        }
        _ => {
            let near = nearest(word, ["start", "stop", "status"].into_iter());
            Err(
                MagicError::new(span, format!("`%cluster` has no command `{word}`")).hint(
                    near.map_or(
                        "its commands are start -n N, stop and status".into(),
                        |near| format!("did you mean `%cluster {near}`?"),
                    ),
                ),
            )
        }
    }
}

fn engine_count(given: &Given<'_>) -> Result<usize, MagicError> {
    match given.value.parse::<usize>() {
        Ok(count) if (1..=MOST_ENGINES).contains(&count) => Ok(count),
        _ => Err(MagicError::new(
            given.span.clone(),
            format!("`{}` is not a number of engines", given.value),
        )
        .hint(format!("a number from 1 to {MOST_ENGINES}"))),
    }
}

#[cfg(test)]
mod tests;
