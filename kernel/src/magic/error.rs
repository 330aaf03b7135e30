//! Errors of magics, with their texts and hints.

use super::name::MagicName;
use super::targets::TargetError;
use crate::cell::VariableNameError;
use crate::report::{Fault, FaultSource};
use phalanx_protocol::failure::{Failure, FailureKind};
use phalanx_protocol::host::UnknownGrouping;
use phalanx_protocol::id::EngineId;
use phalanx_protocol::parallel::Signal;
use std::ops::Range;

/// The allowed forms of targets.
const FORMS: &str = "targets are `all`, an id such as `0` or `-1`, a list such as `0,2` or `[0, 2]`, or a slice such as `1:3` or `::2`";

/// The error of a magic: a problem and its location.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{problem}")]
pub struct MagicError {
    /// The problem.
    pub problem: MagicProblem,
    /// The faulty range, in bytes of the line.
    pub span: Range<usize>,
}

impl MagicError {
    pub(crate) fn new(span: Range<usize>, problem: MagicProblem) -> Self {
        Self { problem, span }
    }

    /// Converts it to a fault; the line starts at byte `start` of the text of `location`.
    pub fn into_fault(self, mut location: FaultSource, start: usize) -> Fault {
        location.span = Some(start + self.span.start..start + self.span.end);
        Fault::at(self, location)
    }
}

impl From<MagicError> for Failure {
    fn from(error: MagicError) -> Self {
        Self::new(FailureKind::Usage, &error.problem, error.problem.hint())
    }
}

/// A problem with the line of a magic. Names of magics contain their sign, `%` or `%%`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MagicProblem {
    /// A magic for one line begins a cell; without its sign.
    #[error("`{0}` is not a cell magic")]
    LineMagicForCell(String),
    /// A magic for whole cells is used on a line; without its sign.
    #[error("`{0}` is a cell magic")]
    CellMagicOnLine(String),
    /// A magic of IPython.
    #[error("there is no magic `{magic}` for Rust")]
    OfIpython {
        /// The magic.
        magic: String,
        /// The Rust or the command to write instead.
        counterpart: String,
    },
    /// A magic that does not exist.
    #[error("unknown magic `{magic}`")]
    Unknown {
        /// The magic.
        magic: String,
        /// One with a similar name.
        near: Option<String>,
        /// All magics, separated by commas.
        known: String,
    },
    /// `%pxactivate` without a suffix.
    #[error("`%pxactivate` needs a suffix")]
    NoSuffix,
    /// Text that no suffix consists of.
    #[error("`{0}` cannot be the suffix of magics")]
    MalformedSuffix(String),
    /// A magic that runs code, without code.
    #[error("`{}` needs Rust code to {purpose}", .magic.signed())]
    NoCode {
        /// The magic.
        magic: MagicName,
        /// The verb for what it does with the code.
        purpose: &'static str,
    },
    /// Code in the line of `%%prof`.
    #[error("the code of `%%prof` goes below it")]
    CodeBesideProf,
    /// A magic that reads or writes a file, without one.
    #[error("`{}` needs a file", .0.signed())]
    NoFile(MagicName),
    /// A grouping of outputs that does not exist.
    #[error("{0}")]
    Grouping(UnknownGrouping),
    /// Text in place of a number of seconds.
    #[error("`{0}` is not a number of seconds")]
    Seconds(String),
    /// Text in place of the name of a variable.
    #[error("{0}")]
    VariableName(VariableNameError),
    /// A signal that does not exist, or cannot be sent.
    #[error("`{0}` is not a signal that can be sent")]
    Signal(String),
    /// Text in place of a count.
    #[error("`{value}` is not a valid number")]
    Count {
        /// The text.
        value: String,
        /// The largest count.
        most: String,
    },
    /// Text in place of a number of engines.
    #[error("`{value}` is not a number of engines")]
    EngineCount {
        /// The text.
        value: String,
        /// The largest number.
        most: usize,
    },
    /// `%cluster scale` without a number, or with several.
    #[error("`%cluster scale` needs one number of engines")]
    Scale,
    /// `%cluster` without a command.
    #[error("`%cluster` needs a command")]
    NoCommand {
        /// The usage of all commands.
        usages: String,
    },
    /// A command that `%cluster` does not have.
    #[error("`%cluster` has no command `{command}`")]
    UnknownCommand {
        /// The command.
        command: String,
        /// One with a similar name.
        near: Option<&'static str>,
        /// The usage of all commands.
        usages: String,
    },
    /// The value of an option, by the error of its type.
    #[error("{0}")]
    Value(String),
    /// Several arguments where one is allowed.
    #[error("only one argument may be given")]
    SeveralArguments,
    /// Text in place of an option.
    #[error("`{word}` is not an option")]
    NotAnOption {
        /// The text.
        word: String,
        /// The options, or the position of the code.
        allowed: String,
    },
    /// A value for an option that takes none.
    #[error("`--{0}` takes no value")]
    SuperfluousValue(&'static str),
    /// An option without its value.
    #[error("`--{option}` needs a value: {placeholder}")]
    MissingValue {
        /// The option.
        option: &'static str,
        /// The placeholder of the value in help.
        placeholder: &'static str,
        /// The help of the option.
        help: &'static str,
    },
    /// An option that does not exist.
    #[error("unknown option `{option}`")]
    UnknownOption {
        /// The option, with its dashes.
        option: String,
        /// One with a similar name.
        near: Option<&'static str>,
        /// The options of the magic.
        allowed: String,
        /// True if code may follow, which could begin like an option.
        before_code: bool,
    },
    /// Targets of none of the allowed forms.
    #[error("malformed targets `{text}`: {problem}")]
    MalformedTargets {
        /// The targets.
        text: String,
        /// The problem.
        problem: TargetSyntax,
    },
    /// Targets that do not name engines.
    #[error("{error}")]
    Targets {
        /// The error.
        error: TargetError,
        /// The engines that could be named.
        live: Vec<EngineId>,
        /// The number of other engines, which do not run Rust.
        foreign: usize,
        /// Those of the other engines that do not answer.
        silent: Vec<EngineId>,
    },
}

/// A problem with the form of targets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetSyntax {
    /// Text in place of a number.
    #[error("`{0}` is not a number")]
    NotANumber(String),
    /// A slice of more than three parts.
    #[error("a slice has at most three parts")]
    LongSlice,
    /// A slice with the step 0.
    #[error("the step of a slice cannot be 0")]
    ZeroStep,
    /// A list without its closing bracket.
    #[error("`{0}` is missing")]
    Unclosed(char),
    /// A list without engines.
    #[error("the list is empty")]
    EmptyList,
}

impl MagicProblem {
    /// Returns the correction.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::LineMagicForCell(name) => format!("type `%{name}` on a line of its own"),
            Self::CellMagicOnLine(name) => {
                format!("type `%%{name}` on the first line of a cell of its own")
            }
            Self::OfIpython { counterpart, .. } => counterpart.clone(),
            Self::Unknown {
                near: Some(near), ..
            } => format!("did you mean `{near}`?"),
            Self::Unknown { known, .. } => format!("the magics are {known} and %%px"),
            Self::NoSuffix => {
                "`%pxactivate -t ::2 _even` makes `%px_even`, `%%px_even` and so on".to_owned()
            }
            Self::MalformedSuffix(_) => {
                "letters, digits and `_`, and not the name of an existing magic".to_owned()
            }
            Self::NoCode { magic, .. } => {
                let magic = magic.signed();
                format!("type it after `{magic}`, or use `%{magic}` for a whole cell")
            }
            Self::CodeBesideProf => "or use `%prof CODE`".to_owned(),
            Self::NoFile(magic) => format!("type `{} FILE`", magic.signed()),
            Self::Grouping(_) => "group them by `type`, `engine` or `order`".to_owned(),
            Self::Seconds(_) => "such as 0.5; 0 at once, -1 never".to_owned(),
            Self::Signal(_) => {
                let names: Vec<String> = Signal::names().collect();
                format!(
                    "a number from 0 (nothing) to {}, or one of {}",
                    Signal::LAST,
                    names.join(", ")
                )
            }
            Self::Count { most, .. } => format!("a number from 1 to {most}"),
            Self::EngineCount { most, .. } => format!("a number from 1 to {most}"),
            Self::Scale => "`%cluster scale 4`".to_owned(),
            Self::NoCommand { usages } => usages.clone(),
            Self::UnknownCommand {
                near: Some(near), ..
            } => format!("did you mean `%cluster {near}`?"),
            Self::UnknownCommand { usages, .. } => format!("its commands are {usages}"),
            Self::SeveralArguments => "put an argument with spaces in quotes".to_owned(),
            Self::NotAnOption { allowed, .. } => allowed.clone(),
            Self::MissingValue { option, help, .. } => format!("--{option}: {help}"),
            Self::UnknownOption {
                near,
                allowed,
                before_code,
                ..
            } => {
                let hint = match near {
                    Some(near) => format!("did you mean `--{near}`?"),
                    None => allowed.clone(),
                };
                match before_code {
                    true => hint + " (code that starts with `-` goes after ` -- `)",
                    false => hint,
                }
            }
            Self::MalformedTargets { .. } => FORMS.to_owned(),
            Self::Targets { silent, .. } if !silent.is_empty() => {
                let ids: Vec<String> = silent.iter().map(ToString::to_string).collect();
                format!("these engines do not answer: {}", ids.join(", "))
            }
            Self::Targets { foreign: 1.., .. } => {
                "cells run on Rust engines; `%cluster status` lists them".to_owned()
            }
            Self::Targets { live, .. } => {
                let ids: Vec<String> = live.iter().map(ToString::to_string).collect();
                format!("the engines are {}", ids.join(", "))
            }
            Self::VariableName(error) => error.hint(),
            Self::Value(_) | Self::SuperfluousValue(_) => return None,
        })
    }
}
