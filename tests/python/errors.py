"""A beginner's compile errors, here and on an engine.

Prints, as JSON, each cell with the error that is shown for it, without its colours.
"""

import json
import re

from kernel import CELL_TIMEOUT, running

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
ITEMS = """
struct Größe { x: i32 }
fn zeige<T: std::fmt::Display>(t: T) -> String { format!("{t}") }
fn nimm(v: Vec<i32>) -> usize { v.len() }
"""
VARIABLES = "let größe = Größe { x: 1 }; let weg = vec![1]; let liste = vec![1];"
FAILING = [
    "zeige(größe)",
    "/* ä */ größe + größe",
    "let n = weg.len();",
    "liste.push(1);",
    "let b = liste; let n = liste.len();",
    "fn f() -> usize {\n    liste.len()\n}",
    "rand::random::<u8>()",
]


def error(client, code):
    """The name and the text of the error that a cell is answered with."""
    errors = []

    def keep(message):
        if message["msg_type"] == "error":
            content = message["content"]
            errors.append([content["ename"], COLOURS.sub("", "\n".join(content["traceback"]))])

    client.execute_interactive(code, output_hook=keep, timeout=CELL_TIMEOUT)
    return errors


with running() as kernel:
    kernel.run("%cluster start -n 1")
    for cell in [ITEMS, VARIABLES, "nimm(weg)"]:
        kernel.run("%%px --local\n" + cell)
    cells = FAILING + ["%%px\n" + cell for cell in FAILING]
    shown = [[cell, error(kernel.client, cell)] for cell in cells]
    print(json.dumps({"shown": shown, "after": "".join(kernel.run("nimm(liste)"))}))
