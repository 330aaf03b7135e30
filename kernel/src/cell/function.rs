//! The function that parsers and rustfmt require around statements.

use ra_ap_syntax::{Edition, Parse, SourceFile};

/// The text before the statements: a line of its own, so that it does not shift columns.
pub const FUNCTION_HEAD: &str = "fn cell() {\n";

/// Parses the statements of a cell as the body of a function. Positions in the syntax tree are shifted
/// by the length of [`FUNCTION_HEAD`].
pub fn parse_in_function(source: &str) -> Parse<SourceFile> {
    SourceFile::parse(
        &format!("{FUNCTION_HEAD}{source}\n}}"),
        Edition::Edition2024,
    )
}
