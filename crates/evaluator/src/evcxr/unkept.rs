//! The variables that a cell does not store, according to rustc's errors.
//!
//! evcxr's function for a cell ends by putting all variables into the store. If one was moved, or
//! borrows from another, rustc rejects that statement and nothing else; so it is blanked, the cell
//! is compiled without it, and the evaluator notifies evcxr and the user.

use super::blank::blanks;
use super::generated_crate::SOURCE;
use phalanx_protocol::evaluator::{UnkeptReason, UnkeptVariable};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The record, relative to the crate's folder: the variables known to the evaluator before the
/// compilation, and those found in rustc's errors.
const RECORD: &str = "target/phalanx-unkept.json";

/// The beginning of a statement that puts a variable into the store.
const PUT: &str = "evcxr_variable_store.put_variable::<";

/// rustc's labels at the span that requires a borrow to last: the variable that borrows.
const BORROWING_LABELS: [&str; 3] = ["borrow later", "requires that", "borrow might be used"];

/// rustc's label at the span where a variable that borrows is dropped, around its name.
const DROPPED_LABEL: (&str, &str) = ("borrow might be used here, when `", "` is dropped");

/// The variables that a cell does not store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct UnkeptVariables {
    /// Moved variables.
    pub(super) moved: BTreeSet<String>,
    /// Variables that cannot be kept, with the reasons.
    pub(super) reasons: BTreeMap<String, UnkeptReason>,
    /// The variables among them that borrow until they are dropped, such as guards, each with the
    /// variables that it borrows from.
    #[serde(default)]
    guards: BTreeMap<String, BTreeSet<String>>,
}

impl UnkeptVariables {
    /// Returns the variables that are known before a cell is compiled.
    pub(super) fn known(variables: &[UnkeptVariable]) -> Self {
        let variables = variables.iter().cloned();
        Self {
            reasons: variables
                .map(|variable| (variable.name, variable.reason))
                .collect(),
            ..Self::default()
        }
    }

    /// Reads the record from a crate's folder; empty if there is none.
    pub(super) fn read(folder: &Path) -> Self {
        let record = fs::read(folder.join(RECORD)).ok();
        let read = record.and_then(|json| serde_json::from_slice(&json).ok());
        read.unwrap_or_default()
    }

    /// Writes the record to a crate's folder.
    pub(super) fn write(&self, folder: &Path) {
        // Without the record, evcxr compiles the cell again for each variable.
        let json = serde_json::to_vec(self).unwrap_or_default();
        let _ = fs::write(folder.join(RECORD), json);
    }

    /// Returns the names of all of them.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.moved.iter().chain(self.reasons.keys())
    }

    /// Returns the variables that cannot be kept.
    pub(super) fn variables(&self) -> Vec<UnkeptVariable> {
        let reasons = self.reasons.iter();
        let variables = reasons.map(|(name, reason)| UnkeptVariable {
            name: name.clone(),
            reason: reason.clone(),
        });
        variables.collect()
    }

    /// Returns a crate's source without the statements that store them; guards are dropped before
    /// the variables they borrow from are stored. The number of lines does not change.
    pub(super) fn without<'a>(&self, source: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(source);
        for name in self.names() {
            let end = format!("(stringify!({name}), {name});");
            for (at, _) in source.match_indices(&end) {
                let Some(start) = source[..at].rfind(PUT) else {
                    continue;
                };
                let range = start..at + end.len();
                let blanks = blanks(&source[range.clone()]);
                text.to_mut().replace_range(range, &blanks);
            }
        }
        for (guard, lenders) in &self.guards {
            let puts = lenders.iter().filter_map(|name| {
                let at = text.rfind(&format!("(stringify!({name}), {name});"))?;
                text[..at].rfind(PUT)
            });
            if let Some(first) = puts.min() {
                let end = format!("::std::mem::drop({guard}); ");
                text.to_mut().insert_str(first, &end);
            }
        }
        text
    }

    /// Adds the variables in rustc's errors; returns true if any of them is new.
    pub(super) fn add_errors(&mut self, messages: &[u8]) -> bool {
        let messages = String::from_utf8_lossy(messages);
        let count = |unkept: &Self| {
            let lenders = unkept.guards.values().map(BTreeSet::len);
            unkept.names().count() + lenders.sum::<usize>()
        };
        let before = count(self);
        for line in messages.lines() {
            if let Ok(message) = serde_json::from_str::<Value>(line)
                && message["level"] == "error"
            {
                self.add(&message);
            }
        }
        count(self) > before
    }

    fn add(&mut self, error: &Value) {
        let spans = error["spans"].as_array().into_iter().flatten();
        let puts = spans.filter_map(|span| Some((span, stored_variable(span)?)));
        let puts: Vec<_> = puts.collect();
        let is_borrowing = |span: &Value| {
            let label = span["label"].as_str().unwrap_or_default();
            BORROWING_LABELS.iter().any(|words| label.contains(words))
        };
        let borrowing = puts.iter().filter(|(span, _)| is_borrowing(span));
        let borrowing: Vec<_> = borrowing.map(|(_, name)| name.clone()).collect();
        let primary = puts.iter().filter(|(span, _)| span["is_primary"] == true);
        let primary = primary.map(|(_, name)| name.clone());
        let mut guards = error["spans"].as_array().into_iter().flatten();
        let guard = guards.find_map(|span| {
            let (_, rest) = span["label"].as_str()?.split_once(DROPPED_LABEL.0)?;
            Some(rest.split_once(DROPPED_LABEL.1)?.0)
        });
        match error["code"]["code"].as_str() {
            Some("E0382") => self.moved.extend(primary),
            Some("E0505") if guard.is_some() => {
                if let Some(guard) = guard {
                    let lenders = self.guards.entry(guard.to_owned()).or_default();
                    lenders.extend(primary);
                }
            }
            Some("E0381") => {
                let reasons = primary.map(|name| (name, UnkeptReason::Uninitialized));
                self.reasons.extend(reasons);
            }
            // Lifetime errors. If no stored variable borrows, they are errors of the user's code.
            Some("E0499" | "E0502" | "E0503" | "E0505" | "E0506" | "E0521" | "E0597" | "E0621")
            | Some("E0713" | "E0716" | "E0310" | "E0309" | "E0515" | "E0373")
            | None => {
                let reasons = borrowing
                    .into_iter()
                    .map(|name| (name, UnkeptReason::Borrowed));
                self.reasons.extend(reasons);
            }
            Some(_) => {}
        }
    }
}

/// Returns the variable that the statement at a span puts into the store.
pub(super) fn stored_variable(span: &Value) -> Option<String> {
    if span["file_name"] != SOURCE {
        return None;
    }
    let lines = span["text"].as_array()?;
    lines.iter().find_map(|line| {
        let (_, rest) = line["text"].as_str()?.split_once("(stringify!(")?;
        let (name, rest) = rest.split_once("), ")?;
        (rest.trim_end().strip_suffix(");")? == name).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PUT_WORDS: &str =
        "evcxr_variable_store.put_variable::<Vec<&str>>(stringify!(words), words);";
    const PUT_TEXT: &str = "evcxr_variable_store.put_variable::<String>(stringify!(text), text);";

    fn span(text: &str, is_primary: bool, label: &str) -> Value {
        json!({
            "file_name": SOURCE,
            "is_primary": is_primary,
            "label": label,
            "text": [{ "text": text }],
        })
    }

    fn unkept(code: &str, spans: Value) -> UnkeptVariables {
        let message = json!({"level": "error", "code": {"code": code}, "spans": spans});
        let mut unkept = UnkeptVariables::default();
        unkept.add_errors(message.to_string().as_bytes());
        unkept
    }

    #[test]
    fn borrowing_variables_are_not_stored() {
        for spans in [
            json!([
                span(PUT_TEXT, true, "move out of `text` occurs here"),
                span(PUT_WORDS, false, "borrow later used here"),
            ]),
            json!([
                span("let words = text.split();", true, "borrowed value"),
                span(
                    PUT_WORDS,
                    false,
                    "argument requires that `text` is borrowed for `'static`"
                ),
            ]),
        ] {
            let unkept = unkept("E0505", spans);
            let names: Vec<_> = unkept.names().collect();
            assert_eq!(names, ["words"]);
            let source = format!("a\n  {PUT_TEXT}\n{PUT_WORDS} }}\n");
            let without = unkept.without(&source);
            assert_eq!(without.len(), source.len());
            assert!(without.contains(PUT_TEXT) && !without.contains("words"));
        }
    }

    #[test]
    fn guards_are_dropped_before_their_lenders_are_stored() {
        let ended = "borrow might be used here, when `wörter` is dropped and runs the destructor for type `Ref<'_, u8>`";
        let unkept = unkept(
            "E0505",
            json!([
                span(PUT_TEXT, true, "move out of `text` occurs here"),
                span("}", false, ended),
            ]),
        );
        assert_eq!(unkept.names().count(), 0, "its own statement comes first");
        let source = format!("{PUT_WORDS}\n{PUT_TEXT}\n}}\n");
        let without = unkept.without(&source);
        let expected = format!("{PUT_WORDS}\n::std::mem::drop(wörter); {PUT_TEXT}\n}}\n");
        assert_eq!(without, expected);
    }

    #[test]
    fn moved_variables_are_not_errors() {
        let moved = unkept(
            "E0382",
            json!([span(PUT_TEXT, true, "value used here after move")]),
        );
        assert_eq!(moved.moved, BTreeSet::from(["text".to_owned()]));
        assert!(moved.variables().is_empty());
        let elsewhere = unkept("E0382", json!([span("f(text);", true, "")]));
        assert_eq!(elsewhere, UnkeptVariables::default());
        let from_other_statement = unkept(
            "E0505",
            json!([
                span(PUT_TEXT, true, "move out of `text` occurs here"),
                span(
                    "text.lock()?",
                    false,
                    "argument requires that `text` is borrowed for `'static`"
                ),
            ]),
        );
        assert_eq!(from_other_statement, UnkeptVariables::default());
        let type_error = unkept("E0308", json!([span(PUT_TEXT, true, "")]));
        assert_eq!(type_error, UnkeptVariables::default());
    }

    #[test]
    fn statements_of_several_lines_are_removed_completely() {
        let unkept = UnkeptVariables::known(&[UnkeptVariable {
            name: "größe".to_owned(),
            reason: UnkeptReason::Closure,
        }]);
        let source =
            "x\nevcxr_variable_store.put_variable::<Vec<\nÄ>>(stringify!(größe), größe);\ny";
        let without = unkept.without(source);
        assert_eq!(without.trim_start_matches(['x', '\n', ' ']), "y");
        assert_eq!((without.len(), without.lines().count()), (source.len(), 4));
    }
}
