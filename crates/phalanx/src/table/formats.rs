//! Machine-readable tables: CSV, and JSON with its schema.

use super::Table;
use serde::Serialize;
use serde_json::{Value, json};

/// Formats rows and header as CSV (RFC 4180).
pub(super) fn csv(header: &[String], rows: &[Vec<String>]) -> String {
    let header = std::iter::once(header).filter(|header| !header.is_empty());
    let mut text = String::new();
    for cells in header.chain(rows.iter().map(Vec::as_slice)) {
        let cells: Vec<String> = cells.iter().map(|cell| field(cell)).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

fn field(text: &str) -> String {
    match text.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

/// Builds a tabular data resource, as pandas does; `None` unless the rows are records and all of
/// them are shown.
pub(super) fn data_resource(table: &Table, rows: &(impl Serialize + ?Sized)) -> Option<Value> {
    if table.header.is_empty() || !table.is_whole() {
        return None;
    }
    let data = serde_json::to_value(rows).ok()?;
    let records = data.as_array()?;
    let records: Option<Vec<_>> = records.iter().map(Value::as_object).collect();
    let records = records?;
    let fields = table.header.iter().map(|name| {
        let values = records.iter().filter_map(|record| record.get(name));
        json!({"name": name, "type": kind(values)})
    });
    let fields: Vec<Value> = fields.collect();
    Some(json!({"schema": {"fields": fields}, "data": data}))
}

/// Returns the type of a column in Table Schema.
fn kind<'a>(values: impl Iterator<Item = &'a Value>) -> &'static str {
    let mut kinds = values
        .filter(|value| !value.is_null())
        .map(|value| match value {
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            _ => "any",
        });
    let first = kinds.next().unwrap_or("any");
    if kinds.all(|kind| kind == first) {
        first
    } else {
        "any"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Row {
        b: &'static str,
        a: f64,
    }

    #[test]
    fn columns_keep_their_order_and_have_types() {
        let rows = [
            Row {
                b: "x,\"y\"",
                a: 1.5,
            },
            Row { b: "z", a: 2.0 },
        ];
        let table = Table::of(&rows).unwrap();
        assert_eq!(table.to_csv(), "b,a\r\n\"x,\"\"y\"\"\",1.5\r\nz,2.0\r\n");
        let json = data_resource(&table, &rows).unwrap();
        assert_eq!(
            json["schema"]["fields"],
            json!([{"name": "b", "type": "string"}, {"name": "a", "type": "number"}])
        );
        assert_eq!(json["data"][1]["a"], 2.0);
        assert_eq!(data_resource(&Table::of(&[1, 2]).unwrap(), &[1, 2]), None);
    }
}
