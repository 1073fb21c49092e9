"""A run as text: what stands in it, and that numbers which are none don't look like small ones."""

from __future__ import annotations

import dataclasses

import pytest

from engine.tasks import usual
from explorer.report import BAR, factors, finding, profile, report

FACTOR = {
    "layer": "first",
    "above": "second",
    "activation": "sigmoid",
    "activation_slope": 0.25,
    "weight_gain": 2.0,
    "norm": 1.0,
    "residual": 1.0,
    "other": 1.0,
    "time": 1.0,
    "alignment": 1.0,
    "measured": 0.52,
    "product": 0.5,
}
FINDING = {
    "kind": "update_too_small",
    "cause": "the cause",
    "sentence": "A sentence.",
    "factors": [],
    "effects": [],
    "remedies": [],
}


def shown(**changes):
    settings = dataclasses.asdict(usual("spiral", depth=3, residual=True))
    profile = {"layers": ["a"], "steps": [0, 9], "gradient_rms": [[1.0], [0.1]]}
    accuracy = {"train": 0.5, "test": 0.25}
    whole = {"title": "Two spirals", "settings": settings, "step": 1200, "loss": [2.0, 1.0, 0.5]}
    whole |= {"devices": 1, "micro_batches": 1, "divided_memory": False}
    return {**whole, "accuracy": accuracy, "profile": profile, "scaling": None, "findings": [], **changes}


def bars(*values) -> list[str]:
    layers = [f"layer {place}" for place in range(len(values))]
    lines = profile({"layers": layers, "steps": [3, 7], "gradient_rms": [[1.0] * len(values), list(values)]})
    return [line.partition("layer")[2][4:].strip() for line in lines[1:]]


def test_a_run_says_what_was_trained_and_how_it_went():
    lines = report(shown()).splitlines()
    assert lines[0] == "Two spirals, 1,200 steps: --depth 3 --residual"
    assert lines[2:4] == ["loss      2 → 0.5", "accuracy  0.5, 0.25 on the test set"]
    assert lines[-1] == "No trouble found."


def test_what_there_is_not_has_no_line():
    text = report(shown(loss=[], accuracy={"train": None, "test": None}, settings={}, step=0))
    assert text.splitlines()[0] == "Two spirals, 0 steps"
    assert [word for word in ("loss", "accuracy", "trouble") if word in text] == []


def test_a_scaled_loss_says_by_what_and_what_was_left_out():
    assert "loss scale 65,536\n" in report(shown(scaling={"factor": 65536.0, "skipped": 0}))
    assert "1,024, 3 steps left out" in report(shown(scaling={"factor": 1024.0, "skipped": 3}))


def test_bars_are_on_the_fixed_logarithmic_scale():
    hundred, one, tiny = bars(100.0, 1e-3, 1e-8)
    assert hundred == "100  " + "█" * BAR
    assert one == "0.001  " + "█" * (BAR // 2)
    assert tiny == "1.00e−8  ▏"


def test_a_bar_has_eighths():
    assert bars(10 ** (-8 + 10 * 1.5 / BAR))[0].endswith("  █▌")


def test_zero_nan_infinity_and_not_measured_have_no_bar_and_a_name():
    assert bars(0.0, "NaN", "Infinity", None, 1e-30) == ["0", "NaN", "∞", "—", "1.00e−30  ▏"]


def test_the_profile_is_that_of_the_last_recorded_step():
    lines = profile({"layers": ["a"], "steps": [0, 1500], "gradient_rms": [[100.0], [0.0]]})
    assert lines[0].startswith("Gradient by layer at step 1,500: ")
    assert lines[1].split() == ["a", "0"]


@pytest.mark.parametrize("empty", [{"layers": []}, {"steps": [], "gradient_rms": []}])
def test_without_layers_or_steps_there_is_no_profile(empty):
    assert profile({"layers": ["a"], "steps": [0], "gradient_rms": [[]], **empty}) == []


def test_factors_that_are_one_throughout_are_left_out():
    assert [line.split() for line in factors([FACTOR])] == [
        ["back", "to", "through", "slope", "weights", "product", "measured"],
        ["first", "sigmoid", "0.25", "2", "0.5", "0.52"],
    ]


def test_a_factor_that_is_not_one_somewhere_has_a_column():
    rows = [line.split() for line in factors([FACTOR, {**FACTOR, "residual": 3.0, "activation": ""}])]
    assert rows[0][4:6] == ["weights", "residual"]
    assert rows[1][2:5] == ["0.25", "2", "1"]
    assert rows[2][1:5] == ["—", "0.25", "2", "3"]


def test_a_finding_has_its_kind_and_its_cause_first():
    assert finding(FINDING) == ["Update too small: the cause", "  A sentence."]


def test_a_remedy_is_written_as_one_gives_it():
    remedies = [{"label": "Do this", "change": {"rate": 0.1, "residual": True}}, {"label": "Look", "change": {}}]
    assert finding({**FINDING, "remedies": remedies})[-3:] == [
        "  What to do",
        "  - Do this: --rate 0.1 --residual",
        "  - Look",
    ]


def test_effects_stand_beneath():
    assert finding({**FINDING, "effects": ["plateau: flat"]})[-2:] == ["  What follows from it", "  - plateau: flat"]
