//! The impl blocks of cells, which are replaced by later blocks for the same type and trait.
//!
//! evcxr does not name impls, and keeps each one: two equal ones do not compile. So each is
//! preceded by an item with a name, to which evcxr attaches it: one for each method of an inherent
//! impl, one for all of a trait impl.

use super::source::items;
use ra_ap_syntax::ast::{self, AstNode, HasAttrs, HasGenericParams, HasName};
use ra_ap_syntax::{NodeOrToken, SyntaxKind, SyntaxNode};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

/// Attributes of a block that apply to each of its parts.
const HARMLESS: [&str; 5] = ["allow", "cfg", "doc", "expect", "warn"];

/// Derived traits that exclude impls of others: of those that their macros implement too
/// (thiserror's `Error`, strum's `EnumString`), and `Drop` for a type that can be copied.
const EXCLUDED: [(&str, &[&str]); 3] = [
    ("Copy", &["Drop"]),
    ("EnumString", &["FromStr", "TryFrom"]),
    ("Error", &["Display", "From"]),
];

/// The impl blocks of a namespace that name something defined in the same cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Impls {
    blocks: BTreeMap<String, ImplSubject>,
}

/// The types and the trait of a block.
#[derive(Clone, Debug, PartialEq)]
struct ImplSubject {
    /// The type if it is a path, and of a recorded block also defined in its cell.
    ty: Option<String>,
    /// `None` for an inherent impl.
    of_trait: Option<String>,
    /// The names in its head, of a recorded block those that its cell defines: of its type, or, if
    /// that is a reference or a foreign type, of its trait and of types within.
    names: BTreeSet<String>,
    /// The number of the type's generic parameters.
    parameters: usize,
}

impl Impls {
    /// Returns the blocks that become invalid when a cell redefines what they are about: if it
    /// implements that anew, derives the block's trait, or gives the type another number of
    /// parameters. Other blocks stay, as those of other cells do.
    pub(super) fn stale(&self, source: &str) -> Vec<String> {
        let cell = CellItems::read(source);
        let stale = self.blocks.iter().filter(|(block, of)| {
            let is_replaced = |name: &String| match cell.defined.get(name) {
                Some(definition) => definition.replaces(of) || cell.implements(name, of),
                None => false,
            };
            !cell.blocks.contains_key(*block) && of.names.iter().any(is_replaced)
        });
        stale.map(|(block, _)| block.clone()).collect()
    }

    /// Adds the blocks of a compiled cell. A block that it has taken over from another cell is no
    /// longer that cell's.
    pub(super) fn add(&mut self, source: &str) {
        let stale = self.stale(source);
        let CellItems { defined, blocks } = CellItems::read(source);
        let replaced = stale.iter().chain(blocks.keys());
        replaced.for_each(|block| drop(self.blocks.remove(block)));
        let own = blocks.into_iter().filter_map(|(block, mut of)| {
            match of.ty.as_ref().and_then(|ty| Some((ty, defined.get(ty)?))) {
                Some((ty, definition)) => {
                    of.parameters = definition.parameters;
                    of.names = BTreeSet::from([ty.clone()]);
                }
                None => {
                    of.ty = None;
                    of.names.retain(|name| defined.contains_key(name));
                }
            }
            (!of.names.is_empty()).then_some((block, of))
        });
        self.blocks.extend(own);
    }
}

/// The definitions and impl blocks of a cell.
#[derive(Default)]
struct CellItems {
    /// The types and traits that it defines, by name.
    defined: BTreeMap<String, Definition>,
    /// Its blocks, by name.
    blocks: BTreeMap<String, ImplSubject>,
}

/// A type or trait that a cell defines.
#[derive(Default)]
struct Definition {
    /// The traits that it derives.
    derived: BTreeSet<String>,
    /// The number of its generic parameters.
    parameters: usize,
    is_trait: bool,
}

impl Definition {
    fn of(item: &(impl HasAttrs + HasGenericParams)) -> Self {
        let parameters = item.generic_param_list();
        Self {
            derived: derived_traits(item),
            parameters: parameters.map_or(0, |list| list.generic_params().count()),
            is_trait: false,
        }
    }

    /// Returns true if a block for the type before can no longer be one for this type.
    fn replaces(&self, of: &ImplSubject) -> bool {
        if self.is_trait || of.ty.is_none() {
            return false;
        }
        let excludes = |(derived, others): &(&str, &[&str]), of_trait: &str| {
            self.derived.contains(*derived) && others.contains(&of_trait)
        };
        let is_derived = |of_trait: &String| {
            self.derived.contains(of_trait) || EXCLUDED.iter().any(|rule| excludes(rule, of_trait))
        };
        self.parameters != of.parameters || of.of_trait.as_ref().is_some_and(is_derived)
    }
}

impl CellItems {
    fn read(source: &str) -> Self {
        let mut cell = Self::default();
        for item in items(source) {
            let (name, definition) = match &item {
                ast::Item::Impl(block) => {
                    let of = subject_of(block);
                    let names = parts(block).into_iter().map(|part| part.name);
                    cell.blocks.extend(names.map(|name| (name, of.clone())));
                    continue;
                }
                ast::Item::Enum(item) => (item.name(), Definition::of(item)),
                ast::Item::Struct(item) => (item.name(), Definition::of(item)),
                ast::Item::TypeAlias(item) => (item.name(), Definition::of(item)),
                ast::Item::Union(item) => (item.name(), Definition::of(item)),
                ast::Item::Trait(item) => {
                    let is_trait = true;
                    (
                        item.name(),
                        Definition {
                            is_trait,
                            ..Definition::of(item)
                        },
                    )
                }
                _ => continue,
            };
            let name = name.map(|name| name.text().to_string());
            cell.defined.extend(name.map(|name| (name, definition)));
        }
        cell
    }

    /// Returns true if the cell implements a type or trait for which there is a block.
    fn implements(&self, name: &str, of: &ImplSubject) -> bool {
        let mut subjects = self.blocks.values();
        subjects.any(|new| {
            let is_named = of.ty.is_none() && new.of_trait.is_some() && new.names.contains(name);
            is_named || new.ty.as_deref() == Some(name)
        })
    }
}

/// Returns the type and the trait of a block, without paths and parameters, and all names.
fn subject_of(block: &ast::Impl) -> ImplSubject {
    let name = |ty: ast::Type| match ty {
        ast::Type::PathType(ty) => {
            let name = ty.path()?.segment()?.name_ref()?;
            Some(name.text().to_string())
        }
        _ => None,
    };
    let (ty, of_trait) = (block.self_ty(), block.trait_());
    let types = ty.iter().chain(&of_trait);
    let names = types.flat_map(|ty| ty.syntax().descendants());
    let names = names.filter_map(ast::NameRef::cast);
    ImplSubject {
        names: names.map(|name| name.text().to_string()).collect(),
        ty: ty.and_then(name),
        of_trait: of_trait.and_then(name),
        parameters: 0,
    }
}

/// Returns the names of the traits that are derived for a type, without paths.
fn derived_traits(item: &impl HasAttrs) -> BTreeSet<String> {
    let derives = item.attrs().filter(|attribute| {
        let path = attribute.path();
        path.is_some_and(|path| path.syntax().text() == "derive")
    });
    let mut traits = BTreeSet::new();
    for derive in derives {
        let text = derive.syntax().text().to_string();
        let list = text.split_once('(').map_or("", |(_, list)| list);
        let paths = list.trim_end_matches([')', ']', ' ']).split(',');
        let names = paths.filter_map(|path| path.rsplit("::").next());
        traits.extend(names.map(|name| name.trim().to_owned()));
    }
    traits
}

/// Returns the naming items for the blocks of a cell, with their offsets in the parsed source.
pub(super) fn additions(source: &str) -> Vec<(usize, String)> {
    let (mut additions, mut named) = (Vec::new(), BTreeSet::new());
    for item in items(source) {
        if let ast::Item::Impl(block) = item {
            for ImplPart {
                name, offset, text, ..
            } in parts(&block)
            {
                // rustc reports two equal blocks in one cell.
                let again = format!("{name}_AGAIN");
                let text = match named.insert(name.clone()) {
                    true => text,
                    false => text.replacen(&name, &again, 1),
                };
                additions.push((offset, text));
            }
        }
    }
    additions
}

/// Returns the items that replace stale blocks.
pub(super) fn without(stale: &[String]) -> String {
    stale.iter().map(|name| marker(name)).collect()
}

/// Returns the item to which evcxr attaches a block.
fn marker(name: &str) -> String {
    format!("const {name}: () = (); ")
}

/// A part of a block that is replaced as a whole.
struct ImplPart {
    name: String,
    offset: usize,
    /// The text to insert before it.
    text: String,
}

fn parts(block: &ast::Impl) -> Vec<ImplPart> {
    let head: String = head(block.syntax());
    let start = usize::from(start_of(block.syntax()));
    let name = |of: &str| {
        let mut hasher = DefaultHasher::new();
        (&head, of).hash(&mut hasher);
        format!("PHALANX_IMPL_{:016X}", hasher.finish())
    };
    let items = block.assoc_item_list().into_iter();
    let items: Vec<_> = items.flat_map(|list| list.assoc_items()).collect();
    let can_be_split = block.trait_().is_none()
        && items.len() > 1
        && items.iter().all(|item| name_of(item).is_some())
        && block.attrs().all(|attribute| {
            let path = attribute.path();
            path.is_some_and(|path| {
                let path = path.syntax().text().to_string();
                HARMLESS.contains(&path.as_str())
            })
        });
    if !can_be_split {
        let only = match (block.trait_(), items.as_slice()) {
            (None, [only]) => name_of(only),
            _ => None,
        };
        let name = name(&only.unwrap_or_default());
        let text = marker(&name);
        return vec![ImplPart {
            name,
            offset: start,
            text,
        }];
    }
    let parts = items.iter().enumerate().map(|(index, item)| {
        let name = name(&name_of(item).unwrap_or_default());
        let (offset, text) = match index {
            0 => (start, marker(&name)),
            _ => (
                usize::from(item.syntax().text_range().start()),
                format!("}} {}{head} {{ ", marker(&name)),
            ),
        };
        ImplPart { name, offset, text }
    });
    parts.collect()
}

fn name_of(item: &ast::AssocItem) -> Option<String> {
    let name = match item {
        ast::AssocItem::Const(item) => item.name(),
        ast::AssocItem::Fn(item) => item.name(),
        ast::AssocItem::TypeAlias(item) => item.name(),
        ast::AssocItem::MacroCall(_) => None,
    };
    name.map(|name| name.text().to_string())
}

/// Returns the offset at which an item begins, after the comments before it.
fn start_of(item: &SyntaxNode) -> ra_ap_syntax::TextSize {
    let mut children = item.children_with_tokens();
    let first = children.find(|child| match child {
        NodeOrToken::Token(token) => !token.kind().is_trivia(),
        NodeOrToken::Node(_) => true,
    });
    first
        .map_or(item.text_range(), |first| first.text_range())
        .start()
}

/// Returns the text of a block before its items, without attributes and comments.
fn head(block: &SyntaxNode) -> String {
    let mut words = Vec::new();
    for child in block.children_with_tokens() {
        match child {
            NodeOrToken::Node(node) if node.kind() == SyntaxKind::ASSOC_ITEM_LIST => break,
            NodeOrToken::Node(node) if node.kind() == SyntaxKind::ATTR => {}
            NodeOrToken::Node(node) => {
                let tokens = node.descendants_with_tokens();
                let tokens = tokens.filter_map(NodeOrToken::into_token);
                let tokens = tokens.filter(|token| !token.kind().is_trivia());
                words.extend(tokens.map(|token| token.text().to_owned()));
            }
            NodeOrToken::Token(token) if token.kind().is_trivia() => {}
            NodeOrToken::Token(token) => words.push(token.text().to_owned()),
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(source: &str) -> Vec<String> {
        CellItems::read(source).blocks.into_keys().collect()
    }

    #[test]
    fn names_depend_on_head_and_method() {
        let one = names("impl T for S { fn n(&self) -> i32 { 1 } }");
        assert_eq!(
            one,
            names("// ä\nimpl T for S {\n fn n(&self) -> i32 { 2 }\n fn m() {} }")
        );
        assert_ne!(one, names("impl T for R { fn n(&self) -> i32 { 1 } }"));
        let two = names("impl S { fn a() {} /* why */ pub fn b() {} }");
        assert_eq!(two.len(), 2);
        for method in ["impl S { fn a() { 1; } }", "impl S { fn b() {} }"] {
            assert!(two.contains(&names(method)[0]), "{method}");
        }
        assert_eq!(names("#[methods] impl S { fn a() {} fn b() {} }").len(), 1);
    }

    #[test]
    fn equal_blocks_of_one_cell_have_different_names() {
        let twice = additions("impl T for S {} impl T for S {}");
        assert_ne!(twice[0].1, twice[1].1);
    }

    #[test]
    fn blocks_become_stale_when_their_type_is_implemented_anew() {
        let mut impls = Impls::default();
        impls.add(
            "struct S; struct Größe<T>(T); impl S { fn a() {} } impl T for S {}\n\
             impl<T> Größe<T> { fn next() {} } impl std::clone::Clone for S {} impl T for Vec<S> {}",
        );
        impls.add("impl S { fn b() {} }");
        for (cell, expected) in [
            ("struct S(u8); impl S { fn a() {} }", 3),
            ("struct S(u8); impl S { fn c() {} }", 4),
            ("struct S(u8);", 0),
            ("struct R;", 0),
            ("impl S { fn c() {} }", 0),
            ("#[derive(Debug, Clone)] struct S(u8);", 1),
            ("#[derive(Debug, std::clone::Clone)] enum S {}", 1),
            ("struct S(u8); impl Größe<S> { fn c() {} }", 0),
            ("enum Größe {} impl Größe { fn c() {} }", 1),
            // Its block cannot name a type with other parameters.
            ("enum Größe {}", 1),
            ("struct Größe<U>(U, u8);", 0),
            ("struct S<T>(T);", 3),
        ] {
            assert_eq!(impls.stale(cell).len(), expected, "{cell}");
        }
        impls.add("struct S(u8); impl S { fn c() {} }");
        let kept = impls.blocks.values().filter(|of| of.names.contains("S"));
        assert_eq!(kept.count(), 1, "of this cell");
    }

    #[test]
    fn blocks_of_references_and_foreign_types_become_stale_too() {
        for (first, second, expected) in [
            (
                "struct V; impl Add for &V {}",
                "struct V; impl<'a> Add<&'a V> for &'a V {}",
                1,
            ),
            (
                "struct V; impl Mul<V> for f64 {} impl From<V> for f64 {}",
                "struct V; impl std::ops::Mul<V> for f64 {} impl Into<f64> for V {}",
                2,
            ),
            (
                "trait D {} impl<T: Debug> D for T {}",
                "trait D {} impl<T: Debug + Clone> D for T {}",
                1,
            ),
            ("trait D {} impl D for u8 {}", "trait D {}", 0),
            // The other type's block stays.
            (
                "struct V; struct W; impl From<V> for W {}",
                "struct V; impl V {}",
                0,
            ),
            (
                "struct V; struct W; impl V {} impl From<V> for W {}",
                "struct V; struct W; impl V {}",
                0,
            ),
        ] {
            let mut impls = Impls::default();
            impls.add(first);
            assert_eq!(impls.stale(second).len(), expected, "{second}");
        }
    }

    #[test]
    fn derives_replace_what_their_macros_implement() {
        let mut impls = Impls::default();
        impls.add("enum E {} impl fmt::Display for E {} impl Drop for E {} impl T for E {}");
        for (cell, expected) in [
            ("#[derive(Debug, thiserror::Error)] enum E {}", 1),
            ("#[derive(Clone, Copy)] enum E {}", 1),
            ("#[derive(Debug, Serialize)] enum E {}", 0),
        ] {
            assert_eq!(impls.stale(cell).len(), expected, "{cell}");
        }
    }

    #[test]
    fn block_moved_to_another_cell_is_no_longer_the_first_ones() {
        let mut impls = Impls::default();
        impls.add("struct S; impl S { fn a() {} fn b() {} }");
        impls.add("impl S { fn a() {} }");
        assert!(impls.stale("struct S; impl S { fn b() {} }").is_empty());
    }

    #[test]
    fn methods_get_separate_blocks() {
        let source = "impl<T> S<T> {\n    fn a() {}\n    fn b() {}\n}";
        let mut text = source.to_owned();
        let before = "fn cell() {\n".len();
        for (offset, added) in additions(source).iter().rev() {
            text.insert_str(offset - before, added);
        }
        assert!(text.starts_with("const PHALANX_IMPL_"), "{text}");
        assert!(
            text.contains("= (); impl < T > S < T > { fn b() {}\n}"),
            "{text}"
        );
        assert_eq!(text.lines().count(), source.lines().count());
    }
}
