//! The items of a crate, with the information that reachability depends on.

use super::names;
use phalanx_analysis::item_name;
use ra_ap_syntax::ast::{self, AstNode, HasModuleItem, HasName, HasVisibility};
use ra_ap_syntax::{NodeOrToken, SyntaxKind, SyntaxNode, TextRange};
use std::collections::BTreeSet;

/// Attributes that only affect their item.
const HARMLESS: [&str; 24] = [
    "allow",
    "automatically_derived",
    "cfg",
    "cold",
    "default",
    "deny",
    "deprecated",
    "derive",
    "diagnostic",
    "doc",
    "expect",
    "forbid",
    "ignore",
    "inline",
    "must_use",
    "non_exhaustive",
    "repr",
    "rustfmt",
    "should_panic",
    "target_feature",
    "test",
    "track_caller",
    "type_length_limit",
    "warn",
];

/// Derives that only generate an impl of their trait, and the crates that may qualify them.
pub(crate) const PLAIN_DERIVES: [&str; 14] = [
    "core",
    "serde",
    "std",
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "Deserialize",
    "Eq",
    "Hash",
    "Ord",
    "PartialEq",
    "PartialOrd",
    "Serialize",
];

/// An item of the crate.
#[derive(Debug)]
pub(super) struct LeanItem {
    pub(super) range: TextRange,
    /// The names by which other items refer to it.
    pub(super) defines: BTreeSet<String>,
    /// The names it refers to.
    pub(super) mentions: BTreeSet<String>,
    pub(super) kind: ItemAccess,
}

/// The condition under which an item is reached.
#[derive(Debug)]
pub(super) enum ItemAccess {
    /// Always reached.
    Always,
    /// Reached by a name that it defines.
    Named,
    /// Reached by a name that starts with one that it defines, since macros may derive names
    /// (`#[derive(Builder)] struct Pipe` makes `PipeBuilder`).
    NamedInPart,
    /// Reached by its name, or by that of an associated item.
    Trait(BTreeSet<String>),
    /// Reached by the names in its head.
    Impl {
        /// The implemented trait.
        of: Option<String>,
        /// The names in the type and in the trait's arguments.
        head: BTreeSet<String>,
    },
}

impl LeanItem {
    pub(super) fn read(item: &ast::Item) -> Self {
        let node = item.syntax();
        let mut mentions = BTreeSet::new();
        names::add_names(node, &mut mentions);
        let name = item_name(item).map(|name| names::plain(&name).to_owned());
        let name = name.or_else(|| imported_macro(item));
        let kind = match (item, &name) {
            _ if !has_harmless_attributes(item) => match derives(item) {
                Some(_) => ItemAccess::NamedInPart,
                None => ItemAccess::Always,
            },
            (ast::Item::Impl(block), _) => implementation(block),
            (ast::Item::Trait(definition), Some(_)) => ItemAccess::Trait(associated(definition)),
            (ast::Item::Module(module), Some(_)) if reaches_out(module) => ItemAccess::Always,
            (_, Some(_)) => match derives(item) {
                Some(derives)
                    if !derives
                        .iter()
                        .all(|name| PLAIN_DERIVES.contains(&name.as_str())) =>
                {
                    ItemAccess::NamedInPart
                }
                _ => ItemAccess::Named,
            },
            (_, None) => ItemAccess::Always,
        };
        Self {
            range: node.text_range(),
            defines: name.into_iter().collect(),
            mentions,
            kind,
        }
    }
}

/// Returns true unless an attribute may affect more than the item: macros, `no_mangle`.
fn has_harmless_attributes(item: &ast::Item) -> bool {
    let mut attributes = attributes(item);
    attributes.all(|names| {
        names
            .first()
            .is_some_and(|name| HARMLESS.contains(&name.as_str()))
    })
}

/// Returns the names in an item's derives; `None` if it has none.
fn derives(item: &ast::Item) -> Option<Vec<String>> {
    let derives =
        attributes(item).filter(|names| names.first().is_some_and(|name| name == "derive"));
    let mut derives = derives.peekable();
    derives.peek()?;
    Some(
        derives
            .flat_map(|names| names.into_iter().skip(1))
            .collect(),
    )
}

/// Returns the identifiers in each attribute of an item.
fn attributes(item: &ast::Item) -> impl Iterator<Item = Vec<String>> + use<> {
    let attributes = item
        .syntax()
        .children()
        .filter(|node| ast::Attr::can_cast(node.kind()));
    attributes.map(|attribute| {
        let tokens = attribute
            .descendants_with_tokens()
            .filter_map(NodeOrToken::into_token);
        let names = tokens.filter(|token| token.kind() == SyntaxKind::IDENT);
        names.map(|name| name.text().to_owned()).collect()
    })
}

/// Returns the name in an import of a macro of the crate itself: see [`super::super::macros`].
fn imported_macro(item: &ast::Item) -> Option<String> {
    let ast::Item::Use(import) = item else {
        return None;
    };
    let tree = import.use_tree()?;
    let is_plain = tree.use_tree_list().is_none() && tree.star_token().is_none();
    let name = tree.path()?.as_single_name_ref()?;
    (is_plain && tree.rename().is_none()).then(|| names::plain(name.text()).to_owned())
}

fn implementation(block: &ast::Impl) -> ItemAccess {
    let of = block.trait_().and_then(|of| match of {
        ast::Type::PathType(of) => {
            let name = of.path()?.segment()?.name_ref()?;
            Some(names::plain(name.text()).to_owned())
        }
        _ => None,
    });
    let mut head = BTreeSet::new();
    let types = block.self_ty().into_iter().chain(block.trait_());
    for ty in types {
        names::add_names(ty.syntax(), &mut head);
    }
    if let Some(of) = &of {
        head.remove(of);
    }
    ItemAccess::Impl { of, head }
}

/// Returns the names of a trait's methods, types and constants.
fn associated(definition: &ast::Trait) -> BTreeSet<String> {
    let list = definition.assoc_item_list();
    let items = list.into_iter().flat_map(|list| list.assoc_items());
    let names = items.filter_map(|item| match item {
        ast::AssocItem::Const(item) => item.name(),
        ast::AssocItem::Fn(item) => item.name(),
        ast::AssocItem::TypeAlias(item) => item.name(),
        ast::AssocItem::MacroCall(_) => None,
    });
    names
        .map(|name| names::plain(name.text()).to_owned())
        .collect()
}

/// Returns true for a module that may affect code outside: by an impl of a foreign trait for a
/// foreign type, by a macro, or by an attribute of an item in it.
fn reaches_out(module: &ast::Module) -> bool {
    let Some(list) = module.item_list() else {
        return true;
    };
    let mut own = BTreeSet::new();
    for node in module.syntax().descendants() {
        if let Some(definition) = ast::AnyHasName::cast(node) {
            own.extend(
                definition
                    .name()
                    .map(|name| names::plain(name.text()).to_owned()),
            );
        }
    }
    fn any(items: impl Iterator<Item = ast::Item>, own: &BTreeSet<String>) -> bool {
        items.into_iter().any(|item| match &item {
            ast::Item::Impl(block) => match implementation(block) {
                ItemAccess::Impl { of, head } => {
                    let is_own = |name: &String| own.contains(name);
                    // If its type or its trait is the module's own, it cannot be reached without
                    // the module.
                    !head.iter().any(is_own) && !of.iter().any(is_own)
                }
                _ => true,
            },
            ast::Item::Module(inner) => inner.item_list().is_none_or(|list| any(list.items(), own)),
            ast::Item::MacroCall(_) => true,
            ast::Item::Use(import) => import.visibility().is_some() && is_glob(import.syntax()),
            item => !has_harmless_attributes(item) && derives(item).is_none(),
        })
    }
    any(list.items(), &own)
}

fn is_glob(import: &SyntaxNode) -> bool {
    import.text().contains_char('*')
}
