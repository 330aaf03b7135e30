//! Checks the lengths of commit subjects.

use super::{Finding, Tree};

/// The longest subject, in characters.
const MAX_SUBJECT: usize = 72;

/// Reports commits whose subject is too long.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let commits = tree.commits.iter().flatten();
    let lengths = commits.map(|commit| (commit, commit.subject.chars().count()));
    let long = lengths.filter(|(_, length)| *length > MAX_SUBJECT);
    long.map(|(commit, length)| Finding {
        path: format!("commit {}", commit.id),
        line: 0,
        message: format!("a subject of {length} characters, {MAX_SUBJECT} at most"),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::Commit;
    use super::*;

    fn found(subjects: &[&str]) -> Vec<String> {
        let commits = subjects.iter().map(|subject| Commit {
            id: "0123abcd".to_owned(),
            subject: (*subject).to_owned(),
        });
        let commits = Some(commits.collect());
        let findings = check(&Tree {
            commits,
            ..Tree::default()
        });
        findings.iter().map(Finding::to_string).collect()
    }

    #[test]
    fn long_subjects_are_reported() {
        let allowed = "é".repeat(72);
        let long = format!("{allowed}.");
        assert_eq!(
            found(&["[xtask] Check subjects", &allowed, &long]),
            ["commit 0123abcd: a subject of 73 characters, 72 at most"]
        );
    }

    #[test]
    fn sources_without_commits_pass() {
        assert_eq!(check(&Tree::default()), []);
    }
}
