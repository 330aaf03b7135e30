//! Which cell has moved a variable that is gone.

use phalanx_protocol::failure::Failure;
use std::collections::BTreeMap;

/// Variables that were moved, each with the execution count of the cell that moved it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved(BTreeMap<String, usize>);

impl Moved {
    /// The cell that moved a variable, if that is why it is gone.
    pub fn by(&self, variable: &str) -> Option<usize> {
        self.0.get(variable).copied()
    }

    /// Adds to errors about variables that do not exist which cell has moved them.
    pub fn explain(&self, mut failure: Failure) -> Failure {
        if let Failure::Compile { diagnostics } = &mut failure {
            for diagnostic in diagnostics {
                let name = match diagnostic.code.as_deref() {
                    Some("E0425") => diagnostic.message.split('`').nth(1),
                    _ => None,
                };
                let Some(name) = name.map(str::to_owned) else {
                    continue;
                };
                if let Some(cell) = self.by(&name) {
                    // What rustc suggests instead has a name like it, and nothing to do with it.
                    diagnostic.help = vec![format!(
                        "`{name}` was moved by In[{cell}] and is gone: give that cell a copy (`{name}.clone()`) or a reference (`&{name}`), or define `{name}` again"
                    )];
                }
            }
        }
        failure
    }

    /// A cell has moved some variables; these are there now.
    pub(super) fn record<'a>(
        &mut self,
        cell: usize,
        moved: &[String],
        variables: impl IntoIterator<Item = &'a str>,
    ) {
        self.0.extend(moved.iter().map(|name| (name.clone(), cell)));
        for name in variables {
            self.0.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::failure::Diagnostic;

    #[test]
    fn an_error_about_a_variable_that_was_moved_names_the_cell() {
        let mut moved = Moved::default();
        moved.record(3, &["größe".into()], []);
        let missing = |name: &str| Diagnostic {
            message: format!("cannot find value `{name}` in this scope"),
            code: Some("E0425".into()),
            spans: Vec::new(),
            help: vec!["a local variable with a similar name exists".into()],
            rendered: None,
        };
        let diagnostics = vec![missing("größe"), missing("other")];
        let Failure::Compile { diagnostics } = moved.explain(Failure::Compile { diagnostics })
        else {
            panic!()
        };
        assert!(diagnostics[0].help[0].contains("`größe` was moved by In[3]"));
        assert_eq!(diagnostics[1], missing("other"));
    }

    #[test]
    fn a_variable_that_is_defined_again_is_not_gone() {
        let mut moved = Moved::default();
        moved.record(3, &["a".into(), "b".into()], ["c"]);
        moved.record(4, &["c".into()], ["a"]);
        assert_eq!(moved.by("a"), None);
        assert_eq!(moved.by("b"), Some(3));
        assert_eq!(moved.by("c"), Some(4));
    }
}
