//! Completion of command lines: names and arguments.

use super::table::{self, ArgumentKind, COMMANDS};
use crate::completion::{ExpectedCompletions, PathKind};
use std::ops::Range;

/// Completes a command line, from its `:` to the cursor.
pub fn complete(typed: &str, variables: &[String]) -> ExpectedCompletions {
    let Some(name_end) = typed.find(char::is_whitespace) else {
        let names = COMMANDS.iter().map(|spec| spec.name.to_owned());
        return words_beginning_with(0..typed.len(), names, typed);
    };
    let Some(spec) = table::find(&typed[..name_end]) else {
        return ExpectedCompletions::Words(typed.len()..typed.len(), Vec::new());
    };
    let start = typed.len() - typed[name_end..].trim_start().len();
    let argument = &typed[start..];
    let span = start..typed.len();
    match spec.values {
        ArgumentKind::Closed(values) | ArgumentKind::Open(values) => {
            words_beginning_with(span, values.iter().map(ToString::to_string), argument)
        }
        ArgumentKind::Variable => words_beginning_with(span, variables.iter().cloned(), argument),
        ArgumentKind::Command => {
            let bare = argument.trim_start_matches(':');
            let names = COMMANDS.iter().map(|spec| spec.name[1..].to_owned());
            words_beginning_with(typed.len() - bare.len()..typed.len(), names, bare)
        }
        ArgumentKind::Folder => ExpectedCompletions::Path(span, PathKind::Folder),
        // In a line of Cargo.toml, a path up to its quote; otherwise a folder or an unknown name.
        ArgumentKind::Crate => match argument.rfind('"') {
            Some(quote) if is_path(&argument[..quote]) => {
                ExpectedCompletions::Path(start + quote + 1..typed.len(), PathKind::Folder)
            }
            _ if argument.contains('=') => {
                ExpectedCompletions::Words(span.end..span.end, Vec::new())
            }
            _ => ExpectedCompletions::Path(span, PathKind::Crate),
        },
        ArgumentKind::Rust => ExpectedCompletions::Rust,
        ArgumentKind::Free => ExpectedCompletions::Words(span.end..span.end, Vec::new()),
    }
}

/// Returns true if the value of a `path` key starts at the end of the text.
fn is_path(before: &str) -> bool {
    let before = before.trim_end();
    before
        .strip_suffix('=')
        .is_some_and(|before| before.trim_end().ends_with("path"))
}

/// Completes a line for the shell, up to the cursor.
pub fn complete_shell(typed: &str) -> ExpectedCompletions {
    let separators = [' ', '\t', '=', '>', '<', '|', ';', '&', '('];
    let start = typed.rfind(separators).map_or(0, |at| at + 1);
    let before = typed[..start].trim_end();
    let is_first = before.is_empty() || before.ends_with(['|', ';', '&', '(']);
    let kind = match is_first && !typed[start..].contains('/') {
        true => PathKind::Program,
        false => PathKind::Any,
    };
    ExpectedCompletions::Path(start..typed.len(), kind)
}

fn words_beginning_with(
    span: Range<usize>,
    all: impl Iterator<Item = String>,
    typed: &str,
) -> ExpectedCompletions {
    ExpectedCompletions::Words(span, all.filter(|word| word.starts_with(typed)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_values_and_paths_are_completed() {
        let texts = |typed: &str| match complete(typed, &["größe".into(), "v".into()]) {
            ExpectedCompletions::Words(span, codes) => (span, codes.join(" ")),
            other => panic!("{typed}: {other:?}"),
        };
        assert_eq!(texts(":ti"), (0..3, ":time :time_passes :timing".into()));
        assert_eq!(texts(":efmt {:"), (6..8, "{:?} {:#?}".into()));
        assert_eq!(texts(":opt "), (5..5, "0 1 2 3 s z".into()));
        assert_eq!(texts(":type grö"), (6..10, "größe".into()));
        assert_eq!(texts(":help :qu"), (7..9, "quit".into()));
        assert_eq!(texts(":nothing x"), (10..10, String::new()));
        assert_eq!(texts(":dep a = \"1"), (11..11, String::new()));
        let folder = |span| ExpectedCompletions::Path(span, PathKind::Folder);
        assert_eq!(complete(":cd a/b", &[]), folder(4..7));
        let crates = ExpectedCompletions::Path(5..7, PathKind::Crate);
        assert_eq!(complete(":dep ./", &[]), crates);
        assert_eq!(complete(":dep a = { path = \"../x", &[]), folder(19..23));
        assert_eq!(complete(":time v.le", &[]), ExpectedCompletions::Rust);
    }

    #[test]
    fn paths_of_shell_lines_are_completed() {
        let path = |span| ExpectedCompletions::Path(span, PathKind::Any);
        assert_eq!(complete_shell("ls pa"), path(3..5));
        assert_eq!(complete_shell("cat a >b/"), path(7..9));
        assert_eq!(complete_shell("./ru"), path(0..4));
        let program = |span| ExpectedCompletions::Path(span, PathKind::Program);
        assert_eq!(complete_shell("l"), program(0..1));
        assert_eq!(complete_shell(""), program(0..0));
        assert_eq!(complete_shell("cat größe | so"), program(14..16));
    }
}
