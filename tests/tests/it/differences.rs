//! Notebooks that cannot share engines, or not all of what another has left there, are told why.

use phalanx_tests::prepared::{Prepared, Toolchain};
use std::time::Duration;

phalanx_tests::cases! {
    another_library_or_package_is_told_in_words(prepared: Prepared)
    another_rustc_is_told_in_words(prepared: Prepared, other: Toolchain)
}

/// Longest time for it: the notebooks' library is built for each of the differences.
const LIMIT: Duration = Duration::from_secs(900);

fn another_library_or_package_is_told_in_words(prepared: Prepared) {
    let script = prepared.script("differences.py").within(LIMIT);
    let (seen, said) = script.program("phalanx").folder().seen();
    let check = |case: &str, status: &str, words: &[&str]| {
        let (found, text) = (&seen[case][0], seen[case][1].as_str().unwrap());
        assert_eq!(found, status, "{case}: {text}\n{said}");
        let missing = words.iter().find(|word| !text.contains(**word));
        assert_eq!(missing, None, "{case}: {text}");
    };
    let restart = "%cluster restart";
    check(
        "library",
        "error",
        &["another build of the library", "PHALANX_CACHE_DIR", restart],
    );
    check("same", "ok", &["Value(7)"]);
    check(
        "panic",
        "error",
        &["In[3] of another notebook, line", "list[at]"],
    );
    check("moved", "error", &["moved by In[4] of another notebook"]);
    check("package", "ok", &["dropped", "`alpha`", "`value`", "42"]);
    let rebuilt = "the crate that defines the type of `value` was rebuilt";
    check("package's variable", "error", &[rebuilt]);
    assert!(seen["first"].as_str().unwrap().ends_with("42"), "{seen:#}");
}

fn another_rustc_is_told_in_words(prepared: Prepared, Toolchain(other): Toolchain) {
    let script = prepared.script("differences.py").within(LIMIT);
    let script = script.program("phalanx").folder().arg("--toolchain");
    let (seen, said) = script.arg(&other).seen();
    let text = seen["rustc"][1].as_str().unwrap();
    for word in [
        "rustc 1.",
        "for another notebook",
        "RUSTUP_TOOLCHAIN",
        "%cluster restart",
    ] {
        assert!(text.contains(word), "{word}: {text}\n{said}");
    }
}
