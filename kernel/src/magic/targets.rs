//! The targets of a magic.

use super::error::{MagicError, MagicProblem, TargetSyntax};
use phalanx_protocol::id::EngineId;
use std::fmt;
use std::ops::Range;

/// Targets as typed, in ipyparallel's forms; parsed, never evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// Every engine.
    All,
    /// One engine; a negative number counts from the end.
    Id(i64),
    /// Several engines, in this order.
    List(Vec<i64>),
    /// A Python slice of the engine ids.
    Slice {
        /// The first position.
        start: Option<i64>,
        /// The position to stop before.
        stop: Option<i64>,
        /// The step.
        step: Option<i64>,
    },
}

/// Targets that name no engine, or one that is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// There is no such engine.
    #[error("there is no engine {0}")]
    Unknown(i64),
    /// A list has the engine more than once.
    #[error("engine {0} is named twice")]
    Repeated(EngineId),
    /// The slice has no engine in it.
    #[error("`{0}` selects no engine")]
    Empty(Targets),
}

impl Targets {
    /// Parses the value of `--targets`, which has this span in its line.
    ///
    /// # Errors
    /// Returns an error if the text has none of ipyparallel's forms.
    pub fn parse(text: &str, span: Range<usize>) -> Result<Self, MagicError> {
        let malformed = |problem| {
            let text = text.to_owned();
            let problem = MagicProblem::MalformedTargets { text, problem };
            MagicError::new(span.clone(), problem)
        };
        let number = |part: &str| {
            let part = part.trim();
            part.parse::<i64>()
                .map_err(|_| malformed(TargetSyntax::NotANumber(part.to_owned())))
        };
        let inner = text.trim();
        let unquoted = inner.trim_matches(|c| c == '"' || c == '\'');
        if unquoted == "all" {
            return Ok(Self::All);
        }
        if inner.contains(':') && !inner.starts_with('[') {
            let parts: Vec<&str> = inner.split(':').collect();
            if parts.len() > 3 {
                return Err(malformed(TargetSyntax::LongSlice));
            }
            let part = |at: usize| match parts.get(at).map(|part| part.trim()) {
                None | Some("") => Ok(None),
                Some(part) => number(part).map(Some),
            };
            let step = part(2)?;
            if step == Some(0) {
                return Err(malformed(TargetSyntax::ZeroStep));
            }
            return Ok(Self::Slice {
                start: part(0)?,
                stop: part(1)?,
                step,
            });
        }
        let bracketed = inner
            .strip_prefix('[')
            .map(|rest| {
                rest.strip_suffix(']')
                    .ok_or_else(|| malformed(TargetSyntax::Unclosed(']')))
            })
            .or_else(|| {
                let rest = inner.strip_prefix('(')?;
                Some(
                    rest.strip_suffix(')')
                        .ok_or_else(|| malformed(TargetSyntax::Unclosed(')'))),
                )
            })
            .transpose()?;
        let list = bracketed.unwrap_or(inner);
        if bracketed.is_none() && !list.contains(',') {
            return number(list).map(Self::Id);
        }
        let list = list.trim().strip_suffix(',').unwrap_or(list);
        if list.trim().is_empty() {
            return Err(malformed(TargetSyntax::EmptyList));
        }
        list.split(',')
            .map(number)
            .collect::<Result<_, _>>()
            .map(Self::List)
    }

    /// Returns the targeted engines out of the connected ones, which are sorted by id.
    ///
    /// # Errors
    /// Returns an error if an engine does not exist, is listed twice, or none is selected.
    pub fn resolve(&self, live: &[EngineId]) -> Result<Vec<EngineId>, TargetError> {
        let one = |id: i64| {
            let found = if id < 0 {
                usize::try_from(id.unsigned_abs())
                    .ok()
                    .and_then(|back| live.len().checked_sub(back))
                    .and_then(|at| live.get(at))
            } else {
                live.iter().find(|engine| i64::from(engine.0) == id)
            };
            found.copied().ok_or(TargetError::Unknown(id))
        };
        match self {
            Self::All => Ok(live.to_vec()),
            Self::Id(id) => one(*id).map(|id| vec![id]),
            Self::List(ids) => {
                let mut engines = Vec::new();
                for id in ids {
                    let engine = one(*id)?;
                    if engines.contains(&engine) {
                        return Err(TargetError::Repeated(engine));
                    }
                    engines.push(engine);
                }
                Ok(engines)
            }
            Self::Slice { start, stop, step } => {
                let picked: Vec<EngineId> = slice(live.len(), *start, *stop, *step)
                    .into_iter()
                    .map(|at| live[at])
                    .collect();
                if picked.is_empty() {
                    return Err(TargetError::Empty(self.clone()));
                }
                Ok(picked)
            }
        }
    }
}

/// Returns the positions selected by a Python slice of a sequence of this length.
fn slice(length: usize, start: Option<i64>, stop: Option<i64>, step: Option<i64>) -> Vec<usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let step = step.unwrap_or(1);
    let (low, high) = if step < 0 {
        (-1, length - 1)
    } else {
        (0, length)
    };
    let clamp = |at: i64| {
        (if at < 0 {
            at.saturating_add(length)
        } else {
            at
        })
        .clamp(low, high)
    };
    let (first, last) = if step < 0 { (high, low) } else { (low, high) };
    let mut at = start.map_or(first, clamp);
    let stop = stop.map_or(last, clamp);
    let mut positions = Vec::new();
    while (step > 0 && at < stop) || (step < 0 && at > stop) {
        positions.extend(usize::try_from(at));
        at = at.saturating_add(step);
    }
    positions
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Id(id) => id.fmt(f),
            Self::List(ids) => write!(f, "{ids:?}"),
            Self::Slice { start, stop, step } => {
                let text = |part: &Option<i64>| part.map_or(String::new(), |n| n.to_string());
                write!(f, "{}:{}", text(start), text(stop))?;
                step.map_or(Ok(()), |step| write!(f, ":{step}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: &[u32]) -> Vec<EngineId> {
        numbers.iter().copied().map(EngineId).collect()
    }

    #[test]
    fn every_form_of_ipyparallels_targets_is_parsed() {
        for (text, expected) in [
            ("all", &[0, 1, 4, 7][..]),
            ("'all'", &[0, 1, 4, 7]),
            ("0", &[0]),
            ("7", &[7]),
            ("-1", &[7]),
            ("-4", &[0]),
            ("0,4", &[0, 4]),
            ("[4, 0]", &[4, 0]),
            ("[1]", &[1]),
            ("(0, -1)", &[0, 7]),
            ("1,", &[1]),
            (":", &[0, 1, 4, 7]),
            ("::2", &[0, 4]),
            ("1:3", &[1, 4]),
            ("-2:", &[4, 7]),
            ("::-1", &[7, 4, 1, 0]),
            (":99", &[0, 1, 4, 7]),
            ("-99:2", &[0, 1]),
        ] {
            let targets = Targets::parse(text, 0..0).unwrap();
            assert_eq!(
                targets.resolve(&ids(&[0, 1, 4, 7])),
                Ok(ids(expected)),
                "{text}"
            );
        }
    }

    #[test]
    fn malformed_targets_are_refused_with_the_reason() {
        for (text, what) in [
            ("x", "`x` is not a number"),
            ("1,x", "`x` is not a number"),
            ("[0, 1", "`]` is missing"),
            ("[]", "the list is empty"),
            ("1:2:3:4", "at most three parts"),
            ("::0", "cannot be 0"),
            ("1:b", "`b` is not a number"),
            ("1.5", "`1.5` is not a number"),
        ] {
            let error = Targets::parse(text, 3..5).unwrap_err();
            assert!(error.to_string().contains(what), "{text}: {error}");
            assert_eq!(error.span, 3..5);
            assert!(error.problem.hint().is_some());
        }
        for (text, what) in [
            ("2", "there is no engine 2"),
            ("-5", "there is no engine -5"),
            (
                "-9223372036854775808",
                "there is no engine -9223372036854775808",
            ),
            ("0,9", "there is no engine 9"),
            ("0,0", "engine 0 is named twice"),
            ("5:", "`5:` selects no engine"),
        ] {
            let targets = Targets::parse(text, 0..0).unwrap();
            let error = targets.resolve(&ids(&[0, 1, 4, 7])).unwrap_err();
            assert_eq!(error.to_string(), what, "{text}");
        }
    }
}
