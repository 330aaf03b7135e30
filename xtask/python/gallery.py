"""Executes notebooks and writes them as pages of HTML, which need no kernel and no network.

The order and the index are those of the README beside the notebooks. Pages follow the reader's light or
dark theme. With `--pictures`, a browser takes some of each page, and with `--lab` of each notebook in JupyterLab.
"""

import argparse
import asyncio
import html
import itertools
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import lab_pictures
import nbformat
from nbconvert.exporters import HTMLExporter
from nbconvert.filters import markdown2html_mistune
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from run_notebook import STARTUP_TIMEOUT, Client, Paint, execute

# Seconds one cell may take: polars is built in one, on a machine that may be busy.
TIMEOUT = 3600
# Beside this file: the template and the style of the pages.
TEMPLATE = Path(__file__).parent / "gallery"
# A page cannot show what needs a kernel; what such an output looks like stands beside it as HTML.
WIDGET = "application/vnd.jupyter.widget-view+json"
# The escape sequence with which terminals erase a line.
ERASED = re.compile(r"\x1b\[2?K")
LINK = re.compile(r"\]\((\w+)\.ipynb\)")
LINK_TO_PAGE = re.compile(r'href="(\w+)\.ipynb"')
# Links in notebooks to documents beside the pages.
DOCUMENT = 'href="../docs/'
# The widths of the window in pictures, in pixels.
WIDTHS = (1100, 1800)
# Pixels of a picture beyond which a page is cut: Chromium's own limit.
MAX_HEIGHT = 16_000


def notebook_names(readme):
    """The notebooks of the README, in its order."""
    return list(dict.fromkeys(LINK.findall(readme.read_text())))


def run_notebook(path):
    """The notebook with its outputs, executed in a folder of its own; and what was not as meant."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory(prefix="notebooks-") as folder:
        client = Client(
            notebook,
            timeout=TIMEOUT,
            startup_timeout=STARTUP_TIMEOUT,
            resources={"metadata": {"path": folder}},
        )
        _, faults = asyncio.run(execute(client, notebook, Paint(sys.stdout)))
    notebook.metadata.pop("widgets", None)
    return notebook, faults


def exporter():
    result = HTMLExporter(
        template_file=str(TEMPLATE / "page.html.j2"),
        extra_template_basedirs=[str(TEMPLATE)],
        embed_images=True,
    )
    result.exclude_anchor_links = True
    # As JupyterLab does: text that came in parts is one text.
    result.register_preprocessor(CoalesceStreamsPreprocessor(), enabled=True)
    return result


def apply_carriage_returns(text):
    """Text with its carriage returns applied, as JupyterLab shows it."""
    lines = (ERASED.sub("", line).rstrip("\r").split("\r") for line in text.split("\n"))
    # A bar that is erased at its end stays as it was.
    return "\n".join(next(filter(None, reversed(parts)), "") for parts in lines)


def page(notebook, name, title, neighbours):
    """A notebook as HTML; `around` are the pages before and after it."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "data" in output and len(output["data"]) > 1:
                output["data"].pop(WIDGET, None)
            if "text" in output:
                output["text"] = apply_carriage_returns(output["text"])
    before, after = neighbours
    links = {"name": name, "title": title, "before": before, "after": after}
    body, _ = exporter().from_notebook_node(notebook, resources={"gallery": links})
    body = LINK_TO_PAGE.sub(r'href="\1.html"', body).replace(DOCUMENT, 'href="../')
    # Whoever makes the pages is of no interest.
    return body.replace(f"{Path.home()}/", "~/")


def title_of(path):
    heading = nbformat.read(path, as_version=4).cells[0].source.split("\n")[0]
    return heading.removeprefix("# ")


def index(readme, pages):
    """The README as a page; notebooks without a page of theirs are not linked."""
    text = markdown2html_mistune(readme.read_text())

    def link(match):
        return f'href="{match[1]}.html"' if match[1] in pages else f'href="../../notebooks/{match[1]}.ipynb"'

    body = LINK_TO_PAGE.sub(link, text)
    frame = (TEMPLATE / "index.html").read_text()
    return frame.replace("{{ body }}", body)


def pictures(folder, pages, chromium):
    """Each page in both themes, as a person sees it."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--disable-gpu", *options])
        for theme in ("light", "dark"):
            view = browser.new_page(color_scheme=theme)
            for each, width in itertools.product(pages, WIDTHS):
                view.set_viewport_size({"width": width, "height": 900})
                view.goto(each.resolve().as_uri())
                height = min(view.evaluate("document.documentElement.scrollHeight"), MAX_HEIGHT)
                view.set_viewport_size({"width": width, "height": height})
                view.screenshot(path=folder / f"{each.stem}-page-{theme}-{width}.png")
        browser.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebooks", type=Path, help="their folder")
    parser.add_argument("output", type=Path, help="the folder of the pages")
    parser.add_argument("--only", nargs="*", default=[], help="execute these alone; other pages stay as they are")
    parser.add_argument("--pictures", type=Path, help="a folder for a picture of each page, light and dark")
    parser.add_argument("--lab", action="store_true", help="with pictures of JupyterLab, too")
    parser.add_argument("--chromium", help="the browser's program")
    arguments = parser.parse_args()

    readme = arguments.notebooks / "README.md"
    names = notebook_names(readme)
    if unknown := [name for name in arguments.only if name not in names]:
        raise SystemExit(f"{readme} does not list {', '.join(unknown)}")
    titles = {name: title_of(arguments.notebooks / f"{name}.ipynb") for name in names}
    arguments.output.mkdir(parents=True, exist_ok=True)
    selected = arguments.only or names
    existing = [name for name in names if name in selected or (arguments.output / f"{name}.html").exists()]
    written, failures = [], []
    for position, name in enumerate(existing):
        if name not in selected:
            continue
        print(f"\n======== {name}", flush=True)
        notebook, faults = run_notebook(arguments.notebooks / f"{name}.ipynb")
        if faults:
            failures.append(f"{name}: {'; '.join(faults)}")
            continue
        neighbours = [
            {"name": existing[other], "title": titles[existing[other]]} if 0 <= other < len(existing) else None
            for other in (position - 1, position + 1)
        ]
        file = arguments.output / f"{name}.html"
        file.write_text(page(notebook, name, html.escape(titles[name]), neighbours))
        written.append(file)
    shutil.copy(TEMPLATE / "style.css", arguments.output / "style.css")
    pages = {name for name in names if (arguments.output / f"{name}.html").exists()}
    (arguments.output / "index.html").write_text(index(readme, pages))
    if arguments.pictures:
        pictures(arguments.pictures, [arguments.output / "index.html", *written], arguments.chromium)
        if arguments.lab:
            sources = [arguments.notebooks / f"{page.stem}.ipynb" for page in written]
            failures += lab_pictures.take(sources, arguments.pictures, arguments.chromium)
        print(lab_pictures.contact_sheet(arguments.pictures))
    print(f"\n{len(written)} pages in {arguments.output}")
    print(*failures, sep="\n", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
