"""The gradient profile and the factors of its ratios, against NumPy and JAX alone."""

from __future__ import annotations

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import engine
from engine import profile
from engine.layers import structure
from engine.numbers import Numbers

pytestmark = pytest.mark.once

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 4)).astype(np.float32)
Y = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, 32)]


def dense(own, x):
    return x @ own["w"] + own["b"]


def make(activation=jnp.tanh, depth=2, between=lambda own, z: z, around=lambda x, h: h, scale=1.0):
    """A classifier whose layers are joined as told, and its parameters."""
    sizes = [4, *[12] * depth, 3]
    params = [
        {"w": (scale * RNG.normal(size=(n, m)) / n**0.5).astype(np.float32), "b": RNG.normal(size=m).astype(np.float32)}
        for n, m in itertools.pairwise(sizes)
    ]

    def loss(params, x, y):
        for own in params[:-1]:
            h = activation(between(own, dense(own, x)))
            x = around(x, h) if x.shape == h.shape else h
        return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(dense(params[-1], x)), axis=-1))

    return loss, params


def read(loss, params, *batch, probe="full"):
    _, _, reading = jax.jit(engine.value_and_grad(loss, probe=probe))(params, *batch)
    return Numbers(reading), reading.graph.inputs[: len(jax.tree.leaves(params))]


@functools.cache
def read_net(name):
    return read(*make(**NETS[name]), X, Y)


def rms(array):
    return float(np.sqrt(np.mean(np.asarray(array, np.float64) ** 2)))


def layer_norm(own, z):
    return (z - z.mean(-1, keepdims=True)) * lax.rsqrt(z.var(-1, keepdims=True) + 1e-5) * 1.5


# ---- rows ----------------------------------------------------------------------------------------------------------


def test_a_row_is_the_size_of_the_gradient_at_the_layers_output():
    loss, params = make(depth=1)

    def shifted(shift):
        z = dense(params[0], X) + shift
        scores = dense(params[1], jnp.tanh(z))
        return -jnp.mean(jnp.sum(Y * jax.nn.log_softmax(scores), axis=-1))

    first, _ = profile.rows(*read(loss, params, X, Y))
    assert first.gradient == pytest.approx(rms(jax.grad(shifted)(jnp.zeros((32, 12)))), rel=1e-5)
    assert first.value == pytest.approx(rms(np.tanh(dense(params[0], X))), rel=1e-5)


def test_rows_of_statistics_are_those_of_a_full_reading():
    loss, params = make()
    full, stats = (profile.rows(*read(loss, params, X, Y, probe=probe)) for probe in ("full", "stats"))
    for one, other in zip(full, stats, strict=True):
        assert other.gradient == pytest.approx(one.gradient, rel=1e-5)
        assert other.value == pytest.approx(one.value, rel=1e-5)
        assert (other.dead, other.saturated) == (None, None)


def test_dead_units_are_those_that_are_off_for_the_whole_batch():
    loss, params = make(jax.nn.relu, depth=1)
    params[0]["b"][:3] = -100
    params[0]["b"][3] = 100
    (first, _) = profile.rows(*read(loss, params, X, Y))
    off = (np.maximum(dense(params[0], X), 0) == 0).all(axis=0)
    assert off.sum() >= 3
    assert first.dead == pytest.approx(off.mean())


def test_saturated_entries_are_those_with_a_twentieth_of_the_slope():
    loss, params = make(jax.nn.sigmoid, depth=1, scale=6)
    (first, _) = profile.rows(*read(loss, params, X, Y))
    s = 1 / (1 + np.exp(-dense(params[0], X).astype(np.float64)))
    assert 0.1 < first.saturated < 0.9
    assert first.saturated == pytest.approx(np.mean(s * (1 - s) < 0.05 / 4))


def test_what_is_flat_on_one_side_by_design_is_not_saturated():
    loss, params = make(jax.nn.leaky_relu)
    assert [row.saturated for row in profile.rows(*read(loss, params, X, Y))[:-1]] == [0.0] * 2


# ---- factors -------------------------------------------------------------------------------------------------------

NETS = {
    "tanh": {},
    "sigmoid": {"activation": jax.nn.sigmoid},
    "relu": {"activation": jax.nn.relu},
    "gelu": {"activation": jax.nn.gelu},
    "swish": {"activation": jax.nn.swish},
    "clip": {"activation": lambda z: jnp.clip(z, -1, 1)},
    "normalised": {"between": layer_norm},
    "residual": {"around": lambda x, h: x + h},
    "everything": {"between": layer_norm, "around": lambda x, h: x + 0.5 * h, "activation": jax.nn.relu},
    "large": {"scale": 4.0},
}


@pytest.mark.parametrize("name", NETS)
def test_the_product_is_the_measured_ratio(name):
    numbers, ids = read_net(name)
    for factor in profile.factors(numbers, ids):
        assert factor.product == pytest.approx(factor.measured, rel=0.1001)


@pytest.mark.parametrize("name", NETS)
def test_the_measured_ratio_is_that_of_the_rows(name):
    numbers, ids = read_net(name)
    sizes = [row.gradient for row in profile.rows(numbers, ids)]
    wanted = [low / high for low, high in itertools.pairwise(sizes)][::-1]
    assert [factor.measured for factor in profile.factors(numbers, ids)] == pytest.approx(wanted, rel=1e-4)


def test_a_slope_that_goes_with_the_gradient_is_told_as_alignment():
    """Where a ReLU is off, so is the gradient of the squares: all of it meets a slope of 1."""

    def loss(params, x):
        return jnp.sum((jax.nn.relu(x @ params["a"]) @ params["b"]) ** 2)

    z = np.where(np.arange(256).reshape(64, 4) % 4 == 0, 1.0, -1.0).astype(np.float32)
    numbers, ids = read(loss, {"a": np.eye(4, dtype=np.float32), "b": np.eye(4, dtype=np.float32)}, z)
    (factor,) = profile.factors(numbers, ids)
    assert (factor.activation_slope, factor.measured) == pytest.approx((0.5, 1.0))
    assert factor.alignment == pytest.approx(2.0)


def test_the_slope_and_the_gain_are_those_of_a_hand_calculation():
    loss, params = make(jax.nn.sigmoid, depth=1)
    numbers, ids = read(loss, params, X, Y)
    (factor,) = profile.factors(numbers, ids)
    s = 1 / (1 + np.exp(-dense(params[0], X).astype(np.float64)))
    g = np.asarray(jax.nn.softmax(dense(params[1], s))) - Y
    assert factor.activation_slope == pytest.approx(rms(s * (1 - s)), rel=1e-4)
    assert factor.weight_gain == pytest.approx(rms(g @ params[1]["w"].T) / rms(g), rel=1e-4)


def test_without_a_way_round_nothing_is_residual():
    numbers, ids = read(*make(), X, Y)
    for factor in profile.factors(numbers, ids):
        assert (factor.residual, factor.norm, factor.other) == pytest.approx((1, 1, 1), rel=1e-6)


def test_a_scale_after_the_activation_is_other():
    numbers, ids = read(*make(lambda z: 3.0 * jnp.tanh(z), depth=1), X, Y)
    (factor,) = profile.factors(numbers, ids)
    assert (factor.activation, factor.other) == ("tanh", pytest.approx(3, rel=1e-5))


def test_the_normalisation_has_a_factor_of_its_own():
    numbers, ids = read(*make(between=lambda own, z: 5 * layer_norm(own, z), depth=1), X, Y)
    (factor,) = profile.factors(numbers, ids)
    assert factor.other == pytest.approx(7.5, rel=1e-5)
    assert abs(factor.norm - 1) > 0.05


@pytest.mark.parametrize(
    ("activation", "name"),
    [(jax.nn.sigmoid, "sigmoid"), (jnp.tanh, "tanh"), (jax.nn.relu, "relu"), (jax.nn.gelu, "gelu"), (jnp.sin, "sine")],
)
def test_an_activation_is_called_what_readers_call_it(activation, name):
    numbers, ids = read(*make(activation, depth=1), X, Y)
    assert [factor.activation for factor in profile.factors(numbers, ids)] == [name]


def test_a_gradient_of_zero_has_no_factors():
    loss, params = make(jax.nn.relu, depth=2)
    params[1]["b"][:] = -1000
    numbers, ids = read(loss, params, X, Y)
    assert [factor.layer for factor in profile.factors(numbers, ids)] == []


# ---- through time --------------------------------------------------------------------------------------------------

CELL = {"w": RNG.normal(size=(2, 6)), "u": 0.8 * RNG.normal(size=(6, 6)) / 6**0.5, "o": RNG.normal(size=(6, 1))}
CELL = jax.tree.map(np.float32, CELL)
XS = RNG.normal(size=(9, 16, 2)).astype(np.float32)


def recur(reverse=False):
    def loss(params, xs):
        def cell(h, x):
            h = jnp.tanh(x @ params["w"] + h @ params["u"])
            return h, None

        h, _ = lax.scan(cell, jnp.zeros((16, 6)), xs, reverse=reverse)
        return jnp.mean((h @ params["o"]) ** 2)

    return loss


def unrolled(shifts, xs):
    """The same with something added to the state that each step receives."""
    h = jnp.zeros((16, 6))
    for shift, x in zip(shifts, xs, strict=True):
        h = jnp.tanh(x @ CELL["w"] + (h + shift) @ CELL["u"])
    return jnp.mean((h @ CELL["o"]) ** 2)


@pytest.mark.parametrize(("reverse", "probe"), [(False, "full"), (True, "full"), (True, "stats")])
def test_the_gradient_through_time_is_that_at_the_state_of_each_step(reverse, probe):
    numbers, _ = read(recur(reverse), CELL, XS, probe=probe)
    (found,) = profile.through(numbers.reading)
    wanted = jax.jit(jax.grad(unrolled))(jnp.zeros((9, 16, 6)), XS[::-1] if reverse else XS)
    np.testing.assert_allclose(found.gradient, [rms(part) for part in wanted], rtol=1e-4)


@pytest.mark.parametrize("reverse", [False, True])
def test_the_factors_through_time_give_the_mean_ratio_of_a_step(reverse):
    numbers, ids = read(recur(reverse), CELL, XS)
    (factor,) = profile.factors(numbers, ids, structure(numbers.graph, ids).recurrent)
    (found,) = profile.through(numbers.reading)
    z = numbers.grad(structure(numbers.graph, ids).recurrent[0].lower.output)
    sizes = [rms(part) for part in (z[::-1] if reverse else z)]
    assert factor.measured == pytest.approx((sizes[0] / sizes[-1]) ** (1 / 8), rel=1e-4)
    assert factor.product == pytest.approx(factor.measured, rel=0.1001)
    assert found.ratio == pytest.approx(found.gradient[0] / found.gradient[-1])


# ---- updates -------------------------------------------------------------------------------------------------------


def test_an_update_is_measured_against_the_size_of_the_weights():
    graph = engine.trace(lambda w: jnp.sum(w**2), np.ones(4, np.float32))
    (update,) = profile.updates(graph, {"%0": np.full(4, 2.0)}, {"%0": np.full(4, 2.1)})
    assert (update.size, update.change, update.ratio) == pytest.approx((4.0, 0.2, 0.05))


def test_an_update_of_zero_weights_is_infinitely_large():
    graph = engine.trace(lambda w: jnp.sum(w**2), np.ones(2, np.float32))
    moved, still = ({"%0": np.zeros(2)}, {"%0": np.ones(2)}), ({"%0": np.zeros(2)}, {"%0": np.zeros(2)})
    assert [profile.updates(graph, *pair)[0].ratio for pair in (moved, still)] == [np.inf, 0.0]
