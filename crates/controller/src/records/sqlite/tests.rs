//! A database used by several controllers, and on a full disk.

use super::super::{PublishedOutput, SubmittedTask};
use super::*;
use serde_json::{Value, json};

fn parts(header: Value, buffers: &[&'static [u8]]) -> MessageParts {
    MessageParts {
        header: Bytes::from(header.to_string()),
        metadata: Bytes::from_static(b"{}"),
        content: Bytes::from_static(b"{\"status\":\"ok\"}"),
        buffers: Some(buffers.iter().map(|b| Bytes::from_static(b)).collect()),
    }
}

fn submitted(id: &MsgId, request: MessageParts) -> RecordChange {
    let task = SubmittedTask {
        request: request.into(),
        engine: None,
        queue: Queue::Task,
    };
    RecordChange::Submitted(id.clone(), task)
}

fn lost_reply(id: &MsgId) -> MessageParts {
    parts(json!({"date": "2026-11-21T00:00:00Z", "lost": id}), &[])
}

async fn ask(store: &mut Sqlite, query: RecordQuery) -> RecordAnswer {
    store.ask(QueryTicket(7), query);
    loop {
        if let Some((ticket, answer)) = store.next().await {
            assert_eq!(ticket, QueryTicket(7));
            return answer;
        }
    }
}

async fn records(store: &mut Sqlite, query: Value) -> Vec<(MsgId, TaskRecord)> {
    let filter = Filter::parse(query.as_object().unwrap()).unwrap();
    let buffers = true;
    match ask(store, RecordQuery::Find { filter, buffers }).await {
        RecordAnswer::Records(records) => records,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn records_outlive_their_controller_and_no_task_stays_pending() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let engine = EngineUuid::new("e");
    let [done, lost] = ["done", "lost"].map(MsgId::new);
    let mut store = Sqlite::open(&path, lost_reply).unwrap();
    for (id, label) in [(&done, "mine"), (&lost, "yours")] {
        let mut request = parts(json!({"date": "2026-11-20T00:00:00Z"}), &[b"a", b"", b"bc"]);
        request.metadata = Bytes::from(json!({"label": label}).to_string());
        store.change(submitted(id, request));
        store.change(RecordChange::Assigned(id.clone(), engine.clone()));
    }
    store.change(RecordChange::Published(
        done.clone(),
        PublishedOutput::Stdout("sa".to_owned()),
    ));
    store.change(RecordChange::Published(
        done.clone(),
        PublishedOutput::Stdout("id".to_owned()),
    ));
    store.change(RecordChange::Published(
        done.clone(),
        PublishedOutput::Result(json!({"data": 1})),
    ));
    store.change(RecordChange::Replied {
        id: done.clone(),
        engine: Some(engine.clone()),
        reply: parts(json!({"date": "2026-11-20T00:00:01Z"}), &[b"result"]).into(),
        received: chrono::Utc::now(),
    });
    store.change(RecordChange::Resubmitted(done.clone(), lost.clone()));
    let before = records(&mut store, json!({"completed": {"$ne": null}})).await;
    assert_eq!(before.len(), 1);
    store.close().await;

    let mut store = Sqlite::open(&path, lost_reply).unwrap();
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
        ask(&mut store, RecordQuery::History).await,
        RecordAnswer::History(vec![done.clone(), lost.clone()])
    );
    let purge = RecordQuery::Purge(vec![Filter::ended().by(&engine)]);
    assert_eq!(ask(&mut store, purge).await, RecordAnswer::Purged);
    assert_eq!(
        ask(&mut store, RecordQuery::History).await,
        RecordAnswer::History(vec![])
    );
    store.close().await;
}

#[tokio::test]
async fn a_full_backlog_has_no_room_until_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(&folder.path().join("tasks.db"), lost_reply).unwrap();
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
fn foreign_files_and_databases_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    std::fs::write(&path, "no database").unwrap();
    assert!(matches!(
        Sqlite::open(&path, lost_reply),
        Err(OpenError::Database { .. })
    ));
    let other = folder.path().join("other.db");
    Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (a)")
        .unwrap();
    assert!(matches!(
        Sqlite::open(&other, lost_reply),
        Err(OpenError::Version { .. })
    ));
    // A file has the path of its folder, which is otherwise created.
    let nowhere = path.join("where.db");
    assert!(matches!(
        Sqlite::open(&nowhere, lost_reply),
        Err(OpenError::File { .. })
    ));
}

/// To SQLite, a database that must not grow behaves as one on a full disk.
#[test]
fn records_lost_to_a_full_disk_are_reported_as_missing() {
    let folder = tempfile::tempdir().unwrap();
    let mut database = SqliteConnection::open(&folder.path().join("tasks.db")).unwrap();
    let [kept, lost] = ["kept", "lost"].map(MsgId::new);
    let submit = |id: &MsgId, bytes: usize| {
        let mut request = parts(json!({"date": "2026-11-20T00:00:00Z"}), &[]);
        request.buffers = Some(vec![Bytes::from(vec![7; bytes])]);
        SqliteRequest::Change(submitted(id, request), 0)
    };
    let find = |id: &MsgId| {
        let filter = Filter::tasks(std::slice::from_ref(id));
        let buffers = false;
        SqliteRequest::Ask(QueryTicket(1), RecordQuery::Find { filter, buffers })
    };
    let found = |answers: Vec<(QueryTicket, RecordAnswer)>| match answers.into_iter().next() {
        Some((_, RecordAnswer::Records(records))) => Ok(records.len()),
        Some((_, RecordAnswer::Failed(why))) => Err(why),
        other => panic!("{other:?}"),
    };
    let asked = vec![submit(&kept, 10), find(&kept)];
    assert_eq!(found(database.perform(asked)), Ok(1));
    let limit = |database: &SqliteConnection, pages: i64| {
        let set = database
            .connection
            .pragma_update(None, "max_page_count", pages);
        set.unwrap();
    };
    limit(&database, 1);
    let asked = vec![submit(&lost, 1 << 20), find(&lost)];
    let why = found(database.perform(asked)).unwrap_err();
    assert!(why.contains("full"), "{why}");
    // Also later, while nothing can be stored; earlier records are still found.
    for _ in 0..2 {
        let why = found(database.perform(vec![find(&lost)])).unwrap_err();
        assert!(why.contains("full"), "{why}");
    }
    assert_eq!(found(database.perform(vec![find(&kept)])), Ok(1));
    limit(&database, 1 << 30);
    let asked = vec![submit(&lost, 1 << 20), find(&lost)];
    assert_eq!(found(database.perform(asked)), Ok(1));
}
