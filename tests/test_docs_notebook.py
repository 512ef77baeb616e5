"""The notebook runs from its first to its last cell, and shows what it says."""

import os
import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="the notebook is run by the dev extra")
nbclient = pytest.importorskip("nbclient", reason="the notebook is run by the dev extra")

NOTEBOOK = Path(__file__).resolve().parents[1] / "examples/first_steps.ipynb"
ROOT = NOTEBOOK.parents[1]


def printed(cell):
    return "".join(output.get("text", "") for output in cell.get("outputs", []))


def pictures(cell):
    return [o for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]


def test_it_is_kept_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)


def test_it_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("FIRST_STEPS_SECONDS", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("num_train=480, num_val=48", "num_train=48, num_val=24")
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )  # fmt: skip
    client.execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    text = "\n".join(map(printed, code))
    assert "48 and 24 videos" in text
    assert len(re.findall(r"\d+ steps, loss", text)) == 2
    assert len(re.findall(r"^ +\d+\.\d%  ", text, re.M)) == 3
    assert len([cell for cell in code if pictures(cell)]) == 4
