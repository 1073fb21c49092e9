"""The valley of a JAX function: the numbers are those of the function, in both precisions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.differences import STEPS
from engine.valley import ValleyError, valley

pytestmark = [pytest.mark.once, pytest.mark.exact]

W = np.array([0.5, 1.0, -0.3], np.float32)
PARAMS = {"b": np.zeros(2, np.float32), "w": np.array([[0.0, 0.5], [1.0, -1.0]], np.float32)}


def wave(w):
    return jnp.sum(jnp.sin(w) * jnp.exp(w))


def net(params, x, kind):
    h = {"relu": jax.nn.relu, "tanh": jnp.tanh}[kind](x @ params["w"] + params["b"])
    return jnp.mean(h**2) + jnp.sum(h)


@pytest.fixture(scope="module")
def entry():
    return valley(wave, "w", W, index=(1,))


def test_the_slope_is_the_derivative_of_that_entry(entry):
    wanted = np.e * (np.sin(1.0) + np.cos(1.0))
    assert entry.curve("float64").slope == pytest.approx(wanted, rel=1e-14)
    assert entry.curve("float32").slope == pytest.approx(wanted, rel=1e-6)


def test_the_errors_are_those_of_the_difference(entry):
    at = [60, 80, 96]
    h, w = STEPS[at], 1.0
    loss = lambda w: np.sin(w) * np.exp(w)
    numeric, slope = (loss(w + h) - loss(w - h)) / (2 * h), np.e * (np.sin(1.0) + np.cos(1.0))
    wanted = np.abs(numeric - slope) / np.maximum(np.abs(numeric), slope)
    np.testing.assert_allclose(entry.curve("float64").central.errors[at], wanted, rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_valley_of_each_precision(entry, dtype):
    found = entry.curve(dtype).central
    assert 0.2 < found.best_step / np.finfo(dtype).eps ** (1 / 3) < 5
    assert found.truncation == pytest.approx(2, abs=0.1)
    assert found.rounding == pytest.approx(-1, abs=0.25)


def test_float64_digs_deeper(entry):
    assert entry.curve("float64").central.best_error < 1e-4 * entry.curve("float32").central.best_error


def test_the_sentence_says_what_was_moved(entry):
    assert entry.verdict == "agrees"
    assert entry.sentence.startswith("w[1]: backpropagation says 3.76, and central differences agree to ")


def test_without_an_index_it_is_a_direction_of_length_one():
    found = valley(wave, "w", W, seed=3)
    noise = np.random.default_rng(3).normal(size=3)
    gradient = np.exp(W.astype(float)) * (np.sin(W.astype(float)) + np.cos(W.astype(float)))
    assert found.curve("float64").slope == pytest.approx(gradient @ noise / np.linalg.norm(noise), rel=1e-6)
    assert found.sentence.startswith("w: ")
    assert found.verdict == "agrees"


def test_x64_is_as_it_was_afterwards():
    before = jax.config.jax_enable_x64
    valley(wave, "w", W, index=(0,), steps=STEPS[::24])
    assert jax.config.jax_enable_x64 == before
    assert jnp.zeros(()).dtype == np.float32


def test_relu_at_zero_is_a_kink():
    found = valley(net, "params.b", PARAMS, np.array([[0.0, 1.0]], np.float32) * 0, "relu", index=(0,))
    assert found.verdict == "kink"
    assert "its slope is 0 from the left and 1 from the right; central differences say 0.5" in found.sentence
    assert all(curve.central.best_error == pytest.approx(1) for curve in found.curves)


def test_a_hard_step_is_a_jump_at_its_edge_and_flat_beside_it():
    step = lambda w: jnp.sum(jnp.where(w >= 0, 1.0, 0.0))
    assert valley(step, "w", np.zeros(2, np.float32), index=(1,)).verdict == "jump"
    assert valley(step, "w", W, index=(0,)).verdict == "flat"


def test_a_stopped_gradient_differs():
    found = valley(lambda w: jnp.sum(jax.lax.stop_gradient(jnp.sin(w)) * w), "w", W, index=(1,))
    assert found.verdict == "differs"
    assert found.sentence.startswith("w[1]: backpropagation says 0.841, differences say 1.38 from both sides: ")


@pytest.mark.slow
def test_any_argument_of_a_function_with_strings_among_them():
    x = np.array([[0.2, -0.4], [1.0, 0.3]], np.float32)
    found = valley(net, "x", PARAMS, x, "tanh", index=(1, 0))
    assert found.curve("float32").slope == pytest.approx(float(jax.grad(net, 1)(PARAMS, x, "tanh")[1, 0]), rel=1e-5)
    assert found.name == "x[1, 0]"


def test_a_function_that_computes_in_float32_has_no_other_curve():
    found = valley(lambda w: wave(w.astype(np.float32)), "w", W, index=(1,))
    assert [curve.dtype for curve in found.curves] == ["float32"]
    assert found.verdict == "agrees"


@pytest.mark.slow
def test_keys_integers_and_bfloat16_come_along():
    def noisy(w, key, n):
        return jnp.sum(w * jax.random.normal(key, (3,), w.dtype)) * n

    found = valley(noisy, "w", W.astype(jnp.bfloat16), jax.random.key(0), np.int32(2), index=(0,))
    assert found.verdict == "agrees"


@pytest.mark.parametrize(
    ("key", "index", "sentence"),
    [
        ("params.w", (0, 7), "params.w has no entry (0, 7): index 7 is out of bounds for axis 1 with size 2."),
        ("params.w", (0,), "(0,) isn't one entry of params.w, whose shape is (2, 2)."),
        ("tanh", None, "tanh (float32, tanh) can't be checked: pick a floating-point argument of net."),
    ],
)
def test_what_can_not_be_checked_is_one_sentence(key, index, sentence):
    with pytest.raises(ValleyError) as caught:
        valley(net, key, PARAMS, np.ones((1, 2), np.float32), "tanh", index=index)
    assert str(caught.value) == sentence
