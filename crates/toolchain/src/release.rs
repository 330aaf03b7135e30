//! Releases of Rust, and those that are supported.

use std::fmt;

/// A release of Rust, such as `1.95`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ToolchainRelease {
    major: u32,
    minor: u32,
}

impl ToolchainRelease {
    /// The oldest release that compiles cells.
    pub const OLDEST: Self = Self::new(1, 95);

    /// The newest release whose standard library is known to be supported by the built-in
    /// rust-analyzer.
    pub const NEWEST_TESTED: Self = Self::new(1, 95);

    /// Creates a release from its numbers.
    #[must_use]
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// Parses the release in the output of `rustc --version`; `None` if there is none.
    #[must_use]
    pub fn of_rustc(version: &str) -> Option<Self> {
        let mut numbers = version.split_whitespace().nth(1)?.split('.');
        let mut number = || numbers.next()?.parse().ok();
        Some(Self::new(number()?, number()?))
    }
}

impl fmt::Display for ToolchainRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
