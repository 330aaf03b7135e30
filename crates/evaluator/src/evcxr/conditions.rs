//! Code of a cell that is disabled by `#[cfg]`.
//!
//! evcxr identifies items by name: of two with opposite conditions it keeps the last, which may be
//! the disabled one. So code with a condition that is certainly false is blanked before evcxr sees
//! the cell; all other conditions are left to rustc.

use super::blank::blank;
use super::source::statements;
use ra_ap_syntax::SyntaxNode;
use ra_ap_syntax::ast::{self, AstNode};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The beginning of the attribute, without white space.
const CONDITION: &str = "#[cfg(";

/// Prefixes of names that only rustc sets, and of features, of which a notebook has none.
const CERTAIN: [&str; 6] = [
    "unix",
    "windows",
    "target_",
    "panic",
    "debug_assertions",
    "feature",
];

/// Returns a cell without code that its conditions disable. Other text is not moved.
pub(super) fn resolved(source: &str) -> Cow<'_, str> {
    if !source.contains("cfg") {
        return Cow::Borrowed(source);
    }
    let ranges = disabled(source, settings());
    match ranges.is_empty() {
        true => Cow::Borrowed(source),
        false => Cow::Owned(blank(source, ranges)),
    }
}

/// Returns the ranges of disabled items and statements, including those in impl blocks.
fn disabled(source: &str, settings: &BTreeSet<String>) -> Vec<Range<usize>> {
    let (nodes, cell_offset) = statements(source);
    let associated = nodes.iter().filter_map(|node| {
        let block = ast::Impl::cast(node.clone())?;
        Some(block.assoc_item_list()?.syntax().children())
    });
    let associated: Vec<SyntaxNode> = associated.flatten().collect();
    let is_disabled = |node: &&SyntaxNode| {
        let attributes = node.children().filter_map(ast::Attr::cast);
        let mut conditions = attributes.filter_map(|attribute| condition(&attribute));
        conditions.any(|condition| evaluate(&condition, settings) == Some(false))
    };
    let nodes = nodes.iter().chain(&associated);
    let ranges = nodes.filter(is_disabled).filter_map(|node| {
        let range = node.text_range();
        Some(cell_offset(range.start().into())?..cell_offset(range.end().into())?)
    });
    ranges.collect()
}

/// Returns the condition of an attribute, without white space.
fn condition(attribute: &ast::Attr) -> Option<String> {
    let text = attribute.syntax().text().to_string();
    let words: String = text.split_whitespace().collect();
    let inside = words.strip_prefix(CONDITION)?.strip_suffix(")]")?;
    Some(inside.trim_end_matches(',').to_owned())
}

/// Evaluates a condition; `None` if the result is not certain.
fn evaluate(condition: &str, settings: &BTreeSet<String>) -> Option<bool> {
    let inside = |name: &str| {
        let rest = condition.strip_prefix(name)?.strip_prefix('(')?;
        rest.strip_suffix(')').map(parts)
    };
    let part = |part: &str| evaluate(part, settings);
    if let Some(inside) = inside("not") {
        return part(inside.first()?).map(|value| !value);
    }
    if let Some(inside) = inside("all") {
        return combined(inside.into_iter().map(part), false);
    }
    if let Some(inside) = inside("any") {
        return combined(inside.into_iter().map(part), true);
    }
    match condition {
        "true" => Some(true),
        "false" => Some(false),
        _ if settings.contains(condition) => Some(true),
        _ => {
            let is_certain = CERTAIN.iter().any(|name| condition.starts_with(name));
            // The settings are empty if rustc could not be called.
            (is_certain && !settings.is_empty()).then_some(false)
        }
    }
}

/// Combines the values of conditions; one that equals `decisive` determines the result.
fn combined(parts: impl Iterator<Item = Option<bool>>, decisive: bool) -> Option<bool> {
    let mut all = Some(!decisive);
    for part in parts {
        match part {
            Some(part) if part == decisive => return Some(decisive),
            Some(_) => {}
            None => all = None,
        }
    }
    all
}

/// Splits the conditions of a list.
fn parts(list: &str) -> Vec<&str> {
    let (mut depth, mut is_text) = (0_usize, false);
    let parts = list.split(|c| {
        match c {
            '"' => is_text = !is_text,
            '(' if !is_text => depth += 1,
            ')' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0 && !is_text
    });
    parts.filter(|part| !part.is_empty()).collect()
}

/// Returns the conditions that hold for compilations here, as listed by rustc.
fn settings() -> &'static BTreeSet<String> {
    static SETTINGS: OnceLock<BTreeSet<String>> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let output = Command::new("rustc")
            .args(["--print", "cfg"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        let output = output.map(|output| output.stdout).unwrap_or_default();
        let lines = String::from_utf8_lossy(&output);
        lines.lines().map(str::to_owned).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> BTreeSet<String> {
        let set = ["unix", "target_os=\"linux\"", "debug_assertions"];
        set.map(str::to_owned).into()
    }

    #[test]
    fn certain_conditions_are_evaluated() {
        for (condition, expected) in [
            ("unix", Some(true)),
            ("windows", Some(false)),
            ("not(windows)", Some(true)),
            ("target_os=\"macos\"", Some(false)),
            ("all(unix,not(target_os=\"linux\"))", Some(false)),
            ("any(windows,all(unix,debug_assertions))", Some(true)),
            ("feature=\"a,b\"", Some(false)),
            ("test", None),
            ("all(test,windows)", Some(false)),
            ("any(test,windows)", None),
            ("not(tokio_unstable)", None),
            ("all()", Some(true)),
        ] {
            assert_eq!(evaluate(condition, &settings()), expected, "{condition}");
        }
        assert_eq!(evaluate("windows", &BTreeSet::new()), None);
    }

    #[test]
    fn disabled_items_are_blanked() {
        let source = "#[cfg(unix)]\nfn größe() -> u8 { 1 }\n#[cfg( not( unix ) )] #[inline]\nfn größe() -> u8 { 2 }\n\
                      impl S { #[cfg(windows)] fn f() {}\n#[cfg(unix)] fn f() {} }\n#[cfg(test)] mod tests {}\n\
                      #[cfg(windows)] let a = 1;\ngröße()";
        let blanked = blank(source, disabled(source, &settings()));
        assert_eq!(blanked.len(), source.len());
        assert_eq!(blanked.lines().count(), source.lines().count());
        for (text, count) in [
            ("{ 1 }", 1),
            ("{ 2 }", 0),
            ("fn f() {}", 1),
            ("#[cfg(unix)] fn f()", 1),
            ("mod tests", 1),
            ("let a", 0),
            ("größe()", 2),
        ] {
            assert_eq!(blanked.matches(text).count(), count, "{text} in {blanked}");
        }
    }
}
