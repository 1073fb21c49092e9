"""The views, without a browser: what they are given and what they hand on."""

from __future__ import annotations

import math

import pytest

from explorer import theme
from explorer.views.bar import TrainingBar
from explorer.views.graph import GraphView
from explorer.views.setup import SetupView
from explorer.views.training import SHOWN, LossCurve


@pytest.mark.parametrize("view", [GraphView, TrainingBar, SetupView])
def test_what_a_person_does_is_handed_on(view):
    heard = []
    view(heard.append)._handle_msg({"type": "train"})
    assert heard == [{"type": "train"}]


def test_what_is_told_is_sent_to_the_browser(monkeypatch):
    view, sent = GraphView(print), []
    monkeypatch.setattr(view, "_send_msg", sent.append)
    view.tell(type="failed", text="no")
    assert sent == [{"type": "failed", "text": "no"}]


def test_two_views_share_no_state():
    one, other = GraphView(print), GraphView(print)
    one.scene = {"version": 1}
    assert other.scene == {}


@pytest.fixture
def curve():
    return LossCurve()


def line(curve: LossCurve) -> list[tuple[float, float]]:
    data = curve._steps.data
    return list(zip(data["step"], data["loss"], strict=True))


def test_the_curve_shows_the_loss_of_every_step(curve):
    curve.show([2.0, 1.0, 0.5], None)
    assert line(curve) == [(0, 2.0), (1, 1.0), (2, 0.5)]
    assert curve._last.data == {"step": [], "loss": []}


def test_the_last_update_is_shown_as_half_a_step_more(curve):
    curve.show([2.0, 1.0], 0.75, "f")
    assert curve._last.data == {"step": [1, 1.5], "loss": [1.0, 0.75]}
    assert curve.figure.yaxis[0].axis_label == "f"


def test_the_axes_hold_everything_with_a_margin(curve):
    curve.show([2.0, 1.0], 0.0)
    assert (curve.figure.y_range.start, curve.figure.y_range.end) == pytest.approx((-0.16, 2.16))
    assert curve.figure.x_range.end == SHOWN
    curve.show([1.0] * 101, None)
    assert curve.figure.x_range.end == pytest.approx(104.5)


@pytest.mark.parametrize("losses", [[3.0], [0.0], []])
def test_the_axes_are_never_empty(losses, curve):
    curve.show(losses, None)
    assert curve.figure.y_range.start < curve.figure.y_range.end


def test_a_loss_that_is_not_finite_is_a_gap(curve):
    curve.show([1.0, None, 2.0], None)
    assert math.isnan(curve._steps.data["loss"][1])
    assert (curve.figure.y_range.start, curve.figure.y_range.end) == pytest.approx((0.92, 2.08))


@pytest.mark.parametrize("look", ["light", "dark"])
def test_the_curve_takes_the_colours_of_a_theme(look, curve):
    curve.dress(look)
    ink = theme.INK[look]
    assert (curve.figure.background_fill_color, curve._line.glyph.line_color) == (ink["panel"], ink["accent"])
    assert curve._after.glyph.line_color == ink["update"]
