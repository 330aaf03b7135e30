"""Sessions as they begin and as they grow: measurements that need kernels of their own."""

import time

# Variables, and cells of items, that a notebook has when it is measured.
SIZES = (0, 25, 50, 100)

# Thirteen lines, as a cell of a notebook has: a type with derives, an implementation, a function.
ITEMS = """
#[derive(Clone, Debug, PartialEq)]
struct Record{i} {{
    name: String,
    values: Vec<f64>,
}}
impl Record{i} {{
    fn total(&self) -> f64 {{
        self.values.iter().sum()
    }}
}}
fn total{i}(scale: f64) -> f64 {{
    Record{i} {{ name: "n".to_owned(), values: vec![scale, {i} as f64] }}.total()
}}
""".strip()

# The cells that are measured; `n` is a variable of the notebook, `last` the number of its last items.
GROWN = {
    "expression": lambda i, last: f"n + {i}",
    "let": lambda i, last: f"let grown = {i}u64;",
    "inferred let": lambda i, last: f"let inferred = vec![n, {i}];",
    "println": lambda i, last: f'println!("{{n}} {i}");',
    "call": lambda i, last: f"total{last}({i} as f64)",
}


def measure_growth(table, median, kernel, names, specs, repeats):
    """The same cells in notebooks of several sizes, each kernel's in turn."""
    base = {}
    for size in SIZES:
        taken = {}
        for name in names:
            with kernel(name, specs) as running:
                running.run("let n = 1u64;")
                for i in range(size):
                    running.run(f"let v{i}: Vec<u64> = vec![{i}; 3];")
                    running.run(ITEMS.format(i=i))
                if size == 0:
                    running.run(ITEMS.format(i=0))
                for label, cell in GROWN.items():
                    running.run(cell(1000, max(size - 1, 0)))
                    times = [running.run(cell(i, max(size - 1, 0))) for i in range(repeats)]
                    taken[label, name] = median(times)
        for label in GROWN:
            ours = taken[label, names[0]]
            peer = taken[label, names[1]] if len(names) > 1 else None
            table.add(f"{label}, after {size} variables and items", ours, peer)
            base.setdefault(label, ours)
    for label in GROWN:
        grown = table.rows[f"{label}, after 50 variables and items"][0]
        table.add(f"{label}, after 50 over after 0", grown / base[label], unit="×")


def measure_session_start(table, median, kernel, names, specs, repeats, engines):
    """From the launch of a kernel to the first results, with build folders kept from before."""
    result, let = {}, {}
    for _ in range(repeats):
        for name in names:
            started_at = time.perf_counter()
            with kernel(name, specs) as running:
                running.run("20 + 22")
                result.setdefault(name, []).append(time.perf_counter() - started_at)
                if name == "phalanx":
                    table.note_memory("first result", running.pid)
                running.run("let first = vec![1].len();")
                let.setdefault(name, []).append(time.perf_counter() - started_at)
    peer = names[1] if len(names) > 1 else None
    for label, taken in (("launch to the first result", result), ("launch to the first inferred let", let)):
        table.add(label, median(taken[names[0]]), median(taken[peer]) if peer else None)
    if not engines:
        return
    px = []
    for _ in range(repeats):
        with kernel("phalanx", specs) as running:
            # A person reads, and starts a cluster then.
            time.sleep(5)
            running.run("%cluster start -n 4")
            px.append(running.run("%px 20 + 22"))
            table.note_memory("first %px", running.pid)
    table.add("first %px, 5 s after launch", median(px))
