"""Figures: the numbers on the screen are those of the reading, and what is missing says why."""

from __future__ import annotations

import base64
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from explorer import theme
from explorer.figures import BUDGET, EXPLAINED, THUMB, WHOLE, as_table, brief, figures, mosaic, picture, shrunk, summary
from tests.sheets import box_named, numbers, sheet

pytestmark = pytest.mark.once

W = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
X = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)


def loss(w, x):
    return jnp.sum(jnp.tanh(x @ w) ** 2)


def codes(shown) -> list[list[int]]:
    return np.frombuffer(base64.b64decode(shown.codes), np.uint8).reshape(shown.rows, shown.columns).tolist()


def data(shown) -> np.ndarray:
    return np.frombuffer(base64.b64decode(shown.data), np.float32).reshape(shown.shape)


def taken(fun, *args, argnums=0, **how):
    """A function as folded, its reading and its figures."""
    seen = sheet(fun, *args, **how)
    read = numbers(seen, fun, *args, argnums=argnums)
    return seen, read, figures(seen, read, plumbing=how.get("plumbing", False))


@pytest.fixture(scope="module")
def network():
    return taken(loss, W, X)


# ---- the numbers ---------------------------------------------------------------------------------------------------


def test_what_is_sent_is_the_reading_bit_for_bit(network):
    seen, read, found = network
    for box in seen.boxes:
        np.testing.assert_array_equal(data(found.boxes[box.id].value), read.value(box.shows))
        np.testing.assert_array_equal(data(found.boxes[box.id].grad), read.grad(box.shows))


def test_the_gradient_of_an_argument_is_that_of_jax(network):
    _, _, found = network
    np.testing.assert_allclose(data(found.boxes["%0"].grad), jax.grad(loss)(W, X), rtol=1e-6)


def test_the_picture_is_coded_on_the_fixed_scale(network):
    _, _, found = network
    assert codes(found.boxes["%0"].value) == theme.codes(W).tolist()


def test_a_number_is_written_itself_and_an_array_by_its_size(network):
    seen, _, found = network
    product = box_named(seen, "dot_general").id
    assert found.boxes[seen.boxes[-1].id].value.rms == f"{float(loss(W, X)):.3g}"
    assert found.boxes[product].value.rms == f"{np.sqrt(np.mean((X @ W) ** 2)):.3g}"


def test_a_wire_is_as_strong_as_what_is_sent_back_along_it(network):
    seen, read, found = network
    for wire, strength in zip(seen.wires, found.wires, strict=True):
        ((source, consumer),) = wire.uses
        sent = np.asarray(read.contributions(source)[consumer])
        assert strength == pytest.approx(theme.level(float(np.sqrt(np.mean(sent**2)))), abs=1e-6)


def test_the_sentence_is_about_the_largest_gradient_and_gives_it(network):
    _, read, found = network
    spoken, gradient = found.boxes["%0"].sentence, read.grad("%0")
    assert tuple(spoken["index"]) == np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
    assert spoken["total"] == f"{gradient[tuple(spoken['index'])]:.3g}".replace("-", "−")


def test_each_factor_of_a_sentence_has_its_place():
    _, _, found = taken(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0, argnums=(0, 1, 2))
    spoken = found.boxes["%2"].sentence
    assert spoken["text"] == "∂L/∂z = 1 · 3 = 3"
    assert [(factor["text"], factor["place"], factor["role"]) for factor in spoken["terms"][0]["products"][0]] == [
        ("1", "mul", "gradient"),
        ("3", "add", "saved"),
    ]
    assert found.boxes["%4"].sentence["terms"][0]["title"] == "the seed"
    assert found.boxes["%4"].computed == "−12 = 3 × (−4)"


def test_figures_are_plain_data(network):
    json.dumps(network[2].as_dict())


@pytest.mark.parametrize(("shown", "consumer"), [(False, "mul"), (True, "reshape")])
def test_plumbing_speaks_only_where_it_is_shown(shown, consumer):
    def fun(x):
        return jnp.sum(x.reshape(2, 2) * 3.0)

    _, _, found = taken(fun, np.ones(4, np.float32), plumbing=shown)
    assert [term["title"] for term in found.boxes["%0"].sentence["terms"]] == [consumer]


# ---- what is missing -----------------------------------------------------------------------------------------------


def branching(x, p):
    return jnp.sum(lax.cond(p > 0, lambda x: jnp.sin(x) * 2.0, lambda x: x**3, x))


def test_a_branch_not_taken_is_not_executed():
    seen, _, found = taken(branching, np.ones(3, np.float32), np.float32(0.5), granularity="all")
    own = found.boxes[box_named(seen, "integer_pow").id]
    assert (own.value, own.grad, own.sentence, own.computed) == (None, None, None, "")
    assert own.missing == (
        "cond/if_false/integer_pow was not executed: this step took another branch around it (or a loop that ran zero "
        "times)."
    )


def test_iterations_that_took_another_branch_are_marked():
    def loop(xs):
        step = lambda c, x: (lax.cond(x > 0, lambda c: jnp.sin(c) + x, lambda c: c * 0.5, c), None)
        return lax.scan(step, jnp.float32(0.3), xs)[0]

    seen, _, found = taken(loop, np.array([1.0, -1.0, 1.0], np.float32), granularity="all")
    value = found.boxes[box_named(seen, "sin").id].value
    (row,) = codes(value)
    assert [code == theme.NOT_RUN for code in row] == [False, True, False]
    assert np.isnan(data(value)).tolist() == [False, True, False]


def test_a_while_loop_reads_forward_only_and_says_why():
    def endless(x):
        return x * lax.while_loop(lambda v: v < 9, lambda v: v * v, jnp.float32(2.0))

    _, _, found = taken(endless, np.float32(1.0), granularity="all")
    own = found.boxes["%1/1/1"]
    assert own.value.rms == "16"
    assert own.grad is None
    assert own.missing.startswith("while/mul has no gradient to read. A while_loop may run any number of times")


def test_keys_are_no_numbers():
    def fun(x, key):
        return x * jax.random.normal(key)

    _, _, found = taken(fun, np.float32(1.0), jax.random.key(0))
    assert found.boxes["%1"].value is None
    assert found.boxes["%1"].grad is None
    assert found.boxes["%1"].missing == "It holds keys, not numbers."


@pytest.mark.filterwarnings("ignore:divide by zero|invalid value")
def test_what_is_not_finite_is_shown_as_it_is():
    given = np.array([0.0, -1.0, 1.0], np.float32)
    seen, _, found = taken(lambda x: jnp.sum(jnp.log(x)), given)
    own = found.boxes[box_named(seen, "log").id]
    assert codes(own.value) == [[theme.MINUS_INFINITY, theme.NAN, theme.ZERO]]
    assert own.value.summary == "mean NaN · from NaN to NaN · 33 % exactly zero · 2 not finite"
    assert found.boxes["%2"].value.rms == "NaN"
    assert found.boxes["%0"].grad.rms == "∞"


def test_a_gradient_that_is_exactly_zero_is_no_missing_one():
    _, _, found = taken(lambda x, y: jnp.sum(x), np.ones(2, np.float32), np.ones(3, np.float32), argnums=(0, 1))
    assert codes(found.boxes["%1"].grad) == [[theme.ZERO] * 3]
    assert found.boxes["%1"].missing == ""
    assert found.boxes["%1"].sentence["words"] == "Nothing uses it, so it can't change the loss: its gradient is 0."


# ---- pictures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "table"), [((), (1, 1)), ((5,), (1, 5)), ((2, 3), (2, 3)), ((2, 3, 4), (6, 4)), ((0, 3), (1, 1))]
)
def test_any_array_is_a_table(shape, table):
    assert as_table(np.zeros(shape)).shape == table


def test_a_large_table_shows_the_strongest_of_each_patch():
    table = np.zeros((160, 280))
    table[17, 33], table[18, 34], table[159, 279] = 1.0, -5.0, np.nan
    small = shrunk(table, THUMB)
    assert small.shape == (16, 28)
    assert small[1, 3] == -5.0
    assert np.isnan(small[15, 27])
    assert np.count_nonzero(small) == 2


def test_a_small_table_is_left_alone():
    np.testing.assert_array_equal(shrunk(W, THUMB), W)


def test_a_large_array_is_not_sent_ahead():
    assert picture(np.zeros(WHOLE)).data != ""
    assert picture(np.zeros(WHOLE + 1)).data == ""
    assert picture(np.zeros(4), whole=False).data == ""


def test_numbers_that_overflow_squared_still_have_a_size():
    assert picture(np.full(4, 1e38, np.float32)).rms == "1.00e38"
    assert picture(np.full(4, 1e-38, np.float32)).rms == "1.00e−38"


def test_a_photograph_is_grey():
    shown = picture(np.linspace(0, 1, 16).reshape(4, 4), image=(2, 2))
    assert (shown.grey, shown.rows, shown.columns) == (True, 4, 8)
    assert codes(shown)[0][:4] == [0, 17, 68, 85]


def test_the_first_examples_lie_side_by_side():
    sheet_of = mosaic(np.arange(40.0).reshape(10, 4), (2, 2))
    assert sheet_of.shape == (4, 8)
    assert sheet_of[0].tolist() == [0, 1, 4, 5, 8, 9, 12, 13]
    assert sheet_of[2].tolist() == [16, 17, 20, 21, 24, 25, 28, 29]


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.array([1.0, -2.0, 0.0, 0.0]), "mean −0.25 · from −2 to 1 · 50 % exactly zero"),
        (np.array([1, 3]), "mean 2 · from 1 to 3"),
        (np.ma.MaskedArray([1.0, 99.0], [False, True]), "mean 1 · from 1 to 1"),
        (np.float32(3.0).reshape(()), ""),
        (np.array([True, False]), ""),
        (np.zeros((0,)), ""),
    ],
)
def test_a_summary_says_what_matters(array, text):
    assert summary(array) == text


@pytest.mark.parametrize(
    ("name", "short"), [("mlp/layer/tanh", "tanh"), ("params.layers.0.w", "layers.0.w"), ("x", "x"), ("w.", "w.")]
)
def test_a_brief_name_leaves_out_where_it_is(name, short):
    assert brief(name) == short


def test_what_goes_to_the_browser_is_bounded():
    assert BUDGET * 5 < 2**23  # one byte a code and four a number
    assert EXPLAINED >= 96 * 4
