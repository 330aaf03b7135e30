//! The pages of `:help` and `?name`.

use super::introspection::Introspection;
use crate::cell::HelpTopic;
use crate::channel::OutputSink;
use crate::command::help as command_help;
use crate::command::table::COMMANDS;
use crate::magic::{MagicName, help, name};
use crate::report::PageWriter;
use phalanx_protocol::output::{MimeBundle, StreamName};

/// Shows the help on a topic, on a page of the frontend.
pub async fn show(introspection: &Introspection, sink: &OutputSink, topic: &HelpTopic) {
    match page(introspection, topic).await {
        Some(page) => sink.page(page),
        None => {
            let text = format!("`{}` was not found.\n", topic.name);
            sink.text(StreamName::Stdout, text).await;
        }
    }
}

/// Returns the page on a topic, if there is one.
pub async fn page(introspection: &Introspection, topic: &HelpTopic) -> Option<MimeBundle> {
    let magic = topic.name.trim_start_matches('%');
    let suffixes = introspection.suffixes();
    if let Some((name, _)) = name::resolve(magic, &suffixes) {
        return Some(help::help(name));
    }
    // Only the last name of a path is looked up.
    let last = topic.name.rfind([':', '.']).map_or(0, |at| at + 1);
    let name = topic.name.as_str();
    introspection.describe(name, last, topic.source).await
}

/// Returns the page of `:help`: all commands and magics with descriptions.
pub fn overview() -> MimeBundle {
    let magics = MagicName::ALL
        .iter()
        .map(|name| (name.signed(), help::about(*name).to_owned()));
    let commands: Vec<(String, String)> = COMMANDS.iter().map(command_help::summary).collect();
    PageWriter::default()
        .list("Commands", &commands)
        .list("Magics", &magics.collect::<Vec<_>>())
        .list("Other", &other_syntax())
        .bundle()
}

fn other_syntax() -> Vec<(String, String)> {
    [
        ("!COMMAND", "runs a command of the shell"),
        (
            "NAME?",
            "shows the documentation of a name, a command or a magic",
        ),
    ]
    .map(|(left, right)| (left.to_owned(), right.to_owned()))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_lists_commands_and_magics_and_describes_one() {
        let overview = overview();
        let text = overview.text().unwrap();
        for part in [
            ":dep NAME [= SPEC] | DIR  ",
            ":quit",
            "%px",
            "%cluster",
            "!COMMAND",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(
            overview.0["text/html"]
                .as_str()
                .unwrap()
                .contains(">:vars</code>")
        );
        for name in MagicName::ALL {
            let about = help::about(name);
            assert!(about.ends_with('.'), "{about}");
        }
        let html = overview.0["text/html"].as_str().unwrap();
        assert!(!html.contains('`'), "{html}");
        let opt = command_help::of(crate::command::table::find(":opt").unwrap());
        let opt = opt.text().unwrap();
        assert!(opt.contains("Values: 0, 1, 2, 3, s, z"), "{opt}");
    }
}
