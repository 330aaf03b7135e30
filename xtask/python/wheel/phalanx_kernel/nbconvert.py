"""`jupyter nbconvert --to script`: the program that `phalanx export` writes."""

import subprocess
import sysconfig
import tempfile
from pathlib import Path

import nbformat
from nbconvert.exporters import TemplateExporter
from nbconvert.exporters.exporter import Exporter


class ProgramExporter(Exporter):
    """A notebook as the `main.rs` of a cargo project."""

    file_extension = ".rs"
    output_mimetype = "text/rust"

    def from_notebook_node(self, nb, resources=None, **kw):
        nb, resources = super().from_notebook_node(nb, resources, **kw)
        if nb.metadata.get("kernelspec", {}).get("name") != "phalanx":
            return self._cells(nb, resources, **kw)
        resources["output_extension"] = self.file_extension
        with tempfile.TemporaryDirectory() as folder:
            notebook = Path(folder, "notebook.ipynb")
            nbformat.write(nb, notebook)
            project = Path(folder, "project")
            program = Path(sysconfig.get_path("scripts"), "phalanx")
            command = [program, "export", notebook, "--output", project]
            exported = subprocess.run(command, capture_output=True, text=True)
            if exported.returncode:
                raise RuntimeError(exported.stderr.strip())
            return Path(project, "src", "main.rs").read_text(), resources

    def _cells(self, nb, resources, **kw):
        """The cells as they stand, as for a language without an exporter."""
        exporter = TemplateExporter(
            config=self.config,
            parent=self,
            template_name="script",
            template_file="script.j2",
            file_extension=self.file_extension,
        )
        return exporter.from_notebook_node(nb, resources, **kw)
