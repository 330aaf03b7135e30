//! Hints for names in a cell for engines that rustc cannot resolve there.

use crate::cell::items;
use phalanx_protocol::failure::{Diagnostic, Failure};

/// The error codes of rustc for unresolved names.
const UNRESOLVED: [&str; 7] = ["E0405", "E0412", "E0422", "E0425", "E0432", "E0433", MEMBER];

/// The error code for a member that a type does not have.
const MEMBER: &str = "E0599";

/// The library's types that refer to the kernel's cluster and its tasks.
const HANDLES: [&str; 8] = [
    "AsyncHubResult",
    "AsyncMapResult",
    "AsyncResult",
    "Client",
    "Cluster",
    "ClusterBuilder",
    "DirectView",
    "LoadBalancedView",
];

/// Returns the unresolved name, if that is the error.
pub fn unresolved(diagnostic: &Diagnostic) -> Option<&str> {
    let code = diagnostic.code.as_deref()?;
    let name = diagnostic.message.split('`').nth(1)?;
    UNRESOLVED.contains(&code).then_some(name)
}

/// Returns true if a name occurs as a word in Rust text.
pub fn occurs(source: &str, name: &str) -> bool {
    !name.is_empty() && occurrences(source, name).next().is_some()
}

/// Returns the byte offsets at which a name occurs as a word in Rust text.
pub fn occurrences(source: &str, name: &str) -> impl Iterator<Item = usize> {
    let of_name = |c: char| c.is_alphanumeric() || c == '_';
    let found = source.match_indices(name).map(|(at, _)| at);
    found.filter(move |at| {
        !source[..*at].ends_with(of_name) && !source[at + name.len()..].starts_with(of_name)
    })
}

/// Adds the remedy to errors about names that exist in the notebook, but not on the engines.
/// `variables` are those of the notebook, with their types.
pub fn explain(
    mut failure: Failure,
    variables: &[(String, String)],
    sources: &[String],
) -> Failure {
    if let Failure::Compile { diagnostics } = &mut failure {
        for diagnostic in diagnostics {
            // Variables and functions with the name of a member are unrelated to it.
            let is_member = diagnostic.code.as_deref() == Some(MEMBER);
            let name = unresolved(diagnostic).filter(|_| !is_member);
            let here = name.and_then(|name| defined_in_kernel(name, variables, sources));
            diagnostic.help.extend(here);
        }
    }
    failure
}

fn defined_in_kernel(
    name: &str,
    variables: &[(String, String)],
    sources: &[String],
) -> Option<String> {
    if let Some((_, ty)) = variables.iter().find(|(known, _)| known == name) {
        if is_handle(ty) {
            return Some(format!(
                "`{name}` is the notebook's handle on the cluster, and `%px` runs on the engines: use it in a cell without `%px`"
            ));
        }
        return Some(format!(
            "`{name}` is a variable of the notebook, and `%px` runs on the engines: `Client::connect()?.all().push(\"{name}\", &{name})?` sends it there"
        ));
    }
    let mut items = sources.iter().flat_map(|source| items(source));
    let is_defined = items.any(|item| item.defined() == Some(name));
    is_defined.then(|| {
        format!(
            "`{name}` is defined in the notebook, and `%px` runs on the engines: start the cell that defines it with `%%px --local`, and it runs on both"
        )
    })
}

/// Returns true for a type of the library that only the notebook's process can use.
fn is_handle(ty: &str) -> bool {
    let path = ty.split('<').next().unwrap_or_default();
    let path = path.strip_prefix("phalanx::");
    let name = path.and_then(|path| path.rsplit("::").next());
    name.is_some_and(|name| HANDLES.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(code: &str, message: &str) -> Failure {
        Failure::Compile {
            diagnostics: vec![Diagnostic {
                message: message.to_owned(),
                code: Some(code.to_owned()),
                spans: Vec::new(),
                help: Vec::new(),
                rendered: None,
                earlier: None,
            }],
        }
    }

    fn help(failure: Failure) -> Vec<String> {
        let variables = [("größe", "i32"), ("rc", "phalanx::Client")];
        let variables = variables.map(|(name, ty)| (name.to_owned(), ty.to_owned()));
        let sources = [
            "fn f() {}\nstruct S;".to_owned(),
            "let größe = f();".to_owned(),
        ];
        match explain(failure, &variables, &sources) {
            Failure::Compile { diagnostics } => diagnostics[0].help.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn missing_names_of_the_notebook_get_a_hint_on_sending_them_to_engines() {
        let variable = help(missing("E0425", "cannot find value `größe` in this scope"));
        assert!(
            variable[0].contains(".push(\"größe\", &größe)?"),
            "{variable:?}"
        );
        let client = help(missing("E0425", "cannot find value `rc` in this scope"));
        assert!(client[0].contains("in a cell without `%px`"), "{client:?}");
        for (code, message) in [
            ("E0425", "cannot find function `f` in this scope"),
            ("E0412", "cannot find type `S` in this scope"),
        ] {
            let defined = help(missing(code, message));
            assert!(defined[0].contains("`%%px --local`"), "{defined:?}");
        }
        assert!(
            help(missing(
                "E0425",
                "cannot find value `nowhere` in this scope"
            ))
            .is_empty()
        );
        let method = "no method named `f` found for type `u32` in the current scope";
        assert!(help(missing("E0599", method)).is_empty());
        assert!(help(missing("E0308", "`größe` has another type")).is_empty());
    }

    #[test]
    fn names_are_matched_as_whole_words() {
        assert!(occurs("let a = größe;", "größe"));
        assert!(!occurs("let a_größe = größer;", "größe"));
    }
}
