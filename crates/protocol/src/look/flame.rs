//! Flame graphs: the time spent in each function, as boxes below their callers, and as text.

use super::{INDENT, escape};
use crate::output::MimeBundle;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The height of a row, and the width of the whole, in SVG units.
const ROW: f64 = 18.0;
const WIDTH: f64 = 1000.0;

/// The width of a character of a name, in SVG units.
const CHARACTER: f64 = 6.7;

/// The minimum width of a box that is drawn.
const NARROWEST: f64 = 0.5;

/// The maximum number of rows drawn.
const MAX_ROWS: usize = 60;

/// The number of functions listed in the text.
const LISTED: usize = 10;

/// Background colours of boxes, on which black text is readable.
const COLOURS: [&str; 6] = [
    "#f6a04d", "#f2b46d", "#eea24f", "#f7bd83", "#e99a5b", "#f4ad5a",
];

/// Renders stacks, given as lines `outer;inner COUNT`, in both representations.
pub fn bundle(stacks: &str) -> MimeBundle {
    let stacks: Vec<(Vec<&str>, usize)> = stacks.lines().filter_map(stack).collect();
    let total: usize = stacks.iter().map(|(_, count)| count).sum();
    if total == 0 {
        return MimeBundle::plain(
            "There is no sample: the cell took too little time, or waited for most of it.",
        );
    }
    let mut root = CalledFunction::default();
    for (functions, count) in &stacks {
        root.add(functions, *count);
    }
    let svg = drawn(&root, total);
    let html = format!("<div style=\"{INDENT}\">{svg}</div>");
    MimeBundle::plain(listed(&stacks, total)).with("text/html", html)
}

fn stack(line: &str) -> Option<(Vec<&str>, usize)> {
    let (functions, count) = line.rsplit_once(' ')?;
    Some((functions.split(';').collect(), count.parse().ok()?))
}

/// A function in the context of its callers.
#[derive(Default)]
struct CalledFunction<'a> {
    count: usize,
    calls: BTreeMap<&'a str, CalledFunction<'a>>,
}

impl<'a> CalledFunction<'a> {
    fn add(&mut self, functions: &[&'a str], count: usize) {
        self.count += count;
        if let Some((first, rest)) = functions.split_first() {
            self.calls.entry(first).or_default().add(rest, count);
        }
    }

    fn depth(&self) -> usize {
        let below = self.calls.values().map(CalledFunction::depth).max();
        below.map_or(0, |below| below + 1)
    }
}

/// Renders the SVG, with the outermost functions at the top and widths in proportion to time.
fn drawn(root: &CalledFunction<'_>, total: usize) -> String {
    let rows = root.depth().min(MAX_ROWS);
    let height = ROW * rows as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"100%\" \
         style=\"max-width:{WIDTH}px\" font-family=\"monospace\" font-size=\"11\">"
    );
    draw(&mut svg, root, total, 0.0, 0);
    svg + "</svg>"
}

fn draw(svg: &mut String, node: &CalledFunction<'_>, total: usize, left: f64, row: usize) {
    if row == MAX_ROWS {
        return;
    }
    let mut left = left;
    for (name, call) in &node.calls {
        let width = WIDTH * call.count as f64 / total as f64;
        if width >= NARROWEST {
            let share = 100.0 * call.count as f64 / total as f64;
            let (y, name) = (ROW * row as f64, *name);
            let colour = COLOURS[name.bytes().map(usize::from).sum::<usize>() % COLOURS.len()];
            let _ = write!(
                svg,
                "<g><title>{}: {share:.1} %</title><rect x=\"{left:.2}\" y=\"{y}\" \
                 width=\"{:.2}\" height=\"{}\" rx=\"1\" fill=\"{colour}\"/>",
                escape(name),
                (width - 0.5).max(0.25),
                ROW - 1.0,
            );
            let fits = ((width - 6.0) / CHARACTER) as usize;
            if let Some(label) = label(name, fits) {
                let _ = write!(
                    svg,
                    "<text x=\"{:.2}\" y=\"{}\" fill=\"black\">{}</text>",
                    left + 3.0,
                    y + 12.5,
                    escape(&label),
                );
            }
            svg.push_str("</g>");
            draw(svg, call, total, left, row + 1);
        }
        left += width;
    }
}

/// Shortens a name to `fits` characters, keeping its end.
fn label(name: &str, fits: usize) -> Option<String> {
    let length = name.chars().count();
    if length <= fits {
        return Some(name.to_owned());
    }
    let shown = fits.checked_sub(1).filter(|shown| *shown >= 3)?;
    let end: String = name.chars().skip(length - shown).collect();
    Some(format!("…{end}"))
}

/// The functions in which most time was spent, as text.
fn listed(stacks: &[(Vec<&str>, usize)], total: usize) -> String {
    let mut functions = BTreeMap::<&str, (usize, usize)>::new();
    for (stack, count) in stacks {
        let mut names = stack.clone();
        if let Some(innermost) = names.last() {
            functions.entry(innermost).or_default().0 += count;
        }
        // A recursive function is counted once per stack.
        names.sort_unstable();
        names.dedup();
        for name in names {
            functions.entry(name).or_default().1 += count;
        }
    }
    let mut functions: Vec<_> = functions.into_iter().collect();
    functions.sort_by_key(|(name, (own, all))| (std::cmp::Reverse((*own, *all)), *name));
    let mut text = format!("{total} samples\n   own    all  function\n");
    let share = |count: usize| 100.0 * count as f64 / total as f64;
    for (name, (own, all)) in functions.into_iter().take(LISTED) {
        let _ = writeln!(text, "{:5.1}% {:5.1}%  {name}", share(own), share(all));
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_as_wide_as_their_share() {
        let bundle = bundle("outer;inner<u8> 30\nouter 10\nother;outer;outer 60\n");
        let html = bundle.0["text/html"].as_str().unwrap();
        for part in [
            "<title>outer: 40.0 %</title><rect x=\"600.00\" y=\"0\" width=\"399.50\"",
            "<title>inner&lt;u8&gt;: 30.0 %</title><rect x=\"600.00\" y=\"18\" width=\"299.50\"",
            "viewBox=\"0 0 1000 54\"",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        let text = bundle.text().unwrap();
        assert_eq!(
            text,
            "100 samples\n   own    all  function\n 70.0% 100.0%  outer\n 30.0%  30.0%  inner<u8>\n  0.0%  60.0%  other"
        );
    }

    #[test]
    fn without_samples_the_reason_is_shown() {
        assert!(bundle("").text().unwrap().contains("no sample"));
        assert!(!bundle("").0.contains_key("text/html"));
    }

    #[test]
    fn names_are_cut_at_their_beginning() {
        assert_eq!(
            label("module::function", 20).as_deref(),
            Some("module::function")
        );
        assert_eq!(label("module::function", 9).as_deref(), Some("…function"));
        assert_eq!(label("module::function", 3), None);
    }
}
