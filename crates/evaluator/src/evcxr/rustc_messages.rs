//! rustc's messages in the form passed to evcxr, and the original errors.
//!
//! evcxr attributes an error to every span in the user's code: a type's definition, the bound of a
//! function, a note after it. It takes a statement that stores a variable for the cause of an
//! error, and computes positions in the cell that may be invalid. So it is only passed the spans of
//! the error itself; the rest is for the evaluator.

use super::unkept;
use serde_json::Value;

/// The member of an error that contains the original form.
const ORIGINAL: &str = "phalanx_original";

/// The file name of spans that evcxr must ignore.
const ELSEWHERE: &str = "note";

/// The text of a note from which evcxr concludes that the last expression is shown by value.
pub(super) const SHOWN_BY_VALUE: &str = "::evcxr_display` takes ownership of the receiver";

/// The error of an `.await` in code that is not asynchronous.
const AWAIT_OUTSIDE_ASYNC: &str = "E0728";

/// The error of an unknown variable, from which evcxr concludes that it cannot be stored.
const UNKNOWN_VARIABLE: &str = "E0425";

/// Converts rustc's messages, a JSON object per line, into the form passed to evcxr. A cell that `awaits` may be retried as
/// an asynchronous one; for other cells, the errors that suggest it are changed.
pub(super) fn for_evcxr(messages: &[u8], awaits: bool) -> Vec<u8> {
    let mut output = Vec::with_capacity(messages.len());
    for line in messages.split_inclusive(|byte| *byte == b'\n') {
        let Ok(message) = serde_json::from_slice::<Value>(line) else {
            output.extend_from_slice(line);
            continue;
        };
        match message["level"].as_str() {
            // A warning in the user's code would make evcxr omit errors outside of the user's code.
            Some("warning") => {}
            Some(level @ ("error" | "note" | "help")) => {
                let is_error = level.starts_with("error");
                let converted = convert(&message, is_error, awaits);
                output.extend_from_slice(converted.to_string().as_bytes());
                output.push(b'\n');
            }
            _ => output.extend_from_slice(line),
        }
    }
    output
}

/// Returns an error, or a note after one, in its original form.
pub(super) fn original(error: &Value) -> &Value {
    error.get(ORIGINAL).unwrap_or(error)
}

/// Converts one message, and adds the original as a member.
fn convert(message: &Value, is_error: bool, awaits: bool) -> Value {
    let mut converted = message.clone();
    let code = message["code"]["code"].as_str().unwrap_or_default();
    let hide = |span: &mut Value| span["file_name"] = Value::from(ELSEWHERE);
    let spans = converted["spans"].as_array_mut().into_iter().flatten();
    let is_hidden = |span: &&mut Value| {
        !is_error || code != UNKNOWN_VARIABLE && unkept::stored_variable(span).is_some()
    };
    spans.filter(is_hidden).for_each(hide);
    let children = converted["children"].as_array_mut().into_iter().flatten();
    let children = children.filter(|child| {
        let text = child["message"].as_str().unwrap_or_default();
        !text.contains(SHOWN_BY_VALUE)
    });
    for child in children {
        let spans = child["spans"].as_array_mut().into_iter().flatten();
        spans.for_each(hide);
    }
    if code == AWAIT_OUTSIDE_ASYNC && !awaits {
        converted["code"] = Value::Null;
    }
    converted[ORIGINAL] = message.clone();
    converted
}

#[cfg(test)]
mod tests {
    use super::super::generated_crate::SOURCE;
    use super::*;
    use serde_json::json;

    fn convert_one(message: &Value, awaits: bool) -> Value {
        let converted = for_evcxr(message.to_string().as_bytes(), awaits);
        serde_json::from_slice(&converted).unwrap()
    }

    #[test]
    fn only_spans_of_the_error_itself_are_passed() {
        let error = json!({
            "level": "error",
            "code": {"code": "E0277"},
            "spans": [{"file_name": SOURCE}],
            "children": [
                {"level": "note", "message": "function defined here", "spans": [{"file_name": SOURCE}]},
                {"level": "help", "message": "the trait `Add` is not implemented for `P`", "spans": [{"file_name": SOURCE}]},
                {"level": "note", "message": "`P::evcxr_display` takes ownership of the receiver `self`", "spans": [{"file_name": SOURCE}]},
            ],
        });
        let converted = convert_one(&error, false);
        assert_eq!(converted["spans"][0]["file_name"], SOURCE);
        for (child, file) in [(0, ELSEWHERE), (1, ELSEWHERE), (2, SOURCE)] {
            assert_eq!(converted["children"][child]["spans"][0]["file_name"], file);
        }
        assert_eq!(original(&converted), &error);
        let note = json!({"level": "note", "message": "the above error", "spans": [{"file_name": SOURCE}]});
        let converted = convert_one(&note, false);
        assert_eq!(converted["spans"][0]["file_name"], ELSEWHERE);
        assert_eq!(original(&converted), &note);
    }

    #[test]
    fn spans_of_stored_variables_are_hidden() {
        let put = "evcxr_variable_store.put_variable::<u8>(stringify!(n), n);";
        let error = |code: &str| {
            json!({
                "level": "error",
                "code": {"code": code},
                "spans": [{"file_name": SOURCE, "text": [{"text": put}]}],
            })
        };
        let file = |code: &str| convert_one(&error(code), true)["spans"][0]["file_name"].clone();
        assert_eq!(file("E0505"), ELSEWHERE);
        assert_eq!(file(UNKNOWN_VARIABLE), SOURCE);
    }

    #[test]
    fn only_cells_that_await_keep_the_error_of_await() {
        let error = json!({"level": "error", "code": {"code": AWAIT_OUTSIDE_ASYNC}, "spans": []});
        assert_eq!(
            convert_one(&error, true)["code"]["code"],
            AWAIT_OUTSIDE_ASYNC
        );
        assert_eq!(convert_one(&error, false)["code"], Value::Null);
    }

    #[test]
    fn warnings_are_removed_and_other_lines_kept() {
        let warning = json!({"level": "warning", "spans": []});
        let messages = format!("text\n{warning}\n{{\"reason\":\"x\"}}\n");
        let converted = String::from_utf8(for_evcxr(messages.as_bytes(), true)).unwrap();
        assert_eq!(converted, "text\n{\"reason\":\"x\"}\n");
    }
}
