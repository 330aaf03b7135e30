//! `return` and `?` at the top level of a cell, which end the cell.
//!
//! evcxr's function continues after the cell's code by storing the cell's variables, and supports
//! an early end only as that of an error. So the runtime is notified, and each such `return` is
//! rewritten for the code around the cell: its type differs once a cell has contained a `?`.

use super::source::{declared, last_expression, statements};
use ra_ap_syntax::ast::{self, AstNode, HasArgList, HasGenericArgs};
use ra_ap_syntax::{SyntaxKind, SyntaxNode, TextRange};

/// A cell after which evcxr compiles all cells as if they contained a `?`.
pub(super) const FALLIBLE: &str = "if false { Err::<(), &str>(\"\")?; };";

/// The function that fixes an error type which the user leaves to inference.
const BOXED: &str = "phalanx::__cell::boxed";

/// Returns true if evcxr must have been prepared for a `?` before it compiles a cell.
///
/// Otherwise, it learns of a `?` in the value of a cell from an error there, for which it also
/// shows the value with `{:?}` instead of the value's own `evcxr_display`.
pub(super) fn need_fallible(source: &str) -> bool {
    are_fallible(source) || has_fallible_value(source)
}

/// Returns true if the last expression of a cell has a `?` of the cell itself.
fn has_fallible_value(source: &str) -> bool {
    if !source.contains('?') {
        return false;
    }
    let Some((value, _)) = last_expression(source) else {
        return false;
    };
    // In macro input, a `?` is only a token.
    let nodes = own_nodes(value.syntax());
    let mut tokens = nodes.iter().flat_map(SyntaxNode::children_with_tokens);
    tokens.any(|token| token.kind() == SyntaxKind::QUESTION)
}

/// Returns true if a cell contains a `return` that is only valid in a cell with `?`.
fn are_fallible(source: &str) -> bool {
    let returns = cell_returns(source).0;
    let has_value = |expression: &ast::ReturnExpr| expression.expr().is_some();
    !returns.is_empty()
        && (returns.iter().any(has_value) || source.contains('?') || source.contains(".await"))
}

/// Returns the texts that rewrite the returns of a cell, with their offsets; `fallible` is true if
/// it is compiled as one with `?`.
pub(super) fn additions(source: &str, fallible: bool) -> Vec<(usize, String)> {
    let (returns, cell_offset) = cell_returns(source);
    let names: Vec<String> = declared(source).into_keys().collect();
    let notification = format!("phalanx::__cell::returned(&{names:?});");
    let mut additions = Vec::new();
    for expression in returns {
        let Some(keyword) = expression.return_token() else {
            continue;
        };
        let mut add = |range: TextRange, text: String| {
            additions.extend(cell_offset(range.end().into()).map(|offset| (offset, text)));
        };
        match expression.expr() {
            None if fallible => add(
                keyword.text_range(),
                format!(" {{ {notification} Ok(()) }}"),
            ),
            None => add(keyword.text_range(), format!(" {{ {notification} }}")),
            Some(value) => {
                let (open, close) = match is_ok(&value) {
                    true => (format!(" {{ {notification}"), " }"),
                    // An error is reported like that of a `?`.
                    false if is_open(&value) => (format!(" Ok({BOXED}("), ")?)"),
                    false => (" Ok((".to_owned(), ")?)"),
                };
                add(keyword.text_range(), open);
                add(value.syntax().text_range(), close.to_owned());
            }
        }
    }
    additions
}

/// Returns true for a cell that returns before its end.
pub(super) fn has_any(source: &str) -> bool {
    !cell_returns(source).0.is_empty()
}

/// Returns the `return`s of a cell, and a conversion from their offsets to those of the cell.
fn cell_returns(
    source: &str,
) -> (
    Vec<ast::ReturnExpr>,
    impl Fn(usize) -> Option<usize> + use<>,
) {
    let (statements, cell_offset) = statements(source);
    let has_any = source.contains("return");
    let statements = statements.iter().filter(|_| has_any);
    (statements.flat_map(returns).collect(), cell_offset)
}

/// Returns true for `Ok(…)`.
fn is_ok(value: &ast::Expr) -> bool {
    matches!(value, ast::Expr::CallExpr(call) if called(call).as_deref() == Some("Ok"))
}

/// Returns the last segment of the called function's path.
fn called(call: &ast::CallExpr) -> Option<String> {
    last_name(&call.expr()?)
}

fn last_name(function: &ast::Expr) -> Option<String> {
    let ast::Expr::PathExpr(path) = function else {
        return None;
    };
    Some(path.path()?.segment()?.name_ref()?.text().to_string())
}

/// Returns true if the error type is left to inference: `Err(text.into())`,
/// `result.map_err(Into::into)`.
fn is_open(value: &ast::Expr) -> bool {
    match value {
        ast::Expr::ParenExpr(inner) => inner.expr().is_some_and(|inner| is_open(&inner)),
        ast::Expr::CallExpr(call) if called(call).as_deref() == Some("Err") => {
            let argument = call.arg_list().and_then(|list| list.args().next());
            argument.is_some_and(|argument| is_converted(&argument))
        }
        ast::Expr::MethodCallExpr(call) => {
            let is_map = call.name_ref().is_some_and(|name| name.text() == "map_err");
            let argument = call.arg_list().and_then(|list| list.args().next());
            is_map
                && argument.is_some_and(|argument| match &argument {
                    ast::Expr::ClosureExpr(closure) => {
                        closure.body().is_some_and(|body| is_converted(&body))
                    }
                    function => is_conversion(function),
                })
        }
        _ => false,
    }
}

/// Returns true for a call that converts into an inferred type.
fn is_converted(value: &ast::Expr) -> bool {
    match value {
        ast::Expr::ParenExpr(inner) => inner.expr().is_some_and(|inner| is_converted(&inner)),
        ast::Expr::MethodCallExpr(call) => {
            call.name_ref().is_some_and(|name| name.text() == "into")
                && call.generic_arg_list().is_none()
        }
        ast::Expr::CallExpr(call) => call.expr().is_some_and(|function| is_conversion(&function)),
        _ => false,
    }
}

/// Returns true for `Into::into` and `From::from`.
fn is_conversion(function: &ast::Expr) -> bool {
    let text = function.syntax().text().to_string();
    ["Into::into", "From::from"]
        .iter()
        .any(|name| text.ends_with(name))
}

/// Returns the `return`s in a statement that belong to the cell itself.
fn returns(statement: &SyntaxNode) -> Vec<ast::ReturnExpr> {
    let nodes = own_nodes(statement).into_iter();
    nodes.filter_map(ast::ReturnExpr::cast).collect()
}

/// Returns the nodes in a statement that belong to the cell itself, not to functions, closures or
/// `async` blocks.
fn own_nodes(statement: &SyntaxNode) -> Vec<SyntaxNode> {
    let mut own = Vec::new();
    let mut nodes = vec![statement.clone()];
    while let Some(node) = nodes.pop() {
        // For the parser, a macro call is an item, too.
        let is_item = ast::Item::can_cast(node.kind()) && node.kind() != SyntaxKind::MACRO_CALL;
        if is_item || node.kind() == SyntaxKind::CLOSURE_EXPR {
            continue;
        }
        let block = ast::BlockExpr::cast(node.clone());
        let is_separate =
            |block: ast::BlockExpr| block.async_token().is_some() || block.const_token().is_some();
        if block.is_some_and(is_separate) {
            continue;
        }
        nodes.extend(node.children());
        own.push(node);
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(source: &str) -> String {
        let mut text = source.to_owned();
        let mut additions = additions(source, are_fallible(source));
        additions.sort_by_key(|(offset, _)| *offset);
        for (offset, addition) in additions.iter().rev() {
            text.insert_str(*offset, addition);
        }
        text.replace("phalanx::__cell::returned", "notify")
    }

    #[test]
    fn returns_notify_the_runtime() {
        for (source, expected) in [
            (
                "let ä = 1; if a { return; } b",
                "let ä = 1; if a { return { notify(&[\"ä\"]); }; } b",
            ),
            ("f()?; return;", "f()?; return { notify(&[]); Ok(()) };"),
            (
                "match a { 1 => return Ok(()), _ => return f(1) };",
                "match a { 1 => return { notify(&[]); Ok(()) }, _ => return Ok(( f(1))?) };",
            ),
            (
                "return Err(\"x\".into());",
                "return Ok(phalanx::__cell::boxed( Err(\"x\".into()))?);",
            ),
            (
                "return f().map_err(|e| e.into());",
                "return Ok(phalanx::__cell::boxed( f().map_err(|e| e.into()))?);",
            ),
            (
                "return Err(Error::new(\"x\".into()));",
                "return Ok(( Err(Error::new(\"x\".into())))?);",
            ),
        ] {
            assert_eq!(rewritten(source), expected);
        }
    }

    #[test]
    fn values_with_a_question_mark_are_fallible() {
        for source in [
            "phalanx::table(&[1])?",
            "let ä = 1;\n(f(ä)?, 1)",
            "vec![f()?]",
            "if a { f()? } else { 1 }",
        ] {
            assert!(need_fallible(source), "{source}");
        }
        for source in [
            "f()?;",
            "let a = f()?; a",
            "\"really?\"",
            "(|| f()?)",
            "fn f() -> Option<u8> { g()? }\nf()",
            "async { f()? }",
            "f(? // unfinished",
        ] {
            assert!(!need_fallible(source), "{source}");
        }
    }

    #[test]
    fn returns_of_functions_closures_and_async_blocks_stay() {
        for source in [
            "fn f() { return; } f()",
            "let f = |x: i32| { if x > 1 { return 2; } x };",
            "let f = async { return 1; };",
            "let returned = 1;",
        ] {
            assert_eq!(rewritten(source), source);
        }
    }
}
