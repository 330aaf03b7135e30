//! The limits of values, which ipywidgets enforces in Python: a number out of range becomes the
//! nearest in it; a range without numbers and an option that does not exist are refused.

use serde_json::{Map, Value};
use std::cmp::Ordering;
use std::fmt::Debug;

/// Moves the value of a state, or both ends of a range, between its `min` and `max`.
pub(super) fn clamp(state: &mut Map<String, Value>) {
    let Some(value) = state.get("value") else {
        return;
    };
    let clamped = match value {
        Value::Array(ends) => ends.iter().map(|end| nearest(end, state)).collect(),
        value => nearest(value, state),
    };
    state.insert("value".to_owned(), clamped);
}

/// Returns the number in the range of a state that is nearest to a value.
fn nearest(value: &Value, state: &Map<String, Value>) -> Value {
    let limit = |key: &str, ordering: Ordering| {
        let limit = state.get(key)?;
        (compare(value, limit)? == ordering).then(|| limit.clone())
    };
    limit("max", Ordering::Greater)
        .or_else(|| limit("min", Ordering::Less))
        .unwrap_or_else(|| value.clone())
}

/// Compares numbers; `None` for other values.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

/// Returns the changes of a state for another highest value; `None` if it is below the lowest one.
pub(super) fn with_max(mut state: Map<String, Value>, max: Value) -> Option<Map<String, Value>> {
    if compare(&max, state.get("min")?) == Some(Ordering::Less) {
        return None;
    }
    state.insert("max".to_owned(), max);
    clamp(&mut state);
    state.retain(|key, _| key == "max" || key == "value");
    Some(state)
}

/// Returns the value of a state after it is set to another one.
pub(super) fn with_value(mut state: Map<String, Value>, value: Value) -> Value {
    state.insert("value".to_owned(), value);
    clamp(&mut state);
    state.remove("value").unwrap_or_default()
}

/// Reports a range without numbers, and returns false for it. Callers cannot handle an error.
pub(super) fn is_range<N: PartialOrd + Debug>(min: &N, max: &N) -> bool {
    // NaN is in no range.
    let is_range = min <= max;
    if !is_range {
        eprintln!("phalanx: no value is in the range {min:?}..={max:?}; the widget keeps its own");
    }
    is_range
}

/// Returns the index of an option; reports one that does not exist.
pub(super) fn index(option: &str, options: &[String]) -> Option<usize> {
    let index = options.iter().position(|known| known == option);
    if index.is_none() {
        eprintln!("{}", unknown(option, options));
    }
    index
}

fn unknown(option: &str, options: &[String]) -> String {
    let all = match options {
        [] => "there are none: `options` comes before it".to_owned(),
        options => format!("they are `{}`", options.join("`, `")),
    };
    format!("phalanx: `{option}` is not among the options of the widget; {all}")
}

#[cfg(test)]
mod tests {
    use super::super::model::object;
    use super::*;
    use serde_json::json;

    fn clamped(value: Value) -> Value {
        with_value(object(json!({"min": 0, "max": 10})), value)
    }

    #[test]
    fn numbers_out_of_range_become_the_nearest_in_it() {
        assert_eq!(clamped(json!(99)), json!(10));
        assert_eq!(clamped(json!(-3)), json!(0));
        assert_eq!(clamped(json!(7)), json!(7));
        assert_eq!(clamped(json!(2.5)), json!(2.5));
        assert_eq!(clamped(json!([-1, 20])), json!([0, 10]));
        let mut unlimited = object(json!({"value": 99}));
        clamp(&mut unlimited);
        assert_eq!(unlimited, object(json!({"value": 99})));
    }

    #[test]
    fn a_highest_value_takes_the_value_along_and_is_not_below_the_lowest() {
        let state = object(json!({"min": 2, "max": 10, "value": 8, "step": 1}));
        let changes = with_max(state.clone(), json!(5)).unwrap();
        assert_eq!(changes, object(json!({"max": 5, "value": 5})));
        assert_eq!(with_max(state, json!(1)), None);
        assert!(is_range(&1, &1) && !is_range(&10, &0) && !is_range(&f64::NAN, &0.0));
    }

    #[test]
    fn unknown_options_are_reported_with_those_there_are() {
        let options = ["a".to_owned(), "größe".to_owned()];
        assert_eq!(index("größe", &options), Some(1));
        assert_eq!(index("zzz", &options), None);
        assert!(unknown("zzz", &options).ends_with("they are `a`, `größe`"));
        assert!(unknown("zzz", &[]).contains("`options` comes before"));
    }
}
