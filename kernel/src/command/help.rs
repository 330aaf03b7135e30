//! Help on commands, and on everything a cell may hold besides Rust.

use super::table::{COMMANDS, CommandSpec, Values};
use crate::magic::{MagicName, help as magic_help};
use phalanx_protocol::look::escape;
use phalanx_protocol::output::MimeBundle;
use std::fmt::Write as _;

/// The text of `:help`: every command and magic with a line of explanation.
pub fn overview() -> MimeBundle {
    let magics = MagicName::ALL
        .iter()
        .map(|name| (format!("%{name}"), magic_help::about(*name).to_owned()));
    let sections = [
        ("Commands", COMMANDS.iter().map(command).collect()),
        ("Magics", magics.collect()),
        ("Besides", besides()),
    ];
    let widest = |entries: &[(String, String)]| {
        let widths = entries.iter().map(|(left, _)| left.chars().count());
        widths.max().unwrap_or(0)
    };
    let width = sections
        .iter()
        .map(|(_, entries)| widest(entries))
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    let mut html = String::from("<div>");
    for (title, entries) in &sections {
        let _ = writeln!(text, "{title}");
        let _ = write!(html, "<p>{title}</p><table>");
        for (left, right) in entries {
            let _ = writeln!(text, "  {left:<width$}  {right}");
            let _ = write!(
                html,
                "<tr><td style=\"text-align:left\"><code>{}</code></td><td style=\"text-align:left\">{}</td></tr>",
                escape(left),
                escape(right)
            );
        }
        html.push_str("</table>");
    }
    html.push_str("</div>");
    MimeBundle::plain(text).with("text/html", html)
}

/// The help on one command.
pub fn of(spec: &CommandSpec) -> String {
    let (usage, about) = command(spec);
    let mut text = format!("{usage}\n\n{about}\n");
    if let Values::Closed(values) | Values::Open(values) = spec.values {
        let _ = writeln!(text, "\nValues: {}", values.join(", "));
    }
    if spec.name == ":dep" {
        text.push_str(DEP);
    }
    text
}

const DEP: &str = "
  :dep rand                                        the newest version
  :dep rand = \"0.9\"                                as in Cargo.toml
  :dep serde = { version = \"1\", features = [\"derive\"] }
  :dep ./mylib                                     the crate in a folder
  :dep mylib                                       likewise, if the working folder has a crate of that name
  :dep .                                           the crate of the working folder
";

fn command(spec: &CommandSpec) -> (String, String) {
    let usage = format!("{} {}", spec.name, spec.usage);
    (usage.trim_end().to_owned(), spec.about.to_owned())
}

fn besides() -> Vec<(String, String)> {
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
    fn help_lists_commands_and_magics_and_tells_of_one() {
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
                .contains("<code>:vars</code>")
        );
        let opt = of(super::super::table::find(":opt").unwrap());
        assert!(opt.contains("Values: 0, 1, 2, 3, s, z"), "{opt}");
    }
}
