//! Parameters of a notebook, as papermill passes them.

use crate::Error;
use crate::error::LibraryError;
use serde::Deserialize;
use serde_json::Value;
use std::any::type_name;

/// Returns a parameter's value, given as JSON, in the type of its default.
///
/// `papermill -p steps 500` adds such a line for each parameter, after the cell tagged `parameters`
/// that declares them with their defaults. A float may be given as an integer, an `Option` as
/// `null`; text, lists, maps and structs that implement `Deserialize` are possible too.
///
/// ```no_run
/// let steps: usize = 100;
/// let names = vec!["a"];
/// let steps = phalanx::parameter(steps, "500")?;
/// let names = phalanx::parameter(names, r#"["b", "ü"]"#)?;
/// assert_eq!((steps, names), (500, vec!["b", "ü"]));
/// # Ok::<(), phalanx::Error>(())
/// ```
///
/// # Errors
/// `UsageError` if the value does not fit the type, or is not JSON.
pub fn parameter<T: Deserialize<'static>>(default: T, value: &str) -> Result<T, Error> {
    drop(default);
    let unfit = |error: serde_json::Error| {
        Error::from(LibraryError::Parameter {
            value,
            type_name: type_name::<T>(),
            error: &error,
        })
    };
    let parsed: Value = serde_json::from_str(value).map_err(unfit)?;
    // Leaked, since a `&'static str` refers to it; a notebook has few parameters.
    T::deserialize(Box::leak(Box::new(parsed)) as &'static Value).map_err(unfit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn values_have_the_type_of_the_default() {
        assert_eq!(parameter(1_u8, "255").ok(), Some(255));
        assert_eq!(parameter(0.5, "2").ok(), Some(2.0));
        assert_eq!(parameter("", r#""a\n\"ü\"""#).ok(), Some("a\n\"ü\""));
        assert_eq!(parameter(String::new(), r#""b""#).ok(), Some("b".into()));
        assert_eq!(parameter(Some(1), "null").ok(), Some(None));
        assert_eq!(parameter((1, true), "[2, false]").ok(), Some((2, false)));
        let map = BTreeMap::from([("k", vec![1.5])]);
        assert_eq!(parameter(map.clone(), r#"{"k": [1.5]}"#).ok(), Some(map));
    }

    #[test]
    fn values_that_do_not_fit_name_the_type() {
        let error = parameter(1_usize, "-1").unwrap_err();
        assert_eq!(error.ename(), "UsageError");
        let text = error.to_string();
        assert!(text.contains("-1") && text.contains("usize"), "{text}");
        assert!(parameter(1, "1,").is_err());
    }
}
