//! A map over an input that is taken as it is needed.

use super::{Item, LoadBalancedView};
use crate::async_result::{AsyncResult, AsyncResultHandle, One};
use crate::function::{Function, Travels};
use crate::{Client, Error};
use std::collections::VecDeque;

/// Results of a function for items of an input, at most so many at a time under way.
///
/// Dropping it takes nothing more from the input.
pub struct Imap<A, R: Travels, I> {
    view: LoadBalancedView,
    function: Function<(A,), R>,
    items: I,
    most: usize,
    ordered: bool,
    cancelled: bool,
    under_way: VecDeque<AsyncResult<R, One>>,
}

impl<A, R, I> Imap<A, R, I>
where
    A: Travels,
    R: Travels,
    I: Iterator,
    I::Item: Item<A>,
{
    pub(super) fn new(view: LoadBalancedView, function: Function<(A,), R>, items: I) -> Self {
        let engines = Client::connect().map_or(1, |client| client.len());
        Self {
            view,
            function,
            items,
            most: engines.max(1),
            ordered: true,
            cancelled: false,
            under_way: VecDeque::new(),
        }
    }

    /// How many items may be under way at once; as many as engines unless set, and 0 for any number.
    #[must_use]
    pub fn max_outstanding(mut self, most: usize) -> Self {
        self.most = if most == 0 { usize::MAX } else { most };
        self
    }

    /// Whether results come in the order of the input, or as they arrive.
    #[must_use]
    pub fn ordered(mut self, ordered: bool) -> Self {
        self.ordered = ordered;
        self
    }

    /// Takes nothing more from the input; what is under way still comes.
    pub fn cancel(&mut self) {
        self.cancelled = true;
    }

    fn fill(&mut self) -> Result<(), Error> {
        while !self.cancelled && self.under_way.len() < self.most {
            let Some(item) = self.items.next() else {
                self.cancelled = true;
                return Ok(());
            };
            let result = self.view.apply_async_with(&self.function, item.item())?;
            self.under_way.push_back(result);
        }
        Ok(())
    }

    /// What is next to be given: the first that was sent, or one that has ended.
    fn ended(&mut self) -> Result<Option<AsyncResult<R, One>>, Error> {
        if self.ordered || self.under_way.len() < 2 {
            return Ok(self.under_way.pop_front());
        }
        let all: Vec<_> = self.under_way.iter().map(AsyncResult::handle).collect();
        let ended = AsyncResultHandle::join(&all)?.next_ended(&vec![0; all.len()], None)?;
        Ok(self
            .under_way
            .remove(ended.first().copied().unwrap_or_default()))
    }
}

impl<A, R, I> Iterator for Imap<A, R, I>
where
    A: Travels,
    R: Travels,
    I: Iterator,
    I::Item: Item<A>,
{
    type Item = Result<R, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(error) = self.fill() {
            self.cancelled = true;
            return Some(Err(error));
        }
        match self.ended() {
            Ok(result) => Some(result?.get()),
            Err(error) => {
                self.cancelled = true;
                self.under_way.clear();
                Some(Err(error))
            }
        }
    }
}
