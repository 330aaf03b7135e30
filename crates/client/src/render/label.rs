//! Labels that identify the engine of an output.

use phalanx_protocol::id::EngineId;
use phalanx_protocol::output::{Display, MimeBundle, Output, StreamName};
use serde_json::json;

/// The labelling of outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// `[stdout:0]`, `[stderr:0]`, `[output:0]`.
    Engines,
    /// No labels: the view has a single target, given as a number. Results keep `Out[0:3]:`.
    None,
}

impl Labels {
    /// The label `[stdout:0] `, on a line of its own.
    pub(crate) fn stream(self, name: StreamName, engine: EngineId) -> String {
        match self {
            Self::Engines => format!("[{}:{engine}] \n", name.as_str()),
            Self::None => String::new(),
        }
    }

    /// The label `[output:0]`, as a separate output before the displays of an engine.
    pub(crate) fn display(self, engine: EngineId) -> Option<Output> {
        (self == Self::Engines).then(|| {
            Output::Display(Display {
                data: MimeBundle::plain(format!("[output:{engine}]")),
                ..Display::default()
            })
        })
    }
}

/// Converts a display of an engine into one of the cell, with an id that is unique among engines.
pub(crate) fn republished(display: &Display, engine: EngineId) -> Output {
    let mut display = display.clone();
    display.metadata.insert("engine".to_owned(), json!(engine));
    display.display_id = display.display_id.map(|id| format!("engine-{engine}-{id}"));
    Output::Display(display)
}

/// The colour of `Out[0:3]:`. ipyparallel uses red, which notebooks use for errors.
const BLUE: &str = "\x1b[0;34m";
const RESET: &str = "\x1b[0m";

/// Formats a result of an engine as `Out[0:3]: 42`; other MIME types are unchanged.
pub(crate) fn result(data: &MimeBundle, engine: EngineId, execution_count: u32) -> Output {
    let mut data = data.clone();
    let text = data.text().unwrap_or_default();
    let gap = if text.contains('\n') && !text.starts_with('\n') {
        "\n"
    } else {
        ""
    };
    let text = format!("{BLUE}Out[{engine}:{execution_count}]: {RESET}{gap}{text}");
    data.0.insert("text/plain".to_owned(), text.into());
    let mut metadata = serde_json::Map::new();
    metadata.insert("engine".to_owned(), json!(engine));
    Output::Display(Display {
        data,
        metadata,
        ..Display::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_labelled_as_ipyparallel_does() {
        for (text, shown) in [
            ("5", "\x1b[0;34mOut[1:8]: \x1b[0m5"),
            ("a\nb", "\x1b[0;34mOut[1:8]: \x1b[0m\na\nb"),
            ("\na", "\x1b[0;34mOut[1:8]: \x1b[0m\na"),
        ] {
            let bundle = MimeBundle::plain(text).with("text/html", "<b>5</b>");
            let Output::Display(display) = result(&bundle, EngineId(1), 8) else {
                panic!("not a display");
            };
            assert_eq!(display.data.text(), Some(shown));
            assert_eq!(display.data.0["text/html"], "<b>5</b>");
            assert_eq!(display.metadata["engine"], 1);
        }
    }

    #[test]
    fn display_ids_of_engines_do_not_meet() {
        let display = Display {
            display_id: Some("bar".to_owned()),
            update: true,
            ..Display::default()
        };
        let ids: Vec<_> = [0, 1]
            .map(|id| match republished(&display, EngineId(id)) {
                Output::Display(display) => (display.display_id, display.update),
                other => panic!("{other:?}"),
            })
            .into();
        assert_eq!(
            ids,
            [
                (Some("engine-0-bar".to_owned()), true),
                (Some("engine-1-bar".to_owned()), true)
            ]
        );
    }
}
