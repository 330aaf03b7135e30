//! Types as `std::any::type_name` tells them, written so that they compile in another cell. Pure.

/// Public paths of types whose own path is private.
const PUBLIC: [(&str, &str); 31] = [
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
    ("phalanx::shared::Shared", "phalanx::Shared"),
    ("phalanx_protocol::id::EngineId", "phalanx::EngineId"),
    ("phalanx_protocol::id::MsgId", "phalanx::MsgId"),
];

/// How evcxr names the crate it compiles a cell as.
const CELLS: [&str; 2] = ["ctx", "user_code"];

/// The type of that name, as source.
pub(super) fn source(type_name: &str) -> String {
    let mut source = String::new();
    let mut path = String::new();
    for c in type_name.chars() {
        if c.is_alphanumeric() || c == '_' || c == ':' {
            path.push(c);
        } else {
            source.push_str(&public(&path));
            path.clear();
            source.push(c);
        }
    }
    source + &public(&path)
}

fn public(path: &str) -> String {
    if let Some((_, public)) = PUBLIC.iter().find(|(private, _)| *private == path) {
        return (*public).to_owned();
    }
    let Some((first, rest)) = path.split_once("::") else {
        return path.to_owned();
    };
    if CELLS.iter().any(|name| first.starts_with(name)) {
        return rest.rsplit("::").next().unwrap_or(rest).to_owned();
    }
    match first {
        "core" | "alloc" => format!("std::{rest}"),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::any::type_name;

    #[test]
    fn types_of_the_standard_library_have_public_paths() {
        type Nested = std::collections::HashMap<String, Vec<(Option<u8>, [f64; 3])>>;
        let nested = source(type_name::<Nested>());
        assert_eq!(
            nested,
            "std::collections::HashMap<std::string::String, std::vec::Vec<(std::option::Option<u8>, [f64; 3])>>"
        );
        for (name, wanted) in [
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
            assert_eq!(source(name), wanted);
        }
    }

    #[test]
    fn types_of_cells_go_by_their_own_name() {
        assert_eq!(source("ctx::Point"), "Point");
        assert_eq!(
            source("alloc::vec::Vec<ctx::a::Point>"),
            "std::vec::Vec<Point>"
        );
        assert_eq!(source("ndarray::ArrayBase<f64>"), "ndarray::ArrayBase<f64>");
    }
}
