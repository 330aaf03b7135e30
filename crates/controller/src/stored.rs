//! Messages that are kept: waiting tasks, and the records of tasks. Scheduler and records share
//! them.

use bytes::Bytes;
use phalanx_transport::RawMessage;
use std::sync::Arc;

/// The size in bytes below which a message is copied to one allocation. Larger ones are received
/// into memory of their own.
const SMALL: usize = 64 << 10;

/// The size of a number in a packed message, in bytes.
const NUMBER: usize = size_of::<u32>();

/// A message that is kept; clones share its memory.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredMessage(Storage);

#[derive(Clone, Debug, PartialEq)]
enum Storage {
    /// All parts in one allocation: the number of identities, the number of parts, the end of each
    /// part, then the parts in the order of the wire.
    Packed(Arc<[u8]>),
    /// Parts of their own.
    Whole(Arc<RawMessage>),
    /// A task of a batch, with its index.
    OfBatch(Arc<SplitBatch>, usize),
}

/// A message with several tasks. They share everything but their headers and arguments.
#[derive(Debug, PartialEq)]
pub struct SplitBatch {
    /// The shared parts: identities, parent header, metadata, content, and the buffers before the
    /// arguments.
    pub common: RawMessage,
    /// The headers and arguments of all tasks.
    pub memory: Bytes,
    /// The ends of each task's header and arguments in this memory, which follow each other.
    pub ends: Vec<[usize; 2]>,
}

impl SplitBatch {
    /// The tasks, in order.
    pub fn tasks(self) -> impl Iterator<Item = StoredMessage> {
        let batch = Arc::new(self);
        let count = batch.ends.len();
        (0..count).map(move |index| StoredMessage(Storage::OfBatch(batch.clone(), index)))
    }

    fn start(&self, index: usize) -> usize {
        let before = index.checked_sub(1).and_then(|index| self.ends.get(index));
        before.map_or(0, |[_, end]| *end)
    }

    fn header(&self, index: usize) -> Bytes {
        let [header, _] = self.ends[index];
        self.memory.slice(self.start(index)..header)
    }

    fn arguments(&self, index: usize) -> Bytes {
        let [header, arguments] = self.ends[index];
        self.memory.slice(header..arguments)
    }
}

impl StoredMessage {
    /// Keeps a message: a small one as a copy, a large one with the memory it was received into.
    pub fn new(message: RawMessage) -> Self {
        match message.size() < SMALL {
            true => Self::pack(&message),
            false => Self(Storage::Whole(Arc::new(message))),
        }
    }

    /// Copies a message, so that the memory it was received into is not kept.
    pub fn copy(message: &RawMessage) -> Self {
        match message.size() < SMALL {
            true => Self::pack(message),
            false => Self(Storage::Whole(Arc::new(message.clone().compact()))),
        }
    }

    fn pack(message: &RawMessage) -> Self {
        let count = message.parts().count();
        let mut packed = Vec::with_capacity((2 + count) * NUMBER + message.size());
        // Below 2³²: a message has at most one frame for each two bytes that were received.
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_ne_bytes();
        packed.extend(number(message.identities.len()));
        packed.extend(number(count));
        let mut end = 0;
        for part in message.parts() {
            end += part.len();
            packed.extend(number(end));
        }
        message.parts().for_each(|part| packed.extend(part.iter()));
        Self(Storage::Packed(packed.into()))
    }

    /// The message.
    pub fn to_raw(&self) -> RawMessage {
        match &self.0 {
            Storage::Packed(packed) => Packed(packed).to_raw(packed),
            Storage::Whole(message) => RawMessage::clone(message),
            Storage::OfBatch(batch, index) => {
                let mut message = batch.common.clone();
                message.header = batch.header(*index);
                message.buffers.push(batch.arguments(*index));
                message
            }
        }
    }

    /// The identity of its sender; empty if it has none.
    pub fn sender(&self) -> &[u8] {
        let identities = match &self.0 {
            Storage::Packed(packed) => return Packed(packed).sender(),
            Storage::Whole(message) => &message.identities,
            Storage::OfBatch(batch, _) => &batch.common.identities,
        };
        identities.first().map_or(&[], |name| name)
    }

    /// The last buffer: the arguments of a task of a batch.
    pub fn arguments(&self) -> Option<Bytes> {
        match &self.0 {
            Storage::OfBatch(batch, index) => Some(batch.arguments(*index)),
            _ => self.to_raw().buffers.pop(),
        }
    }

    /// The size of its buffers, in bytes.
    pub fn buffer_bytes(&self) -> usize {
        let bytes = |buffers: &[Bytes]| buffers.iter().map(Bytes::len).sum();
        match &self.0 {
            Storage::Packed(packed) => Packed(packed).buffer_bytes(),
            Storage::Whole(message) => bytes(&message.buffers),
            Storage::OfBatch(batch, index) => {
                let [header, arguments] = batch.ends[*index];
                bytes(&batch.common.buffers) + arguments - header
            }
        }
    }

    /// The memory it takes, in bytes, with its share of what is common to a batch.
    pub fn size(&self) -> usize {
        match &self.0 {
            Storage::Packed(packed) => packed.len(),
            Storage::Whole(message) => message.memory(),
            Storage::OfBatch(batch, index) => {
                let [_, end] = batch.ends[*index];
                end - batch.start(*index) + batch.common.memory() / batch.ends.len()
            }
        }
    }
}

/// The parts of a packed message.
struct Packed<'a>(&'a [u8]);

impl<'a> Packed<'a> {
    /// The number at an index, of the counts and the ends.
    fn number(&self, index: usize) -> usize {
        let bytes = self.0.get(index * NUMBER..(index + 1) * NUMBER);
        let number = bytes.and_then(|bytes| bytes.try_into().ok());
        number.map_or(0, |number| u32::from_ne_bytes(number) as usize)
    }

    fn identities(&self) -> usize {
        self.number(0)
    }

    fn parts(&self) -> usize {
        self.number(1)
    }

    /// The start of the part with this index, among the parts.
    fn start(&self, part: usize) -> usize {
        match part {
            0 => 0,
            part => self.number(1 + part),
        }
    }

    fn data(&self) -> usize {
        (2 + self.parts()) * NUMBER
    }

    fn sender(&self) -> &'a [u8] {
        match self.identities() {
            0 => &[],
            _ => &self.0[self.data()..self.data() + self.start(1)],
        }
    }

    fn buffer_bytes(&self) -> usize {
        let first = self.identities() + RawMessage::FIXED_PARTS;
        self.start(self.parts()) - self.start(first)
    }

    fn to_raw(&self, memory: &Arc<[u8]>) -> RawMessage {
        let (identities, data) = (self.identities(), self.data());
        let whole = Bytes::from_owner(memory.clone());
        let part = |index| whole.slice(data + self.start(index)..data + self.start(index + 1));
        let fixed = |index| part(identities + index);
        RawMessage {
            identities: (0..identities).map(part).collect(),
            signature: fixed(0),
            header: fixed(1),
            parent_header: fixed(2),
            metadata: fixed(3),
            content: fixed(4),
            buffers: (identities + RawMessage::FIXED_PARTS..self.parts())
                .map(part)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(identities: &[&'static str], buffers: &[&'static str]) -> RawMessage {
        let bytes = |part: &&'static str| Bytes::from_static(part.as_bytes());
        RawMessage {
            identities: identities.iter().map(bytes).collect(),
            signature: bytes(&"signature"),
            header: bytes(&"{\"a\":1}"),
            parent_header: bytes(&"{}"),
            metadata: Bytes::new(),
            content: bytes(&"content"),
            buffers: buffers.iter().map(bytes).collect(),
        }
    }

    #[test]
    fn a_stored_message_round_trips() {
        let large = vec![0; SMALL];
        for identities in [&[][..], &["client"], &["client", "", "more"]] {
            for buffers in [&[][..], &[""], &["a", "", "bc"]] {
                let mut message = message(identities, buffers);
                for large in [None, Some(large.clone())] {
                    message.buffers.extend(large.map(Bytes::from));
                    let bytes: usize = message.buffers.iter().map(Bytes::len).sum();
                    let stored = StoredMessage::new(message.clone());
                    for stored in [stored, StoredMessage::copy(&message)] {
                        assert_eq!(stored.to_raw(), message);
                        assert_eq!(stored.buffer_bytes(), bytes);
                        let sender = identities.first().map_or(&b""[..], |name| name.as_bytes());
                        assert_eq!(stored.sender(), sender);
                        assert!(stored.size() > message.size());
                        assert_eq!(stored.arguments(), message.buffers.last().cloned());
                    }
                }
            }
        }
    }

    #[test]
    fn tasks_of_a_batch_share_their_common_parts() {
        let mut common = message(&["client"], &["code"]);
        common.header = Bytes::new();
        let batch = SplitBatch {
            common: common.clone(),
            memory: Bytes::from_static(b"h1argsh2"),
            ends: vec![[2, 6], [8, 8]],
        };
        let tasks: Vec<_> = batch.tasks().collect();
        for (task, (header, arguments)) in tasks.iter().zip([("h1", "args"), ("h2", "")]) {
            let mut expected = common.clone();
            expected.header = Bytes::from(header);
            expected.buffers.push(Bytes::from(arguments));
            assert_eq!(task.to_raw(), expected);
            assert_eq!(task.sender(), b"client");
            assert_eq!(task.buffer_bytes(), "code".len() + arguments.len());
            assert_eq!(task.arguments(), Some(Bytes::from(arguments)));
        }
        assert_eq!(tasks.len(), 2);
    }
}
