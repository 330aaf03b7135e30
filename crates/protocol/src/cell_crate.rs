//! The crate of cells, by whose name users see it.

/// The name of the crate that every cell is compiled as. Users see it wherever Rust names a crate:
/// in `std::any::type_name`, in `module_path!()` and so in the targets of `log` and `tracing`.
pub const CELL_CRATE: &str = "notebook";

/// Replaces the crate of cells by `with` in the paths of a text, such as `notebook::Point`.
#[must_use]
pub fn replace_cell_crate(text: &str, with: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(CELL_CRATE) {
        let begin = text.len() - rest.len() + at;
        let after = &rest[at + CELL_CRATE.len()..];
        replaced.push_str(&rest[..at]);
        let last = text[..begin].chars().next_back();
        // Otherwise it is the end of another name, or a module.
        let begins = !last.is_some_and(|last| last.is_alphanumeric() || "_:".contains(last));
        match after.strip_prefix("::") {
            Some(after) if begins => {
                replaced.push_str(with);
                rest = after;
            }
            _ => {
                replaced.push_str(CELL_CRATE);
                rest = after;
            }
        }
    }
    replaced + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_crate_of_cells_is_replaced() {
        let text = "<notebook::Point as Add<notebook::notebook::P>>::add";
        assert_eq!(
            replace_cell_crate(text, "crate::"),
            "<crate::Point as Add<crate::notebook::P>>::add"
        );
        assert_eq!(
            replace_cell_crate("notebook::notebook::P", ""),
            "notebook::P"
        );
        for other in [
            "my_notebook::P",
            "a::notebook::P",
            "notebooks::P",
            "notebook",
            "größe",
        ] {
            assert_eq!(replace_cell_crate(other, ""), other);
        }
    }
}
