//! The definitions in an item, and the names that code refers to.

use super::item_macros::ItemMacro;
use ra_ap_syntax::ast::{self, AstNode, HasAttrs, HasName};
use ra_ap_syntax::{SyntaxKind, SyntaxNode};
use std::collections::BTreeSet;

/// The names that code refers to.
#[derive(Clone, Debug, Default)]
pub(super) struct Mentions {
    /// Names in scope: variables, functions, types.
    pub(super) names: BTreeSet<String>,
    /// Names behind a `.` or a `::`.
    pub(super) members: BTreeSet<String>,
}

impl Mentions {
    /// Returns the names that code refers to.
    pub(super) fn of(code: &SyntaxNode) -> Self {
        let mut mentions = Self::default();
        let tokens = code.descendants_with_tokens();
        let tokens = tokens.filter_map(|element| element.into_token());
        let mut before = [String::new(), String::new(), String::new()];
        for token in tokens.filter(|token| !token.kind().is_trivia()) {
            let text = token.text().to_owned();
            let parent = token.parent().map(|parent| parent.kind());
            match (token.kind(), parent) {
                (SyntaxKind::IDENT, Some(SyntaxKind::NAME_REF | SyntaxKind::TOKEN_TREE)) => {
                    mentions.add(&text, &before);
                }
                // A constant or a variant in a pattern.
                (SyntaxKind::IDENT, _) if text.starts_with(char::is_uppercase) => {
                    let pattern = token.parent().and_then(|name| name.parent());
                    if pattern.is_some_and(|it| it.kind() == SyntaxKind::IDENT_PAT) {
                        mentions.names.insert(text.clone());
                    }
                }
                (SyntaxKind::STRING, _) => mentions.names.extend(captures(&text)),
                _ => {}
            }
            before.rotate_left(1);
            before[2] = text;
        }
        mentions
    }

    /// Adds a name with the three tokens before it; those within macros are single characters.
    fn add(&mut self, name: &str, before: &[String; 3]) {
        let start = match before {
            [_, root, path] if path == "::" => Some(root),
            [root, first, second] if first == ":" && second == ":" => Some(root),
            _ => None,
        };
        let is_field = before[2] == "." && before[1] != ".";
        let is_rooted = start.is_some_and(|it| matches!(&**it, "crate" | "self" | "super"));
        match (start.is_some() || is_field) && !is_rooted {
            true => self.members.insert(name.to_owned()),
            false => self.names.insert(name.to_owned()),
        };
    }

    /// Adds the names of other code.
    pub(super) fn extend(&mut self, other: &Self) {
        self.names.extend(other.names.iter().cloned());
        self.members.extend(other.members.iter().cloned());
    }
}

/// Returns the names in braces of a format string.
fn captures(string: &str) -> impl Iterator<Item = String> {
    string.split('{').skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
        (end > 0).then(|| rest[..end].to_owned())
    })
}

/// The kind of a definition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum DefinitionKind {
    /// A struct, enum, union or alias, with the names of its variants and derived traits.
    Type {
        variants: Vec<String>,
        derived: BTreeSet<String>,
    },
    /// A trait, with the names of its methods.
    Trait { methods: BTreeSet<String> },
    /// A method of an inherent impl, or a whole impl.
    Impl {
        /// The name of the type, without path and parameters.
        ty: Option<String>,
        of_trait: Option<String>,
        /// All names before the block.
        head: BTreeSet<String>,
        /// The name and the text of the method.
        method: Option<(String, String)>,
    },
    /// An import, or a part of one.
    Use,
    /// A static, which keeps its value.
    Static,
    /// A function, constant, macro or module.
    Other,
}

/// A definition: an item, a method of an impl, or a name of an import.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    /// The name and its namespace: equal for two definitions of the same thing.
    pub(super) key: String,
    pub(super) names: Vec<String>,
    pub(super) kind: DefinitionKind,
    pub(super) text: String,
    /// The tokens of its text without comments.
    pub(super) tokens: String,
    pub(super) mentions: Mentions,
}

impl Definition {
    /// Returns the definitions in an item with the given text.
    pub(super) fn all(item: &ast::Item, text: &str) -> Vec<Self> {
        match item {
            ast::Item::Impl(block) => of_impl(block, text),
            ast::Item::Use(import) => {
                let mut parts = Vec::new();
                if let Some(tree) = import.use_tree() {
                    of_import(&tree, "", &mut parts);
                }
                if let [only] = parts.as_mut_slice() {
                    only.text = text.to_owned();
                }
                parts
            }
            _ => vec![of_item(item, text)],
        }
    }

    /// Returns what the call of a macro makes.
    pub(super) fn of_macro(made: &ItemMacro, call: &SyntaxNode, text: &str) -> Self {
        Self {
            key: format!("items {}", made.key),
            names: made.defines.clone(),
            kind: match made.makes_statics() {
                true => DefinitionKind::Static,
                false => DefinitionKind::Other,
            },
            text: text.to_owned(),
            tokens: tokens(call),
            mentions: Mentions::of(call),
        }
    }

    /// Returns true if both define the same thing.
    pub(super) fn is_same_thing(&self, other: &Self) -> bool {
        let imports = [self, other]
            .iter()
            .any(|it| it.kind == DefinitionKind::Use);
        self.key == other.key
            || (imports && self.names.iter().any(|name| other.names.contains(name)))
    }

    /// Returns a description for users.
    pub(super) fn describe(&self) -> String {
        match &self.kind {
            DefinitionKind::Impl { .. } => {
                let head = self.tokens.split('{').next().unwrap_or_default().trim();
                format!("`{head}`")
            }
            _ if self.names.is_empty() => format!("`{}`", self.tokens),
            _ => format!("`{}`", self.names.join("`, `")),
        }
    }
}

fn of_item(item: &ast::Item, text: &str) -> Definition {
    use DefinitionKind::{Other, Static, Trait, Type};
    let plain = |derived| Type {
        variants: Vec::new(),
        derived,
    };
    let (space, name, kind) = match item {
        ast::Item::Struct(it) => ("type", it.name(), plain(derived(it))),
        ast::Item::Union(it) => ("type", it.name(), plain(derived(it))),
        ast::Item::TypeAlias(it) => ("type", it.name(), plain(BTreeSet::new())),
        ast::Item::Enum(it) => {
            let variants = it.variant_list().into_iter().flat_map(|it| it.variants());
            let variants = variants.filter_map(|it| Some(it.name()?.text().to_string()));
            let kind = Type {
                variants: variants.collect(),
                derived: derived(it),
            };
            ("type", it.name(), kind)
        }
        ast::Item::Trait(it) => {
            let items = it.assoc_item_list().into_iter();
            let items = items.flat_map(|list| list.assoc_items());
            let methods = items.filter_map(|item| name_of(&item)).collect();
            ("type", it.name(), Trait { methods })
        }
        ast::Item::Module(it) => ("type", it.name(), Other),
        ast::Item::Fn(it) => ("value", it.name(), Other),
        ast::Item::Const(it) => ("value", it.name(), Other),
        ast::Item::Static(it) => ("value", it.name(), Static),
        ast::Item::MacroRules(it) => ("macro", it.name(), Other),
        _ => ("", None, Other),
    };
    let tokens = tokens(item.syntax());
    let name = match name {
        Some(name) if name.text() == "main" && space == "value" => Some("notebook_main".to_owned()),
        name => name
            .map(|name| name.text().to_string())
            .filter(|it| it != "_"),
    };
    Definition {
        key: match &name {
            Some(name) => format!("{space} {name}"),
            None => tokens.clone(),
        },
        names: name.into_iter().collect(),
        kind,
        text: text.to_owned(),
        tokens,
        mentions: Mentions::of(item.syntax()),
    }
}

/// Returns the names of the traits that are derived for a type, without paths.
fn derived(item: &impl HasAttrs) -> BTreeSet<String> {
    let attributes = item.attrs().filter(|attribute| {
        let path = attribute.path();
        path.is_some_and(|path| path.syntax().text() == "derive")
    });
    let names = attributes.map(|it| Mentions::of(it.syntax()));
    names
        .flat_map(|it| it.names.into_iter().chain(it.members))
        .collect()
}

/// Returns an inherent impl by its methods, as the notebook replaces them, and others as a whole.
fn of_impl(block: &ast::Impl, text: &str) -> Vec<Definition> {
    let name = |ty: ast::Type| match ty {
        ast::Type::PathType(ty) => Some(ty.path()?.segment()?.name_ref()?.text().to_string()),
        _ => None,
    };
    let ty = block.self_ty().and_then(name);
    let of_trait = block.trait_().and_then(name);
    let children = || {
        let children = block.syntax().children_with_tokens();
        children.take_while(|it| it.kind() != SyntaxKind::ASSOC_ITEM_LIST)
    };
    let mut names = Mentions::default();
    for node in children().filter_map(|it| it.into_node()) {
        names.extend(&Mentions::of(&node));
    }
    let is_part = |kind: SyntaxKind| kind != SyntaxKind::ATTR && kind != SyntaxKind::COMMENT;
    let head: String = children()
        .filter(|it| is_part(it.kind()))
        .map(|it| it.to_string())
        .collect();
    let head = head.trim();
    let key_head = head.split_whitespace().collect::<Vec<_>>().join(" ");
    let items = block.assoc_item_list().into_iter();
    let items: Vec<_> = items.flat_map(|list| list.assoc_items()).collect();
    let kind = |method| DefinitionKind::Impl {
        ty: ty.clone(),
        of_trait: of_trait.clone(),
        head: names.names.clone(),
        method,
    };
    let is_inherent = block.trait_().is_none() && block.attrs().next().is_none();
    if !is_inherent || items.is_empty() || items.iter().any(|item| name_of(item).is_none()) {
        return vec![Definition {
            key: key_head,
            names: Vec::new(),
            kind: kind(None),
            text: text.to_owned(),
            tokens: tokens(block.syntax()),
            mentions: Mentions::of(block.syntax()),
        }];
    }
    let part = |item: &ast::AssocItem| {
        let method = name_of(item).unwrap_or_default();
        let mut mentions = Mentions::of(item.syntax());
        mentions.extend(&names);
        let own = item.syntax().text().to_string();
        Definition {
            key: format!("{key_head} :: {method}"),
            names: Vec::new(),
            kind: kind(Some((method, own.clone()))),
            text: format!("{head} {{\n{own}\n}}"),
            tokens: format!("{key_head} {{ {} }}", tokens(item.syntax())),
            mentions,
        }
    };
    items.iter().map(part).collect()
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

/// Adds the parts of an import, each of which imports one name.
fn of_import(tree: &ast::UseTree, prefix: &str, parts: &mut Vec<Definition>) {
    let own = tree.path().map(|path| path.syntax().text().to_string());
    let path = match (prefix, own.as_deref()) {
        (prefix, None) => prefix.to_owned(),
        ("", Some(own)) => own.to_owned(),
        (prefix, Some("self")) => prefix.to_owned(),
        (prefix, Some(own)) => format!("{prefix}::{own}"),
    };
    if let Some(list) = tree.use_tree_list() {
        return list
            .use_trees()
            .for_each(|tree| of_import(&tree, &path, parts));
    }
    let alias = tree.rename().map(|it| it.syntax().text().to_string());
    let name = match &alias {
        Some(alias) => alias.split_whitespace().next_back(),
        None => path.rsplit("::").next(),
    };
    let is_glob = tree.star_token().is_some();
    let name = name.filter(|name| !is_glob && *name != "_");
    let end = match (is_glob, alias.as_deref()) {
        (true, _) => "::*".to_owned(),
        (false, Some(alias)) => format!(" {alias}"),
        (false, None) => String::new(),
    };
    let text = format!("use {path}{end};");
    let mut segments = path.split("::");
    let first = segments.find(|it| !matches!(*it, "" | "crate" | "self" | "super"));
    let mentions = Mentions {
        names: first.into_iter().map(str::to_owned).collect(),
        members: BTreeSet::new(),
    };
    parts.push(Definition {
        key: match name {
            Some(name) => format!("use {name}"),
            None => text.clone(),
        },
        names: name.into_iter().map(str::to_owned).collect(),
        kind: DefinitionKind::Use,
        tokens: text.clone(),
        text,
        mentions,
    });
}

/// Returns the tokens of code without comments.
fn tokens(code: &SyntaxNode) -> String {
    let tokens = code.descendants_with_tokens();
    let tokens = tokens.filter_map(|element| element.into_token());
    let tokens = tokens.filter(|token| !token.kind().is_trivia());
    let tokens: Vec<String> = tokens.map(|token| token.text().to_owned()).collect();
    tokens.join(" ")
}
