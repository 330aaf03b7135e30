//! Help pages of commands.

use super::table::{ArgumentKind, CommandSpec};
use crate::report::PageWriter;
use phalanx_protocol::output::MimeBundle;

/// Returns the help page of a command.
pub fn of(spec: &CommandSpec) -> MimeBundle {
    let (usage, about) = summary(spec);
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

/// Returns the usage of a command and its description.
pub fn summary(spec: &CommandSpec) -> (String, String) {
    let usage = format!("{} {}", spec.name, spec.usage);
    (usage.trim_end().to_owned(), spec.about.to_owned())
}
