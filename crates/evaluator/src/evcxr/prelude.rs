//! The initial code of every namespace, hidden from `:vars`, completion and messages.

use super::blind::ATTRIBUTE;
use std::path::Path;

/// The display of the last expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LastExpression {
    /// The format, as set by `:fmt`.
    pub(super) format: String,
    /// True if types are shown, as set by `:types`.
    pub(super) types: bool,
}

impl Default for LastExpression {
    fn default() -> Self {
        Self {
            format: "{:?}".to_owned(),
            types: false,
        }
    }
}

impl LastExpression {
    /// Updates it with evcxr's answer to `:fmt` or `:types`.
    #[must_use]
    pub(super) fn with_answer(&self, answer: &str) -> Self {
        let mut shown = self.clone();
        for line in answer.lines() {
            if let Some(format) = line.strip_prefix("Output format: ") {
                format.clone_into(&mut shown.format);
            } else if let Some(types) = line.strip_prefix("Types: ") {
                shown.types = types == "true";
            }
        }
        shown
    }

    /// Returns the items that every cell is compiled with, and the attribute that hides them from
    /// evcxr's own rust-analyzer.
    ///
    /// The macro prints the error that leaves a cell through `?`, for which evcxr calls
    /// `eprintln!`, in a form that the runtime recognizes.
    ///
    /// The trait makes evcxr's first attempt at showing the last expression succeed for every type
    /// that implements the format's trait, which halves the time of such a cell: see
    /// [`super::source`]. It is implemented for references, so that any other `evcxr_display` takes
    /// precedence.
    pub(super) fn items(&self) -> String {
        let format_trait = trait_of(&self.format);
        let value = if self.types {
            let format = format!(": {{}} = {}", self.format);
            format!("{format:?}, phalanx::__cell::short(std::any::type_name::<T>()), self")
        } else {
            format!("{:?}, self", self.format)
        };
        format!(
            "{ATTRIBUTE}\n\
             use phalanx::__cell::eprintln;\n\
             trait __PhalanxShown {{ fn evcxr_display(&self); }}\n\
             impl<T: std::fmt::{format_trait} + ?Sized> __PhalanxShown for &T {{\n    \
             fn evcxr_display(&self) {{ phalanx::__cell::show(std::any::type_name::<T>(), format_args!({value})) }}\n}}"
        )
    }
}

/// Returns the formatting trait of a format with one placeholder.
fn trait_of(format: &str) -> &'static str {
    let placeholder = format.replace("{{", "").replace("}}", "");
    let kind = placeholder
        .split_once('}')
        .and_then(|(before, _)| before.rsplit_once(':'))
        .and_then(|(_, options)| options.chars().last());
    match kind {
        Some('?') => "Debug",
        Some('x') => "LowerHex",
        Some('X') => "UpperHex",
        Some('o') => "Octal",
        Some('b') => "Binary",
        Some('e') => "LowerExp",
        Some('E') => "UpperExp",
        _ => "Display",
    }
}

/// Returns the dependencies of every namespace, by name and configuration: the `phalanx` library,
/// and serde, which `phalanx` depends on anyway and which its derives refer to.
pub(super) fn dependencies(library: &Path) -> [(&'static str, String); 2] {
    let path = library.display().to_string();
    [
        ("phalanx", format!("{{ path = {path:?} }}")),
        (
            "serde",
            "{ version = \"1\", features = [\"derive\"] }".to_owned(),
        ),
    ]
}

/// Returns true for names of ours that are hidden from the user.
pub(super) fn is_hidden(name: &str) -> bool {
    const PREFIXES: [&str; 5] = [
        "__Phalanx",
        "evcxr_",
        "phalanx_cell_",
        "PHALANX_IMPL_",
        "phalanx_items_",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_follow_the_format_and_types_options() {
        let shown = LastExpression::default();
        assert!(shown.items().contains("T: std::fmt::Debug + ?Sized"));
        let shown = shown.with_answer("Output format: <{:#.3}>\nTypes: true\n");
        let items = shown.items();
        assert!(items.contains("T: std::fmt::Display + ?Sized"), "{items}");
        assert!(
            items.contains("\": {} = <{:#.3}>\", phalanx::__cell::short("),
            "{items}"
        );
        assert_eq!(
            shown.with_answer("Types: false"),
            LastExpression {
                types: false,
                ..shown
            }
        );
    }

    #[test]
    fn formats_have_their_traits() {
        for (format, expected) in [
            ("{:?}", "Debug"),
            ("{:#?}", "Debug"),
            ("{}", "Display"),
            ("{:>8.2}", "Display"),
            ("0x{:04x}", "LowerHex"),
            ("{{:?}} {}", "Display"),
            ("{:", "Display"),
        ] {
            assert_eq!(trait_of(format), expected, "{format}");
        }
    }
}
