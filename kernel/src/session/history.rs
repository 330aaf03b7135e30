//! What was run in this session, in memory.

use phalanx_protocol::jupyter::{HistoryEntry, HistoryReply, HistoryRequest};

/// The cells of this session that asked to be remembered.
#[derive(Debug, Default)]
pub struct History {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    count: usize,
    source: String,
    result: Option<String>,
}

/// The session that is going on; there are no others.
const SESSION: usize = 1;

impl History {
    /// Remembers a cell.
    pub fn add(&mut self, count: usize, source: String) {
        self.entries.push(Entry {
            count,
            source,
            result: None,
        });
    }

    /// Remembers the value of a cell that was added.
    pub fn set_result(&mut self, count: usize, result: String) {
        if let Some(entry) = self.entries.iter_mut().rfind(|entry| entry.count == count) {
            entry.result = Some(result);
        }
    }

    /// Answers a request.
    pub fn answer(&self, request: &HistoryRequest) -> HistoryReply {
        let (chosen, output): (Vec<&Entry>, bool) = match request {
            HistoryRequest::Tail { n, output, .. } => (self.last(*n, |_| true), *output),
            HistoryRequest::Range {
                session,
                start,
                stop,
                output,
                ..
            } => {
                let here = matches!(session, None | Some(0)) || *session == Some(SESSION as i32);
                let start = usize::try_from(*start).unwrap_or(0);
                let stop = usize::try_from(*stop).ok().filter(|stop| *stop > 0);
                let within = |entry: &&Entry| {
                    here && entry.count >= start && stop.is_none_or(|stop| entry.count < stop)
                };
                (self.entries.iter().filter(within).collect(), *output)
            }
            HistoryRequest::Search {
                pattern,
                unique,
                output,
                n,
                ..
            } => {
                let n = if *n > 0 { *n } else { i32::MAX };
                let found = |entry: &Entry| glob(pattern, &entry.source);
                let mut chosen = self.last(if *unique { i32::MAX } else { n }, found);
                if *unique {
                    // The last of each source stays.
                    let mut seen = std::collections::HashSet::new();
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

    fn last(&self, n: i32, chosen: impl Fn(&Entry) -> bool) -> Vec<&Entry> {
        let n = usize::try_from(n).unwrap_or(0);
        let mut last: Vec<&Entry> = self
            .entries
            .iter()
            .rev()
            .filter(|entry| chosen(entry))
            .take(n)
            .collect();
        last.reverse();
        last
    }
}

impl Entry {
    fn shown(&self, output: bool) -> HistoryEntry {
        let source = self.source.clone();
        if output {
            let result = self.result.clone().unwrap_or_default();
            HistoryEntry::InputOutput(SESSION, self.count, (source, result))
        } else {
            HistoryEntry::Input(SESSION, self.count, source)
        }
    }
}

/// Whether a text matches a pattern of `*` (anything) and `?` (one character), as a whole.
fn glob(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where to go on after the last `*`, should what follows it not fit.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    p = after;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(request: &str) -> String {
        let mut history = History::default();
        for (at, source) in ["a", "b1", "b2", "a", "b1"].iter().enumerate() {
            history.add(at + 1, (*source).to_owned());
        }
        history.set_result(3, "two".into());
        let request = serde_json::from_str(request).unwrap();
        serde_json::to_string(&history.answer(&request).history).unwrap()
    }

    #[test]
    fn all_three_ways_of_asking_are_answered() {
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
        ] {
            assert_eq!(answer(request), expected, "{request}");
        }
    }
}
