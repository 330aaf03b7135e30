//! The record of one task, under ipyparallel's keys.

use crate::stored::StoredMessage;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use phalanx_protocol::date;
use phalanx_protocol::id::{EngineUuid, MsgId};
use phalanx_protocol::parallel::TaskOutput;
use phalanx_protocol::payload::Payload;
use phalanx_transport::RawMessage;
use serde_json::{Value, json};
use std::io;

/// The maximum number of bytes kept of one text stream of a task.
const MAX_TEXT: usize = 256 << 10;
/// The size of a record in addition to its contents, in bytes.
const OVERHEAD: usize = 512;

/// A task that was submitted: the beginning of its record.
#[derive(Clone, Debug, PartialEq)]
pub struct SubmittedTask {
    /// The request.
    pub request: StoredParts,
    /// The engine that it was sent to, if it was.
    pub engine: Option<EngineUuid>,
    /// The channel it was sent through.
    pub queue: Queue,
}

/// The record of one task; the parts of messages are stored as received, and parsed on demand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskRecord {
    /// The header, metadata and content of the request.
    pub request: MessageParts,
    /// The engine that it was assigned to.
    pub engine: Option<EngineUuid>,
    /// The channel it was sent through.
    pub queue: Option<Queue>,
    /// The task as which it was resubmitted.
    pub resubmitted: Option<MsgId>,
    /// The reply, if received.
    pub reply: Option<MessageParts>,
    /// The time at which the reply was received.
    pub received: Option<DateTime<Utc>>,
    /// The output published for it.
    pub output: TaskOutput,
}

/// The channel a task was sent through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// A direct request.
    Mux,
    /// A load-balanced task.
    Task,
}

impl Queue {
    /// The name in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mux => "mux",
            Self::Task => "task",
        }
    }

    /// The queue with this name.
    #[cfg(feature = "sqlite")]
    pub fn of(name: &str) -> Option<Self> {
        [Self::Mux, Self::Task]
            .into_iter()
            .find(|queue| queue.as_str() == name)
    }
}

/// The parts of a message that a record has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MessageParts {
    /// The header, as JSON.
    pub header: Bytes,
    /// The metadata, as JSON.
    pub metadata: Bytes,
    /// The content, as JSON.
    pub content: Bytes,
    /// The buffers; `None` if they were too large.
    pub buffers: Option<Vec<Bytes>>,
}

/// The stored parts of a message, in little memory.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredParts {
    message: StoredMessage,
    /// False if the buffers are not kept.
    buffers: bool,
}

impl StoredParts {
    /// Shares a message; without the buffers, it copies the rest, if they exceed `max_buffers` bytes.
    pub fn of(message: &StoredMessage, max_buffers: usize) -> Self {
        if message.buffer_bytes() > max_buffers {
            return Self::copy(&message.to_raw(), max_buffers);
        }
        Self {
            message: message.clone(),
            buffers: true,
        }
    }

    /// Copies a message, so that the record does not keep the memory it was received into; without
    /// the buffers if they exceed `max_buffers` bytes.
    pub fn copy(message: &RawMessage, max_buffers: usize) -> Self {
        let buffers: usize = message.buffers.iter().map(Bytes::len).sum();
        let buffers = (buffers <= max_buffers).then(|| message.buffers.clone());
        Self::from(MessageParts {
            header: message.header.clone(),
            metadata: message.metadata.clone(),
            content: message.content.clone(),
            buffers,
        })
    }

    /// The parts; without the buffers unless they are wanted.
    pub fn parts(&self, buffers: bool) -> MessageParts {
        let message = self.message.to_raw();
        MessageParts {
            header: message.header,
            metadata: message.metadata,
            content: message.content,
            buffers: (buffers && self.buffers).then_some(message.buffers),
        }
    }

    /// Replaces references in buffers by copies of the data; without the buffers if they then
    /// exceed `max_buffers` bytes. A reference that cannot be opened is kept, although its reader
    /// cannot open it either.
    pub fn resolve(&mut self, resolve: fn(Payload) -> io::Result<Bytes>, max_buffers: usize) {
        let refers = |buffer: &Bytes| Payload::read(buffer.clone()).segment().is_some();
        let mut parts = self.parts(true);
        let Some(buffers) = &mut parts.buffers else {
            return;
        };
        if !buffers.iter().any(refers) {
            return;
        }
        for buffer in buffers.iter_mut().filter(|buffer| refers(buffer)) {
            let resolved = resolve(Payload::read(buffer.clone()));
            *buffer = resolved.unwrap_or_else(|_| buffer.clone());
        }
        if buffers.iter().map(Bytes::len).sum::<usize>() > max_buffers {
            parts.buffers = None;
        }
        *self = Self::from(parts);
    }

    /// The memory they take, in bytes.
    pub fn size(&self) -> usize {
        self.message.size()
    }
}

impl From<MessageParts> for StoredParts {
    /// Copies the parts to memory of their own.
    fn from(parts: MessageParts) -> Self {
        let message = RawMessage {
            identities: Vec::new(),
            signature: Bytes::new(),
            header: parts.header,
            parent_header: Bytes::new(),
            metadata: parts.metadata,
            content: parts.content,
            buffers: parts.buffers.iter().flatten().cloned().collect(),
        };
        Self {
            message: StoredMessage::copy(&message),
            buffers: parts.buffers.is_some(),
        }
    }
}

impl MessageParts {
    fn size(&self) -> usize {
        let buffers = self.buffers.iter().flatten().map(Bytes::len).sum::<usize>();
        self.header.len() + self.metadata.len() + self.content.len() + buffers
    }
}

/// The part of an engine's publication for a task that is recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum PublishedOutput {
    /// The source.
    Input(String),
    /// Text on stdout.
    Stdout(String),
    /// Text on stderr.
    Stderr(String),
    /// The value: the content of the message.
    Result(Value),
    /// The failure: the content of the message.
    Error(Value),
}

impl PublishedOutput {
    /// Adds it to a task's output.
    pub fn add_to(self, output: &mut TaskOutput) {
        match self {
            Self::Input(code) => output.execute_input = Some(code),
            Self::Stdout(text) => append(&mut output.stdout, &text),
            Self::Stderr(text) => append(&mut output.stderr, &text),
            Self::Result(content) => output.execute_result = Some(content),
            Self::Error(content) => output.error = Some(content),
        }
    }
}

/// The size of a task's output, in bytes.
pub(super) fn output_size(output: &TaskOutput) -> usize {
    let values = [&output.execute_result, &output.error];
    let values = values.into_iter().flatten();
    output.stdout.len()
        + output.stderr.len()
        + output.execute_input.as_ref().map_or(0, String::len)
        + values.map(|value| value.to_string().len()).sum::<usize>()
}

/// A key of a record, and a column of the database (`hub.py`, `empty_record`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKey {
    MsgId,
    Header,
    Metadata,
    Content,
    Buffers,
    Submitted,
    ClientUuid,
    EngineUuid,
    Started,
    Completed,
    Resubmitted,
    Received,
    ResultHeader,
    ResultMetadata,
    ResultContent,
    ResultBuffers,
    Queue,
    ExecuteInput,
    ExecuteResult,
    Error,
    Stdout,
    Stderr,
    Label,
}

impl RecordKey {
    /// All keys, in ipyparallel's order.
    pub const ALL: [Self; 23] = [
        Self::MsgId,
        Self::Header,
        Self::Metadata,
        Self::Content,
        Self::Buffers,
        Self::Submitted,
        Self::ClientUuid,
        Self::EngineUuid,
        Self::Started,
        Self::Completed,
        Self::Resubmitted,
        Self::Received,
        Self::ResultHeader,
        Self::ResultMetadata,
        Self::ResultContent,
        Self::ResultBuffers,
        Self::Queue,
        Self::ExecuteInput,
        Self::ExecuteResult,
        Self::Error,
        Self::Stdout,
        Self::Stderr,
        Self::Label,
    ];

    /// The name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MsgId => "msg_id",
            Self::Header => "header",
            Self::Metadata => "metadata",
            Self::Content => "content",
            Self::Buffers => "buffers",
            Self::Submitted => "submitted",
            Self::ClientUuid => "client_uuid",
            Self::EngineUuid => "engine_uuid",
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Resubmitted => "resubmitted",
            Self::Received => "received",
            Self::ResultHeader => "result_header",
            Self::ResultMetadata => "result_metadata",
            Self::ResultContent => "result_content",
            Self::ResultBuffers => "result_buffers",
            Self::Queue => "queue",
            Self::ExecuteInput => "execute_input",
            Self::ExecuteResult => "execute_result",
            Self::Error => "error",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Label => "label",
        }
    }

    /// The key with this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.as_str() == name)
    }

    /// Returns true if its values are dates, and are compared as such.
    pub fn is_date(self) -> bool {
        matches!(
            self,
            Self::Submitted | Self::Started | Self::Completed | Self::Received
        )
    }
}

impl TaskRecord {
    /// The size in bytes.
    pub fn size(&self) -> usize {
        OVERHEAD
            + self.request.size()
            + self.reply.as_ref().map_or(0, MessageParts::size)
            + output_size(&self.output)
    }

    /// The value of a key; null for buffers, which are sent apart from the JSON.
    pub fn field(&self, id: &MsgId, key: RecordKey) -> Value {
        let reply = self.reply.as_ref();
        let result =
            |part: fn(&MessageParts) -> &Bytes| reply.map_or(Value::Null, |r| json(part(r)));
        match key {
            RecordKey::MsgId => json!(id),
            RecordKey::Header => json(&self.request.header),
            RecordKey::Metadata => json(&self.request.metadata),
            RecordKey::Content => json(&self.request.content),
            RecordKey::Buffers | RecordKey::ResultBuffers => Value::Null,
            RecordKey::Submitted => member(&self.request.header, "date"),
            RecordKey::ClientUuid => member(&self.request.header, "session"),
            RecordKey::EngineUuid => json!(self.engine),
            RecordKey::Started => reply.map_or(Value::Null, |r| member(&r.metadata, "started")),
            RecordKey::Completed => reply.map_or(Value::Null, |r| member(&r.header, "date")),
            RecordKey::Resubmitted => json!(self.resubmitted),
            RecordKey::Received => json!(self.received.as_ref().map(date::to_text)),
            RecordKey::ResultHeader => result(|reply| &reply.header),
            RecordKey::ResultMetadata => result(|reply| &reply.metadata),
            RecordKey::ResultContent => result(|reply| &reply.content),
            RecordKey::Queue => json!(self.queue.map(Queue::as_str)),
            RecordKey::ExecuteInput => json!(self.output.execute_input),
            RecordKey::ExecuteResult => json!(self.output.execute_result),
            RecordKey::Error => json!(self.output.error),
            RecordKey::Stdout => json!(self.output.stdout),
            RecordKey::Stderr => json!(self.output.stderr),
            RecordKey::Label => member(&self.request.metadata, "label"),
        }
    }
}

fn json(bytes: &Bytes) -> Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}

fn member(bytes: &Bytes, name: &str) -> Value {
    json(bytes)
        .get_mut(name)
        .map(Value::take)
        .unwrap_or_default()
}

fn append(kept: &mut String, text: &str) {
    if kept.len() > MAX_TEXT {
        return;
    }
    let room = MAX_TEXT - kept.len();
    if text.len() <= room {
        kept.push_str(text);
    } else {
        kept.push_str(&text[..text.floor_char_boundary(room)]);
        kept.push_str("\n[the rest is not kept]\n");
        // Slightly beyond the limit, so that no more text is added after this.
        while kept.len() <= MAX_TEXT {
            kept.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_transport::SigningKey;

    #[test]
    fn a_stored_copy_has_the_parts_without_large_buffers() {
        let parts = ["{\"a\":1}", "", "{}", "c"].map(|part| Bytes::from_static(part.as_bytes()));
        let buffers = vec![Bytes::from_static(b"12"), Bytes::from_static(b"3")];
        let message = RawMessage::sign(vec![], parts, buffers.clone(), &SigningKey::sha256(""));
        let copy = StoredParts::copy(&message, 3).parts(true);
        assert_eq!(
            (copy.header.as_ref(), copy.content.as_ref()),
            (&b"{\"a\":1}"[..], &b"c"[..])
        );
        assert_eq!(copy.buffers, Some(buffers));
        assert_eq!(StoredParts::copy(&message, 3).parts(false).buffers, None);
        assert_eq!(StoredParts::copy(&message, 2).parts(true).buffers, None);
        let shared = StoredParts::of(&StoredMessage::new(message), 2);
        assert_eq!(shared.parts(true).buffers, None);
        assert_eq!(shared.parts(true).content, "c");
    }

    #[test]
    fn text_is_truncated_at_a_limit_with_a_note() {
        let mut output = TaskOutput::default();
        for _ in 0..3 {
            PublishedOutput::Stdout("é".repeat(MAX_TEXT / 3)).add_to(&mut output);
        }
        let text = &output.stdout;
        assert!(
            text.contains("not kept") && text.len() < MAX_TEXT + 100,
            "{}",
            text.len()
        );
    }

    #[test]
    fn every_key_is_parsed_from_its_name() {
        for key in RecordKey::ALL {
            assert_eq!(RecordKey::of(key.as_str()), Some(key));
        }
        assert_eq!(RecordKey::of("nonsense"), None);
    }
}
