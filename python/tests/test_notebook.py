"""The tutorial: every cell runs, in a kernel as a notebook has one."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

TUTORIAL = Path(__file__).parents[1] / "tutorial.ipynb"


def test_the_tutorial_runs(network, tmp_path):
    notebook = nbformat.read(TUTORIAL, as_version=4)
    runner = NotebookClient(
        notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    # A cell that raises is an error here.
    runner.execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.text for output in shown if output.output_type == "stream")
    assert "ppm a year" in printed and "remote (in the guest)" in printed
    assert "can't travel" in printed
    tables = [o.data["text/html"] for o in shown if "text/html" in o.get("data", {})]
    assert len(tables) == 2 and "accepted" in tables[1]
