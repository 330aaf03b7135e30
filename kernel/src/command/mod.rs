//! `:` commands: their table ([`table`]) and the parser of their lines.

pub mod complete;
pub mod help;
pub mod table;

use crate::completion::nearest;
use phalanx_protocol::failure::{Failure, FailureKind};
use std::ops::Range;
pub use table::{ArgumentKind, CommandHandler, CommandSpec};

/// A command as typed.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandCall {
    /// The command's row in the table.
    pub spec: &'static CommandSpec,
    /// The trimmed text after its name; may be empty.
    pub argument: String,
    /// The argument's range in bytes of the line; the whole line if the argument is empty.
    pub span: Range<usize>,
}

/// The error of a command that does not exist.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("unknown command `{name}`")]
pub struct UnknownCommand {
    /// The name as typed, with its `:`.
    pub name: String,
    /// Its range in bytes of the line.
    pub span: Range<usize>,
}

/// An argument that a command does not accept.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ArgumentError {
    /// There is none.
    #[error("`{}` needs a value", .0.name)]
    Missing(&'static CommandSpec),
    /// The command takes none.
    #[error("`{}` takes no argument", .0.name)]
    Superfluous(&'static CommandSpec),
    /// It is not one of the values.
    #[error("`{}` does not take `{argument}`", spec.name)]
    Unknown {
        /// The command.
        spec: &'static CommandSpec,
        /// The text after its name.
        argument: String,
    },
}

/// Parses a line, from its `:` on.
///
/// # Errors
/// Returns an error if no command has this name.
pub fn parse(line: &str) -> Result<CommandCall, UnknownCommand> {
    let name_end = line.find(char::is_whitespace).unwrap_or(line.len());
    let name = &line[..name_end];
    let Some(spec) = table::find(name) else {
        return Err(UnknownCommand {
            name: name.to_owned(),
            span: 0..name_end,
        });
    };
    let argument = line[name_end..].trim();
    let span = if argument.is_empty() {
        0..line.trim_end().len()
    } else {
        let start = line.len() - line[name_end..].trim_start().len();
        start..start + argument.len()
    };
    Ok(CommandCall {
        spec,
        argument: argument.to_owned(),
        span,
    })
}

impl CommandCall {
    /// Checks that the argument is one of the allowed values.
    ///
    /// # Errors
    /// Returns a usage error if it is not.
    pub fn check(&self) -> Result<(), ArgumentError> {
        let is_empty = self.argument.is_empty() || self.argument.starts_with("//");
        if self.spec.usage.is_empty() && !is_empty {
            return Err(ArgumentError::Superfluous(self.spec));
        }
        let may_be_left_out = self.spec.usage.starts_with('[');
        let values = match self.spec.values {
            ArgumentKind::Closed(values) => values,
            ArgumentKind::Rust | ArgumentKind::Variable if is_empty && !may_be_left_out => {
                return Err(ArgumentError::Missing(self.spec));
            }
            _ => return Ok(()),
        };
        let fits = match self.argument.as_str() {
            "" => may_be_left_out,
            argument => values.contains(&argument),
        };
        if fits {
            return Ok(());
        }
        Err(match self.argument.as_str() {
            "" => ArgumentError::Missing(self.spec),
            argument => ArgumentError::Unknown {
                spec: self.spec,
                argument: argument.to_owned(),
            },
        })
    }
}

impl From<ArgumentError> for Failure {
    fn from(error: ArgumentError) -> Self {
        let (ArgumentError::Missing(spec)
        | ArgumentError::Superfluous(spec)
        | ArgumentError::Unknown { spec, .. }) = &error;
        let hint = match spec.values {
            _ if spec.usage.is_empty() => Some(format!("type `{}` alone", spec.name)),
            ArgumentKind::Closed(values) => Some(format!("type one of {}", values.join(", "))),
            _ => Some(format!("its form is `{} {}`", spec.name, spec.usage)),
        };
        Self::new(FailureKind::Usage, error, hint)
    }
}

impl From<UnknownCommand> for Failure {
    fn from(error: UnknownCommand) -> Self {
        let names = table::COMMANDS.iter().map(|spec| spec.name);
        let hint = match nearest(&error.name, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`:help` lists all commands".to_owned(),
        };
        Self::new(FailureKind::Usage, error, Some(hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_name_and_an_argument() {
        for (line, name, argument, span) in [
            (":vars", ":vars", "", 0..5),
            (":dep  größe = \"1\"  ", ":dep", "größe = \"1\"", 6..19),
            (":fmt {:#?}", ":fmt", "{:#?}", 5..10),
        ] {
            let call = parse(line).unwrap();
            assert_eq!(
                (call.spec.name, call.argument.as_str(), call.span),
                (name, argument, span)
            );
        }
    }

    #[test]
    fn an_unknown_command_is_refused_with_a_similar_one() {
        let unknown = parse(":dpe a").unwrap_err();
        assert_eq!(unknown.span, 0..4);
        assert_eq!(
            Failure::from(unknown),
            Failure::Usage {
                message: "unknown command `:dpe`".into(),
                hint: Some("did you mean `:dep`?".into()),
            }
        );
        let Failure::Usage { hint, .. } = parse(":überhauptnichtsdergleichenjemals")
            .unwrap_err()
            .into()
        else {
            panic!()
        };
        assert_eq!(hint.as_deref(), Some("`:help` lists all commands"));
    }

    #[test]
    fn a_value_outside_the_set_is_refused() {
        for (line, fits) in [
            (":opt 3", true),
            (":opt", true),
            (":opt 9z", false),
            (":offline 1", true),
            (":offline", false),
            (":offline ja", false),
            (":fmt {:x}", true),
            (":efmt {:x}", false),
            (":quit now", false),
            (":quit // now", true),
            (":quit", true),
            (":clear_cache x", false),
            (":doc", false),
            (":doc // Vec", false),
            (":type größe", true),
            (":time", true),
        ] {
            assert_eq!(parse(line).unwrap().check().is_ok(), fits, "{line}");
        }
    }

    #[test]
    fn the_table_is_sorted_and_its_names_are_unique() {
        let names: Vec<_> = table::COMMANDS.iter().map(|spec| spec.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
    }
}
