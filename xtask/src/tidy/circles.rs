//! Checks that the modules of a crate do not import each other in circles: one that does cannot be
//! read, moved or tested without the others.

use super::source::{Token, paths};
use super::tree::File;
use super::{Finding, Tree};
use std::collections::{BTreeMap, BTreeSet};

/// The imports between the top modules of one crate, with the position of the first of each.
type Imports<'a> = BTreeMap<&'a str, BTreeMap<String, (&'a File, usize)>>;

/// Reports imports by which a module depends on one that depends on it.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let exports = exports(tree);
    let mut crates: BTreeMap<&str, Imports> = BTreeMap::new();
    for file in tree.rust() {
        let Some((package, inner)) = file.path.split_once("/src/") else {
            continue;
        };
        let is_test = inner.ends_with("tests.rs") || inner.contains("/tests/");
        let module = top_module(inner);
        if is_test || ["lib", "main"].contains(&module) {
            continue;
        }
        let imports = crates
            .entry(package)
            .or_default()
            .entry(module)
            .or_default();
        for path in paths(before_tests(&file.tokens)) {
            if path.starts_with(&["crate"])
                && let Some(name) = path.parts.get(1)
            {
                let imported = exports.get(&(package, name.clone())).unwrap_or(name);
                if imported != module {
                    imports.entry(imported.clone()).or_insert((file, path.line));
                }
            }
        }
    }
    crates.values().flat_map(circles).collect()
}

/// Returns the modules whose items a crate's root re-exports, by crate and name.
fn exports(tree: &Tree) -> BTreeMap<(&str, String), String> {
    let files = tree.rust().filter_map(|file| file.path.split_once("/src/"));
    let modules: BTreeSet<_> = files
        .map(|(package, inner)| (package, top_module(inner)))
        .collect();
    let mut exports = BTreeMap::new();
    for file in tree.rust() {
        let Some((package, "lib.rs")) = file.path.split_once("/src/") else {
            continue;
        };
        for path in paths(before_tests(&file.tokens)) {
            if let [module, .., name] = path.parts.as_slice()
                && modules.contains(&(package, module.as_str()))
                && !modules.contains(&(package, name.as_str()))
            {
                exports.insert((package, name.clone()), module.clone());
            }
        }
    }
    exports
}

/// Returns the tokens before a file's own `#[cfg(test)] mod`.
fn before_tests(tokens: &[Token]) -> &[Token] {
    const TESTS: [&str; 8] = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let is_test_module = |window: &[Token]| {
        window
            .iter()
            .zip(TESTS)
            .all(|(token, text)| token.text == text)
    };
    let end = tokens.windows(TESTS.len()).position(is_test_module);
    &tokens[..end.unwrap_or(tokens.len())]
}

/// Returns the module directly below the crate's root that a file belongs to.
fn top_module(inner: &str) -> &str {
    let first = inner.split('/').next().unwrap_or(inner);
    first.strip_suffix(".rs").unwrap_or(first)
}

fn circles(imports: &Imports) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (module, imported) in imports {
        for (other, (file, line)) in imported {
            if depends_on(imports, other, module) {
                let message = format!("`{module}` imports `{other}`, which depends on `{module}`");
                findings.push(file.finding(*line, message));
            }
        }
    }
    findings
}

/// Returns true if `from` imports `to`, directly or through others.
fn depends_on(imports: &Imports, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut pending = vec![from];
    while let Some(module) = pending.pop() {
        for next in imports.get(module).into_iter().flat_map(BTreeMap::keys) {
            if next == to {
                return true;
            }
            if seen.insert(next) {
                pending.push(next);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::messages;
    use super::*;

    #[test]
    fn circles_are_reported_at_each_import() {
        let circle = [
            ("crates/x/src/a.rs", "use crate::b::B;"),
            ("crates/x/src/b/mod.rs", "fn f() { crate::c::g(); }"),
            ("crates/x/src/c.rs", "\nuse crate::{a::A, d};"),
            ("crates/x/src/d.rs", "use super::a;"),
        ];
        assert_eq!(
            messages(check, &circle),
            [
                "crates/x/src/a.rs:1: `a` imports `b`, which depends on `a`",
                "crates/x/src/b/mod.rs:1: `b` imports `c`, which depends on `b`",
                "crates/x/src/c.rs:2: `c` imports `a`, which depends on `c`",
            ]
        );
    }

    #[test]
    fn names_that_the_root_exports_count_as_their_modules() {
        let circle = [
            ("crates/x/src/a.rs", "use crate::B;"),
            ("crates/x/src/b.rs", "use crate::a::A;"),
            ("crates/x/src/lib.rs", "mod a; mod b; pub use b::{B, C};"),
        ];
        assert_eq!(
            messages(check, &circle),
            [
                "crates/x/src/a.rs:1: `a` imports `b`, which depends on `a`",
                "crates/x/src/b.rs:1: `b` imports `a`, which depends on `b`",
            ]
        );
    }

    #[test]
    fn modules_within_a_folder_and_tests_may_import_each_other() {
        let allowed = [
            ("crates/x/src/a/one.rs", "use crate::a::two;"),
            ("crates/x/src/a/two.rs", "use crate::a::one;"),
            ("crates/x/src/a/tests.rs", "use crate::b;"),
            ("crates/x/src/b.rs", "use crate::a;"),
            (
                "crates/x/src/c.rs",
                "#[cfg(test)]\nmod tests { use crate::d; }",
            ),
            ("crates/x/src/d.rs", "use crate::c;"),
            ("crates/x/src/lib.rs", "use crate::b;"),
        ];
        assert_eq!(messages(check, &allowed), [""; 0]);
    }
}
