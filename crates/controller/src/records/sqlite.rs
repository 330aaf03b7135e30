//! Records in an SQLite database, on a thread of its own, so that the server never waits for a
//! disk.

use super::{
    Filter, FoundRecords, MessageParts, QueryTicket, Queue, RecordAnswer, RecordChange,
    RecordQuery, TaskRecord,
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use phalanx_protocol::date;
use phalanx_protocol::id::{EngineUuid, MsgId};
use phalanx_transport::warn_rarely;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};

/// The maximum size in bytes of the buffers kept of a message; SQLite's own limit is four times
/// this.
pub(super) const MAX_BUFFER_BYTES: usize = 256 << 20;
/// The maximum size in bytes of changes waiting to be written; beyond it, no new ones are accepted.
const BACKLOG: usize = 64 << 20;
/// The maximum number of changes per transaction.
const TRANSACTION: usize = 10_000;
/// The time to wait for another process that has locked the database.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// The version of the tables below, stored in the database's header.
const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS tasks (
        place INTEGER PRIMARY KEY,
        msg_id TEXT NOT NULL UNIQUE,
        engine_uuid TEXT, queue TEXT, resubmitted TEXT, received TEXT,
        execute_input TEXT, execute_result TEXT, error TEXT,
        stdout TEXT NOT NULL, stderr TEXT NOT NULL,
        header BLOB, metadata BLOB, content BLOB,
        result_header BLOB, result_metadata BLOB, result_content BLOB,
        buffers BLOB, result_buffers BLOB
    );";

/// The columns before the buffers, in the order that `read` expects.
const COLUMNS: &str = "msg_id, engine_uuid, queue, resubmitted, received, execute_input,
    execute_result, error, stdout, stderr, header, metadata, content, result_header,
    result_metadata, result_content";

/// The reason why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be created.
    #[error("cannot open {}: {error}", .path.display())]
    File {
        /// The path.
        path: PathBuf,
        /// The reason.
        error: std::io::Error,
    },
    /// SQLite returned an error.
    #[error("cannot use the database {}: {error}", .path.display())]
    Database {
        /// The path of the database.
        path: PathBuf,
        /// The reason.
        error: rusqlite::Error,
    },
    /// The database has a different version.
    #[error("the database {} is of version {version}, not {VERSION}: move it away", .path.display())]
    Version {
        /// The path of the database.
        path: PathBuf,
        /// The version in its header.
        version: i64,
    },
}

/// The handle on the thread that writes the records.
#[derive(Debug)]
pub struct Sqlite {
    /// Unbounded, since the backlog is limited by its size in bytes.
    requests: std::sync::mpsc::Sender<SqliteRequest>,
    answers: mpsc::UnboundedReceiver<(QueryTicket, RecordAnswer)>,
    backlog: Arc<Backlog>,
    ended: oneshot::Receiver<()>,
}

#[derive(Debug, Default)]
struct Backlog {
    bytes: AtomicUsize,
    freed: Notify,
}

impl Backlog {
    fn full(&self) -> bool {
        self.bytes.load(Ordering::Acquire) >= BACKLOG
    }
}

#[derive(Debug)]
enum SqliteRequest {
    Change(RecordChange, usize),
    Ask(QueryTicket, RecordQuery),
}

impl Sqlite {
    /// Opens a database, or creates one with mode 0600. Pending tasks in it are completed with a
    /// reply made by `lost_reply`, since their controller no longer exists.
    ///
    /// # Errors
    /// [`OpenError`] if the file or the database cannot be opened.
    pub fn open(
        path: &Path,
        lost_reply: impl Fn(&MsgId) -> MessageParts,
    ) -> Result<Self, OpenError> {
        let refused = |error| OpenError::File {
            path: path.to_owned(),
            error,
        };
        // A new profile does not have the folder yet.
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(refused)?;
        }
        let mut file = OpenOptions::new();
        file.create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600);
        drop(file.open(path).map_err(refused)?);
        let failed = |error| OpenError::Database {
            path: path.to_owned(),
            error,
        };
        let mut database = SqliteConnection::open(path).map_err(failed)?;
        let version = database.version().map_err(failed)?;
        if version != VERSION {
            return Err(OpenError::Version {
                path: path.to_owned(),
                version,
            });
        }
        database.reply_to_all(lost_reply).map_err(failed)?;
        let (requests, received) = std::sync::mpsc::channel();
        // Unbounded: one answer per query.
        let (answer, answers) = mpsc::unbounded_channel();
        let backlog = Arc::new(Backlog::default());
        let (ending, ended) = oneshot::channel();
        let counted = backlog.clone();
        // Ends when the handle is dropped, after all requests have been performed.
        let thread = std::thread::Builder::new().name("phalanx-tasks-db".to_owned());
        let thread = thread.spawn(move || {
            database.serve(&received, &answer, &counted);
            drop(database);
            // The receiver may be gone.
            let _ = ending.send(());
        });
        thread.map_err(refused)?;
        Ok(Self {
            requests,
            answers,
            backlog,
            ended,
        })
    }

    pub fn change(&mut self, change: RecordChange) {
        let size = size(&change);
        self.backlog.bytes.fetch_add(size, Ordering::AcqRel);
        // The thread lives as long as the handle.
        let _ = self.requests.send(SqliteRequest::Change(change, size));
    }

    pub fn ask(&mut self, ticket: QueryTicket, query: RecordQuery) {
        // As above.
        let _ = self.requests.send(SqliteRequest::Ask(ticket, query));
    }

    pub async fn next(&mut self) -> Option<(QueryTicket, RecordAnswer)> {
        let full = !self.has_room();
        let freed = self.backlog.freed.notified();
        tokio::select! {
            Some(answer) = self.answers.recv() => Some(answer),
            // Also completes if space was freed after the check above.
            () = async { if self.backlog.full() { freed.await } }, if full => None,
            else => std::future::pending().await,
        }
    }

    pub fn has_room(&self) -> bool {
        !self.backlog.full()
    }

    pub async fn close(self) {
        drop(self.requests);
        // An error means that the thread has ended.
        let _ = self.ended.await;
    }
}

fn size(change: &RecordChange) -> usize {
    const OVERHEAD: usize = 256;
    OVERHEAD
        + match change {
            RecordChange::Submitted(_, task) => task.request.size(),
            RecordChange::Replied { reply, .. } => reply.size(),
            RecordChange::Published(
                _,
                super::PublishedOutput::Stdout(text) | super::PublishedOutput::Stderr(text),
            ) => text.len(),
            _ => 0,
        }
}

struct SqliteConnection {
    connection: Connection,
    /// The reason why the latest changes could not be stored, such as a full disk.
    unkept: Option<String>,
}

impl SqliteConnection {
    fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(LOCK_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        let empty: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if empty == 0 {
            connection.execute_batch(TABLES)?;
            connection.pragma_update(None, "user_version", VERSION)?;
        }
        Ok(Self {
            connection,
            unkept: None,
        })
    }

    fn version(&self) -> rusqlite::Result<i64> {
        self.connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
    }

    fn reply_to_all(
        &mut self,
        lost_reply: impl Fn(&MsgId) -> MessageParts,
    ) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        let ids: Vec<String> = transaction
            .prepare("SELECT msg_id FROM tasks WHERE result_header IS NULL")?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for id in ids {
            let id = MsgId::new(id);
            let reply = lost_reply(&id).into();
            write(
                &transaction,
                RecordChange::Replied {
                    id,
                    engine: None,
                    reply,
                    received: chrono::Utc::now(),
                },
            )?;
        }
        transaction.commit()
    }

    fn serve(
        &mut self,
        requests: &std::sync::mpsc::Receiver<SqliteRequest>,
        answers: &mpsc::UnboundedSender<(QueryTicket, RecordAnswer)>,
        backlog: &Backlog,
    ) {
        while let Ok(first) = requests.recv() {
            let rest = std::iter::from_fn(|| requests.try_recv().ok());
            let batch: Vec<_> = std::iter::once(first)
                .chain(rest.take(TRANSACTION - 1))
                .collect();
            let done = batch.iter().map(|request| match request {
                SqliteRequest::Change(_, size) => *size,
                SqliteRequest::Ask(..) => 0,
            });
            let done: usize = done.sum();
            for answer in self.perform(batch) {
                // The server may be shutting down.
                let _ = answers.send(answer);
            }
            backlog.bytes.fetch_sub(done, Ordering::AcqRel);
            backlog.freed.notify_waiters();
        }
    }

    /// Stores changes and answers queries, in order. An answer is sent only after the changes that
    /// it depends on are stored.
    fn perform(&mut self, batch: Vec<SqliteRequest>) -> Vec<(QueryTicket, RecordAnswer)> {
        let questions = batch.iter().filter_map(|request| match request {
            SqliteRequest::Ask(ticket, query) => Some((*ticket, query.clone())),
            SqliteRequest::Change(..) => None,
        });
        let questions: Vec<_> = questions.collect();
        let changes = batch.len() > questions.len();
        match self.transact(batch) {
            Ok(answers) => {
                if changes {
                    self.unkept = None;
                }
                answers
            }
            Err(error) => {
                tracing::error!(%error, "records are not kept");
                let error = error.to_string();
                self.unkept = Some(error.clone());
                // Answers from the stored records only.
                let anew = |(ticket, query)| (ticket, self.answer_without(query, &error));
                questions.into_iter().map(anew).collect()
            }
        }
    }

    fn transact(
        &mut self,
        batch: Vec<SqliteRequest>,
    ) -> rusqlite::Result<Vec<(QueryTicket, RecordAnswer)>> {
        let transaction = self.connection.transaction()?;
        let mut answers = Vec::new();
        for request in batch {
            match request {
                SqliteRequest::Change(change, _) => match write(&transaction, change) {
                    Ok(()) => {}
                    // Later changes could not be stored either.
                    Err(error) if is_full(&error) => return Err(error),
                    Err(error) => warn_rarely!(%error, "a task's record is not kept"),
                },
                SqliteRequest::Ask(ticket, query) => {
                    let answer = match answer(&transaction, query.clone()) {
                        Ok(answer) => checked(&query, answer, self.unkept.as_deref()),
                        Err(error) if is_full(&error) => return Err(error),
                        Err(error) => RecordAnswer::Failed(error.to_string()),
                    };
                    answers.push((ticket, answer));
                }
            }
        }
        transaction.commit()?;
        Ok(answers)
    }

    /// Answers a query while changes cannot be stored.
    fn answer_without(&self, query: RecordQuery, error: &str) -> RecordAnswer {
        if let RecordQuery::Purge(_) = query {
            return RecordAnswer::Failed(format!("no record is deleted: {error}"));
        }
        match answer(&self.connection, query.clone()) {
            Ok(answer) => checked(&query, answer, Some(error)),
            Err(error) => RecordAnswer::Failed(error.to_string()),
        }
    }
}

/// Replaces an answer that would report tasks as missing whose records could not be stored.
fn checked(query: &RecordQuery, answer: RecordAnswer, unkept: Option<&str>) -> RecordAnswer {
    if let (RecordQuery::Find { filter, .. }, RecordAnswer::Records(records), Some(error)) =
        (query, &answer, unkept)
        && filter
            .named()
            .is_some_and(|(named, _)| named.len() > records.len())
    {
        return RecordAnswer::Failed(format!("the records of some tasks are not kept: {error}"));
    }
    answer
}

fn is_full(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(
        code,
        Some(rusqlite::ErrorCode::DiskFull | rusqlite::ErrorCode::SystemIoFailure)
    )
}

fn write(database: &Connection, change: RecordChange) -> rusqlite::Result<()> {
    match change {
        RecordChange::Submitted(id, task) => {
            let request = task.request.parts(true);
            database
                .prepare_cached(
                    "INSERT OR REPLACE INTO tasks (msg_id, engine_uuid, queue, stdout, stderr,
                     header, metadata, content, buffers) VALUES (?, ?, ?, '', '', ?, ?, ?, ?)",
                )?
                .execute(params![
                    id.as_str(),
                    task.engine.as_ref().map(EngineUuid::as_str),
                    task.queue.as_str(),
                    &request.header[..],
                    &request.metadata[..],
                    &request.content[..],
                    packed(request.buffers.as_deref()),
                ])?;
        }
        RecordChange::Assigned(id, engine) => {
            database
                .prepare_cached("UPDATE tasks SET engine_uuid = ? WHERE msg_id = ?")?
                .execute([engine.as_str(), id.as_str()])?;
        }
        RecordChange::Replied {
            id,
            engine,
            reply,
            received,
        } => {
            let reply = reply.parts(true);
            database
                .prepare_cached(
                    "UPDATE tasks SET engine_uuid = coalesce(?, engine_uuid), received = ?,
                     result_header = ?, result_metadata = ?, result_content = ?,
                     result_buffers = ? WHERE msg_id = ?",
                )?
                .execute(params![
                    engine.as_ref().map(EngineUuid::as_str),
                    date::to_text(&received),
                    &reply.header[..],
                    &reply.metadata[..],
                    &reply.content[..],
                    packed(reply.buffers.as_deref()),
                    id.as_str(),
                ])?;
        }
        RecordChange::Published(id, published) => {
            // Applied through the record, which enforces the limits.
            let Some((id, mut record)) = one(database, &id)? else {
                return Ok(());
            };
            published.add_to(&mut record.output);
            let output = record.output;
            let json = |value: Option<serde_json::Value>| value.map(|value| value.to_string());
            database
                .prepare_cached(
                    "UPDATE tasks SET execute_input = ?, execute_result = ?, error = ?,
                     stdout = ?, stderr = ? WHERE msg_id = ?",
                )?
                .execute(params![
                    output.execute_input,
                    json(output.execute_result),
                    json(output.error),
                    output.stdout,
                    output.stderr,
                    id.as_str(),
                ])?;
        }
        RecordChange::Resubmitted(old, new) => {
            database
                .prepare_cached("UPDATE tasks SET resubmitted = ? WHERE msg_id = ?")?
                .execute([new.as_str(), old.as_str()])?;
        }
    }
    Ok(())
}

fn answer(database: &Connection, query: RecordQuery) -> rusqlite::Result<RecordAnswer> {
    Ok(match query {
        RecordQuery::History => {
            let mut all = database.prepare_cached("SELECT msg_id FROM tasks ORDER BY place")?;
            let ids = all.query_map([], |row| row.get::<_, String>(0).map(MsgId::new))?;
            RecordAnswer::History(ids.collect::<rusqlite::Result<_>>()?)
        }
        RecordQuery::Find { filter, buffers } => {
            let mut found = FoundRecords::default();
            matching(database, &filter, buffers, |id, record| {
                found.push(id, record)
            })?;
            found.answer()
        }
        RecordQuery::Purge(filters) => {
            let mut ids = Vec::new();
            for filter in filters {
                matching(database, &filter, false, |id, _| {
                    ids.push(id);
                    true
                })?;
            }
            for id in ids {
                database
                    .prepare_cached("DELETE FROM tasks WHERE msg_id = ?")?
                    .execute([id.as_str()])?;
            }
            RecordAnswer::Purged
        }
    })
}

/// Passes each matching record to `take`, until that returns false.
fn matching(
    database: &Connection,
    filter: &Filter,
    buffers: bool,
    mut take: impl FnMut(MsgId, TaskRecord) -> bool,
) -> rusqlite::Result<()> {
    let mut offer = |filter: &Filter, row: &Row<'_>| -> rusqlite::Result<bool> {
        let (id, mut record) = read(row)?;
        if !filter.matches(&id, &record) {
            return Ok(true);
        }
        if buffers {
            let mut both = database
                .prepare_cached("SELECT buffers, result_buffers FROM tasks WHERE msg_id = ?")?;
            let (request, reply) = both.query_row([id.as_str()], |row| {
                Ok((unpacked(row.get(0)?), unpacked(row.get(1)?)))
            })?;
            record.request.buffers = request;
            record
                .reply
                .iter_mut()
                .for_each(|parts| parts.buffers = reply.clone());
        }
        Ok(take(id, record))
    };
    if let Some((ids, others)) = filter.named() {
        let mut of =
            database.prepare_cached(&format!("SELECT {COLUMNS} FROM tasks WHERE msg_id = ?"))?;
        for id in ids {
            let mut rows = of.query([id.as_str()])?;
            if let Some(row) = rows.next()?
                && !offer(&others, row)?
            {
                break;
            }
        }
        return Ok(());
    }
    let mut all =
        database.prepare_cached(&format!("SELECT {COLUMNS} FROM tasks ORDER BY place"))?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        if !offer(filter, row)? {
            break;
        }
    }
    Ok(())
}

fn one(database: &Connection, id: &MsgId) -> rusqlite::Result<Option<(MsgId, TaskRecord)>> {
    database
        .prepare_cached(&format!("SELECT {COLUMNS} FROM tasks WHERE msg_id = ?"))?
        .query_row([id.as_str()], read)
        .optional()
}

/// Reads a record without its buffers from a row of [`COLUMNS`].
fn read(row: &Row<'_>) -> rusqlite::Result<(MsgId, TaskRecord)> {
    let text = |column: usize| row.get::<_, Option<String>>(column);
    let bytes = |column: usize| {
        row.get::<_, Option<Vec<u8>>>(column)
            .map(|b| b.map(Bytes::from))
    };
    let value = |column: usize| {
        let text = row.get::<_, Option<String>>(column)?;
        Ok::<_, rusqlite::Error>(text.and_then(|text| serde_json::from_str(&text).ok()))
    };
    let parts = |column: usize| -> rusqlite::Result<Option<MessageParts>> {
        let Some(header) = bytes(column)? else {
            return Ok(None);
        };
        Ok(Some(MessageParts {
            header,
            metadata: bytes(column + 1)?.unwrap_or_default(),
            content: bytes(column + 2)?.unwrap_or_default(),
            buffers: None,
        }))
    };
    let record = TaskRecord {
        engine: text(1)?.map(EngineUuid::new),
        queue: text(2)?.and_then(|name| Queue::of(&name)),
        resubmitted: text(3)?.map(MsgId::new),
        received: text(4)?.and_then(|date| date.parse().ok()),
        output: phalanx_protocol::parallel::TaskOutput {
            execute_input: text(5)?,
            execute_result: value(6)?,
            error: value(7)?,
            stdout: text(8)?.unwrap_or_default(),
            stderr: text(9)?.unwrap_or_default(),
        },
        request: parts(10)?.unwrap_or_default(),
        reply: parts(13)?,
    };
    Ok((MsgId::new(row.get::<_, String>(0)?), record))
}

/// Encodes buffers as one blob: for each its length (eight bytes, big endian), then its bytes.
fn packed(buffers: Option<&[Bytes]>) -> Option<Vec<u8>> {
    let buffers = buffers?;
    let mut blob = Vec::with_capacity(buffers.iter().map(|buffer| 8 + buffer.len()).sum());
    for buffer in buffers {
        blob.put_u64(buffer.len() as u64);
        blob.put_slice(buffer);
    }
    Some(blob)
}

fn unpacked(blob: Option<Vec<u8>>) -> Option<Vec<Bytes>> {
    let mut rest = BytesMut::from(Bytes::from(blob?));
    let mut buffers = Vec::new();
    while rest.len() >= 8 {
        let length = usize::try_from(rest.get_u64()).ok()?;
        if length > rest.len() {
            return None;
        }
        buffers.push(rest.split_to(length).freeze());
    }
    Some(buffers)
}

#[cfg(test)]
mod tests;
