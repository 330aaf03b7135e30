//! The engines of a direct view, and the operations on them, independent of the types of values:
//! cells compile only calls of these functions.

use super::data::pushed_type;
use super::map::partition;
use super::submit::{Args, FunctionRequest};
use crate::Error;
use crate::async_result::{AsyncResultHandle, Successes};
use crate::codec::{Parts, ValueEncoder, Write};
use crate::error::{EncodeError, LibraryError};
use crate::function::{EncodedArgs, EncodedParts, Located, fetcher, receiver};
use crate::opaque::opaque;
use crate::requests;
use phalanx_protocol::apply::{ApplyPlacement, ClientRequest, PushedName};
use phalanx_protocol::id::EngineId;
use std::fmt;
use std::ops::Range;
use std::path::Path;

opaque! {
    /// The engines of a direct view.
    pub(super) struct EngineGroup of EngineGroupContent
}
opaque!(@clone EngineGroup);

/// The content of [`EngineGroup`].
#[derive(Clone)]
pub(super) struct EngineGroupContent {
    /// `None` for all engines that are live at each use.
    targets: Option<Vec<EngineId>>,
    label: Option<String>,
}

/// Serializes a range of items.
pub(super) type WriteRange<'a> =
    dyn Fn(Range<usize>, &mut ValueEncoder) -> Result<(), EncodeError> + 'a;

impl EngineGroup {
    #[inline(never)]
    pub(super) fn new(targets: Option<Vec<EngineId>>) -> Self {
        Self::wrap(EngineGroupContent {
            targets,
            label: None,
        })
    }

    #[inline(never)]
    pub(super) fn labelled(mut self, label: String) -> Self {
        self.label = Some(label);
        self
    }

    #[inline(never)]
    pub(super) fn chosen(&self) -> &Option<Vec<EngineId>> {
        &self.targets
    }

    pub(super) fn label(&self) -> Option<String> {
        self.label.clone()
    }

    /// Returns the engines, at least one.
    #[inline(never)]
    pub(super) fn targets(&self) -> Result<Vec<EngineId>, Error> {
        let targets = match &self.targets {
            Some(targets) => targets.clone(),
            None => requests::live_engines()?,
        };
        if targets.is_empty() {
            return Err(requests::no_engine());
        }
        Ok(targets)
    }

    fn request(&self, function: Located, args: Args) -> Result<FunctionRequest, Error> {
        Ok(FunctionRequest {
            function,
            placement: ApplyPlacement::Engines(self.targets()?),
            args,
            label: self.label.clone(),
            pushes: Vec::new(),
        })
    }

    /// Submits a call of a function to every engine.
    #[inline(never)]
    pub(super) fn submit(
        &self,
        function: Result<Located, Error>,
        args: EncodedArgs,
    ) -> Result<AsyncResultHandle, Error> {
        let args = Args::shared(args)?;
        self.request(function?, args)?.submit()
    }

    /// Calls a function on every engine, and waits for the values.
    #[inline(never)]
    pub(super) fn call(
        &self,
        function: Result<Located, Error>,
        args: EncodedArgs,
    ) -> Result<Successes, Error> {
        let args = Args::shared(args)?;
        self.request(function?, args)?.call()
    }

    /// Submits a call of a function of a list to every engine, each with its part of the list.
    #[inline(never)]
    pub(super) fn submit_parts(
        &self,
        function: &Located,
        count: usize,
        type_name: &str,
        write: &WriteRange<'_>,
    ) -> Result<AsyncResultHandle, Error> {
        let (engines, parts) = self.parts(count)?;
        if count == 0 {
            return Ok(AsyncResultHandle::of_ranges(Vec::new()));
        }
        let mut tasks = Vec::new();
        for part in parts {
            let mut args = EncodedParts::default();
            args.value(list(part, type_name, write)?);
            tasks.push(args);
        }
        let request = FunctionRequest {
            function: function.clone(),
            placement: ApplyPlacement::Engines(engines),
            args: Args::Each(tasks),
            label: None,
            pushes: Vec::new(),
        };
        request.submit()
    }

    /// Distributes items over the engines; engines without items are omitted.
    pub(super) fn parts(&self, items: usize) -> Result<(Vec<EngineId>, Vec<Range<usize>>), Error> {
        let mut engines = self.targets()?;
        let mut parts = partition(items, engines.len());
        parts.retain(|part| !part.is_empty());
        engines.truncate(parts.len());
        Ok((engines, parts))
    }

    /// Submits a value of type `type_name`, serialized by `write`, to be stored under a name.
    #[inline(never)]
    pub(super) fn push(
        &self,
        name: &str,
        type_name: &str,
        write: &Write<'_>,
    ) -> Result<AsyncResultHandle, Error> {
        let pushed = pushed_type(type_name);
        let parcel = parcel(name, &pushed, Parts::written(type_name, write)?)?;
        self.submit_value(name, pushed, Args::Shared(parcel))
    }

    /// Like [`push`](Self::push), and waits until all engines have stored it.
    #[inline(never)]
    pub(super) fn push_now(
        &self,
        name: &str,
        type_name: &str,
        write: &Write<'_>,
    ) -> Result<(), Error> {
        self.push(name, type_name, write)?.successes().map(drop)
    }

    /// Submits values of type `type_name`, to be stored under a name.
    pub(super) fn submit_value(
        &self,
        name: &str,
        type_name: String,
        args: Args,
    ) -> Result<AsyncResultHandle, Error> {
        let mut request = self.request(receiver()?, args)?;
        request.pushes.push(PushedName {
            name: name.to_owned(),
            type_name,
        });
        request.submit()
    }

    /// Requests the value of a name, of type `type_name`, from every engine.
    #[inline(never)]
    pub(super) fn pull(&self, name: &str, type_name: &str) -> Result<AsyncResultHandle, Error> {
        let mut args = EncodedParts::default();
        args.value(text(name)?);
        args.value(text(type_name)?);
        args.references.push(name.to_owned());
        self.request(fetcher()?, Args::Shared(args))?.submit()
    }

    /// Like [`pull`](Self::pull), and waits for the values.
    #[inline(never)]
    pub(super) fn pull_now(&self, name: &str, type_name: &str) -> Result<Successes, Error> {
        self.pull(name, type_name)?.successes()
    }

    /// Requests the lists that the live engines hold under a name.
    #[inline(never)]
    pub(super) fn gather(&self, name: &str, item: &str) -> Result<AsyncResultHandle, Error> {
        let engines = Self::new(Some(self.targets()?));
        engines.pull(name, &format!("alloc::vec::Vec<{item}>"))
    }

    /// Runs Rust source in the engines' namespaces, without waiting.
    #[inline(never)]
    pub(super) fn execute(&self, source: String) -> Result<AsyncResultHandle, Error> {
        let engines = self.targets()?;
        let request = ClientRequest::Execute { source, engines };
        requests::async_result(request).map(AsyncResultHandle::new)
    }

    /// Like [`execute`](Self::execute), for a file.
    #[inline(never)]
    pub(super) fn run(&self, file: &Path) -> Result<AsyncResultHandle, Error> {
        let source = std::fs::read_to_string(file).map_err(|error| {
            let (path, error) = (file, &error);
            Error::from(LibraryError::File { path, error })
        })?;
        self.execute(source)
    }

    /// Formats as ipyparallel does: `<DirectView [0, 1, 2,...]>`, and `<DirectView 0>` for a single
    /// engine.
    #[inline(never)]
    pub(super) fn describe(&self, is_one: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let targets = match &self.targets {
            None => "all".to_owned(),
            Some(targets) => match targets.as_slice() {
                [engine] if is_one => engine.to_string(),
                targets => format!("{targets:?}"),
            },
        };
        if targets.chars().count() > 16 {
            let short: String = targets.chars().take(12).collect();
            return write!(f, "<DirectView {short}...]>");
        }
        write!(f, "<DirectView {targets}>")
    }
}

/// Serializes items as a list; `type_name` is for error messages.
pub(super) fn list(
    range: Range<usize>,
    type_name: &str,
    write: &WriteRange<'_>,
) -> Result<Parts, Error> {
    Parts::written(&format!("[{type_name}]"), &|to| {
        to.number(range.len() as u64);
        write(range.clone(), to)
    })
}

fn text(text: &str) -> Result<Parts, Error> {
    Parts::of(text)
}

/// Serializes a value with the name under which it is to be stored.
pub(super) fn parcel(name: &str, type_name: &str, value: Parts) -> Result<EncodedParts, Error> {
    let mut parcel = EncodedParts::default();
    parcel.value(text(name)?);
    parcel.value(text(type_name)?);
    parcel.value(value);
    Ok(parcel)
}
