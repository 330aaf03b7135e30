//! Tables: HTML for frontends that support it and text for others, with CSV and JSON as further
//! representations.
//!
//! | file | contents |
//! |---|---|
//! | `rows.rs`, `cell.rs`, `reader.rs` | rows and cells of any value that serde can serialize |
//! | `formats.rs` | CSV, and JSON with its schema |
//! | `debug.rs` | tables in the debug texts of `ndarray`, `nalgebra` and `polars` |

mod cell;
pub(crate) mod debug;
mod formats;
mod reader;
mod rows;

use crate::display::{DisplayHandle, MimeBundle, display, print_content};
use crate::error::{Error, LibraryError};
use phalanx_protocol::look::table::Grid;
use serde::Serialize;
use std::fmt::Display;

/// Rows of text under a header: HTML for frontends that support it, otherwise aligned text.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let mut squares = Table::new(["x", "x²"]);
/// for x in 1..=3 {
///     squares = squares.row([x, x * x]);
/// }
/// squares.display()?;
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The text above the table, such as its shape.
    pub caption: String,
    /// The names of the columns; empty for columns without names.
    pub header: Vec<String>,
    /// The cells, row by row: all rows, or the first and the last ones.
    pub rows: Vec<Vec<String>>,
    /// The total number of rows.
    pub total: usize,
}

/// Shows a list of rows as a table: structs, maps, tuples, lists or numbers, in their order.
///
/// ```no_run
/// use phalanx::prelude::*;
/// #[derive(Serialize)]
/// struct City { name: &'static str, people: u32 }
/// let mut cities = vec![
///     City { name: "Basel", people: 177_595 },
///     City { name: "Zürich", people: 443_037 },
/// ];
/// cities.sort_by_key(|city| std::cmp::Reverse(city.people));
/// phalanx::table(&cities)?;
/// # Ok::<(), phalanx::Error>(())
/// ```
///
/// Of more than 60 rows, the first and the last five are shown, and only these are read; of more than
/// 20 columns, the first and the last ten are shown. A table that is shown completely also has the
/// representation `text/csv` and, if its rows are structs or maps,
/// `application/vnd.dataresource+json`.
///
/// # Errors
/// `UsageError` if the value has no rows, `InternalError` if the kernel does not reply.
pub fn table(rows: &(impl Serialize + ?Sized)) -> Result<DisplayHandle, Error> {
    let table = Table::of(rows)?;
    let bundle = table.bundle();
    match formats::data_resource(&table, rows) {
        Some(json) => display(bundle.with("application/vnd.dataresource+json", json)),
        None => display(bundle),
    }
}

impl Table {
    /// Creates a table without rows.
    pub fn new<S: Display>(header: impl IntoIterator<Item = S>) -> Self {
        Self {
            header: header.into_iter().map(|name| name.to_string()).collect(),
            ..Self::default()
        }
    }

    /// Creates a table from a list of rows; of more than 60, it holds the first and the last ones.
    ///
    /// ```no_run
    /// use phalanx::prelude::*;
    /// let mut table = Table::of(&[("a", 1), ("b", 2)])?;
    /// table.caption = "letters".to_owned();
    /// table.display()?;
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    ///
    /// # Errors
    /// `UsageError` if the value has no rows.
    pub fn of(rows: &(impl Serialize + ?Sized)) -> Result<Self, Error> {
        rows::table(rows).ok_or_else(|| LibraryError::NoRows.into())
    }

    /// Adds a row at the end.
    #[must_use]
    pub fn row<C: Display>(mut self, cells: impl IntoIterator<Item = C>) -> Self {
        let cells = cells.into_iter().map(|cell| cell.to_string());
        self.rows.push(cells.collect());
        self.total = self.total.max(self.rows.len());
        self
    }

    /// Shows the table under the cell.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not reply.
    pub fn display(&self) -> Result<DisplayHandle, Error> {
        display(self.bundle())
    }

    /// Returns the representations of the table: plain text, HTML and, unless rows are omitted,
    /// CSV.
    pub fn bundle(&self) -> MimeBundle {
        let bundle = self.grid().bundle();
        match self.is_whole() {
            true => bundle.with("text/csv", self.to_csv()),
            false => bundle,
        }
    }

    /// Formats header and rows as CSV (RFC 4180).
    pub fn to_csv(&self) -> String {
        formats::csv(&self.header, &self.rows)
    }

    fn grid(&self) -> Grid<'_> {
        Grid {
            total: self.total.max(self.rows.len()),
            ..Grid::new(&self.caption, &self.header, &self.rows)
        }
    }

    fn is_whole(&self) -> bool {
        self.grid().is_whole()
    }

    pub(crate) fn to_html(&self) -> String {
        self.grid().to_html()
    }

    fn to_plain(&self) -> String {
        self.grid().to_text()
    }

    #[doc(hidden)]
    pub fn evcxr_display(&self) {
        print_content("text/plain", format_args!("{}", self.to_plain()));
        print_content("text/html", format_args!("{}", self.to_html()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_added_and_shown() {
        let table = Table::new(["name", "n"]).row(["a<b", "1"]).row(["c", "10"]);
        assert_eq!(table.to_plain(), "name   n\na<b    1\nc     10");
        assert!(table.to_html().contains("a&lt;b"));
        let bundle = table.bundle();
        assert_eq!(bundle.0["text/csv"], "name,n\r\na<b,1\r\nc,10\r\n");
        let many = (0..100).fold(Table::default(), |table, n| table.row([n]));
        assert!(!many.bundle().0.contains_key("text/csv"));
        assert!(many.to_plain().ends_with("[100 rows × 1 columns]"));
    }
}
