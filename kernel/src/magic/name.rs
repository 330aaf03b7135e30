//! The names of magics, and the suffixes of activated sets.

use std::fmt;

/// Every magic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MagicName {
    /// `%px` and `%%px`.
    Px,
    /// `%pxresult`.
    PxResult,
    /// `%result`, ipyparallel's older name of `%pxresult`.
    Result,
    /// `%pxconfig`.
    PxConfig,
    /// `%autopx`.
    AutoPx,
    /// `%pxactivate`.
    PxActivate,
    /// `%cluster`.
    Cluster,
    /// `%engines`.
    Engines,
    /// `%timeit` and `%%timeit`.
    TimeIt,
    /// `%prof` and `%%prof`.
    Prof,
    /// `%who`.
    Who,
    /// `%whos`, IPython's longer form of `%who`.
    Whos,
    /// `%%bash`.
    Bash,
    /// `%%writefile`.
    WriteFile,
    /// `%run`.
    Run,
    /// `%load`.
    Load,
    /// `%fmt`.
    Fmt,
}

/// The forms in which a magic can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MagicForm {
    /// On a line of its own, after `%`.
    Line,
    /// On the first line of a cell, after `%%`.
    Cell,
    /// Both.
    Both,
}

impl MagicName {
    /// All magics.
    pub const ALL: [Self; 17] = [
        Self::Px,
        Self::PxResult,
        Self::Result,
        Self::PxConfig,
        Self::AutoPx,
        Self::PxActivate,
        Self::Cluster,
        Self::Engines,
        Self::TimeIt,
        Self::Prof,
        Self::Who,
        Self::Whos,
        Self::Bash,
        Self::WriteFile,
        Self::Run,
        Self::Load,
        Self::Fmt,
    ];

    /// Returns the name without its sign.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Px => "px",
            Self::PxResult => "pxresult",
            Self::Result => "result",
            Self::PxConfig => "pxconfig",
            Self::AutoPx => "autopx",
            Self::PxActivate => "pxactivate",
            Self::Cluster => "cluster",
            Self::Engines => "engines",
            Self::TimeIt => "timeit",
            Self::Prof => "prof",
            Self::Who => "who",
            Self::Whos => "whos",
            Self::Bash => "bash",
            Self::WriteFile => "writefile",
            Self::Run => "run",
            Self::Load => "load",
            Self::Fmt => "fmt",
        }
    }

    /// Returns the forms in which the magic can be used.
    pub fn form(self) -> MagicForm {
        match self {
            Self::Px | Self::TimeIt | Self::Prof => MagicForm::Both,
            // `%fmt` is recognized with a single sign too, since it applies to the rest of the
            // cell.
            Self::Bash | Self::WriteFile | Self::Fmt => MagicForm::Cell,
            _ => MagicForm::Line,
        }
    }

    /// Returns the name with its sign.
    pub fn signed(self) -> String {
        match self.form() {
            MagicForm::Cell => format!("%%{self}"),
            MagicForm::Line | MagicForm::Both => format!("%{self}"),
        }
    }

    /// Returns true if an activated suffix yields another magic.
    pub fn takes_suffix(self) -> bool {
        matches!(
            self,
            Self::Px | Self::PxResult | Self::PxConfig | Self::AutoPx
        )
    }
}

impl fmt::Display for MagicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The suffix that `%pxactivate` appends to the names of magics; empty for the built-in ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MagicSuffix(String);

impl MagicSuffix {
    /// Parses a suffix; `None` if it cannot be part of a name, or if a name with it is that of
    /// another magic.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.chars().all(|c| c.is_alphanumeric() || c == '_');
        let taken = MagicName::ALL
            .iter()
            .any(|name| name.takes_suffix() && resolve(&format!("{name}{text}"), &[]).is_some());
        (!text.is_empty() && fits && !taken).then(|| Self(text.to_owned()))
    }

    /// Returns the suffix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Finds a magic by name: a built-in one, or one with an activated suffix.
pub fn resolve(typed: &str, suffixes: &[MagicSuffix]) -> Option<(MagicName, MagicSuffix)> {
    let plain = MagicName::ALL.iter().find(|name| name.as_str() == typed);
    if let Some(name) = plain {
        return Some((*name, MagicSuffix::default()));
    }
    MagicName::ALL
        .iter()
        .filter(|name| name.takes_suffix())
        .find_map(|name| {
            let rest = typed.strip_prefix(name.as_str())?;
            let suffix = suffixes.iter().find(|suffix| suffix.as_str() == rest)?;
            Some((*name, suffix.clone()))
        })
}

/// Returns all names, including those with activated suffixes.
pub fn all(suffixes: &[MagicSuffix]) -> Vec<String> {
    let plain = MagicName::ALL.iter().map(ToString::to_string);
    let more = suffixes.iter().flat_map(|suffix| {
        let names = MagicName::ALL.iter().filter(|name| name.takes_suffix());
        names.map(move |name| format!("{name}{}", suffix.as_str()))
    });
    plain.chain(more).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activated_suffixes_are_part_of_names() {
        let even = MagicSuffix::parse("_even").unwrap();
        let known = [even.clone()];
        assert_eq!(
            resolve("px", &known),
            Some((MagicName::Px, MagicSuffix::default()))
        );
        assert_eq!(
            resolve("px_even", &known),
            Some((MagicName::Px, even.clone()))
        );
        assert_eq!(
            resolve("pxresult_even", &known),
            Some((MagicName::PxResult, even))
        );
        for unknown in ["px_even", "pxx", "result_even", "cluster_even"] {
            assert_eq!(resolve(unknown, &[]), None, "{unknown}");
        }
        assert_eq!(resolve("result_even", &known), None);
        assert!(all(&known).contains(&"autopx_even".to_owned()));
    }

    #[test]
    fn a_suffix_that_makes_an_existing_name_is_refused() {
        for text in ["", "result", "config", "activate", "a b", "-1"] {
            assert_eq!(MagicSuffix::parse(text), None, "{text}");
        }
        assert!(MagicSuffix::parse("0").is_some());
        assert!(MagicSuffix::parse("é").is_some());
    }
}
