//! Glob patterns: those of a frontend's searches in the history, and of queries for tasks.

/// The syntax of a pattern. Both have `*` (any text), `?` (one character) and `[a-c]` (one of these
/// characters; a bracket in first position is one of them).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glob {
    /// SQLite's `GLOB`, with which IPython searches its history: `[^a-c]` is any other character,
    /// and a pattern with an unclosed bracket matches nothing.
    Sqlite,
    /// Python's `fnmatch`, as in ipyparallel's queries: `[!a-c]` is any other character, and an
    /// unclosed bracket is itself.
    Fnmatch,
}

impl Glob {
    /// Returns true if the whole text matches the pattern.
    pub fn matches(self, pattern: &str, text: &str) -> bool {
        let pattern: Vec<char> = pattern.chars().collect();
        let text: Vec<char> = text.chars().collect();
        let (mut p, mut t) = (0, 0);
        // The position of the last star, and the end of the text it matches so far.
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            if pattern.get(p) == Some(&'*') {
                star = Some((p, t));
                p += 1;
                continue;
            }
            match (self.step(&pattern[p..], text[t]), star) {
                (Some(length), _) => {
                    p += length;
                    t += 1;
                }
                (None, Some((at, taken))) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                (None, None) => return false,
            }
        }
        pattern[p..].iter().all(|c| *c == '*')
    }

    /// Matches one character with the beginning of the pattern, which is no star: returns the length
    /// of what it matches.
    fn step(self, pattern: &[char], c: char) -> Option<usize> {
        match (pattern.first()?, self) {
            ('?', _) => Some(1),
            ('[', _) if let Some((class, length)) = self.class(pattern) => {
                class.contains(c).then_some(length)
            }
            ('[', Self::Sqlite) => None,
            (first, _) => (*first == c).then_some(1),
        }
    }

    /// Parses the character class at the beginning of the pattern: returns it and its length; `None`
    /// for an unclosed bracket.
    fn class(self, pattern: &[char]) -> Option<(Class<'_>, usize)> {
        let negation = match self {
            Self::Sqlite => '^',
            Self::Fnmatch => '!',
        };
        let is_negated = pattern.get(1) == Some(&negation);
        let first = if is_negated { 2 } else { 1 };
        // A bracket in first position is a member of the class.
        let end = (first + 1..pattern.len()).find(|&at| pattern[at] == ']')?;
        let members = &pattern[first..end];
        Some((
            Class {
                members,
                is_negated,
            },
            end + 1,
        ))
    }
}

/// The characters in brackets.
struct Class<'a> {
    /// Single characters, and ranges of three characters.
    members: &'a [char],
    is_negated: bool,
}

impl Class<'_> {
    fn contains(&self, c: char) -> bool {
        let mut members = self.members;
        let mut is_member = false;
        while let [first, rest @ ..] = members {
            if let ['-', last, after @ ..] = rest {
                is_member |= (first..=last).contains(&&c);
                members = after;
            } else {
                is_member |= *first == c;
                members = rest;
            }
        }
        is_member != self.is_negated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_dialects_have_stars_and_classes() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("*b*", "abc", true),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("**a", "ba", true),
            ("a*", "a\nb", true),
            ("[ab]x", "bx", true),
            ("[ab]x", "cx", false),
            ("[a-c]", "b", true),
            ("*[0-9]*", "x = 1;", true),
            ("*[0-9]", "x", false),
            ("[a-]", "-", true),
            ("[]]", "]", true),
        ] {
            for dialect in [Glob::Sqlite, Glob::Fnmatch] {
                let matches = dialect.matches(pattern, text);
                assert_eq!(matches, expected, "{dialect:?} {pattern} {text}");
            }
        }
    }

    #[test]
    fn dialects_differ_in_negation_and_unclosed_brackets() {
        for (pattern, text, sqlite, fnmatch) in [
            ("[!ab]x", "bx", true, false),
            ("[!ab]x", "cx", false, true),
            ("[^ab]x", "bx", false, true),
            ("[^ab]x", "cx", true, false),
            ("[a", "[a", false, true),
            ("*[", "v[", false, true),
        ] {
            assert_eq!(Glob::Sqlite.matches(pattern, text), sqlite, "{pattern}");
            assert_eq!(Glob::Fnmatch.matches(pattern, text), fnmatch, "{pattern}");
        }
    }
}
