"""Execute notebooks and store them with their outputs, as they are shipped.

    python scripts/execute_notebooks.py                       # all of notebooks/
    python scripts/execute_notebooks.py notebooks/attention.ipynb

Each runs in a temporary folder, so that nothing that it writes remains.
"""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"
TIMEOUT = 1800  # seconds of one cell
ENVIRONMENT = {"OMP_NUM_THREADS": "1"}  # busy cores make two threads slower than one


def execute(path: Path) -> nbformat.NotebookNode:
    """Return a notebook with the outputs of its cells, without warnings, which name paths of this machine."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        client = NotebookClient(notebook, timeout=TIMEOUT, resources=resources, record_timing=False)
        client.execute(env=os.environ | ENVIRONMENT)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def main() -> None:
    """Run the command line."""
    for path in map(Path, sys.argv[1:]) if sys.argv[1:] else sorted(FOLDER.glob("*.ipynb")):
        nbformat.write(execute(path), path)
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
