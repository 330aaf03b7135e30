//! Queries in MongoDB's syntax, with the operators of ipyparallel's `dictdb.py`. Pure.

use super::record::{RecordKey, TaskRecord};
use chrono::{DateTime, Utc};
use phalanx_protocol::glob::Glob;
use phalanx_protocol::id::{EngineUuid, MsgId};
use serde_json::{Map, Value};
use std::cmp::Ordering;

/// An invalid query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadQuery {
    /// An unknown key.
    #[error("Bad record key: '{0}'")]
    Key(String),
    /// An unknown operator.
    #[error("Unsupported operator: '{0}'")]
    Operator(String),
    /// The operand of an operator has the wrong type.
    #[error("'{0}' takes {1}")]
    Operand(&'static str, &'static str),
}

/// A selection of records: those that satisfy all tests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter(Vec<(RecordKey, KeyTest)>);

/// A test of the value that a record has under a key. Operands are the client's JSON; missing values
/// are null.
#[derive(Clone, Debug, PartialEq)]
enum KeyTest {
    /// `$lt`, `$eq`, …, or a value alone; null is neither less nor greater than any value.
    Compare(Comparison, Value),
    /// `$in`
    OneOf(Vec<Value>),
    /// `$nin`
    NoneOf(Vec<Value>),
    /// `$all`: the value is a list that contains these.
    All(Vec<Value>),
    /// `$mod`: the value is an integer with this remainder.
    Mod { divisor: i64, remainder: i64 },
    /// `$exists`: the value is not null, or with `false` is.
    Exists(bool),
    /// `$glob`: the value is text that matches a pattern.
    Glob(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Lt,
    Le,
    Eq,
    Ne,
    Ge,
    Gt,
}

impl Filter {
    /// Parses a query.
    ///
    /// # Errors
    /// [`BadQuery`] if it contains an unknown key or operator, or an operand of the wrong type.
    pub fn parse(query: &Map<String, Value>) -> Result<Self, BadQuery> {
        let mut tests = Vec::new();
        for (name, condition) in query {
            let key = RecordKey::of(name).ok_or_else(|| BadQuery::Key(name.clone()))?;
            match condition {
                Value::Object(operators) => {
                    for (operator, operand) in operators {
                        tests.push((key, KeyTest::parse(operator, operand)?));
                    }
                }
                value => tests.push((key, KeyTest::Compare(Comparison::Eq, value.clone()))),
            }
        }
        Ok(Self(tests))
    }

    /// Selects these tasks.
    pub fn tasks(ids: &[MsgId]) -> Self {
        let ids = ids.iter().map(|id| Value::from(id.as_str())).collect();
        Self(vec![(RecordKey::MsgId, KeyTest::OneOf(ids))])
    }

    /// Selects tasks that have ended.
    pub fn ended() -> Self {
        let ended = KeyTest::Compare(Comparison::Ne, Value::Null);
        Self(vec![(RecordKey::ResultHeader, ended)])
    }

    /// Restricts the selection to tasks that this engine ran.
    pub fn by(mut self, engine: &EngineUuid) -> Self {
        let by = KeyTest::Compare(Comparison::Eq, Value::from(engine.as_str()));
        self.0.push((RecordKey::EngineUuid, by));
        self
    }

    /// Splits off the ids of the only tasks that can match, sorted, if the query names them; the rest
    /// is the tests that these have to satisfy. A store can then look the tasks up, without testing
    /// all records.
    pub fn named(&self) -> Option<(Vec<MsgId>, Self)> {
        let id = |value: &Value| value.as_str().map(MsgId::new);
        let names = |(key, test): &(RecordKey, KeyTest)| match test {
            KeyTest::Compare(Comparison::Eq, value) if *key == RecordKey::MsgId => {
                Some(id(value).into_iter().collect::<Vec<_>>())
            }
            KeyTest::OneOf(values) if *key == RecordKey::MsgId => {
                Some(values.iter().filter_map(id).collect())
            }
            _ => None,
        };
        let mut tests = self.0.iter().enumerate();
        let (index, mut ids) = tests.find_map(|(index, test)| Some((index, names(test)?)))?;
        ids.sort();
        ids.dedup();
        let others = self
            .0
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index);
        Some((ids, Self(others.map(|(_, test)| test.clone()).collect())))
    }

    /// Returns true if a record matches.
    pub fn matches(&self, id: &MsgId, record: &TaskRecord) -> bool {
        self.0
            .iter()
            .all(|(key, test)| test.passes(*key, &record.field(id, *key)))
    }
}

impl KeyTest {
    /// Parses an operator with its operand.
    fn parse(operator: &str, operand: &Value) -> Result<Self, BadQuery> {
        let comparing = |comparison| Self::Compare(comparison, operand.clone());
        let list = |name| {
            let list = operand.as_array().cloned();
            list.ok_or(BadQuery::Operand(name, "a list"))
        };
        Ok(match operator {
            "$lt" => comparing(Comparison::Lt),
            "$lte" => comparing(Comparison::Le),
            "$eq" => comparing(Comparison::Eq),
            "$ne" => comparing(Comparison::Ne),
            "$gte" => comparing(Comparison::Ge),
            "$gt" => comparing(Comparison::Gt),
            "$in" => Self::OneOf(list("$in")?),
            "$nin" => Self::NoneOf(list("$nin")?),
            "$all" => Self::All(list("$all")?),
            "$mod" => {
                let wrong = BadQuery::Operand("$mod", "[divisor, remainder]");
                let [divisor, remainder] = list("$mod")?.try_into().map_err(|_| wrong.clone())?;
                match (divisor.as_i64(), remainder.as_i64()) {
                    (Some(divisor), Some(remainder)) if divisor != 0 => {
                        Self::Mod { divisor, remainder }
                    }
                    _ => return Err(wrong),
                }
            }
            "$exists" => {
                let exists = operand.as_bool();
                Self::Exists(exists.ok_or(BadQuery::Operand("$exists", "true or false"))?)
            }
            "$glob" => {
                let glob = operand.as_str().map(str::to_owned);
                Self::Glob(glob.ok_or(BadQuery::Operand("$glob", "a pattern"))?)
            }
            other => return Err(BadQuery::Operator(other.to_owned())),
        })
    }

    /// Returns true if the value that a record has under `key` passes the test.
    fn passes(&self, key: RecordKey, value: &Value) -> bool {
        let same = |other: &Value| equal(key, value, other);
        match self {
            Self::Compare(Comparison::Eq, other) => same(other),
            Self::Compare(Comparison::Ne, other) => !same(other),
            Self::Compare(comparison, other) => {
                compare(key, value, other).is_some_and(|order| match comparison {
                    Comparison::Lt => order.is_lt(),
                    Comparison::Le => order.is_le(),
                    Comparison::Eq => order.is_eq(),
                    Comparison::Ne => order.is_ne(),
                    Comparison::Ge => order.is_ge(),
                    Comparison::Gt => order.is_gt(),
                })
            }
            Self::OneOf(others) => others.iter().any(same),
            Self::NoneOf(others) => !others.iter().any(same),
            Self::All(wanted) => {
                let list = value.as_array();
                list.is_some_and(|list| wanted.iter().all(|each| list.contains(each)))
            }
            Self::Mod { divisor, remainder } => {
                let number = value.as_i64();
                number.is_some_and(|number| number.checked_rem_euclid(*divisor) == Some(*remainder))
            }
            Self::Exists(exists) => value.is_null() != *exists,
            Self::Glob(pattern) => value
                .as_str()
                .is_some_and(|text| Glob::Fnmatch.matches(pattern, text)),
        }
    }
}

/// Compares two values for equality: dates as points in time, in whatever form they are written.
fn equal(key: RecordKey, value: &Value, other: &Value) -> bool {
    match (date(key, value), date(key, other)) {
        (Some(value), Some(other)) => value == other,
        _ => value == other,
    }
}

/// Compares two values: dates as points in time, texts, numbers; `None` if they are not comparable, such as null and a number.
fn compare(key: RecordKey, value: &Value, other: &Value) -> Option<Ordering> {
    if let (Some(value), Some(other)) = (date(key, value), date(key, other)) {
        return Some(value.cmp(&other));
    }
    match (value, other) {
        (Value::String(value), Value::String(other)) => Some(value.cmp(other)),
        (Value::Number(value), Value::Number(other)) => {
            value.as_f64()?.partial_cmp(&other.as_f64()?)
        }
        _ => None,
    }
}

/// Parses a date; `None` for keys without dates, and for other texts.
fn date(key: RecordKey, value: &Value) -> Option<DateTime<Utc>> {
    let text = value.as_str().filter(|_| key.is_date())?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::record::{MessageParts, Queue};
    use super::*;
    use bytes::Bytes;
    use serde_json::json;

    fn record() -> TaskRecord {
        let part = |value: Value| Bytes::from(value.to_string());
        let parts = |header, metadata| MessageParts {
            header: part(header),
            metadata: part(metadata),
            content: part(json!({})),
            buffers: None,
        };
        let request = parts(
            json!({"date": "2026-11-20T20:40:39.231171Z", "session": "me"}),
            json!({"label": "dview_1"}),
        );
        let reply = parts(json!({"date": "2026-11-20T20:40:40Z"}), json!({}));
        TaskRecord {
            reply: Some(reply),
            request,
            queue: Some(Queue::Task),
            ..TaskRecord::default()
        }
    }

    #[test]
    fn operators_are_those_of_dictdb() {
        let record = record();
        for (query, expected) in [
            (json!({}), true),
            (json!({"msg_id": "1"}), true),
            (json!({"msg_id": {"$in": ["2", "3"]}}), false),
            (json!({"msg_id": {"$nin": ["2", "3"]}}), true),
            (json!({"queue": "task", "client_uuid": "you"}), false),
            (
                json!({"submitted": {"$lt": "2026-11-20T21:40:39.5+01:00"}}),
                true,
            ),
            (
                json!({"submitted": {"$gt": "2026-11-20T21:40:39.5+01:00"}}),
                false,
            ),
            (
                json!({"submitted": {"$gte": "2026-11-20T20:40:39.231171+00:00"}}),
                true,
            ),
            (
                json!({"submitted": "2026-11-20T21:40:39.231171+01:00"}),
                true,
            ),
            (json!({"completed": {"$ne": null}}), true),
            (json!({"completed": null}), false),
            (json!({"started": {"$lt": "2026-11-20T21:40:39Z"}}), false),
            (json!({"engine_uuid": {"$exists": false}}), true),
            (json!({"label": {"$glob": "dview_*"}}), true),
            (json!({"label": {"$glob": "view_*"}}), false),
            (json!({"label": {"$glob": "[!a-c]view_?"}}), true),
            (json!({"label": {"$gt": "a", "$lt": "b"}}), false),
        ] {
            let filter = Filter::parse(query.as_object().unwrap()).unwrap();
            assert_eq!(
                filter.matches(&MsgId::new("1"), &record),
                expected,
                "{query}"
            );
        }
    }

    #[test]
    fn queries_by_id_are_looked_up_without_a_search() {
        let parse = |query: Value| Filter::parse(query.as_object().unwrap()).unwrap();
        let others = parse(json!({"queue": "task"}));
        for (names, ids) in [
            (json!({"$in": ["b", "a", "b"]}), &["a", "b"][..]),
            (json!("a"), &["a"]),
        ] {
            let filter = parse(json!({"msg_id": names, "queue": "task"}));
            let ids = ids.iter().copied().map(MsgId::new).collect();
            assert_eq!(filter.named(), Some((ids, others.clone())));
        }
        assert_eq!(others.named(), None);
        // A second condition on the name is one of the others.
        let filter = Filter::tasks(&[MsgId::new("a")]);
        let twice = Filter([filter.0.clone(), filter.0.clone()].concat());
        assert_eq!(twice.named(), Some((vec![MsgId::new("a")], filter)));
    }

    #[test]
    fn unsupported_queries_are_refused_with_the_reason() {
        for (query, error) in [
            (json!({"nonsense": 1}), BadQuery::Key("nonsense".to_owned())),
            (
                json!({"stdout": {"$regex": "."}}),
                BadQuery::Operator("$regex".to_owned()),
            ),
            (
                json!({"msg_id": {"$in": "1"}}),
                BadQuery::Operand("$in", "a list"),
            ),
            (
                json!({"msg_id": {"$mod": [0, 1]}}),
                BadQuery::Operand("$mod", "[divisor, remainder]"),
            ),
        ] {
            assert_eq!(Filter::parse(query.as_object().unwrap()), Err(error));
        }
    }
}
