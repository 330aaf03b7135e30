//! Records in an SQLite database, kept by a thread of its own, so that no disk is waited for.

use super::{Answer, Change, Filter, Found, Parts, Query, Queue, Record, Ticket};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use phalanx_protocol::date;
use phalanx_protocol::id::{EngineUuid, MsgId};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};

/// The bytes of a message's buffers that are kept; SQLite's own limit is four times this.
pub(super) const MOST: usize = 256 << 20;
/// Bytes that may wait for the disk before nothing new is taken.
const BACKLOG: usize = 64 << 20;
/// Changes that become durable at once.
const TRANSACTION: usize = 10_000;
/// How long another process that holds the database is waited for.
const BUSY: Duration = Duration::from_secs(5);
/// Of the tables below, in the database's header.
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

/// The columns before the buffers, in the order `read` has them.
const COLUMNS: &str = "msg_id, engine_uuid, queue, resubmitted, received, execute_input,
    execute_result, error, stdout, stderr, header, metadata, content, result_header,
    result_metadata, result_content";

/// A database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be made.
    #[error("cannot open {}: {error}", .path.display())]
    File {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// SQLite says no.
    #[error("cannot use the database {}: {error}", .path.display())]
    Database {
        /// Where it is.
        path: PathBuf,
        /// Why.
        error: rusqlite::Error,
    },
    /// It is not one of ours.
    #[error("the database {} is of version {version}, not {VERSION}: move it away", .path.display())]
    Version {
        /// Where it is.
        path: PathBuf,
        /// What its header says.
        version: i64,
    },
}

/// The handle on the thread that keeps the records.
#[derive(Debug)]
pub struct Sqlite {
    /// Unbounded, since the backlog's bytes are counted and looked at.
    orders: std::sync::mpsc::Sender<Order>,
    answers: mpsc::UnboundedReceiver<(Ticket, Answer)>,
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
enum Order {
    Change(Change, usize),
    Ask(Ticket, Query),
}

impl Sqlite {
    /// Opens a database, or makes one of mode 0600. Tasks it has as unanswered are answered: the
    /// controller that had them is gone. `unanswered` makes the answer.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn open(path: &Path, unanswered: impl Fn(&MsgId) -> Parts) -> Result<Self, OpenError> {
        let refused = |error| OpenError::File {
            path: path.to_owned(),
            error,
        };
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
        let mut database = Database::open(path).map_err(failed)?;
        let version = database.version().map_err(failed)?;
        if version != VERSION {
            return Err(OpenError::Version {
                path: path.to_owned(),
                version,
            });
        }
        database.answer_all(unanswered).map_err(failed)?;
        let (orders, received) = std::sync::mpsc::channel();
        // Unbounded: one answer for each question.
        let (answer, answers) = mpsc::unbounded_channel();
        let backlog = Arc::new(Backlog::default());
        let (ending, ended) = oneshot::channel();
        let counted = backlog.clone();
        // Ends when the handle is dropped, after all orders.
        let thread = std::thread::Builder::new().name("phalanx-tasks-db".to_owned());
        let thread = thread.spawn(move || {
            database.serve(&received, &answer, &counted);
            drop(database);
            // Nobody may be waiting for it.
            let _ = ending.send(());
        });
        thread.map_err(refused)?;
        Ok(Self {
            orders,
            answers,
            backlog,
            ended,
        })
    }

    pub fn change(&mut self, change: Change) {
        let size = size(&change);
        self.backlog.bytes.fetch_add(size, Ordering::AcqRel);
        // The thread lives as long as the handle.
        let _ = self.orders.send(Order::Change(change, size));
    }

    pub fn ask(&mut self, ticket: Ticket, query: Query) {
        // As above.
        let _ = self.orders.send(Order::Ask(ticket, query));
    }

    pub async fn next(&mut self) -> Option<(Ticket, Answer)> {
        let full = !self.has_room();
        let freed = self.backlog.freed.notified();
        tokio::select! {
            Some(answer) = self.answers.recv() => Some(answer),
            // Noticed even if it happened after the look above.
            () = async { if self.backlog.full() { freed.await } }, if full => None,
            else => std::future::pending().await,
        }
    }

    pub fn has_room(&self) -> bool {
        !self.backlog.full()
    }

    pub async fn close(self) {
        drop(self.orders);
        // An error means that the thread is gone.
        let _ = self.ended.await;
    }
}

fn size(change: &Change) -> usize {
    const LITTLE: usize = 256;
    let parts = |parts: &Parts| {
        let buffers = parts
            .buffers
            .iter()
            .flatten()
            .map(Bytes::len)
            .sum::<usize>();
        parts.header.len() + parts.metadata.len() + parts.content.len() + buffers
    };
    LITTLE
        + match change {
            Change::Submitted(_, record) => record.size(),
            Change::Replied { reply, .. } => parts(reply),
            Change::Published(
                _,
                super::Published::Stdout(text) | super::Published::Stderr(text),
            ) => text.len(),
            _ => 0,
        }
}

struct Database {
    connection: Connection,
}

impl Database {
    fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        let empty: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if empty == 0 {
            connection.execute_batch(TABLES)?;
            connection.pragma_update(None, "user_version", VERSION)?;
        }
        Ok(Self { connection })
    }

    fn version(&self) -> rusqlite::Result<i64> {
        self.connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
    }

    fn answer_all(&mut self, unanswered: impl Fn(&MsgId) -> Parts) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        let ids: Vec<String> = transaction
            .prepare("SELECT msg_id FROM tasks WHERE result_header IS NULL")?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for id in ids {
            let id = MsgId::new(id);
            let reply = unanswered(&id);
            write(
                &transaction,
                Change::Replied {
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
        orders: &std::sync::mpsc::Receiver<Order>,
        answers: &mpsc::UnboundedSender<(Ticket, Answer)>,
        backlog: &Backlog,
    ) {
        while let Ok(first) = orders.recv() {
            let mut next = Some(first);
            let mut done = 0;
            let mut run = || -> rusqlite::Result<()> {
                let transaction = self.connection.transaction()?;
                let mut count = 0;
                while let Some(order) = next.take() {
                    match order {
                        Order::Change(change, size) => {
                            done += size;
                            if let Err(error) = write(&transaction, change) {
                                tracing::warn!(%error, "a task's record is not kept");
                            }
                        }
                        Order::Ask(ticket, query) => {
                            let answer = answer(&transaction, query)
                                .unwrap_or_else(|error| Answer::Failed(error.to_string()));
                            // The server may be ending.
                            let _ = answers.send((ticket, answer));
                        }
                    }
                    count += 1;
                    if count < TRANSACTION {
                        next = orders.try_recv().ok();
                    }
                }
                transaction.commit()
            };
            if let Err(error) = run() {
                tracing::error!(%error, "records are not kept");
            }
            backlog.bytes.fetch_sub(done, Ordering::AcqRel);
            backlog.freed.notify_waiters();
        }
    }
}

fn write(database: &Connection, change: Change) -> rusqlite::Result<()> {
    match change {
        Change::Submitted(id, record) => {
            let Record {
                request,
                engine,
                queue,
                ..
            } = *record;
            database
                .prepare_cached(
                    "INSERT OR REPLACE INTO tasks (msg_id, engine_uuid, queue, stdout, stderr,
                     header, metadata, content, buffers) VALUES (?, ?, ?, '', '', ?, ?, ?, ?)",
                )?
                .execute(params![
                    id.as_str(),
                    engine.as_ref().map(EngineUuid::as_str),
                    queue.map(Queue::as_str),
                    &request.header[..],
                    &request.metadata[..],
                    &request.content[..],
                    packed(request.buffers.as_deref()),
                ])?;
        }
        Change::Assigned(id, engine) => {
            database
                .prepare_cached("UPDATE tasks SET engine_uuid = ? WHERE msg_id = ?")?
                .execute([engine.as_str(), id.as_str()])?;
        }
        Change::Replied {
            id,
            engine,
            reply,
            received,
        } => {
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
        Change::Published(id, published) => {
            // Through the record, which knows how much of it is kept.
            let Some((id, mut record)) = one(database, &id)? else {
                return Ok(());
            };
            record.publish(published);
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
        Change::Resubmitted(old, new) => {
            database
                .prepare_cached("UPDATE tasks SET resubmitted = ? WHERE msg_id = ?")?
                .execute([new.as_str(), old.as_str()])?;
        }
    }
    Ok(())
}

fn answer(database: &Connection, query: Query) -> rusqlite::Result<Answer> {
    Ok(match query {
        Query::History => {
            let mut all = database.prepare_cached("SELECT msg_id FROM tasks ORDER BY place")?;
            let ids = all.query_map([], |row| row.get::<_, String>(0).map(MsgId::new))?;
            Answer::History(ids.collect::<rusqlite::Result<_>>()?)
        }
        Query::Find { filter, buffers } => {
            let mut found = Found::default();
            matching(database, &filter, buffers, |id, record| {
                found.push(id, record)
            })?;
            found.answer()
        }
        Query::Purge(filters) => {
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
            Answer::Purged
        }
    })
}

/// Hands each record that matches to `take`, until it says that it wants no more.
fn matching(
    database: &Connection,
    filter: &Filter,
    buffers: bool,
    mut take: impl FnMut(MsgId, Record) -> bool,
) -> rusqlite::Result<()> {
    let mut offer = |database: &Connection, row: &Row<'_>| -> rusqlite::Result<bool> {
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
    if let Some(ids) = filter.named() {
        let mut of =
            database.prepare_cached(&format!("SELECT {COLUMNS} FROM tasks WHERE msg_id = ?"))?;
        for id in ids {
            let mut rows = of.query([id.as_str()])?;
            if let Some(row) = rows.next()?
                && !offer(database, row)?
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
        if !offer(database, row)? {
            break;
        }
    }
    Ok(())
}

fn one(database: &Connection, id: &MsgId) -> rusqlite::Result<Option<(MsgId, Record)>> {
    database
        .prepare_cached(&format!("SELECT {COLUMNS} FROM tasks WHERE msg_id = ?"))?
        .query_row([id.as_str()], read)
        .optional()
}

/// A record without its buffers, of a row of [`COLUMNS`].
fn read(row: &Row<'_>) -> rusqlite::Result<(MsgId, Record)> {
    let text = |place: usize| row.get::<_, Option<String>>(place);
    let bytes = |place: usize| {
        row.get::<_, Option<Vec<u8>>>(place)
            .map(|b| b.map(Bytes::from))
    };
    let value = |place: usize| {
        let text = row.get::<_, Option<String>>(place)?;
        Ok::<_, rusqlite::Error>(text.and_then(|text| serde_json::from_str(&text).ok()))
    };
    let parts = |place: usize| -> rusqlite::Result<Option<Parts>> {
        let Some(header) = bytes(place)? else {
            return Ok(None);
        };
        Ok(Some(Parts {
            header,
            metadata: bytes(place + 1)?.unwrap_or_default(),
            content: bytes(place + 2)?.unwrap_or_default(),
            buffers: None,
        }))
    };
    let record = Record {
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

/// Buffers as one blob: each its length (eight bytes, big endian), then its bytes.
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
mod tests {
    use super::super::Published;
    use super::*;
    use serde_json::{Value, json};

    fn parts(header: Value, buffers: &[&'static [u8]]) -> Parts {
        Parts {
            header: Bytes::from(header.to_string()),
            metadata: Bytes::from_static(b"{}"),
            content: Bytes::from_static(b"{\"status\":\"ok\"}"),
            buffers: Some(buffers.iter().map(|b| Bytes::from_static(b)).collect()),
        }
    }

    fn unanswered(id: &MsgId) -> Parts {
        parts(json!({"date": "2026-11-21T00:00:00Z", "lost": id}), &[])
    }

    async fn ask(store: &mut Sqlite, query: Query) -> Answer {
        store.ask(Ticket(7), query);
        loop {
            if let Some((ticket, answer)) = store.next().await {
                assert_eq!(ticket, Ticket(7));
                return answer;
            }
        }
    }

    async fn records(store: &mut Sqlite, query: Value) -> Vec<(MsgId, Record)> {
        let filter = Filter::parse(query.as_object().unwrap()).unwrap();
        let buffers = true;
        match ask(store, Query::Find { filter, buffers }).await {
            Answer::Records(records) => records,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn records_outlive_their_controller_and_nothing_stays_pending() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tasks.db");
        let engine = EngineUuid::new("e");
        let [done, lost] = ["done", "lost"].map(MsgId::new);
        let mut store = Sqlite::open(&path, unanswered).unwrap();
        for (id, label) in [(&done, "mine"), (&lost, "yours")] {
            let mut request = parts(json!({"date": "2026-11-20T00:00:00Z"}), &[b"a", b"", b"bc"]);
            request.metadata = Bytes::from(json!({"label": label}).to_string());
            let record = Record::new(request, None, Queue::Task);
            store.change(Change::Submitted(id.clone(), Box::new(record)));
            store.change(Change::Assigned(id.clone(), engine.clone()));
        }
        store.change(Change::Published(
            done.clone(),
            Published::Stdout("sa".to_owned()),
        ));
        store.change(Change::Published(
            done.clone(),
            Published::Stdout("id".to_owned()),
        ));
        store.change(Change::Published(
            done.clone(),
            Published::Result(json!({"data": 1})),
        ));
        store.change(Change::Replied {
            id: done.clone(),
            engine: Some(engine.clone()),
            reply: parts(json!({"date": "2026-11-20T00:00:01Z"}), &[b"result"]),
            received: chrono::Utc::now(),
        });
        store.change(Change::Resubmitted(done.clone(), lost.clone()));
        let before = records(&mut store, json!({"completed": {"$ne": null}})).await;
        assert_eq!(before.len(), 1);
        store.close().await;

        let mut store = Sqlite::open(&path, unanswered).unwrap();
        assert_eq!(
            records(&mut store, json!({"label": {"$glob": "m*"}})).await,
            before
        );
        let (id, record) = &before[0];
        assert_eq!((id, record.engine.as_ref()), (&done, Some(&engine)));
        assert_eq!(record.output.stdout, "said");
        assert_eq!(record.request.buffers.as_ref().unwrap().len(), 3);
        assert_eq!(
            record.reply.as_ref().unwrap().buffers.as_ref().unwrap(),
            &["result"]
        );
        let found = records(&mut store, json!({"msg_id": "lost"})).await;
        assert!(found[0].1.reply.is_some(), "it is answered");
        assert_eq!(
            ask(&mut store, Query::History).await,
            Answer::History(vec![done.clone(), lost.clone()])
        );
        let purge = Query::Purge(vec![Filter::ended().by(&engine)]);
        assert_eq!(ask(&mut store, purge).await, Answer::Purged);
        assert_eq!(
            ask(&mut store, Query::History).await,
            Answer::History(vec![])
        );
        store.close().await;
    }

    #[tokio::test]
    async fn a_disk_that_does_not_keep_up_is_noticed_and_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Sqlite::open(&folder.path().join("tasks.db"), unanswered).unwrap();
        store.backlog.bytes.store(BACKLOG, Ordering::Release);
        assert!(!store.has_room());
        let counted = store.backlog.clone();
        {
            let waits = store.next();
            tokio::pin!(waits);
            tokio::select! {
                biased;
                answer = &mut waits => panic!("{answer:?}"),
                () = std::future::ready(()) => {}
            }
            counted.bytes.store(0, Ordering::Release);
            counted.freed.notify_waiters();
            assert_eq!(waits.await, None);
        }
        store.close().await;
    }

    #[test]
    fn what_is_no_database_of_ours_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tasks.db");
        std::fs::write(&path, "no database").unwrap();
        assert!(matches!(
            Sqlite::open(&path, unanswered),
            Err(OpenError::Database { .. })
        ));
        let other = folder.path().join("other.db");
        Connection::open(&other)
            .unwrap()
            .execute_batch("CREATE TABLE theirs (a)")
            .unwrap();
        assert!(matches!(
            Sqlite::open(&other, unanswered),
            Err(OpenError::Version { .. })
        ));
        let nowhere = folder.path().join("no/where.db");
        assert!(matches!(
            Sqlite::open(&nowhere, unanswered),
            Err(OpenError::File { .. })
        ));
    }
}
