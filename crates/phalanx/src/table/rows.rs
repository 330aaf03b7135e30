//! Rows of a table, read through serde.
//!
//! Only the rows that are shown are read: of a million structs, ten.

use super::Table;
use super::cell::cell;
use super::reader::{ReadWith, UnreadableValue, ValueReader};
use phalanx_protocol::look::table::{EDGE_ROWS, MAX_ROWS};
use serde::Serialize;
use serde::ser::{
    Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
};
use std::borrow::Cow;

/// The name of the column of a map's keys, and of unnamed values.
const KEY: &str = "key";
const VALUE: &str = "value";

/// Builds the table of a value; `None` if it has no rows.
pub(super) fn table(value: &(impl Serialize + ?Sized)) -> Option<Table> {
    let table = match value.serialize(ReadWith(Rows { total: None })).ok()? {
        // The length was not known in advance; the second pass has the number of rows.
        Found::Count(total) => value
            .serialize(ReadWith(Rows { total: Some(total) }))
            .ok()?,
        found => found,
    };
    match table {
        Found::Table(table) => Some(table),
        Found::Count(_) => None,
    }
}

enum Found {
    Table(Table),
    Count(usize),
}

/// One row: cells, and the names of their columns.
type Row = Vec<(Option<Cow<'static, str>>, String)>;

/// Reads a list of rows.
struct Rows {
    /// The number of rows, if known.
    total: Option<usize>,
}

/// The rows read so far.
struct RowList {
    total: Option<usize>,
    /// The number of rows visited.
    at: usize,
    key: Option<String>,
    header: Vec<Cow<'static, str>>,
    rows: Vec<Vec<String>>,
}

impl RowList {
    fn new(total: Option<usize>) -> Self {
        Self {
            total,
            at: 0,
            key: None,
            header: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Returns true if the next row is among those shown.
    fn shows_next(&self) -> bool {
        self.total.is_some_and(|total| {
            total <= MAX_ROWS || self.at < EDGE_ROWS || self.at + EDGE_ROWS >= total
        })
    }

    fn element<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<(), UnreadableValue> {
        if self.shows_next() {
            let mut row = element.serialize(ReadWith(OneRow))?;
            if let Some(key) = self.key.take() {
                if let [(name @ None, _)] = row.as_mut_slice() {
                    *name = Some(VALUE.into());
                }
                row.insert(0, (Some(KEY.into()), key));
            }
            self.push(row);
        }
        self.at += 1;
        Ok(())
    }

    fn push(&mut self, row: Row) {
        let mut cells = vec![String::new(); self.header.len()];
        for (at, (name, cell)) in row.into_iter().enumerate() {
            let column = match name {
                None => at,
                // Rows of the same type have the same column order.
                Some(name) if self.header.get(at) == Some(&name) => at,
                Some(name) => {
                    let known = self.header.iter().position(|known| *known == name);
                    known.unwrap_or_else(|| {
                        self.header.push(name);
                        self.header.len() - 1
                    })
                }
            };
            if column >= cells.len() {
                cells.resize(column + 1, String::new());
            }
            cells[column] = cell;
        }
        self.rows.push(cells);
    }

    fn found(self) -> Found {
        if self.total.is_none() {
            return Found::Count(self.at);
        }
        Found::Table(Table {
            caption: String::new(),
            header: self.header.into_iter().map(Cow::into_owned).collect(),
            rows: self.rows,
            total: self.at,
        })
    }
}

/// Implements the traits for lists and for rows, which differ only in their names.
macro_rules! parts {
    (@part $self:ident, $part:ident) => {
        $self.element($part)
    };
    (@part $self:ident, $part:ident, $key:ident, $type:ty) => {
        $self.field($key, $part)
    };
    ($type:ty, $ok:ty, $end:ident: $($trait:ident $method:ident $(($key:ty))?),+ $(,)?) => {
        $(impl $trait for $type {
            type Ok = $ok;
            type Error = UnreadableValue;

            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $(key: $key,)?
                part: &T,
            ) -> Result<(), UnreadableValue> {
                parts!(@part self, part $(, key, $key)?)
            }

            fn end(self) -> Result<$ok, UnreadableValue> {
                Ok(self.$end())
            }
        })+
    };
}

parts!(RowList, Found, found: SerializeSeq serialize_element, SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field);

impl SerializeMap for RowList {
    type Ok = Found;
    type Error = UnreadableValue;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), UnreadableValue> {
        if self.shows_next() {
            self.key = Some(cell(key));
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), UnreadableValue> {
        self.element(value)
    }

    fn end(self) -> Result<Found, UnreadableValue> {
        Ok(self.found())
    }
}

/// Reads one row.
struct OneRow;

/// The cells of a row so far.
#[derive(Default)]
struct Cells {
    row: Row,
    key: Option<String>,
}

impl Cells {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), UnreadableValue> {
        self.row.push((None, cell(value)));
        Ok(())
    }

    fn field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), UnreadableValue> {
        self.row.push((Some(name.into()), cell(value)));
        Ok(())
    }

    fn row(self) -> Row {
        self.row
    }
}

parts!(Cells, Row, row: SerializeSeq serialize_element, SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field, SerializeTupleVariant serialize_field,
    SerializeStruct serialize_field(&'static str), SerializeStructVariant serialize_field(&'static str));

impl SerializeMap for Cells {
    type Ok = Row;
    type Error = UnreadableValue;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), UnreadableValue> {
        self.key = Some(cell(key));
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), UnreadableValue> {
        let key = self.key.take().map(Cow::Owned);
        self.row.push((key, cell(value)));
        Ok(())
    }

    fn end(self) -> Result<Row, UnreadableValue> {
        Ok(self.row)
    }
}

impl ValueReader for Rows {
    type Found = Found;
    type List = RowList;
    type Variant = Impossible<Found, UnreadableValue>;
    type Map = RowList;
    type Record = SingleRow;

    fn single(self, _: String) -> Result<Found, UnreadableValue> {
        Err(UnreadableValue)
    }

    fn nothing(self) -> Result<Found, UnreadableValue> {
        Err(UnreadableValue)
    }

    fn list(self, length: Option<usize>) -> Result<RowList, UnreadableValue> {
        Ok(RowList::new(self.total.or(length)))
    }

    fn variant(self) -> Result<Self::Variant, UnreadableValue> {
        Err(UnreadableValue)
    }

    fn map(self, length: Option<usize>) -> Result<RowList, UnreadableValue> {
        Ok(RowList::new(self.total.or(length)))
    }

    fn record(self) -> Result<SingleRow, UnreadableValue> {
        Ok(SingleRow::default())
    }
}

impl ValueReader for OneRow {
    type Found = Row;
    type List = Cells;
    type Variant = Cells;
    type Map = Cells;
    type Record = Cells;

    fn single(self, text: String) -> Result<Row, UnreadableValue> {
        Ok(vec![(None, text)])
    }

    fn nothing(self) -> Result<Row, UnreadableValue> {
        Ok(Row::new())
    }

    fn bytes(self, bytes: &[u8]) -> Result<Row, UnreadableValue> {
        self.single(cell(bytes))
    }

    fn list(self, _: Option<usize>) -> Result<Cells, UnreadableValue> {
        Ok(Cells::default())
    }

    fn variant(self) -> Result<Cells, UnreadableValue> {
        Ok(Cells::default())
    }

    fn map(self, _: Option<usize>) -> Result<Cells, UnreadableValue> {
        Ok(Cells::default())
    }

    fn record(self) -> Result<Cells, UnreadableValue> {
        Ok(Cells::default())
    }
}

/// A struct, shown as a table of one row.
#[derive(Default)]
struct SingleRow(Cells);

impl SingleRow {
    fn field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), UnreadableValue> {
        self.0.field(name, value)
    }

    fn found(self) -> Found {
        let mut list = RowList::new(Some(1));
        list.push(self.0.row);
        list.at = 1;
        list.found()
    }
}

parts!(SingleRow, Found, found: SerializeStruct serialize_field(&'static str),
    SerializeStructVariant serialize_field(&'static str));

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serializer;
    use std::cell::Cell;
    use std::collections::BTreeMap;

    #[derive(Serialize)]
    struct City {
        name: &'static str,
        people: u32,
        area: Option<f64>,
    }

    const CITIES: [City; 2] = [
        City {
            name: "Zürich",
            people: 443_037,
            area: Some(87.9),
        },
        City {
            name: "Basel",
            people: 177_595,
            area: None,
        },
    ];

    fn shown(value: &impl Serialize) -> String {
        table(value).unwrap().to_plain()
    }

    #[test]
    fn structs_are_rows_in_field_order() {
        assert_eq!(
            shown(&CITIES.iter().collect::<Vec<_>>()),
            "name    people  area\nZürich  443037  87.9\nBasel   177595"
        );
        assert_eq!(shown(&CITIES[1]), "name   people  area\nBasel  177595");
    }

    #[test]
    fn tuples_maps_and_numbers_are_rows_too() {
        assert_eq!(shown(&[(1, "a"), (2, "b")]), "1  a\n2  b");
        assert_eq!(shown(&vec![vec![1, 2], vec![3]]), "1  2\n3");
        assert_eq!(shown(&["a", "b"]), "a\nb");
        let map = BTreeMap::from([("x", 1.5), ("y", 2.5)]);
        assert_eq!(shown(&map), "key  value\nx      1.5\ny      2.5");
        assert_eq!(shown(&[map]), "  x    y\n1.5  2.5");
        assert!(table(&3).is_none());
        assert!(table("text").is_none());
    }

    /// A row that counts how often it is serialized.
    struct Counted<'a>(&'a Cell<usize>);

    impl Serialize for Counted<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.set(self.0.get() + 1);
            serializer.serialize_u32(7)
        }
    }

    #[test]
    fn only_shown_rows_are_serialized() {
        let read = Cell::new(0);
        let many: Vec<Counted<'_>> = (0..100_000).map(|_| Counted(&read)).collect();
        let table = table(&many).unwrap();
        assert_eq!((table.rows.len(), table.total), (10, 100_000));
        assert_eq!(read.get(), 10);
    }
}
