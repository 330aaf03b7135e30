//! The file generated for a cell: the items in scope, and a function with its statements.

use phalanx_protocol::analysis::AnalyzedCell;
use ra_ap_syntax::ast::{self, AstNode, HasName};
use ra_ap_syntax::{Edition, SourceFile, SyntaxNode};
use std::collections::HashSet;
use std::fmt::Write;
use std::ops::Range;

/// The function that contains the statements.
pub(crate) const FUNCTION: &str = "__phalanx_cell";

/// The prefix of all generated names.
pub(crate) const PREFIX: &str = "__phalanx";

/// An error type to which every other one converts, as required by `?` in a cell.
const ERROR: &str = "struct __phalanx_error;\n\
    impl<E: ::std::fmt::Debug> From<E> for __phalanx_error { fn from(_: E) -> Self { Self } }\n";

/// The text around the statements in the function, and that around statements that may await in
/// `plain`: with an `.await`, or a macro that contains one.
const RESULT: &str = ") -> ::std::result::Result<(), __phalanx_error> {\n";
const END: &str = "\n;Ok(())\n}\n";
const AWAITING: [&str; 5] = [
    ".await",
    "join!",
    "join_biased!",
    "select!",
    "select_biased!",
];
const FUTURE: &str = ") -> ::std::boxed::Box<dyn ::std::future::Future<\
    Output = ::std::result::Result<(), __phalanx_error>>> { ::std::boxed::Box::new(async move {\n";
const FUTURE_END: &str = "\n;Ok(())\n})}\n";

/// The function that the parser requires around statements.
const BEFORE: &str = "fn cell() {\n";
const AFTER: &str = "\n}";

/// The file generated for a cell, and the map of positions.
#[derive(Debug)]
pub struct Scaffold {
    pub(crate) text: String,
    /// Ranges of the cell and their positions in the text. The last is the whole cell, in which the
    /// other ranges are replaced by spaces.
    parts: Vec<(Range<usize>, usize)>,
}

impl Scaffold {
    /// Generates the file of a cell.
    #[must_use]
    pub fn new(cell: &AnalyzedCell) -> Self {
        let mut text = "#![allow(unused, dead_code)]\n".to_owned();
        let own = Statements::parse(&cell.source);
        let mut defined = own.names();
        let mut items = Vec::new();
        for source in cell.items.iter().rev() {
            let statements = Statements::parse(source);
            let remaining = statements
                .items()
                .filter(|item| !is_replaced(item, &defined));
            items.extend(remaining.map(|item| (is_macro(&item), item.syntax().text().to_string())));
            defined.extend(statements.names());
        }
        // A macro must precede its uses.
        items.sort_by_key(|(is_macro, _)| !is_macro);
        for (_, item) in items {
            text.push_str(&item);
            text.push('\n');
        }
        text.push_str(ERROR);
        let mut parts = Vec::new();
        for item in own.items() {
            let Some(range) = own.range(item.syntax()) else {
                continue;
            };
            parts.push((range.clone(), text.len()));
            text.push_str(&cell.source[range.clone()]);
            text.push('\n');
        }
        let _ = write!(text, "async fn {FUNCTION}(");
        for (name, ty) in &cell.variables {
            let _ = write!(text, "mut {name}: {ty}, ");
        }
        text.push_str(RESULT);
        for source in &cell.statements {
            text.push_str(&Statements::parse(source).without_items(source));
            text.push_str("\n;\n");
        }
        parts.push((0..cell.source.len(), text.len()));
        text.push_str(&own.without_items(&cell.source));
        text.push_str(END);
        Self { text, parts }
    }

    /// Returns the file for a compiler, which would skip unused `async` functions and private ones.
    /// Statements with `await` are compiled as a trait object, whose methods are always compiled.
    #[must_use]
    pub fn plain(&self) -> String {
        let asynchronous = format!("async fn {FUNCTION}(");
        let plain = format!("#[unsafe(no_mangle)] pub fn {FUNCTION}(");
        let Some((items, function)) = self.text.split_once(&asynchronous) else {
            return self.text.clone();
        };
        if AWAITING.iter().any(|text| function.contains(text))
            && let Some((parameters, body)) = function.split_once(RESULT)
            && let Some(body) = body.strip_suffix(END)
        {
            return format!("{items}{plain}{parameters}{FUTURE}{body}{FUTURE_END}");
        }
        format!("{items}{plain}{function}")
    }

    /// Returns true if a variable of the namespace has this name. It is a mutable parameter here,
    /// whatever its declaration.
    pub(crate) fn has_variable(&self, name: &str) -> bool {
        let function = self.text.split_once(&format!("async fn {FUNCTION}("));
        let parameters = function.and_then(|(_, rest)| rest.split_once(RESULT));
        parameters.is_some_and(|(list, _)| list.contains(&format!("mut {name}: ")))
    }

    /// Converts a position in the cell to one in the text.
    pub(crate) fn to_text(&self, offset: usize) -> usize {
        let mut parts = self.parts.iter();
        let part = parts.find(|(range, _)| range.start < offset && offset <= range.end);
        let part = part.or(self.parts.last());
        part.map_or(0, |(range, start)| {
            start + offset.saturating_sub(range.start)
        })
    }

    /// Converts a position in the text to one in the cell, if it is part of the cell.
    pub(crate) fn to_source(&self, offset: usize) -> Option<usize> {
        self.parts.iter().find_map(|(range, start)| {
            let within = offset.checked_sub(*start)?;
            (within <= range.len()).then(|| range.start + within)
        })
    }
}

/// Overwrites everything but newlines with spaces.
fn blank(text: &mut [u8]) {
    for byte in text.iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}

/// The statements of a source, after its commands.
struct Statements {
    /// The start of the Rust, in bytes.
    start: usize,
    length: usize,
    nodes: Vec<SyntaxNode>,
}

impl Statements {
    fn parse(source: &str) -> Self {
        let start = start(source);
        let text = format!("{BEFORE}{}{AFTER}", &source[start..]);
        let parsed = SourceFile::parse(&text, Edition::Edition2024);
        let function = parsed.tree().syntax().children().find_map(ast::Fn::cast);
        let body = function.and_then(|function| function.body()?.stmt_list());
        let nodes = body.map(|body| body.syntax().children().collect());
        Self {
            start,
            length: source.len(),
            nodes: nodes.unwrap_or_default(),
        }
    }

    fn items(&self) -> impl Iterator<Item = ast::Item> {
        // A macro call is a statement of the cell.
        let items = self.nodes.iter().cloned().filter_map(ast::Item::cast);
        items.filter(|item| !matches!(item, ast::Item::MacroCall(_)))
    }

    /// Returns the range of a node in the source, in bytes.
    fn range(&self, node: &SyntaxNode) -> Option<Range<usize>> {
        let range = node.text_range();
        let in_source = |offset: usize| (offset + self.start).checked_sub(BEFORE.len());
        let (start, end) = (
            in_source(range.start().into())?,
            in_source(range.end().into())?,
        );
        (start <= end && end <= self.length).then_some(start..end)
    }

    /// Returns the source with spaces for commands and items, so that positions are preserved.
    fn without_items(&self, source: &str) -> String {
        let mut text = source.as_bytes().to_vec();
        blank(&mut text[..self.start]);
        for range in self.items().filter_map(|item| self.range(item.syntax())) {
            blank(&mut text[range]);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Returns the names defined by the items.
    fn names(&self) -> HashSet<String> {
        self.items().filter_map(|item| name(&item)).collect()
    }
}

/// Returns the start of the Rust in a source, in bytes.
fn start(source: &str) -> usize {
    let is_before = |line: &&str| {
        let text = line.trim_start();
        (text.starts_with(':') && !text.starts_with("::"))
            || line.starts_with('!')
            || text.is_empty()
    };
    let before = source.split_inclusive('\n').take_while(is_before);
    before.map(str::len).sum()
}

/// Returns the name that an item declares or imports.
fn name(item: &ast::Item) -> Option<String> {
    match item {
        ast::Item::Use(item) => imported(&item.use_tree()?),
        _ => item_name(item),
    }
}

/// Returns the name that an item declares; `None` for imports, `impl` blocks and macro calls.
pub fn item_name(item: &ast::Item) -> Option<String> {
    let name = match item {
        ast::Item::Const(item) => item.name(),
        ast::Item::Enum(item) => item.name(),
        ast::Item::Fn(item) => item.name(),
        ast::Item::MacroRules(item) => item.name(),
        ast::Item::MacroDef(item) => item.name(),
        ast::Item::Module(item) => item.name(),
        ast::Item::Static(item) => item.name(),
        ast::Item::Struct(item) => item.name(),
        ast::Item::Trait(item) => item.name(),
        ast::Item::TypeAlias(item) => item.name(),
        ast::Item::Union(item) => item.name(),
        _ => None,
    };
    Some(name?.text().to_string())
}

/// Returns the name brought into scope by an import of a single item.
fn imported(tree: &ast::UseTree) -> Option<String> {
    if tree.use_tree_list().is_some() || tree.star_token().is_some() {
        return None;
    }
    if let Some(rename) = tree.rename() {
        return Some(rename.name()?.text().to_string());
    }
    let name = tree.path()?.segment()?.name_ref()?;
    Some(name.text().to_string())
}

/// Returns true for an item that later sources redefine, and for an `impl` of a redefined type.
fn is_replaced(item: &ast::Item, defined: &HashSet<String>) -> bool {
    let name = match item {
        ast::Item::Impl(block) => match block.self_ty() {
            Some(ast::Type::PathType(ty)) => ty
                .path()
                .and_then(|path| path.segment()?.name_ref())
                .map(|name| name.text().to_string()),
            _ => None,
        },
        item => name(item),
    };
    name.is_some_and(|name| defined.contains(&name))
}

fn is_macro(item: &ast::Item) -> bool {
    matches!(item, ast::Item::MacroRules(_) | ast::Item::MacroDef(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(items: &[&str], source: &str) -> AnalyzedCell {
        AnalyzedCell {
            items: items.iter().map(|&item| item.to_owned()).collect(),
            variables: vec![("v".to_owned(), "Vec<u8>".to_owned())],
            source: source.to_owned(),
            ..AnalyzedCell::default()
        }
    }

    #[test]
    fn positions_are_mapped_in_both_directions() {
        let source = ":dep a\nuse a::b;\nlet ü = v.len();\nstruct S { x: u8 }\nü + 1";
        let scaffold = Scaffold::new(&cell(&[], source));
        for (offset, _) in source.char_indices().skip(7) {
            let text_offset = scaffold.to_text(offset);
            assert_eq!(
                scaffold.to_source(text_offset),
                Some(offset),
                "{}",
                &source[offset..]
            );
        }
        let at = |text: &str| scaffold.to_text(source.find(text).unwrap());
        assert!(scaffold.text[at("ü = ")..].starts_with("ü = v.len();"));
        assert!(scaffold.text[at("x: u8")..].starts_with("x: u8 }"));
        assert!(at("x: u8") < at("ü = "), "items stand before the function");
        assert_eq!(scaffold.to_source(0), None);
        assert!(scaffold.text.contains("(mut v: Vec<u8>, )"));
    }

    #[test]
    fn plain_file_has_no_asynchronous_function() {
        let text = Scaffold::new(&cell(&[], "let a = f();")).plain();
        assert!(text.contains("pub fn __phalanx_cell(mut v"), "{text}");
        assert!(!text.contains("async"), "{text}");
        for source in [
            "let a = f().await?;",
            "let a = tokio::join!(f(), g());",
            "let a = futures::try_join!(f(), g())?;",
        ] {
            let text = Scaffold::new(&cell(&[], source)).plain();
            assert!(text.contains("Box::new(async move {\nlet a"), "{text}");
            assert!(text.ends_with("Ok(())\n})}\n"), "{text}");
        }
    }

    #[test]
    fn statements_of_other_cells_precede_the_cell() {
        let mut request = cell(&[], "a.len()");
        request.statements = vec!["fn f() {}\nlet a = f() // one".to_owned()];
        let scaffold = Scaffold::new(&request);
        let (before, _) = scaffold.text.split_at(scaffold.to_text(0));
        assert!(before.ends_with("\nlet a = f() // one\n;\n"), "{before}");
        assert!(!before.contains("fn f()"));
        assert_eq!(scaffold.to_source(before.find("let a").unwrap()), None);
    }

    #[test]
    fn redefined_items_are_omitted_with_their_impls() {
        let earlier = [
            "struct A; impl A { fn old() {} }\nimpl Clone for B { }",
            "fn f() -> u8 { m!() }\nmacro_rules! m { () => { 1 } }\nuse x::y; use z::{q, r};",
            "fn f() -> u16 { 2 }\nlet a = statement();",
        ];
        let text = Scaffold::new(&cell(&earlier, "struct A(u8);\nuse other::y;")).text;
        for omitted in ["struct A;", "old()", "fn f() -> u8", "x::y", "statement"] {
            assert!(!text.contains(omitted), "{omitted}: {text}");
        }
        for kept in [
            "impl Clone for B",
            "u16",
            "z::{q, r}",
            "struct A(u8)",
            "other::y",
        ] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
        assert!(text.find("macro_rules").unwrap() < text.find("fn f").unwrap());
    }
}
