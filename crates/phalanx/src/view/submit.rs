//! The request that all submissions come down to.

use crate::async_result::{AsyncResult, Shape};
use crate::function::{Encoded, Function, Travels};
use crate::{Error, host};
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
    /// Each its own items: their bytes, and how many.
    Items(Vec<(Vec<u8>, usize)>),
}

impl<P, R: Travels> Submit<'_, P, R> {
    /// Sends it off.
    pub fn submit<S: Shape, T: Travels>(self) -> Result<AsyncResult<T, S>, Error> {
        let function = self.function;
        let mut references = Vec::new();
        let mut sizes = Vec::new();
        let mut offset = function.single;
        let mut raw = Vec::new();
        match self.args {
            Args::Shared(args) => {
                references = args.references;
                raw.push(with_captures(&function.captures, &args.bytes));
            }
            Args::Each(tasks) => {
                for args in tasks {
                    references.extend(args.references);
                    raw.push(with_captures(&function.captures, &args.bytes));
                }
            }
            Args::Items(tasks) => {
                offset = function.many.ok_or_else(not_for_items)?;
                for (bytes, count) in tasks {
                    raw.push(with_captures(&function.captures, &bytes));
                    sizes.push(count);
                }
            }
        }
        references.sort();
        references.dedup();
        let apply = Apply {
            name: function.name.clone(),
            artifact: function.artifact.clone(),
            offset,
            placement: self.placement,
            args: raw.len(),
            sizes,
            label: self.label,
            references,
            pushes: self.pushes,
        };
        let request = HostRequest::Apply(Box::new(apply));
        match host::call_with(&request, &raw)?.0 {
            HostReply::AsyncResult(id) => Ok(AsyncResult::new(id)),
            other => Err(host::unexpected(&other)),
        }
    }
}

fn with_captures(captures: &[u8], args: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + captures.len() + args.len());
    bytes.extend_from_slice(&(captures.len() as u64).to_le_bytes());
    bytes.extend_from_slice(captures);
    bytes.extend_from_slice(args);
    bytes
}

fn not_for_items() -> Error {
    Error(Failure::Usage {
        message: "this function does not take items".to_owned(),
        hint: None,
    })
}
