//! A cell: its source, and the ordered list of directives it is split into.
//!
//! | file | contents |
//! |---|---|
//! | `scan.rs` | the positions of magics, commands and shell lines between Rust text |
//! | `split.rs` | the ordered directives of a cell |
//! | `complete.rs` | completeness of cells (`is_complete_request`) |
//! | `help.rs` | requests for help |
//! | `items.rs` | the definitions in a cell |
//! | `locations.rs` | the cell's name and line in `dbg!`, `line!` and similar macros |
//! | `unit_tests.rs` | the `#[test]` functions that cells have defined |
//! | `variable_name.rs` | the names that variables can have |
//! | `function.rs` | the function that parsers require around statements |
//! | `cursor.rs` | the syntax at a position, for completion and inspection |

mod complete;
mod cursor;
mod function;
mod help;
mod items;
mod locations;
mod scan;
mod split;
mod unit_tests;
mod variable_name;

pub use complete::{Completeness, completeness};
pub use cursor::{AtCursor, at_cursor, byte_offset, char_offset};
pub use function::{FUNCTION_HEAD, parse_in_function};
pub use help::{HelpTopic, help_topic};
pub use items::{CellItem, CellStatement, items, sets_allocator, statements};
pub use locations::located;
pub use split::split;
pub use unit_tests::UnitTests;
pub use variable_name::{VariableNameError, check_value_source, check_variable_name};

use crate::source_map::SourceMap;
use std::ops::Range;

/// A part of a cell; the directives of a cell are carried out in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Directive {
    /// The kind.
    pub kind: DirectiveKind,
    /// Its range in bytes of the cell.
    pub span: Range<usize>,
}

/// The kind of a [`Directive`].
#[derive(Clone, Debug, PartialEq)]
pub enum DirectiveKind {
    /// Rust to evaluate in the notebook's own namespace.
    Rust(RustText),
    /// A line magic, from its `%` to the end of the line.
    Magic(String),
    /// A cell magic, which applies to the rest of the cell.
    CellMagic {
        /// Its line, from the `%%` on.
        line: String,
        /// The rest of the cell.
        body: RustText,
    },
    /// A `:` command, the kernel's own or one for evcxr, from its `:` on.
    Command(String),
    /// A shell line, without its `!`.
    Shell(String),
}

/// Rust text of a cell, as passed to an evaluator.
#[derive(Clone, Debug, PartialEq)]
pub struct RustText {
    /// The text, in which calls of the library stand for magics; its lines are those of the cell.
    pub source: String,
    /// The map from the text to the cell.
    pub map: SourceMap,
}
