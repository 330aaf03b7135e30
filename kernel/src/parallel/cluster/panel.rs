//! The panel of a running cluster: a summary of its engines, in HTML and in text.

use super::rows::{EngineRow, cores, engines_table, size};
use super::status::count;
use phalanx_protocol::look::{INDENT, escape};
use phalanx_protocol::output::MimeBundle;
use phalanx_protocol::parallel::EngineReport;

/// The largest number of engines shown in rows; more are shown as tiles.
const MAX_ROWS: usize = 32;
/// The largest number of engines whose last error is shown below tiles.
const MAX_ERRORS: usize = 5;

const TRACK_COLOUR: &str = "var(--jp-layout-color2,#8883)";
const DONE_COLOUR: &str = "var(--jp-brand-color1,#2196f3)";
const ERROR_COLOUR: &str = "var(--jp-error-color1,#d9534f)";
const SUCCESS_COLOUR: &str = "var(--jp-success-color1,#43a047)";
const MUTED_COLOUR: &str = "var(--jp-ui-font-color2,#808080)";

/// The state of a cluster at a point in time.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// The engines.
    pub rows: Vec<EngineRow>,
    /// The number of load-balanced tasks that wait for an engine.
    pub unassigned: usize,
    /// The number of load-balanced tasks that failed before an engine ran them.
    pub refused: usize,
    /// A description of the cluster's end, once it is no longer watched.
    pub end: Option<&'static str>,
}

/// The totals of all engines.
struct EngineTotals {
    tasks: usize,
    done: usize,
    failed: usize,
    memory: u64,
    cores: f64,
}

impl Panel {
    /// Returns the panel in both representations.
    pub fn bundle(&self) -> MimeBundle {
        let table = engines_table(&self.title(), &self.rows, None);
        let text = table.text().unwrap_or_default().to_owned();
        MimeBundle::plain(text).with("text/html", self.html())
    }

    fn sums(&self) -> EngineTotals {
        let known = || self.rows.iter().filter_map(|row| row.status.as_ref());
        let vitals = || known().filter_map(|status| status.vitals.as_ref());
        EngineTotals {
            tasks: known().map(|status| status.tasks).sum(),
            done: known().map(EngineReport::succeeded).sum(),
            failed: known().map(|status| status.failed).sum(),
            memory: vitals().map(|vitals| vitals.memory).sum(),
            cores: vitals().map(|vitals| vitals.cores).sum(),
        }
    }

    /// Returns `4 engines: 2 tasks under way, 30 wait, 500 done, 1 failed; 3.9 cores, 120 MB`, with
    /// `, 2 refused` behind the failed ones if there are any.
    fn title(&self) -> String {
        if let Some(end) = self.end {
            return end.to_owned();
        }
        let sums = self.sums();
        let tasks = match sums.tasks {
            1 => "1 task".to_owned(),
            tasks => format!("{tasks} tasks"),
        };
        let refused = match self.refused {
            0 => String::new(),
            refused => format!(", {refused} refused"),
        };
        format!(
            "{}: {tasks} under way, {} wait, {} done, {} failed{refused}; {} cores, {}",
            count(self.rows.len()),
            self.unassigned,
            sums.done,
            sums.failed,
            cores(sums.cores),
            size(sums.memory)
        )
    }

    fn html(&self) -> String {
        let body = match self.rows.len() {
            0 => String::new(),
            1..=MAX_ROWS => self.grid(),
            _ => self.tiles(),
        };
        let (colour, title) = match self.end {
            Some(_) => (MUTED_COLOUR, self.title()),
            None => (SUCCESS_COLOUR, self.title()),
        };
        format!(
            "<div role=\"status\" style=\"{INDENT};max-width:64em;\
             font-family:var(--jp-ui-font-family,sans-serif);font-size:var(--jp-ui-font-size1,13px);\
             line-height:1.6\"><div style=\"margin-bottom:.4em\">\
             <span style=\"color:{colour}\">●</span> {}</div>{body}</div>",
            escape(&title)
        )
    }

    /// Returns a row for each engine.
    fn grid(&self) -> String {
        let most = self.rows.iter().filter_map(EngineRow::memory).max();
        let most = most.unwrap_or(1).max(1);
        let heading = |text: &str, right: bool| {
            let align = if right { ";text-align:right" } else { "" };
            format!("<span style=\"color:{MUTED_COLOUR}{align}\">{text}</span>")
        };
        let mut cells = [
            heading("engine", true),
            heading("host", false),
            heading("load", true),
            heading("tasks", true),
            heading("done", true),
            heading("failed", true),
            heading("memory", true),
            heading("last error", false),
        ]
        .concat();
        for row in &self.rows {
            cells += &cells_of(row, most);
        }
        format!(
            "<div style=\"display:grid;grid-template-columns:repeat(8,auto);justify-content:start;\
             column-gap:1.4em;row-gap:.1em;align-items:center\">{cells}</div>"
        )
    }

    /// Returns a square for each engine, and the errors of a few.
    fn tiles(&self) -> String {
        let mut tiles = String::new();
        for row in &self.rows {
            let status = row.status.as_ref();
            let busy = status.is_some_and(|status| status.tasks > 0);
            let failed = status.is_some_and(|status| status.failed > 0);
            let ground = if busy { DONE_COLOUR } else { TRACK_COLOUR };
            let border = if failed { ERROR_COLOUR } else { "transparent" };
            let description = format!("engine {} on {}", row.id, row.host);
            let description = match row.last_error() {
                Some(error) => format!("{description}: {error}"),
                None => description,
            };
            tiles += &format!(
                "<span title=\"{}\" style=\"width:.8em;height:.8em;background:{ground};\
                 border:2px solid {border};border-radius:2px\"></span>",
                escape(&description)
            );
        }
        let errors = self.rows.iter().filter_map(|row| {
            let error = row.last_error()?;
            let words = escape(&format!("engine {}: {error}", row.id));
            Some(format!("<div style=\"color:{ERROR_COLOUR}\">{words}</div>"))
        });
        let errors: String = errors.take(MAX_ERRORS).collect();
        format!("<div style=\"display:flex;flex-wrap:wrap;gap:2px\">{tiles}</div>{errors}")
    }
}

impl EngineRow {
    fn memory(&self) -> Option<u64> {
        let status = self.status.as_ref()?;
        Some(status.vitals.as_ref()?.memory)
    }
}

fn cells_of(row: &EngineRow, most: u64) -> String {
    let text = |text: &str| format!("<span>{}</span>", escape(text));
    let number = |number: Option<usize>, colour: &str| {
        let number = number.map_or_else(String::new, |n| n.to_string());
        format!(
            "<span style=\"text-align:right;font-variant-numeric:tabular-nums;color:{colour}\">{number}</span>"
        )
    };
    let status = row.status.as_ref();
    let vitals = status.and_then(|status| status.vitals.as_ref());
    let failed = status.map(|status| status.failed);
    let error = row.last_error().unwrap_or_default();
    let error = escape(&error);
    [
        number(Some(row.id.0 as usize), "inherit"),
        text(&row.host),
        match vitals {
            Some(vitals) => gauge(vitals.cores, &cores(vitals.cores)),
            None => text(""),
        },
        number(status.map(|status| status.tasks), "inherit"),
        number(status.map(EngineReport::succeeded), "inherit"),
        number(
            failed,
            if failed > Some(0) {
                ERROR_COLOUR
            } else {
                "inherit"
            },
        ),
        match row.memory() {
            Some(memory) => gauge(memory as f64 / most as f64, &size(memory)),
            None => text(""),
        },
        format!(
            "<span title=\"{error}\" style=\"color:{ERROR_COLOUR};max-width:26em;overflow:hidden;\
             text-overflow:ellipsis;white-space:nowrap\">{error}</span>"
        ),
    ]
    .concat()
}

/// Returns a short bar followed by a text, at the two sides of its column.
fn gauge(share: f64, words: &str) -> String {
    let width = share.clamp(0.0, 1.0) * 100.0;
    format!(
        "<span style=\"display:flex;justify-content:space-between;align-items:center;gap:.5em;\
         white-space:nowrap;font-variant-numeric:tabular-nums\">\
         <span style=\"display:inline-block;width:5em;height:.7em;border-radius:.35em;overflow:hidden;\
         background:{TRACK_COLOUR}\"><span style=\"display:block;height:100%;width:{width:.0}%;\
         background:{DONE_COLOUR}\"></span></span>{}</span>",
        escape(words)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::id::{EngineId, EngineUuid};
    use phalanx_protocol::parallel::Vitals;
    use serde_json::json;

    fn panel(engines: u32) -> Panel {
        let row = |id| EngineRow {
            id: EngineId(id),
            state: "alive".to_owned(),
            host: "<here>".to_owned(),
            pid: None,
            version: String::new(),
            status: Some(EngineReport {
                uuid: EngineUuid::new("a"),
                tasks: 1,
                completed: 10,
                failed: 1,
                vitals: Some(Vitals {
                    host: "here".to_owned(),
                    memory: 50_000_000,
                    cores: 0.5,
                }),
                last_error: serde_json::from_value(
                    json!({"ename": "Panic", "evalue": "<b>", "received": "2026-01-01T00:00:00Z"}),
                )
                .unwrap(),
            }),
        };
        Panel {
            rows: (0..engines).map(row).collect(),
            unassigned: 7,
            refused: 0,
            end: None,
        }
    }

    fn html(panel: &Panel) -> String {
        let bundle = panel.bundle();
        bundle.0["text/html"].as_str().unwrap().to_owned()
    }

    #[test]
    fn few_engines_have_rows_and_many_have_tiles() {
        let two = panel(2);
        let title = "2 engines: 2 tasks under way, 7 wait, 18 done, 2 failed; 1.0 cores, 100 MB";
        assert_eq!(two.bundle().text().unwrap().lines().next(), Some(title));
        let two = html(&two);
        for part in [
            "width:50%",
            "width:100%",
            "Panic: &lt;b&gt;",
            "&lt;here&gt;",
            title,
        ] {
            assert!(two.contains(part), "{part} in {two}");
        }
        let many = html(&panel(100));
        assert_eq!(many.matches("<span title=").count(), 100);
        assert_eq!(many.matches("Panic: &lt;b&gt;</div>").count(), MAX_ERRORS);
    }

    #[test]
    fn tasks_that_no_engine_ran_are_counted_as_refused() {
        let refused = Panel {
            refused: 3,
            ..panel(1)
        };
        let title = refused.title();
        assert!(title.contains("9 done, 1 failed, 3 refused;"), "{title}");
    }

    #[test]
    fn the_panel_of_an_ended_cluster_shows_its_end() {
        let over = Panel {
            end: Some("The cluster has ended."),
            ..panel(0)
        };
        assert!(html(&over).contains("The cluster has ended."));
    }
}
