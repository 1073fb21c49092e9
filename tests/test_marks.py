"""Marking predictions."""

from __future__ import annotations

import pytest

from explorer.lessons.lesson import Ask, Hint
from explorer.lessons.marks import Mark, mark, right, sheet, typed

VALUES = {"slope": -12.0, "half": -6.0, "big": 3.0}
NUMBER = Ask("number", "?", "slope", "Other.", (Hint("half", "Half."), Hint("12", "Sign.")))
SIGN = Ask("sign", "?", "slope", "Other.", (Hint("positive", "Up."),))
CHOICE = Ask("choice", "?", "largest", "Other.", options=("a", "b"), of=("slope", "big"))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.5", 0.5),
        ("−2", -2),
        ("3/4", 0.75),
        ("1,5", 1.5),
        (" -1e-3 ", -1e-3),
        ("50 %", 0.5),
        ("x", None),
        ("1/0", None),
    ],
)
def test_a_number_is_read_as_people_write_it(text, number):
    assert typed(text) == number


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("-12", Mark(True)),
        ("-11.7", Mark(True)),
        ("-6", Mark(False, "Half.")),
        ("12", Mark(False, "Sign.")),
        ("100", Mark(False, "Other.")),
        ("much", Mark(False, "Write a number, such as 0.5, −2 or 3/4.")),
    ],
)
def test_a_number_is_right_within_its_tolerance_and_a_mistake_has_its_hint(given, found):
    assert mark(sheet(NUMBER, VALUES), given) == found


@pytest.mark.parametrize(
    ("given", "found"), [("negative", Mark(True)), ("positive", Mark(False, "Up.")), ("zero", Mark(False, "Other."))]
)
def test_a_sign(given, found):
    assert mark(sheet(SIGN, VALUES), given) == found


def test_the_largest_of_some_numbers_is_found_in_the_run():
    assert (right(CHOICE, VALUES), mark(sheet(CHOICE, VALUES), "b").right, mark(sheet(CHOICE, VALUES), "a").right) == (
        "b",
        True,
        False,
    )


def test_zero_is_right_where_nothing_flows():
    assert mark(sheet(Ask("number", "?", "none", "Other."), {"none": 0.0}), "0").right
