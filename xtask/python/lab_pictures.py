"""Pictures of notebooks in JupyterLab, after *Run All Cells*: in both themes, narrow and wide.

Also of a notebook of errors: the messages people meet most, and those that are hardest to read.
"""

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from lab import expect, opened, run_all
from run_notebook import FAILURE_TAG

# The last one stays chosen.
THEMES = {"dark": "JupyterLab Dark", "light": "JupyterLab Light"}
# Pixels: a laptop beside another window, and a large screen.
WIDTHS = (1100, 1800)
# Pixels of a picture beyond which a notebook is cut: Chromium's own limit.
MAX_HEIGHT = 16_000
# Seconds all cells of a notebook may take.
TIMEOUT = 1800
# JupyterLab asks at its first start whether it may tell news.
NO_NEWS = ".Toastify { display: none }"

# The notebook of errors: cells that fail, in the order in which they run.
ERRORS = {
    "a wrong type": """fn mean(values: &[f64]) -> f64 { values.iter().sum::<f64>() / values.len() as f64 }
let heights = [1.82, 1.65];
let mean_height: usize = mean(&heights);""",
    "a value that was moved": """let names = vec!["Ada".to_owned(), "Grace".to_owned()];
let shouted: Vec<String> = names.into_iter().map(|name| name.to_uppercase()).collect();
println!("{names:?}");""",
    "a trait that is missing": """use std::collections::HashMap;
let mut counts: HashMap<f64, u32> = HashMap::new();
*counts.entry(1.5).or_default() += 1;""",
    "a crate that is missing": "use rand::Rng;\nrand::rng().random_range(0..6)",
    "a thread that borrows": """let data = vec![1, 2, 3];
let sum = std::thread::spawn(|| data.iter().sum::<i32>());
sum.join().unwrap()""",
    "a habit of Python": "for i in range(10):\n    print(i)",
    "a brace that is missing": """fn area(width: f64, height: f64) -> f64 {
    let area = width * height;
    area

println!("{}", area(2.0, 3.0));""",
    "a panic in a function": """fn third(values: &[u32]) -> u32 { values[2] }
fn report(values: &[u32]) { println!("{}", third(values)) }
report(&[1, 2])""",
    "an error through ?": 'let degrees: f64 = "21,5".parse()?;',
    "a stack that overflows": "fn depth(n: u64) -> u64 { depth(n + 1) + 1 }\ndepth(0)",
    "an unknown crate": ':dep plotters = "99"',
    "four engines": "%cluster start -n 4",
    "engines that fail": """%%px
let rank = phalanx::engine_id().unwrap_or_default();
println!("engine {rank} works");
if rank % 2 == 1 { panic!("no data for {rank}") }
rank""",
    "a name no engine has": "%%px\nmeen.len()",
    "a wrong option": "%%px --target 0\n1",
    "an unknown magic": "%clusters start",
}


def errors_notebook(path):
    """Writes the notebook of errors."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata.kernelspec = {"name": "phalanx", "display_name": "Rust (Phalanx)", "language": "rust"}
    for title, source in ERRORS.items():
        notebook.cells.append(nbformat.v4.new_markdown_cell(f"**{title}**"))
        notebook.cells.append(nbformat.v4.new_code_cell(source, metadata={"tags": [FAILURE_TAG]}))
    nbformat.write(notebook, path)


def choose_theme(page, name):
    page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", THEMES[name])
    light = "true" if name == "light" else "false"
    expect(page.locator(f"body[data-jp-theme-light={light}]")).to_be_attached()
    # Its stylesheet is loaded after that.
    page.wait_for_load_state("networkidle")


def fit(page, width):
    """Makes the window as high as the notebook, so that all of it is drawn."""
    panel = page.locator(".jp-WindowedPanel-outer").first
    page.set_viewport_size({"width": width, "height": MAX_HEIGHT})
    panel.evaluate("panel => panel.scrollTo(0, 0)")
    # Below the last cell one can scroll on.
    end = page.locator(".jp-Notebook .jp-Cell").last.evaluate("cell => cell.getBoundingClientRect().bottom")
    page.set_viewport_size({"width": width, "height": min(int(end) + 60, MAX_HEIGHT)})
    panel.evaluate("panel => panel.scrollTo(0, 0)")


def photograph(notebook, folder, chromium):
    """Runs a notebook in JupyterLab and takes its four pictures."""
    with opened(notebook, chromium, width=WIDTHS[0]) as page:
        # The file browser is put away.
        page.evaluate("jupyterapp.shell.collapseLeft()")
        run_all(page, TIMEOUT * 1000)
        for theme in THEMES:
            page.set_viewport_size({"width": WIDTHS[0], "height": 900})
            choose_theme(page, theme)
            for width in WIDTHS:
                fit(page, width)
                picture = folder / f"{notebook.stem}-lab-{theme}-{width}.png"
                page.locator(".jp-NotebookPanel").first.screenshot(path=picture, style=NO_NEWS)
                print(picture, flush=True)


def take(notebooks, folder, chromium):
    """Pictures of these notebooks and of the errors; returns the failures."""
    folder.mkdir(parents=True, exist_ok=True)
    failures = []
    with tempfile.TemporaryDirectory(prefix="pictures-") as folder_of_copies:
        errors = Path(folder_of_copies) / "error_messages.ipynb"
        errors_notebook(errors)
        for notebook in [*notebooks, errors]:
            # Each in a folder of its own: JupyterLab opens again what was open there.
            copy = Path(folder_of_copies) / notebook.stem / notebook.name
            copy.parent.mkdir()
            shutil.copy(notebook, copy)
            try:
                photograph(copy, folder, chromium)
            except Exception as error:
                failures.append(f"{copy.stem} in JupyterLab: {re.split('Call log', str(error))[0].strip()}")
    return failures


SHEET = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Contact sheet</title>
<style>
body {{ font: 14px sans-serif; background: #777; color: #fff; margin: 1rem }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(280px, 1fr)); gap: 1rem }}
a {{ color: #fff; text-decoration: none }}
img {{ display: block; width: 100%; height: 360px; object-fit: cover; object-position: top; border: 1px solid #444 }}
</style></head><body><main>
{pictures}
</main></body></html>
"""


def contact_sheet(folder):
    """All pictures of a folder on one page; each leads to its full size."""
    names = sorted(picture.name for picture in folder.glob("*.png"))
    links = (f'<a href="{name}"><img src="{name}" alt="" loading="lazy">{name}</a>' for name in names)
    (folder / "index.html").write_text(SHEET.format(pictures="\n".join(links)))
    return folder / "index.html"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebooks", type=Path, nargs="*")
    parser.add_argument("--chromium", required=True, help="the browser's program")
    parser.add_argument("--pictures", type=Path, required=True, help="a folder")
    arguments = parser.parse_args()
    failures = take(arguments.notebooks, arguments.pictures, arguments.chromium)
    print(contact_sheet(arguments.pictures))
    print(*failures, sep="\n", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
