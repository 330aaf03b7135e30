//! Tables, as text and as HTML.

use super::{INDENT, escape};
use crate::output::MimeBundle;
use std::fmt::Write as _;

/// The maximum number of rows shown; of more, the first and the last [`EDGE_ROWS`] are.
pub const MAX_ROWS: usize = 60;

/// The number of rows shown at each end of a table with more than [`MAX_ROWS`].
pub const EDGE_ROWS: usize = 5;

/// The maximum number of columns shown; of more, the first and the last half of these are.
const MAX_COLUMNS: usize = 20;

/// The maximum number of characters shown of a cell.
const MAX_CELL: usize = 200;

/// A script that sorts the preceding table (ascending, descending, original order) on a click on a
/// heading, or Enter. Numbers and sizes precede text, and empty cells come last. Where scripts do not
/// run, as in a notebook that is not trusted, the table cannot be sorted. The units are [`UNITS`].
const SORTING: &str = r"<script>(() => {
const table = document.currentScript?.previousElementSibling;
if (!table?.tHead) return;
const body = table.tBodies[0], rows = [...body.rows];
const units = {B: 1, kB: 1e3, MB: 1e6, GB: 1e9};
let by, way = 0;
const key = (row, at) => {
  const text = row.cells[at].textContent.replaceAll('_', '').trim();
  const [number, unit = 'B', ...more] = text.split(' ');
  const value = more.length ? NaN : number * units[unit];
  return text === '' ? [2, 0] : isNaN(value) ? [1, text] : [0, value];
};
const compare = (a, b) => a[0] - b[0] || way * (a[0] ? String(a[1]).localeCompare(b[1]) : a[1] - b[1]);
[...table.tHead.rows[0].cells].forEach((head, at) => {
  const mark = head.appendChild(document.createElement('span'));
  head.style.cursor = 'pointer'; head.tabIndex = 0; head.title = 'sort';
  const sort = () => {
    way = by !== head ? 1 : way === 1 ? -1 : way ? 0 : 1;
    by = head;
    const keys = new Map(rows.map(row => [row, key(row, at)]));
    const sorted = way ? [...rows].sort((a, b) => compare(keys.get(a), keys.get(b))) : rows;
    body.append(...sorted);
    table.tHead.querySelectorAll('span').forEach(other => other.textContent = '');
    mark.textContent = ['', ' ▲', ' ▼'].at(way);
  };
  head.onclick = sort;
  head.onkeydown = event => { if (event.key === 'Enter') sort(); };
});
})()</script>";

/// The mark of omitted text.
const LEFT_OUT: &str = "…";

/// The units of sizes, which are numbers with a space and a unit.
const UNITS: [&str; 4] = ["B", "kB", "MB", "GB"];

/// The texts of missing values: of serde, of Rust's `Option`, of data frames and databases.
const MISSING: [&str; 6] = ["", "None", "null", "NULL", "NA", LEFT_OUT];

/// Rows of cells under a header, of which a readable amount is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid<'a> {
    /// The text above the table; may be empty.
    pub caption: &'a str,
    /// The names of the columns; empty for columns without names.
    pub header: &'a [String],
    /// The rows.
    pub rows: &'a [Vec<String>],
    /// The total number of rows, if `rows` contains only the first and the last ones.
    pub total: usize,
    /// The maximum number of rows shown.
    pub max_rows: usize,
}

/// Renders a complete list under a title.
pub fn table(title: &str, headings: &[&str], rows: &[Vec<String>]) -> MimeBundle {
    let headings: Vec<String> = match rows {
        [] => Vec::new(),
        _ => headings.iter().map(ToString::to_string).collect(),
    };
    let grid = Grid {
        max_rows: usize::MAX,
        ..Grid::new(title, &headings, rows)
    };
    grid.bundle()
}

impl<'a> Grid<'a> {
    /// Creates a table of these rows.
    pub fn new(caption: &'a str, header: &'a [String], rows: &'a [Vec<String>]) -> Self {
        Self {
            caption,
            header,
            rows,
            total: rows.len(),
            max_rows: MAX_ROWS,
        }
    }

    /// Renders both representations.
    pub fn bundle(&self) -> MimeBundle {
        let shown = self.shown();
        MimeBundle::plain(shown.to_text()).with("text/html", shown.to_html())
    }

    /// Renders the table as text.
    pub fn to_text(&self) -> String {
        self.shown().to_text()
    }

    /// Renders the table as HTML.
    pub fn to_html(&self) -> String {
        self.shown().to_html()
    }

    /// Returns true if every row and column is shown.
    pub fn is_whole(&self) -> bool {
        let width = self.width();
        self.total == self.rows.len() && self.total <= self.max_rows && width <= MAX_COLUMNS
    }

    fn width(&self) -> usize {
        let ends = self.rows.iter().take(self.max_rows);
        let widest = ends.map(Vec::len).max().unwrap_or_default();
        widest.max(self.header.len())
    }

    fn shown(&self) -> ShownGrid<'a> {
        let count = self.rows.len();
        let (first, last) = if self.total > count || count > self.max_rows {
            (EDGE_ROWS.min(count / 2), EDGE_ROWS.min(count / 2))
        } else {
            (count, 0)
        };
        let width = self.width();
        let half = MAX_COLUMNS / 2;
        let columns: Vec<Column> = match width {
            ..=MAX_COLUMNS => (0..width).map(Column::At).collect(),
            _ => {
                let first = (0..half).map(Column::At);
                let last = (width - half..width).map(Column::At);
                first.chain([Column::LeftOut]).chain(last).collect()
            }
        };
        let cells = |cells: &[String]| -> Vec<String> {
            let cell = |column: &Column| match column {
                Column::At(at) => cells.get(*at).map_or_else(String::new, |cell| cut(cell)),
                Column::LeftOut => LEFT_OUT.to_owned(),
            };
            columns.iter().map(cell).collect()
        };
        let header = match self.header {
            [] => Vec::new(),
            header => cells(header),
        };
        let mut rows: Vec<Vec<String>> = self.rows[..first].iter().map(|row| cells(row)).collect();
        let is_cut = first + last < self.total;
        let sorts = !is_cut && rows.len() > 1 && !header.is_empty();
        if is_cut {
            rows.push(vec![LEFT_OUT.to_owned(); columns.len()]);
        }
        rows.extend(self.rows[count - last..].iter().map(|row| cells(row)));
        let right = (0..columns.len()).map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            are_numbers(cells.map(String::as_str))
        });
        let right = right.collect();
        let footer = if is_cut || columns.len() > MAX_COLUMNS {
            format!("{} rows × {width} columns", grouped(self.total))
        } else {
            String::new()
        };
        ShownGrid {
            caption: self.caption,
            header,
            rows,
            right,
            footer,
            sorts,
        }
    }
}

enum Column {
    At(usize),
    LeftOut,
}

/// A table reduced to the rows, columns and characters that are shown.
struct ShownGrid<'a> {
    caption: &'a str,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    /// The right-aligned columns, which contain numbers.
    right: Vec<bool>,
    footer: String,
    /// True if a click on a heading sorts, which requires that all rows are shown.
    sorts: bool,
}

impl ShownGrid<'_> {
    fn to_text(&self) -> String {
        let lines = || std::iter::once(&self.header).chain(&self.rows);
        let width = |column: usize| {
            let cells = lines().filter_map(|cells| cells.get(column));
            let widths = cells.map(|cell| cell.chars().count());
            widths.max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.right.len()).map(width).collect();
        let mut text: Vec<String> = Vec::new();
        if !self.caption.is_empty() {
            text.push(self.caption.to_owned());
        }
        for cells in lines().filter(|cells| !cells.is_empty()) {
            let cells = cells.iter().zip(&widths).zip(&self.right);
            let padded = cells.map(|((cell, width), right)| {
                let cell = cell.replace('\n', " ");
                match right {
                    true => format!("{cell:>width$}"),
                    false => format!("{cell:width$}"),
                }
            });
            let padded: Vec<String> = padded.collect();
            text.push(padded.join("  ").trim_end().to_owned());
        }
        if !self.footer.is_empty() {
            text.push(format!("[{}]", self.footer));
        }
        text.join("\n")
    }

    fn to_html(&self) -> String {
        let row = |cells: &[String], tag: &str| {
            let mut html = String::from("<tr>");
            for (cell, right) in cells.iter().zip(&self.right) {
                let side = if *right { "right" } else { "left" };
                let _ = write!(
                    html,
                    "<{tag} style=\"text-align:{side}\">{}</{tag}>",
                    escape(cell)
                );
            }
            html + "</tr>"
        };
        let mut html = format!("<div style=\"{INDENT};overflow-x:auto\">");
        if !self.caption.is_empty() {
            let _ = write!(
                html,
                "<div style=\"margin:.3em 0\">{}</div>",
                escape(self.caption)
            );
        }
        if self.rows.is_empty() && self.header.is_empty() {
            return html + "</div>";
        }
        html.push_str("<table style=\"margin-left:0\">");
        if !self.header.is_empty() {
            let _ = write!(html, "<thead>{}</thead>", row(&self.header, "th"));
        }
        html.push_str("<tbody>");
        for cells in &self.rows {
            html.push_str(&row(cells, "td"));
        }
        html.push_str("</tbody></table>");
        if self.sorts {
            html.push_str(SORTING);
        }
        if !self.footer.is_empty() {
            let _ = write!(html, "<div>{}</div>", escape(&self.footer));
        }
        html + "</div>"
    }
}

/// Returns true for a column of numbers or sizes, of which some may be missing.
fn are_numbers<'a>(cells: impl Iterator<Item = &'a str>) -> bool {
    let mut present = cells.filter(|cell| !MISSING.contains(cell)).peekable();
    let is_number = |cell: &str| {
        let number = match cell.rsplit_once(' ') {
            Some((number, unit)) if UNITS.contains(&unit) => number,
            _ => cell,
        };
        number.replace('_', "").parse::<f64>().is_ok()
    };
    present.peek().is_some() && present.all(is_number)
}

fn cut(cell: &str) -> String {
    match cell.char_indices().nth(MAX_CELL) {
        Some((end, _)) => format!("{}{LEFT_OUT}", &cell[..end]),
        None => cell.to_owned(),
    }
}

/// Formats a number with commas between thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        let row = |row: &&[&str]| row.iter().map(ToString::to_string).collect();
        rows.iter().map(row).collect()
    }

    #[test]
    fn numbers_stand_at_the_right_and_html_is_escaped() {
        let header = ["name".to_owned(), "n".to_owned()];
        let rows = rows(&[&["a<b", "1"], &["c", "10"]]);
        let bundle = Grid::new("Engines", &header, &rows).bundle();
        assert_eq!(bundle.text(), Some("Engines\nname   n\na<b    1\nc     10"));
        let html = bundle.0["text/html"].as_str().unwrap();
        for part in [
            "<td style=\"text-align:left\">a&lt;b</td>",
            "<td style=\"text-align:right\">10</td>",
            "Engines</div>",
            "</table><script>",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn sizes_and_numbers_of_a_complete_list_stand_at_the_right() {
        let rows = rows(&[
            &["9", "alive", "80 MB", "0.1.0", "8 MB free"],
            &["10", "alive", "1.2 GB", "0.1.0", ""],
        ]);
        let headings = ["engine", "state", "memory", "version", "disk"];
        let bundle = table("2 engines", &headings, &rows);
        assert_eq!(
            bundle.text(),
            Some(
                "2 engines\n\
                 engine  state  memory  version  disk\n     \
                 9  alive   80 MB  0.1.0    8 MB free\n    \
                 10  alive  1.2 GB  0.1.0"
            )
        );
        let html = bundle.0["text/html"].as_str().unwrap();
        for part in [
            "<th style=\"text-align:right\">engine</th>",
            "<td style=\"text-align:right\">1.2 GB</td>",
            "<td style=\"text-align:left\">0.1.0</td>",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        for unit in UNITS {
            assert!(SORTING.contains(&format!("{unit}: 1")), "{unit}");
        }
    }

    #[test]
    fn a_missing_number_leaves_its_column_at_the_right() {
        let header = ["a", "b", "c", "d"].map(str::to_owned);
        let rows = rows(&[
            &["1", "null", "null", "x"],
            &["None", "2.5", "None", "null"],
            &["", "NaN", "", "1"],
        ]);
        let grid = Grid::new("", &header, &rows);
        assert_eq!(grid.shown().right, [true, true, false, false]);
        assert_eq!(
            grid.to_text(),
            "   a     b  c     d\n   1  null  null  x\nNone   2.5  None  null\n       NaN        1"
        );
    }

    #[test]
    fn of_many_rows_and_columns_the_ends_and_the_number_are_shown() {
        let many: Vec<Vec<String>> = (0..1000).map(|n| vec![n.to_string()]).collect();
        let grid = Grid::new("", &[], &many);
        assert!(!grid.is_whole());
        let text = grid.to_text();
        assert_eq!(
            text,
            "  0\n  1\n  2\n  3\n  4\n  …\n995\n996\n997\n998\n999\n[1,000 rows × 1 columns]"
        );
        let wide = vec![(0..30).map(|n| n.to_string()).collect::<Vec<_>>()];
        let text = Grid::new("", &[], &wide).to_text();
        assert!(
            text.contains("9  …  20") && text.ends_with("[1 rows × 30 columns]"),
            "{text}"
        );
    }

    #[test]
    fn the_ends_of_a_longer_table_are_shown_as_such() {
        let ends: Vec<Vec<String>> = (0..10).map(|n| vec![n.to_string()]).collect();
        let grid = Grid {
            total: 1_000_000,
            ..Grid::new("", &[], &ends)
        };
        let text = grid.to_text();
        assert!(text.contains("4\n…\n5\n"), "{text}");
        assert!(text.ends_with("[1,000,000 rows × 1 columns]"), "{text}");
        let html = grid.to_html();
        assert!(html.contains("1,000,000 rows × 1 columns"), "{html}");
        // Sorting only the shown rows would be misleading.
        assert!(!html.contains("<script>"), "{html}");
    }
}
