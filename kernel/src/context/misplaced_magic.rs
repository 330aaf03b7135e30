//! Hints for magics within a line of code, where rustc finds a `%` without a left operand.

use super::missing_variables::bound;
use super::unresolved::unresolved;
use crate::cell::{byte_offset, statements};
use crate::magic::MagicName;
use phalanx_protocol::failure::{Diagnostic, Failure};

/// The message of rustc about a `%` where an expression should begin.
const NO_OPERAND: &str = "expected expression, found `%`";

/// Adds the remedy to errors about magics within a line; `source` is the text that the errors'
/// positions refer to.
pub fn explain(mut failure: Failure, source: &str) -> Failure {
    if let Failure::Compile { diagnostics } = &mut failure {
        for diagnostic in diagnostics {
            let magic = misplaced(diagnostic, source);
            diagnostic.help.extend(magic.as_deref().map(help));
        }
    }
    failure
}

/// Adds the remedy to errors about the variable that receives the value of a magic, and which code
/// behind the magic's first statement on its line uses; `source` is the code of the magic, which the
/// errors' positions refer to, `before` the text before the magic.
pub fn explain_line_end(mut failure: Failure, source: &str, before: &str) -> Failure {
    let line = before.rsplit('\n').next().unwrap_or_default();
    let second = statements(source).into_iter().nth(1);
    let (Failure::Compile { diagnostics }, Some(second)) = (&mut failure, second) else {
        return failure;
    };
    for diagnostic in diagnostics {
        let name = unresolved(diagnostic).filter(|name| bound(line).any(|own| own == *name));
        let is_value = diagnostic.code.as_deref() == Some("E0425");
        let is_behind = position(diagnostic, source).is_some_and(|at| at >= second.bytes.start);
        if let Some(name) = name.filter(|_| is_value && is_behind) {
            let help =
                format!("the code of a magic ends with its line: use `{name}` on a line below");
            // The names that rustc suggests instead are those of the engines.
            diagnostic.help = vec![help];
        }
    }
    failure
}

/// Returns the position of an error in the text that it refers to, in bytes.
fn position(diagnostic: &Diagnostic, source: &str) -> Option<usize> {
    let span = diagnostic.spans.iter().find(|span| span.primary)?;
    let number = span.start_line.checked_sub(1)?;
    let mut lines = source.split_inclusive('\n');
    let start: usize = lines.clone().take(number).map(str::len).sum();
    let line = lines.nth(number)?;
    Some(start + byte_offset(line, span.start_column.checked_sub(1)?))
}

/// Returns the magic at the location of an error, with its sign.
fn misplaced(diagnostic: &Diagnostic, source: &str) -> Option<String> {
    if diagnostic.message != NO_OPERAND {
        return None;
    }
    let span = diagnostic.spans.iter().find(|span| span.primary)?;
    let line = source.lines().nth(span.start_line.checked_sub(1)?)?;
    let rest = line.chars().skip(span.start_column.checked_sub(1)?);
    let text: String = rest.collect();
    let word = text.trim_start_matches('%');
    let end = word.find(|c: char| !c.is_alphanumeric() && c != '_');
    let word = &word[..end.unwrap_or(word.len())];
    let is_magic = |name: &MagicName| {
        let suffix = word.strip_prefix(name.as_str());
        suffix.is_some_and(|suffix| {
            suffix.is_empty() || name.takes_suffix() && suffix.starts_with('_')
        })
    };
    MagicName::ALL
        .iter()
        .any(is_magic)
        .then(|| format!("%{word}"))
}

fn help(magic: &str) -> String {
    let runs_code = magic == "%px" || magic.starts_with("%px_");
    let call = match runs_code {
        true => {
            "; within code, `Client::connect()?.all().execute(\"…\")?` runs code on the engines"
        }
        false => "",
    };
    format!("a magic begins a line: put `{magic}` on a line of its own{call}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::failure::DiagnosticSpan;

    fn help_at(source: &str, column: usize) -> Vec<String> {
        let failure = Failure::Compile {
            diagnostics: vec![Diagnostic {
                message: NO_OPERAND.to_owned(),
                code: None,
                spans: vec![DiagnosticSpan {
                    start_line: 2,
                    start_column: column,
                    end_line: 2,
                    end_column: column + 1,
                    label: String::new(),
                    primary: true,
                }],
                help: Vec::new(),
                rendered: None,
                earlier: None,
            }],
        };
        match explain(failure, &format!("let größe = 1;\n{source}")) {
            Failure::Compile { mut diagnostics } => diagnostics.remove(0).help,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn code_behind_a_magic_on_its_line_is_sent_to_the_line_below() {
        let missing = |code: &str, message: &str, column: usize| Failure::Compile {
            diagnostics: vec![Diagnostic {
                message: message.to_owned(),
                code: Some(code.to_owned()),
                spans: vec![DiagnosticSpan {
                    start_line: 1,
                    start_column: column,
                    end_line: 1,
                    end_column: column + 1,
                    label: String::new(),
                    primary: true,
                }],
                help: vec!["a local variable with a similar name exists: `é`".to_owned()],
                rendered: None,
                earlier: None,
            }],
        };
        let explained =
            |failure, source: &str, before: &str| match explain_line_end(failure, source, before) {
                Failure::Compile { mut diagnostics } => diagnostics.remove(0).help.remove(0),
                other => panic!("{other:?}"),
            };
        let value = "cannot find value `v` in this scope";
        let help = |source: &str, before: &str| {
            let column = source.chars().take_while(|c| *c != 'v').count() + 1;
            explained(missing("E0425", value, column), source, before)
        };
        assert_eq!(
            help("f(\"ä;\"); v + 1", "let w = 1;\nlet v = "),
            "the code of a magic ends with its line: use `v` on a line below"
        );
        assert!(help("1; v", "let v = 1;\n").contains("similar name"));
        // The variable of the notebook with this name.
        for source in ["v * 2", "f(\";\", v); 1", "{ 1; v }", "v * 2; 1"] {
            assert!(
                help(source, "let v = ").contains("similar name"),
                "{source}"
            );
        }
        let method = "no method named `v` found for type `u32` in the current scope";
        let method = explained(missing("E0599", method, 6), "1; w.v()", "let v = ");
        assert!(method.contains("similar name"));
    }

    #[test]
    fn a_magic_within_a_line_is_sent_to_a_line_of_its_own() {
        let help = help_at("for i in 0..2 { %px 1 }", 17);
        assert!(
            help[0].starts_with("a magic begins a line: put `%px` on a line of its own; within")
                && help[0].contains(".execute("),
            "{help:?}"
        );
        assert!(help_at("größe(); %px_even i", 10)[0].contains("`%px_even`"));
        let timed = help_at("let i = 5; %timeit i", 12);
        assert_eq!(
            timed,
            ["a magic begins a line: put `%timeit` on a line of its own"]
        );
        for (source, column) in [("% 2", 1), ("%pxx", 1), ("%who_a", 1)] {
            assert!(help_at(source, column).is_empty(), "{source}");
        }
    }
}
