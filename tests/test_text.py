"""How numbers and tables are written."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from engine.text import MOST, amount, listed, paragraph, raised, short, table

HOSTILE = "<script>alert('&')</script>"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.31, "0.31"),
        (-0.1, "−0.1"),
        (1 / 3, "0.333"),
        (0.0, "0"),
        (-0.0, "0"),
        (-2.25e-9, "−2.25e−9"),
        (1234.5, "1230"),
        (12345.0, "12300"),
        (99960.0, "100000"),
        (1e5, "1.00e5"),
        (0.0001, "0.0001"),
        (0.00001, "1.00e−5"),
        (float("nan"), "NaN"),
        (float("inf"), "∞"),
        (-float("inf"), "−∞"),
        (7, "7"),
        (-1234567, "−1234567"),
        (True, "true"),
        (False, "false"),
        (1 + 2j, "(1 + 2i)"),
        (1 - 0.5j, "(1 − 0.5i)"),
    ],
)
def test_numbers_are_written_as_people_write_them(value, text):
    assert short(value) == text


def read(html):
    """The texts of an HTML fragment, which must be well formed."""
    return list(ElementTree.fromstring(f"<div>{html}</div>").itertext())


def test_whatever_comes_in_is_text():
    html = table(HOSTILE, [HOSTILE], [[HOSTILE]], HOSTILE) + paragraph(HOSTILE) + listed([HOSTILE])
    assert read(html) == [HOSTILE] * 6


def test_a_long_table_shows_its_first_rows_and_says_how_many_follow():
    texts = read(table("long", ["row"], [[str(row)] for row in range(MOST + 7)]))
    assert texts[2:] == [*map(str, range(MOST)), "… and 7 more"]


def test_an_empty_table_is_its_title():
    assert read(table("none", ["row"], [])) == ["none"]


@pytest.mark.parametrize(("value", "said"), [(0, "0 B"), (999, "999 B"), (1.83e7, "18.3 MB"), (2e15, "2 PB")])
def test_an_amount_has_a_prefix(value, said):
    assert amount(value, "B") == said


@pytest.mark.parametrize(("number", "text"), [(2, "²"), (-10, "⁻¹⁰"), (0, "⁰")])
def test_an_exponent_is_raised(number, text):
    assert raised(number) == text
