"""The one scale and the palettes: what differs in kind looks different, always and in both themes."""

from __future__ import annotations

import itertools

import ml_dtypes
import numpy as np
import pytest

from explorer import theme

LOOKS = ("light", "dark")
EYES = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
"""What eyes without one kind of cone see of light (Machado, Oliveira and Fernandes, 2009)."""
KINDS = np.ma.MaskedArray([1e-9, 1e-3, 0.0, np.nan, np.inf, -np.inf, -1e-3, -1e-9, 5.0], [0] * 8 + [1])


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (1e-30, 1),
        (1e-9, 1),
        (1e-8, 1),
        (1e-3, 26),
        (1.0, 41),
        (99.0, 50),
        (1e30, 50),
        (-1e-9, 51),
        (-1e-3, 76),
        (-1e30, 100),
        (0.0, theme.ZERO),
        (-0.0, theme.ZERO),
        (np.nan, theme.NAN),
        (np.inf, theme.PLUS_INFINITY),
        (-np.inf, theme.MINUS_INFINITY),
    ],
)
def test_a_number_has_one_code(number, code):
    assert theme.codes(np.array([number])) == [code]


def test_what_did_not_run_is_no_number():
    assert theme.codes(np.ma.MaskedArray([1.0, 2.0], [False, True])).tolist() == [41, theme.NOT_RUN]


def test_the_scale_knows_no_other_numbers():
    alone = [theme.codes(np.array([x]))[0] for x in (1e-7, 3e-4, -2.0, 70.0)]
    assert theme.codes(np.array([1e-7, 3e-4, -2.0, 70.0])).tolist() == alone


def test_a_larger_magnitude_never_has_a_lower_code():
    found = theme.codes(np.logspace(-10, 4, 300)).astype(int)
    assert (np.diff(found) >= 0).all()
    assert set(found) == set(range(1, 51))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "bool", ml_dtypes.bfloat16])
def test_the_type_of_a_number_does_not_matter(dtype):
    assert theme.codes(np.array([0, 1], dtype)).tolist() == [theme.ZERO, 41]


def test_complex_numbers_are_drawn_by_magnitude():
    assert theme.codes(np.array([3 + 4j, 0j, -5 + 0j])).tolist() == theme.codes(np.array([5.0, 0.0, 5.0])).tolist()


def test_codes_keep_the_shape():
    assert theme.codes(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize(
    ("magnitude", "height"), [(0, 0), (-1, 0), (np.nan, 0), (1e-9, 0), (1e-3, 0.5), (1, 0.8), (1e9, 1), (np.inf, 1)]
)
def test_a_level_goes_from_0_to_1(magnitude, height):
    assert theme.level(magnitude) == pytest.approx(height)


@pytest.mark.parametrize("look", LOOKS)
def test_every_code_has_a_colour_of_its_own(look):
    assert len(theme.PALETTES[look]) == theme.NOT_RUN + 1
    assert len(set(theme.PALETTES[look])) == theme.NOT_RUN + 1


@pytest.mark.parametrize("look", LOOKS)
def test_what_differs_in_kind_is_told_apart(look):
    colours = [theme.PALETTES[look][code] for code in theme.codes(KINDS)]
    assert min(difference(*pair) for pair in itertools.combinations(colours, 2)) > 6


@pytest.mark.parametrize("look", LOOKS)
def test_no_magnitude_looks_like_none(look):
    palette = theme.PALETTES[look]
    special = (theme.ZERO, theme.NAN, theme.PLUS_INFINITY, theme.MINUS_INFINITY, theme.NOT_RUN)
    assert min(difference(palette[a], palette[b]) for a in special for b in range(1, 101)) > 6


@pytest.mark.parametrize("look", LOOKS)
def test_signs_stay_apart_at_every_strength_but_the_weakest(look):
    palette = theme.PALETTES[look]
    assert min(difference(palette[step], palette[theme.LEVELS + step]) for step in range(10, 51)) > 15


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("look", LOOKS)
def test_signs_stay_apart_for_colour_blind_eyes(look, eyes):
    palette = [seen(colour, eyes) for colour in theme.PALETTES[look]]
    assert min(difference(palette[step], palette[theme.LEVELS + step]) for step in range(10, 51)) > 15


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("look", LOOKS)
def test_what_differs_in_kind_is_told_apart_by_colour_blind_eyes(look, eyes):
    """Kinds that are no magnitudes; and forward from backward, which dashes tell as well."""
    palette, ink = theme.PALETTES[look], theme.INK[look]
    special = (theme.ZERO, theme.NAN, theme.PLUS_INFINITY, theme.MINUS_INFINITY, theme.NOT_RUN)
    pairs = [*itertools.combinations((palette[code] for code in special), 2), (ink["forward"], ink["backward"])]
    assert min(difference(seen(a, eyes), seen(b, eyes)) for a, b in pairs) > 6


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("ink", ["text", "quiet", "forward", "backward", "update", "accent", "warn", "changed"])
def test_text_can_be_read_on_every_ground(look, ink):
    colours = theme.INK[look]
    assert min(contrast(colours[ink], colours[ground]) for ground in ("page", "panel", "cluster")) >= 4.5


def test_both_themes_have_the_same_inks():
    assert theme.INK["light"].keys() == theme.INK["dark"].keys()


def linear(colour: str) -> np.ndarray:
    """Red, green and blue as light, 0 to 1."""
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def seen(colour: str, eyes: str) -> str:
    """A colour as these eyes see it."""
    light = np.clip(EYES[eyes] @ linear(colour), 0, 1)
    parts = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)


def contrast(a: str, b: str) -> float:
    """WCAG 2.2, 1.4.3."""
    low, high = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (a, b))
    return (high + 0.05) / (low + 0.05)


def difference(a: str, b: str) -> float:
    """ΔE as in CIE 1976; 2.3 is just noticeable."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    labs = []
    for colour in (a, b):
        x, y, z = np.cbrt(to_xyz @ linear(colour) / [0.9505, 1.0, 1.089])
        labs.append(np.array([116 * y, 500 * (x - y), 200 * (y - z)]))
    return float(np.linalg.norm(labs[0] - labs[1]))
