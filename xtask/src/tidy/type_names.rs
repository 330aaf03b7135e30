//! Checks that a crate has one public type of a name: two make a search, and a reader, stop at each.

use super::source::Token;
use super::tree::File;
use super::{Finding, Tree};
use std::collections::HashMap;

/// The keywords before the name of a type.
const KEYWORDS: [&str; 5] = ["struct", "enum", "union", "trait", "type"];

/// Reports public types whose name another module of the crate has given to a type.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut first: HashMap<(&str, &str), &File> = HashMap::new();
    let mut findings = Vec::new();
    for file in tree.rust() {
        let Some((package, _)) = file.path.split_once("/src/") else {
            continue;
        };
        for (name, line) in public_types(&file.tokens) {
            let other = *first.entry((package, name)).or_insert(file);
            if other.path != file.path {
                let message = format!("`{name}` is a type of {} too: name its subject", other.path);
                findings.push(file.finding(line, message));
            }
        }
    }
    findings
}

/// Returns the name and line of each public type outside of functions, `impl` blocks and inline
/// modules.
fn public_types(tokens: &[Token]) -> Vec<(&str, usize)> {
    let mut types = Vec::new();
    let mut depth = 0_usize;
    let mut is_public = false;
    for (index, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                is_public = false;
            }
            ";" => is_public = false,
            "pub" if depth == 0 => is_public = true,
            keyword if depth == 0 && is_public && KEYWORDS.contains(&keyword) => {
                let name = tokens.get(index + 1).filter(|next| next.is_name);
                types.extend(name.map(|name| (name.text.as_str(), name.line)));
                is_public = false;
            }
            _ => {}
        }
    }
    types
}

#[cfg(test)]
mod tests {
    use super::super::messages;
    use super::*;

    #[test]
    fn duplicate_public_types_are_reported() {
        let duplicate = [
            ("crates/a/src/one.rs", "pub struct Task;"),
            ("crates/a/src/two.rs", "mod b;\npub(crate) enum Task {}"),
        ];
        assert_eq!(
            messages(check, &duplicate),
            [
                "crates/a/src/two.rs:2: `Task` is a type of crates/a/src/one.rs too: name its subject"
            ]
        );
    }

    #[test]
    fn types_of_other_crates_and_private_types_pass() {
        let allowed = [
            ("crates/a/src/one.rs", "pub struct Task;"),
            ("crates/b/src/one.rs", "pub struct Task;"),
            (
                "crates/a/src/two.rs",
                "struct Task; impl A for B { type Task = u8; } pub fn f() { struct Task; } pub use x::Task;",
            ),
            (
                "crates/a/src/both.rs",
                "#[cfg(a)] pub trait Two {} #[cfg(not(a))] pub trait Two {}",
            ),
        ];
        assert_eq!(messages(check, &allowed), [""; 0]);
    }
}
