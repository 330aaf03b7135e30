"""Executes a notebook through its installed kernelspec and prints, cell by cell, source and outputs.

A cell tagged `raises-exception` is meant to fail; it is an error if it does not. The exit code is 1 if
anything was not as meant.
"""

import argparse
import asyncio
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

# Seconds one cell may take: the first use of a crate in a notebook builds it.
CELL_TIMEOUT = 600
# Seconds until the kernel must have answered.
STARTUP_TIMEOUT = 60
FAILURE_TAG = "raises-exception"

ANSI = re.compile(r"\x1b\[[0-9;]*m")
TAGS = re.compile(r"<[^>]*>")


class Paint:
    """Colours where someone reads, none in a file or a pipe."""

    def __init__(self, stream):
        self.on = stream.isatty()

    def __call__(self, code, text):
        return f"\x1b[{code}m{text}\x1b[0m" if self.on else text

    def foreign(self, text):
        """Text that may bring colours of its own."""
        return text if self.on else ANSI.sub("", text)


class Client(NotebookClient):
    """nbclient's, which also counts how often a display was updated in place."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.updates = {}

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] == "update_display_data":
            self.updates[cell_index] = self.updates.get(cell_index, 0) + 1
        return super().process_message(msg, cell, cell_index)


def indented(text, mark):
    return "\n".join(f"{mark} {line}".rstrip() for line in text.rstrip("\n").split("\n"))


def bundle_text(data, paint):
    """Returns the text that a terminal can show of a MIME bundle, with the other representations named."""
    others = [mime for mime in data if mime != "text/plain"]
    text = data.get("text/plain")
    if text is None and "text/html" in data:
        text = TAGS.sub("", data["text/html"]).strip()
    named = paint("2", "  ".join(f"({mime})" for mime in others))
    return "\n".join(part for part in (paint.foreign(text or ""), named) if part)


def output_text(output, paint):
    kind = output["output_type"]
    if kind == "stream":
        text = paint.foreign(output["text"])
        return indented(text, " " if output["name"] == "stdout" else paint("31", "!"))
    if kind == "error":
        return indented(paint.foreign("\n".join(output["traceback"])), paint("31", "!"))
    mark = paint("32", "=") if kind == "execute_result" else " "
    return indented(bundle_text(output["data"], paint), mark)


def failed(cell):
    return any(output["output_type"] == "error" for output in cell.get("outputs", []))


async def execute(client, notebook, paint):
    """Executes and prints the cells in turn; returns their number and the faults."""
    faults = []
    count = 0
    async with client.async_setup_kernel():
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type == "markdown":
                print("\n" + paint("1", cell.source), flush=True)
                continue
            if cell.cell_type != "code" or not cell.source.strip():
                continue
            count += 1
            print("\n" + paint("36", indented(cell.source, f"[{count}]")), flush=True)
            must_fail = FAILURE_TAG in cell.metadata.get("tags", [])
            started = time.monotonic()
            try:
                await client.async_execute_cell(cell, index)
            except CellExecutionError:
                faults.append(f"cell {count} failed")
            except (CellTimeoutError, DeadKernelError) as error:
                faults.append(f"cell {count}: {error}")
            for output in cell.outputs:
                print(output_text(output, paint))
            notes = [f"{time.monotonic() - started:.2f} s"]
            if updates := client.updates.get(index):
                notes.append(f"{updates} updates in place")
            if must_fail:
                notes.append("failed as meant" if failed(cell) else "DID NOT FAIL")
                if not failed(cell):
                    faults.append(f"cell {count} is tagged {FAILURE_TAG} and did not fail")
            print(paint("2", f"    ({', '.join(notes)})"), flush=True)
            if faults:
                break
    return count, faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--output", type=Path, help="where to keep the executed notebook")
    arguments = parser.parse_args()

    notebook = nbformat.read(arguments.notebook, as_version=4)
    client = Client(
        notebook,
        timeout=CELL_TIMEOUT,
        startup_timeout=STARTUP_TIMEOUT,
        resources={"metadata": {"path": str(arguments.notebook.resolve().parent)}},
    )
    paint = Paint(sys.stdout)
    started = time.monotonic()
    try:
        count, faults = asyncio.run(execute(client, notebook, paint))
    finally:
        if arguments.output:
            nbformat.write(notebook, arguments.output)
    seconds = time.monotonic() - started
    if faults:
        print(f"\n{arguments.notebook.name}: {'; '.join(faults)}", file=sys.stderr)
        return 1
    print(f"\n{arguments.notebook.name}: all {count} cells did as they are meant to, in {seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
