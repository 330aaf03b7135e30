//! `.await`: ready when every task is done.

use super::{AsyncResult, AsyncResultHandle, Shape};
use crate::Error;
use crate::codec::Transferable;
use crate::opaque::opaque;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// An AsyncResult as a future: `ar.await?` in a cell, with any executor. While it is being polled,
/// a thread waits for the kernel.
///
/// ```no_run
/// use phalanx::prelude::*;
/// use std::future::{Future, IntoFuture};
/// use std::task::{Context, Poll, Waker};
/// let ar = Client::connect()?.all().apply_async(|| 1u8)?;
/// let values = {
///     let mut future = std::pin::pin!(ar.into_future());
///     let mut context = Context::from_waker(Waker::noop());
///     loop {
///         match future.as_mut().poll(&mut context) {
///             Poll::Ready(values) => break values?,
///             Poll::Pending => std::thread::yield_now(),
///         }
///     }
/// };
/// assert!(values.iter().all(|value| *value == 1));
/// # Ok::<(), phalanx::Error>(())
/// ```
pub struct ResultFuture<R: Transferable, S: Shape> {
    result: AsyncResult<R, S>,
    waiting: Watch,
}

opaque! {
    struct Watch of Option<Arc<Mutex<Waiting>>>
}

#[derive(Default)]
struct Waiting {
    done: bool,
    waker: Option<Waker>,
}

impl<R: Transferable, S: Shape> Unpin for ResultFuture<R, S> {}

impl<R: Transferable, S: Shape> fmt::Debug for ResultFuture<R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<Future of {:?}>", self.result)
    }
}

impl<R: Transferable, S: Shape> Future for ResultFuture<R, S> {
    type Output = Result<S::All<R>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        match this.waiting.is_done(&this.result, context) {
            true => Poll::Ready(this.result.get()),
            false => Poll::Pending,
        }
    }
}

impl Watch {
    #[inline(never)]
    fn new() -> Self {
        Self::wrap(None)
    }

    /// Returns true once all tasks are done; otherwise arranges for the context to be woken when
    /// they are.
    #[inline(never)]
    fn is_done(&mut self, result: &AsyncResultHandle, context: &Context<'_>) -> bool {
        if self.is_none() && result.ready() {
            return true;
        }
        let waiting = self.get_or_insert_with(|| {
            let waiting = Arc::new(Mutex::new(Waiting::default()));
            let (shared, result) = (Arc::clone(&waiting), result.clone());
            std::thread::spawn(move || {
                // If the kernel does not reply, `get` returns the error.
                let _ = result.wait();
                let mut waiting = shared.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.done = true;
                if let Some(waker) = waiting.waker.take() {
                    waker.wake();
                }
            });
            waiting
        });
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.done {
            waiting.waker = Some(context.waker().clone());
        }
        waiting.done
    }
}

impl<R: Transferable, S: Shape> IntoFuture for AsyncResult<R, S> {
    type Output = Result<S::All<R>, Error>;
    type IntoFuture = ResultFuture<R, S>;

    fn into_future(self) -> ResultFuture<R, S> {
        ResultFuture {
            result: self,
            waiting: Watch::new(),
        }
    }
}

impl<R: Transferable, S: Shape> IntoFuture for &AsyncResult<R, S> {
    type Output = Result<S::All<R>, Error>;
    type IntoFuture = ResultFuture<R, S>;

    fn into_future(self) -> ResultFuture<R, S> {
        self.clone().into_future()
    }
}
