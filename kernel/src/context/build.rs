//! The progress of a build of dependencies, from cargo's output, as a display that is updated in
//! place.

use phalanx_evaluator::BUILD_REASON;
use phalanx_protocol::output::{Display, MimeBundle, Output};
use std::time::{Duration, Instant};

/// The shortest time between two updates.
const INTERVAL: Duration = Duration::from_millis(100);

/// The longest time between two updates.
const TICK: Duration = Duration::from_secs(1);

/// The first words of cargo's progress lines.
const VERBS: [&str; 9] = [
    // Printed by us, for a component of the toolchain.
    "Installing",
    "Updating",
    "Locking",
    "Adding",
    "Downloading",
    "Downloaded",
    "Compiling",
    "Building",
    "Checking",
];

/// The progress of a build.
#[derive(Debug)]
pub struct BuildProgress {
    display_id: String,
    started: Instant,
    /// The last progress line.
    line: String,
    shown: Option<Instant>,
    crates: usize,
    /// The reason for the build, if the user has not asked for it.
    reason: Option<String>,
}

impl BuildProgress {
    /// Creates the progress of a build; nothing is shown before cargo's first progress line.
    pub fn new(display_id: String, now: Instant) -> Self {
        Self {
            display_id,
            started: now,
            line: String::new(),
            shown: None,
            crates: 0,
            reason: None,
        }
    }

    /// Handles a line of cargo's output; returns the display to show, if it is time for one.
    pub fn line(&mut self, line: &str, now: Instant) -> Option<Output> {
        let line = line.trim();
        if let Some(reason) = line.strip_prefix(BUILD_REASON) {
            self.reason = Some(reason.to_owned());
            return None;
        }
        let verb = line.split_whitespace().next()?;
        if !VERBS.contains(&verb) {
            return None;
        }
        if verb == "Compiling" {
            self.crates += 1;
        }
        if self.shown.is_some_and(|shown| now < shown + INTERVAL) {
            return None;
        }
        line.clone_into(&mut self.line);
        Some(self.still(now))
    }

    /// Returns the time of the next update if cargo prints nothing until then.
    pub fn due(&self) -> Option<Instant> {
        self.shown.map(|shown| shown + TICK)
    }

    /// Updates the elapsed time, if an update is due.
    pub fn tick(&mut self, now: Instant) -> Option<Output> {
        let is_due = self.due().is_some_and(|due| due <= now);
        is_due.then(|| self.still(now))
    }

    fn still(&mut self, now: Instant) -> Output {
        let (count, elapsed) = (self.count(), self.elapsed(now));
        let text = match self.crates {
            0 => format!("{} ({elapsed:.0} s)", self.line),
            _ => format!("{} ({count}, {elapsed:.0} s)", self.line),
        };
        self.show(text, now)
    }

    /// Ends the progress of a build, completed or not; returns the final display, if any was shown.
    pub fn finish(mut self, done: bool, now: Instant) -> Option<Output> {
        self.shown?;
        let (count, elapsed) = (self.count(), self.elapsed(now));
        let text = match (done, self.crates) {
            (true, 0) => format!("Ready after {elapsed:.1} s"),
            (true, _) => format!("Built {count} in {elapsed:.1} s"),
            (false, 0) => format!("Not built, after {elapsed:.1} s"),
            (false, _) => format!("Stopped building at {count}, after {elapsed:.1} s"),
        };
        Some(self.show(text, now))
    }

    fn count(&self) -> String {
        match self.crates {
            1 => "1 crate".to_owned(),
            crates => format!("{crates} crates"),
        }
    }

    fn elapsed(&self, now: Instant) -> f64 {
        now.duration_since(self.started).as_secs_f64()
    }

    fn show(&mut self, mut text: String, now: Instant) -> Output {
        if let Some(reason) = &self.reason {
            text = format!("{text}: {reason}");
        }
        let update = self.shown.replace(now).is_some();
        Output::Display(Display {
            data: MimeBundle::plain(text),
            display_id: Some(self.display_id.clone()),
            update,
            ..Display::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_lines_update_one_display() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut build = BuildProgress::new("b".into(), start);
        let mut shown = Vec::new();
        for (millis, line) in [
            (0, "warning: unused"),
            (10, "   Compiling serde v1.0"),
            (20, "   Compiling rand v0.9"),
            (1200, "   Compiling a v1"),
        ] {
            shown.extend(build.line(line, at(millis)));
        }
        shown.extend(build.finish(true, at(2500)));
        let displays: Vec<_> = shown
            .iter()
            .map(|output| match output {
                Output::Display(display) => (display.update, display.data.text().unwrap()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            displays,
            [
                (false, "Compiling serde v1.0 (1 crate, 0 s)"),
                (true, "Compiling a v1 (3 crates, 1 s)"),
                (true, "Built 3 crates in 2.5 s"),
            ]
        );
        let mut slow = BuildProgress::new("b".into(), start);
        assert_eq!(slow.due(), None);
        slow.line("Updating the index", at(0));
        assert_eq!(slow.due(), Some(at(1000)));
        assert_eq!(slow.tick(at(999)), None);
        let Some(Output::Display(still)) = slow.tick(at(1000)) else {
            panic!("the time is not shown")
        };
        let text = still.data.text().unwrap();
        assert_eq!(text, "Updating the index (1 s)");
        assert_eq!(slow.due(), Some(at(2000)));
        let mut explained = BuildProgress::new("b".into(), start);
        let reason = format!("{BUILD_REASON}cells with `.await` need tokio");
        assert_eq!(explained.line(&reason, at(0)), None);
        let first = explained.line("   Compiling tokio v1.50.0", at(10));
        let last = explained.finish(true, at(1500));
        let texts = [first, last].map(|output| match output {
            Some(Output::Display(display)) => display.data.text().unwrap().to_owned(),
            other => panic!("{other:?}"),
        });
        assert_eq!(
            texts,
            [
                "Compiling tokio v1.50.0 (1 crate, 0 s): cells with `.await` need tokio",
                "Built 1 crate in 1.5 s: cells with `.await` need tokio"
            ]
        );
        let mut stopped = BuildProgress::new("b".into(), start);
        stopped.line("Compiling a v1", at(0));
        let Some(Output::Display(last)) = stopped.finish(false, at(1500)) else {
            panic!("nothing is shown")
        };
        let text = last.data.text().unwrap();
        assert_eq!(text, "Stopped building at 1 crate, after 1.5 s");
        assert_eq!(
            BuildProgress::new("b".into(), start).finish(true, start),
            None
        );
    }
}
