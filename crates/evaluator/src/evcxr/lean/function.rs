//! The function that evcxr generates for a cell: the cell's code, between taking variables from the
//! store and putting them back.

use super::names;
use ra_ap_syntax::ast::{self, AstNode, HasArgList, HasName};
use ra_ap_syntax::{NodeOrToken, SyntaxNode, TextRange};
use std::collections::{BTreeMap, BTreeSet};

/// The name of the store in the function.
const STORE: &str = "evcxr_variable_store";

/// The function of one cell.
#[derive(Debug)]
pub(super) struct Function {
    /// All names in it, except for those in the statements of [`StoredVariable`]s.
    pub(super) names: BTreeSet<String>,
    stored: BTreeMap<String, StoredVariable>,
}

/// A variable of an earlier cell.
#[derive(Debug, Default)]
struct StoredVariable {
    /// The names in its type.
    names: BTreeSet<String>,
    /// The statements that check its type, take it and put it back.
    statements: Vec<TextRange>,
}

impl Function {
    /// Parses evcxr's function; `None` if its form is not the expected one.
    pub(super) fn read(function: &ast::Fn) -> Option<Self> {
        let body = function.body()?;
        let mut stored = BTreeMap::<_, StoredVariable>::new();
        let (mut rest, mut others) = (Vec::new(), Vec::new());
        for statement in body.syntax().children().flat_map(|list| list.children()) {
            match StoreCall::read(&statement) {
                Some(call) if call.method == "take_variable" => {
                    stored.entry(call.name.clone()).or_default().add(&call);
                }
                Some(call) => others.push(call),
                None => rest.push(statement),
            }
        }
        let mut names = BTreeSet::new();
        for statement in rest {
            match checks(&statement) {
                Some(checks) => others.extend(checks),
                None => names::add_names(&statement, &mut names),
            }
        }
        for call in others {
            match stored.get_mut(&call.name) {
                Some(variable) => variable.add(&call),
                // A variable declared by the cell.
                None => names::add_names(&call.statement, &mut names),
            }
        }
        Some(Self { names, stored })
    }

    /// Returns the variables of earlier cells.
    pub(super) fn variables(&self) -> impl Iterator<Item = &String> {
        self.stored.keys()
    }

    /// Returns the names in the types of variables.
    pub(super) fn types_of(&self, variables: &BTreeSet<String>) -> BTreeSet<String> {
        let variables = variables.iter().filter_map(|name| self.stored.get(name));
        variables
            .flat_map(|variable| variable.names.clone())
            .collect()
    }

    /// Returns the statements that handle some variables.
    pub(super) fn statements_of(&self, variables: &BTreeSet<String>) -> Vec<TextRange> {
        let variables = variables.iter().filter_map(|name| self.stored.get(name));
        variables
            .flat_map(|variable| variable.statements.clone())
            .collect()
    }
}

impl StoredVariable {
    fn add(&mut self, call: &StoreCall) {
        names::add_names(&call.statement, &mut self.names);
        self.statements.push(call.statement.text_range());
    }
}

/// A statement that accesses the store for one variable.
struct StoreCall {
    method: String,
    name: String,
    statement: SyntaxNode,
}

impl StoreCall {
    fn read(statement: &SyntaxNode) -> Option<Self> {
        let call = if let Some(declaration) = ast::LetStmt::cast(statement.clone()) {
            declaration.initializer()?
        } else {
            match ast::ExprStmt::cast(statement.clone())?.expr()? {
                ast::Expr::BinExpr(check) => check.rhs()?,
                expression => expression,
            }
        };
        let ast::Expr::MethodCallExpr(call) = call else {
            return None;
        };
        if call.receiver()?.syntax().text() != STORE {
            return None;
        }
        let method = call.name_ref()?.text().to_string();
        if !["check_variable", "take_variable", "put_variable"].contains(&method.as_str()) {
            return None;
        }
        // `stringify!(name)`
        let ast::Expr::MacroExpr(name) = call.arg_list()?.args().next()? else {
            return None;
        };
        let tokens = name.macro_call()?.token_tree()?;
        let name = tokens
            .syntax()
            .children_with_tokens()
            .filter_map(NodeOrToken::into_token);
        let name = name.skip(1).find(|token| !token.kind().is_trivia())?;
        Some(Self {
            method,
            name: names::plain(name.text()).to_owned(),
            statement: statement.clone(),
        })
    }
}

/// Returns the checks of variables in evcxr's block `{let mut vars_ok = true; …}`; `None` for other
/// statements.
fn checks(statement: &SyntaxNode) -> Option<Vec<StoreCall>> {
    let block = match ast::BlockExpr::cast(statement.clone()) {
        Some(block) => block,
        None => match ast::ExprStmt::cast(statement.clone())?.expr()? {
            ast::Expr::BlockExpr(block) => block,
            _ => return None,
        },
    };
    let list = block.stmt_list()?;
    let ast::Stmt::LetStmt(first) = list.statements().next()? else {
        return None;
    };
    let ast::Pat::IdentPat(name) = first.pat()? else {
        return None;
    };
    let calls = list.syntax().children();
    (name.name()?.text() == "vars_ok").then(|| {
        calls
            .filter_map(|statement| StoreCall::read(&statement))
            .collect()
    })
}
