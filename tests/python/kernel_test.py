"""jupyter_kernel_test's conformance tests, for our kernel; run with `python kernel_test.py`."""

import time
import unittest

import jupyter_kernel_test
from kernel import CELL_TIMEOUT


class Phalanx(jupyter_kernel_test.KernelTests):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # A kernel's first cell may wait for the notebooks' library to be built.
        cls.kc.execute_interactive("1", timeout=CELL_TIMEOUT, store_history=False)
        # Completions come without the standard library until it has been loaded, which may take long.
        deadline = time.monotonic() + CELL_TIMEOUT
        while time.monotonic() < deadline:
            reply = cls.kc.complete("String::new().is_em", reply=True, timeout=CELL_TIMEOUT)
            if reply["content"]["matches"]:
                break

    def execute_helper(self, code, timeout=CELL_TIMEOUT, **options):
        return super().execute_helper(code, timeout, **options)

    kernel_name = "phalanx"
    language_name = "rust"
    file_extension = ".rs"

    code_hello_world = 'println!("hello, world");'
    code_stderr = 'eprintln!("oops");'
    code_generate_error = 'panic!("meant to");'
    code_execute_result = [
        {"code": "6 * 7", "result": "42"},
        {"code": "vec![1, 2, 3].len()", "result": "3"},
        {"code": '"héllo"', "result": '"héllo"'},
    ]
    code_display_data = [{"code": 'phalanx::html("<b>shown</b>")?;', "mime": "text/html"}]
    code_clear_output = "phalanx::clear_output(false)?;"

    completion_samples = [{"text": 'let text = String::new(); text.is_em', "matches": {"is_empty"}}]
    code_page_something = "?String"
    code_inspect_sample = "String"
    complete_code_samples = ["1 + 1", "let x = 1;", "fn f() {}", "%%px\n1", 'println!("{");']
    incomplete_code_samples = ["fn f() {", "let x = vec![1,", 'let s = "open', "/* open"]
    invalid_code_samples = ["fn f() }", "let x = (1];"]

    supported_history_operations = ("tail", "range", "search")
    code_history_pattern = "6 * ?"


class Welcome(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = "phalanx"
    support_iopub_welcome = True


if __name__ == "__main__":
    unittest.main(verbosity=2)
