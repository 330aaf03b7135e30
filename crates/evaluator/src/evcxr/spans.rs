//! Places of errors that evcxr takes for its own: in imports, which it puts elsewhere, and in
//! tokens that go on behind the cell's end.

use super::source::Prepared;
use phalanx_protocol::failure::DiagnosticSpan;
use serde_json::Value;

/// The file that evcxr has compiled, as rustc names it.
const FILE: &str = "src/lib.rs";

/// A place in that file, as rustc tells it. Columns are from 1, in characters.
struct Told<'a> {
    /// The first line of it.
    line: &'a str,
    start: usize,
    /// Where it ends on that line.
    end: usize,
}

/// Where an error of rustc's stands in the user's source, as far as its lines are found there.
pub(super) fn places(error: &Value, source: &Prepared) -> Vec<DiagnosticSpan> {
    let spans = error["spans"].as_array().into_iter().flatten();
    let mut places = spans
        .filter_map(|span| {
            let told = told(written(span)?)?;
            let (line, start, end) =
                same_line(&told, &source.text).or_else(|| import(&told, &source.text))?;
            Some(DiagnosticSpan {
                start_line: line,
                start_column: source.column(line, start),
                end_line: line,
                end_column: source.column(line, end),
                label: span["label"].as_str().unwrap_or_default().to_owned(),
                primary: span["is_primary"] == true,
            })
        })
        .collect::<Vec<_>>();
    places.sort_by_key(|place| !place.primary);
    places
}

/// Where in the cell a span is, or the call of the macro that it comes from.
fn written(span: &Value) -> Option<&Value> {
    let mut span = span;
    while span["file_name"] != FILE {
        span = &span["expansion"]["span"];
        if span.is_null() {
            return None;
        }
    }
    Some(span)
}

/// The closure that an error names, by its place in `compiled`, which is what evcxr has had compiled.
pub(super) fn closure(error: &Value, compiled: &str, source: &Prepared) -> Option<DiagnosticSpan> {
    let texts = |of: &str, text: &str| {
        let all = error[of].as_array().into_iter().flatten();
        let texts = all.filter_map(|one| one[text].as_str());
        texts.map(str::to_owned).collect::<Vec<_>>()
    };
    // Which of the two it is differs from one rustc to another.
    let labels = texts("spans", "label").into_iter();
    let mut messages = labels.chain(texts("children", "message"));
    let [line, start, end] = messages.find_map(|message| {
        let (_, place) = message.split_once("{closure@")?;
        let (file, place) = place.split_once('}')?.0.split_once(':')?;
        // rustc shortens paths.
        if !FILE.ends_with(file) {
            return None;
        }
        let mut numbers = place.split([':', ' ']).filter(|word| !word.is_empty());
        let mut number = || numbers.next()?.parse::<usize>().ok();
        let (line, start) = (number()?, number()?);
        Some([line, start, number().and(number()).unwrap_or_default()])
    })?;
    let text = compiled
        .lines()
        .nth(line.checked_sub(1)?)
        .unwrap_or_default();
    let (line, start, end) = head(text, start)
        .filter(|found| end == 0 || *found == end)
        .and_then(|end| {
            let told = Told {
                line: text,
                start,
                end,
            };
            same_line(&told, &source.text)
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

/// Where the head of a closure that begins at this column ends: `|x: f64|`.
fn head(line: &str, start: usize) -> Option<usize> {
    let head = line.chars().enumerate().skip(start.checked_sub(1)?);
    let bars = head.filter(|(_, c)| *c == '|').map(|(at, _)| at + 2);
    bars.take(2).last()
}

/// The only head of a closure that is so long: evcxr may have had something else compiled since.
/// Of several the one at that column.
fn only_head(len: usize, column: usize, source: &str) -> Option<(usize, usize, usize)> {
    let heads = (1..).zip(source.lines()).flat_map(|(number, line)| {
        let starts = line.chars().enumerate().filter(|(_, c)| *c == '|');
        let found = starts.filter_map(move |(at, _)| {
            let end = head(line, at + 1)?;
            (end - at - 1 == len).then_some((number, at + 1, end))
        });
        found.collect::<Vec<_>>()
    });
    let heads = heads.collect::<Vec<_>>();
    let mut there = heads.iter().filter(|(_, at, _)| *at == column);
    match (heads.as_slice(), there.next(), there.next()) {
        ([one], _, _) => Some(*one),
        (_, Some(one), None) => Some(*one),
        _ => None,
    }
}

fn told(span: &Value) -> Option<Told<'_>> {
    let text = &span["text"][0];
    let column = |name: &str| usize::try_from(text[name].as_u64()?).ok();
    let line = text["text"].as_str()?;
    Some(Told {
        line,
        start: column("highlight_start")?,
        end: column("highlight_end")?.min(line.chars().count() + 1),
    })
}

/// The line (from 1) of the source that is the one told of, and the columns there.
fn same_line(told: &Told<'_>, source: &str) -> Option<(usize, usize, usize)> {
    let wanted = told.line.trim();
    let (number, line) = (1..)
        .zip(source.lines())
        .find(|(_, line)| line.trim() == wanted)?;
    let indented = |line: &str| line.chars().take_while(|c| c.is_whitespace()).count();
    let (here, there) = (indented(line), indented(told.line));
    let column = |at: usize| (at + here).saturating_sub(there).max(1);
    Some((number, column(told.start), column(told.end)))
}

/// The name in an import of the source that is the one told of, or the last of its path.
fn import(told: &Told<'_>, source: &str) -> Option<(usize, usize, usize)> {
    if !told.line.trim_start().starts_with("use ") {
        return None;
    }
    let length = told.end.checked_sub(told.start)?;
    let path = told.line.chars().skip(told.start.checked_sub(1)?);
    let path = path.take(length).collect::<String>();
    let last = path.rsplit("::").next().unwrap_or_default();
    import_of(&path, source).or_else(|| import_of(last, source))
}

/// Where the source imports something, by what it calls it.
fn import_of(name: &str, source: &str) -> Option<(usize, usize, usize)> {
    let name = name.chars().collect::<Vec<_>>();
    let mut is_import = false;
    for (number, line) in (1..).zip(source.lines()) {
        let start = line.trim_start();
        is_import |= start.starts_with("use ") || start.starts_with("pub use ");
        let line_chars = line.chars().collect::<Vec<_>>();
        let is_part = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || *c == '_');
        let at = (0..line_chars.len()).find(|at| {
            line_chars[*at..].starts_with(&name)
                && !is_part(line_chars.get(at + name.len()))
                && !is_part(at.checked_sub(1).and_then(|before| line_chars.get(before)))
        });
        if let Some(at) = at.filter(|_| is_import) {
            return Some((number, at + 1, at + 1 + name.len()));
        }
        is_import &= !line.contains(';');
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(line: &str, (start, end): (usize, usize), source: &str, found: Option<[usize; 3]>) {
        let error = json!({"spans": [{
            "file_name": FILE,
            "is_primary": true,
            "label": "here",
            "text": [
                {"text": line, "highlight_start": start, "highlight_end": end},
                {"text": "evcxr_variable_store", "highlight_start": 1, "highlight_end": 2},
            ],
        }]});
        let places = places(&error, &Prepared::unchanged(source));
        let place = places.first();
        let place = place.map(|place| [place.start_line, place.start_column, place.end_column]);
        assert_eq!(place, found, "{line:?} in {source:?}");
    }

    #[test]
    fn places_are_found_by_their_line() {
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
    fn a_closure_is_found_by_the_place_it_is_named_by() {
        let error = |place: &str| {
            let note = format!("while instantiating `fn <{{closure@{place}}} as X<(f64,)>>::f`");
            json!({"children": [{"message": "other"}, {"message": note}]})
        };
        let labelled = |place: &str| {
            let label =
                format!("evaluation of `X::<{{closure@{place}}}>::{{constant#0}}` failed here");
            json!({"spans": [{"file_name": "/core/src/panic.rs", "label": label}]})
        };
        let compiled = "generated\n    dv.map_sync(|x: f64| k * x, &xs)\n";
        let source = Prepared::unchanged("let dv = all;\ndv.map_sync(|x: f64| k * x, &xs)");
        for place in ["lib.rs:2:17", "src/lib.rs:2:17: 2:25"] {
            for error in [error(place), labelled(place)] {
                let place = closure(&error, compiled, &source).unwrap();
                assert_eq!(
                    (place.start_line, place.start_column, place.end_column),
                    (2, 13, 21)
                );
            }
        }
        let other = "generated\nsomething else\n";
        assert_eq!(closure(&error("lib.rs:2:17"), other, &source), None);
        // The file is another by now; what rustc says of the closure's length helps.
        let place = closure(&error("lib.rs:1:17: 1:25"), other, &source).unwrap();
        assert_eq!([place.start_column, place.end_column], [13, 21]);
        let two = Prepared::unchanged("f(|x: f64| k);\n   f(|y: f64| k)");
        let place = closure(&error("lib.rs:9:6: 9:14"), other, &two).unwrap();
        assert_eq!([place.start_line, place.start_column], [2, 6]);
        assert_eq!(closure(&error("lib.rs:9:8: 9:16"), other, &two), None);
        assert_eq!(closure(&error("mod.rs:2:17"), compiled, &source), None);
    }

    #[test]
    fn what_a_macro_makes_is_where_it_is_called() {
        let call = json!({
            "file_name": FILE,
            "text": [{"text": "f(task!([k] || k))", "highlight_start": 3, "highlight_end": 18}],
        });
        let inner = json!({"file_name": "/x/mod.rs", "expansion": {"span": call}});
        let error = json!({"spans": [
            {"file_name": "/x/mod.rs", "is_primary": true, "expansion": {"span": inner}},
            {"file_name": "/x/other.rs", "expansion": null},
        ]});
        let found = places(&error, &Prepared::unchanged("1;\nf(task!([k] || k))"));
        let found = found
            .iter()
            .map(|place| [place.start_line, place.start_column]);
        assert_eq!(found.collect::<Vec<_>>(), [[2, 3]]);
    }

    #[test]
    fn imports_are_found_by_their_names() {
        let source = "let foolish = 1;\nuse a::{\n    größe, foo::bar,\n};";
        check("use a::foo::bar;", (8, 11), source, Some([3, 12, 15]));
        check("use a::größe;", (8, 13), source, Some([3, 5, 10]));
        check("use a::foolish;", (8, 15), source, None);
        check("use a::b::größe;", (5, 16), source, Some([3, 5, 10]));
        check("use foo;", (5, 8), "use foo;", Some([1, 5, 8]));
    }
}
