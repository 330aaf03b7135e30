//! Tables in the `{:?}` output of common arrays and data frames.
//!
//! This library does not depend on `ndarray`, `nalgebra` or `polars`, which would have to be built
//! for every notebook. Their debug texts are tables already; the name of the type determines the
//! format.

use super::Table;

/// Parses the table in a value's text, if the value is of a supported type.
pub(crate) fn table(type_name: &str, text: &str) -> Option<Table> {
    match kind(type_name)? {
        DebugKind::Array => array(text),
        DebugKind::Matrix => matrix(text),
        DebugKind::Frame => frame(text),
    }
}

/// Returns true if a value of this type may have a table.
pub(crate) fn may_be_table(type_name: &str) -> bool {
    kind(type_name).is_some()
}

enum DebugKind {
    Array,
    Matrix,
    Frame,
}

fn kind(type_name: &str) -> Option<DebugKind> {
    let type_name = type_name.trim_start_matches('&').trim_start_matches("mut ");
    if type_name.starts_with("ndarray::ArrayBase<") {
        Some(DebugKind::Array)
    } else if type_name.starts_with("nalgebra::base::matrix::Matrix<") {
        Some(DebugKind::Matrix)
    } else if type_name.starts_with("polars") {
        Some(DebugKind::Frame)
    } else {
        None
    }
}

/// `[[1, 2],\n [3, 4]], shape=[2, 2], strides=[2, 1], layout=Cc (0x5), const ndim=2`.
fn array(text: &str) -> Option<Table> {
    let (values, about) = text.split_once(", shape=")?;
    let shape = about.split_inclusive(']').next()?;
    let rows: Vec<Vec<String>> = match items(values)? {
        DebugItems::Rows(rows) => rows
            .into_iter()
            .map(|row| match row {
                // The mark of omitted rows.
                "..." => Some(vec!["…".to_owned()]),
                row => match items(row)? {
                    DebugItems::Cells(cells) => Some(cells),
                    DebugItems::Rows(_) => None,
                },
            })
            .collect::<Option<_>>()?,
        DebugItems::Cells(cells) => vec![cells],
    };
    Some(Table {
        caption: format!("shape {shape}"),
        header: Vec::new(),
        total: rows.len(),
        rows,
    })
}

/// `[[1, 3], [2, 4]]`, or `VecStorage { data: [1, 3, 2, 4], nrows: Dyn(2), ncols: Dyn(2) }`: in
/// column-major order.
fn matrix(text: &str) -> Option<Table> {
    let columns: Vec<Vec<String>> = match text.strip_prefix("VecStorage { data: ") {
        None => {
            let DebugItems::Rows(columns) = items(text)? else {
                return None;
            };
            let cells = |column| match items(column)? {
                DebugItems::Cells(cells) => Some(cells),
                DebugItems::Rows(_) => None,
            };
            columns.into_iter().map(cells).collect::<Option<_>>()?
        }
        Some(rest) => {
            let (data, about) = rest.split_once(", nrows: ")?;
            let rows = about.split(", ncols: ").next()?;
            let digits: String = rows.chars().filter(char::is_ascii_digit).collect();
            let rows: usize = digits.parse().ok().filter(|rows| *rows > 0)?;
            let DebugItems::Cells(cells) = items(data)? else {
                return None;
            };
            cells.chunks(rows).map(<[String]>::to_vec).collect()
        }
    };
    let height = columns.first()?.len();
    let cell = |column: &Vec<String>, row: usize| column.get(row).cloned().unwrap_or_default();
    let row = |row| columns.iter().map(|column| cell(column, row)).collect();
    let rows: Vec<Vec<String>> = (0..height).map(row).collect();
    Some(Table {
        caption: format!("{height} × {}", columns.len()),
        header: Vec::new(),
        total: rows.len(),
        rows,
    })
}

enum DebugItems<'a> {
    Rows(Vec<&'a str>),
    Cells(Vec<String>),
}

/// Splits the items between two brackets; `None` if they are nested or otherwise not simple values.
fn items(list: &str) -> Option<DebugItems<'_>> {
    let body = list.trim().strip_prefix('[')?.strip_suffix(']')?;
    if body.contains(['"', '\'', '{']) {
        return None;
    }
    let mut items = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, c) in body.char_indices() {
        match c {
            '[' | '(' => depth += 1,
            ']' | ')' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => {
                items.push(body[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(body[start..].trim());
    items.retain(|item| !item.is_empty());
    if body.contains('[') {
        return Some(DebugItems::Rows(items));
    }
    let cell = |item: &str| match item {
        "..." => "…".to_owned(),
        item => item.to_owned(),
    };
    Some(DebugItems::Cells(items.into_iter().map(cell).collect()))
}

/// Returns a table drawn with box-drawing characters, with a double line below the header.
fn frame(text: &str) -> Option<Table> {
    let (caption, body) = text.split_once('┌')?;
    let mut header: Vec<String> = Vec::new();
    let mut rows = Vec::new();
    let mut in_header = true;
    for line in body.lines().skip(1) {
        if line.starts_with('╞') {
            in_header = false;
        }
        let Some(line) = line
            .strip_prefix('│')
            .and_then(|line| line.strip_suffix('│'))
        else {
            continue;
        };
        let cells = line.split(['│', '┆']).map(|cell| cell.trim().to_owned());
        if !in_header {
            rows.push(cells.collect());
            continue;
        }
        for (at, cell) in cells.enumerate() {
            match header.get_mut(at) {
                None => header.push(cell),
                // Name and type are on separate lines of the header.
                Some(_) if cell == "---" || cell.is_empty() => {}
                Some(name) => *name = format!("{name} ({cell})"),
            }
        }
    }
    Some(Table {
        caption: caption.trim().to_owned(),
        header,
        total: rows.len(),
        rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_of_one_and_two_dimensions_are_parsed() {
        let name = "ndarray::ArrayBase<ndarray::OwnedRepr<f64>, ndarray::Dim<[usize; 2]>>";
        assert!(may_be_table(name));
        let two = "[[1.0, 2.5],\n [3.0, -4.0]], shape=[2, 2], strides=[2, 1], layout=Cc (0x5)";
        let table = |text| super::table(name, text);
        assert_eq!(
            table(two).unwrap().to_plain(),
            "shape [2, 2]\n1.0   2.5\n3.0  -4.0"
        );
        let one = "[1, 2, ..., 9], shape=[600], strides=[1], layout=CFcf (0xf), const ndim=1";
        assert_eq!(table(one).unwrap().rows, [["1", "2", "…", "9"]]);
        let three = "[[[1]]], shape=[1, 1, 1], strides=[1, 1, 1]";
        assert_eq!(table(three), None);
        let texts = "[\"a, b\"], shape=[1], strides=[1]";
        assert_eq!(table(texts), None);
    }

    #[test]
    fn matrices_are_parsed_by_column() {
        let name = "nalgebra::base::matrix::Matrix<f64, nalgebra::base::dimension::Dyn, …>";
        let table = |text| super::table(name, text).map(|table| table.to_plain());
        let shown = "2 × 3\n1.0  3.0  5.0\n2.0  4.0  6.5";
        let fixed = "[[1.0, 2.0], [3.0, 4.0], [5.0, 6.5]]";
        assert_eq!(table(fixed).as_deref(), Some(shown));
        let dynamic =
            "VecStorage { data: [1.0, 2.0, 3.0, 4.0, 5.0, 6.5], nrows: Dyn(2), ncols: Dyn(3) }";
        assert_eq!(table(dynamic).as_deref(), Some(shown));
        let vector = "VecStorage { data: [1.0, 2.0], nrows: Dyn(2), ncols: Const }";
        assert_eq!(table(vector).as_deref(), Some("2 × 1\n1.0\n2.0"));
        assert_eq!(table("SliceStorage { .. }"), None);
        assert_eq!(
            table("VecStorage { data: [], nrows: Dyn(0), ncols: Dyn(0) }"),
            None
        );
    }

    #[test]
    fn data_frames_are_parsed() {
        let text = "shape: (2, 2)\n\
                    ┌─────┬─────┐\n\
                    │ a   ┆ b   │\n\
                    │ --- ┆ --- │\n\
                    │ i64 ┆ str │\n\
                    ╞═════╪═════╡\n\
                    │ 1   ┆ x   │\n\
                    │ 2   ┆     │\n\
                    └─────┴─────┘";
        let table = table("polars_core::frame::DataFrame", text).unwrap();
        assert_eq!(table.caption, "shape: (2, 2)");
        assert_eq!(table.header, ["a (i64)", "b (str)"]);
        assert_eq!(table.rows, [["1", "x"], ["2", ""]]);
    }
}
