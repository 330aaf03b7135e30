//! Dates as jupyter_client and ipyparallel write them: RFC 3339, in UTC, with microseconds.
//!
//! Their parser accepts at most six fractional digits. It leaves a date with more as text, which
//! breaks a stock hub and the durations that stock clients compute.

use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};

/// The current time, in the precision of dates in messages.
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// Formats a date.
pub fn to_text(date: &DateTime<Utc>) -> String {
    date.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A module for `#[serde(with = "…")]`.
pub mod required {
    use super::{DateTime, Utc, to_text};
    use serde::{Deserialize, Deserializer, Serializer};

    /// Serializes a date.
    ///
    /// # Errors
    /// Returns an error if the serializer does not support strings.
    pub fn serialize<S: Serializer>(date: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&to_text(date))
    }

    /// Deserializes a date of any precision.
    ///
    /// # Errors
    /// Returns an error if the text is not a date.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<DateTime<Utc>, D::Error> {
        DateTime::deserialize(from)
    }
}

/// A module for `#[serde(with = "…")]` on a date that may be missing.
pub mod optional {
    use super::{DateTime, Utc, to_text};
    use serde::{Deserialize, Deserializer, Serializer};

    /// Serializes a date, or null.
    ///
    /// # Errors
    /// Returns an error if the serializer supports neither.
    pub fn serialize<S: Serializer>(
        date: &Option<DateTime<Utc>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match date {
            Some(date) => to.serialize_str(&to_text(date)),
            None => to.serialize_none(),
        }
    }

    /// Deserializes a date of any precision, or null.
    ///
    /// # Errors
    /// Returns an error if the text is not a date.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<DateTime<Utc>>, D::Error> {
        Option::deserialize(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};
    use serde_json::{from_str, to_string};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Dates {
        #[serde(with = "required")]
        made: DateTime<Utc>,
        #[serde(default, with = "optional")]
        answered: Option<DateTime<Utc>>,
    }

    #[test]
    fn dates_have_six_digits_whatever_the_clock_says() {
        for (nanos, digits) in [(123_456_789, "123456"), (5_000, "000005"), (0, "000000")] {
            let made = DateTime::from_timestamp(1_700_000_000, nanos).unwrap();
            let answered = Some(made);
            let text = to_string(&Dates { made, answered }).unwrap();
            let date = format!("\"2023-11-14T22:13:20.{digits}Z\"");
            assert_eq!(text, format!("{{\"made\":{date},\"answered\":{date}}}"));
        }
    }

    #[test]
    fn dates_of_others_are_read_as_they_are() {
        let read: Dates = from_str(r#"{"made": "2026-11-20T20:40:42.316885+01:00"}"#).unwrap();
        assert_eq!(to_text(&read.made), "2026-11-20T19:40:42.316885Z");
        assert_eq!(read.answered, None);
    }
}
