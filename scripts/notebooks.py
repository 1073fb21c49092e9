"""The outputs of ``notebooks/``, made again, such that they read well where nothing runs.

Run: ``python -m scripts.notebooks [name …]``. What only a live notebook can show is left out: in its place stands the
picture that comes with it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from scripts.driving import ROOT
from scripts.lab import KERNEL

FOLDER = ROOT / "notebooks"
LARGEST_BYTES = 300_000
_LIVE = "application/vnd.jupyter.widget-view+json"


def read(path: Path) -> Any:
    """A notebook as data."""
    return nbformat.read(path, as_version=4)


def together(notebooks: list[Any]) -> Any:
    """All cells of several notebooks as one, each beginning with nothing defined: JAX is imported once."""
    cells = []
    for notebook in notebooks:
        cells += [nbformat.v4.new_code_cell("%reset -f"), *notebook.cells]
    return nbformat.v4.new_notebook(cells=cells, metadata=KERNEL)


def execute(notebooks: list[Any]) -> None:
    """Run them in one kernel; each cell then has its outputs, errors too.

    The kernel is this Python, and finds this checkout.
    """
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    try:
        NotebookClient(together(notebooks), timeout=300, allow_errors=True, store_widget_state=False).execute()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    for notebook in notebooks:
        _tidy(notebook)


def errors(notebook: Any) -> list[str]:
    """What went wrong in it."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [f"{output.ename}: {output.evalue}" for output in outputs if output.output_type == "error"]


def _tidy(notebook: Any) -> None:
    """Leave nothing that changes from one run to the next, or that only a kernel can show."""
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(codes, 1):
        cell.execution_count = number
        cell.metadata.pop("execution", None)
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = number
            output.get("data", {}).pop(_LIVE, None)


def main() -> int:
    """Make the outputs of the notebooks asked for, or of all; status 1 where one fails or is too large."""
    paths = [path for path in sorted(FOLDER.glob("*.ipynb")) if not sys.argv[1:] or path.stem in sys.argv[1:]]
    notebooks = [read(path) for path in paths]
    execute(notebooks)
    failed = False
    for path, notebook in zip(paths, notebooks, strict=True):
        nbformat.write(notebook, path)
        size = path.stat().st_size
        print(f"{path.name}  {size / 1000:.0f} kB", *errors(notebook), flush=True)
        failed = failed or size > LARGEST_BYTES or bool(errors(notebook))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
