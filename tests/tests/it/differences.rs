//! Notebooks that cannot share engines, or not all of what another has left there, are given the reason.

use phalanx_tests::prepared::{OtherToolchain, Prepared};
use std::time::Duration;

phalanx_tests::cases! {
    different_library_or_package_is_explained(prepared: Prepared)
    different_rustc_is_explained(prepared: Prepared, other: OtherToolchain)
}

/// Longest time for it: the notebooks' library is built for each of the differences.
const LIMIT: Duration = Duration::from_secs(900);

fn different_library_or_package_is_explained(prepared: Prepared) {
    let script = prepared.script("differences.py").within(LIMIT);
    let (output, stderr) = script.program("phalanx").folder().run_json();
    let check = |case: &str, status: &str, words: &[&str]| {
        let (actual, text) = (&output[case][0], output[case][1].as_str().unwrap());
        assert_eq!(actual, status, "{case}: {text}\n{stderr}");
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
    assert!(
        output["first"].as_str().unwrap().ends_with("42"),
        "{output:#}"
    );
}

fn different_rustc_is_explained(prepared: Prepared, OtherToolchain(other): OtherToolchain) {
    let script = prepared.script("differences.py").within(LIMIT);
    let script = script.program("phalanx").folder().arg("--toolchain");
    let (output, stderr) = script.arg(&other).run_json();
    let text = output["rustc"][1].as_str().unwrap();
    for word in [
        "rustc 1.",
        "for another notebook",
        "RUSTUP_TOOLCHAIN",
        "%cluster restart",
    ] {
        assert!(text.contains(word), "{word}: {text}\n{stderr}");
    }
}
