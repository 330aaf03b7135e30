//! A compact list of engine ids, for command lines.

use crate::id::EngineId;
use std::fmt;
use std::str::FromStr;

/// Engine ids, in the order of the processes they are assigned to: `0-63,70`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdRanges(pub Vec<EngineId>);

/// The maximum number of ids parsed from one text, so that a typing error does not exhaust memory.
const MAX_IDS: usize = 1 << 20;

/// The text that is not a list of ids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a list of engine ids, such as `0-3,7`")]
pub struct IdRangesError(String);

impl fmt::Display for IdRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ids = self.0.iter().map(|id| id.0).peekable();
        let mut separator = "";
        while let Some(first) = ids.next() {
            let mut last = first;
            while let Some(next) = ids.next_if(|next| last.checked_add(1) == Some(*next)) {
                last = next;
            }
            match last == first {
                true => write!(f, "{separator}{first}")?,
                false => write!(f, "{separator}{first}-{last}")?,
            }
            separator = ",";
        }
        Ok(())
    }
}

impl FromStr for IdRanges {
    type Err = IdRangesError;

    fn from_str(text: &str) -> Result<Self, IdRangesError> {
        let refused = || IdRangesError(text.to_owned());
        let mut ids = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.trim().parse::<u32>().map_err(|_| refused());
            let (first, last) = (number(first)?, number(last)?);
            let count = usize::try_from(last.saturating_sub(first)).unwrap_or(usize::MAX);
            if last < first || count >= MAX_IDS - ids.len().min(MAX_IDS) {
                return Err(refused());
            }
            ids.extend((first..=last).map(EngineId));
        }
        Ok(Self(ids))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_they_are_read() {
        for (text, ids) in [
            ("0", vec![0]),
            ("0-3,7", vec![0, 1, 2, 3, 7]),
            ("5,4,9-10", vec![5, 4, 9, 10]),
        ] {
            let ids = IdRanges(ids.into_iter().map(EngineId).collect());
            assert_eq!(text.parse(), Ok(ids.clone()));
            assert_eq!(ids.to_string(), text);
        }
        for text in ["", "a", "3-1", "1,", "0-4294967295", "-1"] {
            assert!(text.parse::<IdRanges>().is_err(), "{text}");
        }
    }
}
