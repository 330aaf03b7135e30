//! The history: the cells of this session and of earlier ones.
//!
//! | file | contents |
//! |---|---|
//! | `reply.rs` | replies to the three kinds of request; pure |
//! | `file.rs` | the file shared by all sessions |

mod file;
mod reply;

use file::{HistoryFile, HistoryLine};
use phalanx_protocol::jupyter::{HistoryReply, HistoryRequest};
use reply::RecordedCell;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Path of the history file below the user's data folder.
const FILE: &str = "phalanx/history.jsonl";

/// A handle on the history's thread, which reads and writes the file.
#[derive(Debug)]
pub struct History {
    /// Unbounded: its rate is that of a user's cells.
    commands: mpsc::Sender<HistoryCommand>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum HistoryCommand {
    Add { count: usize, source: String },
    SetResult { count: usize, result: String },
    Reply(HistoryRequest, oneshot::Sender<HistoryReply>),
}

impl History {
    /// Opens the user's history; it is kept in memory alone if there is no data folder.
    pub fn open() -> Self {
        Self::at(dirs::data_dir().map(|folder| folder.join(FILE)))
    }

    fn at(path: Option<PathBuf>) -> Self {
        let (commands, received) = mpsc::channel();
        let mut keeper = HistoryThread {
            file: path.map(HistoryFile::new),
            session: None,
            entries: Vec::new(),
        };
        let thread = std::thread::Builder::new().name("history".to_owned());
        let thread = thread.spawn(move || {
            for command in received {
                keeper.handle(command);
            }
        });
        if let Err(error) = &thread {
            tracing::warn!(%error, "there is no history");
        }
        Self {
            commands,
            thread: thread.ok(),
        }
    }

    /// Adds a cell.
    pub fn add(&self, count: usize, source: String) {
        self.command(HistoryCommand::Add { count, source });
    }

    /// Sets the value of a cell added earlier.
    pub fn set_result(&self, count: usize, result: String) {
        self.command(HistoryCommand::SetResult { count, result });
    }

    /// Replies to a request, once all earlier additions are stored.
    pub fn reply(&self, request: HistoryRequest) -> impl Future<Output = HistoryReply> + use<> {
        let (reply, replied) = oneshot::channel();
        self.command(HistoryCommand::Reply(request, reply));
        async {
            replied
                .await
                .unwrap_or_else(|_| HistoryReply::new(Vec::new()))
        }
    }

    /// Waits until everything is written.
    pub async fn close(self) {
        drop(self.commands);
        if let Some(thread) = self.thread {
            // A thread that panicked has written all it could.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    fn command(&self, command: HistoryCommand) {
        // Without a thread nothing is stored, which has been logged.
        let _ = self.commands.send(command);
    }
}

/// The state of the thread.
struct HistoryThread {
    file: Option<HistoryFile>,
    /// The number of this session, assigned at its first write.
    session: Option<usize>,
    /// The cells of this session, kept even if the file cannot be written.
    entries: Vec<RecordedCell>,
}

impl HistoryThread {
    fn handle(&mut self, command: HistoryCommand) {
        match command {
            HistoryCommand::Add { count, source } => {
                self.write(|session| HistoryLine::source(session, count, &source));
                self.entries.push(RecordedCell {
                    session: self.session.unwrap_or(1),
                    line: count,
                    source,
                    result: None,
                });
            }
            HistoryCommand::SetResult { count, result } => {
                self.write(|session| HistoryLine::result(session, count, &result));
                let entry = self.entries.iter_mut().rfind(|entry| entry.line == count);
                if let Some(entry) = entry {
                    entry.result = Some(result);
                }
            }
            HistoryCommand::Reply(request, reply) => {
                // The receiver may have been dropped.
                let _ = reply.send(self.reply(&request));
            }
        }
    }

    fn reply(&self, request: &HistoryRequest) -> HistoryReply {
        let mut entries = self
            .file
            .as_ref()
            .map(HistoryFile::read)
            .unwrap_or_default();
        let session = self
            .session
            .unwrap_or_else(|| entries.iter().map(|entry| entry.session).max().unwrap_or(0) + 1);
        entries.retain(|entry| Some(entry.session) != self.session);
        entries.extend(self.entries.iter().cloned());
        reply::reply(&entries, session, request)
    }

    fn write<'a>(&mut self, record: impl FnOnce(usize) -> HistoryLine<'a>) {
        let Some(file) = &self.file else {
            self.session.get_or_insert(1);
            return;
        };
        if let Err(error) = file.append(&mut self.session, record) {
            tracing::warn!(%error, "the history is kept for this session only");
            self.file = None;
            self.session.get_or_insert(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    async fn reply_to(history: &History, request: &str) -> String {
        let request = serde_json::from_str(request).unwrap();
        serde_json::to_string(&history.reply(request).await.history).unwrap()
    }

    const TAIL: &str = r#"{"hist_access_type":"tail","n":9,"output":true,"raw":true}"#;

    #[tokio::test]
    async fn a_session_reads_those_before_it_and_concurrent_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("phalanx/history.jsonl");
        let first = History::at(Some(path.clone()));
        first.add(1, "one".into());
        first.set_result(1, "1".into());
        let second = History::at(Some(path.clone()));
        assert_eq!(reply_to(&first, TAIL).await, r#"[[1,1,["one","1"]]]"#);
        second.add(1, "two\n\"é".into());
        first.add(2, "three".into());
        // The reply implies that it is written.
        reply_to(&first, TAIL).await;
        assert_eq!(
            reply_to(&second, TAIL).await,
            r#"[[1,1,["one","1"]],[1,2,["three",""]],[2,1,["two\n\"é",""]]]"#,
            "what a session has run itself comes last"
        );
        let last_session = r#"{"hist_access_type":"range","session":-1,"start":1,"stop":2,"output":false,"raw":true}"#;
        assert_eq!(reply_to(&second, last_session).await, r#"[[1,1,"one"]]"#);
        first.close().await;
        second.close().await;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let third = History::at(Some(path));
        let session = r#"{"hist_access_type":"range","session":0,"start":1,"stop":2,"output":false,"raw":true}"#;
        assert_eq!(reply_to(&third, session).await, "[]");
        third.add(1, "four".into());
        assert_eq!(reply_to(&third, session).await, r#"[[3,1,"four"]]"#);
        third.close().await;
    }

    #[tokio::test]
    async fn without_a_writable_folder_the_session_is_kept_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("phalanx");
        std::fs::write(&taken, "a file, not a folder").unwrap();
        let history = History::at(Some(taken.join("history.jsonl")));
        history.add(1, "one".into());
        assert_eq!(reply_to(&history, TAIL).await, r#"[[1,1,["one",""]]]"#);
        history.close().await;
    }
}
