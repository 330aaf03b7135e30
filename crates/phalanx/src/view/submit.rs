//! The request that all submissions come down to.

use crate::Error;
use crate::async_result::{AsyncResult, Shape, successes, tasks};
use crate::function::{Encoded, Frames, Function, Parts, Travels};
use crate::host::{self, Frame};
use phalanx_protocol::apply::{Apply, ApplyPlacement, Pushed};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::host::{HostReply, HostRequest};

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

impl<P, R: Travels> Submit<'_, P, R> {
    /// Sends it off.
    pub fn submit<S: Shape, T: Travels>(self) -> Result<AsyncResult<T, S>, Error> {
        match self.ask(false)?.0 {
            HostReply::AsyncResult(id) => Ok(AsyncResult::new(id)),
            other => Err(host::unexpected(&other)),
        }
    }

    /// Sends it off and waits for what comes of it.
    pub fn call<S: Shape, T: Travels>(self) -> Result<S::All<T>, Error> {
        let name = self.function.name.clone();
        match self.ask(true)? {
            (HostReply::Values(values), frames) => {
                let each = tasks::<T, S>(values, frames).collect();
                S::all(successes::<T, S>(each, || name)?)
            }
            (other, _) => Err(host::unexpected(&other)),
        }
    }

    fn ask(self, wait: bool) -> Result<(HostReply, Vec<Frame>), Error> {
        let function = self.function;
        let mut references = Vec::new();
        let mut sizes = Vec::new();
        let mut offset = function.single;
        let mut given = Vec::new();
        match self.args {
            Args::Shared(args) => given.push(args),
            Args::Each(tasks) => given = tasks,
            Args::Items(tasks) => {
                offset = function.many.ok_or_else(not_for_items)?;
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
            name: function.name.clone(),
            artifact: function.artifact.clone(),
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
        let frames = Frames::of(&function.captures, given)?;
        host::call_with(&request, &frames.frames)
    }
}

fn not_for_items() -> Error {
    Error(Failure::Usage {
        message: "this function does not take items".to_owned(),
        hint: None,
    })
}
