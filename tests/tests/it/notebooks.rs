//! Several notebooks that use the engines of one cluster in turn, each with the definitions of the
//! others.

use phalanx_tests::prepared::Prepared;
use serde_json::json;
use std::time::Duration;

phalanx_tests::cases! {
    notebooks_with_different_dependencies_use_engines_in_turns(prepared: Prepared)
}

/// Time limit.
const LIMIT: Duration = Duration::from_secs(900);

fn notebooks_with_different_dependencies_use_engines_in_turns(prepared: Prepared) {
    let (seen, said) = prepared
        .script("notebooks.py")
        .within(LIMIT)
        .program("phalanx")
        .program("phalanx-engine")
        .folder()
        .seen();
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
    assert_eq!(seen, expected, "{said}");
}
