"""A notebook's user: types when asked, reads much output, asks while a cell runs.

Prints the results as JSON.
"""

import json
import subprocess

from kernel import CELL_TIMEOUT, running

READS = """
println!("who?");
let mut first = String::new();
std::io::stdin().read_line(&mut first)?;
let second = std::thread::spawn(|| std::io::stdin().lines().next().unwrap().unwrap()).join().unwrap();
let third = std::process::Command::new("head").arg("-n1").stdout(std::process::Stdio::piped()).spawn()?.wait_with_output()?;
println!("{first:?} {second:?} {:?}", String::from_utf8_lossy(&third.stdout));
"""
ASKS = 'println!("{} {}", phalanx::input("name? ")?, phalanx::password("secret? ")?);'
LINES = 'for i in 0..100_000 { println!("{i}"); }'
PIECES = """
use std::io::Write;
for i in 0..1_000 { print!("<{i}>"); std::io::stdout().flush().unwrap(); }
"""
BYTES = 'use std::io::Write; std::io::stdout().write_all(b"a\\xff\\xfeb\\n").unwrap();'
THREAD = """
std::thread::spawn(|| { for i in 0..3 { println!("thread {i}"); } }).join().unwrap();
eprintln!("done");
"""
DEFINES = "let mut names: Vec<String> = Vec::new(); fn shout(text: &str) -> String { text.to_uppercase() }"
BUSY = 'println!("busy"); std::thread::sleep(std::time::Duration::from_secs(3600));'

# Results of 120 MiB that no variable names, behind one that a variable names.
RELEASES = """
use phalanx::prelude::*;
fn large(n: u8) -> Vec<u8> { vec![n; 30 << 20] }
let rc = Cluster::builder().n(1).start_and_connect()?;
let kept = rc.view(0).apply_async_with(large, 0u8)?;
kept.wait()?;
for n in 1..5u8 { rc.view(0).apply_async_with(large, n)?.wait()?; }
"""
RELEASED = """
let first = phalanx::AsyncResult::from_id(2).get().unwrap_err().to_string();
println!("{} {}", kept.get()?.len(), first.contains("does not hold AsyncResult 2"));
"""

INTERACTS = """
use phalanx::widgets::interact_with;
interact_with(("n", 1..=9), |n: u32| n * 100);
"""


class User:
    def __init__(self, client):
        self.client = client

    def run(self, code, answers=()):
        """Runs a cell and answers its prompts; returns its text, the number of messages, and the prompts."""
        answers, prompts, texts = list(answers), [], []

        def answer(message):
            prompts.append([message["content"]["prompt"], message["content"]["password"]])
            self.client.input(answers.pop(0))

        def keep(message):
            if message["msg_type"] == "stream":
                texts.append(message["content"]["text"])
            elif message["msg_type"] == "error":
                texts.append("\n".join(message["content"]["traceback"]))

        self.client.execute_interactive(
            code, output_hook=keep, stdin_hook=answer, allow_stdin=True, timeout=CELL_TIMEOUT
        )
        return "".join(texts), len(texts), prompts

    def complete_while_busy(self, code):
        """Completions that come while a cell runs, which is interrupted afterwards."""
        busy = self.client.execute(BUSY)
        while True:
            message = self.client.get_iopub_msg(timeout=CELL_TIMEOUT)
            if message["parent_header"].get("msg_id") == busy and message["msg_type"] == "stream":
                break
        matches = []
        while not matches:
            request = self.client.complete(code)
            matches = self.reply(request)["matches"]
        self.client.control_channel.send(self.client.session.msg("interrupt_request", {}))
        return matches, self.reply(busy)["ename"]

    def move(self, code, value):
        """Runs a cell with a slider and moves that; returns what is shown because of it, and in which area."""
        models = {}

        def keep(message):
            content = message["content"]
            if message["msg_type"] == "comm_open":
                models[content["data"]["state"]["_model_name"]] = content["comm_id"]

        self.client.execute_interactive(code, output_hook=keep, allow_stdin=False, timeout=CELL_TIMEOUT)
        moved = {"method": "update", "state": {"value": value}, "buffer_paths": []}
        content = {"comm_id": models["IntSliderModel"], "data": moved}
        message = self.client.session.msg("comm_msg", content)
        self.client.shell_channel.send(message)
        texts, captures = [], []
        while True:
            shown = self.client.get_iopub_msg(timeout=CELL_TIMEOUT)
            if shown["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            content = shown["content"]
            if shown["msg_type"] == "stream":
                texts.append(content["text"])
            elif content.get("comm_id") == models["OutputModel"]:
                captures.append(content["data"]["state"].get("msg_id"))
            elif content.get("execution_state") == "idle":
                # The messages of this request, and no others, are shown in the area.
                return "".join(texts), message["header"]["msg_id"] in captures

    def reply(self, msg_id):
        while True:
            reply = self.client.get_shell_msg(timeout=CELL_TIMEOUT)
            if reply["parent_header"].get("msg_id") == msg_id:
                return reply["content"]


def main():
    with running() as kernel:
        user = User(kernel.client)
        text, _, prompts = user.run(READS, ["Ada", "größe", "line"])
        answers = {"reads": [text, prompts]}
        text, _, prompts = user.run(ASKS, ["name", "word"])
        answers["asks"] = [text, prompts]
        text, messages, _ = user.run(LINES)
        answers["lines"] = [text == "".join(f"{i}\n" for i in range(100_000)), messages]
        text, messages, _ = user.run(PIECES)
        answers["pieces"] = [text == "".join(f"<{i}>" for i in range(1_000)), messages]
        answers["bytes"] = user.run(BYTES)[0]
        answers["thread"] = user.run(THREAD)[0]
        user.run(RELEASES)
        answers["released"] = user.run(RELEASED)[0]
        answers["moved"] = user.move(INTERACTS, 3)
        user.run(DEFINES)
        info = user.reply(user.client.kernel_info())
        compiler = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True)
        answers["version"] = [info["language_info"]["version"], compiler.stdout.split()[1]]
        answers["busy"] = user.complete_while_busy("names.is_em")
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
