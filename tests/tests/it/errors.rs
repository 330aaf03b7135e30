//! Compile errors refer to the user's cell, wherever it runs.

use phalanx_tests::prepared::{Prepared, checkout};
use std::time::Duration;

phalanx_tests::cases! {
    compile_errors_have_positions_in_the_cell(prepared: Prepared)
    python_syntax_is_answered_with_rust(prepared: Prepared)
}

/// Time limit.
const LIMIT: Duration = Duration::from_secs(900);

/// The errors of the program's cells: line and column in a cell without a magic, and a part of the
/// text.
const EXPECTED: [(usize, usize, &str); 7] = [
    (1, 7, "`std::fmt::Display` is not implemented for `Größe`"),
    (
        1,
        15,
        "an implementation of `Add` might be missing for `Größe`",
    ),
    (1, 9, "`weg` was moved by In["),
    (1, 1, "`let mut liste = liste;` makes it mutable"),
    (1, 24, "`let b = liste.clone(); let n = liste.len();`"),
    (2, 5, "`liste` is a variable of the notebook"),
    (1, 1, "`:dep rand`"),
];

/// Parts of internal names that must not be shown.
const INTERNAL_NAMES: [&str; 5] = [
    "evcxr",
    "lib.rs",
    "phalanx::__",
    "run_user_code",
    "cannot be kept",
];

fn compile_errors_have_positions_in_the_cell(prepared: Prepared) {
    let (output, _) = prepared.script("errors.py").within(LIMIT).run_json();
    let shown = output["shown"].as_array().expect("cells");
    assert_eq!(shown.len(), 2 * EXPECTED.len());
    for (cell, (line, column, words)) in shown.iter().zip(EXPECTED.iter().cycle()) {
        let code = cell[0].as_str().expect("a cell");
        let magic = usize::from(code.starts_with("%%px"));
        let [error] = cell[1].as_array().expect("errors").as_slice() else {
            panic!("{cell}")
        };
        let text = error[1].as_str().expect("a traceback");
        assert_eq!(error[0], "CompileError", "{code}: {text}");
        let position = format!("]:{}:{column}\n", line + magic);
        assert!(
            text.contains(&position) && text.contains(words),
            "{code}: {text}"
        );
        assert!(
            !INTERNAL_NAMES.iter().any(|name| text.contains(name)),
            "{code}: {text}"
        );
    }
    assert_eq!(output["after"], "1");
}

fn python_syntax_is_answered_with_rust(prepared: Prepared) {
    let script = prepared.script("first_hour.py");
    let script = script.arg(checkout("docs/first-hour.md")).within(LIMIT);
    let (output, _) = script.run_json();
    let list = |key: &str| output[key].as_array().expect("a list").clone();
    assert_eq!(
        list("misleading"),
        [] as [serde_json::Value; 0],
        "misleading help"
    );
    // The answers contain rustc's words, which differ from release to release.
    assert_eq!(
        list("missing"),
        [] as [serde_json::Value; 0],
        "not in docs/first-hour.md"
    );
    assert!(output["rows"].as_u64() >= Some(30));
}
