//! The types and methods that rustc's errors are about: the notebook's own, the library's or
//! others'.

use serde_json::Value;

/// The sources of the library, as a part of their paths.
const LIBRARY: &str = "/phalanx/src/";

/// The sources of the standard library, as parts of their paths.
const STANDARD: [&str; 3] = [
    "/library/core/src/",
    "/library/std/src/",
    "/library/alloc/src/",
];

/// The words in front of the name of a type where it is defined.
const DEFINING: [&str; 4] = ["struct", "enum", "union", "type"];

/// The start of rustc's label at the definition of a type in the crate itself.
const NOT_FOUND: &str = " not found for this ";

/// The context of one error.
#[derive(Clone, Copy, Default)]
pub(super) struct ErrorSubject<'a> {
    /// rustc's message; none for an error of the parser.
    error: Option<&'a Value>,
    /// The source of the crate as compiled.
    compiled: &'a str,
}

impl<'a> ErrorSubject<'a> {
    pub(super) fn new(error: &'a Value, compiled: &'a str) -> Self {
        Self {
            error: Some(error),
            compiled,
        }
    }

    /// Returns true if the type of an error, perhaps with its path and parameters, is one of these
    /// of the library. rustc leaves out a path unless there are several types with the name.
    pub(super) fn is_library_type(&self, ty: &str, names: &[&str]) -> bool {
        let path = path(ty);
        let name = path.strip_prefix("phalanx::");
        let is_distinct = name.is_some() || !self.defines(path);
        names.contains(&name.unwrap_or(path)) && is_distinct
    }

    /// Returns true if the message is about a method that a type of the notebook does not have.
    pub(super) fn is_own_type(&self, message: &str) -> bool {
        let named = message.split_once("` found for ");
        let ty = named.and_then(|(_, rest)| Some(rest.split_once('`')?.1));
        if ty.is_some_and(|ty| self.defines(path(ty))) {
            return true;
        }
        let spans = self.error.and_then(|error| error["spans"].as_array());
        let mut labels = spans
            .into_iter()
            .flatten()
            .filter_map(|span| span["label"].as_str());
        labels.any(|label| label.contains(NOT_FOUND))
    }

    /// Returns the type that an error requires to implement a trait, if the error is about a part of
    /// it: `(usize, f64)` if it is about `f64`. rustc names the parts from the inside out.
    pub(super) fn type_with_bound(&self, of_trait: &str) -> Option<&'a str> {
        let children = self.error?["children"].as_array()?.iter();
        let messages = children.filter_map(|child| child["message"].as_str());
        let mut types = messages.filter_map(|message| {
            let (ty, rest) = message.strip_prefix("required for `")?.split_once('`')?;
            let rest = rest.strip_prefix(" to implement `")?;
            (rest.strip_suffix('`')? == of_trait).then_some(ty)
        });
        types.next_back()
    }

    /// Returns true if rustc names a definition in the library, such as that of the method.
    pub(super) fn is_of_library(&self) -> bool {
        self.names_definition_in(&[LIBRARY])
    }

    /// Returns true if rustc names a definition in the standard library.
    pub(super) fn is_of_std(&self) -> bool {
        self.names_definition_in(&STANDARD)
    }

    fn names_definition_in(&self, folders: &[&str]) -> bool {
        let children = self.error.and_then(|error| error["children"].as_array());
        let notes = children
            .into_iter()
            .flatten()
            .filter(|child| child["level"] == "note");
        let spans = notes.filter_map(|note| note["spans"].as_array()).flatten();
        let mut files = spans.filter_map(|span| span["file_name"].as_str());
        files.any(|file| folders.iter().any(|folder| file.contains(folder)))
    }

    /// Returns true if the notebook defines a type with this name.
    fn defines(&self, name: &str) -> bool {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let mut words = self.compiled.split(|c| !is_word(c));
        let mut before = "";
        words.any(|word| {
            if word.is_empty() {
                return false;
            }
            let is_defined = word == name && DEFINING.contains(&before);
            before = word;
            is_defined
        })
    }
}

/// The path of a type at the beginning of a text, without references and parameters.
fn path(text: &str) -> &str {
    let text = text.trim_start_matches('&');
    let text = text.strip_prefix("mut ").unwrap_or(text);
    let end = text.find(['<', '`']).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_type_of_the_notebook_is_not_the_librarys() {
        let error = json!({});
        let own = ErrorSubject::new(
            &error,
            "fn f() {}\n#[derive(Clone)] struct\n  Client<T>(T);",
        );
        let other = ErrorSubject::new(&error, "fn Client() {} struct ClientBuilder;");
        let names = ["Client", "DirectView"];
        for (ty, of_own, of_other) in [
            ("Client`", false, true),
            ("Client<u8>`", false, true),
            ("&mut Client`", false, true),
            ("phalanx::Client`", true, true),
            ("&phalanx::Client`", true, true),
            ("DirectView`", true, true),
            ("reqwest::Client`", false, false),
            ("ClientBuilder`", false, false),
        ] {
            assert_eq!(own.is_library_type(ty, &names), of_own, "{ty}");
            assert_eq!(other.is_library_type(ty, &names), of_other, "{ty}");
        }
    }

    #[test]
    fn definitions_are_found_by_their_files() {
        let error = |file: &str| {
            json!({"children": [
                {"level": "note", "message": "method defined here", "spans": [{"file_name": file}]},
                {"level": "help", "message": "…", "spans": [{"file_name": "src/lib.rs"}]},
            ]})
        };
        let is_of = |file: &str| {
            let error = error(file);
            let subject = ErrorSubject::new(&error, "");
            (subject.is_of_library(), subject.is_of_std())
        };
        let library = "/c/library/0.1.0-0a/phalanx/src/async_result/mod.rs";
        assert!(is_of(library).0);
        let std = "/rustlib/src/rust/library/std/src/process.rs";
        assert_eq!(is_of(std), (false, true));
        assert_eq!(is_of("src/lib.rs"), (false, false));
        assert!(!ErrorSubject::default().is_of_library());
    }
}
