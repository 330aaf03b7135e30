//! The public paths of types that are defined in private modules, from rustc's errors.
//!
//! rustc prints a visible path in its notes, except for names that are unique: so a second type of
//! the same name is defined for each.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The function that rejects every variable, so that rustc reports the variable's type.
pub(super) const REJECTED: &str = "refused";

/// The beginning of the line with the type that rustc has found.
const FOUND: &str = "found reference `&";

/// The options for errors without omissions.
pub(super) const OPTIONS: [&str; 1] = ["--diagnostic-width=100000"];

/// Returns the items that make rustc report the types with these paths.
pub(super) fn probes(paths: &BTreeSet<&str>) -> String {
    let names: BTreeSet<&str> = paths.iter().map(|path| last(path)).collect();
    let doubles = names.iter().map(|name| format!("pub enum {name} {{}} "));
    format!(
        "mod __phalanx_doubles {{ {} }}\n",
        doubles.collect::<String>()
    )
}

/// Returns the public paths in rustc's messages, by private path.
pub(super) fn public_paths(paths: &BTreeSet<&str>, messages: &[u8]) -> BTreeMap<String, String> {
    let messages = String::from_utf8_lossy(messages);
    let errors = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut public_paths = BTreeMap::new();
    for error in errors.filter(|error| error["code"]["code"] == "E0308") {
        let notes = error["children"].as_array().into_iter().flatten();
        let notes = notes.filter_map(|note| note["message"].as_str());
        for ty in notes.filter_map(|note| note.split_once(FOUND)) {
            for public in paths_in(ty.1) {
                let mut private = paths.iter().filter(|path| last(path) == last(public));
                if let (Some(only), None) = (private.next(), private.next()) {
                    public_paths
                        .entry((*only).to_owned())
                        .or_insert(public.to_owned());
                }
            }
        }
    }
    public_paths
}

/// Returns the paths in a type.
fn paths_in(ty: &str) -> impl Iterator<Item = &str> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let paths = ty.split(move |c| !is_path(c));
    paths.filter(|path| path.contains("::") && !path.ends_with(':'))
}

fn last(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn public_paths_are_read_from_rustcs_errors() {
        let paths = BTreeSet::from(["tokio::runtime::task::join::JoinHandle", "a::b::Größe"]);
        let items = probes(&paths);
        assert!(items.contains("pub enum JoinHandle {}"), "{items}");
        let note = "expected reference `&Nothing`\n   found reference `&Option<tokio::task::JoinHandle<a::Größe, std::vec::Vec<u8>>>`";
        let error = json!({"code": {"code": "E0308"}, "children": [{"message": note}]});
        let public = public_paths(&paths, error.to_string().as_bytes());
        let expected = [
            ("a::b::Größe", "a::Größe"),
            (
                "tokio::runtime::task::join::JoinHandle",
                "tokio::task::JoinHandle",
            ),
        ];
        let expected = expected.map(|(private, public)| (private.to_owned(), public.to_owned()));
        assert_eq!(public, BTreeMap::from(expected));
    }
}
