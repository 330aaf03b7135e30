//! The spans of an error in the user's cell, including those in imports, which evcxr rewrites.

use super::cell_map::{CellMap, FILE};
use super::source;
use phalanx_protocol::failure::DiagnosticSpan;
use ra_ap_syntax::ast::{self, AstNode};
use serde_json::Value;

/// A span in that file, as reported by rustc. Columns are from 1, in characters.
struct RustcSpan<'a> {
    /// Its first line.
    line: &'a str,
    start: usize,
    /// The end column on that line.
    end: usize,
}

/// Returns the spans of a rustc error in the user's source, the primary ones first.
pub(super) fn cell_spans(error: &Value, map: &CellMap<'_>) -> Vec<DiagnosticSpan> {
    let spans = error["spans"].as_array().into_iter().flatten();
    let mut cell_spans = Vec::new();
    for span in spans {
        let primary = span["is_primary"] == true;
        let label = span["label"].as_str();
        let range = source_span(span).and_then(|span| cell_range(span, map));
        let call = macro_use(span, map);
        let own_label = label.unwrap_or_default().to_owned();
        let ranges = match (range, call) {
            (Some(range), None) => vec![(range, own_label, primary)],
            (Some(range), Some(call)) => {
                let label = call.label().to_owned();
                vec![(range, own_label, primary), (call.range, label, false)]
            }
            (None, Some(call)) => {
                let label = match label {
                    Some(_) => own_label,
                    None => format!("in what `{}` makes of this", call.name),
                };
                vec![(call.range, label, primary)]
            }
            (None, None) => Vec::new(),
        };
        for ((start, end), label, primary) in ranges {
            let span = DiagnosticSpan {
                start_line: start.0,
                start_column: start.1,
                end_line: end.0,
                end_column: end.1,
                label,
                primary,
            };
            if !cell_spans.contains(&span) {
                cell_spans.push(span);
            }
        }
    }
    cell_spans.sort_by_key(|span| !span.primary);
    cell_spans
}

/// The first and the last position of a span: line and column, both from 1.
type SpanRange = ((usize, usize), (usize, usize));

/// The use of a macro in the cell.
struct MacroUse<'a> {
    range: SpanRange,
    name: &'a str,
}

impl MacroUse<'_> {
    /// rustc's label of the span.
    fn label(&self) -> &'static str {
        match (self.name.starts_with(DERIVE), self.name.ends_with('!')) {
            (true, _) => "in this derive macro expansion",
            (_, true) => "in this macro invocation",
            _ => "in this procedural macro expansion",
        }
    }
}

/// The prefix of the name of a derive macro.
const DERIVE: &str = "#[derive(";

/// Returns the use in the cell of the macro that generated a span in the notebook's code; `None`
/// for macros added by Phalanx, and for rustc's desugarings such as `?`.
fn macro_use<'a>(span: &'a Value, map: &CellMap<'_>) -> Option<MacroUse<'a>> {
    let mut expansion = &source_span(span)?["expansion"];
    loop {
        let call = source_span(&expansion["span"])?;
        let name = expansion["macro_decl_name"].as_str()?;
        let is_macro = name.ends_with('!') || name.starts_with("#[");
        let is_internal = name.contains("__") || name.ends_with("unkept!");
        if is_macro
            && !is_internal
            && let Some(range) = cell_range(call, map)
        {
            return Some(MacroUse { range, name });
        }
        expansion = &call["expansion"];
    }
}

/// Returns the range of a span: mapped by the cell's statements, or otherwise by the line's text.
fn cell_range(span: &Value, map: &CellMap<'_>) -> Option<SpanRange> {
    if let Some(range) = map.range(span) {
        return Some(range);
    }
    let reported = parse_span(span)?;
    let (line, start, end) = same_line(&reported, &map.source.text)
        .map(|(line, start, end)| {
            let column = |column| map.source.column(line, column);
            (line, column(start), column(end))
        })
        .or_else(|| import(&reported, &map.source.written))?;
    Some(((line, start), (line, end)))
}

/// Returns the span in the cell's source, or that of the macro call it comes from.
pub(super) fn source_span(span: &Value) -> Option<&Value> {
    let mut span = span;
    while span["file_name"] != FILE {
        span = &span["expansion"]["span"];
        if span.is_null() {
            return None;
        }
    }
    Some(span)
}

/// Returns the closure named in an error, located by its position in the code that evcxr compiled.
pub(super) fn closure(error: &Value, map: &CellMap<'_>) -> Option<DiagnosticSpan> {
    let (compiled, source) = (&map.compiled, map.source);
    let texts = |list: &str, key: &str| {
        let entries = error[list].as_array().into_iter().flatten();
        let texts = entries.filter_map(|entry| entry[key].as_str());
        texts.map(str::to_owned).collect::<Vec<_>>()
    };
    // It depends on the version of rustc which of the two contains it.
    let labels = texts("spans", "label").into_iter();
    let mut messages = labels.chain(texts("children", "message"));
    let [line, start, end] = messages.find_map(|message| {
        let (_, name) = message.split_once("{closure@")?;
        let (file, position) = name.split_once('}')?.0.split_once(':')?;
        // rustc abbreviates paths.
        if !FILE.ends_with(file) {
            return None;
        }
        let mut numbers = position.split([':', ' ']).filter(|word| !word.is_empty());
        let mut number = || numbers.next()?.parse::<usize>().ok();
        let (line, start) = (number()?, number()?);
        Some([line, start, number().and(number()).unwrap_or_default()])
    })?;
    let text = compiled
        .lines()
        .nth(line.checked_sub(1)?)
        .unwrap_or_default();
    let (line, start, end) = head(text, start)
        .filter(|head_end| end == 0 || *head_end == end)
        .and_then(|end| {
            let span = RustcSpan {
                line: text,
                start,
                end,
            };
            same_line(&span, &source.text)
        })
        .or_else(|| only_head(end.checked_sub(start)?, start, &source.text))?;
    Some(DiagnosticSpan {
        start_line: line,
        start_column: source.column(line, start),
        end_line: line,
        end_column: source.column(line, end),
        label: "this closure".to_owned(),
        primary: true,
    })
}

/// Returns the column at which the head of a closure (`|x: f64|`) that begins at `start` ends.
fn head(line: &str, start: usize) -> Option<usize> {
    let head = line.chars().enumerate().skip(start.checked_sub(1)?);
    let bars = head.filter(|(_, c)| *c == '|').map(|(index, _)| index + 2);
    bars.take(2).last()
}

/// Returns the only closure head with this length, since evcxr may have compiled other code since.
/// Of several, the one at that column.
fn only_head(len: usize, column: usize, source: &str) -> Option<(usize, usize, usize)> {
    let heads = (1..).zip(source.lines()).flat_map(|(number, line)| {
        let starts = line.chars().enumerate().filter(|(_, c)| *c == '|');
        let heads = starts.filter_map(move |(index, _)| {
            let start = index + 1;
            let end = head(line, start)?;
            (end - start == len).then_some((number, start, end))
        });
        heads.collect::<Vec<_>>()
    });
    let heads = heads.collect::<Vec<_>>();
    let mut at_column = heads.iter().filter(|(_, start, _)| *start == column);
    match (heads.as_slice(), at_column.next(), at_column.next()) {
        ([one], _, _) => Some(*one),
        (_, Some(one), None) => Some(*one),
        _ => None,
    }
}

fn parse_span(span: &Value) -> Option<RustcSpan<'_>> {
    let text = &span["text"][0];
    let column = |name: &str| usize::try_from(text[name].as_u64()?).ok();
    let line = text["text"].as_str()?;
    Some(RustcSpan {
        line,
        start: column("highlight_start")?,
        end: column("highlight_end")?.min(line.chars().count() + 1),
    })
}

/// Returns the line (from 1) of the source that equals the reported one, and the columns in it.
fn same_line(span: &RustcSpan<'_>, source: &str) -> Option<(usize, usize, usize)> {
    let text = span.line.trim();
    let (number, line) = (1..)
        .zip(source.lines())
        .find(|(_, line)| line.trim() == text)?;
    let indent = |line: &str| line.chars().take_while(|c| c.is_whitespace()).count();
    let (new, old) = (indent(line), indent(span.line));
    let column = |column: usize| (column + new).saturating_sub(old).max(1);
    Some((number, column(span.start), column(span.end)))
}

/// Returns the name in an import of the source that was reported, or the last segment of its path.
fn import(span: &RustcSpan<'_>, source: &str) -> Option<(usize, usize, usize)> {
    if !span.line.trim_start().starts_with("use ") {
        return None;
    }
    let length = span.end.checked_sub(span.start)?;
    let path = span.line.chars().skip(span.start.checked_sub(1)?);
    let path = path.take(length).collect::<String>();
    let last = path.rsplit("::").next().unwrap_or_default();
    import_of(&path, source).or_else(|| import_of(last, source))
}

/// Returns the position at which the source imports something, by its local name.
fn import_of(name: &str, text: &str) -> Option<(usize, usize, usize)> {
    let (statements, cell_offset) = source::statements(text);
    let imports = statements.into_iter().filter_map(ast::Use::cast);
    let is_name_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    imports.into_iter().find_map(|import| {
        let range = import.use_token()?.text_range();
        let start = cell_offset(range.start().into())?;
        let end = cell_offset(import.syntax().text_range().end().into())?;
        let import = text.get(start..end)?;
        let mut names = import.match_indices(name).filter(|(index, _)| {
            !is_name_part(import[..*index].chars().next_back())
                && !is_name_part(import[index + name.len()..].chars().next())
        });
        let (index, _) = names.next()?;
        let (line, column) = source::position(&text[..start + index]);
        Some((line, column, column + name.chars().count()))
    })
}

#[cfg(test)]
mod tests {
    use super::super::source::PreparedSource;
    use super::*;
    use serde_json::json;

    fn check(line: &str, (start, end): (usize, usize), source: &str, expected: Option<[usize; 3]>) {
        let error = json!({"spans": [{
            "file_name": FILE,
            "is_primary": true,
            "label": "here",
            "text": [
                {"text": line, "highlight_start": start, "highlight_end": end},
                {"text": "evcxr_variable_store", "highlight_start": 1, "highlight_end": 2},
            ],
        }]});
        let source = PreparedSource::unchanged(source);
        let spans = cell_spans(&error, &CellMap::of(&source, String::new()));
        let span = spans.first();
        let span = span.map(|span| [span.start_line, span.start_column, span.end_column]);
        assert_eq!(span, expected, "{line:?}");
    }

    #[test]
    fn spans_are_mapped_by_their_line() {
        let source = "// ü\n  let größe = \"open";
        check("let größe = \"open", (13, 18), source, Some([2, 15, 20]));
        check(
            "    let größe = \"open",
            (17, 99),
            source,
            Some([2, 15, 20]),
        );
        check("something.else()", (1, 3), source, None);
    }

    #[test]
    fn closures_are_located_by_their_name() {
        let error = |position: &str| {
            let note = format!("while instantiating `fn <{{closure@{position}}} as X<(f64,)>>::f`");
            json!({"children": [{"message": "other"}, {"message": note}]})
        };
        let labelled = |position: &str| {
            let label =
                format!("evaluation of `X::<{{closure@{position}}}>::{{constant#0}}` failed here");
            json!({"spans": [{"file_name": "/core/src/panic.rs", "label": label}]})
        };
        let compiled = "generated\n    dv.map_sync(|x: f64| k * x, &xs)\n";
        let source = PreparedSource::unchanged("let dv = all;\ndv.map_sync(|x: f64| k * x, &xs)");
        for position in ["lib.rs:2:17", "src/lib.rs:2:17: 2:25"] {
            for error in [error(position), labelled(position)] {
                let span = closure(&error, &CellMap::of(&source, compiled.to_owned())).unwrap();
                assert_eq!(
                    (span.start_line, span.start_column, span.end_column),
                    (2, 13, 21)
                );
            }
        }
        let other = |source| CellMap::of(source, "generated\nsomething else\n".to_owned());
        assert_eq!(closure(&error("lib.rs:2:17"), &other(&source)), None);
        // The file has changed since; the length of the closure identifies it.
        let span = closure(&error("lib.rs:1:17: 1:25"), &other(&source)).unwrap();
        assert_eq!([span.start_column, span.end_column], [13, 21]);
        let two = PreparedSource::unchanged("f(|x: f64| k);\n   f(|y: f64| k)");
        let span = closure(&error("lib.rs:9:6: 9:14"), &other(&two)).unwrap();
        assert_eq!([span.start_line, span.start_column], [2, 6]);
        assert_eq!(closure(&error("lib.rs:9:8: 9:16"), &other(&two)), None);
        assert_eq!(closure(&error("mod.rs:2:17"), &other(&source)), None);
    }

    #[test]
    fn errors_of_library_macros_are_at_the_call() {
        let call = json!({
            "file_name": FILE,
            "text": [{"text": "f(task!([k] || k))", "highlight_start": 3, "highlight_end": 18}],
        });
        let inner = json!({"file_name": "/x/mod.rs", "expansion": {"span": call}});
        let error = json!({"spans": [
            {"file_name": "/x/mod.rs", "is_primary": true, "expansion": {"span": inner}},
            {"file_name": "/x/other.rs", "expansion": null},
        ]});
        let source = PreparedSource::unchanged("1;\nf(task!([k] || k))");
        let spans = cell_spans(&error, &CellMap::of(&source, String::new()));
        let starts = spans
            .iter()
            .map(|span| [span.start_line, span.start_column]);
        assert_eq!(starts.collect::<Vec<_>>(), [[2, 3]]);
    }

    #[test]
    fn errors_of_macros_of_earlier_cells_are_at_the_call() {
        let call = json!({
            "file_name": FILE,
            "text": [{"text": "f(quadrat!(k))", "highlight_start": 3, "highlight_end": 14}],
        });
        let error = json!({"spans": [{
            "file_name": FILE,
            "is_primary": true,
            "text": [{"text": "macro_rules! quadrat { … }", "highlight_start": 3, "highlight_end": 4}],
            "expansion": {"span": call, "macro_decl_name": "quadrat!"},
        }]});
        let source = PreparedSource::unchanged("1;\nf(quadrat!(k))");
        let spans = cell_spans(&error, &CellMap::of(&source, String::new()));
        assert_eq!([spans[0].start_line, spans[0].start_column], [2, 3]);
        assert_eq!(spans[0].label, "in what `quadrat!` makes of this");
    }

    #[test]
    fn imports_are_located_by_name() {
        let source = "let foolish = 1;\nuse a::{\n    größe, foo::bar,\n};";
        check("use a::foo::bar;", (8, 11), source, Some([3, 12, 15]));
        check("use a::größe;", (8, 13), source, Some([3, 5, 10]));
        check("use a::foolish;", (8, 15), source, None);
        check("use a::b::größe;", (5, 16), source, Some([3, 5, 10]));
        check("use foo;", (5, 8), "use foo;", Some([1, 5, 8]));
        let source = "/* ä foo */ use foo::bär;";
        check("use foo::bär;", (5, 13), source, Some([1, 17, 25]));
    }
}
