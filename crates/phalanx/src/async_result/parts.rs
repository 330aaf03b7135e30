//! Lists of handles, passed to cells one at a time.

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
        Self::wrap(VecDeque::new())
    }

    #[inline(never)]
    pub(super) fn of(handles: Vec<AsyncResultHandle>) -> Self {
        Self::wrap(handles.into())
    }

    /// Adds a handle.
    #[inline(never)]
    pub(super) fn add(&mut self, handle: &AsyncResultHandle) {
        self.push_back(handle.clone());
    }

    /// Takes the first handle.
    #[inline(never)]
    pub(super) fn next(&mut self) -> Option<AsyncResultHandle> {
        self.pop_front()
    }

    /// Joins all handles into one.
    #[inline(never)]
    pub(super) fn join(mut self) -> Result<AsyncResultHandle, Error> {
        AsyncResultHandle::join(self.make_contiguous())
    }
}

impl AsyncResultHandle {
    /// Splits the handle into one per task.
    #[inline(never)]
    pub(super) fn parts(&self) -> Result<Parts, Error> {
        self.split().map(Parts::of)
    }
}
