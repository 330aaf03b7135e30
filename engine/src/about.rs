//! The engine's handshake: its artifacts, machine and C library.

use phalanx_protocol::id::{ArtifactHash, StateId};
use phalanx_protocol::parallel::EngineHandshake;
use phalanx_sys::machine::host_name;

/// Returns the handshake of an engine that has not run anything.
pub(crate) fn handshake(artifacts: Vec<ArtifactHash>) -> EngineHandshake {
    EngineHandshake {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: host_name(),
        target: target(),
        libc: libc(),
        rustc: None,
        artifacts,
        state: StateId::empty(),
    }
}

fn target() -> String {
    let env = if cfg!(target_env = "musl") {
        "musl"
    } else {
        "gnu"
    };
    format!("{}-unknown-linux-{env}", std::env::consts::ARCH)
}

/// Returns the C library, such as `gnu 2.36`, or `gnu` if its version is unknown.
fn libc() -> String {
    let kind = if cfg!(target_env = "musl") {
        "musl"
    } else {
        "gnu"
    };
    match gnu_version() {
        Some(version) => format!("{kind} {version}"),
        None => kind.to_owned(),
    }
}

/// Finds the version in the mapped C library's file: `GNU C Library … release version 2.36.`
fn gnu_version() -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let path = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5))
        .find(|path| {
            path.rsplit('/')
                .next()
                .is_some_and(|name| name.starts_with("libc.so"))
        })?;
    let bytes = std::fs::read(path).ok()?;
    let mark = b"release version ";
    let at = bytes
        .windows(mark.len())
        .position(|window| window == mark)?
        + mark.len();
    let version: String = bytes[at..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit() || **byte == b'.')
        .map(|&byte| char::from(byte))
        .collect();
    Some(version.trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_described() {
        let about = handshake(Vec::new());
        assert!(!about.host.is_empty());
        assert!(about.target.contains("linux"));
        assert!(about.libc.starts_with("gnu 2."), "{}", about.libc);
    }
}
