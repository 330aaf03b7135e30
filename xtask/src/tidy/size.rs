//! Checks the lengths of files.

use super::{Finding, Tree};

/// The largest length of a file, in lines.
const MAX_LINES: usize = 800;
/// The largest length of nine files in ten, in lines.
const P90: usize = 400;

/// Reports files that are too long.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let code = tree
        .files
        .iter()
        .filter(|file| file.path.ends_with(".rs") || file.path.ends_with(".py"));
    let mut lengths: Vec<_> = code.map(|file| (file.text.lines().count(), file)).collect();
    lengths.sort_by_key(|(length, _)| *length);
    let too_long = |(length, file): &(usize, &super::tree::File), limit: usize| {
        file.finding(
            0,
            format!("{length} lines, {limit} is the limit: split it by concept"),
        )
    };
    let mut findings: Vec<_> = lengths
        .iter()
        .filter(|(length, _)| *length > MAX_LINES)
        .map(|entry| too_long(entry, MAX_LINES))
        .collect();
    // The p90 of n files is the length that at most n / 10 of them exceed.
    let longer = lengths.iter().filter(|(length, _)| *length > P90);
    let excess = longer.clone().count().saturating_sub(lengths.len() / 10);
    findings.extend(longer.take(excess).map(|entry| too_long(entry, P90)));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings_for(lengths: &[usize]) -> usize {
        let mut tree = Tree::default();
        for (index, length) in lengths.iter().enumerate() {
            tree.add(&format!("kernel/src/f{index}.rs"), "\n".repeat(*length));
        }
        check(&tree).len()
    }

    #[test]
    fn long_files_are_reported() {
        assert_eq!(findings_for(&[801, 1, 1, 1, 1, 1, 1, 1, 1, 1]), 1);
        assert_eq!(findings_for(&[800, 1, 1, 1, 1, 1, 1, 1, 1, 1]), 0);
        assert_eq!(findings_for(&[500, 500, 1, 1, 1, 1, 1, 1, 1, 1]), 1);
    }
}
