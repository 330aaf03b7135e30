//! Checks that doc comments start with a noun phrase or a verb, like those of the standard library:
//! a question about an item ("Which engine.") leaves its meaning to the reader. So do Python's
//! docstrings, and its comments, which document constants and fields. A section on errors starts with
//! a whole sentence or the name of an error.

use super::tree::File;
use super::{Finding, Tree};

/// The words with which doc comments must not start.
const QUESTION_WORDS: [&str; 10] = [
    "who", "whose", "whom", "what", "which", "where", "when", "how", "why", "whether",
];

/// Those of them with which a Python comment may start, as in "When the engine is gone, …".
const CONJUNCTIONS: [&str; 2] = ["where", "when"];

/// The head of a section on errors.
const ERRORS: &str = "# Errors";

/// Reports doc comments, docstrings and Python comments that start with a question word, and sections
/// on errors that start with a condition.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let python = tree.files.iter().filter(|file| file.path.ends_with(".py"));
    let rust = tree.rust().flat_map(check_rust);
    rust.chain(python.flat_map(check_python)).collect()
}

fn check_rust(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut last = None;
    let mut is_after_head = false;
    for (number, line) in (1..).zip(file.text.lines()) {
        let comment = doc_comment(line);
        let kind = comment.map(|(kind, _)| kind);
        if let Some((_, text)) = comment
            && kind != last
            && let Some(word) = question_word(text)
        {
            findings.push(file.finding(
                number,
                format!("a doc comment opens with a noun phrase or a verb, not with `{word}`"),
            ));
        }
        let text = comment.map_or("", |(_, text)| text);
        if is_after_head && text.starts_with("If ") {
            let message = "a section on errors opens with `Returns an error if`, not with `If`";
            findings.push(file.finding(number, message));
        }
        is_after_head = text == ERRORS;
        last = kind;
    }
    findings
}

fn check_python(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut is_in_comment = false;
    for (number, line) in (1..).zip(file.text.lines().map(str::trim_start)) {
        let comment = line.strip_prefix('#');
        let word = match comment {
            Some(_) if is_in_comment => None,
            Some(text) => {
                question_word(text.trim_start()).filter(|word| !is_in(&CONJUNCTIONS, word))
            }
            None => docstring(line).and_then(question_word),
        };
        if let Some(word) = word {
            findings.push(file.finding(
                number,
                format!(
                    "a docstring or comment opens with a noun phrase or a verb, not with `{word}`"
                ),
            ));
        }
        is_in_comment = comment.is_some();
    }
    findings
}

/// Returns the text of a line after the quotes with which it opens a docstring.
fn docstring(line: &str) -> Option<&str> {
    let line = line.strip_prefix('r').unwrap_or(line);
    Some(line.strip_prefix("\"\"\"")?.trim_start())
}

/// Returns the kind of doc comment on a line, and its text.
fn doc_comment(line: &str) -> Option<(&'static str, &str)> {
    let line = line.trim_start();
    ["///", "//!"].into_iter().find_map(|kind| {
        let text = line.strip_prefix(kind)?;
        // Four slashes are not a doc comment.
        (!text.starts_with('/')).then(|| (kind, text.trim_start()))
    })
}

fn question_word(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_ascii_alphabetic());
    let word = &text[..end.unwrap_or(text.len())];
    is_in(&QUESTION_WORDS, word).then_some(word)
}

/// Returns true if a word is one of a list of lowercase words.
fn is_in(words: &[&str], word: &str) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::super::messages;
    use super::*;

    #[test]
    fn question_at_the_start_of_a_comment_is_reported() {
        for word in QUESTION_WORDS {
            let source = format!("struct A;\n    /// {word} it is.\nfn f() {{}}");
            let found = messages(check, &[("kernel/src/a.rs", &source)]);
            assert_eq!(found.len(), 1, "{word}: {found:?}");
            assert!(found[0].starts_with("kernel/src/a.rs:2: "), "{found:?}");
        }
        assert_eq!(
            messages(check, &[("kernel/src/a.rs", "//! Whether it is.")]).len(),
            1
        );
    }

    #[test]
    fn question_at_the_start_of_a_docstring_or_a_python_comment_is_reported() {
        for (source, line) in [
            ("\"\"\"What users do.\"\"\"", "1"),
            ("def f():\n    r\"\"\"Whether it is.", "2"),
            ("def f():\n    \"\"\"When it is.\"\"\"", "2"),
            ("x = 1\n# Which one.\nY = 2", "2"),
        ] {
            let found = messages(check, &[("tests/python/a.py", source)]);
            let lines: Vec<_> = found
                .iter()
                .filter_map(|text| text.split(':').nth(1))
                .collect();
            assert_eq!(lines, [line], "{source}: {found:?}");
        }
    }

    #[test]
    fn other_docstrings_and_python_comments_pass() {
        for source in [
            "\"\"\"Returns what users do.\"\"\"",
            "# When it is gone, nothing happens.",
            "# The first of those\n# which it needs.",
            "TEXT = \"\"\"What it says.\"\"\"",
            "x = 1  # which one",
        ] {
            let found = messages(check, &[("tests/python/a.py", source)]);
            assert_eq!(found, [""; 0], "{source}");
        }
    }

    #[test]
    fn condition_at_the_start_of_a_section_on_errors_is_reported() {
        let source = "/// Reads.\n///\n/// # Errors\n/// If it cannot.\nfn read() {}";
        assert_eq!(
            messages(check, &[("kernel/src/a.rs", source)]),
            [
                "kernel/src/a.rs:4: a section on errors opens with `Returns an error if`, not with `If`"
            ]
        );
    }

    #[test]
    fn other_comments_and_later_lines_pass() {
        for source in [
            "/// The engine.\n///\n/// When it is gone, nothing happens.\n///\n/// # Errors\n/// When it is.",
            "/// # Errors\n/// `Gone` if it is.\n/// If not, none.",
            "/// Whatever came.",
            "/// `what` comes.",
            "// Where comments are no documentation.",
            "//// Which is none either.",
            "let text = \"/// Which.\";",
        ] {
            assert_eq!(
                messages(check, &[("kernel/src/a.rs", source)]),
                [""; 0],
                "{source}"
            );
        }
    }
}
