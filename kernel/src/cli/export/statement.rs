//! The syntax of statements: the names that they bind, and what they do with their values.

use crate::cell::{items, parse_in_function};
use ra_ap_syntax::ast::{self, AstNode, HasArgList, HasName};
use ra_ap_syntax::{SyntaxKind, SyntaxNode, SyntaxToken};
use std::collections::BTreeSet;

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

/// Methods that leave their value as it is.
const READING: [&str; 5] = ["clone", "is_empty", "iter", "len", "to_vec"];

/// The constructors of the standard library's collections, and such.
const CONSTRUCTORS: [&str; 3] = ["default", "new", "with_capacity"];

/// Returns the tokens of code, without whitespace and comments.
pub(super) fn tokens(code: &SyntaxNode) -> impl Iterator<Item = SyntaxToken> {
    let tokens = code.descendants_with_tokens();
    let tokens = tokens.filter_map(|element| element.into_token());
    tokens.filter(|token| !token.kind().is_trivia())
}

/// Returns the names in code, but for those that it only borrows, prints, or asks for their contents.
pub(super) fn changeable(code: &SyntaxNode) -> BTreeSet<String> {
    let all: Vec<SyntaxToken> = tokens(code).collect();
    let text = |at: usize| all.get(at).map_or("", SyntaxToken::text);
    let names = all.iter().enumerate().filter(|(at, token)| {
        let before = at.checked_sub(1).map_or("", text);
        let is_read = before == "&" || text(at + 1) == "." && READING.contains(&text(at + 2));
        let mut around = token.parent_ancestors().filter_map(ast::MacroExpr::cast);
        let is_printed = around.any(|call| is_silent(&ast::Expr::MacroExpr(call)));
        token.kind() == SyntaxKind::IDENT
            && !is_read
            && !is_printed
            && !matches!(before, "." | "::")
    });
    names.map(|(_, token)| token.text().to_owned()).collect()
}

/// Returns the statements and items of Rust text.
pub(super) fn statements(source: &str) -> Vec<ast::Stmt> {
    let parsed = parse_in_function(source).syntax_node();
    let function = parsed.descendants().find_map(ast::Fn::cast);
    let list = function.and_then(|cell| cell.body()?.stmt_list());
    list.map_or_else(Vec::new, |list| list.statements().collect())
}

/// Splits the comments before a value from the value.
pub(super) fn parted<'a>(text: &'a str, value: &ast::Expr) -> (String, &'a str) {
    let length = usize::from(value.syntax().text_range().len());
    match text.len().checked_sub(length) {
        Some(at) if at > 0 && text.is_char_boundary(at) => {
            (format!("{}\n", text[..at].trim_end()), &text[at..])
        }
        _ => (String::new(), text),
    }
}

/// Returns the part of a statement that uses names: of a `let`, its value.
pub(super) fn evaluated(statement: &ast::Stmt) -> SyntaxNode {
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
pub(super) fn bound(statement: &SyntaxNode) -> Vec<String> {
    let pattern = ast::LetStmt::cast(statement.clone()).and_then(|it| it.pat());
    let bound = pattern.into_iter().flat_map(|pattern| {
        let nodes = pattern.syntax().descendants();
        nodes.filter_map(ast::IdentPat::cast)
    });
    bound
        .filter_map(|bound| Some(bound.name()?.text().to_string()))
        .collect()
}

/// Returns the names of a `let` that are declared `mut`.
pub(super) fn mutable(statement: &SyntaxNode) -> Vec<String> {
    let pattern = ast::LetStmt::cast(statement.clone()).and_then(|it| it.pat());
    let nodes = pattern.into_iter().flat_map(|it| it.syntax().descendants());
    let bound = nodes.filter_map(ast::IdentPat::cast);
    let bound = bound.filter(|it| it.mut_token().is_some());
    bound
        .filter_map(|bound| Some(bound.name()?.text().to_string()))
        .collect()
}

/// Returns true for a `let` whose type may follow from later code alone, such as
/// `let v = Vec::new();`, and that does nothing else.
pub(super) fn is_open(statement: &ast::Stmt) -> bool {
    let ast::Stmt::LetStmt(declaration) = statement else {
        return false;
    };
    let value = declaration.initializer();
    declaration.ty().is_none() && value.is_none_or(|value| only_makes(&value))
}

/// Returns true for an expression that makes a value and does nothing else, as far as its form says.
fn only_makes(value: &ast::Expr) -> bool {
    match value {
        ast::Expr::Literal(_) | ast::Expr::PathExpr(_) => true,
        ast::Expr::TupleExpr(tuple) => tuple.fields().all(|field| only_makes(&field)),
        ast::Expr::MacroExpr(call) => {
            let path = call.macro_call().and_then(|call| call.path());
            path.is_some_and(|path| path.syntax().text() == "vec")
        }
        ast::Expr::CallExpr(call) => {
            let mut arguments = call.arg_list().into_iter().flat_map(|list| list.args());
            is_constructor(call) && arguments.all(|argument| only_makes(&argument))
        }
        _ => false,
    }
}

/// Returns true for a call of a constructor: of a type's `new`, a variant or a struct.
fn is_constructor(call: &ast::CallExpr) -> bool {
    let Some(ast::Expr::PathExpr(path)) = call.expr() else {
        return false;
    };
    let name = path.path().and_then(|path| path.segment()?.name_ref());
    name.is_some_and(|name| {
        let name = name.text().to_string();
        name.starts_with(char::is_uppercase) || CONSTRUCTORS.contains(&name.as_str())
    })
}

/// Returns the names of the variables that code defines.
pub(super) fn variables(source: &str) -> Vec<String> {
    let statements = statements(source).into_iter();
    statements.flat_map(|it| bound(it.syntax())).collect()
}

/// Returns the names of the items that code defines.
pub(super) fn item_names(source: &str) -> Vec<String> {
    let items = items(source).into_iter();
    let names = items.filter_map(|item| Some(item.defined()?.to_owned()));
    names.collect()
}

/// Returns the text of a statement, with the semicolon that a `let` at the end of a cell may lack.
pub(super) fn complete(statement: &ast::Stmt, text: String) -> String {
    match statement {
        ast::Stmt::LetStmt(declaration) if declaration.semicolon_token().is_none() => text + ";",
        _ => text,
    }
}

/// Returns true for an expression without a value: a loop, a block without a tail, `println!`.
pub(super) fn is_silent(value: &ast::Expr) -> bool {
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
pub(super) fn awaits(statement: &SyntaxNode) -> bool {
    let is_own = |wait: &SyntaxNode| {
        let mut around = wait.ancestors();
        !around.any(|node| {
            let is_async = |block: ast::BlockExpr| block.async_token().is_some();
            let is_function =
                |function: ast::Fn| function.name().is_some_and(|name| name.text() != "cell");
            ast::BlockExpr::cast(node.clone()).is_some_and(is_async)
                || ast::Fn::cast(node.clone()).is_some_and(is_function)
                || ast::ClosureExpr::can_cast(node.kind())
        })
    };
    // The input of a macro is not parsed.
    let waits = |node: &SyntaxNode| match node.kind() {
        SyntaxKind::AWAIT_EXPR => true,
        SyntaxKind::TOKEN_TREE => {
            let mut before = SyntaxKind::WHITESPACE;
            let tokens = node.children_with_tokens();
            let mut tokens = tokens.filter(|token| !token.kind().is_trivia());
            tokens.any(|token| {
                let follows_dot = before == SyntaxKind::DOT;
                before = token.kind();
                follows_dot && token.to_string() == "await"
            })
        }
        _ => false,
    };
    statement
        .descendants()
        .any(|node| waits(&node) && is_own(&node))
}
