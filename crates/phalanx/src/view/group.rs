//! The engines of a direct view, and what is done on them, whatever the types: a cell compiles calls
//! of these.

use super::data::pushed_type;
use super::map::partition;
use super::submit::{Args, Submit};
use crate::Error;
use crate::async_result::{AsyncResultHandle, Successes};
use crate::client::{self, Client};
use crate::function::{
    EncodeError, EncodedArgs, EncodedParts, Encoder, Located, Parts, Write, fetcher, receiver,
};
use crate::opaque::opaque;
use phalanx_protocol::apply::{ApplyPlacement, ClientRequest, PushedName};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::EngineId;
use std::fmt;
use std::ops::Range;
use std::path::Path;

opaque! {
    /// The engines of a direct view.
    pub(super) struct Group of Engines
}
opaque!(@clone Group);

/// The content of [`Group`].
#[derive(Clone)]
pub(super) struct Engines {
    /// `None` for all engines there are whenever it is used.
    targets: Option<Vec<EngineId>>,
    label: Option<String>,
}

/// Writes a range of items.
pub(super) type WriteRange<'a> = dyn Fn(Range<usize>, &mut Encoder) -> Result<(), EncodeError> + 'a;

impl Group {
    #[inline(never)]
    pub(super) fn new(targets: Option<Vec<EngineId>>) -> Self {
        Self::hold(Engines {
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

    /// The engines; there are some.
    #[inline(never)]
    pub(super) fn targets(&self) -> Result<Vec<EngineId>, Error> {
        let targets = match &self.targets {
            Some(targets) => targets.clone(),
            None => Client::connect()?.ids(),
        };
        if targets.is_empty() {
            return Err(Error::new(Failure::NoEngines));
        }
        Ok(targets)
    }

    fn submission(&self, function: Located, args: Args) -> Result<Submit, Error> {
        Ok(Submit {
            function,
            placement: ApplyPlacement::Engines(self.targets()?),
            args,
            label: self.label.clone(),
            pushes: Vec::new(),
        })
    }

    /// Calls a function on every engine; returns at once.
    #[inline(never)]
    pub(super) fn submit(
        &self,
        function: Result<Located, Error>,
        args: EncodedArgs,
    ) -> Result<AsyncResultHandle, Error> {
        let args = Args::shared(args)?;
        self.submission(function?, args)?.submit()
    }

    /// Calls a function on every engine; waits for what comes of it.
    #[inline(never)]
    pub(super) fn call(
        &self,
        function: Result<Located, Error>,
        args: EncodedArgs,
    ) -> Result<Successes, Error> {
        let args = Args::shared(args)?;
        self.submission(function?, args)?.call()
    }

    /// Calls a function of a list on every engine, each with its part of one; returns at once.
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
        let submit = Submit {
            function: function.clone(),
            placement: ApplyPlacement::Engines(engines),
            args: Args::Each(tasks),
            label: None,
            pushes: Vec::new(),
        };
        submit.submit()
    }

    /// As many engines as are given something of so many items, and what each is given.
    pub(super) fn parts(&self, items: usize) -> Result<(Vec<EngineId>, Vec<Range<usize>>), Error> {
        let mut engines = self.targets()?;
        let mut parts = partition(items, engines.len());
        parts.retain(|part| !part.is_empty());
        engines.truncate(parts.len());
        Ok((engines, parts))
    }

    /// Gives a name the value of that type that is written so; returns at once.
    #[inline(never)]
    pub(super) fn push(
        &self,
        name: &str,
        type_name: &str,
        write: &Write<'_>,
    ) -> Result<AsyncResultHandle, Error> {
        let pushed = pushed_type(type_name);
        let parcel = parcel(name, &pushed, Parts::written(type_name, write)?)?;
        self.give(name, pushed, Args::Shared(parcel))
    }

    /// The same; waits until all have it.
    #[inline(never)]
    pub(super) fn push_now(
        &self,
        name: &str,
        type_name: &str,
        write: &Write<'_>,
    ) -> Result<(), Error> {
        self.push(name, type_name, write)?.successes().map(drop)
    }

    /// Gives engines values of that type under a name.
    pub(super) fn give(
        &self,
        name: &str,
        type_name: String,
        args: Args,
    ) -> Result<AsyncResultHandle, Error> {
        let mut submit = self.submission(receiver()?, args)?;
        submit.pushes.push(PushedName {
            name: name.to_owned(),
            type_name,
        });
        submit.submit()
    }

    /// Has every engine give what it has under a name, of that type; returns at once.
    #[inline(never)]
    pub(super) fn pull(&self, name: &str, type_name: &str) -> Result<AsyncResultHandle, Error> {
        let mut args = EncodedParts::default();
        args.value(text(name)?);
        args.value(text(type_name)?);
        args.references.push(name.to_owned());
        self.submission(fetcher()?, Args::Shared(args))?.submit()
    }

    /// The same; waits for it.
    #[inline(never)]
    pub(super) fn pull_now(&self, name: &str, type_name: &str) -> Result<Successes, Error> {
        self.pull(name, type_name)?.successes()
    }

    /// Has the engines there are now give the lists they have under a name.
    #[inline(never)]
    pub(super) fn gather(&self, name: &str, item: &str) -> Result<AsyncResultHandle, Error> {
        let engines = Self::new(Some(self.targets()?));
        engines.pull(name, &format!("alloc::vec::Vec<{item}>"))
    }

    /// Runs Rust source in the engines' namespaces; returns at once.
    #[inline(never)]
    pub(super) fn execute(&self, source: String) -> Result<AsyncResultHandle, Error> {
        let engines = self.targets()?;
        let request = ClientRequest::Execute { source, engines };
        client::async_result(request).map(AsyncResultHandle::new)
    }

    /// Runs a file of Rust source likewise.
    #[inline(never)]
    pub(super) fn run(&self, file: &Path) -> Result<AsyncResultHandle, Error> {
        let source = std::fs::read_to_string(file).map_err(|error| {
            Error::new(Failure::Environment {
                message: format!("{} cannot be read: {error}", file.display()),
                hint: None,
            })
        })?;
        self.execute(source)
    }

    /// ipyparallel's: `<DirectView [0, 1, 2,...]>`, and `<DirectView 0>` of a single engine.
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

/// Items as a list in bytes; what they are is for messages.
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

/// A value that is on its way under a name.
pub(super) fn parcel(name: &str, type_name: &str, value: Parts) -> Result<EncodedParts, Error> {
    let mut parcel = EncodedParts::default();
    parcel.value(text(name)?);
    parcel.value(text(type_name)?);
    parcel.value(value);
    Ok(parcel)
}
