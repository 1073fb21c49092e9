"""Costs that a lesson speaks of."""

from __future__ import annotations

import dataclasses

import pytest

import engine
from engine.tasks import SettingsError, problem, usual
from explorer.lessons import costs

DIGITS = usual("digits", width=4, depth=1)


def test_parts_are_those_of_the_engine():
    own = problem(DIGITS)
    found = engine.cost(own.fun, *own.params, *own.batch(0))
    parts = {name: costs.part(DIGITS, name) for name in costs.COUNTED}
    assert parts["forward"] == found.forward.operations
    assert parts["reverse"] == found.reverse.operations
    assert parts["forward_modes"] == parts["forward_mode"] * found.entries
    assert (parts["paths"], parts["written_out"]) == (found.expansion.paths, found.written_out)
    assert (parts["kept"], parts["peak"]) == (found.kept, found.peak)


def test_every_argument_of_the_smallest_task_is_a_parameter():
    assert costs.part(usual("product"), "paths") == 3


def test_other_settings_cost_otherwise():
    assert costs.part(dataclasses.replace(DIGITS, batch=64), "kept") == 2 * costs.part(DIGITS, "kept")
    assert costs.part(dataclasses.replace(DIGITS, remat=True), "kept") < costs.part(DIGITS, "kept")


def test_a_scope_has_its_part():
    assert costs.inside(DIGITS, "mlp/layer", "parameters") == 64 * 4 + 4


def test_time_is_measured_once():
    first = costs.milliseconds(usual("product"), "reverse")
    assert first > 0
    assert costs.milliseconds(usual("product"), "reverse") == first


@pytest.mark.parametrize("read", [costs.part, costs.milliseconds])
def test_an_unknown_part_is_told(read):
    with pytest.raises(SettingsError, match="There is no part 'speed' of a cost; there are forward, reverse"):
        read(usual("product"), "speed")
