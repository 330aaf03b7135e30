//! Rate-limited warnings.

/// Logs a warning that a peer can cause at any rate: a few times in ten seconds, then with the
/// number of those suppressed. Has the arguments of `tracing::warn!`.
#[macro_export]
macro_rules! warn_rarely {
    ($($field:tt)*) => {{
        static THROTTLE: $crate::Throttle = $crate::Throttle::new();
        if let Some(unsaid) = THROTTLE.pass() {
            ::tracing::warn!(unsaid, $($field)*);
        }
    }};
}
