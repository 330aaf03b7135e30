//! `.await`: ready when every task is done.

use super::{AsyncResult, Shape};
use crate::Error;
use crate::function::Travels;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// The result of an AsyncResult, as a future. A thread waits for the kernel's word while it is
/// polled, so it works with any executor.
pub struct ResultFuture<R: Travels, S: Shape> {
    result: AsyncResult<R, S>,
    waiting: Option<Arc<Mutex<Waiting>>>,
}

#[derive(Default)]
struct Waiting {
    done: bool,
    waker: Option<Waker>,
}

impl<R: Travels, S: Shape> Unpin for ResultFuture<R, S> {}

impl<R: Travels, S: Shape> fmt::Debug for ResultFuture<R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<Future of {:?}>", self.result)
    }
}

impl<R: Travels, S: Shape> Future for ResultFuture<R, S> {
    type Output = Result<S::All<R>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.waiting.is_none() && self.result.ready() {
            return Poll::Ready(self.result.get());
        }
        let result = self.result.handle();
        let waiting = self.waiting.get_or_insert_with(|| {
            let waiting = Arc::new(Mutex::new(Waiting::default()));
            let shared = Arc::clone(&waiting);
            std::thread::spawn(move || {
                // Not answered, `get` says why.
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
        if waiting.done {
            drop(waiting);
            return Poll::Ready(self.result.get());
        }
        waiting.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl<R: Travels, S: Shape> IntoFuture for AsyncResult<R, S> {
    type Output = Result<S::All<R>, Error>;
    type IntoFuture = ResultFuture<R, S>;

    fn into_future(self) -> ResultFuture<R, S> {
        ResultFuture {
            result: self,
            waiting: None,
        }
    }
}

impl<R: Travels, S: Shape> IntoFuture for &AsyncResult<R, S> {
    type Output = Result<S::All<R>, Error>;
    type IntoFuture = ResultFuture<R, S>;

    fn into_future(self) -> ResultFuture<R, S> {
        self.clone().into_future()
    }
}
