//! A progress bar for the tasks of an AsyncResult, updated in place.

use phalanx_protocol::look::bar::{Bar, BarExtent, INTERVAL, clock, display, drawn};
use phalanx_protocol::output::{MimeBundle, Output};
use std::time::{Duration, Instant};

/// The number of updates in the time elapsed so far: a run of an hour does not need ten per second.
const PER_INTERVAL: u32 = 20;

/// The upper limit of that interval.
const LONGEST_INTERVAL: Duration = Duration::from_secs(1);

/// A progress bar: its timing and text. Pure.
#[derive(Debug)]
pub struct Progress {
    name: String,
    total: usize,
    /// The number of tasks that were done at its start.
    before: usize,
    /// The number of tasks that have failed.
    failed: usize,
    display_id: String,
    started: Instant,
    /// The time at which the bar appears; `None` for never.
    appears: Option<Instant>,
    interval: Duration,
    shown: Option<Instant>,
    /// True if the output was cleared, so that the bar has to be displayed anew.
    cleared: bool,
}

impl Progress {
    /// Creates a bar for `total` tasks that appears after the given time, or never.
    pub fn new(name: &str, total: usize, appears_after: Option<Duration>, now: Instant) -> Self {
        Self {
            name: name.to_owned(),
            total,
            before: 0,
            failed: 0,
            display_id: uuid::Uuid::new_v4().to_string(),
            started: now,
            appears: appears_after.map(|after| now + after),
            interval: INTERVAL,
            shown: None,
            cleared: false,
        }
    }

    /// Sets the number of tasks that were done before, which do not count for the rate.
    #[must_use]
    pub fn after(mut self, before: usize) -> Self {
        self.before = before;
        self
    }

    /// Sets the interval between updates, at least the shortest.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> Self {
        self.interval = interval.max(INTERVAL);
        self
    }

    /// Returns the time at which [`tick`](Self::tick) is due.
    pub fn deadline(&self) -> Option<Instant> {
        match self.shown {
            None => self.appears,
            Some(shown) => {
                let elapsed = shown.duration_since(self.started);
                let interval = (elapsed / PER_INTERVAL).min(LONGEST_INTERVAL);
                Some(shown + interval.max(self.interval))
            }
        }
    }

    /// Returns the display to show, if an update is due.
    pub fn tick(&mut self, done: usize, now: Instant) -> Option<Output> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return None;
        }
        Some(self.bar(done, false, now))
    }

    /// Returns the display to show while nothing runs yet, if an update is due.
    pub fn compiling(&mut self, now: Instant) -> Option<Output> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return None;
        }
        let total = self.total;
        let what = format!("compiling for {total} engine{}", plural(total));
        Some(self.render(&what, BarExtent::Unknown, now))
    }

    /// Returns the final display if nothing will run and the bar was shown.
    pub fn stop(&mut self, what: &str, now: Instant) -> Option<Output> {
        self.shown?;
        Some(self.render(what, BarExtent::Whole, now))
    }

    /// Sets the number of tasks that have failed, which are among those that are done.
    pub fn failed(&mut self, failed: usize) {
        self.failed = failed;
    }

    /// Handles a cleared output, which removed the bar: the next update displays it anew.
    pub fn cleared(&mut self) {
        self.cleared = true;
    }

    /// Returns the final display, if the bar was shown.
    pub fn finish(&mut self, done: usize, now: Instant) -> Option<Output> {
        self.shown?;
        Some(self.bar(done, true, now))
    }

    fn bar(&mut self, done: usize, is_over: bool, now: Instant) -> Output {
        let bar = Bar {
            description: &self.name,
            done,
            before: self.before,
            total: Some(self.total),
            failed: self.failed,
            elapsed: now.duration_since(self.started),
            is_over,
        };
        self.output(bar.bundle(), now)
    }

    fn render(&mut self, what: &str, extent: BarExtent, now: Instant) -> Output {
        let seconds = now.duration_since(self.started).as_secs_f64();
        let words = format!("{what} [{}]", clock(seconds));
        self.output(drawn(&self.name, extent, &words), now)
    }

    fn output(&mut self, data: MimeBundle, now: Instant) -> Output {
        let shown = self.shown.replace(now).is_some();
        let update = shown && !std::mem::take(&mut self.cleared);
        Output::Display(display(data, &self.display_id, update))
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn displayed(output: Option<Output>) -> Option<(bool, String)> {
        match output? {
            Output::Display(display) => {
                assert!(display.display_id.is_some());
                let html = display.data.0["text/html"].as_str().unwrap();
                assert!(html.contains("progressbar"), "{html}");
                Some((display.update, display.data.text().unwrap().to_owned()))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_bar_appears_after_a_delay_is_updated_in_place_and_remains() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut progress = Progress::new("%px", 4, Some(Duration::from_secs(2)), start);
        assert_eq!(progress.deadline(), Some(at(2000)));
        assert_eq!(displayed(progress.tick(1, at(1999))), None);
        let bar = "█████               ";
        assert_eq!(
            displayed(progress.tick(1, at(2000))),
            Some((
                false,
                format!("%px:  25%|{bar}| 1/4 [00:02<00:06, 2.00s/it]")
            ))
        );
        assert_eq!(displayed(progress.tick(2, at(2050))), None);
        assert_eq!(progress.deadline(), Some(at(2100)));
        assert!(displayed(progress.tick(2, at(2100))).unwrap().0);
        assert!(displayed(progress.tick(2, at(10_000))).unwrap().0);
        assert_eq!(progress.deadline(), Some(at(10_500)));
        assert!(displayed(progress.tick(2, at(3_600_000))).unwrap().0);
        assert_eq!(progress.deadline(), Some(at(3_601_000)));
        progress.failed(1);
        let last = displayed(progress.finish(4, at(3_600_800))).unwrap();
        assert_eq!(
            last,
            (
                true,
                format!(
                    "%px: 100%|{}| 4/4, 1 task failed [1:00:00<00:00, 900.20s/it]",
                    "█".repeat(20)
                )
            )
        );
    }

    #[test]
    fn the_bar_of_tasks_replaces_that_of_compiling() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut progress = Progress::new("%px", 4, Some(Duration::from_secs(2)), start);
        assert_eq!(progress.compiling(at(1999)), None);
        assert_eq!(
            displayed(progress.compiling(at(2000))),
            Some((false, "%px: compiling for 4 engines [00:02]".into()))
        );
        assert!(displayed(progress.tick(0, at(2200))).unwrap().0);
        progress.cleared();
        assert!(!displayed(progress.tick(0, at(2400))).unwrap().0);
        assert!(displayed(progress.tick(0, at(2600))).unwrap().0);
        let mut failed = Progress::new("%px", 1, Some(Duration::ZERO), start);
        assert_eq!(failed.stop("not compiled", at(1)), None);
        assert!(failed.compiling(at(1)).is_some());
        let Some(Output::Display(last)) = failed.stop("not compiled", at(500)) else {
            panic!()
        };
        assert_eq!(last.data.text(), Some("%px: not compiled [00:00]"));
    }

    #[test]
    fn a_short_run_and_a_run_without_a_bar_show_none() {
        let now = Instant::now();
        let mut short = Progress::new("%px", 1, Some(Duration::from_secs(2)), now);
        assert_eq!(displayed(short.finish(1, now)), None);
        let mut never = Progress::new("%px", 1, None, now);
        assert_eq!(never.deadline(), None);
        assert_eq!(
            displayed(never.tick(0, now + Duration::from_secs(99))),
            None
        );
    }
}
