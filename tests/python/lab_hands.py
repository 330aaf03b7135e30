"""Does in JupyterLab what a person does with hands and eyes: moves a slider, watches a bar, presses stop,
asks for completions, reads a compile error, reloads the page.

Every step waits for what the page then shows. Prints what it saw as JSON; pictures of it go to a folder
when one is named.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from lab import IDLE, expect, opened

# JupyterLab asks at its first start whether it may tell news.
NO_NEWS = ".Toastify { display: none }"

# Milliseconds a cell may take; the first one builds the notebooks' library.
CELL_TIMEOUT = 600_000

# JupyterLab itself gives up after a second, and a slow machine's first answer takes longer: a person
# presses Tab again.
COMPLETIONS = 20
COMPLETION_TIMEOUT = 5_000

# In the order in which `main` needs them.
CELLS = [
    """use phalanx::widgets::*;
let slider = IntSlider::builder().range(0..=10).value(3).description("n").build();
let square = HTML::new("nothing moved yet");
slider.observe({
    let square = square.clone();
    move |n| square.set_value(&format!("<b>{n} squared is {}</b>", n * n))
});
VBox::new((&slider, &square))""",
    "slider.value()",
    """for _ in phalanx::progress(0..60).description("working") {
    std::thread::sleep(std::time::Duration::from_millis(50));
}""",
    'println!("for ever");\nloop { std::thread::sleep(std::time::Duration::from_millis(10)); }',
    'let count: u32 = "three";',
    'let text = "hello";\ntext.to_upp',
    'phalanx::Table::new(["name", "n"]).row(["b", "2"]).row(["c", "10"]).row(["a", "1"])',
    """let (first, second) = (IntSlider::new(0..=9), IntSlider::new(0..=9));
jslink((&first, "value"), (&second, "value"));
let upload = FileUpload::new("choose");
let said = HTML::new("");
upload.observe({
    let said = said.clone();
    move |files| said.set_value(&format!("{} says {}", files[0].name, String::from_utf8_lossy(&files[0].content)))
});
VBox::new((&first, &second, &upload, &said))""",
    "(second.value(), upload.value()[0].content.len())",
    """let bar = IntProgress::new(0..=2);
bar.display();
for done in 1..=2 {
    std::thread::sleep(std::time::Duration::from_millis(300));
    bar.set_value(done);
}""",
]


class Hands:
    def __init__(self, page, pictures):
        self.page = page
        self.pictures = pictures

    def cell(self, number):
        return self.page.locator(".jp-CodeCell").nth(number)

    def output(self, number):
        return self.cell(number).locator(".jp-Cell-outputWrapper")

    def start(self, number):
        self.cell(number).locator(".jp-InputArea-editor").click()
        self.page.keyboard.press("Control+Enter")

    def run(self, number):
        self.start(number)
        prompt = self.cell(number).locator(".jp-InputPrompt")
        expect(prompt).to_have_text(re.compile(r"\[\d+\]:"), timeout=CELL_TIMEOUT)

    def press_on_slider(self, key, times, cell=0):
        self.output(cell).locator(".widget-slider .noUi-handle").first.focus()
        for _ in range(times):
            self.page.keyboard.press(key)

    def picture(self, name):
        if self.pictures:
            panel = self.page.locator(".jp-NotebookPanel").first
            panel.screenshot(path=self.pictures / f"{name}.png", style=NO_NEWS)


def slide(hands):
    hands.run(0)
    hands.press_on_slider("ArrowRight", 4)
    # Written by the callback, in Rust.
    expect(hands.output(0)).to_contain_text("7 squared is 49")
    hands.run(1)
    hands.picture("slider")
    return hands.output(1).inner_text()


def watch_bar(hands):
    hands.start(2)
    values = []
    for _ in range(3):
        known = values[-1] if values else 0
        value = hands.page.wait_for_function(
            """known => {
                const bar = document.querySelector(".jp-OutputArea-output [role=progressbar]");
                const value = bar && Number(bar.ariaValueNow);
                return value > known ? value : false;
            }""",
            arg=known,
            timeout=CELL_TIMEOUT,
        ).json_value()
        values.append(value)
        if len(values) == 2:
            hands.picture("bar")
    expect(hands.output(2)).to_contain_text("60/60")
    return values


def stop(hands):
    hands.start(3)
    expect(hands.output(3)).to_contain_text("for ever", timeout=CELL_TIMEOUT)
    hands.page.locator("[data-jp-item-name=interrupt] button, [data-command='notebook:interrupt-kernel']").first.click()
    expect(hands.output(3)).to_contain_text("Interrupted")
    hands.picture("interrupted")
    return hands.output(3).inner_text()


def misspell(hands):
    hands.run(4)
    expect(hands.output(4)).to_contain_text("mismatched types")
    hands.picture("error")
    return hands.output(4).inner_text()


def complete(hands):
    editor = hands.cell(5).locator(".jp-InputArea-editor")
    editor.click()
    hands.page.keyboard.press("Control+End")
    completer = hands.page.locator(".jp-Completer")
    for attempt in range(COMPLETIONS):
        hands.page.keyboard.press("Tab")
        try:
            expect(completer).to_contain_text("to_uppercase", timeout=COMPLETION_TIMEOUT)
            break
        except AssertionError:
            if attempt == COMPLETIONS - 1:
                raise
    hands.picture("completion")
    text = completer.inner_text()
    hands.page.keyboard.press("Escape")
    return text


def sort(hands):
    """By a click on the heading of the numbers, once more, and once more for the first order."""
    hands.run(6)
    table = hands.output(6).locator("table")
    orders = []
    for _ in range(3):
        table.locator("th").nth(1).click()
        orders.append(table.locator("td:first-child").all_inner_texts())
    table.locator("th").nth(0).click()
    hands.picture("sorted")
    return orders


def link_and_upload(hands):
    hands.run(7)
    hands.press_on_slider("ArrowRight", 3, cell=7)
    expect(hands.output(7).locator(".widget-readout").nth(1)).to_have_text("3")
    file = {"name": "a.csv", "mimeType": "text/csv", "buffer": b"1,2"}
    with hands.page.expect_file_chooser() as chooser:
        hands.output(7).locator(".widget-upload").click()
    chooser.value.set_files(file)
    expect(hands.output(7)).to_contain_text("a.csv says 1,2")
    hands.picture("uploaded")
    hands.run(8)
    return hands.output(8).inner_text()


def fill_bar(hands):
    """The width of a bar, which is still a view in the page after its cell."""
    hands.start(9)
    bars = hands.output(9).locator(".progress-bar")
    prompt = hands.cell(9).locator(".jp-InputPrompt")
    expect(prompt).to_have_text(re.compile(r"\[\d+\]:"), timeout=CELL_TIMEOUT)
    expect(bars).to_have_count(1)
    expect(bars).to_have_attribute("style", re.compile("width: 100%"))
    hands.picture("filled")
    return bars.get_attribute("style")


def kept_bar(notebook):
    """The text that a saved notebook has of it."""
    outputs = json.loads(notebook.read_text())["cells"][9]["outputs"]
    return ["".join(output["data"]["text/plain"]) for output in outputs]


def is_save(response):
    return "/api/contents/" in response.url and response.request.method == "PUT" and response.ok


def reload(hands):
    page = hands.page
    # A page that is reloaded before its notebook has been written comes back without outputs.
    with page.expect_response(is_save):
        page.keyboard.press("Control+s")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    page.locator(".jp-Notebook").first.wait_for()
    expect(page.locator("#jp-bottom-panel")).to_contain_text(IDLE)
    hands.cell(0).locator(".jp-InputArea-editor").click()
    expect(hands.output(0).locator(".widget-readout")).to_have_text("7")
    hands.press_on_slider("ArrowRight", 1)
    expect(hands.output(0)).to_contain_text("8 squared is 64")
    hands.picture("reloaded")
    return hands.output(0).inner_text()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebook", type=Path, help="is written")
    parser.add_argument("--chromium", required=True, help="the browser's program")
    parser.add_argument("--pictures", type=Path, help="a folder")
    arguments = parser.parse_args()
    cells = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "execution_count": None, "outputs": [], "source": source}
        for n, source in enumerate(CELLS)
    ]
    kernelspec = {"name": "phalanx", "display_name": "Rust (Phalanx)"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernelspec}, "nbformat": 4, "nbformat_minor": 5}
    arguments.notebook.write_text(json.dumps(notebook))
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    with opened(arguments.notebook, arguments.chromium, width=1200, height=1000) as page:
        hands = Hands(page, arguments.pictures)
        results = {
            "slider": slide(hands),
            "bar": watch_bar(hands),
            "error": misspell(hands),
            "completion": complete(hands),
            "sorted": sort(hands),
            "uploaded": link_and_upload(hands),
            "filled": fill_bar(hands),
            "reloaded": reload(hands),
            "kept": kept_bar(arguments.notebook),
            "stop": stop(hands),
        }
    print(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
