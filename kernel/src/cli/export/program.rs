//! The cells of a notebook as a program: items outside of `main`, statements in it.

use super::definition::{Definition, Mentions};
use super::layout::{Entry, Layout, Step, Unit, UnitItem};
use super::unknown::KnownNames;
use crate::cell::{DirectiveKind, FUNCTION_HEAD, items, parse_in_function, split};
use crate::context::unresolved::occurs;
use crate::magic::{self, Magic, MagicSuffix, Tool};
use ra_ap_syntax::ast::{self, AstNode, HasName};
use ra_ap_syntax::{SyntaxKind, SyntaxNode};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The calls that stand for magics within Rust.
const MAGIC_CALL: &str = "phalanx::__magic::";

/// Macros whose value is not printed.
const SILENT: [&str; 8] = [
    "println",
    "print",
    "eprintln",
    "eprint",
    "assert",
    "assert_eq",
    "assert_ne",
    "todo",
];

/// A notebook as a program.
#[derive(Debug, Default)]
pub(super) struct Program {
    entries: Vec<Entry>,
    layout: Layout,
    /// The folder of the notebook.
    beside: PathBuf,
    /// The files that `%%writefile` has written, by path.
    written: BTreeMap<String, String>,
    /// The files whose `%run` is being carried out.
    running: Vec<String>,
    known: KnownNames,
    /// True if a file of a `%run` could not be read, which may define any name.
    has_unread: bool,
    /// The arguments of `:dep` lines.
    pub(super) dependencies: Vec<String>,
    /// Lines without a counterpart in a program.
    pub(super) left_out: Vec<String>,
    /// Names that left out lines define, and that no later one defines anew.
    missing: BTreeSet<String>,
    /// The suffixes of the sets of magics that `%pxactivate` has made.
    suffixes: Vec<MagicSuffix>,
    shows: bool,
    awaits: bool,
    has_main: bool,
}

impl Program {
    /// Converts the cells of a notebook in a folder.
    pub(super) fn of(cells: &[String], beside: &Path) -> Self {
        let mut program = Self {
            beside: beside.to_owned(),
            known: KnownNames::of(cells),
            ..Self::default()
        };
        for (at, cell) in cells.iter().enumerate() {
            program.entries.push(Entry::Cell(at + 1));
            program.directives(cell);
        }
        program.layout = Layout::of(&program.entries);
        program
    }

    /// Returns the differences from the notebook that a program cannot avoid.
    pub(super) fn notes(&self) -> &[String] {
        &self.layout.notes
    }

    /// Converts a cell, or the code of a magic that also runs here.
    fn directives(&mut self, cell: &str) {
        for directive in split(cell, &[]) {
            let line = cell[directive.span.clone()].trim_end();
            match directive.kind {
                DirectiveKind::Rust(text) if text.source.contains(MAGIC_CALL) => {
                    self.leave_out(line);
                    self.missing.extend(defined(&text.source));
                    self.items_without_magics(&text.source);
                }
                DirectiveKind::Rust(text) => self.rust(&text.source),
                DirectiveKind::Command(line) => match line.strip_prefix(":dep ") {
                    Some(argument) => self.dependencies.push(argument.trim().to_owned()),
                    None => self.leave_out(&line),
                },
                DirectiveKind::Magic(line) => self.magic(&line, None),
                DirectiveKind::CellMagic { line, body: code } => {
                    self.magic(&line, Some(&code.source));
                }
                DirectiveKind::Shell(_) => self.leave_out(line),
            }
        }
    }

    /// Leaves out a magic, and keeps the code that it also runs here.
    fn magic(&mut self, line: &str, cell_body: Option<&str>) {
        let magic = magic::parse(line, &self.suffixes).ok();
        let (out, here) = match magic.map(|parsed| parsed.magic) {
            Some(Magic::Px { options, code }) => {
                let code = cell_body.unwrap_or(&line[code]);
                (options.out, options.local.then_some(code))
            }
            Some(Magic::PxResult { out, .. }) => (out, None),
            Some(Magic::PxActivate { suffix, .. }) => {
                self.suffixes.push(suffix);
                (None, None)
            }
            Some(Magic::Tool(Tool::WriteFile { path, append })) => {
                let file = self.written.entry(path).or_default();
                if !append {
                    file.clear();
                }
                let _ = writeln!(
                    file,
                    "{}",
                    cell_body.unwrap_or_default().trim_end_matches('\n')
                );
                (None, None)
            }
            Some(Magic::Tool(Tool::Run { path })) if self.run(line, &path) => return,
            _ => (None, None),
        };
        match (cell_body, here) {
            (_, Some(code)) => {
                self.leave_out(line);
                self.directives(code);
            }
            (Some(code), None) => self.leave_out(format!("{line}\n{code}").trim_end()),
            (None, None) => self.leave_out(line),
        }
        self.missing.extend(out);
    }

    /// Adds the code of a file; returns false if it cannot be read.
    fn run(&mut self, line: &str, path: &str) -> bool {
        let text = match self.written.get(path) {
            Some(text) => Some(text.clone()),
            None => fs::read_to_string(self.beside.join(path)).ok(),
        };
        let is_rust = !path.ends_with(".py") && !self.running.iter().any(|it| it == path);
        let Some(text) = text.filter(|_| is_rust) else {
            self.has_unread |= is_rust;
            return false;
        };
        self.known.add(&text);
        self.entries
            .push(Entry::Comment(format!("    // {line}\n")));
        self.running.push(path.to_owned());
        self.directives(&text);
        self.running.pop();
        true
    }

    /// Adds the items of a left out text that do not need the kernel themselves.
    fn items_without_magics(&mut self, source: &str) {
        let mut unit = Unit::default();
        for statement in statements(source) {
            let text = statement.syntax().text().to_string();
            if let ast::Stmt::Item(item) = statement
                && !text.contains(MAGIC_CALL)
            {
                unit.items.push(self.item(&item, text));
            }
        }
        self.entries.push(Entry::Unit(unit));
    }

    /// Returns the comment for code that needs a name which a left out line defines.
    fn leave_out_user(&mut self, text: &str, name: &str) -> Step {
        let why = format!(
            "    // Left out, since `{name}` is defined by a line that needs the notebook's kernel:\n"
        );
        let text = why + &self.commented(text);
        Step {
            text,
            ..Step::default()
        }
    }

    fn leave_out(&mut self, text: &str) {
        let comment = self.commented(text);
        self.entries.push(Entry::Comment(comment));
    }

    /// Returns left out text as a comment.
    fn commented(&mut self, text: &str) -> String {
        self.left_out
            .push(text.lines().next().unwrap_or_default().to_owned());
        let lines = text.lines().map(|line| format!("    // {line}\n"));
        lines.collect()
    }

    fn rust(&mut self, source: &str) {
        let root = parse_in_function(source).syntax_node();
        let function = root.descendants().find_map(ast::Fn::cast);
        let Some(list) = function.and_then(|cell| cell.body()?.stmt_list()) else {
            return self.leave_out(source);
        };
        let mut start = 0;
        // Includes the comments before the node.
        let mut text = |node: &SyntaxNode| {
            let end = usize::from(node.text_range().end()).saturating_sub(FUNCTION_HEAD.len());
            let text = source.get(start..end).unwrap_or_default().trim();
            start = end.min(source.len());
            text.to_owned()
        };
        let mut unit = Unit::default();
        for statement in list.statements() {
            let text = text(statement.syntax());
            match statement {
                ast::Stmt::Item(item) => {
                    let missing = self.missing_in(item.syntax());
                    match missing.filter(|_| self.has_unread) {
                        Some(name) => {
                            unit.steps.push(self.leave_out_user(&text, &name));
                            self.missing.extend(defined(&text));
                        }
                        None => unit.items.push(self.item(&item, text)),
                    }
                }
                other => {
                    let bound = bound(other.syntax());
                    let missing = self.missing_in(&evaluated(&other));
                    // Its type may be unknown as well.
                    let missing = missing.or_else(|| self.unknown_in(other.syntax()));
                    if let Some(name) = missing {
                        unit.steps.push(self.leave_out_user(&text, &name));
                        self.missing.extend(bound);
                        continue;
                    }
                    self.missing.retain(|name| !bound.contains(name));
                    self.awaits |= awaits(other.syntax());
                    unit.steps.push(Step {
                        text: format!("{text}\n"),
                        mentions: Mentions::of(other.syntax()),
                        bound,
                    });
                }
            }
        }
        if let Some(value) = list.tail_expr() {
            let text = text(value.syntax());
            let step = match self.missing_in(value.syntax()) {
                Some(name) => self.leave_out_user(&text, &name),
                None => self.last(&value, &text),
            };
            unit.steps.push(step);
        }
        self.entries.push(Entry::Unit(unit));
    }

    /// Returns the statement for the last expression of a cell.
    fn last(&mut self, value: &ast::Expr, text: &str) -> Step {
        self.awaits |= awaits(value.syntax());
        let code = if is_silent(value) {
            format!("{text};\n")
        } else {
            self.shows = true;
            let (comments, value) = parted(text, value);
            format!("{comments}show(&({value}));\n")
        };
        Step {
            text: code,
            mentions: Mentions::of(value.syntax()),
            bound: Vec::new(),
        }
    }

    /// Returns the missing name that code uses, if any: as a variable, or in a format string. Without
    /// the text of a file, it is one that nothing else defines.
    fn missing_in(&self, code: &SyntaxNode) -> Option<String> {
        let tokens = code
            .descendants_with_tokens()
            .filter_map(|element| element.into_token())
            .filter(|token| !token.kind().is_trivia());
        let mut before = String::new();
        for token in tokens {
            let text = token.text().to_owned();
            let used = self.missing.iter().find(|name| match token.kind() {
                SyntaxKind::IDENT => **name == text && !matches!(&*before, "." | "::"),
                SyntaxKind::STRING => ["}", ":"]
                    .iter()
                    .any(|end| text.contains(&format!("{{{name}{end}"))),
                _ => false,
            });
            if let Some(name) = used {
                return Some(name.clone());
            }
            before = text;
        }
        self.unknown_in(code)
    }

    /// Returns the name in code that only a file without its text can define, if any.
    fn unknown_in(&self, code: &SyntaxNode) -> Option<String> {
        match self.has_unread {
            true => self.known.unknown_in(code),
            false => None,
        }
    }

    /// Returns an item with its definitions.
    fn item(&mut self, item: &ast::Item, text: String) -> UnitItem {
        let is_main = matches!(item, ast::Item::Fn(function)
            if function.name().is_some_and(|name| name.text() == "main"));
        self.has_main |= is_main;
        let text = match is_main {
            // The program's own `main` calls it at its end, as the notebook did.
            true => text.replacen("fn main", "fn notebook_main", 1),
            false => text,
        };
        let known = items(&text).pop();
        if let Some(name) = known.as_ref().and_then(|item| item.defined()) {
            self.missing.remove(name);
        }
        let definitions = Definition::all(item, &text);
        UnitItem { text, definitions }
    }

    /// Returns true if a word occurs in the program.
    pub(super) fn mentions(&self, word: &str) -> bool {
        let mut texts = self.layout.items.iter();
        occurs(&self.layout.body, word) || texts.any(|text| occurs(text, word))
    }

    /// Returns true if the statements await futures.
    pub(super) fn awaits(&self) -> bool {
        self.awaits
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::from("#![allow(unused)]\n\n");
        for item in &self.layout.items {
            let _ = writeln!(text, "{item}\n");
        }
        let (attribute, word) = match self.awaits {
            true => ("#[tokio::main]\n", "async "),
            false => ("", ""),
        };
        let _ = writeln!(
            text,
            "{attribute}{word}fn main() -> Result<(), Box<dyn std::error::Error>> {{\n{}{}{}    Ok(())\n}}",
            self.layout.body,
            if self.has_main {
                "    notebook_main();\n"
            } else {
                ""
            },
            "    }\n".repeat(self.layout.depth),
        );
        if self.shows {
            text.push_str(SHOW);
        }
        text
    }
}

/// The function that prints a value as the notebook does.
const SHOW: &str = "
/// Prints the value of a cell.
fn show<T: std::fmt::Debug + ?Sized>(value: &T) {
    let text = format!(\"{value:?}\");
    if text != \"()\" {
        println!(\"{text}\");
    }
}
";

/// Returns the statements and items of Rust text.
fn statements(source: &str) -> Vec<ast::Stmt> {
    let parsed = parse_in_function(source).syntax_node();
    let function = parsed.descendants().find_map(ast::Fn::cast);
    let list = function.and_then(|cell| cell.body()?.stmt_list());
    list.map_or_else(Vec::new, |list| list.statements().collect())
}

/// Splits the comments before a value from the value.
fn parted<'a>(text: &'a str, value: &ast::Expr) -> (String, &'a str) {
    let length = usize::from(value.syntax().text_range().len());
    match text.len().checked_sub(length) {
        Some(at) if at > 0 && text.is_char_boundary(at) => {
            (format!("{}\n", text[..at].trim_end()), &text[at..])
        }
        _ => (String::new(), text),
    }
}

/// Returns the part of a statement that uses names: of a `let`, its value.
fn evaluated(statement: &ast::Stmt) -> SyntaxNode {
    let value = match statement {
        ast::Stmt::LetStmt(declaration) => declaration.initializer(),
        _ => None,
    };
    value.map_or_else(
        || statement.syntax().clone(),
        |value| value.syntax().clone(),
    )
}

/// Returns the names that a statement binds.
fn bound(statement: &SyntaxNode) -> Vec<String> {
    let pattern = ast::LetStmt::cast(statement.clone()).and_then(|it| it.pat());
    let bound = pattern.into_iter().flat_map(|pattern| {
        let nodes = pattern.syntax().descendants();
        nodes.filter_map(ast::IdentPat::cast)
    });
    bound
        .filter_map(|bound| Some(bound.name()?.text().to_string()))
        .collect()
}

/// Returns the names of the variables and items that code defines.
fn defined(source: &str) -> Vec<String> {
    let statements = parse_in_function(source).syntax_node().descendants();
    let statements = statements.filter_map(ast::LetStmt::cast);
    let mut names: Vec<String> = statements.flat_map(|it| bound(it.syntax())).collect();
    let items = items(source);
    names.extend(
        items
            .iter()
            .filter_map(|item| Some(item.defined()?.to_owned())),
    );
    names
}

/// Returns true for an expression without a value: a loop, a block without a tail, `println!`.
fn is_silent(value: &ast::Expr) -> bool {
    match value {
        ast::Expr::ForExpr(_) | ast::Expr::WhileExpr(_) => true,
        ast::Expr::BinExpr(operation) => {
            let kind = operation.op_kind();
            matches!(kind, Some(ast::BinaryOp::Assignment { .. }))
        }
        ast::Expr::IfExpr(condition) => condition.else_branch().is_none(),
        ast::Expr::BlockExpr(block) => block.tail_expr().is_none_or(|tail| is_silent(&tail)),
        ast::Expr::MacroExpr(call) => {
            let path = call.macro_call().and_then(|call| call.path());
            let name = path.and_then(|path| path.segment()?.name_ref());
            name.is_some_and(|name| SILENT.iter().any(|silent| name.text() == *silent))
        }
        _ => false,
    }
}

/// Returns true if a statement awaits outside of its `async` blocks and functions.
fn awaits(statement: &SyntaxNode) -> bool {
    let waits = statement.descendants().filter_map(ast::AwaitExpr::cast);
    let is_own = |wait: &ast::AwaitExpr| {
        let mut around = wait.syntax().ancestors();
        !around.any(|node| {
            let is_async = |block: ast::BlockExpr| block.async_token().is_some();
            let is_function =
                |function: ast::Fn| function.name().is_some_and(|name| name.text() != "cell");
            ast::BlockExpr::cast(node.clone()).is_some_and(is_async)
                || ast::Fn::cast(node.clone()).is_some_and(is_function)
                || ast::ClosureExpr::can_cast(node.kind())
        })
    };
    waits.filter(is_own).count() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_files_is_inlined_and_what_needs_a_missing_one_left_out() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("größe.rs"),
            "fn size() -> u8 { 1 }\nlet a = 2;",
        )
        .unwrap();
        let cells = [
            "%%writefile made.rs\nfn made() -> u8 { 3 }",
            "%run größe.rs\n%run made.rs\nsize() + made() + a",
            "%run nowhere.rs\nlet b = other();",
            "fn g() -> u8 { other() }\nfn h() -> u8 { made() }",
            "println!(\"{b}\")",
            "g()",
            "h()",
        ];
        let program = Program::of(&cells.map(str::to_owned), folder.path());
        let text = program.text();
        let why = |name: &str| {
            format!(
                "    // Left out, since `{name}` is defined by a line that needs the notebook's kernel:\n"
            )
        };
        for part in [
            "fn size() -> u8 { 1 }\n\nfn made() -> u8 { 3 }\n",
            "// %run größe.rs\nlet a = 2;\n    // %run made.rs\nshow(&(size() + made() + a));",
            &*format!(
                "// %run nowhere.rs\n{}    // let b = other();",
                why("other")
            ),
            &*format!("{}    // fn g() -> u8 {{ other() }}", why("other")),
            &*format!("{}    // println!(\"{{b}}\")", why("b")),
            &*format!("{}    // g()", why("g")),
            "show(&(h()));",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    fn program(cells: &[&str]) -> Program {
        let cells: Vec<String> = cells.iter().map(|cell| (*cell).to_owned()).collect();
        Program::of(&cells, Path::new(""))
    }

    #[test]
    fn items_are_placed_outside_main_and_statements_in_it() {
        let program = program(&[
            ":dep rand = \"0.9\"\nuse rand::random;",
            "/// One.\nfn f() -> u32 { 1 }\n// the first\nlet a = f();",
            "fn f() -> u32 { 2 }\nlet b = a + f();\n// what comes of it\nb",
            "println!(\"{b}\")",
            "for _ in 0..2 { f(); }",
            "%%px\nlet id = 1;",
            "!ls\na",
        ]);
        assert_eq!(program.dependencies, ["rand = \"0.9\""]);
        assert_eq!(program.left_out, ["%%px", "!ls"]);
        let text = program.text();
        for part in [
            "use rand::random;\n",
            "/// One.\nfn f() -> u32 { 1 }\n",
            "// In [2]\n// the first\nlet a = f();\n",
            "for the rest of the program.\n    {\nfn f() -> u32 { 2 }\n\nlet b = a + f();\n// what comes of it\nshow(&(b));",
            "println!(\"{b}\");",
            "for _ in 0..2 { f(); };",
            "// %%px\n    // let id = 1;",
            "// !ls\nshow(&(a));",
            "fn main() -> Result<(), Box<dyn std::error::Error>> {",
            "fn show<T",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn code_that_needs_a_left_out_name_is_left_out_as_well() {
        let program = program(&[
            "%%px --noblock -o ar\n1",
            "let sum = ar.get()?;\nlet other = 2;\nother",
            "show(&ar)",
            "println!(\"{ar:?} {sum}\")",
            "println!(\"no ar, {}\", other.ar)",
            "let handle = %px --noblock 1;\nlet more = 1;",
            "handle.get()? + more",
            "let ar = 5;\nar",
            "%%px --local\nlet both = 3;",
            "both",
        ]);
        let text = program.text();
        let why =
            "// Left out, since `ar` is defined by a line that needs the notebook's kernel:\n";
        for part in [
            &*format!("{why}    // let sum = ar.get()?;\nlet other = 2;\nshow(&(other));"),
            &*format!("{why}    // show(&ar)\n"),
            &*format!("{why}    // println!(\"{{ar:?}} {{sum}}\")\n"),
            "println!(\"no ar, {}\", other.ar);",
            "// let handle = %px --noblock 1;\n    // let more = 1;\n",
            "// handle.get()? + more\n",
            "let ar = 5;\nshow(&(ar));",
            "// %%px --local\nlet both = 3;\n",
            "show(&(both));",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        let left_out: Vec<&str> = program.left_out.iter().map(String::as_str).collect();
        assert_eq!(
            left_out[..2],
            ["%%px --noblock -o ar", "let sum = ar.get()?;"]
        );
    }

    #[test]
    fn code_that_also_runs_here_is_kept_with_its_dependencies() {
        let program = program(&[
            "%%px --local\n:dep rand = \"0.9\"\nlet both = rand::random::<u8>();\nfn f() {}",
            "%px --local let k = 3;\nk + 1",
            "%px let there = 3;",
        ]);
        assert_eq!(program.dependencies, ["rand = \"0.9\""]);
        let text = program.text();
        for part in [
            "// %%px --local\nlet both = rand::random::<u8>();\n",
            "\nfn f() {}\n",
            "// %px --local let k = 3;\nlet k = 3;\nshow(&(k + 1));",
            "    // %px let there = 3;\n\n",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(!text.contains("dep rand"), "{text}");
    }

    #[test]
    fn names_of_activated_magics_are_missing_and_items_are_not() {
        let text = program(&[
            "%pxactivate -t ::2 _even",
            "%%px_even --noblock -o ar\n1",
            "ar.get()?",
            "fn f() -> i32 { 1 }\nfn g() {\n%px 1\n}\nlet h = %px --noblock 1;",
            "f()",
            "g()",
            "fn g() {}\nf() + 1",
            "g();",
        ])
        .text();
        let needs = |name: &str| format!("`{name}` is defined by a line that needs the notebook's");
        for part in [
            &*format!("{} kernel:\n    // ar.get()?", needs("ar")),
            "fn f() -> i32 { 1 }\n",
            "show(&(f()));",
            &*format!("{} kernel:\n    // g()\n", needs("g")),
            "fn g() {}\n",
            "show(&(f() + 1));",
            "g();\n",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn an_exported_program_awaits_futures_and_calls_the_notebooks_main() {
        let waiting = program(&["let a = async { f().await };\na.await"]);
        assert!(waiting.text().contains("#[tokio::main]\nasync fn main()"));
        assert!(!program(&["let a = async { f().await };"]).awaits());
        let with_main = program(&["fn main() { println!(\"x\") }"]).text();
        assert!(with_main.contains("fn notebook_main() {"), "{with_main}");
        assert!(with_main.contains("    notebook_main();\n"), "{with_main}");
    }
}
