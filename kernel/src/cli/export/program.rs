//! The cells of a notebook as a program: items outside of `main`, statements in it.

use super::definition::{Definition, DefinitionKind, Mentions};
use super::item_macros::{ItemMacro, item_macros};
use super::layout::{Entry, Layout, Step, Unit, UnitItem};
use super::statement::{
    awaits, bound, changeable, complete, evaluated, is_open, is_silent, item_names, mutable,
    parted, statements, tokens, variables,
};
use super::unknown::KnownNames;
use crate::cell::{DirectiveKind, FUNCTION_HEAD, help_topic, items, parse_in_function, split};
use crate::command::{self, CommandHandler};
use crate::context::unresolved::occurs;
use crate::magic::{self, Magic, MagicSuffix, TimeIt, Tool};
use ra_ap_syntax::ast::{self, AstNode, HasName};
use ra_ap_syntax::{SyntaxKind, SyntaxNode, TextSize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The calls that stand for magics within Rust.
const MAGIC_CALLS: [&str; 2] = ["phalanx::__magic::run(", "phalanx::__magic::submit("];

/// The types of the library through which code reaches the engines.
const OF_KERNEL: [&str; 2] = ["Client", "Cluster"];

/// A code cell of a notebook.
#[derive(Clone, Debug)]
pub(super) struct CodeCell {
    pub(super) source: String,
    /// True if the notebook expects that it fails, by the tag `raises-exception`.
    pub(super) fails: bool,
}

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
    /// Those of `missing` that are items, which other items may use.
    missing_items: BTreeSet<String>,
    /// The variables that the notebook has defined so far.
    variables: BTreeSet<String>,
    /// Those of them that are `mut`.
    mutable: BTreeSet<String>,
    /// The items that the notebook has defined or imported so far, other than the library's.
    items: BTreeSet<String>,
    /// True once the notebook has imported names of the library.
    has_library: bool,
    /// The names in code that was left out.
    lost: BTreeSet<String>,
    /// The macros that the notebook has defined so far.
    macros: String,
    /// The suffixes of the sets of magics that `%pxactivate` has made.
    suffixes: Vec<MagicSuffix>,
    /// True while `%autopx` sends every cell to the engines.
    is_auto: bool,
    /// True within a cell that the notebook expects to fail.
    fails: bool,
    /// The name of the function that prints a value; the notebook defines none with this name.
    show: &'static str,
    shows: bool,
    awaits: bool,
    has_main: bool,
}

impl Program {
    /// Converts the cells of a notebook in a folder.
    pub(super) fn of(cells: &[CodeCell], beside: &Path) -> Self {
        let known = KnownNames::of(cells.iter().map(|cell| cell.source.as_str()));
        let mut program = Self {
            beside: beside.to_owned(),
            show: if known.contains("show") {
                "show_value"
            } else {
                "show"
            },
            known,
            ..Self::default()
        };
        for (at, CodeCell { source, fails }) in cells.iter().enumerate() {
            program.entries.push(Entry::Cell(at + 1));
            program.fails = *fails;
            match help_topic(source, &program.variables()) {
                Some(_) => program.leave_out(source.trim()),
                None => program.directives(source),
            }
        }
        program.remove_orphans();
        program.layout = Layout::of(&program.entries);
        program
    }

    /// Returns the differences from the notebook that a program cannot avoid.
    pub(super) fn notes(&self) -> &[String] {
        &self.layout.notes
    }

    /// Converts a cell, or the code of a magic or a file.
    fn directives(&mut self, cell: &str) {
        for directive in split(cell, &self.variables()) {
            let line = cell[directive.span.clone()].trim_end();
            match directive.kind {
                // Its names are those of the engines.
                DirectiveKind::Rust(_) if self.is_auto => self.leave_out(line),
                DirectiveKind::Rust(text) if self.fails => self.failing(&text.source),
                DirectiveKind::Rust(text) if has_magic(&text.source) => {
                    self.leave_out(line);
                    self.miss(&text.source);
                    self.lose(&parse_in_function(&text.source).syntax_node());
                    self.items_without_magics(&text.source);
                }
                DirectiveKind::Rust(text) => self.rust(&text.source),
                DirectiveKind::Command(line) => self.command(&line),
                DirectiveKind::Magic(line) => self.magic(&line, None),
                DirectiveKind::CellMagic { line, body: code } => {
                    self.magic(&line, Some(&code.source));
                }
                DirectiveKind::Shell(_) => self.leave_out(line),
            }
        }
    }

    /// Converts code that runs in the notebook's own process, even while `%autopx` is on.
    fn here(&mut self, code: &str) {
        let is_auto = std::mem::replace(&mut self.is_auto, false);
        self.directives(code);
        self.is_auto = is_auto;
    }

    /// Adds the dependency of a `:dep` line, keeps the code of `:time`, and leaves out any other
    /// command.
    fn command(&mut self, line: &str) {
        match command::parse(line) {
            Ok(call) if call.spec.handler == CommandHandler::Dependency => {
                self.dependencies.push(call.argument);
            }
            Ok(call) if call.spec.handler == CommandHandler::Time => {
                self.leave_out(line);
                self.here(&call.argument);
            }
            _ => self.leave_out(line),
        }
    }

    /// Leaves out a magic, and keeps the code that it also runs here.
    fn magic(&mut self, line: &str, cell_body: Option<&str>) {
        let magic = magic::parse(line, &self.suffixes).ok();
        let code_of = |code: Range<usize>| cell_body.unwrap_or(&line[code]).to_owned();
        let (out, here) = match magic.map(|parsed| parsed.magic) {
            Some(Magic::Px { options, code }) => {
                (options.out, options.local.then(|| code_of(code)))
            }
            Some(Magic::PxResult { out, .. }) => (out, None),
            Some(Magic::PxActivate { suffix, .. }) => {
                self.suffixes.push(suffix);
                (None, None)
            }
            Some(Magic::AutoPx) => {
                self.is_auto = !self.is_auto;
                (None, None)
            }
            Some(Magic::Tool(Tool::Profile(profile))) if profile.targets.is_none() => {
                (None, Some(code_of(profile.code)))
            }
            Some(Magic::Tool(Tool::TimeIt(timeit))) if timeit.targets.is_none() => {
                (None, Some(measured(&timeit, line, cell_body)))
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
                self.here(&code);
            }
            (Some(code), None) => self.leave_out(format!("{line}\n{code}").trim_end()),
            (None, None) => self.leave_out(line),
        }
        self.variables.extend(out.clone());
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

    fn variables(&self) -> Vec<String> {
        self.variables.iter().cloned().collect()
    }

    /// Adds the names that a left out text defines to the missing ones.
    fn miss(&mut self, source: &str) {
        let (variables, items) = (variables(source), item_names(source));
        self.missing.extend([&variables[..], &items].concat());
        self.missing_items.extend(items.iter().cloned());
        self.variables.extend(variables);
        self.items.extend(items);
    }

    /// Adds the variables that left out code may change to the missing ones.
    fn lose(&mut self, code: &SyntaxNode) {
        let changed = changeable(code);
        let changed = changed.intersection(&self.mutable).cloned();
        self.missing.extend(changed);
        self.lost.extend(Mentions::of(code).names);
    }

    /// Returns the starts of the items among these statements that are left out, and adds them to
    /// the missing ones: items are in scope above their place, too.
    fn missing_items_of(&mut self, list: &ast::StmtList) -> BTreeSet<TextSize> {
        let items = || {
            list.statements().filter_map(|statement| match statement {
                ast::Stmt::Item(item) => Some(item),
                _ => None,
            })
        };
        let start = |item: &ast::Item| item.syntax().text_range().start();
        let mut missing = BTreeSet::new();
        while let Some(item) = items()
            .find(|item| !missing.contains(&start(item)) && self.reason_of_item(item).is_some())
        {
            missing.insert(start(&item));
            self.miss(&item.syntax().text().to_string());
        }
        missing
    }

    /// Leaves out the declarations whose types follow from code that was left out.
    fn remove_orphans(&mut self) {
        let mut used = BTreeSet::new();
        let mut removed = Vec::new();
        for (at, entry) in self.entries.iter().enumerate().rev() {
            let Entry::Unit(unit) = entry else { continue };
            for (index, step) in unit.steps.iter().enumerate().rev() {
                let is_lost = step.bound.iter().any(|name| self.lost.contains(name));
                let is_used = step.bound.iter().any(|name| used.contains(name.as_str()));
                if step.is_open && is_lost && !is_used {
                    removed.push((at, index));
                    continue;
                }
                used.retain(|name: &&str| step.bound.iter().all(|bound| bound != name));
                used.extend(step.mentions.names.iter().map(String::as_str));
            }
        }
        for (at, index) in removed.into_iter().rev() {
            let Entry::Unit(unit) = &self.entries[at] else {
                continue;
            };
            let text = unit.steps[index].text.trim_end().to_owned();
            let step = self.leave_out_user(&text, "only code that is left out uses it");
            if let Entry::Unit(unit) = &mut self.entries[at] {
                unit.steps[index] = step;
            }
        }
    }

    /// Leaves out code that fails in the notebook, where names keep their earlier meaning.
    fn failing(&mut self, source: &str) {
        let why = "    // Left out, since it fails in the notebook:\n";
        let comment = self.commented(source.trim_end());
        self.entries.push(Entry::Comment(format!("{why}{comment}")));
        let (mut variables, mut items) = (variables(source), item_names(source));
        variables.retain(|name| !self.variables.contains(name));
        items.retain(|name| !self.items.contains(name));
        self.missing_items.extend(items.iter().cloned());
        self.missing.extend([variables, items].concat());
    }

    /// Adds the items of a left out text that do not need the kernel themselves.
    fn items_without_magics(&mut self, source: &str) {
        let mut unit = Unit::default();
        for statement in statements(source) {
            let text = statement.syntax().text().to_string();
            if let ast::Stmt::Item(item) = statement
                && !has_magic(&text)
            {
                unit.items.push(self.item(&item, text));
            }
        }
        self.entries.push(Entry::Unit(unit));
    }

    /// Returns the comment for code that is left out for a reason.
    fn leave_out_user(&mut self, text: &str, reason: &str) -> Step {
        let text = format!("    // Left out, since {reason}:\n{}", self.commented(text));
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
        let made = item_macros(source, &self.macros);
        // Returns the macro call that a statement or last expression consists of, if it makes items.
        let of_macro = |node: &SyntaxNode| {
            let range = node.text_range();
            made.iter().find(|made| {
                let start = FUNCTION_HEAD.len() + made.range.start;
                usize::from(range.start()) <= start && start < usize::from(range.end())
            })
        };
        let missing_items = self.missing_items_of(&list);
        let mut unit = Unit::default();
        for statement in list.statements() {
            let text = text(statement.syntax());
            match statement {
                ast::Stmt::Item(item) => match self.reason_of_item(&item) {
                    Some(reason) if missing_items.contains(&item.syntax().text_range().start()) => {
                        unit.steps.push(self.leave_out_user(&text, &reason));
                    }
                    _ => unit.items.push(self.item(&item, text)),
                },
                other => {
                    let node = other.syntax();
                    if let Some(made) = of_macro(node) {
                        unit.items.push(self.items_of_macro(made, node, &text));
                        continue;
                    }
                    let bound = bound(node);
                    // Its type may be unknown as well.
                    let unknown = || self.unknown_in(node).map(missing);
                    let reason = self.reason(&evaluated(&other)).or_else(unknown);
                    self.missing.retain(|name| !bound.contains(name));
                    self.mutable.retain(|name| !bound.contains(name));
                    self.mutable.extend(mutable(node));
                    self.variables.extend(bound.iter().cloned());
                    if let Some(reason) = reason {
                        unit.steps.push(self.leave_out_user(&text, &reason));
                        self.lose(node);
                        self.missing.extend(bound);
                        continue;
                    }
                    self.awaits |= awaits(node);
                    unit.steps.push(Step {
                        text: format!("{}\n", complete(&other, text)),
                        mentions: Mentions::of(node),
                        bound,
                        is_open: is_open(&other),
                    });
                }
            }
        }
        if let Some(value) = list.tail_expr() {
            let node = value.syntax();
            let text = text(node);
            match (of_macro(node), self.reason(node)) {
                (Some(made), _) => unit.items.push(self.items_of_macro(made, node, &text)),
                (None, Some(reason)) => {
                    unit.steps.push(self.leave_out_user(&text, &reason));
                    self.lose(node);
                }
                (None, None) => unit.steps.push(self.last(&value, &text)),
            }
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
            format!("{comments}{}(&({value}));\n", self.show)
        };
        Step {
            text: code,
            mentions: Mentions::of(value.syntax()),
            ..Step::default()
        }
    }

    /// Returns the missing name that code uses, if any: as a variable, or in a format string. Without
    /// the text of a file, it is one that nothing else defines.
    fn missing_in(&self, code: &SyntaxNode) -> Option<String> {
        let missing = first_used(code, &self.missing);
        missing.or_else(|| self.unknown_in(code))
    }

    /// Returns the reason to leave out a statement, if any.
    fn reason(&self, code: &SyntaxNode) -> Option<String> {
        let kernel = || self.kernel_in(code).map(of_kernel);
        self.missing_in(code).map(missing).or_else(kernel)
    }

    /// Returns the reason to leave out an item, if any: it may use other items, but no variables.
    fn reason_of_item(&self, item: &ast::Item) -> Option<String> {
        let code = item.syntax();
        let own = items(&code.text().to_string()).pop();
        let own = own.as_ref().and_then(|item| item.defined());
        let name = if self.has_unread {
            self.missing_in(code)
        } else {
            let items = self.missing_items.intersection(&self.missing);
            // A function may call itself.
            let others = items.filter(|name| Some(name.as_str()) != own);
            first_used(code, &others.cloned().collect())
        };
        let is_function = matches!(item, ast::Item::Fn(_));
        let kernel = || self.kernel_in(code).filter(|_| is_function);
        name.map(missing).or_else(|| kernel().map(of_kernel))
    }

    /// Returns the type of the library in code that a program cannot use, if any.
    fn kernel_in(&self, code: &SyntaxNode) -> Option<&'static str> {
        let mut before = [const { String::new() }; 2];
        let mut last = None;
        for token in tokens(code) {
            let text = token.text();
            // Tokens within macros are single characters.
            if let Some(name) = last.filter(|_| text.starts_with(':')) {
                return Some(name);
            }
            let [root, path] = &before;
            let is_bare = !matches!(path.as_str(), ":" | "::" | ".");
            last = OF_KERNEL.into_iter().find(|name| {
                let is_imported = self.has_library && !self.items.contains(*name);
                *name == text
                    && if is_bare {
                        is_imported
                    } else {
                        root == "phalanx"
                    }
            });
            if text != ":" || path != ":" {
                before.rotate_left(1);
                before[1] = text.to_owned();
            }
        }
        None
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
            self.items.insert(name.to_owned());
        }
        if let ast::Item::MacroRules(_) = item {
            self.macros.push_str(&text);
            self.macros.push('\n');
        }
        let definitions = Definition::all(item, &text);
        for import in definitions
            .iter()
            .filter(|it| it.kind == DefinitionKind::Use)
        {
            match import.mentions.names.contains("phalanx") {
                true => self.has_library = true,
                false => self.items.extend(import.names.iter().cloned()),
            }
        }
        UnitItem { text, definitions }
    }

    /// Returns the items that the call of a macro makes, such as `thread_local!`.
    fn items_of_macro(&mut self, made: &ItemMacro, call: &SyntaxNode, text: &str) -> UnitItem {
        for name in &made.defines {
            self.missing.remove(name);
            self.items.insert(name.clone());
        }
        // Items with braces have no semicolon.
        let text = text.trim_end_matches(';').trim_end();
        let text = match text.ends_with('}') {
            true => text.to_owned(),
            false => format!("{text};"),
        };
        UnitItem {
            definitions: vec![Definition::of_macro(made, call, &text)],
            text,
        }
    }

    /// Returns true if a word occurs in the program, other than in comments.
    pub(super) fn mentions(&self, word: &str) -> bool {
        let items = self.layout.items.iter().flat_map(|text| text.lines());
        let mut lines = items.chain(self.layout.body.lines());
        lines.any(|line| !line.trim_start().starts_with("//") && occurs(line, word))
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
            text.push_str(&SHOW.replace("NAME", self.show));
        }
        text
    }
}

/// The function that prints a value as the notebook does.
const SHOW: &str = "
/// Prints the value of a cell.
fn NAME<T: std::fmt::Debug + ?Sized>(value: &T) {
    let text = format!(\"{value:?}\");
    if text != \"()\" {
        println!(\"{text}\");
    }
}
";

/// Returns true if Rust text has a magic within it.
fn has_magic(source: &str) -> bool {
    MAGIC_CALLS.iter().any(|call| source.contains(call))
}

/// Returns the code of a `%timeit`, which the library measures. The line of a `%%timeit` has the
/// setup.
fn measured(timeit: &TimeIt, line: &str, cell_body: Option<&str>) -> String {
    let TimeIt { loops, runs, .. } = timeit;
    let typed = &line[timeit.code.clone()];
    let (setup, code) = match cell_body {
        Some(body) => (typed, format!("\n{}", body.trim_end())),
        None => ("", typed.to_owned()),
    };
    format!("{{{setup} phalanx::__magic::timeit({loops:?}, {runs:?}, || {{{code}\n}}); }}")
}

/// Returns the reason to leave out code that uses a name whose definition is left out.
fn missing(name: String) -> String {
    format!("the definition of `{name}` is left out")
}

/// Returns the reason to leave out code that uses a type of the library.
fn of_kernel(name: &str) -> String {
    format!("`{name}` needs the notebook's kernel")
}

/// Returns the first of these names that code uses, if any: as a variable, or in a format string. A
/// name that is declared is not used.
fn first_used(code: &SyntaxNode, names: &BTreeSet<String>) -> Option<String> {
    let mut before = String::new();
    for token in tokens(code) {
        let text = token.text().to_owned();
        let used = names.iter().find(|name| match token.kind() {
            SyntaxKind::IDENT => {
                let is_declared = token
                    .parent()
                    .is_some_and(|it| it.kind() == SyntaxKind::NAME);
                **name == text && !is_declared && !matches!(&*before, "." | "::")
            }
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
    None
}

#[cfg(test)]
impl From<&str> for CodeCell {
    fn from(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            fails: false,
        }
    }
}

#[cfg(test)]
mod tests;
