"""Frozen data as plain data, however deep."""

from __future__ import annotations

import dataclasses
import json

import pytest

from engine.tasks import Settings
from explorer.frozen import plain
from explorer.geometry import Rect

pytestmark = pytest.mark.once


@dataclasses.dataclass(frozen=True)
class Leaf:
    name: str
    size: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Tree:
    leaves: tuple[Leaf, ...]
    named: dict[str, Leaf]


def test_data_inside_of_data_is_plain_too():
    tree = Tree((Leaf("a", 1.5), Leaf("b")), {"c": Leaf("d", 2)})
    wanted = {
        "leaves": [{"name": "a", "size": 1.5}, {"name": "b", "size": None}],
        "named": {"c": {"name": "d", "size": 2}},
    }
    assert plain(tree) == wanted


@pytest.mark.parametrize("given", [Settings(), Rect(1, 2, 3, 4)])
def test_it_says_to_json_what_dataclasses_would(given):
    assert json.dumps(plain(given)) == json.dumps(dataclasses.asdict(given))
