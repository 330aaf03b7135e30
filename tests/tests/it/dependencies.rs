//! Dependencies added in the middle of a notebook, locally and on engines.

use phalanx_tests::prepared::Prepared;
use std::time::Duration;

phalanx_tests::cases! {
    dependency_affects_only_dependent_state(prepared: Prepared)
}

/// Time limit; some thirty crates are built.
const LIMIT: Duration = Duration::from_secs(1200);

fn dependency_affects_only_dependent_state(prepared: Prepared) {
    let (answers, _) = prepared.script("dependencies.py").within(LIMIT).run_json();
    // Consecutive lines are built together.
    let built = answers["local"]["dependencies"].as_str().unwrap();
    assert_eq!(built.matches("[built]\n").count(), 1, "{built}");
    for namespace in ["local", "engines"] {
        let check = |cell: &str, expected: &[&str]| {
            let text = answers[namespace][cell].as_str().unwrap();
            for part in expected {
                assert!(
                    text.contains(part),
                    "{namespace}, {cell}: {part:?} in {text}"
                );
            }
        };
        check("kept", &["8\n"]);
        check("first uses", &["INFO notebook: first", "499500\n"]);
        check("a bar", &["2/4", "4/4"]);
        // Cells are asynchronous since the server was added.
        check("a runtime of its own", &["42\n"]);
        // All kinds of statics, and running threads, survive a further dependency.
        check(
            "what lives on",
            &[
                "INFO notebook: second",
                "served a client\n",
                "5 1\n",
                "14\n",
            ],
        );
        check("a crash", &["SIGABRT", "is kept"]);
        check("pools after a crash", &["500500\n"]);
        check("tasks after a crash", &["8\n", "INFO notebook: third"]);
        check("a task that is spawned and not awaited", &["1\n"]);
        check(
            "what is left",
            &["`shape` was built anew", "`holds`", "`nested`", "1 1 2\n"],
        );
        check("the old type", &["cannot find value `holds`"]);
        check("an error with its cause", &["what: cause"]);
        check("the old type in another", &["cannot find value `nested`"]);
        for cell in ["kept", "another dependency", "what lives on"] {
            let text = answers[namespace][cell].as_str().unwrap();
            assert!(!text.contains("dropped"), "{namespace}, {cell}: {text}");
        }
    }
}
