//! Compact storage of tasks' ids and values. A batch has a million of them: with an allocation for
//! each, the fragmented heap could not be returned to the system.

use bytes::Bytes;
use phalanx_protocol::id::MsgId;
use phalanx_protocol::payload::{Payload, Segment};
use std::sync::Arc;

/// The maximum length of a value stored within the record, in bytes.
const INLINE: usize = 31;

/// The maximum length of a value that is copied, in bytes, instead of keeping the message that
/// contains it.
const COPIED: usize = 16 << 10;

/// The prefix shared by the ids of one client's messages; `None` before the first.
#[derive(Debug, Default)]
pub(super) struct Prefix(Option<Arc<str>>);

/// The id of a message.
#[derive(Debug)]
pub(super) enum CompactId {
    /// A prefix, `_` and a number.
    Numbered(Arc<str>, u64),
    /// Any other id.
    Other(MsgId),
}

impl CompactId {
    pub(super) fn new(id: MsgId, known: &mut Prefix) -> Self {
        let Some((prefix, digits)) = id.as_str().rsplit_once('_') else {
            return Self::Other(id);
        };
        match digits.parse::<u64>() {
            Ok(number) if number.to_string() == digits => {
                let known = known.0.get_or_insert_with(|| prefix.into());
                if **known != *prefix {
                    *known = prefix.into();
                }
                Self::Numbered(Arc::clone(known), number)
            }
            _ => Self::Other(id),
        }
    }

    /// The id.
    pub(super) fn id(&self) -> MsgId {
        match self {
            Self::Numbered(prefix, number) => MsgId::new(format!("{prefix}_{number}")),
            Self::Other(id) => id.clone(),
        }
    }
}

/// The value of a function.
#[derive(Debug)]
pub(super) enum CompactValue {
    /// The bytes and their number.
    Inline([u8; INLINE], u8),
    /// A longer value.
    Bytes(Bytes),
    /// A reference to data in a file, which it keeps open.
    Segment(Box<Segment>),
}

impl CompactValue {
    pub(super) fn new(value: Payload) -> Self {
        let value = match value {
            Payload::Segment(segment) => return Self::Segment(segment),
            Payload::Inline(long) if long.len() > COPIED => return Self::Bytes(long),
            Payload::Inline(value) => value,
        };
        let mut bytes = [0; INLINE];
        match (bytes.get_mut(..value.len()), u8::try_from(value.len())) {
            (Some(inline), Ok(length)) => {
                inline.copy_from_slice(&value);
                Self::Inline(bytes, length)
            }
            _ => Self::Bytes(Bytes::copy_from_slice(&value)),
        }
    }

    /// The value.
    pub(super) fn payload(&self) -> Payload {
        match self {
            Self::Inline(bytes, length) => {
                let length = usize::from(*length);
                let bytes = bytes.get(..length).unwrap_or_default();
                Payload::Inline(Bytes::copy_from_slice(bytes))
            }
            Self::Bytes(bytes) => Payload::Inline(bytes.clone()),
            Self::Segment(segment) => Payload::Segment(segment.clone()),
        }
    }

    /// The memory it takes in addition to the record, including the data that it refers to, in
    /// bytes.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Inline(..) => 0,
            Self::Bytes(bytes) => bytes.len(),
            Self::Segment(segment) => {
                usize::try_from(segment.reference().len).unwrap_or(usize::MAX / 2)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_comes_back() {
        let mut prefix = Prefix::default();
        for text in [
            "s_1_7",
            "s_1_8",
            "größe_0",
            "s_007",
            "s_",
            "_1",
            "x",
            "s_-1",
        ] {
            let id = CompactId::new(MsgId::new(text), &mut prefix);
            assert_eq!(id.id().as_str(), text);
        }
        let one = CompactId::new(MsgId::new("s_1"), &mut prefix);
        let two = CompactId::new(MsgId::new("s_2"), &mut prefix);
        let (CompactId::Numbered(one, 1), CompactId::Numbered(two, 2)) = (one, two) else {
            panic!("they have numbers");
        };
        assert!(Arc::ptr_eq(&one, &two));
    }

    #[test]
    fn every_value_comes_back() {
        for length in [0, 1, INLINE, INLINE + 1, COPIED, COPIED + 1] {
            let message = Bytes::from(vec![7; length + 100]);
            let value = Payload::Inline(message.slice(50..50 + length));
            let kept = CompactValue::new(value.clone());
            assert_eq!(kept.payload(), value);
            assert_eq!(kept.size() == 0, length <= INLINE);
        }
    }
}
