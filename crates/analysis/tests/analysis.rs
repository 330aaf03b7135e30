//! Cells in a crate with one dependency, analyzed by rust-analyzer.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use phalanx_analysis::Analysis;
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
static LOADED: LazyLock<(Mutex<Analysis>, TempDir)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    let analysis = Analysis::load(&folder.path().join("cells")).unwrap();
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

fn analysis() -> MutexGuard<'static, Analysis> {
    LOADED.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    let found = analysis().types(cell).unwrap();
    found
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
    analysis()
        .complete(&cell(items, variables, &source), offset)
        .unwrap()
}

fn codes(completions: &Completions) -> Vec<&str> {
    let items = completions.items.iter();
    items.map(|item| item.code.as_str()).collect()
}

#[test]
fn variables_have_the_types_that_rustc_gives_them() {
    let found = types(&cell(
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
    let wanted = [
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
    assert_eq!(found, wanted);
}

#[test]
fn a_type_follows_from_what_comes_later_and_from_the_newest_items() {
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
fn completion_offers_what_is_there_and_nothing_of_the_machinery() {
    let own = completions(
        "",
        &[("counter", "shapes::Counter")],
        "let a = 1;\ncounter.|",
    );
    let found = codes(&own);
    assert_eq!(
        &found[..2],
        ["count", "name"],
        "fields and own methods first"
    );
    assert!(!found.contains(&"secret"), "{found:?}");
    assert!(
        found.iter().all(|code| !code.contains(['$', '('])),
        "{found:?}"
    );
    let at = |name: &str| found.iter().position(|code| *code == name).unwrap();
    assert!(at("clone") < at("into"), "{found:?}");

    let vector = completions("", &[("v", "Vec<u8>")], "v.|");
    let found = codes(&vector);
    let at = |name: &str| found.iter().position(|code| *code == name).unwrap();
    for own in ["push", "len", "iter", "sort"] {
        assert!(
            at(own) < at("into") && at(own) < at("into_iter"),
            "{found:?}"
        );
    }

    let begun = completions("fn helper_of_mine() {}", &[], "let é = 1; help|");
    assert_eq!(codes(&begun), ["helper_of_mine"]);
    assert_eq!((begun.start, begun.end), (12, 16));
    for source in ["|", "f|", "c|", "__|", "E|", "let a = |"] {
        let items = "trait __PhalanxShown {} fn evcxr_display() {} struct EvcxrUserCodeError;";
        for code in codes(&completions(items, &[], source)) {
            assert_ne!(code, "ctx");
            for ours in ["phalanx", "Phalanx", "evcxr", "Evcxr", "$"] {
                assert!(!code.contains(ours), "{source}: {code}");
            }
        }
    }
    let import = completions("", &[], "use shapes::nes|");
    assert_eq!(codes(&import), ["nested"]);
    let loops = completions("", &[], "for|");
    assert_eq!(codes(&loops)[0], "for", "what is typed already");
    let own = completions("", &[("lengthy", "u8")], "le|");
    assert_eq!(codes(&own)[0], "lengthy", "variables first");
    let within = completions("", &[], "fn f(v: &str) -> usize { v.le| }\nf(\"a\")");
    assert!(codes(&within).contains(&"len"));
    let keyword = completions("", &[], "whil|");
    assert_eq!(codes(&keyword)[0], "while");
}

#[test]
fn inspection_shows_a_signature_and_the_documentation_without_its_hidden_lines() {
    let inspect = |source: &str, name: &str| {
        let cell = cell("use shapes::Counter;", &[("v", "Vec<u8>")], source);
        let offset = source.find(name).unwrap() + name.len();
        analysis().inspect(&cell, offset).unwrap()
    };
    let found = inspect("let c = Counter::new(1);", "Counter").unwrap();
    for text in [&found.plain, &found.markdown] {
        assert!(text.contains("pub struct Counter"), "{text}");
        assert!(text.contains("let counter = Counter::new(1);"), "{text}");
        assert!(!text.contains("use shapes::Counter"), "{text}");
    }
    assert!(found.markdown.contains("```rust"));
    let method = inspect("v.sort_unstable_by_key", "sort_unstable_by_key").unwrap();
    assert!(method.markdown.contains("fn sort_unstable_by_key"));
    let own = inspect("/// Mine.\nfn own() {}\nown()", "own").unwrap();
    assert!(own.markdown.contains("Mine.") && !own.markdown.contains("ctx"));
    assert_eq!(inspect("no_such_thing", "no_such_thing"), None);
}

#[test]
fn a_dependency_that_is_added_is_known_after_loading_again() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    let mut analysis = Analysis::load(&folder.path().join("cells")).unwrap();
    let cell = cell("", &[], "let a = later::added();");
    let ty = |analysis: &mut Analysis| analysis.types(&cell).unwrap().remove(0).ty;
    assert_eq!(ty(&mut analysis), InferredType::Unknown);
    write(folder.path(), "later = { path = \"../later\" }");
    analysis.reload().unwrap();
    assert!(analysis.has_library());
    assert_eq!(ty(&mut analysis), InferredType::Known("u16".into()));
    let nowhere = folder.path().join("nowhere");
    assert!(Analysis::load(&nowhere).is_err());
}
