"""Runs notebooks in a frontend or tool that people use, and prints as JSON what it shows.

Each of them is started as its users start it, with the Python that has the wheel. `docs/frontends.md` is the
table of these runs.
"""

import argparse
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import lab
import nbformat
import pexpect
from jupyter_client import KernelManager
from playwright.sync_api import expect, sync_playwright

# Seconds for a tool, in which the notebooks' library may be built first.
LIMIT = 600
# Seconds for a page to show something.
PAGE_LIMIT = 120
ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+)/(?:tree\S*token=(\w+))?")


def code(source, *tags):
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})


def write(path, cells):
    kernelspec = {"name": "phalanx", "display_name": "Rust (Phalanx)", "language": "rust"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernelspec})
    nbformat.write(notebook, path)
    return path


def tool(folder, *arguments):
    """Runs a tool of this Python in the folder; returns what it prints."""
    command = [sys.executable, "-m", *map(str, arguments)]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT)
    if ran.returncode:
        raise SystemExit(f"{command} failed:\n{ran.stdout}\n{ran.stderr}")
    return ran.stdout


def outputs(path):
    """The text of each code cell's outputs."""

    def text(output):
        return output.get("text") or output.get("data", {}).get("text/plain", "")

    cells = nbformat.read(path, 4).cells
    return ["".join(map(text, cell.outputs)) for cell in cells if cell.cell_type == "code"]


def parts(folder):
    """A notebook with Rust, magics, commands and prose."""
    cells = [
        nbformat.v4.new_markdown_cell("# Title"),
        code("let x = 41;"),
        code("%cluster start -n 2"),
        code('%%px\nprintln!("ü on {}", phalanx::engine_id().unwrap());'),
        code("!echo shell"),
        code("x + 1"),
        code("%cluster stop"),
    ]
    return write(folder / "parts.ipynb", cells)


def nbconvert(folder):
    notebook = parts(folder)
    tool(folder, "nbconvert", "--execute", "--to", "notebook", "--inplace", notebook.name)
    tool(folder, "nbconvert", "--to", "html", notebook.name)
    html = (folder / "parts.html").read_text()
    # The program of `phalanx export`, by the wheel's exporter.
    program = tool(folder, "nbconvert", "--to", "script", "--stdout", notebook.name)
    return {"html": html.count("ü on "), "script": program}


def papermill(folder):
    defaults = 'let steps: usize = 10; // how many\nlet name = "a";\nlet mut rate = 0.5;\nlet files: Vec<String> = vec![];'
    shown = 'println!("{name} {} {rate:?} {files:?}", vec![0; steps].len());'
    notebook = write(folder / "parameters.ipynb", [code(defaults, "parameters"), code(shown)])
    passed = ["-p", "steps", "500", "-p", "rate", "2", "-p", "name", 'a "ü"', "-y", 'files: ["x"]']
    tool(folder, "papermill", notebook.name, "done.ipynb", *passed)
    asked = tool(folder, "papermill", "--help-notebook", notebook.name)
    return {"outputs": outputs(folder / "done.ipynb")[-1], "help": asked}


def jupytext(folder):
    tool(folder, "jupytext", "--to", "rs:percent", parts(folder).name)
    text = (folder / "parts.rs").read_text()
    tool(folder, "jupytext", "--to", "ipynb", "--execute", "--output", "again.ipynb", "parts.rs")
    return {"text": text, "outputs": outputs(folder / "again.ipynb")}


BAR = (
    "use phalanx::widgets::IntProgress; let bar = IntProgress::new(0..=4); bar.display(); "
    "for i in 1..=4 { std::thread::sleep(std::time::Duration::from_millis(300)); bar.set_value(i); }"
)


def console(folder):
    command = ["-m", "jupyter_console", "--kernel", "phalanx", "--simple-prompt"]
    shell = pexpect.spawn(sys.executable, command, cwd=folder, timeout=LIMIT, encoding="utf-8")
    try:
        shell.expect(r"In \[1\]: ")
        shell.sendline("let x = 41;")
        shell.expect(r"In \[2\]: ")
        shell.sendline("x + 1")
        shell.expect(r"Out\[2\]: *(\d+)")
        value = shell.match[1]
        shell.expect(r"In \[3\]: ")
        shell.sendline('x + "1"')
        shell.expect(r"E0277.*In \[4\]: ")
        shell.sendline("%px_unknown")
        shell.expect(r"In \[5\]: ")
        shell.sendline(BAR)
        shell.expect(r"4/4\s+In \[6\]: ")
        bar = re.findall(r"(\d+)%\|", shell.before)
        shell.sendline(":quit")
        shell.expect(pexpect.EOF)
    finally:
        shell.close(force=True)
    return {"value": value, "bar": bar, "ended": not shell.isalive()}


@contextlib.contextmanager
def served(folder, *arguments):
    """The address and the token of a server of this Python."""
    command = [sys.executable, "-m", *arguments]
    server = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    try:
        said = []
        for line in server.stderr:
            said.append(line)
            if found := ADDRESS.search(line):
                break
        else:
            raise SystemExit(f"{command} did not start:\n{''.join(said)}")
        yield found[1], found[2]
    finally:
        server.terminate()
        # Read to the end, or a full pipe would keep it from ending.
        server.communicate(timeout=PAGE_LIMIT)


@contextlib.contextmanager
def page_of(chromium):
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium, args=[*lab.QUIET, *sandbox]
        )
        page = browser.pages[0]
        page.set_default_timeout(PAGE_LIMIT * 1000)
        expect.set_options(timeout=PAGE_LIMIT * 1000)
        yield page
        browser.close()


INTERACTIVE = [
    code("use phalanx::widgets::*;\nlet slider = IntSlider::new(0..=10);\nslider.set_value(4);\nslider"),
    code('%who\nphalanx::html("<b>bold</b>")?;\nslider.value()'),
]


def notebook(folder, chromium, pictures):
    write(folder / "seven.ipynb", INTERACTIVE)
    root = ["--allow-root"] if os.geteuid() == 0 else []
    options = ["--no-browser", "--ip=127.0.0.1", "--port=0", "--JupyterNotebookApp.expose_app_in_browser=True"]
    with served(folder, "notebook", *options, *root) as (address, token), page_of(chromium) as page:
        page.goto(f"{address}/notebooks/seven.ipynb?token={token}")
        # Before the kernel is connected, the command waits for ever.
        kernel = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
        page.wait_for_function(f"() => {kernel}?.connectionStatus === 'connected' && {kernel}?.status === 'idle'")
        page.evaluate("() => { jupyterapp.commands.execute('notebook:run-all-cells'); }")
        last = page.locator(".jp-CodeCell .jp-InputPrompt").last
        expect(last).to_have_text(re.compile(r"\[\d+\]:"), timeout=LIMIT * 1000)
        page.locator(".widget-slider").first.wait_for()
        if pictures:
            page.screenshot(path=pictures / "notebook.png")
        cells = page.locator(".jp-CodeCell .jp-Cell-outputWrapper").all_inner_texts()
        return {"outputs": cells, "directives": page.locator(".cm-phalanx-directive").all_inner_texts()}


def voila(folder, chromium, pictures):
    write(folder / "dashboard.ipynb", INTERACTIVE)
    # It prints the port it was told, so it cannot be told 0.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    options = ["dashboard.ipynb", "--no-browser", "--Voila.ip=127.0.0.1", f"--port={port}"]
    with served(folder, "voila", *options) as (address, _), page_of(chromium) as page:
        page.goto(address)
        page.locator(".widget-slider").first.wait_for()
        if pictures:
            page.screenshot(path=pictures / "voila.png")
        return {"text": page.locator("body").inner_text()}


def vscode(folder):
    """The habits of VS Code's extension on the wire: the variable view inspects names at position 0, the
    number of the next cell is asked for by a silent request without code, and cells run with
    `stop_on_error` off."""
    manager = KernelManager(kernel_name="phalanx")
    manager.start_kernel(cwd=folder)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=LIMIT)

        def replied(message, channel="shell"):
            get = getattr(client, f"get_{channel}_msg")
            while True:
                reply = get(timeout=LIMIT)
                if reply["parent_header"].get("msg_id") == message:
                    return reply["content"]

        def run(source, **options):
            return replied(client.execute(source, allow_stdin=True, stop_on_error=False, **options))

        before = run("", silent=True, store_history=False)
        failing = client.execute("nonsense", stop_on_error=False)
        following = client.execute("let größe = vec![1, 2];", stop_on_error=False)
        failed, followed = replied(failing), replied(following)
        inspected = replied(client.inspect("größe", 0))
        completed = replied(client.complete("größe.le", 8))
        message = client.session.msg("comm_info_request", {})
        client.shell_channel.send(message)
        comms = replied(message["header"]["msg_id"])
        looping = client.execute("loop { std::hint::black_box(1); }", stop_on_error=False)
        while client.get_iopub_msg(timeout=LIMIT)["parent_header"].get("msg_id") != looping:
            pass
        manager.interrupt_kernel()
        interrupted = replied(looping)
        manager.restart_kernel(now=True)
        client.wait_for_ready(timeout=LIMIT)
        return {
            "before": before["execution_count"],
            "failed": [failed["status"], failed["execution_count"]],
            "followed": followed["status"],
            "inspected": inspected["data"].get("text/plain", ""),
            "completed": next((match for match in completed["matches"] if match.startswith("len")), None),
            "comms": comms["comms"],
            "interrupted": interrupted["ename"],
            "restarted": run("1 + 1")["execution_count"],
        }
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


FRONTENDS = {
    "nbconvert": nbconvert,
    "papermill": papermill,
    "jupytext": jupytext,
    "console": console,
    "vscode": vscode,
}
IN_BROWSER = {"notebook": notebook, "voila": voila}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("frontend", choices=(*FRONTENDS, *IN_BROWSER))
    parser.add_argument("--chromium", help="the browser's program")
    parser.add_argument("--pictures", type=Path, help="folder for screenshots")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.frontend in IN_BROWSER:
            seen = IN_BROWSER[arguments.frontend](folder, arguments.chromium, arguments.pictures)
        else:
            seen = FRONTENDS[arguments.frontend](folder)
    print(json.dumps(seen, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
