//! Replies to the three kinds of `history_request`.

use phalanx_protocol::glob::Glob;
use phalanx_protocol::jupyter::{HistoryEntry, HistoryReply, HistoryRequest};
use std::collections::HashSet;

/// A cell in the history.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RecordedCell {
    /// The session's number; the first is 1.
    pub(super) session: usize,
    /// The execution count, the number in `In[n]`.
    pub(super) line: usize,
    pub(super) source: String,
    pub(super) result: Option<String>,
}

/// Replies to a request made in session `current`, from entries in order of execution.
pub(super) fn reply(
    entries: &[RecordedCell],
    current: usize,
    request: &HistoryRequest,
) -> HistoryReply {
    let (chosen, output): (Vec<&RecordedCell>, bool) = match request {
        HistoryRequest::Tail { n, output, .. } => (last(entries, *n, |_| true), *output),
        HistoryRequest::Range {
            session,
            start,
            stop,
            output,
            ..
        } => {
            let session = numbered(session.unwrap_or(0), current);
            let start = usize::try_from(*start).unwrap_or(0);
            let stop = usize::try_from(*stop).ok().filter(|stop| *stop > 0);
            let within = |entry: &&RecordedCell| {
                Some(entry.session) == session
                    && entry.line >= start
                    && stop.is_none_or(|stop| entry.line < stop)
            };
            (entries.iter().filter(within).collect(), *output)
        }
        HistoryRequest::Search {
            pattern,
            unique,
            output,
            n,
            ..
        } => {
            let n = if *n > 0 { *n } else { i32::MAX };
            let found = |entry: &RecordedCell| Glob::Sqlite.matches(pattern, &entry.source);
            let mut chosen = last(entries, if *unique { i32::MAX } else { n }, found);
            if *unique {
                // The last entry of each source is kept.
                let mut seen = HashSet::new();
                chosen.reverse();
                chosen.retain(|entry| seen.insert(&entry.source));
                chosen.truncate(usize::try_from(n).unwrap_or(0));
                chosen.reverse();
            }
            (chosen, *output)
        }
    };
    HistoryReply::new(chosen.iter().map(|entry| entry.shown(output)).collect())
}

/// Resolves the session number of a request: 0 is the current session, -1 the previous one.
fn numbered(session: i32, current: usize) -> Option<usize> {
    if session > 0 {
        return usize::try_from(session).ok();
    }
    current.checked_add_signed(isize::try_from(session).ok()?)
}

fn last(
    entries: &[RecordedCell],
    n: i32,
    chosen: impl Fn(&RecordedCell) -> bool,
) -> Vec<&RecordedCell> {
    let n = usize::try_from(n).unwrap_or(0);
    let newest = entries.iter().rev().filter(|entry| chosen(entry));
    let mut last: Vec<&RecordedCell> = newest.take(n).collect();
    last.reverse();
    last
}

impl RecordedCell {
    fn shown(&self, output: bool) -> HistoryEntry {
        let source = self.source.clone();
        if output {
            let result = self.result.clone().unwrap_or_default();
            HistoryEntry::InputOutput(self.session, self.line, (source, result))
        } else {
            HistoryEntry::Input(self.session, self.line, source)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(request: &str) -> String {
        let mut entries: Vec<RecordedCell> = ["a", "b1", "b2", "a", "b1"]
            .iter()
            .enumerate()
            .map(|(at, source)| RecordedCell {
                session: 1,
                line: at + 1,
                source: (*source).to_owned(),
                result: None,
            })
            .collect();
        entries[2].result = Some("two".to_owned());
        let request = serde_json::from_str(request).unwrap();
        serde_json::to_string(&super::reply(&entries, 1, &request).history).unwrap()
    }

    #[test]
    fn tail_range_and_search_requests_get_their_replies() {
        for (request, expected) in [
            (
                r#"{"hist_access_type":"tail","n":2,"output":false,"raw":true}"#,
                r#"[[1,4,"a"],[1,5,"b1"]]"#,
            ),
            (
                r#"{"hist_access_type":"range","session":0,"start":2,"stop":4,"output":true,"raw":true}"#,
                r#"[[1,2,["b1",""]],[1,3,["b2","two"]]]"#,
            ),
            (
                r#"{"hist_access_type":"range","session":-1,"start":0,"stop":0,"output":false,"raw":true}"#,
                "[]",
            ),
            (
                r#"{"hist_access_type":"search","pattern":"b*","unique":false,"output":false,"raw":true,"n":2}"#,
                r#"[[1,3,"b2"],[1,5,"b1"]]"#,
            ),
            (
                r#"{"hist_access_type":"search","pattern":"*","unique":true,"output":false,"raw":true,"n":9}"#,
                r#"[[1,3,"b2"],[1,4,"a"],[1,5,"b1"]]"#,
            ),
            (
                r#"{"hist_access_type":"search","pattern":"?","unique":false,"output":false,"raw":true,"n":9}"#,
                r#"[[1,1,"a"],[1,4,"a"]]"#,
            ),
            (
                r#"{"hist_access_type":"search","pattern":"[^a]","unique":false,"output":false,"raw":true,"n":9}"#,
                "[]",
            ),
            (
                r#"{"hist_access_type":"search","pattern":"*[2-3]","unique":false,"output":false,"raw":true,"n":9}"#,
                r#"[[1,3,"b2"]]"#,
            ),
        ] {
            assert_eq!(reply(request), expected, "{request}");
        }
    }
}
