//! Several notebooks use the engines of one cluster in turns, each with all that the others have defined.

use phalanx_tests::bounded::run;
use phalanx_tests::place::Place;
use phalanx_tests::prepared::{Prepared, checkout};
use serde_json::{Value, json};
use std::time::Duration;

/// Longest time for all of it.
const LIMIT: Duration = Duration::from_secs(900);

#[test]
fn notebooks_with_different_dependencies_use_engines_in_turns() {
    let Some(prepared) = Prepared::get() else {
        return;
    };
    let place = Place::new();
    let mut command = place.command(&prepared, prepared.python());
    command
        .arg(checkout("tests/python/notebooks.py"))
        .arg(prepared.binary("phalanx"))
        .arg(prepared.binary("phalanx-engine"))
        .arg(place.path(""));
    let finished = run(&mut command, LIMIT).succeeded();
    let seen: Value = serde_json::from_str(&finished.stdout).expect("JSON");
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
    assert_eq!(seen, expected, "{}", finished.stderr);
}
