"""What falls below sixteen bits, and what rises above them: found, with its cause and what helps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from engine.health import reach
from engine.health.evidence import Course
from engine.tasks import problem, usual
from engine.underflow import Lost
from explorer.room import Room

pytestmark = pytest.mark.once

DEEP = usual("spiral", depth=9, width=6, batch=8, activation="sigmoid", precision="float16")


def found(settings):
    room = Room(problem(settings), settings)
    step = room.pass_at(0)
    return room.findings(step)


@pytest.fixture(scope="module")
def finding():
    return found(DEEP)[0]


@pytest.mark.slow
def test_underflow_is_the_cause_where_float32_has_a_gradient(finding):
    assert (finding.kind, finding.cause) == ("vanishing", "underflow in float16")
    assert "% of the gradient's entries at" in finding.sentence
    assert "5.96e−8, the smallest number of float16" in finding.sentence


@pytest.mark.slow
def test_its_remedies_are_settings(finding):
    assert [remedy.change for remedy in finding.remedies] == [
        {"scaling": "dynamic"},
        {"precision": "bfloat16"},
        {"precision": "float32"},
    ]


@pytest.mark.slow
def test_with_the_first_remedy_it_is_gone(finding):
    again = found(dataclasses.replace(DEEP, **finding.remedies[0].change))
    assert [other.cause for other in again if "underflow" in other.cause] == []


class Overflowing:
    """Evidence of a run whose static scaling is too large."""

    readings = (type("R", (), {"factor": np.float32(1024)}),)
    course = Course((1.0,) * 10, 10)
    narrowest = "float16"

    def __init__(self, skipped, scaling="static"):
        self.skipped, self._scaling = skipped, scaling

    def setting(self, name, default=None):
        return {"scaling": self._scaling, "precision": "float16"}.get(name, default)


def test_steps_left_out_for_good_are_found():
    said = reach.overflow(Overflowing(7))
    assert said.kind == "nonfinite"
    assert said.sentence.startswith("7 of 10 steps were left out: scaled by 1,024, a gradient")
    assert [remedy.change for remedy in said.remedies] == [{"scaling": "dynamic"}, {"precision": "bfloat16"}]


def test_a_dynamic_scaling_mends_itself():
    assert reach.overflow(Overflowing(7, "dynamic")) is None


def test_no_step_left_out_is_no_finding():
    assert reach.overflow(Overflowing(0)) is None


def test_the_page_says_what_the_zeros_are():
    assert reach.words(Lost(0.12, "float16")).startswith("12 % of its entries underflowed: they are zero here")
