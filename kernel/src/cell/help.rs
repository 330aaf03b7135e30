//! Requests for help: `?name`, `name?`, and with `??` for the source too.

/// The topic of a request for help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelpTopic {
    /// The name of a path, a magic or a command.
    pub name: String,
    /// True if the source is requested too.
    pub source: bool,
}

/// Returns the topic of a cell that is a request for help and nothing else. `name?` is Rust if
/// `name` is one of the variables.
pub fn help_topic(cell: &str, variables: &[String]) -> Option<HelpTopic> {
    let cell = cell.trim();
    let (name, marks) = match cell.strip_prefix('?') {
        Some(rest) => {
            let name = rest.trim_start_matches('?');
            (name, 1 + rest.len() - name.len())
        }
        None => {
            let name = cell.trim_end_matches('?');
            (name, cell.len() - name.len())
        }
    };
    let name = name.trim();
    let is_rust =
        !cell.starts_with('?') && marks == 1 && variables.iter().any(|known| known == name);
    let is_topic = (1..=2).contains(&marks) && is_name(name) && !is_rust;
    is_topic.then(|| HelpTopic {
        name: name.to_owned(),
        source: marks == 2,
    })
}

/// A keyword in the position of a field.
const AWAIT: &str = "await";

/// Returns true if the whole text is a path, a field, a magic or a command.
fn is_name(text: &str) -> bool {
    let bare = text.trim_start_matches(['%', ':']);
    let signs = text.len() - bare.len();
    let mut parts = bare.split("::").flat_map(|part| part.split('.'));
    let is_macro = signs == 0 && bare.ends_with('!');
    signs <= 2
        && parts.all(|part| {
            let part = if is_macro {
                part.trim_end_matches('!')
            } else {
                part
            };
            part != AWAIT
                && part.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && part.chars().all(|c| c.is_alphanumeric() || c == '_')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_marks_request_help() {
        for (cell, name, source) in [
            ("?px", "px", false),
            ("%px?", "%px", false),
            (" ??%%px\n", "%%px", true),
            ("? :dep", ":dep", false),
            ("std::fs::read??", "std::fs::read", true),
            ("text.len?", "text.len", false),
            ("println!?", "println!", false),
        ] {
            let topic = HelpTopic {
                name: name.to_owned(),
                source,
            };
            assert_eq!(help_topic(cell, &[]), Some(topic), "{cell:?}");
        }
        for cell in [
            "",
            "?",
            "a",
            "a???",
            "f()?",
            "res?",
            "(a)?",
            "let a = b?",
            "a?\nb",
            "1?",
            "a b?",
            "%px 1?",
            "task.await?",
        ] {
            assert_eq!(help_topic(cell, &["res".to_owned()]), None, "{cell:?}");
        }
    }
}
