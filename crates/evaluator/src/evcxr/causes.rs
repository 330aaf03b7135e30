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
    let mut told = source[..start].to_owned();
    told += WITH_CAUSES;
    told += &source[end..from];
    told += "#[track_caller] ";
    told += &source[from..body];
    told += REPORT;
    told += &source[body + PRINT.len()..];
    Some(told)
}

/// Returns true if rustc's messages are about an error that can only be formatted.
pub(super) fn are_at_fault(messages: &[u8]) -> bool {
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
    fn an_error_is_told_with_its_causes_where_it_was_formatted() {
        let told = with_causes(GENERATED).unwrap();
        assert_eq!(told.lines().count(), GENERATED.lines().count());
        assert!(
            told.contains("impl<T: Into<Box<dyn std::error::Error>>> From<T>"),
            "{told}"
        );
        assert!(
            told.contains("#[track_caller] fn from(") && told.contains(REPORT),
            "{told}"
        );
        assert!(!told.contains("Display"), "{told}");
    }

    #[test]
    fn another_form_and_cells_without_errors_stay() {
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
