//! Warnings of what peers do.

/// Warns of what a peer can cause as often as it likes: a few times in ten seconds, after that with how
/// often it was left unsaid. Takes what `tracing::warn!` takes.
#[macro_export]
macro_rules! warn_rarely {
    ($($field:tt)*) => {{
        static THROTTLE: $crate::Throttle = $crate::Throttle::new();
        if let Some(unsaid) = THROTTLE.pass() {
            ::tracing::warn!(unsaid, $($field)*);
        }
    }};
}
