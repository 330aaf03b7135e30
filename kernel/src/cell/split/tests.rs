use super::*;
use phalanx_protocol::failure::DiagnosticSpan;

/// Checks the directives of a cell, one line each.
fn check(cell: &str, expected: &[&str]) {
    let seen: Vec<String> = split(cell, &[])
        .iter()
        .map(|directive| match &directive.kind {
            DirectiveKind::Rust(text) => format!("rust {}", text.source),
            DirectiveKind::Magic(line) => format!("magic {line}"),
            DirectiveKind::CellMagic { line, body } => format!("cell {line} | {}", body.source),
            DirectiveKind::Command(line) => format!("command {line}"),
            DirectiveKind::Shell(line) => format!("shell {line}"),
        })
        .collect();
    assert_eq!(seen, expected, "{cell:?}");
    for directive in split(cell, &[]) {
        let text = &cell[directive.span];
        assert_eq!(text, text.trim_start_matches('\n').trim_end_matches('\r'));
    }
}

#[test]
fn rust_alone_is_one_directive() {
    check("", &[]);
    check("  \n// only a comment\n/* and /* another */ */", &[]);
    check("1 + 1", &["rust 1 + 1"]);
    check("\n\n  1 +\n 1\n", &["rust   1 +\n 1"]);
}

#[test]
fn commands_and_shell_lines_split_the_cell_in_order() {
    check(
        ":dep serde = \"1\"\nuse serde::*;\n!ls -l\n:vars\n1",
        &[
            "command :dep serde = \"1\"",
            "rust use serde::*;",
            "shell ls -l",
            "command :vars",
            "rust 1",
        ],
    );
    check("a.len()\n:vars", &["rust a.len()", "command :vars"]);
    check("trait A\n:Vars {}", &["rust trait A\n:Vars {}"]);
    check("let a\n:vars = 1;", &["rust let a\n:vars = 1;"]);
    check("fn f() {\n:vars\n}", &["rust fn f() {\n:vars\n}"]);
    check("::std::process::id()", &["rust ::std::process::id()"]);
    check("let a =\n!true;", &["rust let a =\n!true;"]);
}

#[test]
fn a_line_that_negates_a_value_is_rust() {
    for cell in ["!true", "!true && f()", "!false;", "let done = f();\n!done"] {
        check(cell, &[&format!("rust {cell}")]);
    }
    check("!true -x", &["shell true -x"]);
    check("!done", &["shell done"]);
    let known = |cell| split(cell, &["done".to_owned()]).into_iter();
    let mut kinds: Vec<_> = known("!done").map(|directive| directive.kind).collect();
    kinds.extend(known("!done --now").map(|directive| directive.kind));
    assert!(matches!(&kinds[0], DirectiveKind::Rust(text) if text.source.trim() == "!done"));
    assert_eq!(kinds[1], DirectiveKind::Shell("done --now".to_owned()));
}

#[test]
fn leading_and_trailing_magics_stand_alone() {
    check(
        "// start\n%cluster start -n 2\n%px 1\nlet a = 1;\n%px a \n// end\n",
        &[
            "magic %cluster start -n 2",
            "magic %px 1",
            "rust let a = 1;",
            "magic %px a",
        ],
    );
    check(
        "  %px \"unbalanced (\n  %px 2",
        &["magic %px \"unbalanced (", "magic %px 2"],
    );
    check("fn f() {}\n%px 1", &["rust fn f() {}", "magic %px 1"]);
}

#[test]
fn magics_within_rust_are_lowered() {
    check(
        "let a = 1;\n%px let x = 1;\nlet b = 2;",
        &["rust let a = 1;\nphalanx::__magic::run(r##\"%px let x = 1;\"##);\nlet b = 2;"],
    );
    check(
        "for i in 0..3 {\n    %px 1\n}",
        &["rust for i in 0..3 {\n    phalanx::__magic::run(r##\"%px 1\"##);\n}"],
    );
    check(
        "let ar = %px --noblock f(\"##\");",
        &["rust let ar = phalanx::__magic::submit(r##\"%px --noblock f(\"##\")\"##);"]
            .map(|line| line.replace("r##", "r###").replace("\"##);", "\"###);"))
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
    );
    check(
        "let ar = %px --noblock 1;\nar",
        &["rust let ar = phalanx::__magic::submit(r##\"%px --noblock 1\"##);\nar"],
    );
}

#[test]
fn rust_that_looks_like_a_magic_is_unchanged() {
    for cell in [
        "a\n% b",
        "a\n%b",
        "let c = a\n%b;",
        "\"\n%px 1\n\"",
        "/*\n%px 1\n*/ 1",
        "r#\"\n%px 1 \"\n\"#",
        "f(\n%px\n)",
        "let s = S { x: 1 }\n%px;",
        "a %= b;\na\n%\nb",
        "x = y\n%z",
        "let c = '\"';\nlet d = a\n%px;",
    ] {
        check(cell, &[&format!("rust {cell}")]);
    }
}

#[test]
fn a_cell_magic_takes_the_whole_cell() {
    check(
        "\n%%px -t 0\nlet a = 1;\n%px 1\n",
        &["cell %%px -t 0 | let a = 1;\n%px 1\n"],
    );
    check("%%px", &["cell %%px | "]);
    check(
        "1;\n%%px\n2",
        &["rust 1;\nphalanx::__magic::run(r##\"%%px\"##);\n2"],
    );
}

#[test]
fn spans_map_back_to_the_cell() {
    let cell = "%px 0\nlet ä = 1;\nlet ar = %px --noblock 1;\nar.x";
    let directives = split(cell, &[]);
    let DirectiveKind::Rust(text) = &directives[1].kind else {
        panic!("{directives:?}")
    };
    let at = |line, column, end| {
        let span = text.map.span(&DiagnosticSpan {
            start_line: line,
            start_column: column,
            end_line: line,
            end_column: end,
            label: String::new(),
            primary: true,
        });
        (span.start_line, span.start_column, span.end_column)
    };
    assert_eq!(at(1, 5, 6), (2, 5, 6));
    assert_eq!(at(2, 5, 7), (3, 5, 7));
    assert_eq!(at(2, 12, 30), (3, 10, 26));
    assert_eq!(at(3, 4, 5), (4, 4, 5));
}
