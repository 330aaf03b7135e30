//! The request that all submissions are sent as.

use crate::Error;
use crate::async_result::{AsyncResultHandle, Outcomes, Successes};
use crate::codec::Parts;
use crate::function::{ArgumentFrames, EncodedArgs, EncodedParts, Located};
use crate::host::{self, Frame};
use phalanx_protocol::apply::{Apply, ApplyPlacement, PushedName};
use phalanx_protocol::host::{CellRequest, HostReply, HostRequest};

/// A function call to be sent, with its placement, arguments and label.
pub(super) struct FunctionRequest {
    pub function: Located,
    pub placement: ApplyPlacement,
    pub args: Args,
    pub label: Option<String>,
    pub pushes: Vec<PushedName>,
}

/// The arguments of the tasks.
pub(super) enum Args {
    /// The same arguments for all tasks.
    Shared(EncodedParts),
    /// Arguments for each task.
    Each(Vec<EncodedParts>),
    /// A list of items for each task, and the number of items.
    Items(Vec<(Parts, usize)>),
}

impl Args {
    /// Wraps arguments for all tasks, unless one could not be serialized.
    pub fn shared(args: EncodedArgs) -> Result<Self, Error> {
        args.finish().map(Self::Shared)
    }
}

impl FunctionRequest {
    /// Sends the request.
    pub fn submit(self) -> Result<AsyncResultHandle, Error> {
        match self.send(false)?.0 {
            HostReply::AsyncResult(id) => Ok(AsyncResultHandle::new(id)),
            other => Err(host::unexpected(&other)),
        }
    }

    /// Sends the request and waits for the values.
    pub fn call(self) -> Result<Successes, Error> {
        let name = self.function.name().to_owned();
        match self.send(true)? {
            (HostReply::Values(values), frames) => Outcomes::of(values, frames).successes(|| name),
            (other, _) => Err(host::unexpected(&other)),
        }
    }

    fn send(self, wait: bool) -> Result<(HostReply, Vec<Frame>), Error> {
        let function = self.function;
        let mut references = Vec::new();
        let mut sizes = Vec::new();
        let mut arguments = Vec::new();
        let offset = match self.args {
            Args::Shared(args) => {
                arguments.push(args);
                function.offset()
            }
            Args::Each(tasks) => {
                arguments = tasks;
                function.offset()
            }
            Args::Items(tasks) => {
                for (items, count) in tasks {
                    let mut args = EncodedParts::default();
                    args.value(items);
                    arguments.push(args);
                    sizes.push(count);
                }
                function.offset_for_items()
            }
        }?;
        for args in &mut arguments {
            references.append(&mut args.references);
        }
        references.sort();
        references.dedup();
        let apply = Apply {
            name: function.name().to_owned(),
            artifact: function.artifact().to_owned(),
            offset,
            placement: self.placement,
            args: arguments.len(),
            sizes,
            label: self.label,
            references,
            pushes: self.pushes,
            wait,
        };
        let request = HostRequest::from(CellRequest::Apply(Box::new(apply)));
        let frames = ArgumentFrames::of(function.captures(), arguments)?;
        host::call_with(&request, &frames.frames)
    }
}
