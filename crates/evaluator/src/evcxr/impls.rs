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

/// The impl blocks of a namespace for types that are defined in the same cell as the block.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Impls {
    blocks: BTreeMap<String, ImplSubject>,
}

/// The type and the trait of a block.
#[derive(Clone, Debug, PartialEq)]
struct ImplSubject {
    ty: String,
    /// `None` for an inherent impl.
    of_trait: Option<String>,
    /// The number of the type's generic parameters.
    parameters: usize,
}

impl Impls {
    /// Returns the blocks that become invalid when a cell redefines their type: if it implements
    /// the type anew, derives the block's trait, or gives the type another number of parameters.
    /// Other blocks stay, as those of other cells do.
    pub(super) fn stale(&self, source: &str) -> Vec<String> {
        let cell = CellItems::read(source);
        let stale = self.blocks.iter().filter(|(block, of)| {
            let Some(ty) = cell.types.get(&of.ty) else {
                return false;
            };
            let is_derived = of
                .of_trait
                .as_ref()
                .is_some_and(|of| ty.derived.contains(of));
            let is_other = ty.parameters != of.parameters;
            !cell.blocks.contains_key(*block) && (is_derived || is_other || cell.implements(&of.ty))
        });
        stale.map(|(block, _)| block.clone()).collect()
    }

    /// Adds the blocks of a compiled cell.
    pub(super) fn add(&mut self, source: &str) {
        for block in self.stale(source) {
            self.blocks.remove(&block);
        }
        let CellItems { types, blocks } = CellItems::read(source);
        let named = blocks
            .into_iter()
            .filter_map(|(block, of)| Some((block, of?)));
        let own = named.filter_map(|(block, mut of)| {
            of.parameters = types.get(&of.ty)?.parameters;
            Some((block, of))
        });
        self.blocks.extend(own);
    }
}

/// The types and impl blocks of a cell.
#[derive(Default)]
struct CellItems {
    /// The types that it defines, by name.
    types: BTreeMap<String, DefinedType>,
    /// Its blocks, by name; `None` for one of a type without a name.
    blocks: BTreeMap<String, Option<ImplSubject>>,
}

/// A type that a cell defines.
#[derive(Default)]
struct DefinedType {
    /// The traits that it derives.
    derived: BTreeSet<String>,
    /// The number of its generic parameters.
    parameters: usize,
}

impl DefinedType {
    fn of(item: &(impl HasAttrs + HasGenericParams)) -> Self {
        let parameters = item.generic_param_list();
        Self {
            derived: derived_traits(item),
            parameters: parameters.map_or(0, |list| list.generic_params().count()),
        }
    }
}

impl CellItems {
    fn read(source: &str) -> Self {
        let mut cell = Self::default();
        for item in items(source) {
            let (name, ty) = match &item {
                ast::Item::Impl(block) => {
                    let of = subject_of(block);
                    let names = parts(block).into_iter().map(|part| part.name);
                    cell.blocks.extend(names.map(|name| (name, of.clone())));
                    continue;
                }
                ast::Item::Enum(item) => (item.name(), DefinedType::of(item)),
                ast::Item::Struct(item) => (item.name(), DefinedType::of(item)),
                ast::Item::TypeAlias(item) => (item.name(), DefinedType::of(item)),
                ast::Item::Union(item) => (item.name(), DefinedType::of(item)),
                _ => continue,
            };
            let name = name.map(|name| name.text().to_string());
            cell.types.extend(name.map(|name| (name, ty)));
        }
        cell
    }

    fn implements(&self, ty: &str) -> bool {
        let mut subjects = self.blocks.values().flatten();
        subjects.any(|of| of.ty == ty)
    }
}

/// Returns the names of a block's type and trait, without paths and parameters.
fn subject_of(block: &ast::Impl) -> Option<ImplSubject> {
    let name = |ty: ast::Type| match ty {
        ast::Type::PathType(ty) => {
            let name = ty.path()?.segment()?.name_ref()?;
            Some(name.text().to_string())
        }
        _ => None,
    };
    Some(ImplSubject {
        ty: name(block.self_ty()?)?,
        of_trait: block.trait_().and_then(name),
        parameters: 0,
    })
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
            ("struct S(u8); impl S { fn a() {} }", 2),
            ("struct S(u8); impl S { fn c() {} }", 3),
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
        assert_eq!(impls.blocks.len(), 2, "of this cell, and of the other type");
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
