//! Handles of several AsyncResults, handed to cells one by one.

use super::AsyncResultHandle;
use crate::Error;
use crate::opaque::opaque;
use std::collections::VecDeque;

opaque! {
    /// Handles, in order.
    pub(super) struct Parts of VecDeque<AsyncResultHandle>
}

impl Parts {
    #[inline(never)]
    pub(super) fn none() -> Self {
        Self::hold(VecDeque::new())
    }

    #[inline(never)]
    pub(super) fn of(handles: Vec<AsyncResultHandle>) -> Self {
        Self::hold(handles.into())
    }

    /// Adds another one.
    #[inline(never)]
    pub(super) fn add(&mut self, handle: &AsyncResultHandle) {
        self.push_back(handle.clone());
    }

    /// Takes the first.
    #[inline(never)]
    pub(super) fn next(&mut self) -> Option<AsyncResultHandle> {
        self.pop_front()
    }

    /// All as one.
    #[inline(never)]
    pub(super) fn join(mut self) -> Result<AsyncResultHandle, Error> {
        AsyncResultHandle::join(self.make_contiguous())
    }
}

impl AsyncResultHandle {
    /// Each task as one of its own.
    #[inline(never)]
    pub(super) fn parts(&self) -> Result<Parts, Error> {
        self.split().map(Parts::of)
    }
}
