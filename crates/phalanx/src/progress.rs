//! A bar for loops, as tqdm draws it: made of displays, so that it needs no widgets.

use crate::display::{DisplayHandle, MimeBundle, display};
use crate::widgets::fallback::escaped;
use std::iter::FusedIterator;
use std::time::{Duration, Instant};

/// Least time between two updates: ten a second at most.
const INTERVAL: Duration = Duration::from_millis(100);

/// Width of the bar in plain text.
const WIDTH: usize = 20;

/// Shows a progress bar during an iteration, updated at most ten times a second.
///
/// ```no_run
/// for item in phalanx::progress(0..100).description("items") {
///     println!("{item}");
/// }
/// ```
///
/// If the number of items is not known, it counts them.
pub fn progress<I: IntoIterator>(items: I) -> Progress<I::IntoIter> {
    let items = items.into_iter();
    let (least, most) = items.size_hint();
    Progress {
        items,
        bar: Bar::new(most.filter(|most| *most == least)),
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
    bar: Bar,
}

impl<I> Progress<I> {
    /// Puts a text before the bar.
    #[must_use]
    pub fn description(mut self, text: &str) -> Self {
        self.bar.description = text.to_owned();
        self
    }

    /// Sets the number of items, if the iterator does not know it.
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
            // An item counts when the next is asked for: then it is done.
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

/// The bar itself; what every loop compiles of it is not generic.
#[derive(Debug)]
pub(crate) struct Bar {
    description: String,
    total: Option<usize>,
    done: usize,
    /// An item is being worked on.
    is_working: bool,
    shown: Option<Shown>,
}

#[derive(Debug)]
struct Shown {
    start: Instant,
    last: Instant,
    /// `None` where nobody shows displays.
    handle: Option<DisplayHandle>,
    finished: bool,
}

impl Bar {
    pub(crate) fn new(total: Option<usize>) -> Self {
        Self {
            description: String::new(),
            total,
            done: 0,
            is_working: false,
            shown: None,
        }
    }

    /// Shows the bar, when the first item is asked for.
    pub(crate) fn begin(&mut self) {
        if self.shown.is_none() {
            let now = Instant::now();
            let handle = display(self.bundle(Duration::ZERO, false)).ok();
            self.shown = Some(Shown {
                start: now,
                last: now,
                handle,
                finished: false,
            });
        }
    }

    /// One more item is being worked on, and the one before is done.
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

    /// There are no more items.
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
            && let Some(handle) = &shown.handle
        {
            // A kernel that does not answer shows no bar, and the loop goes on.
            let _ = handle.update(self.bundle(now - shown.start, is_over));
        }
    }

    fn bundle(&self, elapsed: Duration, is_over: bool) -> MimeBundle {
        let text = text(&self.description, self.done, self.total, elapsed);
        let share = self.total.map(|total| (self.done, total));
        let html = html(&self.description, share, &text.counts, is_over);
        MimeBundle::plain(text.plain).with("text/html", html)
    }
}

/// A loop that was left early shows how far it came.
impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(shown) = &self.shown
            && !shown.finished
        {
            self.update(Instant::now(), true);
        }
    }
}

struct Texts {
    plain: String,
    counts: String,
}

/// `items:  50%|██████████          | 5/10 [00:02<00:02, 2.50it/s]`, as tqdm writes it.
fn text(description: &str, done: usize, total: Option<usize>, elapsed: Duration) -> Texts {
    let seconds = elapsed.as_secs_f64();
    let rate = if seconds > 0.0 {
        done as f64 / seconds
    } else {
        0.0
    };
    let speed = match rate {
        0.0 => "?it/s".to_owned(),
        1.0.. => format!("{rate:.2}it/s"),
        _ => format!("{:.2}s/it", 1.0 / rate),
    };
    let label = if description.is_empty() {
        String::new()
    } else {
        format!("{description}: ")
    };
    let since = clock(seconds);
    let Some(total) = total else {
        let counts = format!("{done}it [{since}, {speed}]");
        return Texts {
            plain: format!("{label}{counts}"),
            counts,
        };
    };
    let rest = total.saturating_sub(done) as f64;
    let left = if rate > 0.0 {
        clock(rest / rate)
    } else {
        "?".to_owned()
    };
    let counts = format!("{done}/{total} [{since}<{left}, {speed}]");
    let share = (done.min(total) as f64 / total.max(1) as f64).clamp(0.0, 1.0);
    let filled = (share * WIDTH as f64) as usize;
    let bar = "█".repeat(filled) + &" ".repeat(WIDTH - filled);
    Texts {
        plain: format!("{label}{:3.0}%|{bar}| {counts}", share * 100.0),
        counts,
    }
}

fn html(description: &str, share: Option<(usize, usize)>, counts: &str, is_over: bool) -> String {
    let label = escaped(description);
    let counts = escaped(counts);
    let bar = match share {
        Some((done, total)) => format!("<progress value=\"{done}\" max=\"{total}\"></progress>"),
        None if is_over => "<progress value=\"1\" max=\"1\"></progress>".to_owned(),
        None => "<progress></progress>".to_owned(),
    };
    format!("<div style=\"white-space: pre\">{label} {bar} <code>{counts}</code></div>")
}

/// `01:05`, or `1:01:05` from an hour on.
fn clock(seconds: f64) -> String {
    let seconds = seconds as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes:02}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_read_like_those_of_tqdm() {
        let plain =
            |done, total, seconds| text("x", done, total, Duration::from_secs_f64(seconds)).plain;
        for (done, total, seconds, expected) in [
            (
                0,
                Some(10),
                0.0,
                "x:   0%|                    | 0/10 [00:00<?, ?it/s]",
            ),
            (
                5,
                Some(10),
                2.0,
                "x:  50%|██████████          | 5/10 [00:02<00:02, 2.50it/s]",
            ),
            (
                1,
                Some(2),
                4000.0,
                "x:  50%|██████████          | 1/2 [1:06:40<1:06:40, 4000.00s/it]",
            ),
            (
                0,
                Some(0),
                0.0,
                "x:   0%|                    | 0/0 [00:00<?, ?it/s]",
            ),
            (7, None, 7.0, "x: 7it [00:07, 1.00it/s]"),
        ] {
            assert_eq!(plain(done, total, seconds), expected);
        }
    }

    #[test]
    fn what_is_iterated_over_is_unchanged() {
        let items: Vec<u32> = progress([1, 2, 3]).description("no kernel").collect();
        assert_eq!(items, [1, 2, 3]);
        assert_eq!(progress(0..5).len(), 5);
    }
}
