//! The machines on which engines are started, and their shares.

use phalanx_protocol::id::EngineId;
use serde::Deserialize;
use std::str::FromStr;

/// A machine, as an argument of `ssh`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Host {
    /// A name, possibly from `ssh`'s configuration, or `user@name`.
    pub name: String,
    /// The number of engines; 1 if not given.
    pub engines: usize,
}

/// The error of text that is not a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a host: `NAME`, `USER@NAME` or, with a number of engines, `NAME:4`")]
pub struct HostError(String);

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let refused = || HostError(text.to_owned());
        let (name, engines) = match text.split_once(':') {
            None => (text, 1),
            Some((name, count)) => match count.parse() {
                Ok(count @ 1..) => (name, count),
                _ => return Err(refused()),
            },
        };
        // `ssh` would parse it as an option.
        if name.is_empty() || name.starts_with('-') || name.contains(char::is_whitespace) {
            return Err(refused());
        }
        Ok(Self {
            name: name.to_owned(),
            engines,
        })
    }
}

impl TryFrom<String> for Host {
    type Error = HostError;

    fn try_from(text: String) -> Result<Self, HostError> {
        text.parse()
    }
}

/// Distributes engines over hosts in proportion to their numbers of engines.
pub fn shares<'a>(hosts: &'a [Host], ids: &[EngineId]) -> Vec<(&'a Host, Vec<EngineId>)> {
    let mut counts = vec![0_usize; hosts.len()];
    for _ in ids {
        // The host with the lowest ratio of engines to its number; the first one of equals.
        let emptiest = (0..hosts.len()).min_by(|a, b| {
            let part = |at: usize| counts[at] * hosts[if at == *a { *b } else { *a }].engines;
            part(*a).cmp(&part(*b))
        });
        if let Some(emptiest) = emptiest {
            counts[emptiest] += 1;
        }
    }
    let mut ids = ids.iter().copied();
    let shares = hosts.iter().zip(counts).filter(|(_, count)| *count > 0);
    shares
        .map(|(host, count)| (host, ids.by_ref().take(count).collect()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_with_numbers() {
        let host = |text: &str| text.parse::<Host>();
        let expected = |name: &str, engines| {
            Ok(Host {
                name: name.to_owned(),
                engines,
            })
        };
        assert_eq!(host("node1"), expected("node1", 1));
        assert_eq!(host("me@node1:4"), expected("me@node1", 4));
        for text in [
            "",
            ":2",
            "node1:",
            "node1:0",
            "node1:x",
            "-oProxyCommand=x",
            "a b",
        ] {
            assert!(host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn engines_are_divided_among_hosts() {
        let hosts: Vec<Host> = ["a:2", "b", "c"].map(|host| host.parse().unwrap()).into();
        for (engines, expected) in [
            (1, vec![("a", vec![0])]),
            (3, vec![("a", vec![0]), ("b", vec![1]), ("c", vec![2])]),
            (4, vec![("a", vec![0, 1]), ("b", vec![2]), ("c", vec![3])]),
            (
                8,
                vec![
                    ("a", vec![0, 1, 2, 3]),
                    ("b", vec![4, 5]),
                    ("c", vec![6, 7]),
                ],
            ),
        ] {
            let ids: Vec<EngineId> = (0..engines).map(EngineId).collect();
            let shares = shares(&hosts, &ids);
            let shares: Vec<(&str, Vec<u32>)> = shares
                .iter()
                .map(|(host, ids)| (host.name.as_str(), ids.iter().map(|id| id.0).collect()))
                .collect();
            assert_eq!(shares, expected);
        }
    }
}
