//! Several notebooks that use the engines of one cluster in turn, each with the definitions of the
//! others.

use phalanx_tests::prepared::Prepared;
use serde_json::json;
use std::time::Duration;

phalanx_tests::cases! {
    notebooks_with_different_dependencies_use_engines_in_turns(prepared: Prepared)
    dependencies_come_with_the_cells_that_use_them(prepared: Prepared)
}

/// Time limit.
const LIMIT: Duration = Duration::from_secs(900);

fn notebooks_with_different_dependencies_use_engines_in_turns(prepared: Prepared) {
    let (output, stderr) = prepared
        .script("notebooks.py")
        .within(LIMIT)
        .program("phalanx")
        .program("phalanx-engine")
        .folder()
        .run_json();
    let both = |text: &str| json!([text, text]);
    let size = |value: &str| format!("Größe {{ wert: {value}, label: \"ä\" }}");
    let more = "[Value(1), Value(2)]";
    let expected = json!({
        "defines": both("1"),
        "dependency": both("Value(1)"),
        "second": both(&format!("{} 3 2 2", size("1.5"))),
        "types": both(more),
        "pushed": both("[1, 2, 3] Value(1)"),
        "turns": both(&format!("[1, 2, 3] {more} 3")),
        "redefined": both(&format!("100 {}", size("1.5"))),
        "python": 42,
        "left": both(&size("2.5")),
        "third": both(&format!("{} [1, 2, 3] {more} 100", size("2.5"))),
    });
    assert_eq!(output, expected, "{stderr}");
}

fn dependencies_come_with_the_cells_that_use_them(prepared: Prepared) {
    let (seen, said) = prepared
        .script("shared_crates.py")
        .within(LIMIT)
        .program("phalanx")
        .folder()
        .run_json();
    let expected = [
        ("a defines", "Value(1) 1.5"),
        ("b takes over", "Value(1) 1.5"),
        ("b defines", "{\"x\":1.5}"),
        ("b defines more", "Value(1)"),
        ("a takes over", "1.5 Value(1)"),
        ("a goes on", "[{\"x\":1.5},1] Value(1)"),
        ("c joins late", "[{\"x\":1.5},1] Value(1) Value(1) 2"),
        ("e had both", "(Object {\"x\": Number(1.5)}, Value(2))"),
        ("b sees all", "[{\"x\":1.5},1] 2"),
        ("a alone", "3"),
        ("b goes on", "8 1.5"),
        ("a has all", "yes 8 3"),
    ];
    for (case, text) in expected {
        assert_eq!(seen[case], json!([text, text]), "{case}: {seen:#}\n{said}");
    }
    for (case, status, words) in [
        (
            "b leaves out",
            "ok",
            &[
                "not taken over from In[",
                "ONLY_THERE",
                "`fn only`, `of_only`",
            ][..],
        ),
        ("b misses", "error", &["`only` is defined by In["]),
    ] {
        assert_eq!(seen[case][0], status, "{case}: {seen:#}\n{said}");
        let text = seen[case][1].as_str().unwrap();
        let missing = words.iter().find(|word| !text.contains(**word));
        assert_eq!(missing, None, "{case}: {text}");
    }
}
