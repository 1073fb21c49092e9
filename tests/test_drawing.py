"""A user's function as text, data or picture, without a page."""

from __future__ import annotations

import json

import jax.numpy as jnp
import numpy as np
import pytest

from engine import trace
from explorer.drawing import as_dict, as_text, draw
from explorer.errors import LayoutError
from explorer.target import Target


def inner(x):
    return jnp.sin(x) * 2.0


def outer(x):
    return inner(x) + x


TARGET = Target("outer", outer, (np.float32(1.0),))


def test_a_text_has_its_scopes_as_headings():
    lines = as_text(trace(outer, np.ones(3, np.float32))).splitlines()
    assert lines[0] == "outer: 4 nodes, 5 edges, 1 scopes"
    assert [line for line in lines if line and not line.startswith(" ")][1:] == ["inner  inner", "outer"]
    assert lines[4].split()[:6] == ["%1", "sin", "sin", "float32", "3", "%0"]
    assert lines[5].split()[:7] == ["%2", "mul", "mul", "float32", "3", "%1,", "2"]


def test_data_tell_numbers_from_nodes():
    nodes = {node["name"]: node for node in as_dict(trace(outer, 1.0))["nodes"]}
    assert nodes["inner/mul"]["operands"] == ["%1", {"literal": "2"}]
    assert nodes["inner/mul"]["scope"] == "inner"


def test_json_is_written_in_full_letters():
    def loss(ω):
        return ω * 2.0

    text = draw(Target("loss", loss, (1.0,)), "json", False, "bundled")
    assert '"ω"' in text
    assert json.loads(text) == json.loads(json.dumps(as_dict(trace(loss, 1.0))))


@pytest.mark.parametrize(("unfolded", "shown"), [(False, ["inner"]), (True, ["sin", "mul"])])
def test_a_picture_is_folded_to_layers_unless_asked(unfolded, shown):
    text = draw(TARGET, "dot", unfolded, "bundled")
    assert [name for name in ("inner", "sin", "mul") if f'label="{name}\\nfloat32' in text] == shown


def test_a_picture_has_the_numbers_of_a_loss():
    assert f">{np.sin(1) * 2 + 1:.3g}<" in draw(TARGET, "svg", True, "bundled")


def test_the_engine_that_is_asked_for_is_used(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LayoutError, match="No program 'dot'"):
        draw(TARGET, "svg", False, "system")


def test_many_operations_side_by_side_are_drawn_in_parts():
    def long(x):
        for _ in range(120):
            x = jnp.sin(x)
        return x

    text = draw(Target("long", long, (1.0,)), "dot", False, "bundled")
    assert 'label="part 1 of 2\\nfloat32' in text
