"""The notebook of the documents runs from top to bottom."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]


def test_the_notebook_runs_and_shows_a_clip_numbers_and_pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output.data for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs if "data" in output]
    assert any("<video" in data.get("text/html", "") for data in shown)
    assert any("artifact_score" in data.get("text/plain", "") for data in shown)
    assert sum("image/png" in data for data in shown) >= 3
    assert not list(tmp_path.iterdir())
