//! Parsing of the types in a source's items: the parts that determine the memory layout of values,
//! and the names they refer to.

use super::super::item_macros;
use crate::evcxr::lean::PLAIN_DERIVES;
use phalanx_analysis::item_name;
use ra_ap_syntax::ast::{self, AstNode, HasGenericParams, HasModuleItem, HasName, HasTypeBounds};
use ra_ap_syntax::{Edition, NodeOrToken, SourceFile, SyntaxKind, SyntaxNode, SyntaxToken};
use std::collections::{BTreeMap, BTreeSet};

/// An item, under the name by which evcxr replaces it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Definition {
    /// The part that determines the layout of values; equal texts have equal layouts, if the items
    /// they refer to are equal.
    pub(super) definition: String,
    /// The names it refers to: the first names of paths, and every name in macro input.
    pub(super) references: BTreeSet<String>,
    /// The types, traits and constants it defines.
    pub(super) defines: BTreeSet<String>,
    /// True if its values may hold values of any type, which code can downcast to that type.
    pub(super) erased: bool,
    /// The types and constants in impl blocks, by the heads of the blocks.
    pub(super) associated: BTreeMap<String, AssociatedItems>,
}

/// The types and constants of one impl block.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct AssociatedItems {
    pub(super) text: String,
    /// The names that depend on them.
    pub(super) dependents: BTreeSet<String>,
}

/// The items of a cell.
#[derive(Clone, Debug, Default)]
pub(super) struct CellDefinitions {
    pub(super) named: BTreeMap<String, Definition>,
    /// The paths of glob imports.
    pub(super) globs: BTreeSet<String>,
}

/// Parses the names in a variable's type, as written by evcxr.
pub(super) fn read_type(ty: &str) -> Definition {
    let source = format!("type T = {ty};");
    let parsed = SourceFile::parse(&source, Edition::Edition2024);
    let mut item = Definition::default();
    if let Some(ast::Item::TypeAlias(alias)) = parsed.tree().items().next()
        && let Some(ty) = alias.ty()
    {
        item.read(ty.syntax());
    }
    item
}

/// Parses the items of a cell, with evcxr's names.
pub(super) fn read_cell(source: &str) -> CellDefinitions {
    let mut items = CellDefinitions::default();
    let mut last = None;
    for item in super::super::source::items(source) {
        match &item {
            ast::Item::Use(import) => items.import(import),
            ast::Item::Impl(block) => {
                let (head, associated) = associated(block);
                let owner = last.clone().unwrap_or_else(|| format!("impl {head}"));
                let named: &mut Definition = items.named.entry(owner).or_default();
                let known = named.associated.entry(head).or_default();
                known.text += &associated.text;
                known.dependents.extend(associated.dependents);
            }
            _ => {
                let Some(name) = item_name(&item) else {
                    continue;
                };
                let mut definition = Definition::default();
                definition.read(item.syntax());
                if matches!(item, ast::Item::Module(_)) && is_closed(item.syntax()) {
                    let Definition {
                        references,
                        defines,
                        ..
                    } = &mut definition;
                    references.retain(|inner| *inner == name || !defines.contains(inner));
                }
                if !matches!(item, ast::Item::MacroRules(_)) {
                    last = Some(name.clone());
                }
                items.named.insert(name, definition);
            }
        }
    }
    for call in item_macros::calls(source, "") {
        let mut definition = Definition::default();
        definition.read(call.call.syntax());
        definition.defines.extend(call.defines.iter().cloned());
        let names = call.defines.into_iter().chain([call.key]);
        items
            .named
            .extend(names.map(|name| (name, definition.clone())));
    }
    items
}

impl CellDefinitions {
    /// Returns the impl blocks, by their heads.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (&String, &AssociatedItems)> {
        self.named.values().flat_map(|item| &item.associated)
    }

    fn import(&mut self, import: &ast::Use) {
        if let Some(tree) = import.use_tree() {
            self.import_tree(&tree, "");
        }
    }

    fn import_tree(&mut self, tree: &ast::UseTree, prefix: &str) {
        let path = tree.path().map(|path| path.syntax().text().to_string());
        let path = match (path, prefix) {
            (None, prefix) => prefix.to_owned(),
            (Some(path), "") => path,
            (Some(path), prefix) if path == "self" => prefix.to_owned(),
            (Some(path), prefix) => format!("{prefix}::{path}"),
        };
        if let Some(list) = tree.use_tree_list() {
            for inner in list.use_trees() {
                self.import_tree(&inner, &path);
            }
        } else if tree.star_token().is_some() {
            self.globs.insert(path);
        } else {
            let own = path.rsplit("::").next().unwrap_or_default();
            let renamed = tree.rename().and_then(|rename| rename.name());
            let name = renamed.map_or_else(|| own.to_owned(), |name| name.text().to_string());
            let item = Definition {
                references: first_name(&path)
                    .filter(|first| **first != name)
                    .map(str::to_owned)
                    .into_iter()
                    .collect(),
                erased: path.split("::").any(|part| ERASING.contains(&part)),
                definition: path,
                ..Definition::default()
            };
            self.named.insert(name, item);
        }
    }
}

/// Returns the name by which a path is resolved.
pub(super) fn first_name(path: &str) -> Option<&str> {
    let mut parts = path.split("::").map(str::trim);
    parts.find(|part| !matches!(*part, "" | "crate" | "self" | "super"))
}

/// Traits and crates with objects that can be downcast.
const ERASING: [&str; 5] = ["Any", "anyhow", "eyre", "color_eyre", "miette"];

/// Attributes that do not affect a type's values.
const HARMLESS: [&str; 6] = [
    "doc",
    "allow",
    "warn",
    "expect",
    "must_use",
    "non_exhaustive",
];

impl Definition {
    fn read(&mut self, node: &SyntaxNode) {
        match node.kind() {
            SyntaxKind::ATTR if is_harmless(node) => return,
            // Only code evaluated at compile time affects types.
            SyntaxKind::FN if !affects_types(node) => return self.read_signature(node),
            SyntaxKind::IMPL => {
                if let Some(block) = ast::Impl::cast(node.clone()) {
                    let (head, associated) = associated(&block);
                    self.definition += &format!("{head} {{ {} }} ", associated.text);
                    self.references.extend(associated.dependents);
                }
                return;
            }
            SyntaxKind::PATH => self.refer(node),
            SyntaxKind::STRUCT
            | SyntaxKind::ENUM
            | SyntaxKind::UNION
            | SyntaxKind::TYPE_ALIAS
            | SyntaxKind::TRAIT
            | SyntaxKind::CONST
            | SyntaxKind::MODULE => self.define(node),
            SyntaxKind::DYN_TRAIT_TYPE => self.erased |= mentions(node, &["Any", "Error"]),
            _ => {}
        }
        for child in node.children_with_tokens() {
            match child {
                NodeOrToken::Node(child) => self.read(&child),
                NodeOrToken::Token(token) => self.token(&token),
            }
        }
        if let Some(parameters) = ast::AnyHasGenericParams::cast(node.clone())
            .and_then(|generic| generic.generic_param_list())
        {
            for parameter in parameters.generic_params() {
                let name = match parameter {
                    ast::GenericParam::TypeParam(parameter) => parameter.name(),
                    ast::GenericParam::ConstParam(parameter) => parameter.name(),
                    ast::GenericParam::LifetimeParam(_) => None,
                };
                if let Some(name) = name {
                    self.references.remove(name.text());
                }
            }
        }
    }

    /// Parses a function's name and, in a trait, its entry in the vtable: everything except the
    /// body.
    fn read_signature(&mut self, node: &SyntaxNode) {
        let in_trait = node
            .parent()
            .and_then(|list| list.parent())
            .is_some_and(|owner| owner.kind() == SyntaxKind::TRAIT);
        if !in_trait {
            self.definition += "fn ";
            return;
        }
        for child in node.children_with_tokens() {
            match child {
                NodeOrToken::Node(body) if body.kind() == SyntaxKind::BLOCK_EXPR => {}
                NodeOrToken::Node(child) => self.read(&child),
                NodeOrToken::Token(token) => self.token(&token),
            }
        }
    }

    fn refer(&mut self, path: &SyntaxNode) {
        let is_qualifier = path
            .parent()
            .is_some_and(|parent| parent.kind() == SyntaxKind::PATH);
        if is_qualifier {
            return;
        }
        let segments = path.descendants().filter(|node| {
            // Names of the path itself, not of its arguments.
            node.kind() == SyntaxKind::NAME_REF
                && node.ancestors().nth(1).is_some_and(|segment| {
                    segment.kind() == SyntaxKind::PATH_SEGMENT
                        && segment
                            .ancestors()
                            .skip(1)
                            .take_while(|up| up.kind() == SyntaxKind::PATH)
                            .any(|up| up == *path)
                })
        });
        let names = segments.map(|name| name.text().to_string());
        let names = names.collect::<Vec<_>>();
        self.erased |= names.iter().any(|name| ERASING.contains(&name.as_str()));
        let first = names
            .into_iter()
            .find(|name| !matches!(name.as_str(), "crate" | "self" | "super" | "Self"));
        self.references.extend(first);
    }

    fn define(&mut self, node: &SyntaxNode) {
        let name = node.children().find_map(ast::Name::cast);
        self.defines
            .extend(name.map(|name| name.text().to_string()));
        if let Some(item) = ast::Trait::cast(node.clone())
            && let Some(bounds) = item.type_bound_list()
        {
            self.erased |= mentions(bounds.syntax(), &["Any", "Error"]);
        }
    }

    fn token(&mut self, token: &SyntaxToken) {
        if token.kind().is_trivia() {
            return;
        }
        if token.kind() == SyntaxKind::COMMA && is_last(token) {
            return;
        }
        self.definition += token.text();
        self.definition.push(' ');
        let in_macro = token
            .parent()
            .is_some_and(|parent| parent.kind() == SyntaxKind::TOKEN_TREE);
        if in_macro && token.kind() == SyntaxKind::IDENT {
            self.references.insert(token.text().to_owned());
            self.erased |= ERASING.contains(&token.text());
        }
    }

    /// Returns true if it defines types that can have values.
    pub(super) fn is_type(&self) -> bool {
        !self.defines.is_empty()
    }
}

/// Returns true for the comma after the last field or variant, which is optional.
fn is_last(comma: &SyntaxToken) -> bool {
    let list = [SyntaxKind::RECORD_FIELD_LIST, SyntaxKind::VARIANT_LIST];
    let in_list = comma
        .parent()
        .is_some_and(|parent| list.contains(&parent.kind()));
    let mut following = comma
        .siblings_with_tokens(ra_ap_syntax::Direction::Next)
        .skip(1);
    in_list
        && following.all(|next| match next {
            NodeOrToken::Token(token) => token.kind().is_trivia() || token.text() == "}",
            NodeOrToken::Node(_) => false,
        })
}

/// Returns true if a function can affect types: it is evaluated by the compiler, or contains types.
fn affects_types(function: &SyntaxNode) -> bool {
    let is_const = function
        .children_with_tokens()
        .any(|child| child.kind() == SyntaxKind::CONST_KW);
    let types = [SyntaxKind::STRUCT, SyntaxKind::ENUM, SyntaxKind::UNION];
    is_const
        || function
            .descendants()
            .any(|node| types.contains(&node.kind()))
}

/// Returns true for a module that names nothing outside of it: its own items are no others.
fn is_closed(module: &SyntaxNode) -> bool {
    let leading = [SyntaxKind::SUPER_KW, SyntaxKind::CRATE_KW];
    let tokens = module.descendants_with_tokens();
    let mut leading = tokens.filter(|element| leading.contains(&element.kind()));
    leading.all(|element| {
        let mut around = element
            .parent()
            .into_iter()
            .flat_map(|node| node.ancestors());
        around.any(|node| node.kind() == SyntaxKind::VISIBILITY)
    })
}

fn mentions(node: &SyntaxNode, names: &[&str]) -> bool {
    node.descendants()
        .filter_map(ast::NameRef::cast)
        .any(|name| names.iter().any(|other| name.text() == *other))
}

fn is_harmless(attribute: &SyntaxNode) -> bool {
    let mut names = attribute
        .descendants_with_tokens()
        .filter_map(NodeOrToken::into_token)
        .filter(|token| token.kind() == SyntaxKind::IDENT)
        .map(|token| token.text().to_owned());
    match names.next().as_deref() {
        Some("derive") => names.all(|name| PLAIN_DERIVES.contains(&name.as_str())),
        Some(name) => HARMLESS.contains(&name),
        None => false,
    }
}

/// Returns the head of an impl block, with its types and constants.
fn associated(block: &ast::Impl) -> (String, AssociatedItems) {
    let mut head = Definition::default();
    for child in block.syntax().children_with_tokens() {
        match child {
            NodeOrToken::Node(list) if list.kind() == SyntaxKind::ASSOC_ITEM_LIST => {}
            NodeOrToken::Node(child) => head.read(&child),
            NodeOrToken::Token(token) => head.token(&token),
        }
    }
    let mut inside = Definition::default();
    let items = block.assoc_item_list().into_iter();
    for item in items.flat_map(|list| list.assoc_items()) {
        match item {
            ast::AssocItem::Fn(function) if !affects_types(function.syntax()) => {}
            item => inside.read(item.syntax()),
        }
    }
    let associated = AssociatedItems {
        text: inside.definition,
        dependents: head.references,
    };
    (head.definition, associated)
}
