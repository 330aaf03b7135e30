//! Help on commands, and on everything a cell may hold besides Rust.

use super::table::{ArgumentKind, COMMANDS, CommandSpec};
use crate::magic::{MagicName, help as magic_help};
use crate::report::PageWriter;
use phalanx_protocol::output::MimeBundle;

/// The page of `:help`: every command and magic with its explanation.
pub fn overview() -> MimeBundle {
    let magics = MagicName::ALL
        .iter()
        .map(|name| (name.signed(), magic_help::about(*name).to_owned()));
    let commands: Vec<(String, String)> = COMMANDS.iter().map(command).collect();
    PageWriter::default()
        .list("Commands", &commands)
        .list("Magics", &magics.collect::<Vec<_>>())
        .list("Besides", &besides())
        .bundle()
}

/// The help on one command.
pub fn of(spec: &CommandSpec) -> MimeBundle {
    let (usage, about) = command(spec);
    let page = PageWriter::default().code(&usage).paragraph(&about);
    let page = match spec.values {
        ArgumentKind::Closed(values) | ArgumentKind::Open(values) => {
            page.paragraph(&format!("Values: {}", values.join(", ")))
        }
        _ => page,
    };
    let page = match spec.name {
        ":dep" => page.code(DEP),
        _ => page,
    };
    page.bundle()
}

const DEP: &str = "  :dep rand                                        the newest version
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
                .contains(">:vars</code>")
        );
        for name in MagicName::ALL {
            let about = magic_help::about(name);
            assert!(about.ends_with('.'), "{about}");
        }
        let html = overview.0["text/html"].as_str().unwrap();
        assert!(!html.contains('`'), "{html}");
        let opt = of(super::super::table::find(":opt").unwrap());
        let opt = opt.text().unwrap();
        assert!(opt.contains("Values: 0, 1, 2, 3, s, z"), "{opt}");
    }
}
