//! The place of a function that engines call, whatever its types.

use super::codec::{Parts, Write};
use super::trampoline;
use crate::Error;
use crate::opaque::opaque;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::native::Trampoline;
use std::fmt;
use std::path::{Path, PathBuf};

opaque! {
    /// A function in a library that engines can load, with what it captures.
    #[doc(hidden)]
    pub struct Located of Location
}
opaque!(@clone Located);

opaque! {
    /// The captures of a function, if they could be serialised.
    #[doc(hidden)]
    pub struct Captures of Result<Parts, Error>
}

impl Captures {
    #[inline(never)]
    pub(super) fn none() -> Self {
        Self::hold(Ok(Parts::default()))
    }

    /// The value of that type that is written so.
    #[inline(never)]
    pub(super) fn of(type_name: &str, write: &Write<'_>) -> Self {
        Self::hold(Parts::written(type_name, write))
    }
}

/// The content of [`Located`].
#[doc(hidden)]
#[derive(Clone)]
pub struct Location {
    name: String,
    artifact: PathBuf,
    /// The places of its trampolines: for one call, and for many items.
    single: Option<u64>,
    many: Option<u64>,
    captures: Parts,
}

impl Located {
    /// A function of that name that is called once.
    #[inline(never)]
    pub(super) fn single(name: &str, single: Trampoline) -> Result<Self, Error> {
        Self::find(name, Some(single), None, Parts::default())
    }

    /// A function that is called for items.
    #[inline(never)]
    pub(super) fn many(name: &str, many: Trampoline) -> Result<Self, Error> {
        Self::find(name, None, Some(many), Parts::default())
    }

    /// A function that is called in either way.
    #[inline(never)]
    pub(super) fn both(
        name: &str,
        single: Trampoline,
        many: Trampoline,
        captures: Captures,
    ) -> Result<Self, Error> {
        Self::find(name, Some(single), Some(many), captures.release()?)
    }

    fn find(
        name: &str,
        single: Option<Trampoline>,
        many: Option<Trampoline>,
        captures: Parts,
    ) -> Result<Self, Error> {
        let single = single.map(trampoline::locate).transpose()?;
        let many = many.map(trampoline::locate).transpose()?;
        let place = |found: &Option<(PathBuf, u64)>| found.as_ref().map(|(_, place)| *place);
        let (singly, manifold) = (place(&single), place(&many));
        let (artifact, _) = single.or(many).ok_or_else(not_so)?;
        Ok(Self::hold(Location {
            name: short(name),
            artifact,
            single: singly,
            many: manifold,
            captures,
        }))
    }

    #[inline(never)]
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    #[inline(never)]
    pub(super) fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<Function {}>", self.name)
    }
}

impl Location {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn artifact(&self) -> &Path {
        &self.artifact
    }

    pub(crate) fn captures(&self) -> &Parts {
        &self.captures
    }

    /// Returns the place of the trampoline for one call.
    pub(crate) fn place(&self) -> Result<u64, Error> {
        self.single.ok_or_else(not_so)
    }

    /// Returns the place of the trampoline for items.
    pub(crate) fn place_for_items(&self) -> Result<u64, Error> {
        self.many.ok_or_else(not_so)
    }
}

fn not_so() -> Error {
    Error::new(Failure::Usage {
        message: "this function is not called in this way".to_owned(),
        hint: None,
    })
}

/// `ctx::sleep_here` as `sleep_here`; closures have no name.
fn short(name: &str) -> String {
    if name.contains("{{closure}}") {
        return "<closure>".to_owned();
    }
    let path = name.split('<').next().unwrap_or(name);
    path.rsplit("::").next().unwrap_or(path).to_owned()
}
