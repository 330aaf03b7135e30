//! The names of types, as users read and compare them.

use phalanx_protocol::cell_crate::CELL_CRATE;

/// Returns a type's name without crates and modules.
pub(crate) fn plain(name: &str) -> String {
    with_paths(name, |_| false)
}

/// Returns a type's name without the crate of the cells.
pub(crate) fn own(name: &str) -> String {
    with_paths(name, |path| path.split("::").next() != Some(CELL_CRATE))
}

/// Returns a type's name; paths for which `whole` returns true are kept, others are reduced to
/// their last segment.
fn with_paths(name: &str, whole: impl Fn(&str) -> bool) -> String {
    let part_of_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut rest = name;
    let mut text = String::new();
    while !rest.is_empty() {
        let end = rest.find(|c| !part_of_path(c)).unwrap_or(rest.len());
        let path = &rest[..end];
        let last = path.rsplit(':').next().unwrap_or(path);
        text.push_str(if whole(path) { path } else { last });
        let after = rest[end..].chars().next().map_or(0, char::len_utf8);
        text.push_str(&rest[end..end + after]);
        rest = &rest[end + after..];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_cells_are_compared_without_crates() {
        let name = "alloc::vec::Vec<(notebook::Point, [core::option::Option<u8>; 3])>";
        assert_eq!(plain(name), "Vec<(Point, [Option<u8>; 3])>");
        let other = "alloc::vec::Vec<(notebook::a::Point, [core::option::Option<u8>; 3])>";
        assert_eq!(own(name), own(other));
        assert_ne!(own("a::b::C"), own("a::d::C"));
        assert_ne!(own("notebooks::C"), own("notebook::C"));
    }
}
