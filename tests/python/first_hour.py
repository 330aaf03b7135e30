"""Types into a kernel what people type in their first hour who come from Python, IPython and pandas.

Prints, as JSON, the rows whose answer does not lead to the Rust for it, those that the document lacks, and its
lines that are not as answered by this machine's rustc. With `--write`, writes the document.
"""

import argparse
import json
import os
import re
import sys
import tempfile
from pathlib import Path

from kernel import CELL_TIMEOUT, running

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
NUMBER = re.compile(r"\d[\d.,]*")
UNIT = re.compile(r"\b(ns|µs|ms|s)\b")
# Lines of an answer that the document shows.
LINES = 5

# The cell that runs before all others.
SET_UP = 'let v = vec![3, 1, 2];\nlet x = 5;\nlet word = "rust";'

# Cells as a beginner types them, each with a part of the answer that leads on.
ROWS = {
    "Values": [
        ("x", "5"),
        ("print(x)", 'println!("{x:?}")'),
        ('print("hello", x)', "println!"),
        ("x = 6", "let"),
        ("let y = 6", ""),
        ("y", "6"),
        ("x += 1", "mut"),
        ("x ** 2", "pow"),
        ("x / 2 == 2.5", "2.0"),
        ("True", "true"),
        ("None", "None"),
        ("x is None", "is_none"),
        ("x == 5 and not x > 7", "&&"),
        ("not True", "!"),
        ('f"{x} of {v}"', "format!"),
        ("'rust'", "double quotes"),
        ('"=" * 3', "repeat"),
        ('"a" + "b"', "format!"),
        ("str(x)", "to_string"),
        ('int("5")', "parse"),
        ("type(x)", "`?x`"),
        ("a, b = 1, 2", "let (a, b)"),
        ("# a comment", "//"),
        ("lambda x: x + 1", "|x|"),
        ("x if x > 3 else 0", "if x > 3 {"),
    ],
    "Lists and dictionaries": [
        ("len(v)", "v.len()"),
        ("v[-1]", "last()"),
        ("v[1:]", "1.."),
        ("v[0]", "3"),
        ("sum(v)", ".sum::<i32>()"),
        ("max(v)", "max()"),
        ("sorted(v)", "sort()"),
        ("[x**2 for x in v]", ".map("),
        ("v.append(4)", "push"),
        ("for i in range(10):\n    print(i)", "0..10"),
        ("for i, value in enumerate(v): pass", "enumerate()"),
        ("x in v", "contains"),
        ('d = {"a": 1}', "HashMap"),
        ("d = dict(a=1)", "HashMap"),
    ],
    "Blocks": [
        ("if x > 3:\n    print(x)", "{"),
        ("def f(x):\n    return x * 2", "fn"),
        ("while True:\n    break", "loop"),
        ("class Point:\n    pass", "struct"),
        ('with open("data.csv") as f:\n    text = f.read()', "std::fs"),
        ("try:\n    f()\nexcept:\n    pass", "Result"),
        ("assert x == 5", "assert!"),
        ('raise ValueError("no")', "panic!"),
    ],
    "Libraries": [
        ("import numpy as np", ":dep ndarray"),
        ("from math import sqrt", "sqrt()"),
        ("np.array([1, 2, 3])", "ndarray"),
        ('pd.read_csv("data.csv")', "polars"),
        ("plt.plot(v)", "plotters"),
        ("df.head()", "phalanx::table"),
        ("%pip install polars", ":dep polars"),
        ("!pip install polars", ":dep polars"),
        ("%load_ext autoreload", "nothing has to be set up"),
        ("%matplotlib inline", "plotters"),
        ("time.sleep(1)", "std::thread::sleep"),
        ("math.sqrt(2)", "sqrt()"),
        ("random.random()", "rand"),
    ],
    "IPython": [
        ("v?", "`?v`"),
        ("?v", "Vec"),
        ("help(v)", "`?v`"),
        ("dir(v)", "Tab"),
        ("_", "let"),
        ("Out[3]", "let"),
        ("%timeit v.iter().sum::<i32>()", "per loop"),
        ("%time v.len()", ":time"),
        ("%who", "v"),
        ("!ls", "data.csv"),
        ("%ls", "!ls"),
        ("%cd ..", ":cd"),
        ("%env HOME", ":env"),
        ("%history", "history"),
        ("%run script.py", "!python3 script.py"),
        ("%%bash\necho $((6 * 7))", "42"),
        ("%%capture\nx", "Output"),
        ("%debug", "panic"),
        ("%reset", ":clear"),
        ("exit()", ":quit"),
    ],
}

HEAD = """# The first hour

What people type who come from Python, IPython and pandas, and what comes back: the first lines of each answer.
`tests/python/first_hour.py` types all of it into a kernel and checks this page; with `--write` it makes it anew. Before it, a cell has

```rust
{set_up}
```
"""


def answered(client, code):
    """The text of all that a cell is answered with."""
    parts = []

    def keep(message):
        content = message["content"]
        if message["msg_type"] == "stream":
            parts.append(content["text"].rstrip("\n"))
        elif message["msg_type"] in ("display_data", "execute_result"):
            parts.append(content["data"].get("text/plain", ""))
        elif message["msg_type"] == "error":
            parts.append("\n".join(content["traceback"]))

    reply = client.execute_interactive(code, output_hook=keep, timeout=CELL_TIMEOUT)["content"]
    parts += [page["data"]["text/plain"] for page in reply.get("payload", []) if page["source"] == "page"]
    return ESCAPES.sub("", "\n".join(parts))


def shown(answer):
    """The lines of an answer that say something: no frames of source, no empty ones."""
    lines = [line.strip() for line in answer.split("\n")]
    frame = re.compile(r"(\d+ *)?[│|╭╰┬─·]|--> |\[\d+\]:")
    messages = [re.sub(r"^= ", "", line) for line in lines if line and not frame.match(line)]
    return messages[:LINES]


def cell(lines):
    def quoted(line):
        parts = line.replace("|", "\\|").split("`")
        # Between backticks it is code as it is.
        return "`".join(part if at % 2 else part.replace("<", "&lt;") for at, part in enumerate(parts))

    return "<br>".join(map(quoted, lines))


def code(text):
    ticks = "``" if "`" in text else "`"
    # Spaces at the begin of code are not shown otherwise.
    lines = text.replace("|", "\\|").replace("    ", "\u2003").split("\n")
    return "<br>".join(f"{ticks}{line}{ticks}" for line in lines)


def document(outputs):
    parts = [HEAD.format(set_up=SET_UP)]
    for title, rows in outputs.items():
        parts.append(f"\n## {title}\n\n| you type | you get |\n|---|---|\n")
        parts += [f"| {code(typed)} | {cell(shown(answer))} |\n" for typed, answer in rows]
    return "".join(parts)


def comparable(text):
    """Text without what differs from run to run."""
    return UNIT.sub("s", NUMBER.sub("0", text))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("document", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    path = arguments.document.resolve()
    # The output of pip depends on the machine and on a network.
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        del os.environ[name]
    os.environ.update(PIP_NO_INDEX="1", PIP_CONFIG_FILE=os.devnull, PIP_DISABLE_PIP_VERSION_CHECK="1")
    outputs, misleading = {}, []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("data.csv").write_text("a,b\n1,2\n")
        with running() as kernel:
            kernel.run(SET_UP)
            for title, rows in ROWS.items():
                for typed, part in rows:
                    answer = answered(kernel.client, typed)
                    if typed.startswith("!pip"):
                        # The output of pip depends on the network.
                        answer = answer.strip().split("\n")[-1]
                    outputs.setdefault(title, []).append((typed, answer))
                    if part not in answer:
                        misleading.append([typed, part, answer])
        os.chdir("/")
    text = document(outputs)
    if arguments.write:
        path.write_text(text)
    document_there = path.read_text()
    there, now = (comparable(each).split("\n") for each in (document_there, text))
    changed = [line for line in now if line not in there] + [line for line in there if line not in now]
    typed = [code(typed) for rows in ROWS.values() for typed, _ in rows]
    missing = [each for each in typed if f"| {each} |" not in document_there]
    print(json.dumps({"misleading": misleading, "missing": missing, "changed": changed, "rows": len(typed)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
