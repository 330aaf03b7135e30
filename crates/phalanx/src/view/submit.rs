//! The request that all submissions come down to.

use crate::Error;
use crate::async_result::{AsyncResult, Shape, Values, successes, tasks};
use crate::function::{Encoded, Frames, Function, Parts, Travels};
use crate::host::{self, Frame};
use phalanx_protocol::apply::{Apply, ApplyPlacement, Pushed};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::host::{HostReply, HostRequest};
use phalanx_protocol::id::AsyncResultId;
use std::path::Path;

/// A function that goes out, with everything about it.
pub(super) struct Submit<'a, P, R> {
    pub function: &'a Function<P, R>,
    pub placement: ApplyPlacement,
    pub args: Args,
    pub label: Option<String>,
    pub pushes: Vec<Pushed>,
}

/// What the tasks are given.
pub(super) enum Args {
    /// All the same.
    Shared(Encoded),
    /// Each its own arguments.
    Each(Vec<Encoded>),
    /// Each its own items, and how many.
    Items(Vec<(Parts, usize)>),
}

impl<'a, P, R: Travels> Submit<'a, P, R> {
    /// Sends it off.
    pub fn submit<S: Shape, T: Travels>(self) -> Result<AsyncResult<T, S>, Error> {
        self.untyped().submit().map(AsyncResult::new)
    }

    /// Sends it off and waits for what comes of it.
    pub fn call<S: Shape, T: Travels>(self) -> Result<S::All<T>, Error> {
        let name = &self.function.name;
        let (values, frames) = self.untyped().call()?;
        let each = tasks::<T, S>(values, frames).collect();
        S::all(successes::<T, S>(each, || name.clone())?)
    }

    fn untyped(self) -> Untyped<'a> {
        let function = self.function;
        Untyped {
            name: &function.name,
            artifact: &function.artifact,
            single: function.single,
            many: function.many,
            captures: &function.captures,
            placement: self.placement,
            args: self.args,
            label: self.label,
            pushes: self.pushes,
        }
    }
}

/// The same without its types, so that it is compiled once and not in every cell.
struct Untyped<'a> {
    name: &'a str,
    artifact: &'a Path,
    single: u64,
    many: Option<u64>,
    captures: &'a Parts,
    placement: ApplyPlacement,
    args: Args,
    label: Option<String>,
    pushes: Vec<Pushed>,
}

impl Untyped<'_> {
    #[inline(never)]
    fn submit(self) -> Result<AsyncResultId, Error> {
        match self.ask(false)?.0 {
            HostReply::AsyncResult(id) => Ok(id),
            other => Err(host::unexpected(&other)),
        }
    }

    #[inline(never)]
    fn call(self) -> Result<(Values, Vec<Frame>), Error> {
        match self.ask(true)? {
            (HostReply::Values(values), frames) => Ok((values, frames)),
            (other, _) => Err(host::unexpected(&other)),
        }
    }

    fn ask(self, wait: bool) -> Result<(HostReply, Vec<Frame>), Error> {
        let mut references = Vec::new();
        let mut sizes = Vec::new();
        let mut offset = self.single;
        let mut given = Vec::new();
        match self.args {
            Args::Shared(args) => given.push(args),
            Args::Each(tasks) => given = tasks,
            Args::Items(tasks) => {
                offset = self.many.ok_or_else(not_for_items)?;
                for (items, count) in tasks {
                    let mut args = Encoded::default();
                    args.value(items);
                    given.push(args);
                    sizes.push(count);
                }
            }
        }
        for args in &mut given {
            references.append(&mut args.references);
        }
        references.sort();
        references.dedup();
        let apply = Apply {
            name: self.name.to_owned(),
            artifact: self.artifact.to_owned(),
            offset,
            placement: self.placement,
            args: given.len(),
            sizes,
            label: self.label,
            references,
            pushes: self.pushes,
            wait,
        };
        let request = HostRequest::Apply(Box::new(apply));
        let frames = Frames::of(self.captures, given)?;
        host::call_with(&request, &frames.frames)
    }
}

fn not_for_items() -> Error {
    Error(Failure::Usage {
        message: "this function does not take items".to_owned(),
        hint: None,
    })
}
