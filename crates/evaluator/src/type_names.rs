//! Conversion of names from `std::any::type_name` into source that compiles in another cell. Pure.
//!
//! A type's name contains the modules in which it is defined, which may be private: crates
//! re-export their types elsewhere. The public paths of some types are known; for others, the usual
//! locations are tried.

use phalanx_protocol::cell_crate::CELL_CRATE;

/// The public paths of types with private ones.
const PUBLIC: [(&str, &str); 46] = [
    ("alloc::string::String", "std::string::String"),
    ("alloc::vec::Vec", "std::vec::Vec"),
    ("alloc::boxed::Box", "std::boxed::Box"),
    ("alloc::rc::Rc", "std::rc::Rc"),
    ("alloc::sync::Arc", "std::sync::Arc"),
    ("alloc::borrow::Cow", "std::borrow::Cow"),
    (
        "alloc::collections::btree::map::BTreeMap",
        "std::collections::BTreeMap",
    ),
    (
        "alloc::collections::btree::set::BTreeSet",
        "std::collections::BTreeSet",
    ),
    (
        "alloc::collections::vec_deque::VecDeque",
        "std::collections::VecDeque",
    ),
    (
        "alloc::collections::binary_heap::BinaryHeap",
        "std::collections::BinaryHeap",
    ),
    (
        "alloc::collections::linked_list::LinkedList",
        "std::collections::LinkedList",
    ),
    (
        "std::collections::hash::map::HashMap",
        "std::collections::HashMap",
    ),
    (
        "std::collections::hash::set::HashSet",
        "std::collections::HashSet",
    ),
    (
        "std::hash::random::RandomState",
        "std::collections::hash_map::RandomState",
    ),
    ("core::option::Option", "std::option::Option"),
    ("core::result::Result", "std::result::Result"),
    ("core::time::Duration", "std::time::Duration"),
    ("core::ops::range::Range", "std::ops::Range"),
    (
        "core::ops::range::RangeInclusive",
        "std::ops::RangeInclusive",
    ),
    ("core::num::wrapping::Wrapping", "std::num::Wrapping"),
    ("core::net::ip_addr::IpAddr", "std::net::IpAddr"),
    ("core::net::ip_addr::Ipv4Addr", "std::net::Ipv4Addr"),
    ("core::net::ip_addr::Ipv6Addr", "std::net::Ipv6Addr"),
    ("core::net::socket_addr::SocketAddr", "std::net::SocketAddr"),
    ("core::cmp::Reverse", "std::cmp::Reverse"),
    ("core::cell::Cell", "std::cell::Cell"),
    ("core::cell::RefCell", "std::cell::RefCell"),
    ("core::marker::PhantomData", "std::marker::PhantomData"),
    ("ndarray::data_repr::OwnedRepr", "ndarray::OwnedRepr"),
    ("ndarray::dimension::dim::Dim", "ndarray::Dim"),
    (
        "ndarray::dimension::dynindeximpl::IxDynImpl",
        "ndarray::IxDynImpl",
    ),
    ("chrono::datetime::DateTime", "chrono::DateTime"),
    ("chrono::naive::date::NaiveDate", "chrono::NaiveDate"),
    (
        "chrono::naive::datetime::NaiveDateTime",
        "chrono::NaiveDateTime",
    ),
    ("chrono::naive::time::NaiveTime", "chrono::NaiveTime"),
    ("chrono::offset::fixed::FixedOffset", "chrono::FixedOffset"),
    ("chrono::offset::local::Local", "chrono::Local"),
    ("chrono::offset::utc::Utc", "chrono::Utc"),
    ("chrono::time_delta::TimeDelta", "chrono::TimeDelta"),
    (
        "polars_core::frame::DataFrame",
        "polars::prelude::DataFrame",
    ),
    ("polars_core::series::Series", "polars::prelude::Series"),
    ("serde_json::map::Map", "serde_json::Map"),
    ("serde_json::value::Value", "serde_json::Value"),
    ("phalanx::shared::Shared", "phalanx::Shared"),
    ("phalanx_protocol::id::EngineId", "phalanx::EngineId"),
    ("phalanx_protocol::id::MsgId", "phalanx::MsgId"),
];

/// The location at which a crate may export a type.
#[derive(Clone, Copy)]
enum Export {
    /// The module in which it is defined.
    Module,
    /// The root of the crate.
    Root,
    /// The root of the crate that it is a part of, as `polars_core` is of `polars`.
    Whole,
    /// The prelude of that crate.
    Prelude,
}

/// Returns the possible sources for a type's name, the most likely first: if any source compiles,
/// one of these does.
#[must_use]
pub fn type_sources(type_name: &str) -> Vec<String> {
    use Export::{Module, Prelude, Root, Whole};
    let mut sources = Vec::new();
    for export in [Module, Root, Whole, Prelude] {
        let source = source(type_name, export);
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    sources
}

/// Returns true for a path with a known public one.
#[cfg(feature = "evcxr")]
pub(crate) fn is_public(path: &str) -> bool {
    PUBLIC.iter().any(|(private, _)| *private == path)
}

fn source(type_name: &str, export: Export) -> String {
    with_paths(type_name, |path| public(path, export))
}

/// Replaces the paths in a type's name.
pub(crate) fn with_paths(type_name: &str, replace: impl Fn(&str) -> String) -> String {
    let mut source = String::new();
    let mut path = String::new();
    for c in type_name.chars() {
        if c.is_alphanumeric() || c == '_' || c == ':' {
            path.push(c);
        } else {
            source.push_str(&replace(&path));
            path.clear();
            source.push(c);
        }
    }
    source + &replace(&path)
}

fn public(path: &str, export: Export) -> String {
    if let Some((_, public)) = PUBLIC.iter().find(|(private, _)| *private == path) {
        return (*public).to_owned();
    }
    let Some((first, rest)) = path.split_once("::") else {
        return path.to_owned();
    };
    let name = rest.rsplit("::").next().unwrap_or(rest);
    if first == CELL_CRATE {
        return name.to_owned();
    }
    let whole = first.split('_').next().unwrap_or(first);
    match (first, export) {
        ("core" | "alloc" | "std", _) => format!("std::{rest}"),
        (_, Export::Module) => path.to_owned(),
        (_, Export::Root) => format!("{first}::{name}"),
        (_, Export::Whole) => format!("{whole}::{name}"),
        (_, Export::Prelude) => format!("{whole}::prelude::{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::any::type_name;

    #[test]
    fn types_of_the_standard_library_have_public_paths() {
        type Nested = std::collections::HashMap<String, Vec<(Option<u8>, [f64; 3])>>;
        let nested = type_sources(type_name::<Nested>());
        assert_eq!(
            nested,
            [
                "std::collections::HashMap<std::string::String, std::vec::Vec<(std::option::Option<u8>, [f64; 3])>>"
            ]
        );
        for (name, expected) in [
            (type_name::<std::time::Duration>(), "std::time::Duration"),
            (
                type_name::<std::collections::BTreeMap<u8, bool>>(),
                "std::collections::BTreeMap<u8, bool>",
            ),
            (type_name::<()>(), "()"),
            (type_name::<&'static str>(), "&str"),
            (type_name::<std::ops::Range<i32>>(), "std::ops::Range<i32>"),
            ("phalanx::shared::Shared<[f64]>", "phalanx::Shared<[f64]>"),
        ] {
            assert_eq!(type_sources(name), [expected]);
        }
    }

    #[test]
    fn types_of_cells_have_no_path() {
        assert_eq!(type_sources("notebook::Point"), ["Point"]);
        assert_eq!(
            type_sources("alloc::vec::Vec<notebook::a::Point>"),
            ["std::vec::Vec<Point>"]
        );
    }

    #[test]
    fn types_of_other_crates_have_candidates_for_each_export() {
        let matrix = "ndarray::ArrayBase<ndarray::data_repr::OwnedRepr<f64>, ndarray::dimension::dim::Dim<[usize; 2]>>";
        assert_eq!(
            type_sources(matrix)[0],
            "ndarray::ArrayBase<ndarray::OwnedRepr<f64>, ndarray::Dim<[usize; 2]>>"
        );
        assert_eq!(
            type_sources("alloc::vec::Vec<ab_core::a::B<notebook::C>>"),
            [
                "std::vec::Vec<ab_core::a::B<C>>",
                "std::vec::Vec<ab_core::B<C>>",
                "std::vec::Vec<ab::B<C>>",
                "std::vec::Vec<ab::prelude::B<C>>",
            ]
        );
        assert_eq!(type_sources("uuid::Uuid").len(), 2);
    }
}
