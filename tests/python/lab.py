"""Runs a notebook in JupyterLab as a person does: in a browser, with *Run All Cells*.

Starts a server on loopback and a headless Chromium, both of which end with it. Prints, as JSON, the
text of every code cell's output area and the coloured magics, and takes a screenshot when asked for one.
"""

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

# Milliseconds for one thing to appear on the page.
PAGE_TIMEOUT = 60_000
# Chromium otherwise tries to reach its makers at every start.
QUIET = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# JupyterLab writes its address, with the token, when it is ready.
ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+/lab\S*token=\w+)")

# The status bar names the kernel once it is connected.
IDLE = re.compile(r"Rust \(Phalanx\) \| Idle")


def start_server(folder):
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--ip=127.0.0.1", "--port=0"]
    # Scripts in the page may give commands, such as for another theme.
    command.append("--LabApp.expose_app_in_browser=True")
    if os.geteuid() == 0:
        command.append("--allow-root")
    server = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    lines = []
    for line in server.stderr:
        lines.append(line)
        if match := ADDRESS.search(line):
            return server, match[1]
    raise SystemExit("JupyterLab did not start:\n" + "".join(lines))


def stop_server(server):
    """Terminated, a server shuts its kernels down first."""
    server.terminate()
    # Read to the end, or a full pipe would keep it from ending.
    server.communicate(timeout=PAGE_TIMEOUT / 1000)


def open_notebook(page, address, name):
    base, token = address.split("?")
    page.goto(f"{base}/tree/{name}?{token}")
    page.locator(".jp-Notebook").first.wait_for()
    # Before the kernel is connected, *Run All Cells* does nothing.
    expect(page.locator("#jp-bottom-panel")).to_contain_text(IDLE)


@contextlib.contextmanager
def opened(notebook, chromium, width=1280, height=900):
    """A page that shows a notebook with its kernel connected; if what is done with it fails, what it
    shows is printed."""
    server, address = start_server(notebook.resolve().parent)
    try:
        with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
            options = [*QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
            browser = playwright.chromium.launch_persistent_context(
                profile,
                executable_path=chromium,
                args=options,
                viewport={"width": width, "height": height},
            )
            page = browser.pages[0]
            page.set_default_timeout(PAGE_TIMEOUT)
            expect.set_options(timeout=PAGE_TIMEOUT)
            open_notebook(page, address, notebook.name)
            try:
                yield page
            except Exception:
                print(page.locator(".jp-Notebook").first.inner_text(), file=sys.stderr)
                raise
            browser.close()
    finally:
        stop_server(server)


def run_all(page, timeout):
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    # A cell that waits or runs has `[*]` for its number.
    last = page.locator(".jp-CodeCell .jp-InputPrompt").last
    expect(last).to_have_text(re.compile(r"\[\d+\]:"), timeout=timeout)
    expect(page.locator("#jp-bottom-panel")).to_contain_text(IDLE)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--chromium", required=True, help="the browser's program")
    parser.add_argument("--timeout", type=float, default=300, help="seconds all cells may take")
    parser.add_argument("--screenshot", type=Path)
    parser.add_argument("--size", default="1280x900", help="of the window, in pixels")
    parser.add_argument("--scroll-to", type=int, default=0, help="code cell at the top of the screenshot, from 0")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))

    with opened(arguments.notebook, arguments.chromium, width, height) as page:
        run_all(page, arguments.timeout * 1000)
        cells = page.locator(".jp-CodeCell")
        outputs = [cells.nth(i).locator(".jp-Cell-outputWrapper").inner_text() for i in range(cells.count())]
        dialogs = page.locator(".jp-Dialog").all_inner_texts()
        directives = page.locator(".cm-phalanx-directive").all_inner_texts()
        if arguments.screenshot:
            # The file browser is put away.
            page.evaluate("jupyterapp.shell.collapseLeft()")
            cells.nth(arguments.scroll_to).evaluate("cell => cell.scrollIntoView({block: 'start'})")
            page.screenshot(path=arguments.screenshot)
    print(json.dumps({"outputs": outputs, "dialogs": dialogs, "directives": directives}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
