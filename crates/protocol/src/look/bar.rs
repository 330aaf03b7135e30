//! Progress bars, in the text format of tqdm and the HTML of ipywidgets.

use super::{INDENT, escape};
use crate::output::{Display, MimeBundle};
use std::time::Duration;

/// The width of the text bar, in characters.
const WIDTH: usize = 20;

/// The colours of the background and of the completed part, as in ipywidgets.
const GROUND: &str = "var(--jp-layout-color2,#8884)";
const DONE: &str = "var(--jp-brand-color1,#2196f3)";

/// The shortest time between two updates of a bar: at most ten per second.
pub const INTERVAL: Duration = Duration::from_millis(100);

/// The progress of a number of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar<'a> {
    /// The text in front of the bar; may be empty.
    pub description: &'a str,
    /// The number of items that are done.
    pub done: usize,
    /// The number of items that were already done at the start of the measured time.
    pub before: usize,
    /// The number of tasks that have failed, whose items are among those that are done.
    pub failed: usize,
    /// The total number of items, if known.
    pub total: Option<usize>,
    /// The time since the start.
    pub elapsed: Duration,
    /// True once the bar is complete.
    pub is_over: bool,
}

impl Bar<'_> {
    /// Both representations; the text is `items:  50%|██████████          | 5/10 [00:02<00:02,
    /// 2.50it/s]`.
    pub fn bundle(&self) -> MimeBundle {
        let extent = match self.total {
            Some(total) => BarExtent::Share(self.done as f64 / total.max(1) as f64),
            None if self.is_over => BarExtent::Whole,
            None => BarExtent::Unknown,
        };
        drawn(self.description, extent, &self.counts())
    }

    /// `5/10 [00:02<00:02, 2.50it/s]`.
    fn counts(&self) -> String {
        let seconds = self.elapsed.as_secs_f64();
        let since = clock(seconds);
        let rate = match self.done.saturating_sub(self.before) {
            done if done > 0 && seconds > 0.0 => Some(done as f64 / seconds),
            _ => None,
        };
        let speed = match rate {
            None => "?it/s".to_owned(),
            Some(rate) if rate >= 1.0 => format!("{rate:.2}it/s"),
            Some(rate) => format!("{:.2}s/it", 1.0 / rate),
        };
        let done = self.done;
        let Some(total) = self.total else {
            return format!("{done}it [{since}, {speed}]");
        };
        let rest = total.saturating_sub(done) as f64;
        let left = match rate {
            Some(rate) => clock(rest / rate),
            None if rest == 0.0 => clock(0.0),
            None => "?".to_owned(),
        };
        let failed = match self.failed {
            0 => String::new(),
            1 => ", 1 task failed".to_owned(),
            tasks => format!(", {tasks} tasks failed"),
        };
        format!("{done}/{total}{failed} [{since}<{left}, {speed}]")
    }
}

/// The key in a display's metadata that identifies bars.
const MARK: &str = "progress";

/// Wraps a bar in a display, which is new or an update.
pub fn display(data: MimeBundle, id: &str, update: bool) -> Display {
    let mut display = Display {
        data,
        display_id: Some(id.to_owned()),
        update,
        ..Display::default()
    };
    display.metadata.insert(MARK.to_owned(), true.into());
    display
}

/// Returns true for displays made by [`display`].
pub fn is_bar(display: &Display) -> bool {
    display.metadata.get(MARK).is_some_and(|mark| mark == true)
}

/// The filled part of a bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BarExtent {
    /// A fraction from 0 to 1.
    Share(f64),
    /// Completely filled: the total was not known in advance.
    Whole,
    /// Indeterminate: work is in progress whose end is not known.
    Unknown,
}

/// Renders a bar between a description and a text.
pub fn drawn(description: &str, extent: BarExtent, words: &str) -> MimeBundle {
    let label = match description {
        "" => String::new(),
        _ => format!("{description}: "),
    };
    let (plain, percent) = match share(extent) {
        Some(share) => {
            let filled = (share * WIDTH as f64) as usize;
            let bar = "█".repeat(filled) + &" ".repeat(WIDTH - filled);
            let percent = format!("{:3.0}%", (share * 100.0).floor());
            (format!("{label}{percent}|{bar}| {words}"), percent)
        }
        None => (format!("{label}{words}"), String::new()),
    };
    let ground = match extent {
        BarExtent::Unknown => {
            format!("repeating-linear-gradient(-45deg,{DONE} 0 8px,{GROUND} 8px 16px)")
        }
        BarExtent::Share(_) | BarExtent::Whole => GROUND.to_owned(),
    };
    let width = match extent {
        BarExtent::Share(_) => share(extent).unwrap_or_default() * 100.0,
        BarExtent::Whole => 100.0,
        BarExtent::Unknown => 0.0,
    };
    let now = share(extent).map_or_else(String::new, |share| {
        format!(" aria-valuenow=\"{:.0}\"", share * 100.0)
    });
    let parts = [
        escape(label.trim_end()),
        percent.trim_start().to_owned(),
        format!(
            "<span role=\"progressbar\"{now} style=\"display:inline-block;width:16em;height:1.2em;background:{ground}\">\
             <span style=\"display:block;height:100%;width:{width:.1}%;background:{DONE}\"></span></span>"
        ),
        escape(words),
    ];
    let parts = parts.iter().filter(|part| !part.is_empty());
    let parts: Vec<String> = parts.map(|part| format!("<span>{part}</span>")).collect();
    let html = format!(
        "<div style=\"display:flex;flex-wrap:wrap;align-items:center;gap:.6em;{INDENT};\
         font-family:var(--jp-code-font-family,monospace);font-size:var(--jp-code-font-size,inherit);\
         white-space:pre\">{}</div>",
        parts.concat()
    );
    MimeBundle::plain(plain).with("text/html", html)
}

fn share(extent: BarExtent) -> Option<f64> {
    match extent {
        // The share of an empty total (0 of 0) is not finite; the bar is complete then.
        BarExtent::Share(share) if share.is_finite() => Some(share.clamp(0.0, 1.0)),
        BarExtent::Share(_) => Some(0.0),
        BarExtent::Whole | BarExtent::Unknown => None,
    }
}

/// Formats a duration: `01:05`, or `1:01:05` from an hour on.
pub fn clock(seconds: f64) -> String {
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

    fn bar(done: usize, total: Option<usize>, seconds: f64) -> Bar<'static> {
        Bar {
            description: "x",
            done,
            before: 0,
            failed: 0,
            total,
            elapsed: Duration::from_secs_f64(seconds),
            is_over: false,
        }
    }

    #[test]
    fn bars_read_like_those_of_tqdm() {
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
                "x:   0%|                    | 0/0 [00:00<00:00, ?it/s]",
            ),
            (7, None, 7.0, "x: 7it [00:07, 1.00it/s]"),
        ] {
            let bundle = bar(done, total, seconds).bundle();
            assert_eq!(bundle.text(), Some(expected));
        }
    }

    #[test]
    fn items_from_before_the_bar_do_not_count_for_its_rate() {
        let late = Bar {
            before: 4,
            ..bar(6, Some(8), 2.0)
        };
        assert_eq!(late.counts(), "6/8 [00:02<00:02, 1.00it/s]");
        let done = Bar {
            before: 8,
            ..bar(8, Some(8), 0.0)
        };
        assert_eq!(done.counts(), "8/8 [00:00<00:00, ?it/s]");
    }

    #[test]
    fn failed_tasks_are_shown() {
        let failed = |failed| Bar {
            failed,
            ..bar(5, Some(10), 2.0)
        };
        assert_eq!(
            failed(1).counts(),
            "5/10, 1 task failed [00:02<00:02, 2.50it/s]"
        );
        assert!(failed(2).counts().starts_with("5/10, 2 tasks failed ["));
    }

    #[test]
    fn html_takes_its_colours_from_the_frontend() {
        let html = |bar: Bar<'_>| {
            let bundle = bar.bundle();
            bundle.0["text/html"].as_str().unwrap().to_owned()
        };
        let half = html(Bar {
            description: "<b>",
            ..bar(5, Some(10), 2.0)
        });
        for part in [
            "width:50.0%",
            "--jp-brand-color1",
            "&lt;b&gt;:",
            "50%",
            "5/10 [00:02&lt;00:02, 2.50it/s]",
        ] {
            assert!(half.contains(part), "{part} in {half}");
        }
        assert!(html(bar(5, None, 2.0)).contains("repeating-linear-gradient"));
        let over = Bar {
            is_over: true,
            ..bar(5, None, 2.0)
        };
        assert!(html(over).contains("width:100.0%"));
    }
}
