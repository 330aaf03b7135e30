//! Cells in a crate with one dependency, analyzed by rust-analyzer.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use phalanx_analysis::{AnalysisError, AnalyzedCrate};
use phalanx_protocol::analysis::{AnalyzedCell, Completions, InferredType};
use std::path::Path;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

const LIBRARY: &str = r#"
/// Counts.
///
/// ```
/// # use shapes::Counter;
/// let counter = Counter::new(1);
/// ```
#[derive(Debug, Clone)]
pub struct Counter { pub name: String, secret: u64 }
impl Counter {
    /// Begins to count.
    pub fn new(secret: u64) -> Self { Self { name: String::new(), secret } }
    pub fn count(&self) -> u64 { self.secret }
}
pub trait Everywhere { fn aaa_blanket(&self) {} }
impl<T> Everywhere for T {}
pub mod nested { #[derive(Debug)] pub struct Deep<T>(pub T); pub fn deep<T>(value: T) -> Deep<T> { Deep(value) } }
"#;

/// Loaded once, since this takes seconds.
static LOADED: LazyLock<(Mutex<AnalyzedCrate>, TempDir)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    let analysis = AnalyzedCrate::load(&folder.path().join("cells")).unwrap();
    (Mutex::new(analysis), folder)
});

fn write(folder: &Path, more: &str) {
    let file = |path: &str, text: &str| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    for (name, contents) in [
        ("shapes", LIBRARY),
        ("later", "pub fn added() -> u16 { 1 }"),
    ] {
        let manifest = format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n[workspace]\n");
        file(&format!("{name}/Cargo.toml"), &manifest);
        file(&format!("{name}/src/lib.rs"), contents);
    }
    file(
        "cells/Cargo.toml",
        &format!(
            "[package]\nname = \"ctx\"\nedition = \"2024\"\n[workspace]\n[lib]\n[dependencies]\nshapes = {{ path = \"../shapes\" }}\n{more}"
        ),
    );
}

fn analysis() -> MutexGuard<'static, AnalyzedCrate> {
    LOADED.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the result of a query, which on a slow machine may need more than one: what has been
/// computed at the time limit is cached.
fn patiently<T>(query: impl Fn(&mut AnalyzedCrate) -> Result<T, AnalysisError>) -> T {
    for _ in 0..20 {
        match query(&mut analysis()) {
            Err(AnalysisError::TooLate) => {}
            result => return result.unwrap(),
        }
    }
    panic!("the analysis is always too late")
}

fn cell(items: &str, variables: &[(&str, &str)], source: &str) -> AnalyzedCell {
    let variables = variables.iter();
    AnalyzedCell {
        items: vec![items.to_owned()],
        variables: variables
            .map(|(name, ty)| ((*name).to_owned(), (*ty).to_owned()))
            .collect(),
        source: source.to_owned(),
        ..AnalyzedCell::default()
    }
}

/// Returns the variables of a cell, as `name: type`.
fn types(cell: &AnalyzedCell) -> Vec<String> {
    let variables = analysis().types(cell).unwrap();
    variables
        .iter()
        .map(|variable| {
            assert!(cell.source[variable.offset..].starts_with(&variable.name));
            let ty = match &variable.ty {
                InferredType::Known(text) => text,
                InferredType::Closure => "closure",
                InferredType::Unknown => "unknown",
            };
            format!("{}: {ty}", variable.name)
        })
        .collect()
}

/// Returns the completions at the `|` in a cell.
fn completions(items: &str, variables: &[(&str, &str)], source: &str) -> Completions {
    let offset = source.find('|').unwrap();
    let source = source.replacen('|', "", 1);
    let cell = cell(items, variables, &source);
    patiently(|analysis| analysis.complete(&cell, offset))
}

fn codes(completions: &Completions) -> Vec<&str> {
    let items = completions.items.iter();
    items.map(|item| item.code.as_str()).collect()
}

#[test]
fn inferred_types_are_those_of_rustc() {
    let types = types(&cell(
        "use shapes::Counter;",
        &[("earlier", "Vec<Counter>")],
        "let n = 1; let x = 1.5;\nlet mut größe = vec![n, 2];\n\
         let (first, second) = (earlier[0].clone(), shapes::nested::deep('a'));\n\
         let map = größe.iter().map(|n| (*n, n.to_string())).collect::<std::collections::BTreeMap<_, _>>();\n\
         let Some(own) = Some(Own { x: 1 }) else { return Ok(()) };\nstruct Own { x: u8 }\n\
         let array = [0u8; 3]; let slice: &[u8] = &array; let parsed: Result<u8, _> = \"1\".parse();\n\
         let f = |a: i32| a + 1; let u: u64 = 1; let asked = \"1\".parse::<u16>()?; let never_known = missing();\n\
         let &(inner, ref text) = &(1u8, String::new()); { let not_kept = 1; }",
    ));
    let expected = [
        "n: i32",
        "x: f64",
        "größe: Vec<i32>",
        "first: Counter",
        "second: shapes::nested::Deep<char>",
        "map: std::collections::BTreeMap<i32, String>",
        "own: Own",
        "array: [u8; 3]",
        "slice: &[u8]",
        "parsed: Result<u8, std::num::ParseIntError>",
        "f: closure",
        "u: u64",
        "asked: u16",
        "never_known: unknown",
        "inner: u8",
        "text: &String",
    ];
    assert_eq!(types, expected);
}

#[test]
fn types_depend_on_later_statements_and_newest_items() {
    assert_eq!(
        types(&cell("", &[], "let mut v = Vec::new();\nv.push(1u16);")),
        ["v: Vec<u16>"]
    );
    let redefined = AnalyzedCell {
        items: vec!["fn f() -> u8 { 1 }".into(), "fn f() -> String { 1 }".into()],
        source: "let a = f();".into(),
        ..AnalyzedCell::default()
    };
    assert_eq!(types(&redefined), ["a: String"]);
}

#[test]
fn completions_are_ranked_and_hide_internal_names() {
    let own = completions(
        "",
        &[("counter", "shapes::Counter")],
        "let a = 1;\ncounter.|",
    );
    let codes_found = codes(&own);
    assert_eq!(
        &codes_found[..2],
        ["count", "name"],
        "fields and own methods first"
    );
    assert!(!codes_found.contains(&"secret"), "{codes_found:?}");
    assert!(
        codes_found.iter().all(|code| !code.contains(['$', '('])),
        "{codes_found:?}"
    );
    let index_of = |name: &str| codes_found.iter().position(|code| *code == name).unwrap();
    assert!(index_of("clone") < index_of("into"), "{codes_found:?}");

    let vector = completions("", &[("v", "Vec<u8>")], "v.|");
    let codes_found = codes(&vector);
    let index_of = |name: &str| codes_found.iter().position(|code| *code == name).unwrap();
    for own in ["push", "len", "iter", "sort"] {
        assert!(
            index_of(own) < index_of("into") && index_of(own) < index_of("into_iter"),
            "{codes_found:?}"
        );
    }

    let partial = completions("fn helper_of_mine() {}", &[], "let é = 1; help|");
    assert_eq!(codes(&partial), ["helper_of_mine"]);
    assert_eq!((partial.start, partial.end), (12, 16));
    for source in ["|", "f|", "c|", "__|", "E|", "let a = |"] {
        let items = "trait __PhalanxShown {} fn evcxr_display() {} struct EvcxrUserCodeError;";
        for code in codes(&completions(items, &[], source)) {
            assert_ne!(code, "ctx");
            for internal in ["phalanx", "Phalanx", "evcxr", "Evcxr", "$"] {
                assert!(!code.contains(internal), "{source}: {code}");
            }
        }
    }
    let import = completions("", &[], "use shapes::nes|");
    assert_eq!(codes(&import), ["nested"]);
    let loops = completions("", &[], "for|");
    assert_eq!(codes(&loops)[0], "for", "what is typed already");
    let own = completions("", &[("lengthy", "u8")], "le|");
    assert_eq!(codes(&own)[0], "lengthy", "variables first");
    let derive = completions("", &[], "#[derive(Deb|)]\nstruct P;");
    assert_eq!(codes(&derive)[0], "Debug");
    let within = completions("", &[], "fn f(v: &str) -> usize { v.le| }\nf(\"a\")");
    assert!(codes(&within).contains(&"len"));
    let keyword = completions("", &[], "whil|");
    assert_eq!(codes(&keyword)[0], "while");
}

#[test]
fn names_not_in_scope_are_completed_with_their_paths() {
    for (items, source, expected) in [
        ("", "let größe = HashM|", Some("std::collections::HashMap")),
        ("", "let m: BTreeM|", Some("std::collections::BTreeMap")),
        ("", "Counte|", Some("shapes::Counter")),
        ("use shapes::Counter;", "Counte|", Some("Counter")),
        ("", "shapes::Counte|", Some("Counter")),
        ("", "Co|", None),
    ] {
        let found = completions(items, &[], source);
        let found = codes(&found);
        let named = |code: &&&str| code.ends_with("Map") || code.ends_with("Counter");
        let named: Vec<_> = found.iter().filter(named).copied().collect();
        assert_eq!(named, Vec::from_iter(expected), "{source}: {found:?}");
    }
    let member = completions("", &[("v", "Vec<u8>")], "v.HashM|");
    assert_eq!(codes(&member), [""; 0]);
}

#[test]
fn inspection_shows_signature_and_documentation() {
    let inspect = |source: &str, name: &str| {
        let cell = cell("use shapes::Counter;", &[("v", "Vec<u8>")], source);
        let offset = source.find(name).unwrap() + name.len();
        patiently(|analysis| analysis.inspect(&cell, offset))
    };
    let documentation = inspect("let c = Counter::new(1);", "Counter").unwrap();
    for text in [&documentation.plain, &documentation.markdown] {
        assert!(text.contains("pub struct Counter"), "{text}");
        assert!(text.contains("let counter = Counter::new(1);"), "{text}");
        assert!(!text.contains("use shapes::Counter"), "{text}");
    }
    assert!(documentation.markdown.contains("```rust"));
    let method = inspect("v.sort_unstable_by_key", "sort_unstable_by_key").unwrap();
    assert!(method.markdown.contains("fn sort_unstable_by_key"));
    let own = inspect("/// Mine.\nfn own() {}\nown()", "own").unwrap();
    assert!(own.markdown.contains("Mine.") && !own.markdown.contains("ctx"));
    assert_eq!(inspect("no_such_thing", "no_such_thing"), None);
}

#[test]
fn inspection_within_a_call_shows_its_function() {
    let items = "use shapes::Counter;\n/// Twice.\nfn double(x: i32) -> i32 { 2 * x }";
    for (source, signature) in [
        ("double(|", "fn double(x: i32) -> i32"),
        ("double(3|", "fn double(x: i32) -> i32"),
        ("double(3, |", "fn double(x: i32) -> i32"),
        ("v.push(|", "fn push(&mut self, value: T)"),
        (
            "Vec::<i32>::with_capacity(|",
            "fn with_capacity(capacity: usize)",
        ),
        ("println!(|", "macro_rules! println"),
        ("println!(\"{}\", |)", "macro_rules! println"),
        ("Counter::new(|", "fn new(secret: u64) -> Self"),
        (
            "let a = 1;\ndouble(a).max(|",
            "fn max(self, other: Self) -> Self",
        ),
    ] {
        let offset = source.find('|').unwrap();
        let source = source.replacen('|', "", 1);
        let cell = cell(items, &[("v", "Vec<u8>")], &source);
        let found = patiently(|analysis| analysis.inspect(&cell, offset));
        let found = found.unwrap_or_else(|| panic!("nothing for {source}"));
        assert!(found.plain.contains(signature), "{source}: {}", found.plain);
    }
}

#[test]
fn inspection_finds_what_has_to_be_imported_first() {
    let inspect = |source: &str| {
        let cell = cell("", &[], source);
        patiently(|analysis| analysis.inspect(&cell, source.len()))
    };
    for (source, path, text) in [
        ("HashMap", "std::collections::HashMap", "pub struct HashMap"),
        ("HashMap::insert", "std::collections::HashMap", "fn insert("),
        ("Rc", "std::rc::Rc", "pub struct Rc"),
        ("Mutex", "std::sync::Mutex", "pub struct Mutex"),
        ("fs::read_to_string", "std::fs", "fn read_to_string"),
        ("Deep", "shapes::nested::Deep", "pub struct Deep"),
    ] {
        let found = inspect(source).unwrap_or_else(|| panic!("{source}"));
        for shown in [&found.plain, &found.markdown] {
            let line = format!("Not in scope: `use {path};` brings it in");
            assert!(shown.starts_with(&line), "{source}: {shown}");
            assert!(shown.contains(text), "{source}: {shown}");
        }
    }
    let known = inspect("Vec").unwrap();
    assert!(!known.plain.contains("Not in scope"), "{}", known.plain);
    assert_eq!(inspect("no_such_thing::at_all"), None);
}

#[test]
fn added_dependency_is_known_after_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    let mut analysis = AnalyzedCrate::load(&folder.path().join("cells")).unwrap();
    let cell = cell("", &[], "let a = later::added();");
    let ty = |analysis: &mut AnalyzedCrate| analysis.types(&cell).unwrap().remove(0).ty;
    assert_eq!(ty(&mut analysis), InferredType::Unknown);
    write(folder.path(), "later = { path = \"../later\" }");
    analysis.reload().unwrap();
    assert!(analysis.has_library());
    assert_eq!(ty(&mut analysis), InferredType::Known("u16".into()));
    let nowhere = folder.path().join("nowhere");
    assert!(AnalyzedCrate::load(&nowhere).is_err());
}
