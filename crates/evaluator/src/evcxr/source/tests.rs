use super::*;

fn check(source: &str, text: &str, has_result: bool) {
    let prepared = prepare(source, &CellSetting::default());
    assert_eq!(
        (prepared.text.as_str(), prepared.has_result()),
        (text, has_result),
        "{source:?}"
    );
}

fn dropped() -> DroppedVariables {
    DroppedVariables {
        names: vec!["a".to_owned()],
        ..DroppedVariables::default()
    }
}

#[test]
fn last_expression_becomes_a_reference() {
    check("1 + 1", "&(1 + 1)", true);
    check("let x: u8 = 1;\nx", "let x: u8 = 1;\n&(x)", true);
    check("\"größe\"  // why", "&(\"größe\")  // why", true);
    check("if a { 1 } else { 2 }", "&(if a { 1 } else { 2 })", true);
    check(
        "xs.iter()\n    .sum::<u64>()",
        "&(xs.iter()\n    .sum::<u64>())",
        true,
    );
    check("vec![1]", "&(vec![1])", true);
    check("mk! { a }", "&({ mk! { a } })", true);
}

#[test]
fn cells_without_value_and_references_are_unchanged() {
    check("let x: u8 = 1;", "let x: u8 = 1;", false);
    check("&v", "&v", true);
    check("fn f() {}", "fn f() {}", false);
    check("", "", false);
    check("} fn g() {", "} fn g() {", false);
    check("let x = ", "let x = ", false);
}

#[test]
fn columns_are_mapped_to_the_source() {
    let prepared = prepare("let x: u8 = 1; ü(x)", &CellSetting::default());
    assert_eq!(prepared.text, "let x: u8 = 1; &(ü(x))");
    assert_eq!(prepared.column(1, 5), 5);
    assert_eq!(prepared.column(1, 18), 16);
    assert_eq!(prepared.column(1, 20), 18);
    assert_eq!(prepared.column(2, 14), 14);
}

#[test]
fn dropping_variables_does_not_change_columns() {
    let prepared = prepare("let x = 1; f(x)", &CellSetting::default()).dropping(dropped());
    assert!(prepared.text.contains(r#"&["a"]"#), "{}", prepared.text);
    for (user, part) in [(1, "let x"), (5, "x = 1"), (12, "f(x)"), (14, "x)")] {
        let at = prepared.text.rfind(part).unwrap() + 1;
        assert_eq!(prepared.column(1, at), user, "{part}");
    }
    let second_line = prepare("// why\n\nx", &CellSetting::default()).dropping(dropped());
    assert!(second_line.text.starts_with("// why\n\n{"));
}

#[test]
fn variables_of_all_patterns_are_declared() {
    let source = ":opt 1\nlet mut a = 1; let (b, mut c) = f(); let S { d, e: [mut f, ..] } = g();\nlet a = 2; { let inner = 1; }";
    let declared = declared(source);
    let declared = declared
        .iter()
        .map(|(name, mutable)| format!("{name}{}", u8::from(*mutable)));
    assert_eq!(declared.collect::<Vec<_>>().join(" "), "a0 b0 c1 d0 f1");
}

#[test]
fn unambiguous_lines_are_mapped() {
    let compiled = "generated\nlet a = 1;\nx\n}\nx\n  panic!(\"no\")\n}\n";
    let source = "let a = 1;\nx\n\npanic!(\"no\")\n}";
    assert_eq!(line_map(compiled, source), [(2, 1), (6, 4)]);
    let compiled = "let a = f();\nif a { g() }\nlet b = f();\nshow(&(h(a)))\ng()\n";
    let source = "let a = f(); if a { g() }\nlet b = f();\nh(a)\n";
    assert_eq!(line_map(compiled, source), [(1, 1), (2, 1), (3, 2), (4, 3)]);
}

#[test]
fn compiled_lines_are_shown_as_they_were_written() {
    let written = "let a = f(); a.apply(|| panic!(\"größe\"))";
    let prepared = prepare(written, &CellSetting::default());
    let compiled =
        "fn run() {\nlet a = f();\n(\n&(a.apply(|| panic!(\"größe\")))\n).evcxr_display();\n}\n";
    let map = line_map(compiled, &prepared.text);
    let shown = with_lines_of(compiled, &prepared.written, &map);
    let expected = format!("fn run() {{\n{written}\n(\n{written}\n).evcxr_display();\n}}\n");
    assert_eq!(shown, expected);
    assert_eq!(with_lines_of(compiled, "", &map), compiled);
}

#[test]
fn cell_of_items_runs_its_main() {
    for (cell, call) in [
        ("fn main() { f() }\nfn f() {}", Some("\nmain();")),
        (
            "use std::fmt;\nfn main() -> Result<(), fmt::Error> { Ok(()) }",
            Some("\nmain()?;"),
        ),
        ("async fn main() {}", Some("\nmain().await;")),
        (
            "async fn main() -> anyhow::Result<()> { Ok(()) }",
            Some("\nmain().await?;"),
        ),
        ("#[tokio::main]\nasync fn main() {}", Some("\nmain();")),
        ("fn main() {}\nmain();", None),
        ("fn main() {} let größe = 1;", None),
        ("fn main(a: u8) {}", None),
        ("fn f() {}", None),
        ("1 + 1", None),
    ] {
        assert_eq!(call_of_main(cell), call, "{cell}");
    }
}

#[test]
fn let_at_the_end_needs_no_semicolon() {
    for (source, with) in [
        ("let x = 5", "let x = 5;"),
        ("let x = 5 // five\n", "let x = 5; // five\n"),
        (
            "let a = 1;\nlet b = {\n    a\n}",
            "let a = 1;\nlet b = {\n    a\n};",
        ),
        ("let x = 5;", "let x = 5;"),
        // The first one is rustc's to report.
        ("let a = 1\nlet b = 2", "let a = 1\nlet b = 2;"),
        ("let x", "let x"),
        ("let x = ", "let x = "),
        ("let x = f(1 +, 2)", "let x = f(1 +, 2);"),
        // Something else is missing there.
        ("let x = std::", "let x = std::"),
        ("let x = std:: // the rest", "let x = std:: // the rest"),
        ("let x = match größe", "let x = match größe"),
        ("let x = if b { 1 } else\n", "let x = if b { 1 } else\n"),
        ("let x = größe.", "let x = größe."),
        ("let x = y as", "let x = y as"),
        ("let x = unsafe", "let x = unsafe"),
        ("let x = Vec::<", "let x = Vec::<"),
        ("let x = f(1", "let x = f(1"),
        ("let x = 1 2", "let x = 1 2"),
        ("x = 5", "x = 5"),
    ] {
        assert_eq!(with_semicolon(source), with, "{source}");
    }
}
