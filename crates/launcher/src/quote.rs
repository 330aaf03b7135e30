//! Quoting for a POSIX shell.

use std::ffi::OsStr;

/// Quotes a word.
pub(crate) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Quotes the words of a command line.
pub(crate) fn line(words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
    let words = words.into_iter();
    let quoted = words.map(|word| quote(&word.as_ref().to_string_lossy()));
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_whole() {
        assert_eq!(
            line(["a", "b c", "", "it's", "$x"]),
            r"a 'b c' '' 'it'\''s' '$x'"
        );
    }
}
