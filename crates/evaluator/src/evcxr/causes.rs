//! The conversion of errors by `?`: evcxr's conversion only requires that an error can be
//! formatted, and loses its causes and its location. Most errors implement more.

use super::generated_crate::ENTRY;

/// evcxr's conversion, and its replacement, which has the same number of lines.
const CONVERSION: &str = "> From<T> for EvcxrUserCodeError {";
const BOUND: &str = "impl<T: ";
const WITH_CAUSES: &str =
    "impl<T: Into<Box<dyn std::error::Error>>> From<T> for EvcxrUserCodeError {";
const FROM: &str = "fn from(error: T) -> Self {";
const PRINT: &str = "eprintln!(\"{}\", error);";
const REPORT: &str = "phalanx::__cell::report_causes(&*error.into());";

/// The words in rustc's messages about an error that cannot be converted in this way: the type, or
/// the lifetime that a borrowing error, such as that of a lock, does not have.
const CONVERTED: [&str; 2] = ["EvcxrUserCodeError", "'static"];

/// Returns a crate's source whose `?` operators report the causes and locations of errors; `None`
/// if it has none, or `:efmt` has set another format.
pub(super) fn with_causes(source: &str) -> Option<String> {
    let items = &source[..source.rfind(ENTRY)?];
    let end = items.rfind(CONVERSION)? + CONVERSION.len();
    let start = items[..end].rfind(BOUND)?;
    let body = items[end..].find(PRINT)? + end;
    let from = items[end..body].find(FROM)? + end;
    let mut text = source[..start].to_owned();
    text += WITH_CAUSES;
    text += &source[end..from];
    text += "#[track_caller] ";
    text += &source[from..body];
    text += REPORT;
    text += &source[body + PRINT.len()..];
    Some(text)
}

/// Returns true if rustc's messages are about an error that can only be formatted.
pub(super) fn is_conversion_error(messages: &[u8]) -> bool {
    let messages = String::from_utf8_lossy(messages);
    CONVERTED.iter().any(|name| messages.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATED: &str = "fn f() {}\n            struct EvcxrUserCodeError {}\n            \
        impl<T: std::fmt::Display> From<T> for EvcxrUserCodeError {\n                fn from(error: T) -> Self {\n  \
        eprintln!(\"{}\", error);\n println!(\"x\");\n EvcxrUserCodeError {}\n }\n }\n\
        #[unsafe(no_mangle)]\npub extern \"C\" fn run_user_code_1(\n}\n";

    #[test]
    fn conversion_reports_causes_instead_of_formatting() {
        let text = with_causes(GENERATED).unwrap();
        assert_eq!(text.lines().count(), GENERATED.lines().count());
        assert!(
            text.contains("impl<T: Into<Box<dyn std::error::Error>>> From<T>"),
            "{text}"
        );
        assert!(
            text.contains("#[track_caller] fn from(") && text.contains(REPORT),
            "{text}"
        );
        assert!(!text.contains("Display"), "{text}");
    }

    #[test]
    fn other_conversions_and_cells_without_errors_are_unchanged() {
        assert_eq!(
            with_causes(&GENERATED.replace("\"{}\", error", "\"{:?}\", error")),
            None
        );
        assert_eq!(
            with_causes("fn f() {}\npub extern \"C\" fn run_user_code_1("),
            None
        );
    }
}
