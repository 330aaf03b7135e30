//! Addresses of sockets: TCP, Unix sockets, memory.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The address of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `tcp://host:port`; port 0 selects a free port.
    Tcp {
        /// The address or host name; IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// `ipc://path`.
    Ipc(PathBuf),
    /// `memory://name:port`, within this process; port 0 selects a free port.
    Memory {
        /// A name that separates independent groups of sockets.
        name: String,
        /// The port.
        port: u16,
    },
}

/// The error of text that is not an endpoint.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not an endpoint (tcp://host:port, ipc://path or memory://name:port)")]
pub struct EndpointError(String);

impl Endpoint {
    /// Returns the endpoint of a channel, from a connection file's interface and port.
    ///
    /// For `ipc` the port is a suffix of the path, as in ipyparallel and jupyter_client.
    ///
    /// # Errors
    /// Returns an error if the interface is malformed.
    pub fn of(interface: &str, port: u16) -> Result<Self, EndpointError> {
        match interface.strip_prefix("ipc://") {
            Some(path) => Ok(Self::Ipc(PathBuf::from(format!("{path}-{port}")))),
            None => format!("{interface}:{port}").parse(),
        }
    }

    /// Returns the port, if it has one.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp { port, .. } | Self::Memory { port, .. } => Some(*port),
            Self::Ipc(_) => None,
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let refused = || EndpointError(text.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(refused)?;
        if rest.is_empty() {
            return Err(refused());
        }
        if scheme == "ipc" {
            return Ok(Self::Ipc(PathBuf::from(rest)));
        }
        let (name, port) = rest.rsplit_once(':').ok_or_else(refused)?;
        let port = port.parse().map_err(|_| refused())?;
        match scheme {
            "tcp" => Ok(Self::Tcp {
                host: name.trim_matches(['[', ']']).to_owned(),
                port,
            }),
            "memory" => Ok(Self::Memory {
                name: name.to_owned(),
                port,
            }),
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Ipc(path) => write!(f, "ipc://{}", path.display()),
            Self::Memory { name, port } => write!(f, "memory://{name}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_written_as_they_are_read() {
        for text in [
            "tcp://127.0.0.1:80",
            "tcp://[::1]:0",
            "ipc:///tmp/a-1",
            "memory://test:3",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "tcp://",
            "tcp://127.0.0.1",
            "udp://a:1",
            "tcp://a:70000",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }

    #[test]
    fn ipc_ports_are_suffixes() {
        let endpoint = Endpoint::of("ipc:///tmp/kernel", 5).unwrap();
        assert_eq!(endpoint, Endpoint::Ipc("/tmp/kernel-5".into()));
    }
}
