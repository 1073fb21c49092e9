"""The notebooks: what they say is what happens, and what is saved of them reads well where nothing runs."""

from __future__ import annotations

import copy
import re
from xml.etree import ElementTree

import pytest

from scripts import notebooks
from scripts.driving import ROOT

SAVED = {path.stem: notebooks.read(path) for path in sorted(notebooks.FOLDER.glob("*.ipynb"))}
NUMBER = re.compile(r"[−-]?\d[\d.,]*(e[−+-]?\d+)?")


def outputs(notebook):
    """Texts of a notebook, by cell and kind; roundings and lengths of pictures may differ."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            texts = {"stream": output.get("text", "")} | dict(output.get("data", {}))
            found += [(cell.id, kind, NUMBER.sub("~", text)) for kind, text in texts.items() if kind != "image/svg+xml"]
    return sorted(found)


@pytest.mark.slow
@pytest.mark.once
def test_what_is_saved_is_what_happens():
    ran = copy.deepcopy(SAVED)
    for notebook in ran.values():
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = []
    notebooks.execute(list(ran.values()))
    assert {name: notebooks.errors(notebook) for name, notebook in ran.items()} == {name: [] for name in ran}
    assert {name: outputs(notebook) for name, notebook in ran.items()} == {
        name: outputs(notebook) for name, notebook in SAVED.items()
    }


def test_there_is_one_for_each_beginning():
    wanted = {"first_look", "your_own_model", "vanishing_gradients", "flax", "equinox", "lecture"}
    assert wanted <= set(SAVED)


@pytest.mark.parametrize("name", SAVED)
def test_it_is_small(name):
    assert (notebooks.FOLDER / f"{name}.ipynb").stat().st_size < notebooks.LARGEST_BYTES


@pytest.mark.parametrize("name", SAVED)
def test_it_shows_a_picture_where_nothing_runs(name):
    data = [output.get("data", {}) for cell in SAVED[name].cells for output in cell.get("outputs", [])]
    pictures = [ElementTree.fromstring(each["image/svg+xml"]) for each in data if "image/svg+xml" in each]
    assert pictures
    assert all("widget" not in kind for each in data for kind in each)


@pytest.mark.parametrize("name", SAVED)
def test_it_names_no_place_of_a_machine(name):
    text = (notebooks.FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    assert re.findall(rf"/tmp/|ipykernel_|/home/|{ROOT}|object at 0x", text) == []
