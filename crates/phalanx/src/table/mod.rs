//! Tables: as HTML where a frontend can, as text where not.
//!
//! Arrays of `ndarray` and data frames of `polars` are shown as tables by themselves when they are
//! the value of a cell: see `debug.rs`.

pub(crate) mod debug;

use crate::__cell;
use crate::display::{DisplayHandle, MimeBundle, display};
use crate::error::Error;
use crate::widgets::fallback::escaped;
use std::fmt::Display;

/// Rows of text under a header: HTML where a frontend can show it, else aligned text.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let mut squares = Table::new(["x", "x²"]);
/// for x in 1..=3 {
///     squares = squares.row([x, x * x]);
/// }
/// phalanx::table(&squares)?;
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Said above the table, such as its shape.
    pub caption: String,
    /// The names of the columns; empty where they have none.
    pub header: Vec<String>,
    /// The cells, row by row.
    pub rows: Vec<Vec<String>>,
}

/// A type that can be shown as a table.
///
/// ```no_run
/// use phalanx::{Table, ToTable};
/// struct Person { name: &'static str, age: u32 }
/// impl ToTable for Person {
///     fn to_table(&self) -> Table {
///         Table::new(["name", "age"]).row([&self.name as &dyn std::fmt::Display, &self.age])
///     }
/// }
/// phalanx::table(&Person { name: "Ada", age: 36 })?;
/// # Ok::<(), phalanx::Error>(())
/// ```
pub trait ToTable {
    /// The table.
    fn to_table(&self) -> Table;
}

impl ToTable for Table {
    fn to_table(&self) -> Table {
        self.clone()
    }
}

impl<C: Display, const N: usize> ToTable for [[C; N]] {
    fn to_table(&self) -> Table {
        self.iter().fold(Table::default(), Table::row)
    }
}

impl<C: Display> ToTable for [Vec<C>] {
    fn to_table(&self) -> Table {
        self.iter().fold(Table::default(), Table::row)
    }
}

impl<R> ToTable for Vec<R>
where
    [R]: ToTable,
{
    fn to_table(&self) -> Table {
        self.as_slice().to_table()
    }
}

/// Shows something as a table.
///
/// ```no_run
/// phalanx::table(&vec![vec![1, 2], vec![3, 4]])?;
/// # Ok::<(), phalanx::Error>(())
/// ```
///
/// # Errors
/// `InternalError` if the kernel does not answer.
pub fn table(value: &(impl ToTable + ?Sized)) -> Result<DisplayHandle, Error> {
    display(value.to_table().bundle())
}

impl Table {
    /// A table without rows.
    pub fn new<S: Display>(header: impl IntoIterator<Item = S>) -> Self {
        Self {
            header: header.into_iter().map(|name| name.to_string()).collect(),
            ..Self::default()
        }
    }

    /// Adds a row.
    #[must_use]
    pub fn row<C: Display>(mut self, cells: impl IntoIterator<Item = C>) -> Self {
        let cells = cells.into_iter().map(|cell| cell.to_string());
        self.rows.push(cells.collect());
        self
    }

    /// Both representations.
    pub fn bundle(&self) -> MimeBundle {
        MimeBundle::plain(self.to_plain()).with("text/html", self.to_html())
    }

    pub(crate) fn to_html(&self) -> String {
        let row = |cells: &[String], tag: &str| {
            let cells = cells.iter().map(|cell| {
                let text = escaped(cell);
                format!("<{tag}>{text}</{tag}>")
            });
            format!("<tr>{}</tr>", cells.collect::<String>())
        };
        let mut html = String::from("<table>");
        if !self.caption.is_empty() {
            html += &format!("<caption>{}</caption>", escaped(&self.caption));
        }
        if !self.header.is_empty() {
            html += &format!("<thead>{}</thead>", row(&self.header, "th"));
        }
        let rows = self.rows.iter().map(|cells| row(cells, "td"));
        html += &format!("<tbody>{}</tbody></table>", rows.collect::<String>());
        html
    }

    fn to_plain(&self) -> String {
        let lines = || std::iter::once(&self.header).chain(&self.rows);
        let columns = lines().map(Vec::len).max().unwrap_or_default();
        let width = |column| {
            let cells = lines().filter_map(|cells| cells.get(column));
            cells
                .map(|cell: &String| cell.chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text: Vec<String> = Vec::new();
        if !self.caption.is_empty() {
            text.push(self.caption.clone());
        }
        for cells in lines().filter(|cells| !cells.is_empty()) {
            let cells = cells.iter().zip(&widths);
            let padded: Vec<String> = cells
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            text.push(padded.join("  ").trim_end().to_owned());
        }
        text.join("\n")
    }

    #[doc(hidden)]
    pub fn evcxr_display(&self) {
        __cell::content("text/plain", format_args!("{}", self.to_plain()));
        __cell::content("text/html", format_args!("{}", self.to_html()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_text_and_as_html() {
        let table = Table::new(["name", "n"]).row(["a<b", "1"]).row(["c", "10"]);
        assert_eq!(table.to_plain(), "name  n\na<b   1\nc     10");
        let html = "<table><thead><tr><th>name</th><th>n</th></tr></thead><tbody>\
                    <tr><td>a&lt;b</td><td>1</td></tr><tr><td>c</td><td>10</td></tr></tbody></table>";
        assert_eq!(table.to_html(), html);
        assert_eq!(vec![[1, 2], [3, 4]].to_table().to_plain(), "1  2\n3  4");
    }
}
