//! Outputs of finished or running tasks, grouped: `%pxresult`, `--no-stream`, `display_outputs`.

use super::label::{self, Labels};
use super::row::row;
use phalanx_protocol::host::{AsyncResultSnapshot, GroupBy, TaskMetadata};
use phalanx_protocol::id::EngineId;
use phalanx_protocol::output::{Display, Output, StreamName};

/// Returns all outputs of the tasks, in engine order within each group.
///
/// For failed tasks, the outputs before the failure are included, but not the failure itself. With
/// `result_only`, only results are included.
pub fn grouped(
    snapshot: &AsyncResultSnapshot,
    group_by: GroupBy,
    result_only: bool,
    labels: Labels,
) -> Vec<Output> {
    // A task without an engine has no output.
    let mut tasks: Vec<Task<'_>> = snapshot
        .tasks
        .iter()
        .filter_map(|task| Some((task.metadata.engine_id?, &task.metadata)))
        .collect();
    tasks.sort_by_key(|(engine, _)| *engine);
    let mut page = Page {
        labels,
        outputs: Vec::new(),
    };
    match (result_only, group_by) {
        (true, _) => {}
        (false, GroupBy::Engine) => {
            for task in tasks {
                page.stream(StreamName::Stdout, task);
                page.stream(StreamName::Stderr, task);
                page.displays(task);
                page.result(task);
            }
            return page.outputs;
        }
        (false, GroupBy::Type) => {
            page.streams(&tasks);
            for task in &tasks {
                page.displays(*task);
            }
        }
        (false, GroupBy::Order) => {
            page.streams(&tasks);
            let rounds = tasks
                .iter()
                .map(|(_, task)| task.outputs.len())
                .max()
                .unwrap_or(0);
            for round in 0..rounds {
                page.round(&tasks, round);
            }
        }
    }
    for task in tasks {
        page.result(task);
    }
    page.outputs
}

type Task<'a> = (EngineId, &'a TaskMetadata);

struct Page {
    labels: Labels,
    outputs: Vec<Output>,
}

impl Page {
    fn streams(&mut self, tasks: &[Task<'_>]) {
        for name in [StreamName::Stdout, StreamName::Stderr] {
            for task in tasks {
                self.stream(name, *task);
            }
        }
    }

    fn stream(&mut self, name: StreamName, (engine, task): Task<'_>) {
        let text = match name {
            StreamName::Stdout => &task.stdout,
            StreamName::Stderr => &task.stderr,
        };
        if text.is_empty() {
            return;
        }
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let label = self.labels.stream(name, engine);
        let piece = format!("{label}{text}{end}");
        if let Some(Output::Stream { name: last, text }) = self.outputs.last_mut()
            && *last == name
        {
            text.push_str(&piece);
        } else {
            self.outputs.push(Output::Stream { name, text: piece });
        }
    }

    /// Adds all displays of one engine, under one label.
    fn displays(&mut self, (engine, task): Task<'_>) {
        if !task.outputs.is_empty() {
            self.outputs.extend(self.labels.display(engine));
        }
        for display in &task.outputs {
            self.outputs.push(label::republished(display, engine));
        }
    }

    /// Adds the display with index `round` of every engine that has one: side by side if HTML can
    /// represent them, otherwise below each other with labels.
    fn round(&mut self, tasks: &[Task<'_>], round: usize) {
        let displays: Vec<(EngineId, &Display)> = tasks
            .iter()
            .filter_map(|(engine, task)| Some((*engine, task.outputs.get(round)?)))
            .collect();
        if self.labels == Labels::Engines
            && let Some(row) = row(&displays)
        {
            self.outputs.push(row);
            return;
        }
        for (engine, display) in displays {
            self.outputs.extend(self.labels.display(engine));
            self.outputs.push(label::republished(display, engine));
        }
    }

    fn result(&mut self, (engine, task): Task<'_>) {
        if let Some(data) = &task.execute_result {
            let count = task.execution_count.unwrap_or_default();
            self.outputs.push(label::result(data, engine, count));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::host::TaskSnapshot;
    use phalanx_protocol::output::MimeBundle;

    /// Engine 1 precedes engine 0, so that a test can detect the ordering by engine.
    fn snapshot() -> AsyncResultSnapshot {
        let task = |id: u32, displays: &[&str]| TaskSnapshot {
            metadata: TaskMetadata {
                engine_id: Some(EngineId(id)),
                stdout: "ns\n".to_owned(),
                stderr: if id == 1 { "err" } else { "" }.to_owned(),
                outputs: displays
                    .iter()
                    .map(|text| Display {
                        data: MimeBundle::plain(*text),
                        ..Display::default()
                    })
                    .collect(),
                execute_result: Some(MimeBundle::plain("5")),
                execution_count: Some(8),
                ..TaskMetadata::default()
            },
            result: None,
        };
        AsyncResultSnapshot {
            name: "%px".to_owned(),
            tasks: vec![task(1, &["x1", "y1"]), task(0, &["x0"])],
            elapsed: 0.0,
        }
    }

    fn lines(group_by: GroupBy, result_only: bool, labels: Labels) -> Vec<String> {
        grouped(&snapshot(), group_by, result_only, labels)
            .iter()
            .map(|output| match output {
                Output::Stream { name, text } => format!("{}|{text}", name.as_str()),
                Output::Display(display) => display
                    .data
                    .text()
                    .unwrap()
                    .replace("\x1b[0;34m", "")
                    .replace("\x1b[0m", ""),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn by_type() {
        assert_eq!(
            lines(GroupBy::Type, false, Labels::Engines),
            [
                "stdout|[stdout:0] \nns\n[stdout:1] \nns\n",
                "stderr|[stderr:1] \nerr\n",
                "[output:0]",
                "x0",
                "[output:1]",
                "x1",
                "y1",
                "Out[0:8]: 5",
                "Out[1:8]: 5",
            ]
        );
    }

    #[test]
    fn by_engine() {
        assert_eq!(
            lines(GroupBy::Engine, false, Labels::Engines),
            [
                "stdout|[stdout:0] \nns\n",
                "[output:0]",
                "x0",
                "Out[0:8]: 5",
                "stdout|[stdout:1] \nns\n",
                "stderr|[stderr:1] \nerr\n",
                "[output:1]",
                "x1",
                "y1",
                "Out[1:8]: 5",
            ]
        );
    }

    #[test]
    fn by_order_shows_engines_with_fewer_outputs_too() {
        assert_eq!(
            lines(GroupBy::Order, false, Labels::Engines)[2..],
            [
                "[output:0]",
                "x0",
                "[output:1]",
                "x1",
                "[output:1]",
                "y1",
                "Out[0:8]: 5",
                "Out[1:8]: 5",
            ]
        );
    }

    #[test]
    fn results_alone_and_without_labels() {
        for group_by in [GroupBy::Type, GroupBy::Engine, GroupBy::Order] {
            assert_eq!(
                lines(group_by, true, Labels::Engines),
                ["Out[0:8]: 5", "Out[1:8]: 5"]
            );
        }
        assert_eq!(
            lines(GroupBy::Engine, false, Labels::None)[..3],
            ["stdout|ns\n", "x0", "Out[0:8]: 5"]
        );
    }
}
