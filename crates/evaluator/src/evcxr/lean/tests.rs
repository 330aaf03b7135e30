use super::*;

/// Returns a crate in the form that evcxr generates for a cell.
fn generated(items: &str, variables: &[(&str, &str)], code: &str) -> String {
    let mut text = format!("#![allow(unused_imports, unused_mut, dead_code)]\n{items}\n");
    text += "mod evcxr_internal_runtime {\npub struct VariableStore {}\n}\n#[unsafe(no_mangle)]\npub extern \"C\" fn run_user_code_3(\n";
    text += "mut evcxr_variable_store: *mut evcxr_internal_runtime::VariableStore)\n  -> *mut evcxr_internal_runtime::VariableStore {\n";
    text += "let evcxr_variable_store = unsafe {&mut *evcxr_variable_store};\n{let mut vars_ok = true;\n";
    for (name, ty) in variables {
        text += &format!(
            "vars_ok &= evcxr_variable_store.check_variable::<{ty}>(stringify!({name}));\n"
        );
    }
    text += "if !vars_ok {return evcxr_variable_store;}}\n";
    for (name, ty) in variables {
        text += &format!(
            "let mut {name} = evcxr_variable_store.take_variable::<{ty}>(stringify!({name}));\n"
        );
    }
    text += &format!(
        "match std::panic::catch_unwind(\n  std::panic::AssertUnwindSafe(||{{\n{code}\n}})) {{ \n  Ok(_) => {{}}\n  Err(_) => {{}}}}\n"
    );
    for (name, ty) in variables {
        text +=
            &format!("evcxr_variable_store.put_variable::<{ty}>(stringify!({name}), {name});\n");
    }
    text + "evcxr_variable_store\n}\n"
}

/// Returns the names of the items and variables of a lean crate.
fn reachable_items(items: &str, variables: &[(&str, &str)], cell: &str) -> String {
    let generated = generated(items, variables, cell);
    let lean = lean(&generated, cell).unwrap();
    assert_eq!(lean.source.len(), generated.len());
    assert_eq!(lean.source.lines().count(), generated.lines().count());
    assert_eq!(
        lean.source.matches("(stringify!(").count(),
        3 * lean.variables.len(),
        "{}",
        lean.source
    );
    let names = lean.items.iter().chain(&lean.variables);
    names.cloned().collect::<Vec<_>>().join(" ")
}

#[test]
fn named_variables_are_kept() {
    let variables = [
        ("größe", "Vec<u8>"),
        ("m", "Map"),
        ("n", "u64"),
        ("r#type", "u8"),
    ];
    let items = "struct Map;\nstruct Other;\n";
    assert_eq!(reachable_items(items, &variables, "n + n"), "n");
    assert_eq!(
        reachable_items(items, &variables, "println!(\"{größe:?} {}\", 1)"),
        "größe"
    );
    assert_eq!(reachable_items(items, &variables, "drop(m)"), "Map m");
    assert_eq!(reachable_items(items, &variables, "r#type"), "type");
    assert_eq!(reachable_items(items, &variables, "1"), "");
}

#[test]
fn items_are_reached_by_name() {
    let items = "fn f() -> u8 { g() }\nfn g() -> u8 { N }\nconst N: u8 = 1;\nfn h() {}\nstatic S: u8 = 1;\n\
                 macro_rules! m { () => { h() } }\ntype Alias = Inner;\nstruct Inner;\n";
    assert_eq!(reachable_items(items, &[], "f()"), "N f g");
    assert_eq!(reachable_items(items, &[], "m!()"), "h m");
    let imported = items.replace("{ h() } }\n", "{ h() } } pub(crate) use m;\n");
    assert_eq!(reachable_items(&imported, &[], "m!()"), "h m");
    assert_eq!(reachable_items(&imported, &[], "f()"), "N f g");
    assert_eq!(
        reachable_items(items, &[], "let a: Option<Alias> = None;"),
        "Alias Inner"
    );
    assert_eq!(reachable_items(items, &[], "println!(\"{S}\")"), "S");
}

#[test]
fn impls_with_implicit_effects_are_kept() {
    let items = "struct Guard(u8);\nimpl Drop for Guard { fn drop(&mut self) { noise() } }\nfn noise() {}\n\
                 struct Idle;\nimpl Drop for Idle { fn drop(&mut self) { quiet() } }\nfn quiet() {}\n\
                 impl From<Guard> for String { fn from(_: Guard) -> String { text() } }\nfn text() -> String { String::new() }\n";
    assert_eq!(
        reachable_items(items, &[], "let g = Guard(1);"),
        "Guard noise text"
    );
    assert_eq!(reachable_items(items, &[], "1"), "");
}

#[test]
fn traits_are_reached_by_their_methods_with_all_impls() {
    let items = "trait Area { fn area(&self) -> f64; }\nstruct A;\nstruct B;\nimpl Area for A { fn area(&self) -> f64 { 1.0 } }\n\
                 impl Area for B { fn area(&self) -> f64 { 2.0 } }\ntrait Other { const N: u8; }\nimpl Other for u8 { const N: u8 = 1; }\n";
    assert_eq!(
        reachable_items(items, &[("x", "A")], "x.area()"),
        "A Area B x"
    );
    assert_eq!(reachable_items(items, &[("x", "A")], "drop(x)"), "A x");
    assert_eq!(reachable_items(items, &[], "<u8>::N"), "Other");
}

#[test]
fn items_with_side_effects_are_always_kept() {
    let items = "use std::fmt::Debug;\n#[unsafe(no_mangle)]\nextern \"C\" fn hook() { inner() }\nfn inner() {}\n\
                 const _: () = check();\nconst fn check() {}\nmod m { impl super::Far { pub fn go(&self) {} } }\nstruct Far;\n\
                 mod quiet { pub fn f() {} }\n#[my_macro]\nfn made() {}\n";
    assert_eq!(
        reachable_items(items, &[], "1"),
        "Far check hook inner m made"
    );
}

#[test]
fn names_made_by_derives_are_reached() {
    let items =
        "#[derive(Clone, Builder)]\nstruct Pipe { a: u8 }\n#[derive(Clone)]\nstruct Plain;\n";
    assert_eq!(reachable_items(items, &[], "PipeBuilder::new()"), "Pipe");
    assert_eq!(reachable_items(items, &[], "PlainBuilder::new()"), "");
}

#[test]
fn items_of_the_cell_itself_are_kept() {
    let items = "fn new() -> u8 { helper() }\nfn helper() -> u8 { 1 }\nfn old() {}\nstruct T;\nimpl Iterator for T { }\n";
    let generated = generated(items, &[], "1");
    let lean = lean(&generated, "fn new() -> u8 { helper() } 1").unwrap();
    assert_eq!(
        lean.items.into_iter().collect::<Vec<_>>(),
        ["helper", "new"]
    );
}

#[test]
fn unexpected_forms_are_not_reduced() {
    assert!(lean("fn f() {}", "1").is_none());
    assert!(lean(&generated("fn f( {}", &[], "1"), "1").is_none());
}
