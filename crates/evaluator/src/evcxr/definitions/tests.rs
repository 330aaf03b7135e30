use super::*;

/// Returns the variables, among those given as `name: type`, that a cell makes unreadable after
/// earlier cells; every glob import of a crate shadows every type.
fn lost(cells: &[&str], variables: &[&str], cell: &str) -> String {
    lost_if_shadowing(cells, variables, cell, &PRELUDE)
}

/// Returns the variables, if every glob import of a crate shadows some types.
fn lost_if_shadowing(cells: &[&str], variables: &[&str], cell: &str, shadowed: &[&str]) -> String {
    let mut definitions = Definitions::default();
    for cell in cells {
        definitions.add(cell);
    }
    let variables = variables.iter().map(|variable| {
        let (name, ty) = variable.split_once(": ").unwrap();
        (name.to_owned(), ty.to_owned())
    });
    let names: BTreeSet<String> = shadowed.iter().map(|name| (*name).to_owned()).collect();
    let shadowing = |globs: &[String]| -> Shadowed {
        let globs = globs.iter().map(|glob| (glob.clone(), names.clone()));
        globs.collect()
    };
    definitions
        .lost(cell, &variables.collect::<Vec<_>>(), &shadowing)
        .join(" ")
}

#[test]
fn redefinition_drops_variables_of_the_type() {
    let cells = [
        "struct A { x: u64 }",
        "struct B { a: A }\nenum C { X(Vec<B>) }",
    ];
    let variables = [
        "a: A",
        "v: Vec<A>",
        "b: B",
        "c: Option<C>",
        "n: u64",
        "s: String",
    ];
    let check = |cell: &str, expected: &str| {
        assert_eq!(lost(&cells, &variables, cell), expected, "{cell}");
    };
    check("struct A { x: String }", "a v b c");
    check("struct A(u64);", "a v b c");
    check("struct B { a: A, b: u8 }", "b c");
    check("enum A { X }\nlet a = A::X;", "a v b c");
    check("struct A<T> { x: T }", "a v b c");
    check("#[repr(packed)] struct A { x: u64 }", "a v b c");
    check("fn A() {}", "a v b c");
    check("use std::fmt::Error as A;", "a v b c");
}

#[test]
fn names_in_a_module_are_its_own() {
    let cells = [
        "mod geo { pub struct P(pub i32); pub(crate) struct Q(pub P); impl P { fn f(&self) {} } }",
        "mod open { pub struct P; pub struct R(super::P); }\nstruct P;",
    ];
    let check = |cell: &str, expected: &str| {
        let variables = ["p: geo::P", "q: geo::Q", "r: open::R", "s: P"];
        assert_eq!(lost(&cells[..1], &variables[..2], cell), "", "{cell}");
        assert_eq!(lost(&cells, &variables, cell), expected, "{cell}");
    };
    check("use geo::P;", "r s");
    check("struct P(u8);", "r s");
    check("use geo::Q;", "");
    let redefined = "mod geo { pub struct P(pub i64); }";
    assert_eq!(lost(&cells, &["p: geo::P"], redefined), "p");
}

#[test]
fn unchanged_layouts_drop_no_variables() {
    let cells = ["struct A { x: u64 }\nimpl A { fn f(&self) -> u64 { 1 } }"];
    let check = |cell: &str| assert_eq!(lost(&cells, &["a: A"], cell), "", "{cell}");
    check(cells[0]);
    check("struct A {\n    x: u64, // a comment\n}");
    check("/// A.\n#[derive(Debug, Clone)] struct A { x: u64 }");
    check("struct A { x: u64 }\nimpl A { fn f(&self) -> u64 { 2 } fn g() {} }");
    check("impl Iterator for A { type Item = u8; fn next(&mut self) -> Option<u8> { None } }");
    check("impl Drop for A { fn drop(&mut self) {} }");
    check("struct B { a: A }");
    check("fn x() -> u64 { 3 }");
    check("a.x");
    check("use std::collections::*;");
}

#[test]
fn changes_of_a_layout_drop_variables() {
    let check = |first: &str, variable: &str, cell: &str| {
        assert_ne!(lost(&[first], &[variable], cell), "", "{cell}");
    };
    check(
        "const N: usize = 4; struct A([u8; N]);",
        "a: A",
        "const N: usize = 8;",
    );
    check(
        "const fn n() -> usize { 4 } struct A([u8; n()]);",
        "a: A",
        "const fn n() -> usize { 8 }",
    );
    check("type T = u8; struct A(T);", "a: A", "type T = u64;");
    check(
        "mod m { pub struct A(pub u8); pub fn f() {} }",
        "a: m::A",
        "mod m { pub struct A(pub u64); pub fn f() {} }",
    );
    check(
        "mod m { pub struct A(pub u8); }\nuse m::*;",
        "a: A",
        "mod m { pub struct A(pub u64); }",
    );
    check(
        "mod m { pub struct A(pub u8); pub struct B(pub u64); }\nuse m::A as X; struct W(X);",
        "w: W",
        "use m::B as X;",
    );
    check(
        "use std::collections::BTreeMap as M; struct A(M<u8, u8>);",
        "a: A",
        "use std::collections::HashMap as M;",
    );
    check(
        "trait T { fn f(&self); }",
        "b: Box<dyn T>",
        "trait T { fn f(&self); fn g(&self) {} }",
    );
    check(
        "macro_rules! fields { () => { u8 } } struct A(fields!());",
        "a: A",
        "macro_rules! fields { () => { u64 } }",
    );
    check(
        "macro_rules! make { ($n:ident) => { pub struct $n(u8); } } mod m { make!(A); }",
        "a: m::A",
        "macro_rules! make { ($n:ident) => { pub struct $n(u64); } }",
    );
    check(
        "struct X; impl Iterator for X { type Item = u8; fn next(&mut self) -> Option<u8> { None } }",
        "p: std::iter::Peekable<X>",
        "struct X; impl Iterator for X { type Item = u64; fn next(&mut self) -> Option<u64> { None } }",
    );
    check(
        "trait T { type O; } struct X; impl T for X { type O = u8; } struct A(<X as T>::O);",
        "a: A",
        "struct X; impl T for X { type O = u64; }",
    );
    check(
        "struct X; impl X { const N: usize = 4; } struct A([u8; X::N]);",
        "a: A",
        "struct X; impl X { const N: usize = 8; }",
    );
    check(
        "fn f() { struct L(u8); }",
        "b: Box<dyn std::any::Any>",
        "fn f() { struct L(u64); }",
    );
}

#[test]
fn shadowing_names_drop_variables() {
    let struct_s = ["struct S { name: String }"];
    assert_eq!(lost(&struct_s, &["s: S"], "struct String(u8);"), "s");
    let module = "mod m { pub struct String(pub u8); }";
    assert_eq!(lost(&[struct_s[0], module], &["s: S"], "use m::*;"), "s");
    assert_eq!(lost(&struct_s, &["s: S"], "use heapless::*;"), "s");
    // rustc distinguishes these types.
    assert_eq!(lost(&[], &["s: Vec<String>"], "use heapless::*;"), "");
    assert_eq!(
        lost(
            &[],
            &["m: std::collections::HashMap<u8, u8>"],
            "use std::collections::HashMap;"
        ),
        ""
    );
}

#[test]
fn a_glob_import_costs_nothing_unless_it_shadows_what_a_type_refers_to() {
    let cells = [
        "struct M { y: Vec<f64> } struct R(Result<u8, u8>); mod m { pub struct M; pub struct Other; }",
        "struct W { m: M } use std::result::Result as Named; struct N(Named<u8, u8>);",
    ];
    let variables = ["m: M", "r: R", "w: W", "n: N"];
    let check = |cell: &str, shadowed: &[&str], expected: &str| {
        let lost = lost_if_shadowing(&cells, &variables, cell, shadowed);
        assert_eq!(lost, expected, "{cell} {shadowed:?}");
    };
    check("use rand::rngs::*;", &[], "");
    check("use anyhow::*;", &["Result"], "r");
    check("use heapless::*;", &["String", "Vec"], "m w");
    check("use heapless::*; use std::vec::Vec;", &["Vec"], "m w");
    // The struct of that name comes before the one that an import brings.
    check("use m::*;", &[], "");
}

#[test]
fn what_can_hold_anything_goes_with_any_type() {
    let cells = [
        "struct A { x: u64 }",
        "use anyhow::Result;",
        "trait Shape: std::any::Any {} struct Boxed { inner: Box<dyn Shape> }",
    ];
    let variables = [
        "any: Box<dyn std::any::Any>",
        "error: Box<dyn std::error::Error>",
        "result: Result<u8>",
        "boxed: Boxed",
        "f: Box<dyn Fn() -> u8>",
    ];
    let cell = "struct A { x: String }";
    assert_eq!(lost(&cells, &variables, cell), "any error result boxed");
    assert_eq!(lost(&cells, &variables, "struct New;"), "");
    assert_eq!(lost(&cells, &variables, "fn f() {}"), "");
}

#[test]
fn fields_variants_and_parameters_are_not_references() {
    let cells = ["enum Shape { Circle, Square } struct W<T> { len: usize, t: T }"];
    let variables = ["s: Shape", "w: W<u8>"];
    for cell in [
        "struct Circle;",
        "fn len() -> usize { 1 }",
        "struct T;",
        "struct t;",
    ] {
        assert_eq!(lost(&cells, &variables, cell), "", "{cell}");
    }
}

#[test]
fn variables_with_types_of_rebuilt_crates_are_dropped() {
    let mut definitions = Definitions::default();
    for cell in [
        "use dep::prelude::*; use other::*; use anyhow::*;",
        "struct Own(dep::V); struct Plain { name: String, all: Vec<u8> } struct ByGlob(Frame);",
        "struct Failed(Result<u8>); use dep::W as X; struct Renamed(X);",
    ] {
        definitions.add(cell);
    }
    let variables = |all: &[&str]| -> Vec<(String, String)> {
        let split = all.iter().filter_map(|variable| variable.split_once(": "));
        split
            .map(|(name, ty)| (name.to_owned(), ty.to_owned()))
            .collect()
    };
    let all = variables(&[
        "a: dep::V",
        "b: Vec<Own>",
        "c: Plain",
        "d: ByGlob",
        "e: i32",
        "f: Vec<u8>",
        "g: Renamed",
        "h: Failed",
        "i: Box<dyn std::any::Any>",
        "j: std::time::Duration",
        "k: apart::W",
    ]);
    let names = |crates: &[&str], shadowed: &[(&str, &str)]| {
        let names = |name: &&str| (*name).to_owned();
        let shadowed = shadowed
            .iter()
            .map(|(glob, name)| ((*glob).to_owned(), BTreeSet::from([(*name).to_owned()])));
        let rebuilt = dependencies::RebuiltCrates {
            crates: crates.iter().map(names).collect(),
            unchanged: ["apart", "dep", "other", "anyhow"]
                .iter()
                .filter(|name| !crates.contains(name))
                .map(names)
                .collect(),
            shadowed: shadowed.collect(),
        };
        let dropped = definitions.dropped("", &rebuilt, &all, &|_| Shadowed::new());
        (dropped.names.join(""), dropped.rebuilt.join(" "))
    };
    assert_eq!(names(&["dep"], &[]), ("abdgi".to_owned(), "dep".to_owned()));
    assert_eq!(names(&["anyhow"], &[("anyhow", "Result")]).0, "dhi");
    assert_eq!(names(&["absent"], &[]).0, "i");
    assert_eq!(names(&[], &[]), (String::new(), String::new()));
}
