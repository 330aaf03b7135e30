//! The loader's error messages, rewritten to name what is missing on this machine.

/// The loader's message for a missing library, after the library's name.
const MISSING: &str = ": cannot open shared object file";

/// The loader's message for a library that is older than the one used for linking: `version X' not
/// found`.
const VERSION: (&str, &str) = ("version `", "' not found");

/// Rewrites the loader's message in terms of this machine.
pub(super) fn explain(message: &str) -> String {
    let host = phalanx_sys::machine::host_name();
    if let Some((library, _)) = message.split_once(MISSING) {
        return format!(
            "the machine {host} has no library `{library}`, which a dependency of this cell needs; \
             install it there ({message})"
        );
    }
    let version = message.split_once(VERSION.0).map(|(_, rest)| rest);
    if let Some((version, _)) = version.and_then(|rest| rest.split_once(VERSION.1)) {
        return format!(
            "the machine {host} has an older system than the one that compiled this cell: it has no \
             `{version}` ({message})"
        );
    }
    message.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_libraries_and_symbols_are_reported() {
        let missing = "libgröße.so.3: cannot open shared object file: No such file or directory";
        assert!(explain(missing).contains("no library `libgröße.so.3`"));
        let old =
            "/lib/libc.so.6: version `GLIBC_2.99' not found (required by /x/libphalanx_set.so)";
        assert!(explain(old).contains("no `GLIBC_2.99`"));
        assert_eq!(explain("file too short"), "file too short");
    }
}
