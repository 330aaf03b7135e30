//! A cell: its source, cut into what is done one after the other.
//!
//! | file | what it knows |
//! |---|---|
//! | `scan.rs` | where Rust ends and magics, commands and shell lines begin |
//! | `split.rs` | the ordered directives of a cell |
//! | `source_map.rs` | how a place in evaluated text maps back to the cell |
//! | `complete.rs` | whether a cell is ready to be run (`is_complete_request`) |
//! | `help.rs` | cells that ask for help |
//! | `items.rs` | what of a cell defines something |
//! | `places.rs` | how `dbg!`, `line!` and their like name the cell |
//! | `unit_tests.rs` | the `#[test]` functions that cells have defined |
//! | `cursor.rs` | the syntax at a position, for completion and inspection |

mod complete;
mod cursor;
mod help;
mod items;
mod places;
mod scan;
mod split;
mod unit_tests;

pub use complete::{Completeness, completeness};
pub use cursor::{AtCursor, at_cursor, byte_offset, char_offset};
pub use help::{HelpTopic, help_topic};
pub use items::{CellItem, items, sets_allocator};
pub use places::located;
pub use split::split;
pub use unit_tests::UnitTests;

use crate::source_map::SourceMap;
use std::ops::Range;

/// One thing a cell asks for; a cell is a list of them, done in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Directive {
    /// The kind.
    pub kind: DirectiveKind,
    /// The range in bytes of the cell.
    pub span: Range<usize>,
}

/// The kinds of [`Directive`].
#[derive(Clone, Debug, PartialEq)]
pub enum DirectiveKind {
    /// Rust to be evaluated locally.
    Rust(RustText),
    /// A line magic, from its `%` to the end of its line.
    Magic(String),
    /// A cell magic: its line from `%%` on, and the body it governs.
    CellMagic {
        /// The first line.
        line: String,
        /// The rest of the cell.
        body: RustText,
    },
    /// A line for evcxr, from its `:` on.
    Command(String),
    /// A line for the shell, without its `!`.
    Shell(String),
}

/// Rust text of a cell as it is given to an evaluator.
#[derive(Clone, Debug, PartialEq)]
pub struct RustText {
    /// The text, magics within it lowered to calls; its lines are those of the cell.
    pub source: String,
    /// The way back to the cell.
    pub map: SourceMap,
}
