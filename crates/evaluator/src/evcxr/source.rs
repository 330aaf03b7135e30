//! Changes to a cell's source before it is passed to evcxr.

use super::statics::Statics;
use super::untyped::{self, TypeAnnotation};
use super::{impls, item_macros, returns};
use phalanx_protocol::analysis::VariableType;
use phalanx_protocol::evaluator::{DroppedVariables, UnkeptVariable};
use phalanx_protocol::failure::DiagnosticSpan;
use ra_ap_syntax::ast::{self, AstNode, HasAttrs, HasModuleItem, HasName};
use ra_ap_syntax::{Edition, SourceFile, SyntaxNode};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::{Range, RangeInclusive};

/// The function that wraps statements for the parser; the source stays on its own lines.
const BEFORE: &str = "fn cell() {\n";
const AFTER: &str = "\n}";

/// The text around the last expression, including one that may be a statement.
const WRAPPER: (&str, &str) = ("&(", ")");
const BLOCK_WRAPPER: (&str, &str) = ("&({ ", " })");

/// A source in the form passed to evcxr, with the mapping to the original.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PreparedSource {
    /// The text to evaluate.
    pub(super) text: String,
    /// The original text.
    pub(super) written: String,
    /// The span of the user's last expression, if the source ends with one.
    pub(super) last_expression: Option<DiagnosticSpan>,
    /// The variables that are dropped before it runs.
    pub(super) dropped: DroppedVariables,
    /// The variables of the cell that are not kept.
    pub(super) unkept: Vec<UnkeptVariable>,
    /// The statics after it has run.
    pub(super) statics: Statics,
    /// The inserted texts, in order.
    inserted: Vec<Insertion>,
}

/// A text inserted into a source.
#[derive(Clone, Debug, PartialEq)]
struct Insertion {
    /// The line and column (from 1, in characters) in the text it was inserted into.
    line: usize,
    column: usize,
    /// The length in characters.
    length: usize,
    /// The variables whose types it specifies.
    types_of: Vec<String>,
}

/// The context of a cell, before it is compiled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CellSetting<'a> {
    /// The types of the variables that the cell declares.
    pub(super) types: &'a [VariableType],
    /// The variables among them whose types rustc has rejected.
    pub(super) disputed: &'a [String],
    /// The items of earlier cells.
    pub(super) items: &'a str,
    /// The impl blocks of earlier cells that are invalid, by the names of [`super::impls`].
    pub(super) stale_impls: &'a [String],
    /// True if the cell is compiled as one with `?`.
    pub(super) fallible: bool,
}

/// Changes the last expression `E` into `&(E)`.
///
/// evcxr shows it with `(E).evcxr_display()`. The prelude's trait is implemented for references, so
/// that types with an `evcxr_display` of their own, as a method or from another trait, keep it; a
/// value must be a reference to use the prelude's without a second compilation.
pub(super) fn prepare(source: &str, setting: &CellSetting<'_>) -> PreparedSource {
    let mut prepared = PreparedSource::typed(source, setting);
    let Some((expression, range)) = last_expression(&prepared.text) else {
        return prepared;
    };
    if matches!(expression, ast::Expr::RefExpr(_)) {
        return prepared;
    }
    let (before, rest) = prepared.text.split_at(range.start);
    let (inside, after) = rest.split_at(range.end - range.start);
    let (open, close) = match may_be_statements(&expression) {
        true => BLOCK_WRAPPER,
        false => WRAPPER,
    };
    prepared.inserted.push(insertion(before, open));
    prepared.text = format!("{before}{open}{inside}{close}{after}");
    prepared
}

/// Returns true for a macro call with braces: at the end of a block, it expands to statements or to
/// a value.
fn may_be_statements(expression: &ast::Expr) -> bool {
    let ast::Expr::MacroExpr(expression) = expression else {
        return false;
    };
    let input = expression.macro_call().and_then(|call| call.token_tree());
    input.is_some_and(|input| input.l_curly_token().is_some())
}

/// Returns an insertion after a text.
fn insertion(before: &str, text: &str) -> Insertion {
    let (line, column) = position(before);
    Insertion {
        line,
        column,
        length: text.chars().count(),
        types_of: Vec::new(),
    }
}

/// Returns the line and column (from 1, in characters) directly after a text.
pub(super) fn position(text: &str) -> (usize, usize) {
    let line = text.matches('\n').count() + 1;
    let last = text.rsplit('\n').next().unwrap_or_default();
    (line, last.chars().count() + 1)
}

/// Returns the last expression and its range, at character boundaries of the source.
pub(super) fn last_expression(source: &str) -> Option<(ast::Expr, Range<usize>)> {
    let parsed = SourceFile::parse(&format!("{BEFORE}{source}{AFTER}"), Edition::Edition2024);
    if !parsed.errors().is_empty() {
        return None;
    }
    let mut items = parsed.tree().items();
    let (Some(ast::Item::Fn(function)), None) = (items.next(), items.next()) else {
        return None;
    };
    let expression = function.body()?.stmt_list()?.tail_expr()?;
    let range = expression.syntax().text_range();
    let start = usize::from(range.start()).checked_sub(BEFORE.len())?;
    let end = usize::from(range.end()).checked_sub(BEFORE.len())?;
    source.get(start..end)?;
    Some((expression, start..end))
}

/// Returns a cell with the semicolon that its last statement lacks, if that is a `let`, which
/// cannot mean anything else. Other errors of the cell remain. A `let` that is unfinished lacks more than that.
pub(super) fn with_semicolon(source: &str) -> Cow<'_, str> {
    let parse =
        |source: &str| SourceFile::parse(&format!("{BEFORE}{source}{AFTER}"), Edition::Edition2024);
    let parsed = parse(source);
    let end = || {
        let ast::Item::Fn(function) = parsed.tree().items().next()? else {
            return None;
        };
        let list = function.body()?.stmt_list()?;
        let last = list.statements().last()?;
        let ast::Stmt::LetStmt(last) = last else {
            return None;
        };
        // What stands behind it belongs to it: `let a = 1 2`.
        if last.initializer().is_none() || list.tail_expr().is_some() {
            return None;
        }
        usize::from(last.syntax().text_range().end()).checked_sub(BEFORE.len())
    };
    if parsed.errors().is_empty() {
        return Cow::Borrowed(source);
    }
    let complete = |end: usize| {
        let (statement, rest) = (source.get(..end)?, source.get(end..)?);
        let complete = format!("{statement};{rest}");
        let errors = parse(&complete).errors();
        let is_finished = errors
            .iter()
            .all(|error| usize::from(error.range().end()) < BEFORE.len() + end);
        (is_finished && errors.len() < parsed.errors().len()).then_some(complete)
    };
    match end().and_then(complete) {
        Some(source) => Cow::Owned(source),
        None => Cow::Borrowed(source),
    }
}

/// Returns the items among a cell's statements, as evcxr recognizes them.
pub(super) fn items(source: &str) -> Vec<ast::Item> {
    let statements = statements(source).0.into_iter();
    statements.filter_map(ast::Item::cast).collect()
}

/// Returns the call of a cell's `main`, if the cell consists of items including one.
pub(super) fn call_of_main(source: &str) -> Option<&'static str> {
    let items = items(source);
    if items.is_empty() || items.len() < statements(source).0.len() {
        return None;
    }
    let main = items.into_iter().find_map(|item| match item {
        ast::Item::Fn(function) if function.name()?.text() == "main" => Some(function),
        _ => None,
    })?;
    let has_parameters = main
        .param_list()
        .is_some_and(|list| list.params().next().is_some());
    if has_parameters {
        return None;
    }
    let returned = main.ret_type().map(|ty| ty.syntax().text().to_string());
    let may_fail = returned.is_some_and(|ty| ty.contains("Result") || ty.contains("Option"));
    // A macro, such as tokio's, makes an asynchronous one synchronous.
    let is_async = main.async_token().is_some() && main.attrs().next().is_none();
    Some(match (is_async, may_fail) {
        (false, false) => "\nmain();",
        (false, true) => "\nmain()?;",
        (true, false) => "\nmain().await;",
        (true, true) => "\nmain().await?;",
    })
}

/// Returns the line ranges of a cell's items, from 1.
pub(super) fn item_lines(source: &str) -> Vec<RangeInclusive<usize>> {
    let code_start = start(source);
    let line = |at: usize| {
        let before = source.as_bytes().get(..at).unwrap_or_default();
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    };
    let items = items(source).into_iter().filter_map(|item| {
        let range = item.syntax().text_range();
        let cell_offset = |at: usize| (code_start + at).checked_sub(BEFORE.len());
        let (start, end) = (usize::from(range.start()), usize::from(range.end()));
        Some(line(cell_offset(start)?)..=line(cell_offset(end)?))
    });
    items.collect()
}

/// Returns the variables a cell declares, and whether each is mutable.
pub(super) fn declared(source: &str) -> BTreeMap<String, bool> {
    let lets = lets(source).0.into_iter();
    let patterns = lets.filter_map(|statement| statement.pat());
    let names = patterns.flat_map(|pattern| {
        let nodes = pattern.syntax().descendants();
        nodes.filter_map(ast::IdentPat::cast).collect::<Vec<_>>()
    });
    names
        .filter_map(|pattern| {
            let name = pattern.name()?.text().to_string();
            Some((name, pattern.mut_token().is_some()))
        })
        .collect()
}

/// Returns the offset at which the Rust code of a source begins, in bytes.
fn start(source: &str) -> usize {
    let is_before = |line: &&str| {
        let text = line.trim_start();
        text.is_empty() || text.starts_with(':') || line.starts_with('!') || line.starts_with("//")
    };
    let before = source.split_inclusive('\n').take_while(is_before);
    before.map(str::len).sum()
}

/// Returns the ranges of the statements and items of a source, as split by evcxr.
pub(super) fn segments(source: &str) -> Vec<Range<usize>> {
    let (nodes, cell_offset) = statements(source);
    // The text before the first one is part of it.
    let further = nodes.iter().skip(1);
    let further = further.filter_map(|node| cell_offset(node.text_range().start().into()));
    let starts = nodes.iter().take(1).map(|_| start(source)).chain(further);
    let starts = starts.collect::<Vec<_>>();
    let ends = starts.iter().skip(1).copied().chain([source.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| *start..end)
        .filter(|range| source.get(range.clone()).is_some())
        .collect()
}

/// Returns the `let`s at a cell's top level, and a conversion from their offsets to those of the
/// cell.
pub(super) fn lets(source: &str) -> (Vec<ast::LetStmt>, impl Fn(usize) -> Option<usize>) {
    let (statements, cell_offset) = statements(source);
    let lets = statements.into_iter().filter_map(ast::LetStmt::cast);
    (lets.collect(), cell_offset)
}

/// Returns the statements of a cell after its commands, and a conversion from their offsets to
/// those of the cell.
pub(super) fn statements(
    source: &str,
) -> (Vec<SyntaxNode>, impl Fn(usize) -> Option<usize> + use<>) {
    let code_start = start(source);
    let source = source.get(code_start..).unwrap_or_default();
    let parsed = SourceFile::parse(&format!("{BEFORE}{source}{AFTER}"), Edition::Edition2024);
    let function = parsed.tree().syntax().children().find_map(ast::Fn::cast);
    let body = function.and_then(|function| function.body()?.stmt_list());
    let statements = body.into_iter();
    let statements = statements.flat_map(|body| body.syntax().children().collect::<Vec<_>>());
    let cell_offset = move |at: usize| (code_start + at).checked_sub(BEFORE.len());
    (statements.collect(), cell_offset)
}

impl PreparedSource {
    /// Wraps a source without changes.
    pub(super) fn unchanged(source: &str) -> Self {
        Self {
            text: source.to_owned(),
            written: source.to_owned(),
            last_expression: last_expression(source).map(|(_, range)| {
                let (start_line, start_column) = position(&source[..range.start]);
                let (end_line, end_column) = position(&source[..range.end]);
                DiagnosticSpan {
                    start_line,
                    start_column,
                    end_line,
                    end_column,
                    label: String::new(),
                    primary: true,
                }
            }),
            dropped: DroppedVariables::default(),
            unkept: Vec::new(),
            statics: Statics::default(),
            inserted: Vec::new(),
        }
    }

    /// Adds types of variables to a source, and names for items that evcxr has no name for.
    pub(super) fn typed(source: &str, setting: &CellSetting<'_>) -> Self {
        let mut prepared = Self::unchanged(source);
        let CellSetting {
            types,
            disputed,
            items,
            stale_impls,
            fallible,
        } = setting;
        let (types, unkept) = untyped::additions(source, types, disputed);
        prepared.unkept = unkept;
        let calls = item_macros::calls(source, items);
        let cell_offset = statements(source).1;
        let blocks = impls::additions(source).into_iter();
        let blocks = blocks.filter_map(|(offset, text)| Some((cell_offset(offset)?, text)));
        let plain = |(offset, text)| TypeAnnotation {
            offset,
            text,
            types_of: Vec::new(),
        };
        // Of several texts at the same offset, the first here comes first.
        let mut additions = vec![plain((start(source), impls::without(stale_impls)))];
        additions.extend(returns::additions(source, *fallible).into_iter().map(plain));
        additions.extend(types);
        additions.extend(item_macros::additions(&calls).into_iter().map(plain));
        additions.extend(blocks.map(plain));
        additions.sort_by_key(|addition| addition.offset);
        let mut text = String::with_capacity(source.len() * 2);
        let mut done = 0;
        for TypeAnnotation {
            offset,
            text: addition,
            types_of,
        } in additions
        {
            text.push_str(&source[done..offset]);
            if !addition.is_empty() {
                prepared.inserted.push(Insertion {
                    types_of,
                    ..insertion(&text, &addition)
                });
            }
            text.push_str(&addition);
            done = offset;
        }
        text.push_str(&source[done..]);
        prepared.text = text;
        prepared
    }

    /// Returns the variables whose types were added at a position of the text passed to evcxr.
    pub(super) fn types_written_at(&self, line: usize, mut column: usize) -> &[String] {
        for insertion in self.inserted.iter().rev() {
            if insertion.line != line || column < insertion.column {
                continue;
            }
            if column < insertion.column + insertion.length {
                return &insertion.types_of;
            }
            column -= insertion.length;
        }
        &[]
    }

    /// Returns true if it ends with an expression whose value is shown.
    pub(super) fn has_result(&self) -> bool {
        self.last_expression.is_some()
    }

    /// Makes the cell drop variables before it runs: their types are available in the code that
    /// created them, but not in this cell.
    pub(super) fn dropping(mut self, dropped: DroppedVariables) -> Self {
        let variables = &dropped.names;
        if variables.is_empty() {
            return self;
        }
        // In a block, so that evcxr does not keep it; the runtime looks it up by name.
        let text = format!(
            "{{ #[unsafe(no_mangle)] extern \"C\" fn phalanx_cell_drops(store: *mut std::ffi::c_void) \
             {{ unsafe {{ ::phalanx::__cell::drop_variables(store, &{variables:?}) }} }} }}; "
        );
        let at = start(&self.text);
        let inserted = insertion(&self.text[..at], &text);
        self.text.insert_str(at, &text);
        for other in &mut self.inserted {
            if other.line == inserted.line {
                other.column += inserted.length;
            }
        }
        self.inserted.insert(0, inserted);
        self.dropped = dropped;
        self
    }

    /// Makes the cell share these statics.
    pub(super) fn sharing(mut self, statics: &Statics) -> Self {
        self.statics = statics.clone();
        self
    }

    /// Converts a column of the text passed to evcxr into one of the user's source.
    pub(super) fn column(&self, line: usize, column: usize) -> usize {
        let insertions = self.inserted.iter().rev();
        insertions
            .filter(|insertion| insertion.line == line)
            .fold(column, |column, insertion| {
                if column > insertion.column {
                    (column.saturating_sub(insertion.length)).max(insertion.column)
                } else {
                    column
                }
            })
    }
}

/// Pairs of lines of the file that evcxr has compiled and of this source, where they are
/// unambiguous: equal lines, a part of one line of the source (evcxr puts each statement on a line
/// of its own), or text around a line of the source (the last expression).
pub(super) fn line_map(compiled: &str, source: &str) -> Vec<(u32, u32)> {
    fn unique_lines(text: &str) -> HashMap<&str, Option<u32>> {
        let mut numbers = HashMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if !line.chars().any(char::is_alphanumeric) {
                continue;
            }
            let entry = numbers.entry(line).or_insert(Some(number));
            if *entry != Some(number) {
                *entry = None;
            }
        }
        numbers
    }
    /// Returns the only line that satisfies a condition, if it occurs once.
    fn only(numbers: &HashMap<&str, Option<u32>>, holds: impl Fn(&str) -> bool) -> Option<u32> {
        let mut matches = numbers.iter().filter(|(line, _)| holds(line));
        match (matches.next(), matches.next()) {
            (Some((_, number)), None) => *number,
            _ => None,
        }
    }
    let (compiled, source) = (unique_lines(compiled), unique_lines(source));
    let mut lines = HashMap::new();
    for (line, number) in &source {
        let Some(number) = *number else { continue };
        let at = match compiled.get(line) {
            Some(at) => *at,
            None => only(&compiled, |around| around.contains(line)),
        };
        lines.extend(at.map(|at| (at, number)));
    }
    for (part, at) in &compiled {
        let Some(at) = at.filter(|at| !lines.contains_key(at)) else {
            continue;
        };
        if source.contains_key(part) {
            continue;
        }
        // The source is short, and most of the compiled code does not come from it.
        let Some(number) = only(&source, |line| line.contains(part)) else {
            continue;
        };
        if only(&compiled, |line| line.contains(part)) == Some(at) {
            lines.insert(at, number);
        }
    }
    let mut lines: Vec<_> = lines.into_iter().collect();
    lines.sort_unstable();
    lines
}

/// Returns the file that evcxr has compiled, with the lines of a cell as its user has written them:
/// those of statements that stood on one line, and of the last expression, differ.
pub(super) fn with_lines_of(compiled: &str, written: &str, map: &[(u32, u32)]) -> String {
    let written: Vec<&str> = written.lines().collect();
    let line = |number: u32| written.get(usize::try_from(number).ok()?.checked_sub(1)?);
    let numbers: HashMap<u32, u32> = map.iter().copied().collect();
    let lines = (1..).zip(compiled.lines()).map(|(number, text)| {
        let own = numbers.get(&number).and_then(|own| line(*own));
        *own.unwrap_or(&text)
    });
    let mut text = lines.collect::<Vec<_>>().join("\n");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
