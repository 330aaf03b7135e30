//! Checks for text that does not belong in a repository.

use super::{Finding, Tree};

/// Split, so that this file does not contain them.
const UNWANTED: [(&str, &str); 11] = [
    (
        concat!("crates", ".io"),
        "a registry's host: name packages, not hosts",
    ),
    (
        concat!("py", "pi.org"),
        "a registry's host: name packages, not hosts",
    ),
    (
        concat!("python", "hosted.org"),
        "a registry's host: name packages, not hosts",
    ),
    (
        concat!("npm", "js.org"),
        "a registry's host: name packages, not hosts",
    ),
    (
        concat!("deb", ".debian.org"),
        "a registry's host: name packages, not hosts",
    ),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/tm", "p/t/"), "a path of one machine"),
    (concat!("/ho", "me/"), "a path of one machine"),
    (concat!("issues ", "show"), "how the work is organised"),
    (concat!("contract", ".md"), "how the work is organised"),
];

/// Cargo writes a registry's address for every package.
const EXEMPT: [&str; 1] = ["Cargo.lock"];

/// Reports unwanted text.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| !file.is_in(&EXEMPT)) {
        for (number, line) in (1..).zip(file.text.lines()) {
            for (word, reason) in UNWANTED {
                if line.contains(word) {
                    findings.push(file.finding(number, format!("`{word}`: {reason}")));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::messages;
    use super::*;

    #[test]
    fn unwanted_words_are_reported() {
        for (word, _) in UNWANTED {
            let text = format!("fine\nsee {word}x");
            let found = messages(check, &[("docs/a.md", &text)]);
            assert!(found[0].starts_with("docs/a.md:2"), "{word}: {found:?}");
        }
        assert_eq!(
            messages(check, &[("Cargo.lock", concat!("crates", ".io"))]),
            [""; 0]
        );
    }
}
