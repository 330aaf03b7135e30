//! Tests in cells, which are ordinary functions while `:test` runs them.

use ra_ap_syntax::ast::{self, AstNode, HasAttrs, HasVisibility};
use ra_ap_syntax::{Edition, SourceFile, SyntaxNode};
use std::ops::Range;

/// The call with which the kernel runs tests.
const CALL: &str = "phalanx::__cell::run_tests(";

/// Attributes of tests, because of which rustc omits them from ordinary crates; without white
/// space.
const TEST_ATTRIBUTES: [&str; 4] = ["#[test]", "#[cfg(test)]", "#[ignore", "#[should_panic"];

/// Returns a crate's source in which tests are functions callable from the root, if its cell calls
/// them; `None` otherwise. The number of lines does not change.
pub(super) fn with_callable_tests(source: &str) -> Option<String> {
    if !source.contains(CALL) {
        return None;
    }
    let parsed = SourceFile::parse(source, Edition::Edition2024);
    let mut edits = Vec::new();
    for node in parsed.syntax_node().descendants() {
        if let Some(attribute) = ast::Attr::cast(node.clone()) {
            let text = attribute.syntax().text().to_string();
            let words: String = text.split_whitespace().collect();
            if TEST_ATTRIBUTES
                .iter()
                .any(|attribute| words.starts_with(attribute))
            {
                let blank = |c: char| if c == '\n' { '\n' } else { ' ' };
                edits.push((range(&node), text.chars().map(blank).collect()));
            }
        }
        // Private tests are visible only in their own modules.
        let keyword = match ast::Item::cast(node) {
            Some(ast::Item::Fn(item)) if item.visibility().is_none() && is_test(&item) => {
                let keywords = [item.async_token(), item.unsafe_token(), item.fn_token()];
                keywords.into_iter().flatten().next()
            }
            Some(ast::Item::Module(item)) if item.visibility().is_none() => item.mod_token(),
            _ => None,
        };
        if let Some(keyword) = keyword {
            let at = usize::from(keyword.text_range().start());
            edits.push((at..at, "pub ".to_owned()));
        }
    }
    edits.sort_by_key(|(range, _)| range.start);
    let mut text = source.to_owned();
    for (range, replacement) in edits.into_iter().rev() {
        text.replace_range(range, &replacement);
    }
    Some(text)
}

fn is_test(function: &ast::Fn) -> bool {
    function.attrs().any(|attribute| {
        let path = attribute.path();
        path.is_some_and(|path| path.syntax().text() == "test")
    })
}

fn range(node: &SyntaxNode) -> Range<usize> {
    let range = node.text_range();
    usize::from(range.start())..usize::from(range.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn called_tests_are_public_functions() {
        let items = "#[test] fn a() {}\n#[cfg(test)]\nmod m { #[ test ] #[should_panic(expected = \"ä\")] #[inline] fn b() {}\n pub fn c() {} fn d() {} }\n";
        assert_eq!(with_callable_tests(items), None);
        let source = format!("{items}{CALL}&[]);");
        let text = with_callable_tests(&source).unwrap();
        assert_eq!(text.lines().count(), source.lines().count());
        assert_eq!(text.matches("#[").count(), 1, "{text}");
        for made in [
            "pub fn a()",
            "pub mod m",
            "#[inline] pub fn b()",
            " pub fn c()",
            "} fn d()",
        ] {
            assert!(text.contains(made), "{made} in {text}");
        }
    }
}
