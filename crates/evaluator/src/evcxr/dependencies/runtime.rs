//! A single tokio runtime for all cells, in the shared library that contains tokio.
//!
//! evcxr creates a runtime for cells that `.await`, but not for a cell that only spawns. Here every
//! cell that mentions a crate depending on tokio runs within the same runtime, which is created by
//! the first one.

use super::super::generated_crate::ENTRY;
use super::crates::BuiltCrate;
use crate::BUILD_REASON;
use cargo_metadata::Metadata;
use ra_ap_syntax::ast::{self, AstNode};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind, SyntaxNode, SyntaxToken};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The dependency of cells that await, which they need not declare: the crate and its
/// configuration.
pub(crate) const TOKIO: (&str, &str) = ("tokio", "{ version = \"1\", features = [\"full\"] }");

/// Prints the reason for building it, as a progress line.
pub(crate) fn explain_tokio() {
    let name = TOKIO.0;
    eprintln!("{BUILD_REASON}cells with `.await` need {name}");
}

/// The prefix of tokio versions that are supported.
const VERSION: &str = "1.";
const FULL: &str = "full";

/// The name by which a cell refers to the shared library.
pub(super) const DEPENDENCIES: &str = "__phalanx_dependencies";

/// The feature that enables the multi-threaded runtime.
const FEATURE: &str = "rt-multi-thread";

/// The code of the shared library that contains the runtime. Cells only compile a call of it.
///
/// evcxr treats every cell as asynchronous once one has awaited. So a cell starts outside of
/// `block_on`, where it may block on runtimes of its own, or on libraries that have one, as in `fn
/// main`.
const SOURCE: &str = r#"
fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: std::sync::OnceLock<tokio::runtime::Runtime> = std::sync::OnceLock::new();
    RUNTIME.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.expect("tokio's runtime cannot be started")
    })
}
pub fn enter() -> tokio::runtime::EnterGuard<'static> {
    runtime().enter()
}
pub fn block_on<F: Future>(future: F) {
    wait(std::pin::pin!(async {
        let _ = future.await;
    }));
}
fn wait(mut future: std::pin::Pin<&mut dyn Future<Output = ()>>) {
    let begun = {
        let _inside = enter();
        future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    };
    if begun.is_pending() {
        runtime().block_on(future)
    }
}
"#;

/// The beginning and the end of the code with which evcxr enters its own runtime.
const EVCXR_RUNTIME: (&str, &str) = ("\nlet mut mutex =", ".block_on(async {");

/// A tokio crate with a multi-threaded runtime.
#[derive(Debug)]
pub(crate) struct Runtime {
    library: PathBuf,
}

impl Runtime {
    /// Finds the runtime among built crates; if there are several, the one that cells use.
    pub(super) fn find(crates: &[BuiltCrate], externs: &[(String, PathBuf)]) -> Option<Self> {
        let usable = |built: &&BuiltCrate| {
            built.name == TOKIO.0 && built.features.iter().any(|feature| feature == FEATURE)
        };
        let is_direct = |built: &&BuiltCrate| {
            let direct = externs.iter().map(|(_, library)| library);
            direct
                .into_iter()
                .any(|library| *library == built.file.path)
        };
        let mut usable = crates.iter().filter(usable);
        let tokio = usable.clone().find(is_direct).or_else(|| usable.next())?;
        Some(Self {
            library: tokio.file.path.clone(),
        })
    }

    /// Returns the library of the tokio crate.
    pub(super) fn library(&self) -> &Path {
        &self.library
    }

    /// Returns the rustc argument for the crate, and the code for the shared library.
    pub(super) fn code(&self) -> (String, &'static str) {
        (format!("{}={}", TOKIO.0, self.library.display()), SOURCE)
    }

    /// Returns the tokio packages among crates.
    pub(super) fn packages(crates: &[BuiltCrate]) -> BTreeSet<&str> {
        let tokio = crates.iter().filter(|built| built.name == TOKIO.0);
        tokio.map(|built| built.package.as_str()).collect()
    }
}

/// Returns the dependency that provides a runtime for cells, if a crate needs tokio and the
/// manifest does not contain it, from the output of `cargo metadata`. It would be added anyway once
/// a cell awaits, and all crates depending on tokio be rebuilt.
pub(crate) fn tokio_for(metadata: &[u8], manifest: &str) -> Option<String> {
    let metadata: Metadata = serde_json::from_slice(metadata).ok()?;
    let tokio = metadata.packages.iter().find(|package| {
        let version = package.version.to_string();
        package.name.as_str() == TOKIO.0 && version.starts_with(VERSION)
    })?;
    let resolved = metadata.resolve?;
    let node = resolved.nodes.iter().find(|node| node.id == tokio.id)?;
    let has = |feature: &str| node.features.iter().any(|known| known.as_str() == feature);
    if has(FULL) {
        return None;
    }
    let manifest: Table = manifest.parse().ok()?;
    let own = manifest.get("dependencies")?.get(TOKIO.0);
    let version = own.and_then(|own| own.as_str().or_else(|| own.get("version")?.as_str()));
    if version.is_some_and(|version| version.starts_with('0')) {
        return None;
    }
    let config = match own {
        None => TOKIO.1.to_owned(),
        Some(_) if has(FEATURE) => return None,
        Some(Value::Table(table)) => {
            let mut table = table.clone();
            let features = table.entry("features").or_insert(Value::Array(Vec::new()));
            features.as_array_mut()?.push(FULL.into());
            Value::Table(table).to_string()
        }
        Some(version) => format!("{{ version = {version}, features = [{FULL:?}] }}"),
    };
    Some(format!("{} = {config}", TOKIO.0))
}

/// Makes a cell's crate run within the shared library's runtime: instead of evcxr's, or if it
/// mentions one of `users`, the crates that depend on tokio. The number of lines does not change.
pub(super) fn within_runtime(source: &str, users: &BTreeSet<String>) -> Option<String> {
    let entry = source.rfind(ENTRY)?;
    let function = &source[entry..];
    if let Some(at) = function.find(EVCXR_RUNTIME.0) {
        let (begin, end) = (
            entry + at,
            entry + at + function[at..].find(EVCXR_RUNTIME.1)?,
        );
        let lines = "\n".repeat(source[begin..end].matches('\n').count());
        let (before, after) = (&source[..begin], &source[end + 1..]);
        return Some(format!("{before}{lines}{DEPENDENCIES}::{after}"));
    }
    if !mentions(source, users) {
        return None;
    }
    insert_at_entry(source, &format!("let _runtime = {DEPENDENCIES}::enter();"))
}

/// Makes a cell's crate reference the shared library even if its code does not: otherwise the
/// linker would omit it, and with it the code that ends a cell. The number of lines does not
/// change.
pub(super) fn referencing(source: &str) -> Option<String> {
    insert_at_entry(source, &format!("{DEPENDENCIES}::used();"))
}

/// Inserts a statement before a cell's code.
fn insert_at_entry(source: &str, statement: &str) -> Option<String> {
    let entry = source.rfind(ENTRY)?;
    let body = entry + source[entry..].find('{')? + 1;
    let (before, after) = source.split_at(body);
    Some(format!("{before}{statement}{after}"))
}

/// Returns true if the code of a crate mentions one of `users`, or a name imported from one.
fn mentions(source: &str, users: &BTreeSet<String>) -> bool {
    if users.is_empty() {
        return false;
    }
    let parsed = SourceFile::parse(source, Edition::Edition2024);
    let mut relevant = users.clone();
    let mut names = BTreeSet::new();
    for item in parsed.tree().syntax().children() {
        match ast::Use::cast(item.clone()) {
            Some(import) => {
                if imports_any(&import, users) {
                    relevant.extend(identifiers(import.syntax()));
                    // Any name may come from a glob import.
                    let tokens = import.syntax().descendants_with_tokens();
                    if tokens
                        .into_iter()
                        .any(|token| token.kind() == SyntaxKind::STAR)
                    {
                        return true;
                    }
                }
            }
            None => names.extend(identifiers(&item)),
        }
    }
    names.iter().any(|name| relevant.contains(name))
}

fn imports_any(import: &ast::Use, users: &BTreeSet<String>) -> bool {
    identifiers(import.syntax()).any(|name| users.contains(&name))
}

/// Returns the identifiers in a node; in an import, including those before `as`.
fn identifiers(node: &SyntaxNode) -> impl Iterator<Item = String> + use<> {
    let tokens = node.descendants_with_tokens();
    let tokens = tokens.filter_map(|element| element.into_token());
    let names = tokens.filter(|token| token.kind() == SyntaxKind::IDENT);
    names.map(|token| token.text().to_owned())
}

/// The macros that await futures where they are called.
const AWAITING: [&str; 6] = [
    "join",
    "join_biased",
    "try_join",
    "try_join_biased",
    "select",
    "select_biased",
];

/// Returns true if a cell awaits a future itself, outside of `async` functions and blocks, and so
/// needs a runtime.
pub(crate) fn awaits(cell: &str) -> bool {
    const CRATES: [&str; 2] = ["tokio", "futures"];
    awaits_with(cell, |path| {
        let (first, _) = path.split_once("::").unwrap_or_default();
        CRATES.contains(&first)
    })
}

/// Returns true if a cell awaits, or calls a macro that may: with an import, `join!` is tokio's.
pub(crate) fn may_await(cell: &str) -> bool {
    awaits_with(cell, |_| true)
}

/// Returns true if a cell has an `.await` of its own, or calls one of [`AWAITING`] that
/// `is_awaiting` accepts by its path.
fn awaits_with(cell: &str, is_awaiting: impl Fn(&str) -> bool) -> bool {
    if !cell.contains("await") && !AWAITING.iter().any(|name| cell.contains(name)) {
        return false;
    }
    let parsed = SourceFile::parse(&format!("fn cell() {{\n{cell}\n}}"), Edition::Edition2024);
    let tree = parsed.tree();
    let is_own = |node: Option<SyntaxNode>| {
        let mut around = node.into_iter().flat_map(|node| node.ancestors());
        // The wrapper around the cell is a function too.
        !around.any(|node| {
            is_await_boundary(&node) && node.parent().is_some_and(|outer| outer.parent().is_some())
        })
    };
    let tokens = tree.syntax().descendants_with_tokens();
    let tokens = tokens.filter_map(|element| element.into_token());
    let tokens: Vec<SyntaxToken> = tokens.filter(|token| !token.kind().is_trivia()).collect();
    // In macro input, `await` is an ordinary name, and calls of macros are tokens.
    (0..tokens.len()).any(|at| {
        let token = &tokens[at];
        let is_await = token.kind() == SyntaxKind::AWAIT_KW
            || token.kind() == SyntaxKind::IDENT && token.text() == "await";
        let awaits = is_await || called_macro(&tokens, at).is_some_and(|path| is_awaiting(&path));
        awaits && is_own(token.parent())
    })
}

/// The path of one of [`AWAITING`] if it is called at a token, with its name.
fn called_macro(tokens: &[SyntaxToken], name: usize) -> Option<String> {
    let text = |at: usize| tokens.get(at).map_or("", SyntaxToken::text);
    let is_name = AWAITING.contains(&text(name));
    let is_call = text(name + 1) == "!" && matches!(text(name + 2), "(" | "[" | "{");
    if !is_name || !is_call {
        return None;
    }
    let segment_before = |at: usize| {
        // In macro input, `::` are two tokens.
        let colons = match (text(at.checked_sub(1)?), text(at.checked_sub(2)?)) {
            ("::", _) => 1,
            (":", ":") => 2,
            _ => return None,
        };
        let before = at.checked_sub(colons + 1)?;
        (tokens[before].kind() == SyntaxKind::IDENT).then_some(before)
    };
    let (mut path, mut start) = (text(name).to_owned(), name);
    while let Some(before) = segment_before(start) {
        path = format!("{}::{path}", text(before));
        start = before;
    }
    Some(path)
}

/// Returns true for code in which an `.await` does not belong to the cell: it is `async` itself, or
/// cannot await.
fn is_await_boundary(node: &SyntaxNode) -> bool {
    match node.kind() {
        SyntaxKind::BLOCK_EXPR => {
            let mut tokens = node.children_with_tokens();
            tokens.any(|token| token.kind() == SyntaxKind::ASYNC_KW)
        }
        // In macro input, blocks are brackets.
        SyntaxKind::TOKEN_TREE => {
            let before = node.first_token().and_then(|brace| previous(&brace));
            let before = before.and_then(|token| match token.text() {
                "move" => previous(&token),
                _ => Some(token),
            });
            before.is_some_and(|token| token.text() == "async")
        }
        kind => matches!(
            kind,
            SyntaxKind::FN
                | SyntaxKind::CLOSURE_EXPR
                | SyntaxKind::CONST
                | SyntaxKind::STATIC
                | SyntaxKind::MACRO_RULES
                | SyntaxKind::MACRO_DEF
        ),
    }
}

/// The token before another one, without whitespace and comments.
fn previous(token: &SyntaxToken) -> Option<SyntaxToken> {
    let mut before = token.prev_token()?;
    while before.kind().is_trivia() {
        before = before.prev_token()?;
    }
    Some(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> BTreeSet<String> {
        BTreeSet::from(["reqwest".to_owned(), "tokio".to_owned()])
    }

    #[test]
    fn await_outside_of_async_code_is_detected() {
        for cell in [
            "f().await",
            "let größe = f().await?;",
            "println!(\"{}\", f().await)",
            "async fn f() {} f().await",
            "let (a, b) = tokio::join!(f(), g());",
            "tokio::select! { a = f() => a, b = g() => b }",
            "futures::try_join!(f(), g())?",
            "println!(\"{:?}\", tokio::join!(f(), g()))",
            "assert_eq!(::tokio :: join! [f(), g()], (1, 2));",
            "dbg!(futures::future::join!(f()));",
            "phalanx::__cell::unkept! { let (a, b) = tokio::join!(f(), g()); }; let a: u8 = a;",
            "phalanx::__cell::unkept! { let (a, b) = tokio::join!(f(), g()); };\na + b",
        ] {
            assert!(awaits(cell) && may_await(cell), "{cell}");
        }
        for cell in [
            "join!(f(), g())",
            "mine::select!(f())",
            "dbg!(join!(f(), g()))",
            "dbg!(mine::select!(f()))",
        ] {
            assert!(may_await(cell) && !awaits(cell), "{cell}");
        }
        for cell in [
            "async fn f() { g().await }",
            "let f = async { g().await };",
            "let f = async move || g().await;",
            "let a = \"x.await\";",
            "async fn f() { println!(\"{}\", g().await) }",
            "// f().await",
            // These cannot await, and the cell does not make them asynchronous.
            "(|| f().await)()",
            "fn f() { g().await }",
            "const C: u8 = async { 1 }.await;",
            "async fn f() { tokio::join!(g(), h()) }",
            "macro_rules! both { ($a:expr, $b:expr) => { tokio::join!($a, $b) } }",
            "v.join(\", \")",
            "println!(\"{}\", v.join(\"\"))",
            "// tokio::join!(f(), g())",
            "assert!(select != (1, 2).0)",
            "dbg!(\"tokio::join!(f())\")",
            "dbg!(block_on(async move { tokio::join!(f(), g()) }))",
            "dbg!(block_on(async { f().await }))",
            "async fn f() { dbg!(tokio::join!(g(), h())) }",
        ] {
            assert!(!awaits(cell) && !may_await(cell), "{cell}");
        }
    }

    #[test]
    fn partial_tokio_gets_all_features() {
        let addition = |version: &str, features: &[&str], dependencies: &str| {
            let metadata = serde_json::json!({
                "packages": [{
                    "name": "tokio", "version": version, "id": "tokio", "dependencies": [],
                    "targets": [], "features": {}, "manifest_path": "/tokio/Cargo.toml",
                }],
                "resolve": { "nodes": [{
                    "id": "tokio", "deps": [], "dependencies": [], "features": features,
                }] },
                "workspace_members": [], "target_directory": "/", "workspace_root": "/", "version": 1,
            });
            let manifest = format!("[package]\nname = \"ctx\"\n[dependencies]\n{dependencies}\n");
            tokio_for(metadata.to_string().as_bytes(), &manifest)
        };
        let all = "tokio = { version = \"1\", features = [\"full\"] }";
        let of_others = "reqwest = \"1\"";
        for (version, features, dependencies, expected) in [
            ("1.2.3", &["net"][..], of_others, Some(all)),
            ("1.2.3", &["net", FULL][..], of_others, None),
            ("0.2.3", &["net"][..], of_others, None),
            ("1.2.3", &["sync"][..], "tokio = \"1\"", Some(all)),
            ("1.2.3", &["rt", FEATURE][..], "tokio = \"1\"", None),
            ("1.2.3", &["rt"][..], "tokio = { version = \"0.2\" }", None),
            (
                "1.2.3",
                &["rt"][..],
                "tokio = { features = [\"rt\"], version = \"1.2\" }",
                Some("tokio = { features = [\"rt\", \"full\"], version = \"1.2\" }"),
            ),
        ] {
            let found = addition(version, features, dependencies);
            assert_eq!(
                found.as_deref(),
                expected,
                "{version} {features:?} {dependencies}"
            );
        }
    }

    #[test]
    fn cells_that_mention_tokio_enter_its_runtime() {
        let krate = |items: &str, code: &str| {
            format!(
                "{items}\n#[unsafe(no_mangle)]\npub extern \"C\" fn run_user_code_1(\nx: *mut u8) -> *mut u8 {{\n{code}\n}}\n"
            )
        };
        let entered = within_runtime(&krate("", "tokio::spawn(f());"), &users()).unwrap();
        assert!(entered.contains("*mut u8 {let _runtime = __phalanx_dependencies::enter();\n"));
        for (items, code, expected) in [
            ("use reqwest::Client as C;", "C::new();", true),
            ("use reqwest::Client as C;", "D::new();", false),
            ("use reqwest::*;", "1 + 1", true),
            ("fn f() { tokio::spawn(g()); }", "f();", true),
            ("use std::fmt;", "1 + 1", false),
        ] {
            let source = krate(items, code);
            assert_eq!(
                within_runtime(&source, &users()).is_some(),
                expected,
                "{source}"
            );
            assert_eq!(within_runtime(&source, &BTreeSet::new()), None);
        }
    }

    #[test]
    fn evcxrs_runtime_is_replaced() {
        let source = "#[unsafe(no_mangle)]\npub extern \"C\" fn run_user_code_1(\n\
                      let mut mutex =\nevcxr_variable_store.lazy_arc(\"x\", || 1); match\nmutex.lock() { a }\n.block_on(async {\nf().await;\n});\n}\n";
        let rewritten = within_runtime(source, &BTreeSet::new()).unwrap();
        assert!(rewritten.contains("\n\n\n\n__phalanx_dependencies::block_on(async {\nf().await;"));
        assert_eq!(rewritten.lines().count(), source.lines().count());
    }
}
