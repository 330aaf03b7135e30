"""Parameters for papermill.

papermill has no entry points for translators, but it imports the engines of all packages, and thereby
this module, when it starts.
"""

import json
import re

from papermill.engines import NBClientEngine
from papermill.models import Parameter
from papermill.translators import Translator, papermill_translators

# A declaration: name, type, value and comment.
DECLARATION = re.compile(
    r"^\s*let\s+(?:mut\s+)?(?P<name>(?:r#)?\w+)\s*"
    r"(?::\s*(?P<type>[^=;]+?)\s*)?"
    r"=\s*(?P<default>.+?)\s*;?\s*"
    r"(?://+\s*(?P<help>.*))?$"
)


class RustTranslator(Translator):
    """Parameters as values of the types that the notebook declares them with.

    `n` of `-p n 5` becomes `let n = phalanx::parameter(n, "5")?;`.
    """

    @classmethod
    def translate(cls, val):
        text = json.dumps(val, ensure_ascii=False)
        marks = "#"
        while f'"{marks}' in text:
            marks += "#"
        return f'r{marks}"{text}"{marks}' if set('"\\') & set(text) else f'"{text}"'

    @classmethod
    def comment(cls, cmt_str):
        return f"// {cmt_str}"

    @classmethod
    def assign(cls, name, str_val):
        return f"let {name} = phalanx::parameter({name}, {str_val})?;"

    @classmethod
    def inspect(cls, parameters_cell):
        found = map(DECLARATION.match, parameters_cell["source"].splitlines())
        return [
            Parameter(
                name=declaration["name"],
                inferred_type_name=declaration["type"] or "None",
                default=declaration["default"],
                help=declaration["help"] or "",
            )
            for declaration in found
            if declaration
        ]


# By the kernel's name: other kernels of the same language lack `phalanx::parameter`.
papermill_translators.register("phalanx", RustTranslator)


class Engine(NBClientEngine):
    """papermill's own engine, under the name `phalanx`."""
