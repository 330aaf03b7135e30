//! The `#[test]` functions of a notebook.

use super::parse_in_function;
use ra_ap_syntax::ast::{self, AstNode, HasAttrs, HasModuleItem, HasName};
use std::collections::BTreeMap;

/// The condition under which a test passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Returns,
    Panics,
    Ignored,
}

/// The tests defined by cells, by their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitTests {
    all: BTreeMap<String, Kind>,
}

impl UnitTests {
    /// Collects the tests of cells, oldest first; a later definition replaces an earlier one.
    pub fn of<'a>(sources: impl IntoIterator<Item = &'a str>) -> Self {
        let mut tests = Self::default();
        for source in sources {
            tests.add(source);
        }
        tests
    }

    /// Returns the number of tests.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Returns true if there are no tests.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Keeps the tests with paths that contain `filter`.
    #[must_use]
    pub fn named(mut self, filter: &str) -> Self {
        self.all.retain(|path, _| path.contains(filter));
        self
    }

    /// Returns the source of the cell that runs the tests.
    pub fn call(&self) -> String {
        let tests = self.all.iter().map(|(path, kind)| {
            let run = match kind {
                Kind::Returns => format!("Returns(|| phalanx::__cell::passes({path}))"),
                Kind::Panics => format!("Panics(|| phalanx::__cell::passes({path}))"),
                Kind::Ignored => "Ignored".to_owned(),
            };
            format!("({path:?}, phalanx::__cell::UnitTest::{run})")
        });
        let tests: Vec<_> = tests.collect();
        format!("phalanx::__cell::run_tests(&[{}]);", tests.join(", "))
    }

    fn add(&mut self, source: &str) {
        if !source.contains("fn ") {
            return;
        }
        let parsed = parse_in_function(source);
        let function = parsed.tree().items().find_map(|item| match item {
            ast::Item::Fn(function) => Some(function),
            _ => None,
        });
        let list = function.and_then(|function| function.body()?.stmt_list());
        let nodes = list
            .into_iter()
            .flat_map(|list| list.syntax().children().collect::<Vec<_>>());
        for item in nodes.filter_map(ast::Item::cast) {
            let name = match &item {
                ast::Item::Fn(item) => item.name(),
                ast::Item::Module(item) => item.name(),
                _ => continue,
            };
            let Some(name) = name else { continue };
            let (name, within) = (name.text().to_string(), format!("{}::", name.text()));
            self.all
                .retain(|path, _| *path != name && !path.starts_with(&within));
            self.add_item(&item, "");
        }
    }

    fn add_item(&mut self, item: &ast::Item, within: &str) {
        match item {
            ast::Item::Fn(function) => {
                let names = function.attrs().filter_map(|attribute| {
                    let path = attribute.path()?;
                    Some(path.syntax().text().to_string())
                });
                let names: Vec<_> = names.collect();
                let has = |name: &str| names.iter().any(|own| own == name);
                let Some(name) = function.name().filter(|_| has("test")) else {
                    return;
                };
                let kind = match (has("ignore"), has("should_panic")) {
                    (true, _) => Kind::Ignored,
                    (false, true) => Kind::Panics,
                    (false, false) => Kind::Returns,
                };
                self.all.insert(format!("{within}{}", name.text()), kind);
            }
            ast::Item::Module(module) => {
                if let (Some(name), Some(list)) = (module.name(), module.item_list()) {
                    let within = format!("{within}{}::", name.text());
                    list.items().for_each(|item| self.add_item(&item, &within));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_latest_definitions_count_as_tests() {
        let tests = UnitTests::of([
            "#[test] fn one() {} fn plain() {} #[test]\nfn two() -> Result<(), String> { Ok(()) }",
            "#[cfg(test)] mod größen { use super::*; #[test] #[should_panic] fn a() {} #[ignore] #[test] fn b() {} }",
            "fn one() {} let x = 1;",
        ]);
        let paths: Vec<_> = tests.all.keys().map(String::as_str).collect();
        assert_eq!(paths, ["größen::a", "größen::b", "two"]);
        let call = tests.clone().named("größen").call();
        assert_eq!(
            call,
            "phalanx::__cell::run_tests(&[\
             (\"größen::a\", phalanx::__cell::UnitTest::Panics(|| phalanx::__cell::passes(größen::a))), \
             (\"größen::b\", phalanx::__cell::UnitTest::Ignored)]);"
        );
        assert_eq!((tests.len(), tests.named("nothing").len()), (3, 0));
    }
}
