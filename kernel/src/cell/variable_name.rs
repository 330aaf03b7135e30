//! Names that variables of cells can have.

use ra_ap_rustc_lexer::{is_id_continue, is_id_start, is_ident};
use ra_ap_syntax::{Edition, SyntaxKind};

/// A text that cannot be the name of a variable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariableNameError {
    /// A keyword of Rust, or `_`.
    #[error("`{0}` cannot be the name of a variable: Rust reserves it")]
    Reserved(String),
    /// No identifier.
    #[error("`{0}` cannot be the name of a variable: it is not a Rust identifier")]
    NotAnIdentifier(String),
}

impl VariableNameError {
    /// Returns the rule, with a similar name.
    pub fn hint(&self) -> String {
        let similar = match self {
            Self::Reserved(name) if name == "_" => "value".to_owned(),
            Self::Reserved(name) => format!("{}_", name.to_lowercase()),
            Self::NotAnIdentifier(text) => similar(text),
        };
        format!(
            "a name consists of letters, digits and `_` and does not begin with a digit, such as `{similar}`"
        )
    }
}

/// Checks that a variable can have this name.
///
/// # Errors
/// Returns an error for keywords and for everything but identifiers.
pub fn check_variable_name(name: &str) -> Result<(), VariableNameError> {
    if !is_ident(name) {
        return Err(VariableNameError::NotAnIdentifier(name.to_owned()));
    }
    if name == "_" || SyntaxKind::from_keyword(name, Edition::Edition2024).is_some() {
        return Err(VariableNameError::Reserved(name.to_owned()));
    }
    Ok(())
}

/// Checks an expression that stands for a value, such as a name. Anything but a reserved word may
/// be one.
///
/// # Errors
/// Returns an error for a keyword that is no value.
pub fn check_value_source(source: &str) -> Result<(), VariableNameError> {
    match check_variable_name(source) {
        Err(error @ VariableNameError::Reserved(_)) if !matches!(source, "true" | "false") => {
            Err(error)
        }
        _ => Ok(()),
    }
}

/// Returns the identifier that resembles a text most.
fn similar(text: &str) -> String {
    let words = text.split(|c: char| !is_id_continue(c));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let name = words.join("_");
    match name.chars().next() {
        None => "value".to_owned(),
        Some(first) if !is_id_start(first) => format!("_{name}"),
        Some(_) if check_variable_name(&name).is_err() => format!("{name}_"),
        Some(_) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_identifiers_that_rust_does_not_reserve() {
        for name in ["x", "größe", "_x", "r2", "union", "raw", "日本"] {
            assert_eq!(check_variable_name(name), Ok(()), "{name}");
        }
        for (name, similar) in [
            ("not ident", "not_ident"),
            ("é x", "é_x"),
            ("a-b.c", "a_b_c"),
            ("2x", "_2x"),
            ("x²", "x"),
            ("r#fn", "r_fn"),
            ("x: u8 = 1; let y", "x_u8_1_let_y"),
            (" fn", "fn_"),
            ("", "value"),
            ("?!", "value"),
        ] {
            let error = check_variable_name(name).unwrap_err();
            assert_eq!(
                error,
                VariableNameError::NotAnIdentifier(name.to_owned()),
                "{name}"
            );
            let hint = error.hint();
            assert!(hint.ends_with(&format!("`{similar}`")), "{name}: {hint}");
        }
        for (name, similar) in [
            ("fn", "fn_"),
            ("gen", "gen_"),
            ("Self", "self_"),
            ("_", "value"),
        ] {
            let error = check_variable_name(name).unwrap_err();
            assert_eq!(error, VariableNameError::Reserved(name.to_owned()));
            let hint = error.hint();
            assert!(hint.ends_with(&format!("`{similar}`")), "{name}: {hint}");
        }
    }

    #[test]
    fn an_expression_is_no_lone_keyword() {
        for source in ["x", "x.len() + 1", "true", "fn_", "[1, 2]"] {
            assert_eq!(check_value_source(source), Ok(()), "{source}");
        }
        for source in ["fn", "match", "_", "self"] {
            assert!(check_value_source(source).is_err(), "{source}");
        }
    }
}
