"""The shipped notebooks run as they are, and are shipped with what they show."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
CLIPS = "{train: 4, validation: 4, test: 4}"


def kinds_of(notebook):
    """The kinds of media in the outputs of a notebook."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return {kind for output in outputs for kind in output.get("data", {})}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("NOTEBOOK_PROMPTS", "4")
    monkeypatch.setenv("NOTEBOOK_STEPS", "2")
    monkeypatch.setenv("NOTEBOOK_TEST", f"'data.open_english.clips={CLIPS}' data.open_english.voices=[heart]")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # busy cores make two threads slower than one
    notebook = nbformat.read(path, as_version=4)
    shipped = kinds_of(notebook)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert kinds_of(notebook) == shipped


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_shipped_executed_and_installs_itself(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [out for cell in code for out in cell.outputs if out.output_type == "error"]
    assert "%pip install" in code[0].source and notebook.cells[0].source.startswith("# ")
    assert path.stat().st_size < 2_000_000 and "site-packages" not in path.read_text()
