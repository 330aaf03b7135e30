//! The location of a function that engines call, independent of its types.

use super::trampoline;
use crate::Error;
use crate::codec::{Parts, Write};
use crate::error::LibraryError;
use crate::opaque::opaque;
use phalanx_protocol::native::Trampoline;
use std::fmt;
use std::path::{Path, PathBuf};

opaque! {
    /// A function in a library that engines can load, with its captures.
    #[doc(hidden)]
    pub struct Located of FunctionLocation
}
opaque!(@clone Located);

opaque! {
    /// The serialized captures of a function, or the error.
    #[doc(hidden)]
    pub struct Captures of Result<Parts, Error>
}

impl Captures {
    #[inline(never)]
    pub(super) fn none() -> Self {
        Self::wrap(Ok(Parts::default()))
    }

    /// Serializes captures of type `type_name` by `write`.
    #[inline(never)]
    pub(super) fn of(type_name: &str, write: &Write<'_>) -> Self {
        Self::wrap(Parts::written(type_name, write))
    }
}

/// The content of [`Located`].
#[doc(hidden)]
#[derive(Clone)]
pub struct FunctionLocation {
    name: String,
    artifact: PathBuf,
    /// The offset of the trampoline for single calls.
    single: Option<u64>,
    many: Option<u64>,
    captures: Parts,
}

impl Located {
    /// Locates a function that is called once.
    #[inline(never)]
    pub(super) fn single(name: &str, single: Trampoline) -> Result<Self, Error> {
        Self::find(name, Some(single), None, Parts::default())
    }

    /// Locates a function that is called for a list of items.
    #[inline(never)]
    pub(super) fn many(name: &str, many: Trampoline) -> Result<Self, Error> {
        Self::find(name, None, Some(many), Parts::default())
    }

    /// Locates a function that is called either way.
    #[inline(never)]
    pub(super) fn both(
        name: &str,
        single: Trampoline,
        many: Trampoline,
        captures: Captures,
    ) -> Result<Self, Error> {
        Self::find(name, Some(single), Some(many), captures.into_content()?)
    }

    fn find(
        name: &str,
        single: Option<Trampoline>,
        many: Option<Trampoline>,
        captures: Parts,
    ) -> Result<Self, Error> {
        let single = single.map(trampoline::locate).transpose()?;
        let many = many.map(trampoline::locate).transpose()?;
        let offset =
            |location: &Option<(PathBuf, u64)>| location.as_ref().map(|(_, offset)| *offset);
        let (singly, manifold) = (offset(&single), offset(&many));
        let (artifact, _) = single.or(many).ok_or(LibraryError::OtherCall)?;
        Ok(Self::wrap(FunctionLocation {
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

impl FunctionLocation {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn artifact(&self) -> &Path {
        &self.artifact
    }

    pub(crate) fn captures(&self) -> &Parts {
        &self.captures
    }

    /// Returns the offset of the trampoline for single calls.
    pub(crate) fn offset(&self) -> Result<u64, Error> {
        self.single.ok_or_else(|| LibraryError::OtherCall.into())
    }

    /// Returns the offset of the trampoline for lists of items.
    pub(crate) fn offset_for_items(&self) -> Result<u64, Error> {
        self.many.ok_or_else(|| LibraryError::OtherCall.into())
    }
}

/// Shortens `notebook::sleep_here` to `sleep_here`; closures have no name.
fn short(name: &str) -> String {
    if name.contains("{{closure}}") {
        return "<closure>".to_owned();
    }
    let path = name.split('<').next().unwrap_or(name);
    path.rsplit("::").next().unwrap_or(path).to_owned()
}
