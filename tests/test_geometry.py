"""Rectangles and curves."""

from __future__ import annotations

import pytest

from explorer.geometry import Curve, Rect, bridge


def test_a_rectangle_moves_and_keeps_its_size():
    assert Rect(1, 2, 3, 4).moved(10, -10) == Rect(11, -8, 3, 4)


def test_a_curve_moves_point_by_point():
    assert Curve(((0, 0), (1, 2))).moved(5, 6) == Curve(((5, 6), (6, 8)))


def test_curves_are_joined_by_one_smooth_piece():
    first, second = Curve(((0, 0), (1, 0), (2, 0), (3, 0))), Curve(((9, 1), (10, 1), (11, 1), (12, 1)))
    joined = first.then(second)
    assert joined.points[:4] == first.points
    assert joined.points[4:7] == ((6, 0), (6, 1), (9, 1))
    assert joined.points[7:] == second.points[1:]


def test_a_joined_curve_is_still_made_of_pieces_of_three():
    piece = Curve(((0, 0), (1, 0), (2, 0), (3, 0)))
    assert (len(piece.then(piece.moved(9, 9)).then(piece).points) - 1) % 3 == 0


@pytest.mark.parametrize(
    ("end", "controls"), [((10, 4), ((5, 0), (5, 4))), ((4, 10), ((0, 5), (4, 5))), ((0, 0), ((0, 0), (0, 0)))]
)
def test_a_bridge_leaves_along_the_longer_way(end, controls):
    assert bridge((0, 0), end) == (*controls, end)
