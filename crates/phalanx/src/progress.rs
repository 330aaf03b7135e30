//! A progress bar for loops, in the style of tqdm. It consists of displays and does not need
//! widgets.

use crate::display::{MimeBundle, fresh_id, put};
use phalanx_protocol::look::bar::{self, INTERVAL};
use phalanx_protocol::output::Output;
use std::iter::FusedIterator;
use std::time::{Duration, Instant};

/// Shows a progress bar during an iteration, updated at most ten times a second.
///
/// ```no_run
/// for item in phalanx::progress(0..100).description("items") {
///     println!("{item}");
/// }
/// ```
///
/// If the number of items is not known, only the count is shown.
pub fn progress<I: IntoIterator>(items: I) -> Progress<I::IntoIter> {
    let items = items.into_iter();
    let (lower, upper) = items.size_hint();
    Progress {
        items,
        bar: ProgressBar::new(upper.filter(|upper| *upper == lower)),
    }
}

/// An iterator with a progress bar; made by [`progress`].
///
/// ```no_run
/// let sum: u64 = phalanx::progress(0..1_000u64).description("adding").sum();
/// assert_eq!(sum, 499_500);
/// ```
#[derive(Debug)]
pub struct Progress<I> {
    items: I,
    bar: ProgressBar,
}

impl<I> Progress<I> {
    /// Sets the text in front of the bar.
    #[must_use]
    pub fn description(mut self, text: &str) -> Self {
        self.bar.description = text.to_owned();
        self
    }

    /// Sets the number of items, for iterators that do not know it.
    #[must_use]
    pub fn total(mut self, total: usize) -> Self {
        self.bar.total = Some(total);
        self
    }
}

impl<I: Iterator> Iterator for Progress<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.bar.begin();
        let item = self.items.next();
        match item {
            // An item is done when the next one is requested.
            Some(_) => self.bar.step(),
            None => self.bar.finish(),
        }
        item
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

impl<I: ExactSizeIterator> ExactSizeIterator for Progress<I> {}
impl<I: FusedIterator> FusedIterator for Progress<I> {}

/// The part of the bar that is not generic, compiled once for all loops.
#[derive(Debug)]
pub(crate) struct ProgressBar {
    description: String,
    total: Option<usize>,
    done: usize,
    /// True while an item is being processed.
    is_working: bool,
    shown: Option<ShownBars>,
}

#[derive(Debug)]
struct ShownBars {
    start: Instant,
    last: Instant,
    /// The id of the display; `None` where displays are not supported.
    display: Option<String>,
    finished: bool,
}

impl ProgressBar {
    pub(crate) fn new(total: Option<usize>) -> Self {
        Self {
            description: String::new(),
            total,
            done: 0,
            is_working: false,
            shown: None,
        }
    }

    /// Shows the bar when the first item is requested.
    pub(crate) fn begin(&mut self) {
        if self.shown.is_none() {
            let now = Instant::now();
            let id = fresh_id();
            let shown = bar::display(self.bundle(Duration::ZERO, false), &id, false);
            let display = put(Output::Display(shown)).ok().map(|()| id);
            self.shown = Some(ShownBars {
                start: now,
                last: now,
                display,
                finished: false,
            });
        }
    }

    /// Counts the previous item as done, and starts the next.
    fn step(&mut self) {
        self.done += usize::from(std::mem::replace(&mut self.is_working, true));
        let now = Instant::now();
        if let Some(shown) = &mut self.shown
            && now - shown.last >= INTERVAL
        {
            shown.last = now;
            self.update(now, false);
        }
    }

    /// Completes the bar at the end of the input.
    fn finish(&mut self) {
        self.done += usize::from(std::mem::take(&mut self.is_working));
        if let Some(shown) = &mut self.shown
            && !std::mem::replace(&mut shown.finished, true)
        {
            self.update(Instant::now(), true);
        }
    }

    fn update(&self, now: Instant, is_over: bool) {
        if let Some(shown) = &self.shown
            && let Some(id) = &shown.display
        {
            let bundle = self.bundle(now - shown.start, is_over);
            // If the kernel does not reply, no bar is shown and the loop continues.
            let _ = put(Output::Display(bar::display(bundle, id, true)));
        }
    }

    fn bundle(&self, elapsed: Duration, is_over: bool) -> MimeBundle {
        let bar = bar::Bar {
            failed: 0,
            description: &self.description,
            done: self.done,
            before: 0,
            total: self.total,
            elapsed,
            is_over,
        };
        bar.bundle()
    }
}

/// Shows the final count of a loop that was left early.
impl Drop for ProgressBar {
    fn drop(&mut self) {
        if let Some(shown) = &self.shown
            && !shown.finished
        {
            self.update(Instant::now(), true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_passed_through_unchanged() {
        let items: Vec<u32> = progress([1, 2, 3]).description("no kernel").collect();
        assert_eq!(items, [1, 2, 3]);
        assert_eq!(progress(0..5).len(), 5);
    }
}
