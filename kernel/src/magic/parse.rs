//! The parser of magics: as typed and validated, without defaults, and independent of the connected
//! engines.

use super::name::{self, MagicForm, MagicName, MagicSuffix};
use super::options::{self, AfterOptions, MagicOption, ParsedOption};
use super::tools::{self, Tool};
use super::{
    Blocking, ClusterCommand, MagicError, MagicProblem, Streaming, Targets, cluster, ipython,
};
use crate::cell::check_variable_name;
use crate::completion::nearest;
use phalanx_protocol::host::GroupBy;
use phalanx_protocol::parallel::Signal;
use std::ops::Range;

/// A magic as typed, and the set of magics it belongs to, which has defaults of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedMagic {
    /// The suffix of its set; empty for the built-in magics.
    pub suffix: MagicSuffix,
    /// The magic.
    pub magic: Magic,
}

/// A magic with its options, from the line of a line magic or the first line of a cell magic.
#[derive(Clone, Debug, PartialEq)]
pub enum Magic {
    /// `%px CODE` or `%%px`.
    Px {
        /// The options.
        options: PxOptions,
        /// The code's range in bytes of the line; empty for `%%px`, whose code is the cell's body.
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
    /// `%autopx`.
    AutoPx,
    /// `%pxactivate`.
    PxActivate {
        /// The suffix of the new magics' names.
        suffix: MagicSuffix,
        /// The defaults of the new magics.
        options: PxOptions,
    },
    /// `%cluster`.
    Cluster(ClusterCommand),
    /// `%engines`.
    Engines,
    /// A tool for single cells.
    Tool(Tool),
    /// A magic followed by `?`.
    Help(MagicName),
}

/// The options of `%px`, `%%px` and `%pxconfig`; `None` if not given.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(
    missing_docs,
    reason = "named as they are typed; `options` describes them"
)]
pub struct PxOptions {
    pub targets: Option<(Targets, Range<usize>)>,
    pub blocking: Option<Blocking>,
    pub streaming: Option<Streaming>,
    pub group_by: Option<GroupBy>,
    pub out: Option<String>,
    pub local: bool,
    /// Seconds; negative for never.
    pub progress_after: Option<f64>,
    pub signal: Option<Signal>,
    pub verbose: Option<bool>,
}

/// Parses a magic's line, from its `%` or `%%` on; `suffixes` are the activated ones.
///
/// # Errors
/// Returns an error for an unknown magic or option, a malformed value, or missing code; its span is
/// in bytes of the line.
pub fn parse(line: &str, suffixes: &[MagicSuffix]) -> Result<ParsedMagic, MagicError> {
    let prefix = if line.starts_with("%%") { 2 } else { 1 };
    let is_cell = prefix == 2;
    let name_end = line[prefix..]
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .map_or(line.len(), |at| prefix + at);
    let typed = &line[prefix..name_end];
    let Some((name, suffix)) = name::resolve(typed, suffixes) else {
        return Err(unknown_magic(line, prefix..name_end, suffixes));
    };
    let rest = line[name_end..].trim();
    if matches!(rest, "?" | "??" | "-h" | "--help") {
        let magic = Magic::Help(name);
        return Ok(ParsedMagic { suffix, magic });
    }
    match (is_cell, name.form()) {
        (true, MagicForm::Line) => {
            let problem = MagicProblem::LineMagicForCell(typed.to_owned());
            return Err(MagicError::new(0..name_end, problem));
        }
        (false, MagicForm::Cell) => {
            let problem = MagicProblem::CellMagicOnLine(typed.to_owned());
            return Err(MagicError::new(0..name_end, problem));
        }
        _ => {}
    }
    let read = |specs, after| options::read(line, name_end, specs, after);
    let magic = match name {
        MagicName::Px => px(line, name_end, is_cell),
        MagicName::PxResult | MagicName::Result => {
            let (given, _) = read(options::PXRESULT, AfterOptions::Nothing)?;
            let options = px_options(&given)?;
            Ok(Magic::PxResult {
                out: options.out,
                group_by: options.group_by,
            })
        }
        MagicName::PxConfig => {
            let (given, _) = read(options::PXCONFIG, AfterOptions::Nothing)?;
            px_options(&given).map(Magic::PxConfig)
        }
        MagicName::AutoPx => read(&[], AfterOptions::Nothing).map(|_| Magic::AutoPx),
        MagicName::PxActivate => activate(line, name_end),
        MagicName::Cluster => cluster::parse(line, name_end).map(Magic::Cluster),
        MagicName::Engines => read(&[], AfterOptions::Nothing).map(|_| Magic::Engines),
        tool => tools::parse(tool, line, name_end, is_cell).map(Magic::Tool),
    };
    magic.map(|magic| ParsedMagic { suffix, magic })
}

/// The error for a line whose magic does not exist; `name` is the span of the magic's name.
fn unknown_magic(line: &str, name: Range<usize>, suffixes: &[MagicSuffix]) -> MagicError {
    let (sign, typed, behind) = (&line[..name.start], &line[name.clone()], &line[name.end..]);
    let span = 0..name.end;
    let magic = format!("{sign}{typed}");
    if let Some(counterpart) = ipython::counterpart(typed, behind) {
        return MagicError::new(span, MagicProblem::OfIpython { magic, counterpart });
    }
    let names = name::all(suffixes);
    let near = nearest(typed, names.iter().map(String::as_str));
    let signed = names
        .iter()
        .map(|name| match name::resolve(name, suffixes) {
            Some((found, _)) if found.form() == MagicForm::Cell => format!("%%{name}"),
            _ => format!("%{name}"),
        });
    let signed: Vec<String> = signed.collect();
    let problem = MagicProblem::Unknown {
        magic,
        near: near.map(|near| format!("{sign}{near}")),
        known: signed.join(", "),
    };
    MagicError::new(span, problem)
}

/// Parses `%pxactivate`: the suffix, with options before and behind it.
fn activate(line: &str, at: usize) -> Result<Magic, MagicError> {
    let read = |at, after| options::read(line, at, options::PXCONFIG, after);
    let (mut given, start) = read(at, AfterOptions::Word)?;
    let text = line[start..].split_whitespace().next().unwrap_or("");
    let span = start..start + text.len();
    if text.is_empty() {
        return Err(MagicError::new(0..at, MagicProblem::NoSuffix));
    }
    given.extend(read(span.end, AfterOptions::Nothing)?.0);
    let options = px_options(&given)?;
    let text = unquoted(text);
    let suffix = MagicSuffix::parse(text)
        .ok_or_else(|| MagicError::new(span, MagicProblem::MalformedSuffix(text.to_owned())))?;
    Ok(Magic::PxActivate { suffix, options })
}

/// Returns a word without the quotes around it.
fn unquoted(word: &str) -> &str {
    let inner = |quote| word.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(word)
}

fn px(line: &str, at: usize, is_cell: bool) -> Result<Magic, MagicError> {
    if is_cell {
        let (given, end) = options::read(line, at, options::PX, AfterOptions::CodeBelow)?;
        let options = px_options(&given)?;
        return Ok(Magic::Px {
            options,
            code: end..end,
        });
    }
    let (given, start) = options::read(line, at, options::PX, AfterOptions::Code)?;
    let options = px_options(&given)?;
    let code = line[start..].trim();
    if code.is_empty() {
        let problem = MagicProblem::NoCode {
            magic: MagicName::Px,
            purpose: "run",
        };
        return Err(MagicError::new(0..at, problem));
    }
    let start = line.len() - line[start..].trim_start().len();
    Ok(Magic::Px {
        options,
        code: start..start + code.len(),
    })
}

fn px_options(given: &[ParsedOption<'_>]) -> Result<PxOptions, MagicError> {
    let mut options = PxOptions::default();
    for ParsedOption {
        option,
        value,
        span,
    } in given
    {
        match option {
            MagicOption::Targets => {
                options.targets = Some((Targets::parse(value, span.clone())?, span.clone()));
            }
            MagicOption::Block => options.blocking = Some(Blocking::Wait),
            MagicOption::NoBlock => options.blocking = Some(Blocking::Return),
            MagicOption::Stream => options.streaming = Some(Streaming::AsTheyArrive),
            MagicOption::NoStream => options.streaming = Some(Streaming::AtTheEnd),
            MagicOption::Out => options.out = Some(variable(value, span)?),
            MagicOption::GroupOutputs => options.group_by = Some(group_by(value, span)?),
            MagicOption::Order => options.group_by = Some(GroupBy::Order),
            MagicOption::Engine => options.group_by = Some(GroupBy::Engine),
            MagicOption::Local => options.local = true,
            MagicOption::ProgressAfter => options.progress_after = Some(seconds(value, span)?),
            MagicOption::SignalOnInterrupt => options.signal = Some(signal(value, span)?),
            MagicOption::Verbose => options.verbose = Some(true),
            MagicOption::NoVerbose => options.verbose = Some(false),
            // Options of other magics.
            MagicOption::Engines
            | MagicOption::Launcher
            | MagicOption::Hosts
            | MagicOption::Queue
            | MagicOption::Ip
            | MagicOption::Loops
            | MagicOption::Runs
            | MagicOption::Append => {}
        }
    }
    Ok(options)
}

fn group_by(value: &str, span: &Range<usize>) -> Result<GroupBy, MagicError> {
    GroupBy::try_from(value)
        .map_err(|unknown| MagicError::new(span.clone(), MagicProblem::Grouping(unknown)))
}

fn seconds(value: &str, span: &Range<usize>) -> Result<f64, MagicError> {
    match value.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() => Ok(seconds),
        _ => {
            let problem = MagicProblem::Seconds(value.to_owned());
            Err(MagicError::new(span.clone(), problem))
        }
    }
}

fn variable(value: &str, span: &Range<usize>) -> Result<String, MagicError> {
    match check_variable_name(value) {
        Ok(()) => Ok(value.to_owned()),
        Err(error) => Err(MagicError::new(
            span.clone(),
            MagicProblem::VariableName(error),
        )),
    }
}

fn signal(value: &str, span: &Range<usize>) -> Result<Signal, MagicError> {
    let signal = match value.parse() {
        Ok(number) => Signal::Number(number),
        Err(_) => Signal::Name(value.to_owned()),
    };
    if signal.number().is_some() {
        return Ok(signal);
    }
    let problem = MagicProblem::Signal(value.to_owned());
    Err(MagicError::new(span.clone(), problem))
}

#[cfg(test)]
mod tests;
